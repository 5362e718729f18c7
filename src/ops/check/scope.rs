//! What there is to look at: the databases of the tenants, and how they use them.

use crate::config::{Isolation, IsolationKind, Secret, Settings};
use crate::tenant::{Attachment, Identity, Seal, ServerName, Tenant};
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
    /// The databases, each with a pool.
    pub(super) databases: usize,
    /// The size of each pool.
    pub(super) pool_size: usize,
    /// The role that tenants share.
    pub(super) shared_role: String,
    /// The databases that are used as this role.
    pub(super) databases_of_role: usize,
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

/// The databases of the tenants, each of which has a pool of its own.
pub(super) fn databases(settings: &Settings) -> BTreeSet<(&ServerName, &str)> {
    let endpoints = placed(settings).map(|tenant| &tenant.placement.endpoint);
    endpoints.map(|one| (&one.server, &*one.database)).collect()
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
    for ((server, _), scope) in &mut scopes {
        scope.leave_out_shared_schemas();
        scope.wanted = wanted(server, settings);
    }
    scopes
}

fn wanted(server: &str, settings: &Settings) -> Wanted {
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
    let all = databases(settings);
    let of_role = placed(settings).filter(|tenant| {
        let server = settings.servers.get(&tenant.placement.endpoint.server);
        tenant.placement.identity == Identity::Server
            && is_this(&tenant.placement.endpoint.server)
            && server.is_some_and(|server| server.user == this.user)
    });
    let of_role: BTreeSet<_> = of_role
        .map(|tenant| {
            (
                &tenant.placement.endpoint.server,
                &tenant.placement.endpoint.database,
            )
        })
        .collect();
    Wanted {
        databases: all.iter().filter(|(name, _)| is_this(name)).count(),
        pool_size: settings.pool.size,
        shared_role: this.user.to_string(),
        databases_of_role: of_role.len(),
    }
}

impl Scope {
    fn add(&mut self, tenant: &Tenant, settings: &Settings) {
        let placement = &tenant.placement;
        let (role, password) = match &placement.identity {
            Identity::Tenant(role) => (&role.name, Some(Secret::new(&role.password))),
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

/// The names in a search path whose elements are all quoted.
fn unquote(search_path: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = search_path.chars().peekable();
    while rest.by_ref().any(|c| c == '"') {
        let mut name = String::new();
        while let Some(c) = rest.next() {
            if c != '"' {
                name.push(c);
            } else if rest.next_if_eq(&'"').is_some() {
                name.push('"');
            } else {
                break;
            }
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::unquote;

    #[test]
    fn a_quoted_search_path_is_taken_apart() {
        assert_eq!(unquote(r#""a", "b""c", "d, e""#), ["a", "b\"c", "d, e"]);
        assert!(unquote("").is_empty());
    }
}
