//! Whether a session's transaction is open, and for how long the same one has been.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Changed by the session alone, and looked at several times a second. No lock and no
/// clock on the way of a transaction: its time counts from the first look at it.
#[derive(Debug)]
pub(super) struct Open {
    /// Grows with every change: odd while a transaction is open.
    count: AtomicU64,
    /// The count when it was first seen at a look, and when that was, in milliseconds
    /// since `start`.
    seen: AtomicU64,
    since: AtomicU64,
    start: Instant,
}

impl Open {
    pub(super) fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            since: AtomicU64::new(0),
            start: Instant::now(),
        }
    }

    /// One is open from now on, if none was.
    pub(super) fn begin(&self) {
        let count = self.count.load(Ordering::Relaxed);
        if count & 1 == 0 {
            self.count.store(count + 1, Ordering::Relaxed);
        }
    }

    /// None is open any more.
    pub(super) fn end(&self) {
        let count = self.count.load(Ordering::Relaxed);
        if count & 1 == 1 {
            self.count.store(count + 1, Ordering::Relaxed);
        }
    }

    /// How long one has been open, at least. To be called by one task alone.
    pub(super) fn look(&self) -> Option<Duration> {
        let count = self.count.load(Ordering::Relaxed);
        if count & 1 == 0 {
            return None;
        }
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        if self.seen.swap(count, Ordering::Relaxed) != count {
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
