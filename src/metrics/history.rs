//! What was counted of late, minute by minute.

use super::account::{Account, Rare, Subject};
use super::ledger::Ledger;
use super::page::Totals;
use crate::tenant::TenantId;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many minutes are kept.
pub const MINUTES: usize = 60;
const MINUTE: Duration = Duration::from_secs(60);

/// What a tenant did in one minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Minute {
    /// Transactions that ended.
    pub transactions: u32,
    /// Statements that were refused, or only reported.
    pub refusals: u32,
    /// How long a transaction waited for a server connection on average, in microseconds.
    pub wait: u32,
}

/// What a tenant, or all of them, did of late.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recent {
    /// The last minutes that are over, the latest last; those before the first are not
    /// known, or nothing happened in them.
    pub minutes: Vec<Minute>,
    /// Transactions a second, since the last time that it was looked at.
    pub rate: f64,
}

impl Recent {
    /// Statements that were refused in the minutes that are kept.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        let minutes = self.minutes.iter();
        minutes.map(|minute| u64::from(minute.refusals)).sum()
    }
}

/// A history of each account, and of all together.
#[derive(Debug, Default)]
pub struct History(Mutex<Histories>);

#[derive(Debug, Default)]
struct Histories {
    of_tenants: HashMap<TenantId, Line>,
    of_all: Line,
    looked: Option<Instant>,
    /// When the minute that is not over has begun.
    begun: Option<Instant>,
}

/// What is kept of one.
#[derive(Debug, Default)]
struct Line {
    minutes: VecDeque<Minute>,
    rate: f64,
    /// At the last look, and when the minute has begun.
    last: Reading,
    begun: Reading,
}

/// What was counted up to a time.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    transactions: u64,
    refusals: u64,
    waits: u64,
    /// In microseconds, all together.
    waited: u64,
}

impl Reading {
    fn add(&mut self, totals: &Totals, rare: Option<&Rare>) {
        self.transactions += totals.transactions;
        self.waits += totals.wait.count();
        self.waited += totals.wait.micros();
        self.refusals += rare.map_or(0, |rare| rare.refusals.values().sum());
    }

    fn minute_since(&self, before: &Self) -> Minute {
        let since = |now: u64, then: u64| now.saturating_sub(then);
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let waits = since(self.waits, before.waits);
        let waited = since(self.waited, before.waited);
        Minute {
            transactions: small(since(self.transactions, before.transactions)),
            refusals: small(since(self.refusals, before.refusals)),
            wait: small(waited.checked_div(waits).unwrap_or(0)),
        }
    }
}

impl Line {
    fn look(&mut self, now: Reading, seconds: f64) {
        let since = now.transactions.saturating_sub(self.last.transactions);
        self.rate = match seconds > 0.0 {
            true => f64::from(u32::try_from(since).unwrap_or(u32::MAX)) / seconds,
            false => 0.0,
        };
        self.last = now;
    }

    fn end_minute(&mut self) {
        if self.minutes.len() == MINUTES {
            self.minutes.pop_front();
        }
        self.minutes.push_back(self.last.minute_since(&self.begun));
        self.begun = self.last;
    }

    fn recent(&self) -> Recent {
        Recent {
            minutes: self.minutes.iter().copied().collect(),
            rate: self.rate,
        }
    }
}

impl History {
    /// Takes note of what is counted. To be called every few seconds.
    pub fn look(&self, ledger: &Ledger, now: Instant) {
        let readings = readings(ledger.accounts());
        let mut all = Reading::default();
        for reading in readings.values() {
            all.transactions += reading.transactions;
            all.refusals += reading.refusals;
            all.waits += reading.waits;
            all.waited += reading.waited;
        }
        let other = ledger.other();
        all.add(&other.totals(), Some(&other.rare()));
        all.add(&ledger.gone(), None);
        self.lock().look(readings, all, now);
    }

