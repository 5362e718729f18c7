//! What there is to look at: the databases of the tenants, and how they use them.

use crate::config::{Isolation, IsolationKind, Secret, Settings, unquote};
use crate::tenant::{Attachment, Identity, IsolationName, Seal, ServerName, Tenant};
use std::collections::{BTreeMap, BTreeSet};

/// One database, and what its tenants keep apart in it.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// The roles that clients' statements run as.
    pub(super) roles: BTreeSet<String>,
    /// The settings that its policies read, and how tenants use them.
    pub(super) settings: BTreeMap<String, SettingUse>,
    /// Those of the settings that the configuration seals.
    pub(super) sealed: BTreeMap<String, Seal>,
    /// Tenants' own roles and their schemas, in pairs.
    pub(super) tenant_schemas: BTreeSet<(String, String)>,
    /// Whether it belongs to one tenant alone.
    pub(super) is_tenants_own: bool,
    /// What the pools of its server can open.
    pub(super) wanted: Wanted,
    /// Who can log in to it.
    pub(super) login: Option<(String, Option<Secret>)>,
}

/// The connections that can be opened to a server, by whatever sections name it.
#[derive(Debug, Default, Clone)]
pub(super) struct Wanted {
    /// By all pools.
    pub(super) all: PoolSum,
    /// By those of the database.
    pub(super) of_database: PoolSum,
    /// The role that tenants share.
    pub(super) shared_role: String,
    /// By pools that are used as this role.
    pub(super) of_role: PoolSum,
}

/// How many connections several pools can open.
#[derive(Debug, Default, Clone)]
pub(super) struct PoolSum {
    pub(super) pools: usize,
    pub(super) connections: usize,
    /// The size of each, where all have the same.
    pub(super) size: Option<usize>,
}

impl PoolSum {
    fn of(sizes: impl Iterator<Item = usize>) -> Self {
        sizes.fold(Self::default(), |sum, size| Self {
            pools: sum.pools + 1,
            connections: sum.connections.saturating_add(size),
            size: Some(size).filter(|size| sum.pools == 0 || sum.size == Some(*size)),
        })
    }

    /// What they are.
    pub(super) fn shown(&self) -> String {
        let Self { pools, size, .. } = self;
        match size {
            Some(size) => format!("{pools} databases with a pool.size of {size}"),
            None => format!("{pools} pools of several sizes"),
        }
    }
}

/// A pool: its server, its database, the isolation whose own it is, and whether it is for
/// masked logins.
type PoolName<'s> = (&'s ServerName, &'s str, Option<&'s IsolationName>, bool);

/// The pools of these tenants, with their sizes.
pub(super) fn pools<'s>(
    settings: &'s Settings,
    wanted: impl Fn(&Tenant) -> bool,
) -> BTreeMap<PoolName<'s>, usize> {
    let is_used = settings.profiles.values().any(|profile| profile.masked);
    let masked = settings.directory.masked().filter(|_| is_used);
    let tenants = placed(settings).chain(masked.map(|tenant| &**tenant));
    let tenants = tenants.filter(|tenant| wanted(tenant));
    let pools = tenants.map(|tenant| {
        let endpoint = &tenant.placement.endpoint;
        let isolation = settings.isolations.get(&tenant.isolation);
        let own = isolation.and_then(|isolation| isolation.pool.as_ref());
        let name = own.map(|_| &tenant.isolation);
        let size = own.unwrap_or(&settings.pool).size;
        let masked = tenant.placement.masked;
        ((&endpoint.server, &*endpoint.database, name, masked), size)
    });
    pools.collect()
}

/// What the pools of these tenants can open.
pub(super) fn sum(settings: &Settings, wanted: impl Fn(&Tenant) -> bool) -> PoolSum {
    PoolSum::of(pools(settings, wanted).into_values())
}

/// How tenants use a setting.
#[derive(Debug, Default)]
pub(super) struct SettingUse {
    /// The roles that their statements run as.
    pub(super) roles: BTreeSet<String>,
    /// Their values of it.
    pub(super) values: BTreeSet<String>,
}

