//! The tenants whose clients are there: for whom connections are kept ready
//! (`pool.min_idle`).

use super::{Pool, lock};
use crate::tenant::{SharedTenant, TenantId};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

/// Those of a pool, as the directory has had them for their last clients, and how many
/// clients each has.
#[derive(Debug, Default)]
pub(super) struct Guests(Mutex<HashMap<TenantId, (SharedTenant, usize)>>);

/// A client that a pool is there for, until this is dropped.
#[derive(Debug)]
pub struct Guest {
    pool: Arc<Pool>,
    /// Whose it is, where it is counted.
    tenant: Option<TenantId>,
}

impl Guest {
    /// A client of the tenant that has come.
    #[must_use]
    pub fn new(pool: &Arc<Pool>, tenant: &SharedTenant) -> Self {
        // Where nothing is kept ready, nobody asks.
        let counts = pool.settings.min_idle > 0;
        if counts {
            let mut guests = lock(&pool.guests.0);
            let guest = guests.entry(tenant.id.clone());
            let (known, count) = guest.or_insert_with(|| (tenant.clone(), 0));
            known.clone_from(tenant);
            *count += 1;
        }
        Self {
            pool: pool.clone(),
            tenant: counts.then(|| tenant.id.clone()),
        }
    }
}

impl Deref for Guest {
    type Target = Arc<Pool>;

    fn deref(&self) -> &Self::Target {
        &self.pool
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let Some(tenant) = &self.tenant else {
            return;
        };
        let mut guests = lock(&self.pool.guests.0);
        if let Some((_, count)) = guests.get_mut(tenant) {
            *count -= 1;
            if *count == 0 {
                guests.remove(tenant);
            }
        }
    }
}

impl Guests {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }

    /// The tenant that `choose` takes from them.
    pub(super) fn choose<T>(
        &self,
        choose: impl FnOnce(&mut dyn Iterator<Item = &SharedTenant>) -> T,
    ) -> T {
        let guests = lock(&self.0);
        choose(&mut guests.values().map(|(tenant, _)| tenant))
    }
}
