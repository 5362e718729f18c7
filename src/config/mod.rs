//! The configuration: file and environment, parsed once into types.
//!
//! [`load`] reads the file, lays the environment over it and returns
//! [`Settings`], in which every name is resolved and every value is valid, or
//! *all* the [`Problem`]s at once. Nothing that has been loaded needs to be
//! checked again.

mod admin;
mod application_name;
mod audit;
mod certificates;
mod check;
mod client_certificates;
mod hosts;
mod isolation;
mod jwt;
mod limits;
mod listen;
mod log;
mod logins;
mod mask;
mod masked;
mod peers;
mod pem;
mod pool;
mod problems;
mod profiles;
mod reached;
mod reader;
mod replica;
mod roles;
mod rows;
mod rules;
mod server_certificate;
mod servers;
mod size;
mod source;
mod sources;
mod template;
mod tenants;
mod throttle;
mod tls;
mod token_profiles;
mod unix;
mod values;

pub use crate::problem::{Origin, Problem};
pub use application_name::ApplicationName;
pub use audit::Audit;
pub use check::Ignored;
pub use hosts::{Host, Hosts, TargetRole};
pub use isolation::read_key_file;
pub use peers::{OwnPeer, PeerKey};
pub use problems::Problems;
pub use reached::{Contact, Reached, Seen};
pub(crate) use servers::TCP_USER_TIMEOUT;
pub use sources::{DirectoryDatabase, EndSessions, Sources};
pub use template::unquote;
pub use token_profiles::TokenProfiles;
pub use unix::UnixListen;
pub use values::Values;

use crate::audit::Statements;
use crate::directory::{
    Awaited, CertificateMap, Declared, Directory, DirectoryBuilder, Files, Incumbents, Method,
};
use crate::guard;
use crate::jwt::{Keys, Rules};
use crate::tenant::{
    Attachment, IsolationName, LoginName, MaskedRole, ProfileName, Seal, SealKey, ServerName,
    SharedProfile, SharedTenant, Timeouts,
};
use crate::x509::Lifetime;
use aws_lc_rs::hmac;
use ipnet::IpNet;
use logins::{Accepted, Named};
use rows::SectionReader;
use rustls::pki_types::CertificateDer;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Loads the configuration file with the process's environment over it.
///
/// # Errors
/// Every [`Problem`] that file and environment have.
pub fn load(path: &Path) -> Result<Settings, Problems> {
    load_with(path, std::env::vars_os())
}

/// The same, with `set` over both: what keys say, by their paths, such as `pool.size`.
///
/// # Errors
/// Every [`Problem`] that they have.
pub fn load_over(path: &Path, set: &BTreeMap<&'static str, String>) -> Result<Settings, Problems> {
    load_all(path, std::env::vars_os(), set)
}

