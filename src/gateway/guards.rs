//! The guards of one worker.

use super::catalogs::Catalogs;
use crate::guard::{Guard, Policy};
use crate::tenant::{Endpoint, IsolationName, LoginLimits, Restrictions, Tenant, Unfit};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// How the statements of each isolation are judged.
pub(super) type Policies = Arc<HashMap<IsolationName, Judging>>;

/// How statements are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judging {
    /// What is protected.
    pub(super) policy: Policy,
    /// Whether it matters which relations of the database are plain tables.
    pub(super) by_relations: bool,
}

/// A guard for each isolation, for each database of it where that matters, and for
/// each kind of restriction that a tenant or login with clients has; with caches of their
/// own.
#[derive(Debug)]
pub(super) struct Guards {
    policies: Policies,
    catalogs: Arc<Catalogs>,
    made: Mutex<Made>,
}

/// What a guard is for; with the database, if its relations matter.
type Key = (IsolationName, Option<Endpoint>);

#[derive(Debug, Default)]
struct Made {
    free: HashMap<Key, Arc<Guard>>,
    /// They go with the last session that uses them.
    restricted: HashMap<(Key, Restrictions), Weak<Guard>>,
}

impl Guards {
    pub(super) fn new(policies: Policies, catalogs: Arc<Catalogs>) -> Self {
        Self {
            policies,
            catalogs,
            made: Mutex::default(),
        }
    }

    /// What they are made from.
    pub(super) fn policies(&self) -> &Policies {
        &self.policies
    }

    /// Why a tenant cannot be served over the role of its connections, as far as it
    /// is known.
    pub(super) fn unfit(&self, tenant: &Tenant) -> Option<Unfit> {
        self.catalogs.unfit(tenant)
    }

    /// The guard for a tenant's clients; `None` if its isolation or its server is
    /// not configured.
    pub(super) fn get(&self, tenant: &Tenant, login: &LoginLimits) -> Option<Arc<Guard>> {
        let judging = self.policies.get(&tenant.isolation)?;
        let (endpoint, relations) = match judging.by_relations {
            // Behind the names of masked logins there are views.
            true if tenant.placement.masked => (None, Some(self.catalogs.unknown().clone())),
            true => {
                let endpoint = &tenant.placement.endpoint;
                let relations = self.catalogs.get(endpoint, &tenant.isolation)?;
                (Some(endpoint.clone()), Some(relations))
            }
            false => (None, None),
        };
        let key = (tenant.isolation.clone(), endpoint);
        let restrictions = tenant.restrictions(login);
        let mut made = self.made();
        if let Some(guard) = made.find(&key, restrictions)
            // The server of this name may be another one now.
            && guard.relations().map(Arc::as_ptr) == relations.as_ref().map(Arc::as_ptr)
        {
            return Some(guard);
        }
        let mut policy = judging.policy.clone();
        policy.read_only = restrictions.read_only;
        policy.describes |= restrictions.described;
        let times = restrictions.times();
        policy.most = times.map(|(name, most)| (name.into(), most)).collect();
        let guard = Arc::new(match relations {
            Some(relations) => Guard::of_database(policy, relations),
            None => Guard::new(policy),
        });
        made.add(key, restrictions, &guard);
        Some(guard)
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Made {
    fn find(&self, key: &Key, restrictions: Restrictions) -> Option<Arc<Guard>> {
        if restrictions == Restrictions::default() {
            return self.free.get(key).cloned();
        }
        let restricted = self.restricted.get(&(key.clone(), restrictions));
        restricted.and_then(Weak::upgrade)
    }

    fn add(&mut self, key: Key, restrictions: Restrictions, guard: &Arc<Guard>) {
        if restrictions == Restrictions::default() {
            self.free.insert(key, guard.clone());
            return;
        }
        self.restricted.retain(|_, guard| guard.strong_count() > 0);
        let guard = Arc::downgrade(guard);
        self.restricted.insert((key, restrictions), guard);
    }
}
