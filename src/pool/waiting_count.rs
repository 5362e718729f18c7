//! Whether somebody waits for a connection of whatever tenant.

use super::per_worker::Apart;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of tenants whose clients wait and who may have one connection more. (A
/// tenant that has as many as it may waits for its own alone; see
/// [`Booking::waits`](super::idle::Booking::waits).) It changes under the lock of the
/// queue, and is read without it: whoever gives a connection back does so first, and
/// reads then; whoever comes to wait counts itself first, and looks for a connection
/// then. Both look at the same set under its lock, so one of them sees the other.
#[derive(Debug)]
pub(super) struct WaitingCount(Apart<AtomicUsize>);

impl Default for WaitingCount {
    fn default() -> Self {
        Self(Apart(AtomicUsize::new(0)))
    }
}

impl WaitingCount {
    /// Whether somebody waits.
    pub(super) fn is_some(&self) -> bool {
        self.0.0.load(Ordering::Relaxed) > 0
    }

    pub(super) fn add(&self, n: usize) {
        self.0.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn sub(&self, n: usize) {
        self.0.0.fetch_sub(n, Ordering::Relaxed);
    }
}