/// Loads the configuration file with the given environment variables over it:
/// `PGTENANT__POOL__SIZE=40` sets `pool.size`. The names' case does not matter,
/// and `_` stands for a hyphen too.
///
/// # Errors
/// Every [`Problem`] that file and environment have.
pub fn load_with(
    path: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Settings, Problems> {
    load_all(path, environment, &BTreeMap::new())
}

fn load_all(
    path: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    set: &BTreeMap<&'static str, String>,
) -> Result<Settings, Problems> {
    let environment = source::Environment::new(environment);
    let mut files = Files::default();
    files.note(path);
    let mut table =
        source::read(path).map_err(|problem| Problems::new(vec![*problem], files.clone()))?;
    let mut overlaid = source::overlay(&mut table, &environment);
    overlaid.extend(source::set(&mut table, set));
    let reader = reader::Reader::new(path, environment, overlaid, files);
    let settings = read(&reader, &table);
    let files = reader.files().clone();
    let values = Values::new(&table, &reader.contents());
    match settings {
        Some(settings) if reader.is_content() => Ok(Settings {
            files,
            values,
            certificate_files: reader.certificates().into(),
            ..settings
        }),
        _ => Err(Problems::new(reader.into_problems(), files)),
    }
}

/// Reads every section; `None` only after a problem was noted.
fn read(reader: &reader::Reader, table: &source::Table) -> Option<Settings> {
    let mut root = reader.root(table);
    let listen = root.section("listen");
    let is_peer = listen.has("peer_id");
    let listen = listen::read(listen);
    let peers = peers::read(root.tables("peers"), listen.peer.as_ref(), is_peer);
    let tls = tls::read(root.section("tls"));
    let servers = servers::read(&mut root);
    let profiles = profiles::read(&mut root, &servers);
    let mut pool = pool::read(root.section("pool"));
    let isolations = isolation::read(&mut root, &servers, listen.timeouts, &pool);
    let masks = mask::read(&mut root, &isolations);
    let guard = rules::read(root.section("guard"));
    let sources = sources::read(root.section("directory"), &servers);
    let folder = sources
        .as_ref()
        .and_then(|sources| sources.folder.as_deref());
    // Where the section has a problem, a tenant may have been meant to be in it.
    let rows = match &sources {
        Some(sources) => sources.sql.as_ref().map(DirectoryDatabase::awaited),
        None => Some(Awaited::default()),
    };
    let more_tenants = rows.is_some_and(|rows| rows.tenants) || sources.is_none();
    let documents = sources::documents(folder, reader);
    let mut parts: Vec<_> = documents
        .iter()
        .map(|one| reader.document(&one.origin, &one.table))
        .collect();
    let sections = all_tables("tenants", &mut root, &mut parts);
    let hosts = servers.hosts();
    let tenants = tenants::read(sections, reader, &isolations, &servers, &hosts);
    let tokens = jwt::read(&mut root, tls.as_ref(), &profiles);
    let accepted = Accepted {
        tokens: tokens
            .as_ref()
            .is_none_or(|tokens| !tokens.issuers.is_empty()),
        // Where [tls] has a problem, there is none of its users' to tell of.
        certificates: tls.as_ref().is_none_or(ClientTls::verifies_clients),
    };
    let sections = all_tables("logins", &mut root, &mut parts);
    let mut stand_ins = replica::stand_ins(&servers.valid);
    let named = Named {
        servers: &servers,
        stand_ins: &stand_ins,
        profiles: &profiles,
    };
    let logins = logins::read(sections, &tenants, more_tenants, named, accepted);
    mask::check(reader, (&isolations, &masks), &profiles, &tenants, &logins);
    let certificates = certificates::read(&mut root, &tenants, more_tenants, named, accepted);
    let issuers = tokens.iter().flat_map(|tokens| &tokens.issuers);
    let of_tokens = issuers.flat_map(|issuer| issuer.profiles.all());
    for profile in certificates.profiles().chain(of_tokens) {
        if let Some(server) = &profile.server {
            stand_ins.add_of_profile(server.clone());
        }
    }
    let throttle = throttle::read(root.section("throttle"), &listen);
    let admins = root.tables("admins");
    let admin = admin::read(root.section("admin"), admins, tls.as_ref());
    let list = tenants.list();
    let of_tenants = list.iter().filter_map(|tenant| tenant.limits.audit).max();
    let of_logins = logins.iter().filter_map(|login| login.limits.audit()).max();
    let most = isolations.audited().max(profiles.audited());
    let most = most.max(of_tenants).max(of_logins);
    let audit = audit::read(root.section("audit"), most);
    let log = log::read(root.section("log"));
    let ignored = check::read(root.section("check"));
    root.finish();
    for part in &parts {
        part.finish();
    }
    let mut described = isolations.describe(guard, &masks);
    let reserving = isolations.reserving();
    let files = Declared {
        tenants: tenants.placed,
        logins,
    };
    let common = isolations.common_schemas();
    let reader = SectionReader::new(isolations, servers.clone(), profiles.clone(), accepted);
    let builder = DirectoryBuilder::new(files, hosts, common, stand_ins, Box::new(reader), rows);
    let directory = builder.build(None, &Incumbents::default()).directory;
    if more_tenants || shares_pools(&directory) {
        let own = described
            .iter_mut()
            .filter(|(name, _)| reserving.contains(*name));
        let own = own.filter_map(|(_, isolation)| isolation.pool.as_mut());
        let all = pool.reserves.then_some(&mut pool.pool);
        all.into_iter().chain(own).for_each(Pool::reserve);
    }
    Some(Settings {
        listen,
        peers,
        tls: tls?,
        servers: servers.valid,
        pool: pool.pool,
        isolations: described,
        guard,
        tenants: list,
        directory,
        sources: sources?,
        directory_builder: Arc::new(builder),
        profiles: profiles.into_all(),
        tokens: tokens?,
        certificates,
        throttle,
        admin,
        audit,
        log,
        ignored,
        files: Files::default(),
        certificate_files: Arc::default(),
        values: Values::default(),
    })
}

/// Whether several tenants are in one database.
fn shares_pools(directory: &Directory) -> bool {
    let mut seen = HashSet::new();
    directory.tenants().any(|tenant| {
        let placement = &tenant.placement;
        placement.attachment != Attachment::Database && !seen.insert(&placement.endpoint)
    })
}

/// The tables of a list that may stand in several files.
fn all_tables<'a>(
    key: &str,
    root: &mut reader::Section<'a>,
    parts: &mut [reader::Section<'a>],
) -> Vec<reader::Section<'a>> {
    let mut all = root.tables(key);
    for part in parts {
        all.extend(part.tables(key));
    }
    all
}

