//! What there is to look at: the databases of the tenants, and how they use them.

use crate::config::{Isolation, IsolationKind, Secret, Settings, unquote};
use crate::tenant::{Attachment, Identity, IsolationName, Seal, ServerName, Tenant, TenantRole};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
    /// By setting, the roles of which tenants' own roles are members, by name.
    pub(super) groups: BTreeMap<String, BTreeMap<String, Group>>,
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

/// A role of which tenants' own roles are members, where they share tables.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) name: String,
    /// The section of a server whose user it is, too.
    pub(super) user_of: Option<ServerName>,
    /// The tenants' roles, by name.
    pub(super) members: BTreeMap<String, Member>,
}

/// The role of a tenant that shares tables.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) role: TenantRole,
    /// What its sessions are to begin with.
    pub(super) tenant: String,
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
        let Some(server) = settings.servers.get(&placement.endpoint.server) else {
            return;
        };
        let isolation = settings.isolations.get(&tenant.isolation);
        let group = isolation.and_then(group);
        let (role, password) = match &placement.identity {
            Identity::Tenant(role) if group.is_none() => {
                (&role.name, Some(Secret::new(&role.password)))
            }
            Identity::Masked(role) => (&role.name, Some(Secret::new(&role.password))),
            _ => (&server.user, server.password.clone()),
        };
        if self.login.is_none() {
            self.login = Some((role.to_string(), password));
        }
        // Who is a member has its rights and no others: that is checked by itself.
        let role = group.unwrap_or(role);
        self.roles.insert(role.to_string());
        if let Some(group) = group {
            self.add_member(tenant, group, settings);
        }
        match &placement.attachment {
            Attachment::Setting { name, value, .. } => {
                let use_of = self.settings.entry(name.to_string()).or_default();
                use_of.roles.insert(role.to_string());
                use_of.values.insert(value.to_string());
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
    }

    fn add_member(&mut self, tenant: &Tenant, name: &str, settings: &Settings) {
        let placement = &tenant.placement;
        let (
            Identity::Tenant(role),
            Attachment::Setting {
                name: setting,
                value,
                ..
            },
        ) = (&placement.identity, &placement.attachment)
        else {
            return;
        };
        let groups = self.groups.entry(setting.to_string()).or_default();
        let group = groups.entry(name.to_owned()).or_insert_with(|| Group {
            name: name.to_owned(),
            user_of: user_of(name, settings),
            members: BTreeMap::new(),
        });
        let member = Member {
            role: role.clone(),
            tenant: value.to_string(),
        };
        group.members.insert(role.name.to_string(), member);
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

/// The role of which the roles of the isolation's tenants are members.
fn group(isolation: &Isolation) -> Option<&Arc<str>> {
    match &isolation.kind {
        IsolationKind::Setting { roles, .. } => roles.as_ref().map(|roles| &roles.group),
        IsolationKind::Schema { .. } | IsolationKind::Database => None,
    }
}

/// The section of a server whose user the role is.
fn user_of(role: &str, settings: &Settings) -> Option<ServerName> {
    let mut servers = settings.servers.iter();
    let (name, _) = servers.find(|(_, server)| *server.user == *role)?;
    Some(name.clone())
}

fn seal(isolation: &Isolation) -> Option<&Seal> {
    match &isolation.kind {
        IsolationKind::Setting { seal, .. } => Some(seal).filter(|seal| **seal != Seal::Off),
        IsolationKind::Schema { .. } | IsolationKind::Database => None,
    }
}
