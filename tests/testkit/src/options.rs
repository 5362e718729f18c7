//! The configuration that a test gives its proxy.

use crate::site::Site;
use pgtenant::throwaway::wellness::{
    APP_ROLE, COMPANIES, Layout, SCHEMA_DATABASE, SETTING, SETTING_DATABASE,
};
use std::fmt::Write as _;

/// What differs from one test's proxy to another's. Texts stand in the
/// configuration file as they are.
#[derive(Debug, Clone)]
pub struct Options {
    /// The database of the setting kind.
    pub database: String,
    /// A [`Relay`](crate::Relay) before the server.
    pub relay: Option<u16>,
    /// `tls.mode`; without `"off"` there is a certificate.
    pub tls: &'static str,
    /// `listen.max_clients`
    pub max_clients: usize,
    /// `listen.clients_per_tenant`
    pub clients_per_tenant: Option<usize>,
    /// `listen.login_timeout`
    pub login_timeout: &'static str,
    /// `listen.drain_timeout`
    pub drain_timeout: &'static str,
    /// `listen.workers`
    pub workers: usize,
    /// `pool.mode`
    pub mode: &'static str,
    /// `pool.size`
    pub size: usize,
    /// `pool.size_per_tenant`; by default all of them.
    pub size_per_tenant: Option<usize>,
    /// `pool.waiting_per_tenant`
    pub waiting_per_tenant: Option<usize>,
    /// `pool.share`
    pub share: &'static str,
    /// `pool.pin`
    pub pin: &'static str,
    /// `pool.wait_timeout`
    pub wait_timeout: &'static str,
    /// `pool.reclaim_after`
    pub reclaim_after: &'static str,
    /// `pool.reclaim_own_after`; by default the same.
    pub reclaim_own_after: Option<&'static str>,
    /// `pool.connection_lifetime`
    pub connection_lifetime: &'static str,
    /// `pool.idle_timeout`
    pub idle_timeout: &'static str,
    /// `servers.main.connect_timeout`
    pub connect_timeout: &'static str,
    /// `guard.mode`
    pub guard: &'static str,
    /// `guard.opaque`
    pub opaque: &'static str,
    /// `guard.channels`
    pub channels: &'static str,
    /// `log.filter`; must let the event through that tells the address.
    pub log: &'static str,
    /// More lines of `[listen]`.
    pub listen: String,
    /// More lines of `[tls]`.
    pub tls_keys: String,
    /// Lines of `[throttle]`; by default it is off, since tests fail to log in
    /// as often as they like.
    pub throttle: String,
    /// More lines of `[isolation.setting]`.
    pub isolation: String,
    /// More text at the end of the file, such as `[[logins]]`.
    pub more: String,
}

/// One worker, so that it is known who gets which connection. The suite can be run with
/// another number, to search for what depends on it.
pub(crate) fn workers() -> usize {
    let wanted = std::env::var("PGTENANT_TEST_WORKERS");
    wanted.map_or(1, |number| number.parse().expect("a number"))
}

impl Default for Options {
    fn default() -> Self {
        Self {
            database: SETTING_DATABASE.to_owned(),
            relay: None,
            tls: "allow",
            max_clients: 1000,
            clients_per_tenant: None,
            login_timeout: "10s",
            drain_timeout: "30s",
            workers: workers(),
            mode: "transaction",
            size: 10,
            size_per_tenant: None,
            waiting_per_tenant: None,
            share: "scrubbed",
            pin: "allow",
            wait_timeout: "30s",
            reclaim_after: "30s",
            reclaim_own_after: None,
            connection_lifetime: "1h",
            idle_timeout: "10min",
            connect_timeout: "5s",
            guard: "enforce",
            opaque: "reject",
            channels: "reject",
            log: "info",
            listen: String::new(),
            tls_keys: String::new(),
            throttle: "mode = \"off\"".to_owned(),
            isolation: String::new(),
            more: String::new(),
        }
    }
}

/// The text of the configuration file.
pub fn configuration(site: &Site, options: &Options) -> String {
    let path = |name| format!("{:?}", site.file(name));
    let certificate = match options.tls {
        "off" => String::new(),
        _ => format!(
            "certificate = {}\nkey = {}\n",
            path("proxy.crt"),
            path("proxy.key")
        ),
    };
    let line = |key: &str, value: Option<usize>| match value {
        Some(value) => format!("{key} = {value}\n"),
        None => String::new(),
    };
    let clients_per_tenant = line("clients_per_tenant", options.clients_per_tenant);
    let size_per_tenant = line(
        "size_per_tenant",
        options.size_per_tenant.or(Some(options.size)),
    );
    let waiting_per_tenant = line("waiting_per_tenant", options.waiting_per_tenant);
    let Options {
        database,
        tls,
        max_clients,
        login_timeout,
        drain_timeout,
        workers,
        mode,
        size,
        share,
        pin,
        wait_timeout,
        reclaim_after,
        connection_lifetime,
        idle_timeout,
        connect_timeout,
        guard,
        opaque,
        channels,
        log,
        listen,
        tls_keys,
        throttle,
        isolation,
        ..
    } = options;
    let mut text = format!(
        r#"[listen]
address = "127.0.0.1:0"
max_clients = {max_clients}
{clients_per_tenant}login_timeout = "{login_timeout}"
drain_timeout = "{drain_timeout}"
workers = {workers}
{listen}
[tls]
mode = "{tls}"
{certificate}{tls_keys}
[throttle]
{throttle}
[servers.main]
host = "127.0.0.1"
port = {port}
{server_tls}
user = "{APP_ROLE}"
password_file = {password}
connect_timeout = "{connect_timeout}"
[pool]
mode = "{mode}"
size = {size}
{size_per_tenant}{waiting_per_tenant}share = "{share}"
pin = "{pin}"
wait_timeout = "{wait_timeout}"
reclaim_after = "{reclaim_after}"
reclaim_own_after = "{reclaim_own_after}"
connection_lifetime = "{connection_lifetime}"
idle_timeout = "{idle_timeout}"
[isolation.setting]
kind = "setting"
server = "main"
database = "{database}"
setting = "{SETTING}"
{isolation}
[isolation.schema]
kind = "schema"
server = "main"
database = "{SCHEMA_DATABASE}"
search_path = ["{{schema}}"]
role = "{{schema}}_app"
role_key_file = {role_key}
[isolation.database]
kind = "database"
server = "main"
database = "{{database}}"
[guard]
mode = "{guard}"
opaque = "{opaque}"
channels = "{channels}"
[log]
filter = "{log}"
"#,
        port = options.relay.unwrap_or_else(|| site.cluster.port()),
        server_tls = match options.relay {
            Some(_) => "tls = \"off\"".to_owned(),
            None => format!("tls = \"verify-full\"\nca = {}", path("ca.crt")),
        },
        reclaim_own_after = options.reclaim_own_after.unwrap_or(reclaim_after),
        password = path("app.password"),
        role_key = path("role.key"),
    );
    for company in COMPANIES {
        let values = match company.layout {
            Layout::Setting => String::new(),
            Layout::Schema(schema) => format!("schema = {schema:?}\n"),
            Layout::Database(database) => format!("database = {database:?}\n"),
        };
        let _ = write!(
            text,
            "[[tenants]]\nid = {:?}\nname = {:?}\nisolation = {:?}\n{values}\
             [[logins]]\nuser = {:?}\ntenant = {:?}\nscram = {:?}\n",
            company.id,
            company.name,
            company.layout.kind(),
            company.login,
            company.id,
            site.login_verifier,
        );
    }
    text.push_str(&options.more);
    text
}
