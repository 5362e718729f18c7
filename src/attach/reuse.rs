//! How much had to be done to a connection for its next user.

use super::SessionSettings;
use super::cleanup::{Cleanup, Holds, Parked};
use crate::server::Connection;
use crate::tenant::SharedTenant;

/// How a session becomes a tenant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// It is so already: nothing is sent.
    Kept,
    /// It is the tenant's, and something of the attachment is sent again.
    Again,
    /// It holds nothing of anybody: it is new, or was scrubbed when it was given back.
    Fresh,
    /// It is scrubbed of another tenant, or of what a client has left.
    Scrubbed,
}

impl Reuse {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Kept, Self::Again, Self::Fresh, Self::Scrubbed];

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Again => "again",
            Self::Fresh => "fresh",
            Self::Scrubbed => "scrubbed",
        }
    }
}

impl Connection<Parked> {
    /// What makes it `tenant`'s, for a client with these settings.
    #[must_use]
    pub fn reuse(&self, tenant: &SharedTenant, settings: &SessionSettings) -> Reuse {
        let state = self.state();
        if state.is_ready_for(tenant, settings) {
            return Reuse::Kept;
        }
        match state.holds() {
            _ if !state.is_settled() => Reuse::Scrubbed,
            Holds::Base(_) => Reuse::Fresh,
            Holds::Tenant(_) if state.cleanup_for(tenant, settings) > Cleanup::Reattach => {
                Reuse::Scrubbed
            }
            Holds::Tenant(_) => Reuse::Again,
        }
    }
}