/// Everything that the proxy is told.
#[derive(Debug)]
pub struct Settings {
    /// `[listen]`
    pub listen: Listen,
    /// `[[peers]]`, the other replicas, by their numbers.
    pub peers: BTreeMap<u8, Host>,
    /// `[tls]`
    pub tls: ClientTls,
    /// `[servers.NAME]`
    pub servers: BTreeMap<ServerName, Server>,
    /// `[pool]`
    pub pool: Pool,
    /// `[isolation.NAME]`
    pub isolations: BTreeMap<IsolationName, Isolation>,
    /// `[guard]`
    pub guard: guard::Options,
    /// `[[tenants]]` of the files, each with its isolation resolved.
    pub tenants: Vec<SharedTenant>,
    /// The same tenants, with their `[[logins]]`. Not complete where there is a
    /// `[directory.sql]`.
    pub directory: Directory,
    /// `[directory]`
    pub sources: Sources,
    /// What builds the directory again when the rows of `[directory.sql]` change.
    pub directory_builder: Arc<DirectoryBuilder>,
    /// `[profiles.NAME]`
    pub profiles: BTreeMap<ProfileName, SharedProfile>,
    /// `[jwt.NAME]`
    pub tokens: Tokens,
    /// `[[certificates]]`
    pub certificates: CertificateMap,
    /// `[throttle]`
    pub throttle: Throttling,
    /// `[admin]` and `[[admins]]`
    pub admin: Admin,
    /// `[audit]`, if there is to be a log.
    pub audit: Option<Audit>,
    /// `[log]`
    pub log: Log,
    /// `[check]`: what `pgtenant check` leaves out (key `ignore`).
    pub ignored: Vec<Ignored>,
    /// The files that all of this was read from.
    pub files: Files,
    /// Those of certificates: of the proxy's own, and of authorities.
    pub certificate_files: Arc<[CertificateFile]>,
    /// What each key says, for telling what a reload has changed.
    pub values: Values,
}

/// A file of certificates that `key` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFile {
    /// Such as `tls.certificate`, `servers.main.ca`.
    pub key: String,
    /// Where it is.
    pub file: PathBuf,
    /// Of the certificate in it that expires first.
    pub lifetime: Lifetime,
}

