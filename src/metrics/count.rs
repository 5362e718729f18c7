//! A number that one thread counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread counts, and any thread may read.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// To be called by one thread at a time: what two add at once may be lost.
    #[inline]
    pub(super) fn add(&self, n: u64) {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before.wrapping_add(n), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A time as whole nanoseconds; 584 years at most.
pub(super) fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
