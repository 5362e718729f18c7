//! A state that a session is in now and then, told apart from one time to the next.

use std::sync::atomic::{AtomicU64, Ordering};

/// Changed by the session alone, and looked at from elsewhere. No lock: it changes
/// several times a transaction.
#[derive(Debug, Default)]
pub(super) struct Spell(
    /// Grows with every change: odd while the session is in the state.
    AtomicU64,
);

impl Spell {
    /// The session is in the state from now on, if it was not.
    pub(super) fn begin(&self) {
        let count = self.count();
        if count & 1 == 0 {
            self.0.store(count + 1, Ordering::Relaxed);
        }
    }

    /// The session is in the state from now on, for another time if it was already.
    pub(super) fn begin_anew(&self) {
        self.0.store((self.count() | 1) + 2, Ordering::Relaxed);
    }

    /// The session is in the state no more.
    pub(super) fn end(&self) {
        let count = self.count();
        if count & 1 == 1 {
            self.0.store(count + 1, Ordering::Relaxed);
        }
    }

    /// What tells this time from all others, never 0; `None`: the session is not in the
    /// state.
    pub(super) fn now(&self) -> Option<u64> {
        Some(self.count()).filter(|count| count & 1 == 1)
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
