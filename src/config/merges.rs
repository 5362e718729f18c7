//! Two tenants must never turn out to be one.

use super::isolation::{Isolations, Kind};
use super::problem::shown;
use super::reader::Reader;
use super::tenants::Placed;
use crate::config::Server;
use crate::tenant::{Attachment, Identity, ServerName};
use foldhash::fast::RandomState;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// Notes every tenant of the files that would reach what is another one's.
///
/// Servers are compared by host and port, because one may have two sections.
pub(super) fn check(placed: &[Placed], servers: &BTreeMap<ServerName, Server>, reader: &Reader) {
    let hosts = Hosts::new(servers);
    let owners = owners(placed, &hosts, reader);
    let shared: HashSet<_> = placed
        .iter()
        .filter(|one| !is_database(one))
        .map(|one| hosts.place(one))
        .collect();
    for one in placed {
        let at = hosts.place(one);
        if is_database(one) && shared.contains(&at) {
            reader.refuse(
                &one.place,
                format!(
                    "tenant {one} would have {at} to itself, but tenants of another isolation \
                     have their data in it"
                ),
            );
        }
        for claim in others_schemas(one, &at) {
            if let Some(owner) = owners.get(&claim)
                && owner.tenant.id != one.tenant.id
            {
                reader.refuse(&one.place, in_search_path(one, &claim, owner));
            }
        }
        if let Some(reason) = shared_role(one, servers, &hosts) {
            reader.refuse(&one.place, reason);
        }
    }
}

/// Who owns what; a second owner is a problem.
fn owners<'p>(
    placed: &'p [Placed],
    hosts: &Hosts,
    reader: &Reader,
) -> HashMap<Claim<'p>, &'p Placed> {
    let mut owners: HashMap<Claim<'_>, &Placed> = HashMap::new();
    for one in placed {
        for claim in claims(one, hosts) {
            if let Some(owner) = owners.get(&claim) {
                reader.refuse(&one.place, would_have(one, &claim, owner));
            } else {
                owners.insert(claim, one);
            }
        }
    }
    owners
}

/// What tenants have so far, when they come one by one: whoever comes first
/// holds it.
pub(super) struct Holdings<'p> {
    servers: &'p BTreeMap<ServerName, Server>,
    hosts: Hosts,
    owners: HashMap<Claim<'p>, &'p Placed, RandomState>,
    /// The databases in which tenants have their data together.
    shared: HashMap<At<'p>, &'p Placed, RandomState>,
    /// The schemas that a tenant has in its search path and not as its own.
    mentioned: HashMap<Claim<'p>, &'p Placed, RandomState>,
    /// The schemas that every tenant of an isolation has in its search path, each
    /// with its database; the server may be another for each tenant.
    common: HashSet<(&'p str, &'p str)>,
}

impl<'p> Holdings<'p> {
    /// What the tenants of the files have.
    pub(super) fn new(
        files: &'p [Placed],
        isolations: &'p Isolations,
        servers: &'p BTreeMap<ServerName, Server>,
    ) -> Self {
        let hosts = Hosts::new(servers);
        let mut common = HashSet::new();
        for plan in isolations.valid.values() {
            if let Kind::Schema { database, .. } = &plan.kind {
                let schemas = plan.common_schemas();
                common.extend(schemas.map(|schema| (&**database, schema)));
            }
        }
        let mut holdings = Self {
            servers,
            hosts,
            owners: HashMap::default(),
            shared: HashMap::default(),
            mentioned: HashMap::default(),
            common,
        };
        for one in files {
            holdings.hold(one);
        }
        holdings
    }

    /// Adds the tenant, or says what of another's it would reach.
    pub(super) fn admit(&mut self, one: &'p Placed) -> Result<(), String> {
        let at = self.hosts.place(one);
        for claim in claims(one, &self.hosts) {
            if let Some(owner) = self.owners.get(&claim) {
                return Err(would_have(one, &claim, owner));
            }
            if let Claim::Schema(At(_, database), schema) = claim
                && self.common.contains(&(database, schema))
            {
                return Err(format!(
                    "tenant {one} would have {claim}, which all tenants of an isolation share"
                ));
            }
            if let Some(other) = self.mentioned.get(&claim) {
                return Err(format!(
                    "tenant {one} would have {claim}, but tenant {other} has it in its search_path"
                ));
            }
        }
        if is_database(one) && self.shared.contains_key(&at) {
            return Err(format!(
                "tenant {one} would have {at} to itself, but tenants of another isolation have \
                 their data in it"
            ));
        }
        if !is_database(one)
            && let Some(owner) = self.owners.get(&Claim::Database(at.clone()))
        {
            return Err(format!(
                "tenant {one} would have its data in {at}, but tenant {owner} has that to itself"
            ));
        }
        for claim in others_schemas(one, &at) {
            if let Some(owner) = self.owners.get(&claim) {
                return Err(in_search_path(one, &claim, owner));
            }
        }
        if let Some(reason) = shared_role(one, self.servers, &self.hosts) {
            return Err(reason);
        }
        self.hold(one);
        Ok(())
    }