/// `[listen]`: where clients arrive and how many may.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Addresses to listen on (key `address`: one text or a list).
    pub addresses: Vec<SocketAddr>,
    /// Most clients at once, those that are logging in included.
    pub max_clients: usize,
    /// Most of them of one tenant.
    pub clients_per_tenant: usize,
    /// Most time from connecting to the end of the login.
    pub login_timeout: Duration,
    /// Most time that running transactions get when the proxy is told to stop.
    pub drain_timeout: Duration,
    /// How long clients are still admitted once the proxy is told to stop, so that
    /// others learn that they are to go elsewhere.
    pub drain_delay: Duration,
    /// Over how long clients are told to leave then.
    pub drain_spread: Duration,
    /// Most time that sessions have for what they do. It is a part of each tenant's
    /// limits already.
    pub timeouts: Timeouts,
    /// Whether another process may listen on the same addresses.
    pub reuse_port: bool,
    /// Worker threads; each serves its share of the clients.
    pub workers: usize,
    /// The longest statement (the body of a Query or Parse message), in bytes.
    pub max_statement: usize,
    /// Where balancers are: their connections begin with the PROXY protocol's header.
    pub proxy_protocol: Box<[IpNet]>,
    /// This replica among others (keys `peer_…`).
    pub peer: Option<OwnPeer>,
    /// The Unix-domain socket (keys `unix…`), if there is to be one.
    pub unix: Option<UnixListen>,
}

impl Listen {
    /// Whether connections of this address must begin with the PROXY protocol's header.
    #[must_use]
    pub fn is_balancer(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.proxy_protocol.iter().any(|net| net.contains(&address))
    }
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

impl ClientTls {
    /// What the proxy shows to clients, where there is TLS.
    #[must_use]
    pub fn certificates(&self) -> Option<&ClientCertificates> {
        match self {
            Self::Off => None,
            Self::Allow(certificates) | Self::Require(certificates) => Some(certificates),
        }
    }

    /// Whether clients can prove themselves with a certificate.
    #[must_use]
    pub fn verifies_clients(&self) -> bool {
        self.certificates().is_some_and(|own| own.verifies_clients)
    }
}

/// What the proxy shows to clients, and whether they may show something.
#[derive(Debug, Clone)]
pub struct ClientCertificates {
    /// PEM file with the certificate chain, the proxy's own first.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
    /// Built from them (rustls), certificate and key proved to belong together.
    pub config: Arc<rustls::ServerConfig>,
    /// The certificate chain, the proxy's own first.
    pub chain: Arc<[CertificateDer<'static>]>,
    /// Whether clients are asked for a certificate (`client_ca`). One that is not
    /// valid ends the handshake; none at all does not.
    pub verifies_clients: bool,
    /// Whether a session ends when the certificate expires that began it.
    pub end_expired: bool,
    /// From the private key.
    pub mock_key: MockKey,
}

/// From this the salts of users that do not exist are made, so that they are the
/// same after a restart, and on every proxy with the same private key.
#[derive(Clone)]
pub struct MockKey(hmac::Key);

impl MockKey {
    /// Derives it from a secret, which cannot be computed from it.
    #[must_use]
    pub fn derive(secret: &[u8]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = hmac::sign(&secret, b"pgtenant: salts of users that do not exist");
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// The key itself.
    #[must_use]
    pub fn key(&self) -> &hmac::Key {
        &self.0
    }
}

impl std::fmt::Debug for MockKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MockKey(…)")
    }
}

/// `[servers.NAME]`: a PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The section's name.
    pub name: ServerName,
    /// Where it is.
    pub hosts: Hosts,
    /// Which of its hosts connections go to.
    pub target: TargetRole,
    /// The server that it is a replica of, where a section of its own says where that is.
    pub replica_of: Option<Arc<Self>>,
    /// The most that a replica may lag behind what it follows; `None`: as much as it does.
    pub lag_limit: Option<Duration>,
    /// How the connection is secured.
    pub tls: ServerTls,
    /// The role that connections shared by tenants log in as.
    pub user: Arc<str>,
    /// Its password; none where the server asks for none.
    pub password: Option<Secret>,
    /// Most time for connecting and logging in.
    pub connect_timeout: Duration,
    /// How long what was sent may stay without an acknowledgement: then the
    /// connection is lost.
    pub tcp_user_timeout: Duration,
    /// Most connections to it, over all databases and roles; `None`: as many as the pools
    /// have.
    pub max_connections: Option<usize>,
    /// What clients are called there (key `application_name`); `None`: as they call
    /// themselves.
    pub application_name: Option<ApplicationName>,
    /// Which of the host's addresses was reached last.
    pub reached: Reached,
}

