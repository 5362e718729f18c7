//! Connections and waiters whose time is over.

use super::{AccountId, Evicted, Outcomes, Queue, Waiter};
use crate::attach::Parked;
use crate::pool::lease::Lease;
use crate::pool::{CheckoutError, Pool};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a sweep has found.
pub(in crate::pool) struct Swept {
    /// Connections that have been idle for too long, or are too old.
    pub(in crate::pool) evicted: Evicted,
    /// Those whose cleanup has failed, or that their server has closed.
    pub(in crate::pool) spoilt: Vec<Lease<Parked>>,
    /// Those who have waited for too long.
    pub(in crate::pool) late: Outcomes,
}

impl Queue {
    /// Takes out connections that have been idle for longer than `limit` or are too
    /// old, or that their server has closed, and those who have waited for too long.
    pub(in crate::pool) fn sweep(&mut self, pool: &Arc<Pool>, limit: Duration) -> Swept {
        let now = Instant::now();
        self.age.tick(now);
        let (mut stale, mut spoilt) = (Evicted::new(), Vec::new());
        for mut idle in std::mem::take(&mut self.idle) {
            let since = *idle.since.get_or_insert(now);
            if idle.is_spoilt(now) {
                let place = self.place(pool, idle.account, &idle.tenant, idle.dedicated);
                spoilt.push(Lease::new(idle.connection, place));
            } else if now.duration_since(since) >= limit || self.age.is_over(&idle.connection) {
                stale.push(idle.connection);
            } else {
                self.idle.push_back(idle);
            }
        }
        self.open -= stale.len();
        let late = self.late(now);
        let idle: HashSet<_> = self.idle.iter().map(|idle| idle.account).collect();
        self.accounts.retain(|id, account| {
            let is_used =
                account.held > 0 || !account.queue.is_empty() || idle.contains(&AccountId(id));
            if !is_used {
                self.by_tenant.remove(&account.tenant);
            }
            is_used
        });
        Swept {
            evicted: stale,
            spoilt,
            late,
        }
    }

    /// Those who have waited for too long. Each queue is in the order of its
    /// deadlines.
    fn late(&mut self, now: Instant) -> Outcomes {
        let mut late = Outcomes::new();
        let (accounts, limit) = (&mut self.accounts, self.wait_timeout);
        self.turns.retain(|id| {
            let Some(account) = accounts.get_mut(id.0) else {
                return false;
            };
            let is_late = |waiter: &mut Waiter| waiter.deadline <= now;
            while let Some(waiter) = account.queue.pop_front_if(is_late) {
                late.push((waiter, Err(CheckoutError::Timeout(limit))));
            }
            !account.queue.is_empty()
        });
        late
    }

    /// Takes out the connections that have been silent for long, where one was found
    /// to be lost. Returns what others get in their places, too.
    pub(in crate::pool) fn evict_silent(&mut self, pool: &Arc<Pool>) -> (Evicted, Outcomes) {
        let limit = self.check_after;
        let idle = std::mem::take(&mut self.idle).into_iter();
        let (silent, others) = idle.partition::<VecDeque<_>, _>(|idle| idle.is_silent(limit));
        self.idle = others;
        self.open -= silent.len();
        let silent = silent.into_iter().map(|idle| idle.connection).collect();
        (silent, self.serve(pool))
    }
}
