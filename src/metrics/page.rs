//! What one worker counts for one tenant and database.

use super::count::Count;
use super::histogram::{Histogram, Observed};
use crate::attach::Reuse;

/// What the sessions of one worker have done. That worker alone writes it.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) transactions: Count,
    pub(super) queries: Count,
    /// Bytes from clients.
    pub(super) received: Count,
    /// Bytes to clients.
    pub(super) sent: Count,
    /// How long transactions held a server connection.
    pub(super) transaction: Histogram,
    /// For how many nanoseconds of that it was not the client's turn.
    pub(super) busy: Count,
    /// How long transactions waited for a server connection.
    pub(super) wait: Histogram,
    pub(super) reused: [Count; Reuse::ALL.len()],
    /// How long logins took.
    pub(super) login: Histogram,
}

impl Page {
    fn totals(&self) -> Totals {
        Totals {
            transactions: self.transactions.get(),
            queries: self.queries.get(),
            received: self.received.get(),
            sent: self.sent.get(),
            transaction: self.transaction.observed(),
            busy: self.busy.get(),
            wait: self.wait.observed(),
            reused: std::array::from_fn(|n| self.reused.get(n).map_or(0, Count::get)),
            login: self.login.observed(),
        }
    }
}

/// What pages hold together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Transactions that have ended.
    pub transactions: u64,
    /// Queries that servers have answered: each Query, or pipeline up to its Sync.
    pub queries: u64,
    /// Bytes from clients.
    pub received: u64,
    /// Bytes to clients.
    pub sent: u64,
    /// How long transactions, or those of one pipeline together, held a server
    /// connection.
    pub transaction: Observed,
    /// For how many nanoseconds of that it was not the client's turn.
    pub busy: u64,
    /// How long transactions waited for a server connection, opening one included.
    pub wait: Observed,
    /// How often a connection was reused in each of the ways of [`Reuse::ALL`].
    pub reused: [u64; Reuse::ALL.len()],
    /// How long logins took that succeeded.
    pub login: Observed,
}

impl Totals {
    pub(super) fn add_page(&mut self, page: &Page) {
        self.add(&page.totals());
    }

    /// Adds what is counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.transactions += other.transactions;
        self.queries += other.queries;
        self.received += other.received;
        self.sent += other.sent;
        self.transaction.add(&other.transaction);
        self.busy += other.busy;
        self.wait.add(&other.wait);
        for (sum, n) in self.reused.iter_mut().zip(other.reused) {
            *sum += n;
        }
        self.login.add(&other.login);
    }

    /// How many transactions got a server connection.
    #[must_use]
    pub fn assignments(&self) -> u64 {
        self.reused.iter().sum()
    }
}