    /// What a tenant did of late.
    #[must_use]
    pub fn of(&self, tenant: &TenantId) -> Recent {
        let lines = self.lock();
        let line = lines.of_tenants.get(tenant);
        line.map(Line::recent).unwrap_or_default()
    }

    /// What all tenants did of late.
    #[must_use]
    pub fn of_all(&self) -> Recent {
        self.lock().of_all.recent()
    }

    /// Transactions a second and refusals in the minutes that are kept, of each tenant.
    #[must_use]
    pub fn summary(&self) -> HashMap<TenantId, (f64, u64)> {
        let lines = self.lock();
        let summary = lines.of_tenants.iter().map(|(tenant, line)| {
            let refusals = line.minutes.iter().map(|minute| u64::from(minute.refusals));
            (tenant.clone(), (line.rate, refusals.sum()))
        });
        summary.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Histories> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those of each tenant, over its databases.
fn readings(accounts: Vec<(Subject, Arc<Account>)>) -> HashMap<TenantId, Reading> {
    let mut readings: HashMap<TenantId, Reading> = HashMap::new();
    for (subject, account) in accounts {
        let reading = readings.entry(subject.tenant).or_default();
        reading.add(&account.totals(), Some(&account.rare()));
    }
    readings
}

impl Histories {
    fn look(&mut self, readings: HashMap<TenantId, Reading>, all: Reading, now: Instant) {
        let since = |then: Option<Instant>| then.map_or(Duration::ZERO, |then| now - then);
        let seconds = since(self.looked).as_secs_f64();
        let ends = self.begun.is_some() && since(self.begun) >= MINUTE;
        self.looked = Some(now);
        // An account that has made room for another one has no history either.
        let kept = |tenant: &TenantId, _: &mut Line| readings.contains_key(tenant);
        self.of_tenants.retain(kept);
        for (tenant, reading) in readings {
            self.of_tenants
                .entry(tenant)
                .or_default()
                .look(reading, seconds);
        }
        self.of_all.look(all, seconds);
        if self.begun.is_none() {
            self.begun = Some(now);
        }
        if ends {
            let lines = self.of_tenants.values_mut();
            lines.chain([&mut self.of_all]).for_each(Line::end_minute);
            self.begun = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> TenantId {
        TenantId::parse("t")
    }

    fn at(histories: &History, seconds: u64, start: Instant, transactions: u64, refusals: u64) {
        let reading = Reading {
            transactions,
            refusals,
            waits: transactions,
            waited: 3 * transactions,
        };
        let now = start + Duration::from_secs(seconds);
        let readings = [(tenant(), reading)].into();
        histories.lock().look(readings, reading, now);
    }

    #[test]
    fn a_minute_has_what_was_counted_in_it_and_the_rate_is_that_of_the_last_look() {
        let (history, start) = (History::default(), Instant::now());
        at(&history, 0, start, 0, 0);
        at(&history, 10, start, 50, 0);
        assert!((history.of(&tenant()).rate - 5.0).abs() < 1e-9);
        assert!(history.of(&tenant()).minutes.is_empty());
        at(&history, 60, start, 150, 2);
        at(&history, 120, start, 150, 3);
        let minute = |transactions, refusals, wait| Minute {
            transactions,
            refusals,
            wait,
        };
        let recent = history.of(&tenant());
        assert_eq!(recent.minutes, [minute(150, 2, 3), minute(0, 1, 0)]);
        assert_eq!(recent.refusals(), 3);
        assert_eq!(history.of_all().minutes, recent.minutes);
        assert_eq!(history.summary()[&tenant()].1, 3);
    }

    #[test]
    fn only_an_hour_is_kept_and_nothing_of_who_has_gone() {
        let (history, start) = (History::default(), Instant::now());
        for minute in 0..100 {
            at(&history, 60 * minute, start, minute, 0);
        }
        assert_eq!(history.of(&tenant()).minutes.len(), MINUTES);
        let now = start + Duration::from_secs(7000);
        history.lock().look(HashMap::new(), Reading::default(), now);
        assert_eq!(history.of(&tenant()), Recent::default());
    }
}
