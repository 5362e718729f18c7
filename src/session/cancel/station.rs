//! Which worker serves a session, and how much the session does.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

/// No worker.
const NONE: usize = usize::MAX;

#[derive(Debug)]
pub(super) struct Station {
    worker: AtomicUsize,
    /// The worker that it is to go on with.
    next: AtomicUsize,
    /// Transactions that it has begun. The session alone writes it.
    transactions: AtomicU32,
    /// As many as it had when it was counted last.
    counted: AtomicU32,
    /// It was to move, and could not: it keeps its server connection.
    stays: AtomicBool,
}

impl Station {
    pub(super) fn new(worker: usize) -> Self {
        Self {
            worker: AtomicUsize::new(worker),
            next: AtomicUsize::new(NONE),
            transactions: AtomicU32::new(0),
            counted: AtomicU32::new(0),
            stays: AtomicBool::new(false),
        }
    }

    pub(super) fn worker(&self) -> usize {
        self.worker.load(Ordering::Relaxed)
    }

    /// Takes note of a transaction.
    pub(super) fn begin(&self) {
        let before = self.transactions.load(Ordering::Relaxed);
        self.transactions
            .store(before.wrapping_add(1), Ordering::Relaxed);
    }

    /// How many it has begun since this was asked last; none, if it does not move where
    /// it is to. It is not to any more then.
    pub(super) fn count(&self) -> u32 {
        let now = self.transactions.load(Ordering::Relaxed);
        let before = self.counted.swap(now, Ordering::Relaxed);
        if self.next.swap(NONE, Ordering::Relaxed) != NONE {
            self.stays.store(true, Ordering::Relaxed);
        }
        match self.stays.load(Ordering::Relaxed) {
            true => 0,
            false => now.wrapping_sub(before),
        }
    }

    /// Tells it to go on with another worker.
    pub(super) fn send_to(&self, worker: usize) {
        self.next.store(worker, Ordering::Relaxed);
    }

    /// The worker that it is to go on with.
    pub(super) fn next(&self) -> Option<usize> {
        let next = self.next.load(Ordering::Relaxed);
        (next != NONE).then_some(next)
    }

    /// It has come to a worker.
    pub(super) fn arrived(&self, worker: usize) {
        self.worker.store(worker, Ordering::Relaxed);
        self.next.store(NONE, Ordering::Relaxed);
        // It may have been counted on its way.
        self.stays.store(false, Ordering::Relaxed);
    }
}
