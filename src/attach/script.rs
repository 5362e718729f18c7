//! What is sent ahead of a client's messages.

use super::answer::Answer;
use super::session_settings::SessionSettings;
use crate::protocol;
use crate::server::Connection;
use crate::tenant::{Attachment, Claim, Seal, Tenant};
use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Instant;

/// Writes requests into a connection's output and keeps the answers that they
/// must get.
pub(super) struct Script<'a> {
    output: &'a mut BytesMut,
    answers: VecDeque<Answer>,
    pid: u32,
    serial: u64,
    renewal: Option<Instant>,
    /// It is a part of a client's pipeline.
    in_pipeline: bool,
}

impl<'a> Script<'a> {
    pub(super) fn new<S>(connection: &'a mut Connection<S>) -> Self {
        Self {
            pid: connection.key().pid,
            serial: connection.next_serial(),
            output: connection.output(),
            answers: VecDeque::new(),
            renewal: None,
            in_pipeline: false,
        }
    }

    /// One whose requests are parts of a client's pipeline: they end no
    /// transaction, and take no name of the client's.
    pub(super) fn in_pipeline(output: &'a mut BytesMut, pid: u32, serial: u64) -> Self {
        Self {
            output,
            answers: VecDeque::new(),
            pid,
            serial,
            renewal: None,
            in_pipeline: true,
        }
    }

    /// The answers, and when the attachment must be made anew at the latest, if
    /// one was queued and does not hold forever.
    pub(super) fn finish(mut self) -> (VecDeque<Answer>, Option<Instant>) {
        self.sync();
        (self.answers, self.renewal)
    }

    /// Everything of the session goes: settings, temporary tables, prepared
    /// statements, cursors, LISTEN, advisory locks, sequence caches.
    fn discard_all(&mut self) {
        self.commit("DISCARD ALL");
    }

    /// The same of whatever tenant, for whom the session holds nothing then; `random()`
    /// starts anew from `seed`, if there is one.
    pub(super) fn scrub(&mut self, seed: Option<[u8; 4]>) {
        self.discard_all();
        self.reseed(seed);
    }

    /// All settings go back to those of the connection's start.
    pub(super) fn reset_all(&mut self) {
        self.query("RESET ALL");
    }

    /// The role is the one that logged in: RESET ALL leaves it, and code that was not
    /// seen may have taken that of the group that the tenant's role is a member of.
    pub(super) fn reset_role(&mut self) {
        self.query("RESET ROLE");
    }

    /// Time limits that the last client has left end what follows no more.
    pub(super) fn lift_timeouts(&mut self) {
        for name in ["statement_timeout", "lock_timeout"] {
            self.call(SET_CONFIG, &[Some(name), Some("0"), FALSE]);
            self.answers.push_back(Answer::Result);
        }
    }

    /// Nothing, to see that it is answered.
    pub(super) fn ask(&mut self) {
        written(&frontend::query("", self.output));
        self.answers.push_back(Answer::Empty);
    }

    fn query(&mut self, sql: &str) {
        self.sync();
        written(&frontend::query(sql, self.output));
        self.answers.push_back(Answer::Command);
    }

    /// Runs a command that PostgreSQL commits by itself, in a pipeline too. It answers
    /// together with what follows, in one write: neither side is woken twice. After any
    /// other command the pipeline would be a transaction up to its Sync (from 17 on), which
    /// a FunctionCall does not end.
    fn commit(&mut self, sql: &str) {
        self.sync();
        self.run(sql, &[]);
        self.answers.push_back(Answer::Unsynced);
    }

    /// Ends the pipeline of a [command](Self::commit), unless another request has done so.
    fn sync(&mut self) {
        if let Some(last @ Answer::Unsynced) = self.answers.back_mut() {
            *last = Answer::Command;
            frontend::sync(self.output);
        }
    }

    /// The tenant. Its value travels as an argument or a parameter: in a
    /// statement's text it would show in pg_stat_activity to other tenants.
    pub(super) fn attach(&mut self, tenant: &Tenant) {
        let read_only = tenant.is_read_only();
        let placement = &tenant.placement;
        let (name, value, seal) = match &placement.attachment {
            Attachment::Setting { name, value, seal } => (&**name, value, seal),
            Attachment::Schema { search_path } => (SEARCH_PATH, search_path, &Seal::Off),
            Attachment::Database => {
                if read_only {
                    self.call(SET_CONFIG, &[Some(READ_ONLY), Some("on"), FALSE]);
                    self.answers.push_back(Answer::Result);
                }
                return;
            }
        };
        let token = seal.token(&Claim {
            setting: name,
            tenant: value,
            database: &placement.endpoint.database,
            pid: self.pid,
            serial: self.serial,
        });
        let bind = match seal {
            Seal::Off => "",
            Seal::Token(..) => ", pgtenant.bind_token($3, $1)",
            Seal::Carrier(_) => ", pgtenant.bind($3)",
        };
        if bind.is_empty() && !read_only {
            self.call(SET_CONFIG, &[Some(name), Some(&**value), FALSE]);
            self.answers.push_back(Answer::TenantResult(value.clone()));
        } else {
            // In one statement: a read-only tenant is so whenever it is attached.
            let (read_only, columns) = match read_only {
                true => (SELECT_READ_ONLY, if bind.is_empty() { 1 } else { 2 }),
                false => ("", 2),
            };
            let sql = format!("SELECT pg_catalog.set_config($1, $2, false){bind}{read_only}");
            let values = [Some(name), Some(&**value), token.as_deref()];
            let values = if bind.is_empty() {
                &values[..2]
            } else {
                &values
            };
            self.select(&sql, values);
            self.answers
                .push_back(Answer::Tenant(value.clone(), columns));
        }
        self.renewal = seal.renewed_after().map(|after| Instant::now() + after);
    }

