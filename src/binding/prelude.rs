//! What is sent ahead of a client's messages.

use super::answer::Answer;
use super::own::OwnSettings;
use crate::server::Connection;
use crate::tenant::{Attachment, Claim, Placement, Seal};
use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Instant;

/// Writes requests into a connection's output and keeps the answers that they
/// must get.
pub(super) struct Queue<'a> {
    output: &'a mut BytesMut,
    answers: VecDeque<Answer>,
    pid: u32,
    serial: u64,
    renewal: Option<Instant>,
}

impl<'a> Queue<'a> {
    pub(super) fn new<S>(connection: &'a mut Connection<S>) -> Self {
        Self {
            pid: connection.key().pid,
            serial: connection.next_serial(),
            output: connection.output(),
            answers: VecDeque::new(),
            renewal: None,
        }
    }

    /// The answers, and when the attachment must be made anew at the latest, if
    /// one was queued and does not hold forever.
    pub(super) fn finish(self) -> (VecDeque<Answer>, Option<Instant>) {
        (self.answers, self.renewal)
    }

    /// Everything of the session goes: settings, temporary tables, prepared
    /// statements, cursors, LISTEN, advisory locks, sequence caches.
    pub(super) fn discard_all(&mut self) {
        self.query("DISCARD ALL");
    }

    /// All settings go back to those of the connection's start.
    pub(super) fn reset_all(&mut self) {
        self.query("RESET ALL");
    }

    fn query(&mut self, sql: &str) {
        written(&frontend::query(sql, self.output));
        self.answers.push_back(Answer::Command);
    }

    /// The tenant. Its value travels as a parameter: in the text it would show
    /// in pg_stat_activity to other tenants.
    pub(super) fn attach(&mut self, placement: &Placement) {
        let (name, value, seal) = match &placement.attachment {
            Attachment::Setting { name, value, seal } => (&**name, value, seal),
            Attachment::Schema { search_path } => ("search_path", search_path, &Seal::Off),
            Attachment::Database => return,
        };
        let token = seal.token(&Claim {
            setting: name,
            tenant: value,
            database: &placement.endpoint.database,
            pid: self.pid,
            serial: self.serial,
        });
        let (sql, columns) = match seal {
            Seal::Off => (SET, 1),
            Seal::Token(..) => (SET_AND_BIND_TOKEN, 2),
            Seal::Carrier(_) => (SET_AND_BIND, 2),
        };
        let values = [Some(name), Some(&**value), token.as_deref()];
        self.call(sql, values.get(..columns + 1).unwrap_or_default());
        self.answers
            .push_back(Answer::Tenant(value.clone(), columns));
        self.renewal = seal.renewed_after().map(|after| Instant::now() + after);
    }

    /// `random()` starts anew: its state survives DISCARD ALL, and from it one
    /// tenant could tell the next one's numbers.
    pub(super) fn reseed(&mut self) {
        let mut bytes = [0; 4];
        // Without randomness the old state stays, which is no worse than before.
        if aws_lc_rs::rand::fill(&mut bytes).is_err() {
            return;
        }
        let seed = f64::from(i32::from_be_bytes(bytes)) / f64::from(i32::MIN);
        self.call("SELECT pg_catalog.setseed($1)", &[Some(&seed.to_string())]);
        self.answers.push_back(Answer::Row);
    }

    /// The client's own settings, as far as they differ from those in force.
    pub(super) fn own(&mut self, applied: &OwnSettings, wanted: &OwnSettings) {
        let changes = applied.changes(wanted);
        if changes.is_empty() {
            return;
        }
        let mut sql = String::from("SELECT ");
        let mut values = Vec::with_capacity(changes.len() * 2);
        for (i, (name, value)) in changes.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let (first, second) = (i * 2 + 1, i * 2 + 2);
            // Writing to a String does not fail.
            let _ = write!(
                sql,
                "{comma}pg_catalog.set_config(${first}, ${second}, false)"
            );
            values.push(Some(*name));
            // NULL resets.
            values.push(*value);
        }
        self.call(&sql, &values);
        self.answers.push_back(Answer::Own);
    }

    fn call(&mut self, sql: &str, values: &[Option<&str>]) {
        let serialize = |value: &Option<&str>, out: &mut BytesMut| {
            Ok(match value {
                Some(value) => {
                    out.extend_from_slice(value.as_bytes());
                    IsNull::No
                }
                None => IsNull::Yes,
            })
        };
        written(&frontend::parse("", sql, [], self.output));
        if frontend::bind("", "", [], values, serialize, [], self.output).is_err() {
            written(&Err(std::io::ErrorKind::InvalidInput.into()));
        }
        written(&frontend::execute("", 0, self.output));
        frontend::sync(self.output);
    }
}

/// Each answers with a row whose every column is the tenant.
const SET: &str = "SELECT pg_catalog.set_config($1, $2, false)";
const SET_AND_BIND: &str = "SELECT pg_catalog.set_config($1, $2, false), pgtenant.bind($3)";
const SET_AND_BIND_TOKEN: &str =
    "SELECT pg_catalog.set_config($1, $2, false), pgtenant.bind_token($3, $1)";

/// A message that cannot be written is left out; its answer will be missing,
/// and the connection never confirmed.
fn written(result: &std::io::Result<()>) {
    debug_assert!(result.is_ok(), "the texts are ours and hold no NUL");
}
