//! Two tenants must never turn out to be one.

use super::declared::DeclaredTenant;
use crate::problem::{Problem, shown};
use crate::tenant::{Attachment, Identity, ServerName};
use foldhash::fast::RandomState;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// A problem for every tenant that would reach what is another one's.
///
/// Servers are compared by host and port, because one may have two sections.
pub(crate) fn conflicts(tenants: &[DeclaredTenant], hosts: &Hosts) -> Vec<Problem> {
    let mut problems = Vec::new();
    let owners = owners(tenants, hosts, &mut problems);
    let shared: HashSet<_> = tenants
        .iter()
        .filter(|one| !is_database(one))
        .map(|one| hosts.place(one))
        .collect();
    for one in tenants {
        let at = hosts.place(one);
        if is_database(one) && shared.contains(&at) {
            problems.push(one.place.problem(not_alone(one, &at)));
        }
        for what in others_schemas(one, &at) {
            if let Some(owner) = owners.get(&what)
                && owner.tenant.id != one.tenant.id
            {
                let reason = in_search_path(one, &what, owner);
                problems.push(one.place.problem(reason));
            }
        }
        if let Some(reason) = shared_role(one, hosts) {
            problems.push(one.place.problem(reason));
        }
    }
    problems
}

/// Who owns what; a second owner is a problem.
fn owners<'p>(
    tenants: &'p [DeclaredTenant],
    hosts: &Hosts,
    problems: &mut Vec<Problem>,
) -> HashMap<Exclusive<'p>, &'p DeclaredTenant> {
    let mut owners: HashMap<Exclusive<'_>, &DeclaredTenant> = HashMap::new();
    for one in tenants {
        for what in exclusives(one, hosts) {
            if let Some(owner) = owners.get(&what) {
                problems.push(one.place.problem(would_have(one, &what, owner)));
            } else {
                owners.insert(what, one);
            }
        }
    }
    owners
}

/// What tenants have so far, when they come one by one: whoever comes first
/// holds it.
pub(super) struct Holdings<'p> {
    hosts: &'p Hosts,
    owners: HashMap<Exclusive<'p>, &'p DeclaredTenant, RandomState>,
    /// The databases in which tenants have their data together.
    shared: HashMap<At<'p>, &'p DeclaredTenant, RandomState>,
    /// The schemas that a tenant has in its search path and not as its own.
    mentioned: HashMap<Exclusive<'p>, &'p DeclaredTenant, RandomState>,
    common: &'p CommonSchemas,
}

/// The schemas that every tenant of an isolation has in its search path, by their
/// database; the server may be another for each tenant.
pub(crate) type CommonSchemas = BTreeMap<Arc<str>, BTreeSet<String>>;

