//! Clients that hold a server connection and do nothing with it.

use super::per_worker::PerWorker;
use slab::Slab;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::lock;
use crate::tenant::{LoginName, TenantId};

/// Those of a pool, by worker.
#[derive(Debug)]
pub(super) struct Holders(PerWorker<Slab<Arc<Holder>>>);

/// A client's entry among the [`Holders`].
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) holder: Arc<Holder>,
    worker: usize,
    key: usize,
}

impl Holders {
    pub(super) fn new(workers: usize) -> Self {
        Self(PerWorker::new(workers, Slab::new))
    }

    pub(super) fn add(&self, worker: usize, tenant: TenantId, login: LoginName) -> Holding {
        let holder = Arc::new(Holder::new(tenant, login));
        let of_worker = self.0.of(worker);
        let key = of_worker.map_or(0, |mut of_worker| of_worker.insert(holder.clone()));
        Holding {
            holder,
            worker,
            key,
        }
    }

    pub(super) fn remove(&self, holding: &Holding) {
        if let Some(mut of_worker) = self.0.of(holding.worker) {
            of_worker.try_remove(holding.key);
        }
    }

    /// Those that rest, and for how long.
    pub(super) fn resting(&self) -> Vec<(Duration, Arc<Holder>)> {
        let mut resting = Vec::new();
        for of_worker in self.0.from(0) {
            let holders = of_worker.iter();
            resting.extend(holders.filter_map(|(_, h)| Some((h.idle_for()?, h.clone()))));
        }
        resting
    }
}

/// A client that holds a connection between its messages: in an open
/// transaction, or for the objects that it has made.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) tenant: TenantId,
    pub(super) login: LoginName,
    began: Instant,
    /// Milliseconds from `began` to when it came to rest; 0 while it is busy.
    resting: AtomicU64,
    /// It rests in a transaction, or in the midst of a message or an answer.
    within: AtomicBool,
    told: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Holder {
    pub(super) fn new(tenant: TenantId, login: LoginName) -> Self {
        Self {
            tenant,
            login,
            began: Instant::now(),
            resting: AtomicU64::new(0),
            within: AtomicBool::new(false),
            told: AtomicBool::new(false),
            waker: Mutex::default(),
        }
    }

    /// It is the client's turn. `within`: not between two transactions.
    pub(super) fn rest(&self, within: bool, waker: &Waker) {
        self.within.store(within, Ordering::Relaxed);
        if self.resting.load(Ordering::Relaxed) == 0 {
            let mut known = lock(&self.waker);
            if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
                *known = Some(waker.clone());
            }
            drop(known);
            self.resting.store(self.now(), Ordering::Relaxed);
        }
    }

    /// The client has gone on.
    pub(super) fn busy(&self) {
        self.resting.store(0, Ordering::Relaxed);
        self.told.store(false, Ordering::Relaxed);
    }

    /// Whether it rests elsewhere than between two transactions.
    pub(super) fn is_within(&self) -> bool {
        self.within.load(Ordering::Relaxed)
    }

    /// How long it has been resting.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        match self.resting.load(Ordering::Relaxed) {
            0 => None,
            since => Some(Duration::from_millis(self.now() - since.min(self.now()))),
        }
    }

    /// Tells it to give the connection up.
    pub(super) fn tell(&self) {
        self.told.store(true, Ordering::Relaxed);
        if let Some(waker) = lock(&self.waker).take() {
            waker.wake();
        }
    }

    /// Whether it has been told, and is resting still.
    pub(super) fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// Milliseconds since `began`, never 0.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .saturating_add(1)
    }
}
