//! Whether a session's transaction is open, and for how long the same one has been.

use super::spell::Spell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Changed by the session alone, and looked at several times a second. No clock on the
/// way of a transaction: its time counts from the first look at it.
#[derive(Debug)]
pub(super) struct Open {
    /// A transaction is open.
    spell: Spell,
    /// The one that was seen at the last look, and when it was seen first, in milliseconds
    /// since `start`.
    seen: AtomicU64,
    since: AtomicU64,
    start: Instant,
}

impl Open {
    pub(super) fn new() -> Self {
        Self {
            spell: Spell::default(),
            seen: AtomicU64::new(0),
            since: AtomicU64::new(0),
            start: Instant::now(),
        }
    }

    /// One is open from now on, if none was.
    pub(super) fn begin(&self) {
        self.spell.begin();
    }

    /// None is open any more.
    pub(super) fn end(&self) {
        self.spell.end();
    }

    /// How long one has been open, at least. To be called by one task alone.
    pub(super) fn look(&self) -> Option<Duration> {
        let open = self.spell.now()?;
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        if self.seen.swap(open, Ordering::Relaxed) != open {
            self.since.store(now, Ordering::Relaxed);
        }
        let since = self.since.load(Ordering::Relaxed);
        Some(Duration::from_millis(now.saturating_sub(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_transaction_counts_from_the_first_look_at_it() {
        let open = Open::new();
        assert_eq!(open.look(), None);
        open.begin();
        assert!(open.look().is_some());
        let first = open.since.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(2));
        open.begin();
        assert!(open.look() >= Some(Duration::from_millis(1)));
        assert_eq!(open.since.load(Ordering::Relaxed), first);
        open.end();
        open.begin();
        assert!(open.look().is_some());
        assert!(open.since.load(Ordering::Relaxed) > first);
        open.end();
        assert_eq!(open.look(), None);
    }
}
