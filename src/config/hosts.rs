//! Where a server is: `host` and `port`, or `hosts` and `target`, of `[servers.NAME]`.
//! A host that begins with a slash is the folder of a Unix-domain socket, as in libpq.

use super::reader::{Entry, Section};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A host and its port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    /// Host name or address, or the folder of a Unix-domain socket.
    pub name: Arc<str>,
    /// TCP port; it is part of a Unix-domain socket's name, too.
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.socket() {
            Some(socket) => write!(f, "{}", socket.display()),
            None if self.name.contains(':') => write!(f, "[{}]:{}", self.name, self.port),
            None => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

impl Host {
    /// The Unix-domain socket, where it is one.
    #[must_use]
    pub fn socket(&self) -> Option<PathBuf> {
        let is_folder = self.name.starts_with('/');
        is_folder.then(|| Path::new(&*self.name).join(format!(".s.PGSQL.{}", self.port)))
    }

    /// Whether both are written for the same place.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let address = |host: &str| host.parse::<IpAddr>().ok();
        let name = match (address(&self.name), address(&other.name)) {
            (Some(one), Some(other)) => one == other,
            _ if self.name.starts_with('/') => self.name == other.name,
            _ => self.name.eq_ignore_ascii_case(&other.name),
        };
        name && self.port == other.port
    }
}

/// The hosts of a server, at least one: a primary and its standbys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    first: Host,
    others: Arc<[Host]>,
}

impl Hosts {
    /// One host.
    #[must_use]
    pub fn one(name: &str, port: u16) -> Self {
        let name = Arc::from(name);
        Self {
            first: Host { name, port },
            others: Arc::from([]),
        }
    }

    /// The one that is written first.
    #[must_use]
    pub fn first(&self) -> &Host {
        &self.first
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Host> {
        [&self.first].into_iter().chain(&*self.others)
    }

    /// Whether there are several.
    #[must_use]
    pub fn are_several(&self) -> bool {
        !self.others.is_empty()
    }

    /// Whether one of them is a name, which may lead to another address tomorrow.
    #[must_use]
    pub fn have_names(&self) -> bool {
        self.iter()
            .any(|one| one.socket().is_none() && one.name.parse::<IpAddr>().is_err())
    }

    /// The one of this number.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&Host> {
        self.iter().nth(number)
    }

    /// Whether each of them is one of the others.
    #[must_use]
    pub fn are_among(&self, others: &Self) -> bool {
        self.iter()
            .all(|one| others.iter().any(|other| one.is_same(other)))
    }

    /// Whether one of them is one of the others: then it is the same server.
    #[must_use]
    pub fn meet(&self, other: &Self) -> bool {
        self.iter()
            .any(|one| other.iter().any(|other| one.is_same(other)))
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        self.others.iter().try_for_each(|one| write!(f, ", {one}"))
    }
}

/// Which of the hosts connections go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetRole {
    /// Whichever answers.
    Any,
    /// The primary: it takes writes.
    Primary,
    /// A standby: it replays what the primary does.
    Replica,
}

impl TargetRole {
    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}

const DEFAULT_PORT: u16 = 5432;
/// Systems have room for some hundred bytes: macOS 103, Linux 107. Names are shorter.
const LONGEST_FOLDER: usize = 103 - "/.s.PGSQL.65535".len();
/// More are no standbys of one primary.
const MOST: usize = 32;

pub(super) fn read(section: &mut Section<'_>) -> Option<(Hosts, TargetRole)> {
    let several = section.optional("hosts");
    let target = section.optional("target").map(|entry| {
        entry.choice(&[
            ("any", TargetRole::Any),
            ("primary", TargetRole::Primary),
            ("replica", TargetRole::Replica),
        ])
    });
    let hosts = match several {
        Some(entry) => {
            for key in ["host", "port"] {
                section.refuse(key, "has no meaning beside `hosts`: keep one of them");
            }
            list(&entry)
        }
        None => one(section),
    };
    let hosts = hosts?;
    let usual = match hosts.are_several() {
        _ if section.has("replica_of") => TargetRole::Replica,
        true => TargetRole::Primary,
        false => TargetRole::Any,
    };
    Some((hosts, target.unwrap_or(Some(usual))?))
}