    /// `random()` starts anew: its state survives DISCARD ALL, and from it one
    /// tenant could tell the next one's numbers.
    fn reseed(&mut self, random: Option<[u8; 4]>) {
        // Not necessary, or there is no randomness.
        let Some(random) = random else {
            return;
        };
        let random = i32::from_be_bytes(random);
        let sign = if random < 0 { "-" } else { "" };
        // Of a number from -1 to 1.
        let digits = random & i32::MAX;
        self.call(SETSEED, &[Some(&format!("{sign}0.{digits:010}"))]);
        self.answers.push_back(Answer::Result);
    }

    /// The client's own settings, as far as they differ from those in force, behind
    /// the attachment of its tenant.
    pub(super) fn settings(
        &mut self,
        tenant: &Tenant,
        applied: &SessionSettings,
        wanted: &SessionSettings,
    ) {
        // One that fails must not take a command before it along.
        self.sync();
        let mut changes = applied.changes(wanted);
        for (name, value) in &mut changes {
            if value.is_none() && *name == SEARCH_PATH {
                // Its reset value may be that of no tenant.
                *value = tenant
                    .placement
                    .attachment
                    .search_path()
                    .map(|path| &**path);
            }
        }
        // All in one statement, where the first could make the next fail by time.
        let has_timeout = changes.iter().any(|(name, _)| name.ends_with("_timeout"));
        if changes.is_empty() || (changes.len() <= MOST_CALLS && !has_timeout) {
            for (name, value) in changes {
                // NULL resets.
                self.call(SET_CONFIG, &[Some(name), value, FALSE]);
                self.answers.push_back(Answer::Own);
            }
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
            values.extend([Some(*name), *value]);
        }
        self.select(&sql, &values);
        self.answers.push_back(Answer::Own);
    }

    /// Calls a function (protocol section "Function Call"), in a transaction of
    /// its own: the server neither parses nor plans a statement, which costs it
    /// a third of a SELECT of the same.
    fn call(&mut self, function: Function, arguments: &[Option<&str>]) {
        if self.in_pipeline {
            let sql = "SELECT pg_catalog.set_config($1, $2, $3)";
            return self.select(sql, arguments);
        }
        let called = protocol::frontend::write_function_call(self.output, function.0, arguments);
        debug_assert!(called.is_ok(), "the arguments are ours and short");
    }

    /// Runs a SELECT, in a transaction of its own.
    fn select(&mut self, sql: &str, values: &[Option<&str>]) {
        self.run(sql, values);
        if !self.in_pipeline {
            frontend::sync(self.output);
        }
    }

    fn run(&mut self, sql: &str, values: &[Option<&str>]) {
        let serialize = |value: &Option<&str>, out: &mut BytesMut| {
            Ok(match value {
                Some(value) => {
                    out.extend_from_slice(value.as_bytes());
                    IsNull::No
                }
                None => IsNull::Yes,
            })
        };
        let name = if self.in_pipeline { NAME } else { "" };
        if self.in_pipeline {
            // Left over, if a pipeline failed in the midst of it.
            self.close();
        }
        written(&frontend::parse(name, sql, [], self.output));
        if frontend::bind(name, name, [], values, serialize, [], self.output).is_err() {
            written(&Err(std::io::ErrorKind::InvalidInput.into()));
        }
        written(&frontend::execute(name, 0, self.output));
        if self.in_pipeline {
            self.close();
        }
    }

    fn close(&mut self) {
        written(&frontend::close(b'P', NAME, self.output));
        written(&frontend::close(b'S', NAME, self.output));
    }
}

/// No name that a client would choose.
const NAME: &str = "pgtenant: attachment";

/// A function of pg_catalog, by its OID, which is the same in every release: so
/// no name is looked up, that something else could have taken.
#[derive(Clone, Copy)]
struct Function(u32);

/// `set_config(text, text, boolean)`: answers with the new value.
const SET_CONFIG: Function = Function(2078);
/// `setseed(double precision)`
const SETSEED: Function = Function(1599);

/// `is_local`: the setting is the session's.
const FALSE: Option<&str> = Some("f");
/// So many calls cost less than one SELECT of all.
const MOST_CALLS: usize = 4;

/// What of a client's settings is in force once its tenant has been attached again.
pub(super) fn left_by_attachment(tenant: &Tenant, settings: &SessionSettings) -> SessionSettings {
    let mut settings = settings.clone();
    let attachment = &tenant.placement.attachment;
    if attachment.search_path().is_some() && settings.get(SEARCH_PATH).is_some() {
        settings.set(SEARCH_PATH, None);
    }
    settings
}

/// What carries a tenant of kind `schema`.
pub(super) const SEARCH_PATH: &str = "search_path";

const READ_ONLY: &str = "default_transaction_read_only";
/// Behind a list of columns each of which is the tenant: no column, no row without
/// it.
const SELECT_READ_ONLY: &str =
    " WHERE pg_catalog.set_config('default_transaction_read_only', 'on', false) = 'on'";

/// A message that cannot be written is left out; its answer will be missing,
/// and the connection never confirmed.
fn written(result: &std::io::Result<()>) {
    debug_assert!(result.is_ok(), "the texts are ours and hold no NUL");
}
