//! A PostgreSQL server, and the proxy before it, for one database that is made
//! anew for each run.

use pgtenant::directory::Verifier;
use pgtenant::throwaway::{Cluster, ClusterOptions, random_hex};
use std::fs;
use std::path::PathBuf;
use testkit::{Proxy, Raw, clear_text};

/// The role that owns the database: at the server, and the login at the proxy.
pub const USER: &str = "regress";
/// The database of every run.
pub const DATABASE: &str = "regression";

/// A server of one's own.
pub struct Place {
    pub cluster: Cluster,
    pub password: String,
}

impl Place {
    /// Starts a server with a template of the database.
    pub fn start() -> Self {
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let options = ClusterOptions {
            settings: vec![
                // Plans must not depend on when statistics were gathered.
                setting("autovacuum", "off"),
                setting("fsync", "off"),
                setting("max_prepared_transactions", "0"),
            ],
            ..ClusterOptions::default()
        };
        let cluster = Cluster::start(&options).unwrap();
        let password = random_hex(12).unwrap();
        let place = Self { cluster, password };
        place.sql(&format!("CREATE ROLE {USER} LOGIN"));
        place.sql(&format!(
            "ALTER ROLE {USER} PASSWORD '{}'",
            Verifier::derive(&place.password)
        ));
        place.sql(&format!(
            "CREATE DATABASE template TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' OWNER {USER}"
        ));
        let setup = include_str!("../data/faithful/setup.sql");
        let text = format!("SET SESSION AUTHORIZATION {USER};\n{setup}");
        place.cluster.psql("template", &text).unwrap();
        place
    }

    /// Runs SQL as the superuser.
    pub fn sql(&self, sql: &str) -> String {
        self.cluster.psql("postgres", sql).unwrap()
    }

    /// Makes the database anew.
    pub fn renew(&self) {
        self.sql(&format!(
            "DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE);
             CREATE DATABASE {DATABASE} TEMPLATE template OWNER {USER} STRATEGY file_copy"
        ));
    }

    /// A client that speaks message by message, at `port`.
    pub fn raw(&self, port: u16, parameters: &[(&str, &str)]) -> Raw {
        let mut all = vec![("user", USER), ("database", DATABASE)];
        all.extend_from_slice(parameters);
        Raw::log_in(port, &self.password, &all).unwrap()
    }

    /// Starts the proxy, with this `pool.mode` and `pool.size`.
    pub fn proxy(&self, mode: &str, size: usize) -> Proxy {
        let directory = self.cluster.directory();
        let config: PathBuf = directory.join(format!("proxy-{mode}.toml"));
        let verifier = Verifier::derive(&self.password);
        let text = format!(
            r#"{head}[pool]
mode = "{mode}"
size = {size}
[isolation.database]
kind = "database"
server = "main"
database = "{{database}}"
[guard]
opaque = "allow"
channels = "allow"
[[tenants]]
id = "1"
name = "one"
isolation = "database"
database = "{DATABASE}"
[[logins]]
user = "{USER}"
tenant = "1"
scram = "{verifier}"
"#,
            head = clear_text(self.cluster.port(), USER, &self.password),
        );
        fs::write(&config, text).unwrap();
        Proxy::run(&config)
    }
}
