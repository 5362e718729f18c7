//! The prepared statements of one client.

use crate::binding::OwnSettings;
use crate::guard::{Guard, Verdict};
use crate::server::{Moment, Prepared, PreparedId, Shape};
use hashbrown::HashMap;
use std::collections::HashMap as StdHashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Most bytes of statement text and settings that one client may keep prepared.
const MOST_BYTES: usize = 16 << 20;
/// Most named statements of one client.
const MOST_NAMES: usize = 10_000;

/// A prepared statement, and what the guard said of it.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) prepared: Arc<Prepared>,
    pub(super) verdict: Arc<Verdict>,
    /// The client's settings when it prepared the statement.
    pub(super) own: OwnSettings,
    /// When the client prepared it: what was prepared before may be out of date.
    pub(super) since: Moment,
    /// The rows that the client was told that it gives.
    pub(super) shape: Option<Shape>,
}

impl Statement {
    /// What a client prepares now.
    pub(super) fn new(prepared: Arc<Prepared>, verdict: Arc<Verdict>, own: &OwnSettings) -> Self {
        Self {
            prepared,
            verdict,
            own: own.clone(),
            since: Moment::now(),
            shape: None,
        }
    }

    /// Whether the server never has it under a name, with which an SQL EXECUTE
    /// could run it past what is judged at Bind.
    pub(super) fn is_nameless(&self) -> bool {
        !self.verdict.at_bind.is_empty() || self.verdict.answer.is_some()
    }
}

/// A client's prepared statements: they are the client's, wherever its
/// transactions run.
#[derive(Debug, Default)]
pub(super) struct Statements {
    named: HashMap<Box<[u8]>, Arc<Statement>, foldhash::fast::FixedState>,
    unnamed: Option<Arc<Statement>>,
    bytes: usize,
}

impl Statements {
    pub(super) fn get(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        if name.is_empty() {
            self.unnamed.as_ref()
        } else {
            self.named.get(name)
        }
    }

    /// A name that the client has given to this statement.
    pub(super) fn name_of(&self, id: PreparedId) -> Option<&[u8]> {
        let mut named = self.named.iter();
        named
            .find(|(_, statement)| statement.prepared.id() == id)
            .map(|(name, _)| &**name)
    }

    /// Adds a statement under a name that is not taken. `false` if the client
    /// has too many already.
    pub(super) fn insert(&mut self, name: &[u8], statement: Arc<Statement>) -> bool {
        let size = size(name, &statement);
        if self.bytes + size > MOST_BYTES || self.named.len() >= MOST_NAMES {
            return false;
        }
        self.bytes += size;
        self.named.insert(name.into(), statement);
        true
    }

    /// Sets the unnamed statement.
    pub(super) fn set_unnamed(&mut self, statement: Option<Arc<Statement>>) {
        self.unnamed = statement;
    }

    /// Makes a named statement one of the same text.
    pub(super) fn replace(&mut self, name: &[u8], prepared: Arc<Prepared>) {
        if let Some(statement) = self.named.get_mut(name) {
            Arc::make_mut(statement).prepared = prepared;
        }
    }

    /// Takes note of the rows that the client was told that a statement gives.
    pub(super) fn set_shape(&mut self, name: &[u8], id: PreparedId, shape: Option<Shape>) {
        let named = self.named.get_mut(name);
        if let Some(statement) = named.filter(|statement| statement.prepared.id() == id) {
            Arc::make_mut(statement).shape = shape;
        }
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        if name.is_empty() {
            self.unnamed = None;
        } else if let Some(statement) = self.named.remove(name) {
            self.bytes -= size(name, &statement);
        }
    }

    /// Asks another guard of every statement.
    pub(super) fn judge_again(&mut self, guard: &Guard) {
        for statement in self.named.values_mut().chain(&mut self.unnamed) {
            let text = statement.prepared.tail().split(|byte| *byte == 0).next();
            let verdict = guard.inspect(text.unwrap_or_default());
            Arc::make_mut(statement).verdict = verdict;
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What a statement takes, in bytes. The settings may be those of many, or of
/// this one alone.
fn size(name: &[u8], statement: &Statement) -> usize {
    name.len() + statement.prepared.tail().len() + statement.own.bytes()
}

/// Statements that clients have prepared, each text once, so that clients with
/// the same statement share one on a server connection. Constants are read when
/// a statement is parsed, and `DateStyle`, `TimeZone` and others say how: a text
/// is the same only under the same settings.
#[derive(Debug, Default)]
pub struct Interner {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    statements: StdHashMap<Box<[u8]>, Weak<Prepared>, foldhash::fast::RandomState>,
    sweep_at: usize,
}

impl Interner {
    /// The statement with this text and these parameter types, for clients with
    /// these settings.
    pub(super) fn intern(&self, tail: &[u8], own: &OwnSettings) -> Arc<Prepared> {
        let mut key = tail.to_vec();
        let settings = own.iter().filter(|(name, _)| !is_meaningless(name));
        for (name, value) in settings {
            for part in ["\0", name, "=", value] {
                key.extend_from_slice(part.as_bytes());
            }
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = known.statements.get(&*key).and_then(Weak::upgrade) {
            return prepared;
        }
        if known.statements.len() >= known.sweep_at {
            known
                .statements
                .retain(|_, prepared| prepared.strong_count() > 0);
            known.sweep_at = (known.statements.len() * 2).max(1024);
        }
        let prepared = Prepared::new(tail);
        known
            .statements
            .insert(key.into_boxed_slice(), Arc::downgrade(&prepared));
        prepared
    }
}

/// Whether a setting says nothing about what a statement means. It is often
/// different for each client.
fn is_meaningless(name: &str) -> bool {
    name == "application_name" || name.ends_with("_timeout")
}
