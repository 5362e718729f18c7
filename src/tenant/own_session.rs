//! What a session must be that was opened as the role of one tenant, where the tenant is
//! a setting.
//!
//! The startup packet states the tenant, so it is what every reset returns to, also where
//! the role has nothing stored. That changes nothing where what is stored is *another*
//! tenant: whatever else opens sessions as this role (Citus does, on the workers) would
//! be that tenant's. So a role with another one is refused, and one with none is not.

use super::{Attachment, Identity, Placement, Unfit};
use std::sync::Arc;

/// What a session opened as a tenant's role must say of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnSession {
    role: Arc<str>,
    setting: Arc<str>,
    tenant: Arc<str>,
}

impl OwnSession {
    /// That of a tenant; `None` where tenants share a role, or the tenant is no setting.
    #[must_use]
    pub fn of(placement: &Placement) -> Option<Self> {
        match (&placement.identity, &placement.attachment) {
            (Identity::Tenant(role), Attachment::Setting { name, value, .. }) => Some(Self {
                role: role.name.clone(),
                setting: name.clone(),
                tenant: value.clone(),
            }),
            _ => None,
        }
    }

    /// Asks for all of it, after a reset: one row of four columns in text form, as
    /// [`judge`](Self::judge) takes them.
    #[must_use]
    pub fn query(&self) -> String {
        let parts = self.setting.split('.').map(|part| format!("\"{part}\""));
        let ident = parts.collect::<Vec<_>>().join(".");
        // No other characters than letters, digits, `_` and `$` are in it.
        let name = format!("'{}'", self.setting);
        include_str!("own_session.sql")
            .replace("@ident@", &ident)
            .replace("@name@", &name)
    }

    /// Whether the session is the tenant's. Returns `None` if the row is not that of the
    /// query.
    #[must_use]
    pub fn judge(&self, columns: &[Option<&str>]) -> Option<Result<(), Unfit>> {
        let &[Some(session), Some(current), value, stored] = columns else {
            return None;
        };
        if session != &*self.role || current != &*self.role {
            return Some(Err(Unfit::AnotherRole));
        }
        if value != Some(&*self.tenant) {
            return Some(Err(Unfit::AnotherTenant));
        }
        // An empty text is no tenant.
        let stored = stored.filter(|stored| !stored.is_empty());
        if stored.is_some_and(|stored| stored != &*self.tenant) {
            return Some(Err(Unfit::StoredTenant(self.setting.clone())));
        }
        Some(Ok(()))
    }
}