/// The tenants, and once more on each server that a login of theirs is for.
fn placed(settings: &Settings) -> impl Iterator<Item = &Tenant> {
    let all = settings
        .tenants
        .iter()
        .chain(settings.directory.elsewhere());
    all.map(|tenant| &**tenant)
}

/// The databases of all tenants, by server and name.
pub(super) fn scopes(settings: &Settings) -> BTreeMap<(String, String), Scope> {
    let mut scopes = BTreeMap::<_, Scope>::new();
    for tenant in placed(settings) {
        let endpoint = &tenant.placement.endpoint;
        let key = (
            endpoint.server.as_str().to_owned(),
            endpoint.database.to_string(),
        );
        scopes.entry(key).or_default().add(tenant, settings);
    }
    for ((server, database), scope) in &mut scopes {
        scope.leave_out_shared_schemas();
        scope.wanted = wanted(server, database, settings);
    }
    scopes
}

fn wanted(server: &str, database: &str, settings: &Settings) -> Wanted {
    let find = |name: &str| {
        settings
            .servers
            .values()
            .find(|one| one.name.as_str() == name)
    };
    let Some(this) = find(server) else {
        return Wanted::default();
    };
    let is_this = |name: &ServerName| {
        let other = settings.servers.get(name);
        other.is_some_and(|other| other.hosts.meet(&this.hosts))
    };
    let is_here = |tenant: &Tenant| is_this(&tenant.placement.endpoint.server);
    let is_of_role = |tenant: &Tenant| {
        let server = settings.servers.get(&tenant.placement.endpoint.server);
        tenant.placement.identity == Identity::Server
            && server.is_some_and(|server| server.user == this.user)
    };
    let is_in = |tenant: &Tenant| {
        let endpoint = &tenant.placement.endpoint;
        endpoint.server.as_str() == server && *endpoint.database == *database
    };
    Wanted {
        all: sum(settings, is_here),
        of_database: sum(settings, is_in),
        shared_role: this.user.to_string(),
        of_role: sum(settings, |tenant| is_here(tenant) && is_of_role(tenant)),
    }
}

impl Scope {
    fn add(&mut self, tenant: &Tenant, settings: &Settings) {
        let placement = &tenant.placement;
        let (role, password) = match &placement.identity {
            Identity::Tenant(role) => (&role.name, Some(Secret::new(&role.password))),
            Identity::Masked(role) => (&role.name, Some(Secret::new(&role.password))),
            Identity::Server => match settings.servers.get(&placement.endpoint.server) {
                Some(server) => (&server.user, server.password.clone()),
                None => return,
            },
        };
        self.roles.insert(role.to_string());
        match &placement.attachment {
            Attachment::Setting { name, value, .. } => {
                let use_of = self.settings.entry(name.to_string()).or_default();
                use_of.roles.insert(role.to_string());
                use_of.values.insert(value.to_string());
                let isolation = settings.isolations.get(&tenant.isolation);
                if let Some(seal) = isolation.and_then(seal) {
                    self.sealed.insert(name.to_string(), seal.clone());
                }
            }
            Attachment::Schema { search_path } => {
                if let Identity::Tenant(_) = &placement.identity {
                    let schemas = unquote(search_path);
                    let pairs = schemas.into_iter().map(|schema| (role.to_string(), schema));
                    self.tenant_schemas.extend(pairs);
                }
            }
            Attachment::Database => self.is_tenants_own = true,
        }
        if self.login.is_none() {
            self.login = Some((role.to_string(), password));
        }
    }

    /// A schema that several tenants have in their search path is nobody's own.
    fn leave_out_shared_schemas(&mut self) {
        let mut users = BTreeMap::<String, usize>::new();
        for (_, schema) in &self.tenant_schemas {
            *users.entry(schema.clone()).or_default() += 1;
        }
        self.tenant_schemas
            .retain(|(_, schema)| users.get(schema) == Some(&1));
    }
}

fn seal(isolation: &Isolation) -> Option<&Seal> {
    match &isolation.kind {
        IsolationKind::Setting { seal, .. } => Some(seal).filter(|seal| **seal != Seal::Off),
        IsolationKind::Schema { .. } | IsolationKind::Database => None,
    }
}
