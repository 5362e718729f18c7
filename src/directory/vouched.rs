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

/// Why a tenant cannot be served as a profile says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotThere {
    /// Its data is not known to be on this server.
    #[error(
        "the profile is for the server {:?}, which is not known to be a replica of that of the tenant",
        .0.as_str()
    )]
    Server(ServerName),
    /// Masking is not configured.
    #[error(
        "the profile may see masked data alone, and the isolation of the tenant has no masked role"
    )]
    Unmasked,
}

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
        let served = self.served(&principal.tenant, profile.as_ref())?;
        // One that is masked by its login stays so.
        let is_masked = principal.tenant.placement.masked
            || profile.as_ref().is_some_and(|profile| profile.masked);
        let tenant = match is_masked && !served.placement.masked {
            true => self.masked_of(served).ok_or(NotThere::Unmasked)?,
            false => served,
        }
        .clone();
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
        there.ok_or_else(|| NotThere::Server(server.clone()))
    }
}
