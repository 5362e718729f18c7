//! Portals whose execution changes more than data.

use crate::guard::Verdict;
use std::sync::Arc;

/// Most of them at a time.
const MOST: usize = 1000;

/// What the server's unnamed portal may be.
///
/// PostgreSQL runs a Query in it, and a Query that fails within a transaction leaves
/// it behind, with a plan in memory that the next message overwrites: to execute
/// or describe it can end the whole server (seen on 15.18).
#[derive(Debug, Default)]
pub(super) struct UnnamedPortal {
    /// The client has bound it in this pipeline: if that fails, the server skips what
    /// uses it.
    pub(super) is_bound: bool,
    /// A Query has left it in a failed transaction, as the server has answered.
    pub(super) is_left: bool,
}

/// Portals over exclusive statements, as the server has confirmed them. While
/// there is one, each Bind waits for its answer, so that a name is never taken
/// for another's portal. One that the server has dropped meanwhile (with a
/// savepoint, by CLOSE) may still be listed: to execute it is an error.
#[derive(Debug, Default)]
pub(super) struct Portals(Vec<(Box<[u8]>, Arc<Verdict>)>);

impl Portals {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is no room for another.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&Arc<Verdict>> {
        let mut portals = self.0.iter();
        portals
            .find(|(known, _)| **known == *name)
            .map(|(_, verdict)| verdict)
    }

    /// The server has bound one.
    pub(super) fn add(&mut self, name: Box<[u8]>, verdict: Arc<Verdict>) {
        self.remove(&name);
        self.0.push((name, verdict));
    }

    /// The server has closed one, or bound another of its name.
    pub(super) fn remove(&mut self, name: &[u8]) {
        self.0.retain(|(known, _)| **known != *name);
    }

    /// A transaction is over.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