/// How a connection to a server is secured.
#[derive(Debug, Clone)]
pub enum ServerTls {
    /// Clear text.
    Off,
    /// TLS.
    On {
        /// What carries it out.
        config: Arc<rustls::ClientConfig>,
        /// What of the server's certificate it verifies.
        verification: Verification,
        /// Whom it trusts to have made that.
        roots: Arc<[CertificateDer<'static>]>,
    },
}

impl PartialEq for ServerTls {
    fn eq(&self, other: &Self) -> bool {
        // The configuration follows from the rest.
        let parts = |tls: &Self| match tls {
            Self::Off => None,
            Self::On {
                verification,
                roots,
                ..
            } => Some((*verification, roots.clone())),
        };
        parts(self) == parts(other)
    }
}

impl Eq for ServerTls {}

/// How much of a server's certificate is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// `require`: nothing, so that anybody in between can pose as the server.
    Nothing,
    /// `verify-ca`: that an authority that is trusted made it.
    Chain,
    /// `verify-full`: that, and that it was made for this host name.
    Full,
}

/// `[pool]`: server connections and who gets one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// When a server connection goes back.
    pub mode: PoolMode,
    /// Most server connections to one database of one server.
    pub size: usize,
    /// Most of them that one tenant may hold.
    pub size_per_tenant: usize,
    /// The same for a tenant whose database is its own.
    pub size_alone: usize,
    /// How many are kept open, those in use included, while the pool has clients.
    pub min_idle: usize,
    /// Most clients of one tenant that wait for one.
    pub waiting_per_tenant: usize,
    /// Whether tenants share server connections.
    pub share: Share,
    /// Whether a client that made session objects (temporary tables, cursors
    /// WITH HOLD, LISTEN, …) keeps its server connection.
    pub pin: Pin,
    /// Most time that a client waits for a server connection, to a quarter of a
    /// second.
    pub wait_timeout: Duration,
    /// How long an idle server connection is kept.
    pub idle_timeout: Duration,
    /// The age at which a server connection is closed, once nobody uses it.
    pub connection_lifetime: Duration,
    /// How long a client may hold a server connection and do nothing with it while
    /// a client of a tenant that holds fewer waits for one.
    pub reclaim_after: Duration,
    /// The same in a transaction, or in the midst of a message or an answer, while
    /// only others wait: clients of its own tenant, most often.
    pub reclaim_own_after: Duration,
    /// After so long without a byte a server connection is not trusted: an idle one
    /// must answer before it is used, and where an answer is awaited the server is
    /// asked whether one is to come.
    pub check_after: Duration,
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

