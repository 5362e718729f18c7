//! The directory itself: from a login to its tenant.

use super::sources::sql::Freshness;
use super::{CertificateName, Verifier};
use crate::tenant::{LoginLimits, LoginName, ServerName, SharedTenant, TenantId};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// An authenticated client: the login it used, and the tenant that the login
/// belongs to.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The login that was authenticated.
    pub login: LoginName,
    /// Its tenant, on the server that the login is for.
    pub tenant: SharedTenant,
    /// What the login says of its own.
    pub limits: LoginLimits,
}

/// One login: whose it is, and what it may prove itself with.
#[derive(Debug, Clone)]
pub struct Login {
    /// Who it is once a proof holds.
    pub principal: Principal,
    /// What it accepts; at least one.
    pub methods: Arc<[Method]>,
}

/// What a login may prove itself with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// The password, by SCRAM-SHA-256.
    Scram(Verifier),
    /// A JSON Web Token, sent as the password.
    Jwt,
    /// A JSON Web Token, sent by OAUTHBEARER.
    OauthBearer,
    /// A client certificate that has this name.
    Certificate(CertificateName),
    /// A client certificate that has this name, and the password besides.
    CertificateAndScram(CertificateName, Verifier),
}

/// All tenants and their logins, as they are at one time.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    tenants: HashMap<TenantId, SharedTenant, RandomState>,
    logins: HashMap<LoginName, Login, RandomState>,
    /// Tenants as logins have them that are for another server.
    elsewhere: HashMap<(TenantId, ServerName), SharedTenant, RandomState>,
    /// Tenants as their masked logins have them, on each server.
    masked: HashMap<(TenantId, ServerName), SharedTenant, RandomState>,
    /// See [`Directory::usual_secret`].
    usual: OnceLock<(u32, usize)>,
    is_incomplete: bool,
    lacks_logins: bool,
    /// How many entries of its sources could not be used.
    pub(super) left_out: usize,
    /// How it keeps up with its database, if it has one.
    pub(super) freshness: Option<Freshness>,
}

impl Directory {
    /// An empty directory, in which nobody can log in.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tenant. A tenant of the same id is replaced.
    pub fn insert_tenant(&mut self, tenant: SharedTenant) {
        self.tenants.insert(tenant.id.clone(), tenant);
    }

    /// The tenant on this server, as all logins that are for it share it.
    pub(super) fn on_server(&mut self, tenant: &SharedTenant, server: &ServerName) -> SharedTenant {
        if tenant.placement.endpoint.server == *server {
            return tenant.clone();
        }
        let key = (tenant.id.clone(), server.clone());
        let placed = self.elsewhere.entry(key);
        let placed = placed.or_insert_with(|| Arc::new(tenant.on_server(server)));
        placed.clone()
    }

    /// The tenant as all its masked logins on this server share it; `None` where masking
    /// is not configured.
    pub(super) fn add_masked(&mut self, tenant: &SharedTenant) -> Option<SharedTenant> {
        let masked = tenant.as_masked()?;
        let key = place(tenant);
        let shared = self.masked.entry(key).or_insert_with(|| Arc::new(masked));
        Some(shared.clone())
    }

    /// The same, if it is there.
    pub(super) fn masked_of(&self, tenant: &SharedTenant) -> Option<&SharedTenant> {
        self.masked.get(&place(tenant))
    }

    /// Tenants as their masked logins have them.
    pub fn masked(&self) -> impl Iterator<Item = &SharedTenant> {
        self.masked.values()
    }

    /// Adds a login. A login of the same name is replaced.
    pub fn insert(&mut self, login: Login) {
        self.usual = OnceLock::new();
        self.logins.insert(login.principal.login.clone(), login);
    }

    /// Says that a source of it cannot be asked: who is not here may still exist.
    /// Of `logins` too, or of tenants alone.
    pub fn set_incomplete(&mut self, logins: bool) {
        self.is_incomplete = true;
        self.lacks_logins = logins;
    }

