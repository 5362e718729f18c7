//! `[audit]`, and the key `audit` of isolations, tenants and logins.

use super::reader::{Entry, Section};
use super::size;
use crate::audit::{Fsync, OnFailure, Options, SigningKey, Statements, Text};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const ROTATE_SIZE: usize = 100 << 20;
const BUFFER: usize = 8 << 20;
const LEAST_ROTATE_SIZE: usize = 64 << 10;
const LEAST_BUFFER: usize = 64 << 10;
const MOST: usize = 1 << 40;
const MOST_BUFFER: usize = 1 << 30;
const CHECKPOINT: Duration = Duration::from_secs(60);
const CHECKPOINT_RECORDS: u32 = 1000;
const MOST_RECORDS: u32 = 1_000_000;
/// What `file` is for standard output.
const STDOUT: &str = "-";

/// `[audit]`: what is recorded, and where.
#[derive(Debug, Clone)]
pub struct Audit {
    /// How the log is written.
    pub options: Options,
    /// Which statements are recorded where isolation, tenant and login do not say.
    pub statements: Statements,
    /// What is recorded of a statement's text.
    pub text: Text,
}

/// `most`: the most that an isolation, a tenant or a login says is recorded.
pub(super) fn read(mut section: Section<'_>, most: Option<Statements>) -> Option<Audit> {
    let file = section.optional("file");
    let statements = statements(&mut section, "statements").unwrap_or(Statements::Refused);
    let text = section.optional("text").and_then(|entry| {
        entry.choice(&[
            ("shape", Text::Shape),
            ("full", Text::Full),
            ("none", Text::None),
        ])
    });
    let rotate_size = section
        .optional("rotate_size")
        .and_then(|entry| size::read(&entry, LEAST_ROTATE_SIZE..=MOST));
    let buffer = section
        .optional("buffer")
        .and_then(|entry| size::read(&entry, LEAST_BUFFER..=MOST_BUFFER));
    let fsync = section.optional("fsync").and_then(|entry| {
        entry.choice(&[
            ("always", Fsync::Always),
            ("interval", Fsync::Interval),
            ("never", Fsync::Never),
        ])
    });
    let on_failure = section
        .optional("on_failure")
        .and_then(|entry| entry.choice(&[("stop", OnFailure::Stop), ("count", OnFailure::Count)]));
    let key = section.optional("key_file").and_then(|entry| key(&entry));
    let checkpoint_interval = section
        .optional("checkpoint")
        .and_then(|entry| entry.duration(Duration::from_secs(1)..=Duration::from_secs(86_400)));
    let checkpoint_records = section
        .optional("checkpoint_records")
        .and_then(|entry| entry.integer(1..=MOST_RECORDS));
    let Some(file) = file else {
        for key in KEYS {
            section.refuse(key, "has no meaning without audit.file");
        }
        section.finish();
        return None;
    };
    section.finish();
    let path = file.path()?;
    let is_stdout = file.text() == Some(STDOUT);
    let default = match Some(statements).max(most) > Some(Statements::Refused) {
        true => OnFailure::Stop,
        false => OnFailure::Count,
    };
    Some(Audit {
        options: Options {
            path: (!is_stdout).then_some(path),
            rotate_size: rotate_size.unwrap_or(ROTATE_SIZE) as u64,
            fsync: fsync.unwrap_or(Fsync::Interval),
            buffer: buffer.unwrap_or(BUFFER),
            on_failure: on_failure.unwrap_or(default),
            key,
            checkpoint_records: checkpoint_records.unwrap_or(CHECKPOINT_RECORDS).into(),
            checkpoint_interval: checkpoint_interval.unwrap_or(CHECKPOINT),
        },
        statements,
        text: text.unwrap_or(Text::Shape),
    })
}

/// Those that need `file`.
const KEYS: [&str; 9] = [
    "statements",
    "text",
    "rotate_size",
    "buffer",
    "fsync",
    "on_failure",
    "key_file",
    "checkpoint",
    "checkpoint_records",
];

/// Which statements a section says are recorded.
pub(super) fn statements(section: &mut Section<'_>, key: &str) -> Option<Statements> {
    section.optional(key)?.choice(&[
        ("none", Statements::None),
        ("refused", Statements::Refused),
        ("write", Statements::Write),
        ("all", Statements::All),
    ])
}

fn key(entry: &Entry<'_>) -> Option<Arc<SigningKey>> {
    let (path, bytes) = entry.file()?;
    match SigningKey::read(&bytes) {
        Ok(key) => Some(Arc::new(key)),
        Err(error) => {
            entry.refuse(format!("{} {error}", Path::new(&path).display()));
            None
        }
    }
}
