//! What a session counts with.

use super::account::{Account, Outcome};
use super::count::nanos;
use super::ledger::Ledger;
use super::page::Page;
use super::refusals::Refused;
use crate::attach::Reuse;
use crate::tenant::Tenant;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Counts for a session, on the page of its worker.
#[derive(Debug)]
pub struct Meter {
    ledger: Arc<Ledger>,
    account: Arc<Account>,
    page: Arc<Page>,
}

impl Meter {
    pub(super) fn new(ledger: Arc<Ledger>, account: Arc<Account>, worker: usize) -> Self {
        let page = account.page(worker);
        Self {
            ledger,
            account,
            page,
        }
    }

    /// The session's login was accepted, within `time`.
    pub fn accepted(&self, method: &'static str, time: Duration) {
        self.account.logs_in(method, Outcome::Accepted);
        self.page.login.observe(time);
    }

    /// The session goes on with another worker, on whose thread this is called.
    pub fn settle(&mut self, worker: usize) {
        self.page = self.account.page(worker);
    }

    /// The session goes on as its tenant is now.
    pub fn follow(&mut self, tenant: &Tenant, worker: usize) {
        *self = self.ledger.meter(tenant, worker);
    }

    /// Bytes have come from the client.
    #[inline]
    pub fn received(&self, bytes: usize) {
        self.page.received.add(bytes as u64);
    }

    /// Bytes have gone to the client.
    #[inline]
    pub fn sent(&self, bytes: usize) {
        self.page.sent.add(bytes as u64);
    }

    /// A server connection is the tenant's. `asked`: when the session began to wait for
    /// it, if it had to; `began`: when the wait was over.
    #[inline]
    pub fn attached(&self, reuse: Reuse, asked: Option<Instant>, began: Instant) {
        let [kept, again, fresh, scrubbed] = &self.page.reused;
        let count = match reuse {
            Reuse::Kept => kept,
            Reuse::Again => again,
            Reuse::Fresh => fresh,
            Reuse::Scrubbed => scrubbed,
        };
        count.add(1);
        match asked {
            None => self.page.wait.observe_none(),
            Some(asked) => self.page.wait.observe(began - asked),
        }
    }

    /// Transactions have ended, with so many queries in them.
    #[inline]
    pub fn ended(&self, transactions: u32, queries: u32, watch: &mut Stopwatch) {
        self.page.transactions.add(u64::from(transactions));
        self.page.queries.add(u64::from(queries));
        // A client that keeps its connection is seen to often between its transactions.
        if *watch != Stopwatch::Stopped
            && let Some((all, busy)) = watch.stop(Instant::now())
        {
            self.page.transaction.observe(all);
            self.page.busy.add(nanos(busy));
        }
    }

    /// The client is told of an error.
    pub fn errs(&self, sqlstate: &str) {
        self.account.errs(sqlstate);
    }

    /// A rule has refused a statement, or would have.
    pub fn refuses(&self, refused: Refused) {
        self.account.refuses(refused.rule);
        self.ledger.refusals.add(refused);
    }

    /// The session's server connection was taken back.
    pub fn reclaims(&self) {
        self.account.reclaims();
    }
}

/// How long a transaction takes, and how much of that is its client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopwatch {
    /// No transaction runs.
    Stopped,
    /// One runs.
    Runs {
        /// Since when.
        began: Instant,
        /// How long it was the client's turn, before.
        paused: Duration,
    },
    /// One runs, and it is the client's turn.
    Paused {
        /// Since when the transaction runs.
        began: Instant,
        /// How long it was the client's turn, before.
        paused: Duration,
        /// Since when it is the client's turn.
        since: Instant,
    },
}

impl Stopwatch {
    /// Of a transaction that begins.
    #[must_use]
    pub fn start(began: Instant) -> Self {
        Self::Runs {
            began,
            paused: Duration::ZERO,
        }
    }

    /// It is the client's turn.
    #[inline]
    pub fn pause(&mut self) {
        if let Self::Runs { began, paused } = *self {
            let since = Instant::now();
            *self = Self::Paused {
                began,
                paused,
                since,
            };
        }
    }

    /// The client goes on.
    #[inline]
    pub fn go_on(&mut self) {
        match *self {
            Self::Runs { .. } => {}
            Self::Stopped => *self = Self::start(Instant::now()),
            Self::Paused {
                began,
                paused,
                since,
            } => {
                let paused = paused + since.elapsed();
                *self = Self::Runs { began, paused };
            }
        }
    }

    /// The transaction ends: how long it took, and how much of that was not its
    /// client's.
    fn stop(&mut self, now: Instant) -> Option<(Duration, Duration)> {
        let (began, paused) = match std::mem::replace(self, Self::Stopped) {
            Self::Stopped => return None,
            Self::Runs { began, paused } => (began, paused),
            Self::Paused {
                began,
                paused,
                since,
            } => (began, paused + (now - since)),
        };
        let all = now - began;
        Some((all, all.saturating_sub(paused)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_turns_are_not_the_servers() {
        let began = Instant::now();
        let second = Duration::from_secs(1);
        let mut watch = Stopwatch::start(began);
        assert_eq!(watch.stop(began + second), Some((second, second)));
        assert_eq!(watch.stop(began), None);
        let mut watch = Stopwatch::Paused {
            began,
            paused: second,
            since: began + 3 * second,
        };
        assert_eq!(
            watch.stop(began + 5 * second),
            Some((5 * second, 2 * second))
        );
        assert_eq!(watch, Stopwatch::Stopped);
        watch.go_on();
        assert!(matches!(watch, Stopwatch::Runs { .. }));
    }
}
