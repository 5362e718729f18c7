//! The guards of one worker.

use crate::guard::{Guard, Policy};
use crate::tenant::{IsolationName, Restrictions, Tenant};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What each isolation protects.
pub(super) type Policies = Arc<HashMap<IsolationName, Policy>>;

/// A guard for each isolation, and for each kind of restriction that a tenant
/// with clients has; with caches of their own.
#[derive(Debug)]
pub(super) struct Guards {
    policies: Policies,
    free: HashMap<IsolationName, Arc<Guard>>,
    /// They go with the last session that uses them.
    restricted: Mutex<HashMap<(IsolationName, Restrictions), Weak<Guard>>>,
}

impl Guards {
    pub(super) fn new(policies: Policies) -> Self {
        let free = policies.iter();
        Self {
            free: free
                .map(|(name, policy)| (name.clone(), Arc::new(Guard::new(policy.clone()))))
                .collect(),
            policies,
            restricted: Mutex::default(),
        }
    }

    /// What they were made from.
    pub(super) fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The guard for a tenant's clients; `None` if its isolation is not
    /// configured.
    pub(super) fn get(&self, tenant: &Tenant) -> Option<Arc<Guard>> {
        let restrictions = tenant.restrictions();
        if restrictions == Restrictions::default() {
            return self.free.get(&tenant.isolation).cloned();
        }
        let mut policy = self.policies.get(&tenant.isolation)?.clone();
        let key = (tenant.isolation.clone(), restrictions);
        let mut restricted = self
            .restricted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(guard) = restricted.get(&key).and_then(Weak::upgrade) {
            return Some(guard);
        }
        restricted.retain(|_, guard| guard.strong_count() > 0);
        policy.read_only = restrictions.read_only;
        let times = restrictions.times();
        policy.most = times.map(|(name, most)| (name.into(), most)).collect();
        let guard = Arc::new(Guard::new(policy));
        restricted.insert(key, Arc::downgrade(&guard));
        Some(guard)
    }
}