impl<'p> Holdings<'p> {
    /// What the tenants of the files have.
    pub(super) fn new(
        files: &'p [DeclaredTenant],
        hosts: &'p Hosts,
        common: &'p CommonSchemas,
    ) -> Self {
        let mut holdings = Self {
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
    pub(super) fn admit(&mut self, one: &'p DeclaredTenant) -> Result<(), String> {
        let at = self.hosts.place(one);
        for what in exclusives(one, self.hosts) {
            if let Some(owner) = self.owners.get(&what) {
                return Err(would_have(one, &what, owner));
            }
            if let Exclusive::Schema(At(_, database), schema) = what
                && self
                    .common
                    .get(database)
                    .is_some_and(|all| all.contains(schema))
            {
                return Err(format!(
                    "tenant {one} would have {what}, which all tenants of an isolation share"
                ));
            }
            if let Some(other) = self.mentioned.get(&what) {
                return Err(format!(
                    "tenant {one} would have {what}, but tenant {other} has it in its search_path"
                ));
            }
        }
        if is_database(one) && self.shared.contains_key(&at) {
            return Err(not_alone(one, &at));
        }
        if !is_database(one)
            && let Some(owner) = self.owners.get(&Exclusive::Database(at.clone()))
        {
            return Err(format!(
                "tenant {one} would have its data in {at}, but tenant {owner} has that to itself"
            ));
        }
        for what in others_schemas(one, &at) {
            if let Some(owner) = self.owners.get(&what) {
                return Err(in_search_path(one, &what, owner));
            }
        }
        if let Some(reason) = shared_role(one, self.hosts) {
            return Err(reason);
        }
        self.hold(one);
        Ok(())
    }

    fn hold(&mut self, one: &'p DeclaredTenant) {
        let at = self.hosts.place(one);
        for what in exclusives(one, self.hosts) {
            self.owners.insert(what, one);
        }
        for what in others_schemas(one, &at) {
            self.mentioned.insert(what, one);
        }
        if !is_database(one) {
            self.shared.insert(at, one);
        }
    }
}

fn is_database(one: &DeclaredTenant) -> bool {
    matches!(one.tenant.placement.attachment, Attachment::Database)
}

fn not_alone(one: &DeclaredTenant, at: &At<'_>) -> String {
    format!(
        "tenant {one} would have {at} to itself, but tenants of another isolation have their data \
         in it"
    )
}

fn would_have(one: &DeclaredTenant, what: &Exclusive<'_>, owner: &DeclaredTenant) -> String {
    format!(
        "tenant {one} would have {what}, but it is the one of tenant {owner}: two tenants must \
         not share it"
    )
}

fn in_search_path(one: &DeclaredTenant, what: &Exclusive<'_>, owner: &DeclaredTenant) -> String {
    format!(
        "tenant {one} has {what} in its search_path, but it is the one of tenant {owner}: two \
         tenants must not share it"
    )
}

/// A tenant's own role must not be the one that tenants share.
fn shared_role(one: &DeclaredTenant, hosts: &Hosts) -> Option<String> {
    let Identity::Tenant(role) = &one.tenant.placement.identity else {
        return None;
    };
    let host = hosts.find(&one.tenant.placement.endpoint.server);
    let mut servers = hosts.servers.iter();
    let is_there = |one: &Shared| hosts.stands_for(&one.host) == host;
    let (shared, _) = servers.find(|(_, one)| one.user == role.name && is_there(one))?;
    Some(format!(
        "tenant {one} would have role {}, but it is the user of [servers.{}], which tenants share",
        shown(&role.name),
        shared,
    ))
}

/// What belongs to one tenant alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Exclusive<'p> {
    Value(At<'p>, &'p str, Cow<'p, str>),
    Schema(At<'p>, &'p str),
    Role(Host, &'p str),
    Database(At<'p>),
}

/// A database of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct At<'p>(Host, &'p str);

/// A server's host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Host(Arc<str>, u16);

/// Where the servers are, and as whom tenants share them.
pub(crate) struct Hosts {
    servers: BTreeMap<ServerName, Shared>,
    /// Of the hosts of one server, the one that stands for all.
    standing: BTreeMap<Host, Host>,
}

struct Shared {
    host: Host,
    user: Arc<str>,
}

impl Hosts {
    /// No server.
    pub(crate) fn new() -> Self {
        Self {
            servers: BTreeMap::new(),
            standing: BTreeMap::new(),
        }
    }

    /// Adds a server, with the user that tenants share there. Sections that have a host
    /// in common are one server.
    pub(crate) fn add<'h>(
        &mut self,
        name: &ServerName,
        hosts: impl Iterator<Item = (&'h str, u16)>,
        user: &Arc<str>,
    ) {
        let hosts = hosts.map(|(host, port)| Host(Arc::from(host.to_lowercase()), port));
        let hosts: Vec<_> = hosts.collect();
        let Some(first) = hosts.first().cloned() else {
            return;
        };
        let known = hosts.iter().filter_map(|host| self.standing.get(host));
        let joined: Vec<_> = known.cloned().collect();
        let one = joined.first().unwrap_or(&first).clone();
        for standing in self.standing.values_mut() {
            if joined.contains(standing) {
                *standing = one.clone();
            }
        }
        for host in hosts {
            self.standing.insert(host, one.clone());
        }
        let (host, user) = (first, user.clone());
        self.servers.insert(name.clone(), Shared { host, user });
    }

    fn stands_for(&self, host: &Host) -> Host {
        self.standing.get(host).unwrap_or(host).clone()
    }

    fn find(&self, name: &ServerName) -> Host {
        match self.servers.get(name) {
            Some(shared) => self.stands_for(&shared.host),
            // A server with a problem of its own; no host name has a slash.
            None => Host(Arc::from(format!("/{name}")), 0),
        }
    }

    fn place<'p>(&self, one: &'p DeclaredTenant) -> At<'p> {
        let endpoint = &one.tenant.placement.endpoint;
        At(self.find(&endpoint.server), &endpoint.database)
    }
}

fn exclusives<'p>(
    one: &'p DeclaredTenant,
    hosts: &Hosts,
) -> impl Iterator<Item = Exclusive<'p>> + use<'p> {
    let at = hosts.place(one);
    let host = at.0.clone();
    let attached = match &one.tenant.placement.attachment {
        Attachment::Setting { name, value, .. } => Some(Exclusive::Value(at, name, meaning(value))),
        Attachment::Schema { .. } => {
            let own = one.schemas.get(one.own_schema);
            own.map(|schema| Exclusive::Schema(at, schema))
        }
        Attachment::Database => Some(Exclusive::Database(at)),
    };
    let role = match &one.tenant.placement.identity {
        Identity::Tenant(role) => Some(Exclusive::Role(host.clone(), &role.name)),
        Identity::Server | Identity::Masked(_) => None,
    };
    let masked = one.tenant.masked.as_deref();
    let masked_role = masked.and_then(|place| match &place.identity {
        Identity::Tenant(role) => Some(Exclusive::Role(host, &role.name)),
        Identity::Server | Identity::Masked(_) => None,
    });
    let of_schemas = masked.filter(|place| matches!(place.attachment, Attachment::Schema { .. }));
    let masked_schema = of_schemas.map(|place| Exclusive::Schema(hosts.place(one), &place.schema));
    let masked = masked_role.into_iter().chain(masked_schema);
    attached.into_iter().chain(role).chain(masked)
}

/// The schemas of its search path that are not its own.
fn others_schemas<'p>(one: &'p DeclaredTenant, at: &At<'p>) -> Vec<Exclusive<'p>> {
    let schemas = one.schemas.iter().enumerate();
    schemas
        .filter(|(i, _)| *i != one.own_schema)
        .map(|(_, schema)| Exclusive::Schema(at.clone(), schema))
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

impl fmt::Display for Exclusive<'_> {
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
