//! The idle connections of all workers.

use super::{Idle, IdleSet};
use crate::pool::age::Age;
use crate::pool::per_worker::PerWorker;
use crate::pool::queue::AccountId;
use crate::server::Roll;
use crate::tenant::SharedTenant;
use std::cmp::Reverse;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A set for each worker. A connection lies in that of the worker whose reactor tells
/// of what arrives on it.
#[derive(Debug)]
pub(in crate::pool) struct IdleSets(PerWorker<IdleSet>);

impl IdleSets {
    pub(in crate::pool) fn new(workers: usize, age: &Age) -> Self {
        Self(PerWorker::new(workers, || IdleSet::new(age.clone())))
    }

    /// Puts a connection in.
    ///
    /// # Errors
    /// As [`IdleSet::put`].
    pub(in crate::pool) fn put(&self, idle: Idle) -> Result<bool, Box<Idle>> {
        match self.0.of(idle.connection.worker()) {
            Some(mut set) => set.put(idle),
            None => Err(Box::new(idle)),
        }
    }

    /// As [`IdleSet::take_unchanged`], of those of the worker.
    pub(in crate::pool) fn take_unchanged(
        &self,
        worker: usize,
        account: AccountId,
        tenant: &SharedTenant,
    ) -> Option<Idle> {
        self.0.of(worker)?.take_unchanged(account, tenant)
    }

    /// A connection that the tenant has used last: the worker's, or another's.
    pub(in crate::pool) fn take_own(&self, worker: usize, account: AccountId) -> Option<Idle> {
        self.0
            .from(worker)
            .find_map(|mut set| set.take_own(account))
    }

    /// The newest of the worker's, or of another's, if it `suits`.
    pub(in crate::pool) fn take_newest(
        &self,
        worker: usize,
        suits: impl Fn(&Idle) -> bool,
    ) -> Option<Idle> {
        let mut sets = self.0.from(worker);
        sets.find_map(|mut set| set.take_newest(&suits))
    }

    /// What the newest is like, of the worker's or of another's.
    pub(in crate::pool) fn newest<T>(&self, worker: usize, look: impl Fn(&Idle) -> T) -> Option<T> {
        self.0.from(worker).find_map(|set| set.newest().map(&look))
    }

    /// The one that is ranked highest: of these the longest idle, as far as the sweep
    /// can tell, and the worker's own before others.
    pub(in crate::pool) fn take_best(
        &self,
        worker: usize,
        rank: impl Fn(&Idle) -> u8,
    ) -> Option<Idle> {
        // One that no sweep has seen idle comes after all others.
        let rank = |idle: &Idle| (rank(idle), idle.since.map(Reverse));
        loop {
            let bests = (0..self.0.len()).map(|n| (worker + n) % self.0.len());
            let bests = bests.filter_map(|at| Some((at, self.0.of(at)?.best(rank)?.1)));
            let (at, _) = bests.reduce(|best, next| if next.1 > best.1 { next } else { best })?;
            // It may have been taken meanwhile.
            let taken = self.0.of(at).and_then(|mut set| {
                let (key, _) = set.best(rank)?;
                set.take(key)
            });
            if taken.is_some() {
                return taken;
            }
        }
    }

    /// For how long the one that has been idle for longest has been that, as far as the
    /// sweep can tell.
    pub(in crate::pool) fn longest(&self) -> Option<Duration> {
        Some(self.with_longest()?.0)
    }

    /// The same connection, taken out.
    pub(in crate::pool) fn take_longest(&self) -> Option<Idle> {
        let (_, at) = self.with_longest()?;
        self.0.of(at)?.take_longest()
    }

    fn with_longest(&self) -> Option<(Duration, usize)> {
        let longest = (0..self.0.len()).filter_map(|at| {
            let since = self.0.of(at)?.longest()?.since;
            Some((since.map_or(Duration::ZERO, |since| since.elapsed()), at))
        });
        longest.max()
    }

    /// Takes out those that are wanted.
    pub(in crate::pool) fn take_all(
        &self,
        mut wanted: impl FnMut(&mut Idle, &Age) -> bool,
    ) -> Vec<Idle> {
        let mut taken = Vec::new();
        for mut set in self.0.from(0) {
            let age = set.age.clone();
            taken.extend(set.take_all(|idle| wanted(idle, &age)));
        }
        taken
    }

    /// Looks at each, one worker's after another's.
    pub(in crate::pool) fn each(&self, mut look: impl FnMut(&Idle)) {
        for set in self.0.from(0) {
            set.each(&mut look);
        }
    }

    /// How many the tenant has used last.
    pub(in crate::pool) fn count_of(&self, account: AccountId) -> usize {
        self.0.from(0).map(|set| set.count_of(account)).sum()
    }

    /// It is this time now.
    pub(in crate::pool) fn tick(&self, now: Instant) {
        self.0.from(0).for_each(|mut set| set.age.tick(now));
    }

    /// Connections that were opened before `now` are too old.
    pub(in crate::pool) fn renew(&self, now: Instant) {
        self.0.from(0).for_each(|mut set| set.age.renew(now));
    }

    /// Connections to these addresses are too old.
    pub(in crate::pool) fn leave(&self, addresses: &Arc<[SocketAddr]>) {
        self.0.from(0).for_each(|mut set| set.age.leave(addresses));
    }

    /// Whether a connection is there still that was too old when all were renewed.
    pub(in crate::pool) fn has_outlived(&self, roll: &Roll) -> bool {
        let since = self.0.of(0).and_then(|set| set.age.renewed());
        since.is_some_and(|since| roll.cards().iter().any(|card| card.opened < since))
    }

    /// Takes all out, and nothing in any more.
    pub(in crate::pool) fn retire(&self) -> Vec<Idle> {
        self.0.from(0).for_each(|mut set| set.retired = true);
        self.take_all(|_, _| true)
    }
}