fn one(section: &mut Section<'_>) -> Option<Hosts> {
    let host = section.required("host", "the host name or address of the server, or `hosts`");
    let host = host.and_then(|entry| {
        let host = entry.text()?;
        if !is_host(host) && !host.starts_with('/') {
            entry.refuse(
                "must be a host name or an address alone, such as \"db.example.com\" or \"10.0.0.5\", \
                 or the folder of a Unix-domain socket, such as \"/var/run/postgresql\"; the port \
                 has a key of its own",
            );
            return None;
        }
        if host.starts_with('/') && host.len() > LONGEST_FOLDER {
            entry.refuse(format!(
                "is too long for a Unix-domain socket: at most {LONGEST_FOLDER} bytes"
            ));
            return None;
        }
        Some(host)
    });
    let port = match section.optional("port") {
        Some(entry) => entry.integer(1..=65535).and_then(|n| u16::try_from(n).ok()),
        None => Some(DEFAULT_PORT),
    };
    Some(Hosts::one(host?, port?))
}

fn list(entry: &Entry<'_>) -> Option<Hosts> {
    let mut hosts: Vec<Host> = Vec::new();
    let mut is_right = true;
    let texts = entry.texts()?;
    for text in &texts {
        match host(text) {
            Some(host) if hosts.iter().any(|known| known.is_same(&host)) => {
                entry.refuse(format!("has {text:?} twice"));
                is_right = false;
            }
            Some(host) => hosts.push(host),
            None => {
                entry.refuse(format!(
                    "has {text:?}, which must be a host name or an address, with a port or \
                     without: \"db1.example.com:5432\", \"10.0.0.5\", \"[2001:db8::5]:5432\""
                ));
                is_right = false;
            }
        }
    }
    if texts.is_empty() || texts.len() > MOST {
        entry.refuse(format!(
            "must have 1 to {MOST} hosts: [\"db1:5432\", \"db2:5432\"]"
        ));
        return None;
    }
    let mut hosts = hosts.into_iter();
    let first = hosts.next().filter(|_| is_right)?;
    let others = hosts.collect();
    Some(Hosts { first, others })
}

/// `name`, `name:port`, `[address]:port` or a bare address.
pub(super) fn host(text: &str) -> Option<Host> {
    let made = |name: &str, port: &str| {
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let name = Arc::from(name);
        Some(Host { name, port })
    };
    let usual = |name: &str| made(name, &DEFAULT_PORT.to_string());
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        address.parse::<std::net::Ipv6Addr>().ok()?;
        return match rest {
            "" => usual(address),
            rest => made(address, rest.strip_prefix(':')?),
        };
    }
    if is_host(text) {
        return usual(text);
    }
    let (name, port) = text.rsplit_once(':')?;
    is_host(name).then(|| made(name, port))?
}

fn is_host(name: &str) -> bool {
    rustls::pki_types::ServerName::try_from(name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_with_its_port_or_without() {
        let read = |text: &str| host(text).map(|host| host.to_string());
        for (text, expected) in [
            ("db1", Some("db1:5432")),
            ("db1.example.com:6000", Some("db1.example.com:6000")),
            ("10.0.0.5", Some("10.0.0.5:5432")),
            ("10.0.0.5:1", Some("10.0.0.5:1")),
            ("[::1]:7", Some("[::1]:7")),
            ("[::1]", Some("[::1]:5432")),
            ("::1", Some("[::1]:5432")),
            ("db1:0", None),
            ("db1:x", None),
            ("db1:", None),
            (":5432", None),
            ("[::1", None),
            ("[db1]:1", None),
            ("/var/run", None),
            ("", None),
        ] {
            assert_eq!(read(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn servers_that_share_a_host_are_one() {
        let hosts = |texts: &[&str]| {
            let mut all = texts.iter().map(|text| host(text).unwrap());
            Hosts {
                first: all.next().unwrap(),
                others: all.collect(),
            }
        };
        let three = hosts(&["a", "b:1", "[::1]"]);
        assert!(three.meet(&hosts(&["c", "B:1"])));
        assert!(three.meet(&hosts(&["[0:0::1]:5432"])));
        assert!(!three.meet(&hosts(&["b", "c"])));
        assert_eq!(three.to_string(), "a:5432, b:1, [::1]:5432");
    }
}