/// `[isolation.NAME]`: how its tenants are kept apart. What that means for one
/// tenant is the tenant's [`Placement`](crate::tenant::Placement).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolation {
    /// The server of its tenants.
    pub server: ServerName,
    /// By what they are kept apart.
    pub kind: IsolationKind,
    /// Whether they are served over a role that nothing keeps from other tenants'
    /// rows: a superuser, one that bypasses row-level security, the tables' owner.
    pub allow_unprotected_role: bool,
    /// How the schemas and roles of its tenants are called, in kind `schema`.
    pub naming: Option<Naming>,
    /// What its tenants' clients may send: `[guard]`, with its own `opaque` and
    /// `channels`.
    pub guard: guard::Options,
    /// Which statements of its tenants' clients are recorded, if not those of
    /// `[audit]` (key `audit`).
    pub audit: Option<Statements>,
    /// `[isolation.NAME.pool]`: the pools of its tenants, if they are not those of
    /// `[pool]`.
    pub pool: Option<Pool>,
    /// What its masked logins see, if there are to be such.
    pub masking: Option<Masking>,
}

/// What masked logins of an isolation see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masking {
    /// The schema of the views, as a template where it differs from tenant to tenant.
    pub schema: Arc<str>,
    /// The role that may read them, where tenants share it.
    pub role: Option<MaskedRole>,
    /// `[[mask]]`
    pub masks: Vec<Mask>,
}

/// One `[[mask]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// The table's schema, if it is named.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// Keys and indexes within it.
    pub path: Vec<String>,
    /// What masks it: `null`, `partial`, `expression`, …
    pub kind: &'static str,
    /// What the mask is told beside the value.
    pub argument: Option<String>,
    /// The column as it is written.
    pub written: String,
}

impl std::fmt::Display for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            table,
            written,
            kind,
            ..
        } = self;
        write!(f, "{table}.{written} ({kind}")?;
        match (&self.argument, *kind) {
            (Some(argument), "constant") => write!(f, "('{}'))", argument.replace('\'', "''")),
            (Some(argument), "expression") => {
                write!(f, " {})", argument.replace(char::is_control, " "))
            }
            (Some(argument), _) => write!(f, "({argument}))"),
            (None, _) => f.write_str(")"),
        }
    }
}

/// How the schemas and roles of an isolation's tenants are called: templates as
/// they stand in the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// The database of them all.
    pub database: Arc<str>,
    /// The schema of a tenant's own.
    pub schema: Arc<str>,
    /// The role of a tenant's own, where there are such.
    pub role: Option<Arc<str>>,
}

/// By what the tenants of an isolation are kept apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IsolationKind {
    /// By a session setting that row-level-security policies read.
    Setting {
        /// The database.
        database: Arc<str>,
        /// The setting's name in lower case; no client may change it.
        setting: Arc<str>,
        /// What keeps clients from forging it.
        seal: Seal,
        /// The key of `seal_key_file`: also where the seal is off, for `harden` to
        /// make the database ready.
        seal_key: Option<SealKey>,
        /// The roles of its tenants, where each has one.
        roles: Option<TenantRoles>,
    },
    /// By a schema of each tenant's own.
    Schema {
        /// Whether each tenant has a role of its own too.
        per_tenant_role: bool,
    },
    /// By a database of each tenant's own.
    Database,
}

impl IsolationKind {
    /// Whether each tenant has a role of its own.
    #[must_use]
    pub fn has_tenant_roles(&self) -> bool {
        match self {
            Self::Setting { roles, .. } => roles.is_some(),
            Self::Schema { per_tenant_role } => *per_tenant_role,
            Self::Database => false,
        }
    }
}

/// How the roles of an isolation's tenants are called that share tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRoles {
    /// A template, as it stands in the configuration file.
    pub name: Arc<str>,
    /// The role that has the rights, and of which they are members.
    pub group: Arc<str>,
}

/// `[jwt.NAME]`: whose tokens clients may log in with.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    /// The sections, by name.
    pub issuers: Vec<Issuer>,
    /// How clients are asked whose user name no login has.
    pub ask: Ask,
}

/// How a client is asked for its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ask {
    /// As a password.
    #[default]
    Password,
    /// By the SASL mechanism OAUTHBEARER.
    OauthBearer,
}

