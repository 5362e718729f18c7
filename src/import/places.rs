//! Which servers and which databases the entries of `[databases]` stand for.

use super::entries::Entry;
use super::values;
use crate::problem::Problem;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// PostgreSQL cuts longer names.
const MOST_NAME_BYTES: usize = 63;
/// The console's database.
const RESERVED: &str = "pgbouncer";

/// A server: a host with its port, or several, and the role that everybody is there.
pub(super) struct Server<'a> {
    /// The name of its section.
    pub(super) name: String,
    /// At least one.
    pub(super) hosts: Vec<&'a str>,
    /// Whether it was reached over a Unix-domain socket, and so is on this machine.
    pub(super) is_socket: bool,
    pub(super) port: u16,
    /// None where clients log in under their own names.
    pub(super) user: Option<&'a str>,
    /// The entries that say so.
    pub(super) entries: Vec<&'a Entry<'a>>,
}

impl Server<'_> {
    /// Whether its host is the folder of a Unix-domain socket.
    pub(super) fn is_folder(&self) -> bool {
        self.hosts.iter().any(|host| host.starts_with('/'))
    }
}

/// A database: what becomes a tenant.
pub(super) struct Database<'a> {
    /// Which of the servers.
    pub(super) server: usize,
    pub(super) name: &'a str,
    /// The entries that lead to it; the first one gives the tenant its name.
    pub(super) entries: Vec<&'a Entry<'a>>,
}

impl Database<'_> {
    /// The other names by which clients ask for it.
    pub(super) fn aliases(&self) -> Vec<&str> {
        let names = self.entries.iter().map(|entry| entry.name());
        names.filter(|name| *name != self.name).collect()
    }
}

/// What the entries stand for.
pub(super) struct Places<'a> {
    pub(super) servers: Vec<Server<'a>>,
    pub(super) databases: Vec<Database<'a>>,
    /// The server of the entry `*`.
    pub(super) fallback: Option<(usize, &'a Entry<'a>)>,
    /// Entries that lead to a database that is a tenant's already, under another role or
    /// by another address.
    pub(super) others: Vec<(&'a Entry<'a>, usize)>,
}

impl<'a> Places<'a> {
    pub(super) fn new(entries: &'a [Entry<'a>], problems: &mut Vec<Problem>) -> Self {
        let mut places = Self {
            servers: Vec::new(),
            databases: Vec::new(),
            fallback: None,
            others: Vec::new(),
        };
        for entry in entries {
            let server = places.server(entry, problems);
            if entry.name() == "*" {
                places.fallback = Some((server, entry));
            } else {
                check_name(entry, problems);
                places.database(server, entry);
            }
        }
        places.name_servers();
        places
    }

    fn server(&mut self, entry: &'a Entry<'a>, problems: &mut Vec<Problem>) -> usize {
        let (hosts, is_socket) = hosts(entry);
        let port = port(entry, problems);
        let user = entry.get("user");
        for (i, server) in self.servers.iter_mut().enumerate() {
            let is_same = (server.port, server.user) == (port, user)
                && (&server.hosts, server.is_socket) == (&hosts, is_socket);
            if is_same {
                server.entries.push(entry);
                return i;
            }
        }
        self.servers.push(Server {
            name: String::new(),
            hosts,
            is_socket,
            port,
            user,
            entries: vec![entry],
        });
        self.servers.len() - 1
    }

    /// Whether both are one server, or have a host in common.
    fn meet(&self, one: usize, other: usize) -> bool {
        let (Some(one), Some(other)) = (self.servers.get(one), self.servers.get(other)) else {
            return false;
        };
        let is_there = |host: &&str| other.hosts.iter().any(|other| is_same_host(host, other));
        one.port == other.port && one.hosts.iter().any(is_there)
    }

    fn database(&mut self, server: usize, entry: &'a Entry<'a>) {
        let name = entry.get("dbname").unwrap_or(entry.name());
        let found = self
            .databases
            .iter()
            .position(|one| one.name == name && self.meet(one.server, server));
        match found.and_then(|i| Some((i, self.databases.get_mut(i)?))) {
            Some((_, database)) if database.server == server => database.entries.push(entry),
            Some((i, _)) => self.others.push((entry, i)),
            None => self.databases.push(Database {
                server,
                name,
                entries: vec![entry],
            }),
        }
    }

    /// Gives each server a name that no other has.
    fn name_servers(&mut self) {
        let is_alone = self.servers.len() == 1;
        let mut taken = BTreeSet::new();
        for server in &mut self.servers {
            let host = server.hosts.first().filter(|_| !server.is_socket);
            let base = match is_alone {
                true => "main".to_owned(),
                false => plain(host.unwrap_or(&"local")),
            };
            let with_port = format!("{base}_{}", server.port);
            let other_port = (server.port != 5432).then(|| with_port.clone());
            let user = server.user.map(plain);
            let with_user = user.as_ref().map(|user| format!("{base}_{user}"));
            let both = user.as_ref().map(|user| format!("{with_port}_{user}"));
            let numbered = (2..).map(|n| format!("{base}_{n}"));
            let candidates = [Some(base.clone()), other_port, with_user, both];
            let mut candidates = candidates.into_iter().flatten().chain(numbered);
            if let Some(name) = candidates.find(|name| !taken.contains(name)) {
                taken.insert(name.clone());
                server.name = name;
            }
        }
    }
}

