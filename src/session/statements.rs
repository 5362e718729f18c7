//! The prepared statements of one client.

use crate::guard::Verdict;
use crate::server::Prepared;
use hashbrown::HashMap;
use std::collections::HashMap as StdHashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Most bytes of statement text that one client may keep prepared.
const MOST_BYTES: usize = 16 << 20;
/// Most named statements of one client.
const MOST_NAMES: usize = 10_000;

/// A prepared statement, and what the guard said of it.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) prepared: Arc<Prepared>,
    pub(super) verdict: Arc<Verdict>,
}

/// A client's prepared statements: they are the client's, wherever its
/// transactions run.
#[derive(Debug, Default)]
pub(super) struct Statements {
    named: HashMap<Box<[u8]>, Statement, foldhash::fast::FixedState>,
    unnamed: Option<Statement>,
    bytes: usize,
}

impl Statements {
    pub(super) fn get(&self, name: &[u8]) -> Option<&Statement> {
        if name.is_empty() {
            self.unnamed.as_ref()
        } else {
            self.named.get(name)
        }
    }

    /// Adds a statement under a name that is not taken. `false` if the client
    /// has too many already.
    pub(super) fn insert(&mut self, name: &[u8], statement: Statement) -> bool {
        let size = name.len() + statement.prepared.tail().len();
        if self.bytes + size > MOST_BYTES || self.named.len() >= MOST_NAMES {
            return false;
        }
        self.bytes += size;
        self.named.insert(name.into(), statement);
        true
    }

    /// Sets the unnamed statement.
    pub(super) fn set_unnamed(&mut self, statement: Option<Statement>) {
        self.unnamed = statement;
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        if name.is_empty() {
            self.unnamed = None;
        } else if let Some(statement) = self.named.remove(name) {
            self.bytes -= name.len() + statement.prepared.tail().len();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Statements that clients have prepared, each text once, so that clients with
/// the same statement share one on a server connection.
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
    /// The statement with this text and these parameter types.
    pub(super) fn intern(&self, tail: &[u8]) -> Arc<Prepared> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = known.statements.get(tail).and_then(Weak::upgrade) {
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
            .insert(tail.into(), Arc::downgrade(&prepared));
        prepared
    }
}