/// One `[jwt.NAME]`.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// The section's name.
    pub name: String,
    /// What its tokens must be like, and where they name tenant and user.
    pub rules: Rules,
    /// What they are signed with.
    pub keys: KeySource,
    /// Whether a session is ended once its token has expired.
    pub end_expired: bool,
    /// Whether the user name in the startup packet must be that of the token.
    pub user_must_match: bool,
    /// What a client that has no token is told to ask for (OAUTHBEARER).
    pub scope: String,
    /// Which profiles its tokens have.
    pub profiles: TokenProfiles,
}

/// Where the keys of an issuer come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A file, which has been read.
    Fixed(Arc<Keys>),
    /// An address.
    Fetched(Arc<JwksUrl>),
}

/// An address that a JWK set is fetched from by HTTP, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksUrl {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The host as the address has it, for the header `Host`.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// How the connection is secured; `None` to this machine alone.
    pub tls: Option<JwksTls>,
    /// How often the keys are fetched.
    pub refresh: Duration,
    /// The least time from one request to the next, whatever asks for it.
    pub refresh_floor: Duration,
    /// Most time for one request.
    pub timeout: Duration,
}

/// How a connection for keys is secured.
#[derive(Debug, Clone)]
pub struct JwksTls {
    /// For what the certificate must be made.
    pub name: rustls::pki_types::ServerName<'static>,
    /// What it is verified against.
    pub roots: Vec<CertificateDer<'static>>,
    /// Built from them (rustls).
    pub config: Arc<rustls::ClientConfig>,
}

impl PartialEq for JwksTls {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.roots == other.roots
    }
}

impl Eq for JwksTls {}

/// `[throttle]`: what logins that fail lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttling {
    /// Whether failed logins are counted at all.
    pub enabled: bool,
    /// How many may fail before one must wait.
    pub free: u32,
    /// How long one must wait first; each further failure doubles it.
    pub delay: Duration,
    /// The longest that one must wait.
    pub longest_delay: Duration,
    /// After how long without a failure the count begins anew.
    pub forget_after: Duration,
    /// Most logins of one address that are in progress at once.
    pub per_address: PerAddress,
}

/// Most logins of one address that are in progress at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerAddress {
    /// So many; of the machine's own addresses any number.
    OfOthers(usize),
    /// So many, wherever from.
    OfAll(usize),
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// The filter, in tracing's `EnvFilter` syntax (`info`, `pgtenant=debug`).
    pub filter: String,
}

/// `[admin]` and `[[admins]]`: where the process can be watched and steered, and by
/// whom.
#[derive(Debug, Clone)]
pub struct Admin {
    /// HTTP (key `address`), if there is any.
    pub http: Option<AdminHttp>,
    /// Addresses on which there is nothing but the console.
    pub console: Vec<SocketAddr>,
    /// Most tenants with metrics of their own (key `tenant_series`).
    pub series: usize,
    /// `[[admins]]`, by their names (key `user`).
    pub logins: BTreeMap<LoginName, AdminLogin>,
}

/// Where metrics, health and the page are served by HTTP.
#[derive(Debug, Clone)]
pub struct AdminHttp {
    /// The addresses to listen on.
    pub addresses: Vec<SocketAddr>,
    /// What is shown to clients; `None`: clear text.
    pub tls: Option<ClientCertificates>,
    /// The token that lets everything be read (the content of `token_file`).
    pub token: Option<Secret>,
    /// Paths that anybody may read.
    pub public: Vec<Arc<str>>,
}

/// One of `[[admins]]`.
#[derive(Debug, Clone)]
pub struct AdminLogin {
    /// What it may do.
    pub role: AdminRole,
    /// What it proves itself with: SCRAM, a certificate, or both.
    pub methods: Arc<[Method]>,
}

/// What an administrator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdminRole {
    /// See everything.
    Viewer,
    /// Change what runs, too.
    Operator,
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
#[derive(Clone, PartialEq, Eq)]
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
