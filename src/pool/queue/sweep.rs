//! Connections and waiters whose time is over.

use super::{Evicted, Outcomes, Queue};
use crate::pool::age::Age;
use crate::pool::idle::Idle;
use crate::pool::{CheckoutError, Pool};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What a sweep has found.
pub(in crate::pool) struct Swept {
    /// Connections that have been idle for too long, or are too old.
    pub(in crate::pool) evicted: Evicted,
    /// Those whose cleanup has failed, or that their server has closed.
    pub(in crate::pool) spoilt: Vec<Idle>,
    /// What those get who have waited for too long, or may have something now.
    pub(in crate::pool) outcomes: Outcomes,
}

impl Queue {
    /// Takes out connections that have been idle for longer than `limit` or are too
    /// old, or that their server has closed, and those who have waited for too long; serves
    /// the others.
    /// `least`: so many are kept, however long they have been idle.
    pub(in crate::pool) fn sweep(
        &mut self,
        pool: &Arc<Pool>,
        limit: Duration,
        least: usize,
    ) -> Swept {
        let now = Instant::now();
        pool.idle.tick(now);
        let spoilt = pool.idle.take_all(|idle, _| {
            idle.since.get_or_insert(now);
            idle.is_spoilt(now)
        });
        let mut spare = self.open.saturating_sub(spoilt.len() + least);
        let stale = pool.idle.take_all(|idle, age| {
            let since = idle.since.unwrap_or(now);
            let is_idle = now.duration_since(since) >= limit && spare > 0;
            let goes = is_idle || age.is_over(&idle.connection);
            if goes {
                spare = spare.saturating_sub(1);
            }
            goes
        });
        let evicted = self.forget_all(stale);
        let mut outcomes = self.late(pool, now);
        outcomes.extend(self.serve_all(pool));
        self.accounts.retain(|_, account| {
            let is_used = account.connections > 0 || account.in_turn || !account.line.is_empty();
            if !is_used {
                self.by_tenant.remove(&account.tenant);
            }
            is_used
        });
        Swept {
            evicted,
            spoilt,
            outcomes,
        }
    }

    /// Those who have waited for too long.
    fn late(&mut self, pool: &Pool, now: Instant) -> Outcomes {
        let mut late = Outcomes::new();
        let limit = self.wait_timeout;
        for (_, account) in &mut self.accounts {
            if self.halt.holds(&account.tenant) {
                continue;
            }
            let waiters = account.line.take_late(now);
            let waits = account.line.is_servable();
            account.waits.store(waits, Ordering::Relaxed);
            late.extend(
                waiters
                    .into_iter()
                    .map(|waiter| (waiter, Err(CheckoutError::Timeout(limit)))),
            );
        }
        self.waiters -= late.len();
        self.drop_turns(pool);
        late
    }

    /// Takes out the connections that have been silent for long, where one was found
    /// to be lost. Returns what others get in their places, too.
    pub(in crate::pool) fn evict_silent(&mut self, pool: &Arc<Pool>) -> (Evicted, Outcomes) {
        let limit = self.check_after;
        let silent = pool.idle.take_all(|idle, _| idle.is_silent(limit));
        let silent = self.forget_all(silent);
        (silent, self.serve(pool, None, None))
    }

    /// Replaces all connections: returns those that are idle, to be closed, and what
    /// others get in their places. Those that are used are closed once they are
    /// given back.
    pub(in crate::pool) fn renew(&mut self, pool: &Arc<Pool>) -> (Evicted, Outcomes) {
        pool.idle.renew(Instant::now());
        self.evict_old(pool)
    }

    /// The same of connections to these addresses alone, also of those to come.
    pub(in crate::pool) fn leave_addresses(
        &mut self,
        pool: &Arc<Pool>,
        addresses: &Arc<[SocketAddr]>,
    ) -> (Evicted, Outcomes) {
        pool.idle.leave(addresses);
        self.evict_old(pool)
    }

    /// Takes out the connection that has been idle for the longest time, to make room for
    /// another database's. Returns what others get in its place, too.
    pub(in crate::pool) fn evict_longest_idle(&mut self, pool: &Arc<Pool>) -> (Evicted, Outcomes) {
        let evicted = pool.idle.take_longest().into_iter().collect();
        let evicted = self.forget_all(evicted);
        (evicted, self.serve(pool, None, None))
    }

    fn evict_old(&mut self, pool: &Arc<Pool>) -> (Evicted, Outcomes) {
        let is_old = |idle: &mut Idle, age: &Age| age.is_over(&idle.connection);
        let old = self.forget_all(pool.idle.take_all(is_old));
        (old, self.serve(pool, None, None))
    }
}
