//! Custom settings that the tenants of a pool have set.

use super::lock;
use crate::server::Customs;
use crate::tenant::TenantId;
use hashbrown::HashMap;
use std::sync::{Arc, Mutex};

/// Most tenants of which they are kept.
const MOST: usize = 100_000;

/// Custom settings by tenant.
#[derive(Debug, Default)]
pub(super) struct KnownCustoms(Mutex<HashMap<TenantId, Arc<Customs>, foldhash::fast::RandomState>>);

impl KnownCustoms {
    /// Those of the tenant.
    pub(super) fn of(&self, tenant: &TenantId) -> Option<Arc<Customs>> {
        lock(&self.0).get(tenant).cloned()
    }

    /// Takes note of what a connection knows that its tenant gives back: all of it is
    /// the tenant's own, or was known to it before.
    pub(super) fn learn(&self, tenant: &TenantId, customs: &Customs) {
        let mut known = lock(&self.0);
        if let Some(known) = known.get_mut(tenant) {
            Arc::make_mut(known).extend(customs);
            return;
        }
        if known.len() >= MOST {
            // They are learnt again.
            known.clear();
        }
        known.insert(tenant.clone(), Arc::new(customs.clone()));
    }
}
