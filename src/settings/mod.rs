//! The configuration: file and environment, parsed once into types.
//!
//! [`load`] reads the file, lays the environment over it and returns
//! [`Settings`], in which every name is resolved and every value is valid, or
//! *all* the [`Problem`]s at once. Nothing that has been loaded needs to be
//! checked again.

use crate::guard;
use crate::tenant::{Directory, ServerName, SharedTenant};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything that the proxy is told.
#[derive(Debug)]
pub struct Settings {
    /// `[listen]`
    pub listen: Listen,
    /// `[tls]`
    pub tls: ClientTls,
    /// `[servers.NAME]`
    pub servers: BTreeMap<ServerName, Server>,
    /// `[pool]`
    pub pool: Pool,
    /// `[guard]`
    pub guard: guard::Options,
    /// `[[tenants]]`, each with its isolation resolved.
    pub tenants: Vec<SharedTenant>,
    /// `[[logins]]`
    pub directory: Directory,
    /// `[log]`
    pub log: Log,
}

/// `[listen]`: where clients arrive and how many may.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Addresses to listen on (key `address`: one text or a list).
    pub addresses: Vec<SocketAddr>,
    /// Most clients at once, those that are logging in included.
    pub max_clients: usize,
    /// Most time from connecting to the end of the login.
    pub login_timeout: Duration,
    /// Most time that running transactions get when the proxy is told to stop.
    pub drain_timeout: Duration,
    /// Worker threads; each serves its share of the clients.
    pub workers: usize,
}

/// `[tls]` towards clients.
#[derive(Debug, Clone)]
pub enum ClientTls {
    /// `mode = "off"`: clear text only.
    Off,
    /// `mode = "allow"`: both.
    Allow(ClientCertificates),
    /// `mode = "require"`: clear text is refused.
    Require(ClientCertificates),
}

/// What the proxy shows to clients.
#[derive(Debug, Clone)]
pub struct ClientCertificates {
    /// PEM file with the certificate chain, the proxy's own first.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
    /// Built from them (rustls), certificate and key proved to belong together.
    pub config: Arc<rustls::ServerConfig>,
    /// The chain's PEM text, for `tls-server-end-point` channel binding.
    pub chain_pem: Arc<[u8]>,
}

/// `[servers.NAME]`: a PostgreSQL server.
#[derive(Debug, Clone)]
pub struct Server {
    /// The section's name.
    pub name: ServerName,
    /// Host name or address.
    pub host: Arc<str>,
    /// TCP port.
    pub port: u16,
    /// How the connection is secured.
    pub tls: ServerTls,
    /// The role that connections shared by tenants log in as.
    pub user: Arc<str>,
    /// Its password; none where the server asks for none.
    pub password: Option<Secret>,
    /// Most time for connecting and logging in.
    pub connect_timeout: Duration,
}

/// How a connection to a server is secured.
#[derive(Debug, Clone)]
pub enum ServerTls {
    /// Clear text.
    Off,
    /// TLS; the configuration carries how much of the certificate is verified
    /// (`require`: nothing, `verify-ca`: the chain, `verify-full`: the chain
    /// and the host name).
    On(Arc<rustls::ClientConfig>),
}

/// `[pool]`: server connections and who gets one.
#[derive(Debug, Clone)]
pub struct Pool {
    /// When a server connection goes back.
    pub mode: PoolMode,
    /// Most server connections to one database of one server.
    pub size: usize,
    /// Most of them that one tenant may hold.
    pub size_per_tenant: usize,
    /// Whether tenants share server connections.
    pub share: Share,
    /// Whether a client that made session objects (temporary tables, cursors
    /// WITH HOLD, LISTEN, …) keeps its server connection.
    pub pin: Pin,
    /// Most time that a client waits for a server connection.
    pub wait_timeout: Duration,
    /// How long an idle server connection is kept.
    pub idle_timeout: Duration,
}

/// When a server connection goes back to the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// At the end of every transaction.
    Transaction,
    /// When the client leaves.
    Session,
}

/// Whether tenants share server connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// `"scrubbed"`: one tenant after another, with `DISCARD ALL` between.
    Scrubbed,
    /// `"tenant"`: a server connection belongs to one tenant for its life.
    Tenant,
}

/// What happens to a client that makes session objects in transaction mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// It keeps its server connection until it leaves or discards them.
    Allow,
    /// The statement is refused.
    Reject,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// The filter, in tracing's `EnvFilter` syntax (`info`, `pgtenant=debug`).
    pub filter: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A password or key. Never shown.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}
