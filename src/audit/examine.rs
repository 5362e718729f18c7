//! Verifying the log of the running process, while it is written.

use super::file::checkpoint_path;
use super::key::VerifyingKey;
use super::options::Options;
use super::reading::{Unreadable, all_of, checkpoints, follow};
use super::verify::{Finding, Seen, Verifier};
use std::io;
use std::path::{Path, PathBuf};

/// Findings that are kept; more are counted.
const MOST_KEPT: usize = 20;
/// How often it is tried while the log is being rotated.
const TRIES: usize = 3;

/// What an examination of a log has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examination {
    /// How many files the log has.
    pub files: usize,
    /// What was seen.
    pub seen: Seen,
    /// Whether checkpoints were verified with a key.
    pub has_key: bool,
    /// How many findings there are.
    pub findings: usize,
    /// The first of them, with their places.
    pub first: Vec<String>,
}

impl Examination {
    fn tell(&mut self, place: &str, finding: &Finding) {
        self.findings += 1;
        if self.first.len() < MOST_KEPT {
            self.first.push(format!("{place}: {finding}"));
        }
    }
}

/// Verifies the files of the log that is written by these options, those that it was in
/// before included, and calls `progress` with the bytes that are done and those that
/// there are. `None`: it is not written to a file.
///
/// # Errors
/// If a file cannot be read.
pub fn examine(
    options: &Options,
    mut progress: impl FnMut(u64, u64),
) -> Result<Option<Examination>, Unreadable> {
    let Some(path) = options.path.as_deref().filter(|path| path.is_file()) else {
        return Ok(None);
    };
    let key = options.key.as_ref().map(|key| key.verifying());
    let mut tries = 1..TRIES;
    loop {
        match once(path, key.as_ref(), &mut progress) {
            // A file has just got another name.
            Err(gone) if gone.error.kind() == io::ErrorKind::NotFound && tries.next().is_some() => {
            }
            outcome => return outcome.map(Some),
        }
    }
}

fn once(
    path: &Path,
    key: Option<&VerifyingKey>,
    progress: &mut impl FnMut(u64, u64),
) -> Result<Examination, Unreadable> {
    // First: the log has the records before it is told how many there are.
    let kept = match checkpoint_path(path) {
        path if path.exists() => checkpoints(&path, key, |_| Ok::<_, Unreadable>(()))?,
        _ => Vec::new(),
    };
    let files = all_of(path);
    let bytes = files.iter().map(length).sum();
    let mut examination = Examination {
        files: files.len(),
        has_key: key.is_some(),
        ..Examination::default()
    };
    let mut verifier = Verifier::new(key, kept);
    let mut done = 0;
    let tell = |place: &str, finding: &Finding| {
        // A record is being written.
        if *finding != Finding::Torn {
            examination.tell(place, finding);
        }
        Ok(())
    };
    follow(&files, &mut verifier, tell, |_, record| {
        done += record.line.len() as u64 + 1;
        progress(done, bytes);
        Ok::<_, Unreadable>(())
    })?;
    examination.seen = verifier.seen().clone();
    Ok(examination)
}

fn length(file: &PathBuf) -> u64 {
    std::fs::metadata(file).map_or(0, |file| file.len())
}
