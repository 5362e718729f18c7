//! What a credential says of a client's profile.

use super::{CertificateName, Directory, Principal};
use crate::tenant::{ServerName, SharedProfile, SharedTenant};
use std::sync::Arc;

/// What a client has proved itself with, where that may say which profile it has: it is
/// asked again when the configuration changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vouched {
    /// A token of this issuer, which names a profile or none.
    Token {
        /// What its claim `iss` says.
        issuer: Arc<str>,
        /// What its `profile_claim` says.
        named: Option<Box<str>>,
    },
    /// A certificate with these names, of a client that has asked to be this user and has
    /// no login of its own.
    Certificate {
        /// Its names.
        names: Box<[CertificateName]>,
        /// The user.
        user: Box<str>,
    },
}

/// A profile is for a server that is not known to have the tenant's data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the profile is for the server {:?}, which is not known to be a replica of that of the tenant",
    .0.as_str()
)]
pub struct NotThere(ServerName);

impl Directory {
    /// The client with this profile, on the profile's server unless its login is for
    /// another.
    ///
    /// # Errors
    /// If the tenant cannot be served there.
    pub fn with_profile(
        &self,
        principal: Principal,
        profile: Option<SharedProfile>,
    ) -> Result<Principal, NotThere> {
        let tenant = self.served(&principal.tenant, profile.as_ref())?.clone();
        let mut principal = Principal {
            tenant,
            ..principal
        };
        principal.limits.profile = profile;
        Ok(principal)
    }

    fn served<'a>(
        &'a self,
        tenant: &'a SharedTenant,
        profile: Option<&SharedProfile>,
    ) -> Result<&'a SharedTenant, NotThere> {
        let Some(server) = profile.and_then(|profile| profile.server.as_ref()) else {
            return Ok(tenant);
        };
        let own = self.tenant(&tenant.id);
        let is_own = own.is_some_and(|own| own.placement.endpoint == tenant.placement.endpoint);
        if !is_own || tenant.placement.endpoint.server == *server {
            return Ok(tenant);
        }
        let there = self.on_other_server(&tenant.id, server);
        there.ok_or_else(|| NotThere(server.clone()))
    }
}
