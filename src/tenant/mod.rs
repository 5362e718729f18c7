//! A tenant, and where its data lives.
//!
//! A [`Tenant`] has one [`Placement`]: the server, the database and the form in
//! which the tenant is attached to a server connection. Nothing here is chosen by
//! the client: which tenant is a client's, the [`directory`](crate::directory) says.

mod limits;
mod masked;
mod name;
mod own_session;
mod placement;
mod profile;
mod seal;
mod vetting;

pub use limits::{Allowed, Limits, LoginLimits, Restrictions, Standing, Timeouts};
pub use masked::{MaskedPlace, MaskedRole};
pub use name::{IsolationName, LoginName, ProfileName, ServerName, TenantId};
pub use own_session::OwnSession;
pub use placement::{Attachment, Endpoint, Identity, Placement, TenantRole};
pub use profile::{MostResult, Profile, SharedProfile};
pub use seal::{Claim, Seal, SealKey};
pub use vetting::{Found, Unfit, Vetting};

use crate::audit::Statements;
use crate::transport::ClientAddress;
use std::sync::Arc;

/// One customer (organization) of the user's product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The id, as the database knows it.
    pub id: TenantId,
    /// A name for people; shown in logs, never sent to PostgreSQL.
    pub name: String,
    /// The isolation that the tenant uses, by its name in the configuration.
    pub isolation: IsolationName,
    /// Where its data is and how it is attached.
    pub placement: Placement,
    /// The same for its masked logins, where masking is configured.
    pub masked: Option<Arc<MaskedPlace>>,
    /// Other names by which its clients may ask for the database.
    pub database_aliases: Arc<[Box<str>]>,
    /// The schema of its own, in kind `schema`.
    pub schema: Option<Arc<str>>,
    /// What its clients may do now.
    pub standing: Standing,
    /// Where it differs from what holds for all.
    pub limits: Limits,
}

impl Tenant {
    /// Whether a client of the tenant that asks for the database of this name means
    /// the tenant's.
    #[must_use]
    pub fn has_database(&self, name: &str) -> bool {
        *name == *self.placement.endpoint.database
            || self.database_aliases.iter().any(|alias| **alias == *name)
    }

    /// The same tenant on another server that has its data.
    #[must_use]
    pub fn on_server(&self, server: &ServerName) -> Self {
        let mut placed = self.clone();
        placed.placement.endpoint.server = server.clone();
        placed
    }

    /// Whether a client of a login may come from this address.
    #[must_use]
    pub fn allows(&self, login: &LoginLimits, address: &ClientAddress) -> bool {
        let profile = login.profile.as_ref();
        self.limits.allow(address) && profile.is_none_or(|one| one.limits.allow(address))
    }

    /// Whether its clients may only read.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.standing == Standing::ReadOnly
    }

    /// Most time that the sessions of a login have.
    #[must_use]
    pub fn timeouts(&self, login: &LoginLimits) -> Timeouts {
        self.limits.timeouts.stricter(login.timeouts())
    }

    /// What the clients of a login cannot lift.
    #[must_use]
    pub fn restrictions(&self, login: &LoginLimits) -> Restrictions {
        let timeouts = self.timeouts(login);
        let recorded = [self.limits.audit, login.audit()];
        Restrictions {
            read_only: self.is_read_only() || login.is_read_only(),
            statement_timeout: timeouts.statement_timeout,
            idle_in_transaction_timeout: timeouts.idle_in_transaction_timeout,
            described: login.most_result().is_some()
                || recorded
                    .into_iter()
                    .any(|one| one > Some(Statements::Refused)),
        }
    }
}

/// A tenant as everybody holds it: shared and immutable.
pub type SharedTenant = Arc<Tenant>;
