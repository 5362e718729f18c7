//! A PostgreSQL server of one version and the proxy before it, in clear text, so
//! that a test can read what passes between them.

use crate::options::workers;
use crate::{Programs, Proxy, Raw, write_private};
use pgtenant::directory::Verifier;
use pgtenant::throwaway::wellness::{self, APP_ROLE, COMPANIES, Layout, SETTING, SETTING_DATABASE};
use pgtenant::throwaway::{Cluster, ClusterOptions};
use std::fmt::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The password of the tenants' role and of every login.
const PASSWORD: &str = "a password";

/// A server with WellnessCorp in the setting kind.
pub struct Plain {
    /// The server.
    pub cluster: Cluster,
    verifier: String,
    files: AtomicUsize,
}

/// The front of a configuration that serves and reaches `servers.main` at `port` in clear
/// text.
pub fn clear_text(port: u16, user: &str, password: &str) -> String {
    let workers = workers();
    format!(
        r#"[listen]
address = "127.0.0.1:0"
workers = {workers}
[tls]
mode = "off"
[servers.main]
host = "127.0.0.1"
port = {port}
tls = "off"
user = "{user}"
password = "{password}"
"#
    )
}

/// The same configuration with another number of workers.
pub fn with_workers(text: &str, workers: usize) -> String {
    let lines = text.lines().map(|line| {
        if line.starts_with("workers = ") {
            format!("workers = {workers}\n")
        } else {
            format!("{line}\n")
        }
    });
    lines.collect()
}

impl Plain {
    /// Starts a server. `settings` go to `postgresql.conf`.
    pub fn start(programs: &Programs, settings: &[(&str, &str)]) -> Self {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let cluster = Cluster::start(&ClusterOptions {
            bin_dir: Some(programs.folder.clone()),
            settings: settings.iter().map(text).collect(),
            ..ClusterOptions::default()
        })
        .unwrap();
        wellness::load_roles(&cluster, PASSWORD).unwrap();
        wellness::load_setting(&cluster).unwrap();
        Self {
            cluster,
            verifier: Verifier::derive(PASSWORD),
            files: AtomicUsize::new(0),
        }
    }

    /// Starts a proxy that takes `port` for the server's, with these lines of
    /// `[pool]` and `[guard]`.
    pub fn proxy(&self, port: u16, pool: &str, guard: &str) -> Proxy {
        self.proxy_of(SETTING_DATABASE, port, pool, guard)
    }

    /// Makes a copy of the database, to which nobody may be connected.
    pub fn copy_database(&self, name: &str) {
        let sql = format!("CREATE DATABASE {name} TEMPLATE {SETTING_DATABASE}");
        self.cluster.psql("postgres", &sql).unwrap();
    }

    /// The same as [`Plain::proxy`] for a copy of the database.
    pub fn proxy_of(&self, database: &str, port: u16, pool: &str, guard: &str) -> Proxy {
        self.proxy_by(&self.configuration(database, port, pool, guard))
    }

    /// The configuration of such a proxy.
    pub fn configuration(&self, database: &str, port: u16, pool: &str, guard: &str) -> String {
        let head = clear_text(port, APP_ROLE, PASSWORD);
        let mut text = format!(
            r#"{head}[pool]
{pool}
[guard]
{guard}
[isolation.setting]
kind = "setting"
server = "main"
database = "{database}"
setting = "{SETTING}"
"#
        );
        for company in COMPANIES {
            if company.layout != Layout::Setting {
                continue;
            }
            let _ = write!(
                text,
                "[[tenants]]\nid = {:?}\nname = {:?}\nisolation = \"setting\"\n\
                 [[logins]]\nuser = {:?}\ntenant = {:?}\nscram = {:?}\n",
                company.id, company.name, company.login, company.id, self.verifier,
            );
        }
        text
    }

    /// Starts a proxy of this configuration.
    pub fn proxy_by(&self, text: &str) -> Proxy {
        self.proxy_as(None, text)
    }

    /// The same, run by a command that runs others.
    pub fn proxy_as(&self, by: Option<Command>, text: &str) -> Proxy {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let path = self
            .cluster
            .directory()
            .join(format!("proxy-{number}.toml"));
        write_private(&path, text);
        let mut proxy = match by {
            Some(command) => Proxy::run_by(command, &path),
            None => Proxy::run(&path),
        };
        PASSWORD.clone_into(&mut proxy.password);
        proxy
    }

    /// Logs in at the proxy.
    pub fn client(&self, proxy: &Proxy, login: &str) -> Raw {
        self.client_of(SETTING_DATABASE, proxy, login)
    }

    /// The same for a copy of the database.
    pub fn client_of(&self, database: &str, proxy: &Proxy, login: &str) -> Raw {
        let parameters = [("user", login), ("database", database)];
        Raw::log_in(proxy.port, PASSWORD, &parameters).unwrap()
    }

    /// Logs in at the server itself, as the tenant with this id.
    pub fn direct(&self, database: &str, tenant: &str) -> Raw {
        let options = format!("-c {SETTING}={tenant}");
        let parameters = [
            ("user", APP_ROLE),
            ("database", database),
            ("options", &options),
        ];
        Raw::log_in(self.cluster.port(), PASSWORD, &parameters).unwrap()
    }

    /// A session of the superuser.
    pub fn superuser(&self) -> Raw {
        self.superuser_of(SETTING_DATABASE)
    }

    /// The same for a copy of the database.
    pub fn superuser_of(&self, database: &str) -> Raw {
        let parameters = [("user", "postgres"), ("database", database)];
        let password = self.cluster.superuser_password();
        Raw::log_in(self.cluster.port(), password, &parameters).unwrap()
    }
}
