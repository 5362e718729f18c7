//! How many clients each tenant has.

use crate::tenant::TenantId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many clients each tenant has.
#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: Mutex<HashMap<TenantId, usize>>,
}

/// A client's place among those of its tenant, until this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    tenant: TenantId,
}

impl Seats {
    /// A place, if the tenant has not taken `most` already.
    pub(super) fn take(self: &Arc<Self>, tenant: &TenantId, most: usize) -> Option<Seat> {
        let mut taken = self.lock();
        let count = taken.entry(tenant.clone()).or_default();
        if *count >= most {
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