    /// Whether whoever is not here does not exist.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.is_incomplete
    }

    /// Whether a login that is not here does not exist.
    #[must_use]
    pub fn has_all_logins(&self) -> bool {
        !self.lacks_logins
    }

    /// How many entries of its sources could not be used.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// How long ago its database confirmed what it says: `None` without
    /// `[directory.sql]`, or if it never has.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.freshness.as_ref()?.age()
    }

    /// The login of this name.
    #[must_use]
    pub fn find(&self, login: &str) -> Option<&Login> {
        self.logins.get(login)
    }

    /// The tenant of this id.
    #[must_use]
    pub fn tenant(&self, id: &TenantId) -> Option<&SharedTenant> {
        self.tenants.get(id)
    }

    /// The tenant as logins have it that are for another server.
    pub(super) fn on_other_server(
        &self,
        id: &TenantId,
        server: &ServerName,
    ) -> Option<&SharedTenant> {
        self.elsewhere.get(&(id.clone(), server.clone()))
    }

    /// All tenants.
    pub fn tenants(&self) -> impl Iterator<Item = &SharedTenant> {
        self.tenants.values()
    }

    /// Tenants as logins have them that are for another server than their tenant's.
    pub fn elsewhere(&self) -> impl Iterator<Item = &SharedTenant> {
        self.elsewhere.values()
    }

    /// All logins.
    pub fn logins(&self) -> impl Iterator<Item = &Login> {
        self.logins.values()
    }

    /// The iterations and the bytes of salt that most logins' verifiers have: what
    /// a user that does not exist must seem to have. Counted once.
    #[must_use]
    pub fn usual_secret(&self) -> (u32, usize) {
        *self.usual.get_or_init(|| {
            let mut counts: HashMap<_, usize> = HashMap::new();
            for method in self.logins.values().flat_map(|login| &*login.methods) {
                if let Method::Scram(verifier) | Method::CertificateAndScram(_, verifier) = method {
                    *counts.entry(verifier.shape()).or_default() += 1;
                }
            }
            let most = counts.into_iter().max_by_key(|(shape, n)| (*n, *shape));
            most.map_or(Verifier::USUAL_SHAPE, |(shape, _)| shape)
        })
    }

    /// Whether the proxy ends sessions of some by a limit of time.
    #[must_use]
    pub fn times_out(&self) -> bool {
        let tenants = self.tenants().map(|tenant| tenant.limits.timeouts);
        let logins = self.logins().map(|login| login.principal.limits.timeouts());
        tenants.chain(logins).any(|one| one.end_sessions())
    }

    /// How many logins there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.logins.len()
    }

    /// Whether nobody can log in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.logins.is_empty()
    }

    /// Takes from `before` every tenant that is the same: what holds such a
    /// tenant holds the current one.
    pub fn keep_unchanged(&mut self, before: &Self) {
        for (id, tenant) in &mut self.tenants {
            keep(tenant, before.tenants.get(id));
        }
        for (key, tenant) in &mut self.elsewhere {
            keep(tenant, before.elsewhere.get(key));
        }
        for (key, tenant) in &mut self.masked {
            keep(tenant, before.masked.get(key));
        }
        for login in self.logins.values_mut() {
            let tenant = &mut login.principal.tenant;
            let own = self.tenants.get(&tenant.id);
            let is_own = |own: &&SharedTenant| own.placement.endpoint == tenant.placement.endpoint;
            let current = match tenant.placement.masked {
                true => self.masked.get(&place(tenant)),
                false => own
                    .filter(is_own)
                    .or_else(|| self.elsewhere.get(&place(tenant))),
            };
            if let Some(current) = current
                && !Arc::ptr_eq(current, tenant)
            {
                *tenant = current.clone();
            }
        }
    }
}

fn place(tenant: &SharedTenant) -> (TenantId, ServerName) {
    let server = tenant.placement.endpoint.server.clone();
    (tenant.id.clone(), server)
}

/// Takes the tenant that was there before, if it is the same.
fn keep(tenant: &mut SharedTenant, before: Option<&SharedTenant>) {
    if let Some(known) = before
        && !Arc::ptr_eq(known, tenant)
        && **known == **tenant
    {
        *tenant = known.clone();
    }
}
