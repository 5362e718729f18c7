//! All accounts.

use super::account::{Account, Outcome, Subject};
use super::meter::Meter;
use super::page::Totals;
use super::refusals::Refusals;
use crate::tenant::Tenant;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An account of which nobody has been there for so long makes room for another.
const UNUSED: Duration = Duration::from_secs(60 * 60);
/// How often such accounts are looked for, at most.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// So many are listed at one stroke, under the lock that logins take.
const AT_ONCE: usize = 256;

/// Everything that is counted.
#[derive(Debug)]
pub struct Ledger {
    workers: usize,
    /// Most accounts.
    most: AtomicUsize,
    accounts: Mutex<Accounts>,
    /// Of tenants that have no account of their own.
    other: Arc<Account>,
    /// Of clients of whom it is not known which tenant's they are.
    unknown: Arc<Account>,
    /// Statements that were refused last.
    pub refusals: Refusals,
    /// Requests to cancel that had a right key.
    cancels: AtomicU64,
}

#[derive(Debug, Default)]
struct Accounts {
    by_subject: BTreeMap<Subject, Arc<Account>>,
    /// What those have counted that are gone.
    gone: Totals,
    looked: Option<Instant>,
}

impl Ledger {
    /// One for so many workers, and accounts at most.
    #[must_use]
    pub fn new(workers: usize, most: usize) -> Arc<Self> {
        Arc::new(Self {
            workers,
            most: AtomicUsize::new(most),
            accounts: Mutex::default(),
            other: Arc::new(Account::new(workers)),
            unknown: Arc::new(Account::new(workers)),
            refusals: Refusals::default(),
            cancels: AtomicU64::new(0),
        })
    }

    /// Has so many accounts from now on, at most. Those that there are stay.
    pub fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// What a session of the tenant counts with.
    #[must_use]
    pub fn meter(self: &Arc<Self>, tenant: &Tenant, worker: usize) -> Meter {
        Meter::new(self.clone(), self.account(tenant), worker)
    }

    /// A login has not succeeded. Whom it does not lead to gets no account by it: names
    /// can be guessed.
    pub fn not_accepted(&self, tenant: Option<&Tenant>, method: &'static str, outcome: Outcome) {
        let Some(tenant) = tenant else {
            return self.unknown.logs_in(method, outcome);
        };
        let known = self.lock().by_subject.get(&Subject::of(tenant)).cloned();
        known
            .as_ref()
            .unwrap_or(&self.other)
            .logs_in(method, outcome);
    }

    /// A request to cancel had a right key.
    pub fn cancels(&self) {
        self.cancels.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests to cancel had a right key.
    #[must_use]
    pub fn cancelled(&self) -> u64 {
        self.cancels.load(Ordering::Relaxed)
    }

    /// All accounts of tenants of their own, in the order of tenants. Logins wait for a
    /// part of them at most.
    #[must_use]
    pub fn accounts(&self) -> Vec<(Subject, Arc<Account>)> {
        let mut all: Vec<(Subject, Arc<Account>)> = Vec::new();
        loop {
            let last = all.last().map(|(subject, _)| subject);
            let from = last.map_or(Bound::Unbounded, Bound::Excluded);
            let accounts = self.lock();
            let rest = accounts.by_subject.range((from, Bound::Unbounded));
            let part = rest.take(AT_ONCE);
            let part: Vec<_> = part
                .map(|(subject, account)| (subject.clone(), account.clone()))
                .collect();
            drop(accounts);
            if part.is_empty() {
                return all;
            }
            all.extend(part);
        }
    }

    /// How many accounts of tenants of their own there are, and what they take in bytes.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let accounts = self.lock();
        let all = accounts.by_subject.values();
        all.fold((0, 0), |(count, bytes), account| {
            (count + 1, bytes + account.size())
        })
    }

    /// Of tenants that have no account of their own.
    #[must_use]
    pub fn other(&self) -> &Account {
        &self.other
    }

    /// Of clients of whom it is not known which tenant's they are.
    #[must_use]
    pub fn unknown(&self) -> &Account {
        &self.unknown
    }

    /// What accounts have counted that have made room for others.
    #[must_use]
    pub fn gone(&self) -> Totals {
        self.lock().gone
    }

    fn account(&self, tenant: &Tenant) -> Arc<Account> {
        let subject = Subject::of(tenant);
        let now = Instant::now();
        let mut accounts = self.lock();
        let known = accounts.by_subject.get(&subject).cloned();
        let account = match known {
            Some(account) => account,
            None if accounts.has_room(self.most.load(Ordering::Relaxed), now) => {
                let account = Arc::new(Account::new(self.workers));
                accounts.by_subject.insert(subject, account.clone());
                account
            }
            None => return self.other.clone(),
        };
        account.lock().used = Some(now);
        account
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accounts {
    /// Whether one more fits, those left out that have not been used for long.
    fn has_room(&mut self, most: usize, now: Instant) -> bool {
        if self.by_subject.len() < most {
            return true;
        }
        if self.looked.is_some_and(|looked| now - looked < LOOK_AFTER) {
            return false;
        }
        self.looked = Some(now);
        let gone = &mut self.gone;
        self.by_subject.retain(|_, account| {
            // Sessions hold it.
            let is_held = Arc::strong_count(account) > 1;
            let used = account.lock().used;
            let stays = is_held || used.is_some_and(|used| now - used < UNUSED);
            if !stays {
                gone.add(&account.totals());
            }
            stays
        });
        self.by_subject.len() < most
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::TenantId;

    #[test]
    fn all_accounts_are_listed_in_order_however_many_there_are() {
        for count in [0, 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE] {
            let ledger = Ledger::new(1, count);
            let mut expected: Vec<_> = (0..count).map(|n| format!("tenant {n}")).collect();
            for tenant in &expected {
                let subject = Subject {
                    tenant: TenantId::new(tenant),
                    database: "one".into(),
                };
                let account = Arc::new(Account::new(1));
                ledger.lock().by_subject.insert(subject, account);
            }
            expected.sort();
            let listed = ledger.accounts();
            let listed: Vec<_> = listed.iter().map(|(own, _)| own.tenant.as_str()).collect();
            assert_eq!(listed, expected);
        }
    }
}
