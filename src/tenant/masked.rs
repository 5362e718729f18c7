//! Where a tenant's masked data is: views that show it, and the role that may read
//! them alone.

use super::{Attachment, Identity, Tenant};
use std::fmt;
use std::sync::Arc;

/// How the clients of a tenant's masked logins are attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedPlace {
    /// The schema of the views.
    pub schema: Arc<str>,
    /// What makes a server connection the tenant's.
    pub attachment: Attachment,
    /// Whom the server connection logs in as.
    pub identity: Identity,
}

/// A role of masked logins that tenants share, and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct MaskedRole {
    /// The role's name.
    pub name: Arc<str>,
    /// Its password.
    pub password: Arc<str>,
}

impl fmt::Debug for MaskedRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskedRole")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl MaskedPlace {
    /// The role that may read the views.
    #[must_use]
    pub fn role(&self) -> Option<(&Arc<str>, &Arc<str>)> {
        match &self.identity {
            Identity::Tenant(role) => Some((&role.name, &role.password)),
            Identity::Masked(role) => Some((&role.name, &role.password)),
            Identity::Server => None,
        }
    }
}

impl Tenant {
    /// The same tenant as its masked logins see it; `None` where masking is not
    /// configured.
    #[must_use]
    pub fn as_masked(&self) -> Option<Self> {
        let place = self.masked.as_ref()?;
        let mut masked = self.clone();
        masked.placement.attachment = place.attachment.clone();
        masked.placement.identity = place.identity.clone();
        masked.placement.masked = true;
        Some(masked)
    }
}
