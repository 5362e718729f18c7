//! What each worker has for itself.

use super::lock;
use std::sync::{Mutex, MutexGuard};

/// One for each worker. Most often the worker alone looks at its own, so that its lock
/// is free and near.
#[derive(Debug)]
pub(super) struct PerWorker<T>(Box<[Apart<Mutex<T>>]>);

/// Alone in its part of the processor's caches: what other workers change beside it
/// does not take it away.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Apart<T>(pub(super) T);

impl<T> PerWorker<T> {
    pub(super) fn new(workers: usize, make: impl Fn() -> T) -> Self {
        let one = |_| Apart(Mutex::new(make()));
        Self((0..workers.max(1)).map(one).collect())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The worker's.
    pub(super) fn of(&self, worker: usize) -> Option<MutexGuard<'_, T>> {
        self.0.get(worker).map(|one| lock(&one.0))
    }

    /// All, the worker's first.
    pub(super) fn from(&self, worker: usize) -> impl Iterator<Item = MutexGuard<'_, T>> {
        let (before, behind) = self.0.split_at(worker.min(self.0.len()));
        behind.iter().chain(before).map(|one| lock(&one.0))
    }
}
