//! How many clients each tenant and each login has.

use crate::directory::Principal;
use crate::tenant::{LoginName, TenantId};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many clients each tenant has, and each login: its profile may have a limit.
#[derive(Debug, Default)]
pub(super) struct Seats {
    of_tenants: Taken<TenantId>,
    of_logins: Taken<(TenantId, LoginName)>,
}

/// A client's place among those of its tenant and its login, until this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    _of_tenant: Counted<TenantId>,
    _of_login: Counted<(TenantId, LoginName)>,
}

/// Whose clients are there already, as many as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The tenant's.
    Tenant,
    /// The login's, by its profile.
    Login,
}

impl Seats {
    /// A place, if neither the tenant has taken `most` already nor the login as many as
    /// its profile says.
    pub(super) fn take(&self, principal: &Principal, most: usize) -> Result<Seat, Full> {
        let tenant = &principal.tenant.id;
        let profile = principal.limits.profile.as_ref();
        let of_profile = profile.and_then(|profile| profile.limits.max_clients);
        let login = (tenant.clone(), principal.login.clone());
        let of_login = Counted::take(&self.of_logins, login, of_profile.unwrap_or(usize::MAX));
        let of_tenant = Counted::take(&self.of_tenants, tenant.clone(), most);
        Ok(Seat {
            _of_login: of_login.ok_or(Full::Login)?,
            _of_tenant: of_tenant.ok_or(Full::Tenant)?,
        })
    }
}

type Taken<K> = Arc<Mutex<HashMap<K, usize>>>;

/// One of those that are counted under a key.
#[derive(Debug)]
struct Counted<K: Eq + Hash> {
    taken: Taken<K>,
    key: K,
}

impl<K: Eq + Hash + Clone> Counted<K> {
    fn take(taken: &Taken<K>, key: K, most: usize) -> Option<Self> {
        let mut counts = lock(taken);
        let count = counts.entry(key.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Self {
            taken: taken.clone(),
            key,
        })
    }
}

impl<K: Eq + Hash> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut counts = lock(&self.taken);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

fn lock<K>(taken: &Taken<K>) -> MutexGuard<'_, HashMap<K, usize>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}