/// The hosts of an entry, or the folder of its Unix-domain socket; and whether it is that.
fn hosts<'a>(entry: &'a Entry<'_>) -> (Vec<&'a str>, bool) {
    let mut hosts: Vec<&str> = Vec::new();
    for host in entry.get("host").unwrap_or_default().split(',') {
        let host = host.trim();
        let is_known = hosts.iter().any(|known| is_same_host(known, host));
        if !host.is_empty() && !host.starts_with(['/', '@']) && !is_known {
            hosts.push(host);
        }
    }
    let mut all = entry.get("host").unwrap_or_default().split(',');
    match (hosts.is_empty(), all.find(|host| host.starts_with('/'))) {
        (true, Some(folder)) => (vec![folder], true),
        (true, None) => (vec!["127.0.0.1"], true),
        (false, _) => (hosts, false),
    }
}

/// Whether both are written for the same host.
fn is_same_host(one: &str, other: &str) -> bool {
    match (one.parse::<IpAddr>(), other.parse::<IpAddr>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one.eq_ignore_ascii_case(other),
    }
}

fn port(entry: &Entry<'_>, problems: &mut Vec<Problem>) -> u16 {
    let Some(text) = entry.get("port") else {
        return 5432;
    };
    let port = values::integer(text).and_then(|port| u16::try_from(port).ok());
    port.filter(|port| *port > 0).unwrap_or_else(|| {
        problems.push(entry.problem("port", "must be a number from 1 to 65535"));
        5432
    })
}

/// Whether the names can be those of databases.
fn check_name(entry: &Entry<'_>, problems: &mut Vec<Problem>) {
    let mut refuse = |reason: &str| {
        let key = Some(entry.name());
        problems.push(entry.setting.at.problem(key, reason));
    };
    if entry.name() == RESERVED {
        refuse("is the name of the console");
    }
    for name in [Some(entry.name()), entry.get("dbname")]
        .into_iter()
        .flatten()
    {
        if name.len() > MOST_NAME_BYTES {
            refuse("is longer than the 63 bytes that PostgreSQL keeps of a name");
        } else if name.contains(char::is_control) || name.trim() != name {
            refuse("has control characters, or spaces at its ends");
        }
    }
}

/// Letters, digits and underscores, as in the name of an environment variable.
fn plain(text: &str) -> String {
    let plain = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_lowercase(),
        false => '_',
    };
    text.chars().map(plain).collect()
}
