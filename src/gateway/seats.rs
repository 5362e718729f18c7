//! How many clients each tenant has.

use crate::tenant::TenantId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places for clients, so many for each tenant.
#[derive(Debug)]
pub(super) struct Seats {
    per_tenant: usize,
    taken: Mutex<HashMap<TenantId, usize>>,
}

/// A client's place among those of its tenant, until this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    tenant: TenantId,
}

impl Seats {
    /// `per_tenant` places for each tenant.
    pub(super) fn new(per_tenant: usize) -> Arc<Self> {
        Arc::new(Self {
            per_tenant,
            taken: Mutex::default(),
        })
    }

    /// A place, if the tenant has not taken all of its own.
    pub(super) fn take(self: &Arc<Self>, tenant: &TenantId) -> Option<Seat> {
        let mut taken = self.lock();
        let count = taken.entry(tenant.clone()).or_default();
        if *count >= self.per_tenant {
            return None;
        }
        *count += 1;
        Some(Seat {
            seats: self.clone(),
            tenant: tenant.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        if let Some(count) = taken.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.tenant);
            }
        }
    }
}
