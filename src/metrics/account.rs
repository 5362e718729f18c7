//! What is counted for one tenant and database.

use super::page::{Page, Totals};
use crate::tenant::{Tenant, TenantId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

/// More SQLSTATE classes than there are: what a server makes up is counted together.
const MOST_CLASSES: usize = 64;
/// The class of errors that are counted together.
const OTHER_CLASS: [u8; 2] = *b"??";

/// Whom something is counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// The tenant.
    pub tenant: TenantId,
    /// Its database, by its name on the server.
    pub database: Arc<str>,
}

impl Subject {
    pub(super) fn of(tenant: &Tenant) -> Self {
        Self {
            tenant: tenant.id.clone(),
            database: tenant.placement.endpoint.database.clone(),
        }
    }
}

/// How a login ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The client is in.
    Accepted,
    /// It was refused.
    Refused,
    /// It left, or its connection was lost, before that.
    Lost,
}

impl Outcome {
    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Lost => "lost",
        }
    }
}

/// What is counted for a tenant and its database, or for several together.
#[derive(Debug)]
pub struct Account {
    pages: Box<[OnceLock<Arc<Page>>]>,
    rare: Mutex<Rare>,
}

/// What is counted under a lock, since it is rare.
#[derive(Debug, Default, Clone)]
pub struct Rare {
    /// Errors that clients were told, by SQLSTATE class.
    pub errors: BTreeMap<[u8; 2], u64>,
    /// Statements that were refused, by rule. Those that are only reported count, too.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Logins, by what the client proved itself with, or was asked for, and how they
    /// ended.
    pub logins: BTreeMap<(&'static str, Outcome), u64>,
    /// Connections that were taken back since others waited for them.
    pub reclaimed: u64,
    pub(super) used: Option<Instant>,
}

impl Account {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            pages: (0..workers).map(|_| OnceLock::new()).collect(),
            rare: Mutex::default(),
        }
    }

    /// The page of a worker.
    pub(super) fn page(&self, worker: usize) -> Arc<Page> {
        let slot = self.pages.get(worker);
        slot.map(|slot| slot.get_or_init(Arc::default).clone())
            .unwrap_or_default()
    }

    /// What all workers have counted.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for page in self.pages.iter().filter_map(OnceLock::get) {
            totals.add_page(page);
        }
        totals
    }

    /// The memory that it takes, in bytes, but for what is rare.
    pub(super) fn size(&self) -> usize {
        let used = self.pages.iter().filter(|page| page.get().is_some());
        size_of::<Self>() + size_of_val(&*self.pages) + used.count() * size_of::<Page>()
    }

    /// What is counted under a lock.
    #[must_use]
    pub fn rare(&self) -> Rare {
        self.lock().clone()
    }

    pub(super) fn errs(&self, sqlstate: &str) {
        let class = sqlstate.as_bytes().first_chunk().copied();
        let mut rare = self.lock();
        let errors = &mut rare.errors;
        let class = class.filter(|class| {
            let is_class = class.iter().all(u8::is_ascii_alphanumeric);
            is_class && (errors.len() < MOST_CLASSES || errors.contains_key(class))
        });
        *errors.entry(class.unwrap_or(OTHER_CLASS)).or_default() += 1;
    }

    pub(super) fn refuses(&self, rule: &'static str) {
        *self.lock().refusals.entry(rule).or_default() += 1;
    }

    pub(super) fn logs_in(&self, method: &'static str, outcome: Outcome) {
        *self.lock().logins.entry((method, outcome)).or_default() += 1;
    }

    pub(super) fn reclaims(&self) {
        self.lock().reclaimed += 1;
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Rare> {
        self.rare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
