//! How many connections there may be to a server, over all of its databases and roles
//! (`servers.NAME.max_connections`).
//!
//! A connection of one database makes room for one of another: the one goes that nobody
//! has used for the longest time.

use super::ready::Ahead;
use super::{Pool, lock, queue};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// The connections to one server.
#[derive(Debug)]
pub(super) struct Budget {
    most: AtomicUsize,
    open: AtomicUsize,
    /// Openings that wait for another connection to end.
    waiting: AtomicUsize,
    freed: Notify,
    /// What is opened before somebody needs it.
    pub(super) ahead: Ahead,
    pools: Mutex<Vec<Weak<Pool>>>,
}

/// The right to one connection, until this is dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<Budget>);

impl Budget {
    /// At most so many; `None`: as many as the pools have.
    pub(super) fn new(most: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            most: AtomicUsize::new(most.unwrap_or(usize::MAX)),
            open: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
            ahead: Ahead::default(),
            pools: Mutex::default(),
        })
    }

    /// At most so many from now on. Those that are too many end as they would.
    pub(super) fn set_most(&self, most: Option<usize>) {
        self.most
            .store(most.unwrap_or(usize::MAX), Ordering::Relaxed);
        self.freed.notify_waiters();
    }

    /// A pool of the server's.
    pub(super) fn join(&self, pool: &Arc<Pool>) {
        let mut pools = lock(&self.pools);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    /// The right to one more connection, once there is one; `None`: not within `limit`.
    pub(super) async fn take(self: &Arc<Self>, limit: Duration) -> Option<Permit> {
        if let Some(permit) = self.try_take() {
            return Some(permit);
        }
        let _waits = Waits::begin(self);
        let waited = async {
            loop {
                // Before it is looked: what is freed then is not missed.
                let freed = self.freed.notified();
                if let Some(permit) = self.try_take() {
                    return permit;
                }
                self.evict();
                freed.await;
            }
        };
        timeout(limit, waited).await.ok()
    }

    /// The right to one more connection, if there is one and nobody waits for it.
    pub(super) fn spare(self: &Arc<Self>) -> Option<Permit> {
        match self.waiting.load(Ordering::Relaxed) {
            0 => self.try_take(),
            _ => None,
        }
    }

    fn try_take(self: &Arc<Self>) -> Option<Permit> {
        let most = self.most.load(Ordering::Relaxed);
        let taken = self
            .open
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |open| {
                (open < most).then_some(open + 1)
            });
        taken.is_ok().then(|| Permit(self.clone()))
    }

    /// Makes room for those that wait. To be called several times a second: what was
    /// used a moment ago is idle now.
    pub(super) fn relieve(&self) {
        for _ in 0..self.waiting.load(Ordering::Relaxed) {
            if !self.evict() {
                return;
            }
        }
    }

    /// Closes the connection that nobody has used for the longest time. `false`: all are
    /// used.
    fn evict(&self) -> bool {
        let pools: Vec<_> = lock(&self.pools).iter().filter_map(Weak::upgrade).collect();
        let idle = pools
            .iter()
            .filter_map(|pool| Some((pool.idle.longest()?, pool)));
        let Some((_, pool)) = idle.max_by_key(|(idle, _)| *idle) else {
            return false;
        };
        let (evicted, outcomes) = lock(&pool.queue).evict_longest_idle(pool);
        let is_some = !evicted.is_empty();
        pool.close(evicted);
        queue::hand_out(outcomes);
        is_some
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.freed.notify_one();
    }
}

struct Waits<'b>(&'b Budget);

impl<'b> Waits<'b> {
    fn begin(budget: &'b Budget) -> Self {
        budget.waiting.fetch_add(1, Ordering::Relaxed);
        Self(budget)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        // It may have been told of one that it does not take. Another is told then, which
        // looks for itself; a notification that nobody needs is kept for the next.
        self.0.freed.notify_one();
    }
}
