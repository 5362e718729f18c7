//! The server of the configuration that a URL is for.

use super::Url;
use crate::config::{Server, Settings};
use crate::tenant::ServerName;
use std::collections::BTreeSet;
use std::fmt;

/// A URL, and the sections `[servers.NAME]` that it is for: those that have its
/// host and port, or else all of them if they name one server.
///
/// Where the URL says nothing of TLS and has a section's host and port, the
/// section says how connections are secured.
#[derive(Debug, Clone)]
pub struct Account {
    url: Url,
    servers: BTreeSet<ServerName>,
}

/// Why a URL cannot be used with a configuration. Nothing of the URL is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// Its host and port are those of no section, and there are several servers.
    #[error(
        "the configuration has several servers, and the host and port of the URL are those of \
         none of them: {0}; write the URL with those of the server that it is for"
    )]
    NoServer(String),
    /// It is for another server than the one that is to be worked at.
    #[error(
        "the URL is for {given}, and {what} is on {wanted}: give a URL with that host and port"
    )]
    OtherServer {
        /// What is to be worked at.
        what: String,
        /// The servers that the URL is for.
        given: String,
        /// The server that it should be for.
        wanted: String,
    },
}

impl Account {
    /// Finds out which servers of the configuration the URL is for.
    ///
    /// # Errors
    /// [`AccountError::NoServer`].
    pub fn new(url: Url, settings: &Settings) -> Result<Self, AccountError> {
        let all = || settings.servers.values();
        let own: Vec<_> = all()
            .filter(|server| is_same(server, url.server()))
            .collect();
        if let Some(first) = own.first() {
            let servers = own.iter().map(|server| server.name.clone()).collect();
            let url = url.secured_as(first);
            return Ok(Self { url, servers });
        }
        let mut pairs = all().zip(all().skip(1));
        if pairs.any(|(one, next)| !is_same(one, next)) {
            let names = all().map(|server| Named(server).to_string());
            let names: Vec<_> = names.collect();
            return Err(AccountError::NoServer(names.join(", ")));
        }
        let servers = settings.servers.keys().cloned().collect();
        Ok(Self { url, servers })
    }

    /// Whether it is for the server of this name.
    #[must_use]
    pub fn is_for(&self, server: &str) -> bool {
        self.servers.iter().any(|name| name.as_str() == server)
    }

    /// The URL, for work at `what`, which is on the server of this name.
    ///
    /// # Errors
    /// [`AccountError::OtherServer`].
    pub fn at(
        &self,
        server: &ServerName,
        what: impl fmt::Display,
        settings: &Settings,
    ) -> Result<&Url, AccountError> {
        if self.servers.contains(server) {
            return Ok(&self.url);
        }
        let named = |name| match settings.servers.get(name) {
            Some(server) => Named(server).to_string(),
            None => format!("server \"{name}\""),
        };
        let given: Vec<_> = self.servers.iter().map(named).collect();
        Err(AccountError::OtherServer {
            what: what.to_string(),
            given: given.join(" and "),
            wanted: named(server),
        })
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }
}

/// A server as people find it in the configuration.
struct Named<'a>(&'a Server);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Server { name, hosts, .. } = self.0;
        write!(f, "server \"{name}\" ({hosts})")
    }
}

fn is_same(one: &Server, other: &Server) -> bool {
    one.hosts.meet(&other.hosts)
}