    fn hold(&mut self, one: &'p Placed) {
        let at = self.hosts.place(one);
        for claim in claims(one, &self.hosts) {
            self.owners.insert(claim, one);
        }
        for claim in others_schemas(one, &at) {
            self.mentioned.insert(claim, one);
        }
        if !is_database(one) {
            self.shared.insert(at, one);
        }
    }
}

fn is_database(one: &Placed) -> bool {
    matches!(one.tenant.placement.attachment, Attachment::Database)
}

fn would_have(one: &Placed, claim: &Claim<'_>, owner: &Placed) -> String {
    format!(
        "tenant {one} would have {claim}, but it is the one of tenant {owner}: two tenants must \
         not share it"
    )
}

fn in_search_path(one: &Placed, claim: &Claim<'_>, owner: &Placed) -> String {
    format!(
        "tenant {one} has {claim} in its search_path, but it is the one of tenant {owner}: two \
         tenants must not share it"
    )
}

/// A tenant's own role must not be the one that tenants share.
fn shared_role(
    one: &Placed,
    servers: &BTreeMap<ServerName, Server>,
    hosts: &Hosts,
) -> Option<String> {
    let Identity::Tenant(role) = &one.tenant.placement.identity else {
        return None;
    };
    let host = hosts.find(&one.tenant.placement.endpoint.server);
    let shared = servers
        .values()
        .find(|server| server.user == role.name && hosts.find(&server.name) == host)?;
    Some(format!(
        "tenant {one} would have role {}, but it is the user of [servers.{}], which tenants share",
        shown(&role.name),
        shared.name
    ))
}

/// What belongs to one tenant alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Claim<'p> {
    Value(At<'p>, &'p str, Cow<'p, str>),
    Schema(At<'p>, &'p str),
    Role(Host, &'p str),
    Database(At<'p>),
}

/// A database of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct At<'p>(Host, &'p str);

/// A server's host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Host(Arc<str>, u16);

/// The hosts of the servers.
struct Hosts(BTreeMap<ServerName, Host>);

impl Hosts {
    fn new(servers: &BTreeMap<ServerName, Server>) -> Self {
        let host = |(name, server): (&ServerName, &Server)| {
            let host = Host(Arc::from(server.host.to_lowercase()), server.port);
            (name.clone(), host)
        };
        Self(servers.iter().map(host).collect())
    }

    fn find(&self, name: &ServerName) -> Host {
        match self.0.get(name) {
            Some(host) => host.clone(),
            // A server with a problem of its own; no host name has a slash.
            None => Host(Arc::from(format!("/{name}")), 0),
        }
    }

    fn place<'p>(&self, one: &'p Placed) -> At<'p> {
        let endpoint = &one.tenant.placement.endpoint;
        At(self.find(&endpoint.server), &endpoint.database)
    }
}

fn claims<'p>(one: &'p Placed, hosts: &Hosts) -> impl Iterator<Item = Claim<'p>> + use<'p> {
    let at = hosts.place(one);
    let host = at.0.clone();
    let attached = match &one.tenant.placement.attachment {
        Attachment::Setting { name, value, .. } => Some(Claim::Value(at, name, meaning(value))),
        Attachment::Schema { .. } => {
            let own = one.schemas.get(one.own_schema);
            own.map(|schema| Claim::Schema(at, schema))
        }
        Attachment::Database => Some(Claim::Database(at)),
    };
    let role = match &one.tenant.placement.identity {
        Identity::Tenant(role) => Some(Claim::Role(host, &role.name)),
        Identity::Server => None,
    };
    attached.into_iter().chain(role)
}

/// The schemas of its search path that are not its own.
fn others_schemas<'p>(one: &'p Placed, at: &At<'p>) -> Vec<Claim<'p>> {
    let schemas = one.schemas.iter().enumerate();
    schemas
        .filter(|(i, _)| *i != one.own_schema)
        .map(|(_, schema)| Claim::Schema(at.clone(), schema))
        .collect()
}

/// The value as the casts of policies read it: PostgreSQL takes hyphens of a
/// UUID in several places, and `007` is the integer `7`.
fn meaning(value: &str) -> Cow<'_, str> {
    let digits: String = value.chars().filter(|c| !"{}-".contains(*c)).collect();
    if digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Cow::Owned(digits.to_lowercase());
    }
    let (minus, number) = match value.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", value.strip_prefix('+').unwrap_or(value)),
    };
    if number.is_empty() || !number.chars().all(|c| c.is_ascii_digit()) {
        return Cow::Borrowed(value);
    }
    match number.trim_start_matches('0') {
        "" => Cow::Borrowed("0"),
        number => Cow::Owned(format!("{minus}{number}")),
    }
}

impl fmt::Display for Claim<'_> {
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

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database {} on {}", shown(self.1), self.0)
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

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = shown(self.tenant.id.as_str());
        write!(f, "{id} ({})", self.place)
    }
}
