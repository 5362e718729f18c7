//! Whether a session waits for its server's answer, and for how long nothing has
//! moved.

use std::sync::atomic::{AtomicU64, Ordering};

/// Changed by the session alone, and looked at by the watchdog. No lock: it changes
/// several times a transaction.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// Grows with every change: odd while the session waits.
    count: AtomicU64,
    /// The count at the last look.
    looked: AtomicU64,
}

/// A time of waiting in which nothing moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait(u64);

impl Awaited {
    /// The session waits from now on, for something else than before.
    pub(super) fn begin(&self) {
        let count = self.count.load(Ordering::Relaxed);
        self.count.store((count | 1) + 2, Ordering::Relaxed);
    }

    /// The session waits still, or now. What wakes it meanwhile does not count.
    pub(super) fn go_on(&self) {
        if self.count.load(Ordering::Relaxed) & 1 == 0 {
            self.begin();
        }
    }

    /// The session waits for its server no more.
    pub(super) fn end(&self) {
        let count = self.count.load(Ordering::Relaxed);
        if count & 1 == 1 {
            self.count.store(count + 1, Ordering::Relaxed);
        }
    }

    /// Whether the session waits for its server.
    pub(super) fn is_any(&self) -> bool {
        self.count.load(Ordering::Relaxed) & 1 == 1
    }

    /// The waiting that has gone on since the last look.
    pub(super) fn look(&self) -> Option<Wait> {
        let count = self.count.load(Ordering::Relaxed);
        let looked = self.looked.swap(count, Ordering::Relaxed);
        (count & 1 == 1 && count == looked).then_some(Wait(count))
    }

    /// Whether it goes on.
    pub(super) fn is(&self, wait: Wait) -> bool {
        self.count.load(Ordering::Relaxed) == wait.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seen_at_the_second_look_unless_something_moves() {
        let awaited = Awaited::default();
        assert_eq!(awaited.look(), None);
        awaited.begin();
        assert_eq!(awaited.look(), None);
        let wait = awaited.look().unwrap();
        assert!(awaited.is(wait));
        awaited.go_on();
        assert!(awaited.is(wait));
        awaited.begin();
        assert!(!awaited.is(wait));
        assert_eq!(awaited.look(), None);
        awaited.end();
        assert_eq!(awaited.look(), None);
        assert_eq!(awaited.look(), None);
    }
}
