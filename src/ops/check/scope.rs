//! What there is to look at: the databases of the tenants, and how they use them.

use crate::config::{Isolation, IsolationKind, Secret, Settings};
use crate::tenant::{Attachment, Identity, Seal, Tenant};
use std::collections::{BTreeMap, BTreeSet};

/// One database, and what its tenants keep apart in it.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// The roles that clients' statements run as.
    pub(super) roles: BTreeSet<String>,
    /// The settings that its policies read, and the roles under which.
    pub(super) settings: BTreeMap<String, BTreeSet<String>>,
    /// Those of the settings that the configuration seals.
    pub(super) sealed: BTreeMap<String, Seal>,
    /// Tenants' own roles and their schemas, in pairs.
    pub(super) tenant_schemas: BTreeSet<(String, String)>,
    /// Whether it belongs to one tenant alone.
    pub(super) is_tenants_own: bool,
    /// Who can log in to it.
    pub(super) login: Option<(String, Option<Secret>)>,
}

/// The databases of all tenants, by server and name.
pub(super) fn scopes(settings: &Settings) -> BTreeMap<(String, String), Scope> {
    let mut scopes = BTreeMap::<_, Scope>::new();
    for tenant in &settings.tenants {
        let endpoint = &tenant.placement.endpoint;
        let key = (
            endpoint.server.as_str().to_owned(),
            endpoint.database.to_string(),
        );
        scopes.entry(key).or_default().add(tenant, settings);
    }
    for scope in scopes.values_mut() {
        scope.leave_out_shared_schemas();
    }
    scopes
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
            Attachment::Setting { name, .. } => {
                let roles = self.settings.entry(name.to_string()).or_default();
                roles.insert(role.to_string());
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
