//! Tenants and logins as a source declares them: each valid by itself, and with the
//! place where it was read. Whether they go together is decided when the directory
//! is built.

use super::{Login, Method, Principal};
use crate::problem::{Place, shown};
use crate::tenant::{LoginLimits, LoginName, ServerName, SharedTenant, TenantId};
use std::fmt;
use std::sync::Arc;

/// A tenant, and what it is said to have of its own.
pub(crate) struct DeclaredTenant {
    pub(crate) place: Place,
    pub(crate) tenant: SharedTenant,
    /// The schemas of its search path, its own and those it shares.
    pub(crate) schemas: Vec<String>,
    /// Which of them is its own.
    pub(crate) own_schema: usize,
}

impl fmt::Display for DeclaredTenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = shown(self.tenant.id.as_str());
        write!(f, "{id} ({})", self.place)
    }
}

/// A login, and the id of its tenant.
pub(crate) struct DeclaredLogin {
    pub(crate) place: Place,
    pub(crate) user: LoginName,
    pub(crate) tenant: TenantId,
    /// Where its clients' statements run, if not on the tenant's server.
    pub(crate) server: Option<ServerName>,
    pub(crate) methods: Arc<[Method]>,
    /// What it says of its clients.
    pub(crate) limits: LoginLimits,
}

impl DeclaredLogin {
    /// The login, once its tenant is known, on the login's server.
    pub(super) fn of(&self, tenant: SharedTenant) -> Login {
        Login {
            principal: Principal {
                login: self.user.clone(),
                tenant,
                limits: self.limits.clone(),
            },
            methods: self.methods.clone(),
        }
    }
}
