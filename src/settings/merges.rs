//! Two tenants must never turn out to be one.

use super::problem::shown;
use super::tenants::Placed;
use crate::settings::Server;
use crate::tenant::{Attachment, Identity, ServerName};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Notes every tenant that would reach what is another one's.
///
/// Servers are compared by host and port, because one may have two sections.
pub(super) fn check(placed: &[Placed<'_>], servers: &BTreeMap<ServerName, Server>) {
    let owners = owners(placed, servers);
    let shared: BTreeSet<_> = placed
        .iter()
        .filter(|one| !matches!(one.tenant.placement.attachment, Attachment::Database))
        .map(|one| place(one, servers))
        .collect();
    for one in placed {
        let at = place(one, servers);
        if matches!(one.tenant.placement.attachment, Attachment::Database) && shared.contains(&at) {
            one.section.refuse_section(format!(
                "tenant {one} would have {at} to itself, but tenants of another isolation \
                     have their data in it"
            ));
        }
        for (i, schema) in one.schemas.iter().enumerate() {
            let claim = Claim::Schema(at.clone(), schema.clone());
            if i != one.own_schema
                && let Some(owner) = owners.get(&claim)
                && owner.tenant.id != one.tenant.id
            {
                one.section.refuse_section(format!(
                    "tenant {one} has {claim} in its search_path, but it is the one of tenant \
                     {owner}: two tenants must not share it"
                ));
            }
        }
        check_role(one, servers);
    }
}

/// Who owns what; a second owner is a problem.
fn owners<'p, 'a>(
    placed: &'p [Placed<'a>],
    servers: &BTreeMap<ServerName, Server>,
) -> BTreeMap<Claim, &'p Placed<'a>> {
    let mut owners: BTreeMap<Claim, &Placed<'_>> = BTreeMap::new();
    for one in placed {
        for claim in claims(one, servers) {
            if let Some(owner) = owners.get(&claim) {
                one.section.refuse_section(format!(
                    "tenant {one} would have {claim}, but it is the one of tenant {owner}: two \
                     tenants must not share it"
                ));
            } else {
                owners.insert(claim, one);
            }
        }
    }
    owners
}

/// A tenant's own role must not be the one that tenants share.
fn check_role(one: &Placed<'_>, servers: &BTreeMap<ServerName, Server>) {
    let Identity::Tenant(role) = &one.tenant.placement.identity else {
        return;
    };
    let host = Host::of(&one.tenant.placement.endpoint.server, servers);
    let shared = servers
        .values()
        .find(|server| server.user == role.name && Host::of(&server.name, servers) == host);
    if let Some(server) = shared {
        one.section.refuse_section(format!(
            "tenant {one} would have role {}, but it is the user of [servers.{}], which tenants \
             share",
            shown(&role.name),
            server.name
        ));
    }
}

/// What belongs to one tenant alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Value(Place, String, String),
    Schema(Place, String),
    Role(Host, String),
    Database(Place),
}

/// A database of a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place(Host, String);

/// A server's host and port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Host(String, u16);

impl Host {
    fn of(name: &ServerName, servers: &BTreeMap<ServerName, Server>) -> Self {
        match servers.get(name) {
            Some(server) => Self(server.host.to_lowercase(), server.port),
            // A server with a problem of its own; no host name has a slash.
            None => Self(format!("/{name}"), 0),
        }
    }
}

fn place(one: &Placed<'_>, servers: &BTreeMap<ServerName, Server>) -> Place {
    let endpoint = &one.tenant.placement.endpoint;
    Place(
        Host::of(&endpoint.server, servers),
        endpoint.database.to_string(),
    )
}

fn claims(one: &Placed<'_>, servers: &BTreeMap<ServerName, Server>) -> Vec<Claim> {
    let at = place(one, servers);
    let host = at.0.clone();
    let attached = match &one.tenant.placement.attachment {
        Attachment::Setting { name, value, .. } => {
            Some(Claim::Value(at, name.to_string(), meaning(value)))
        }
        Attachment::Schema { .. } => {
            let own = one.schemas.get(one.own_schema);
            own.map(|schema| Claim::Schema(at, schema.clone()))
        }
        Attachment::Database => Some(Claim::Database(at)),
    };
    let role = match &one.tenant.placement.identity {
        Identity::Tenant(role) => Some(Claim::Role(host, role.name.to_string())),
        Identity::Server => None,
    };
    attached.into_iter().chain(role).collect()
}

/// The value as the casts of policies read it: PostgreSQL takes hyphens of a
/// UUID in several places, and `007` is the integer `7`.
fn meaning(value: &str) -> String {
    let digits: String = value.chars().filter(|c| !"{}-".contains(*c)).collect();
    if digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return digits.to_lowercase();
    }
    let (minus, number) = match value.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", value.strip_prefix('+').unwrap_or(value)),
    };
    if number.is_empty() || !number.chars().all(|c| c.is_ascii_digit()) {
        return value.to_owned();
    }
    match number.trim_start_matches('0') {
        "" => "0".into(),
        number => format!("{minus}{number}"),
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(at, setting, value) => {
                write!(f, "{setting} = {} in {at}", shown(value))
            }
            Self::Schema(at, schema) => write!(f, "schema {} in {at}", shown(schema)),
            Self::Role(host, role) => write!(f, "role {} on {host}", shown(role)),
            Self::Database(at) => write!(f, "{at}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database {} on {}", shown(&self.1), self.0)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            0 => write!(f, "servers.{}", self.0.trim_start_matches('/')),
            port => write!(f, "{}:{port}", self.0),
        }
    }
}

impl fmt::Display for Placed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = shown(self.tenant.id.as_str());
        write!(f, "{id} ({})", self.section.path())
    }
}
