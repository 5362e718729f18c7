//! The PostgreSQL server behind the proxy, and the data in it.

use crate::programs::Programs;
use pgtenant::directory::Verifier;
use pgtenant::throwaway::wellness::{self, COMPANIES, Company, SETTING_DATABASE};
use pgtenant::throwaway::{Authority, Cluster, ClusterOptions, TlsOptions, random_hex};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The copy of the setting kind's database that new ones are made from: nobody
/// is ever connected to it.
const TEMPLATE: &str = "wellness_template";

/// The id of the tenant that logs in as `innovate`.
pub const INNOVATE: &str = "11111111-1111-1111-1111-111111111111";
/// The id of the tenant that logs in as `synergy`.
pub const SYNERGY: &str = "22222222-2222-2222-2222-222222222222";
/// A verifier that is valid, of no password.
pub const SCRAM: &str = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2E=$\
                         AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\
                         AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The server that all tests of this binary share.
pub fn site() -> &'static Site {
    static SITE: LazyLock<Site> = LazyLock::new(Site::start);
    &SITE
}

/// A throwaway server with WellnessCorp in all three kinds, and the files that a
/// proxy in front of it needs.
pub struct Site {
    /// The server. Clients other than the superuser must come over TLS.
    pub cluster: Cluster,
    /// Whose certificates proxy and server have.
    pub authority: Authority,
    /// The password of `wellness_app`.
    pub app_password: String,
    /// The key of the schema kind's roles.
    pub role_key: String,
    /// The password that every login at the proxy has.
    pub login_password: String,
    /// The verifier of that password.
    pub login_verifier: String,
    files: AtomicUsize,
}

impl Site {
    /// Starts a server of one's own.
    pub fn start() -> Self {
        Self::start_in(None)
    }

    /// Starts a server of this version, whose programs must stay.
    pub fn start_on(programs: &Programs) -> Self {
        Self::start_in(Some(programs.folder.clone()))
    }

    fn start_in(bin_dir: Option<PathBuf>) -> Self {
        let authority = Authority::new("pgtenant test CA").unwrap();
        let options = ClusterOptions {
            bin_dir,
            tls: Some(TlsOptions {
                server: authority.server(&["localhost", "127.0.0.1"]).unwrap(),
                client_ca_pem: None,
            }),
            hba: Some(vec![
                "hostssl all all 127.0.0.1/32 scram-sha-256".to_owned(),
            ]),
            // Where many connections are replaced, a busy machine ends the old
            // processes later than new ones come.
            max_connections: 500,
            ..ClusterOptions::default()
        };
        let cluster = Cluster::start(&options).unwrap();
        let app_password = random_hex(16).unwrap();
        let role_key = random_hex(32).unwrap();
        wellness::load(&cluster, &app_password, role_key.as_bytes()).unwrap();
        let copy = format!("CREATE DATABASE {TEMPLATE} TEMPLATE {SETTING_DATABASE}");
        cluster.psql("postgres", &copy).unwrap();
        let login_password = random_hex(12).unwrap();
        let site = Self {
            cluster,
            app_password,
            role_key,
            login_verifier: Verifier::derive(&login_password),
            login_password,
            files: AtomicUsize::new(0),
            authority,
        };
        let proxy = site.authority.server(&["localhost", "127.0.0.1"]).unwrap();
        site.write("ca.crt", &site.authority.certificate_pem());
        site.write("proxy.crt", &proxy.certificate_pem);
        site.write("proxy.key", &proxy.key_pem);
        site.write("app.password", &site.app_password);
        site.write("role.key", &site.role_key);
        site
    }

    /// The path of a file of the site's.
    pub fn file(&self, name: &str) -> PathBuf {
        self.cluster.directory().join(name)
    }

    /// The certificate of the authority, in a file.
    pub fn ca_file(&self) -> PathBuf {
        self.file("ca.crt")
    }

    /// Writes a file that only its owner can read.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        write_private(&path, text);
        path
    }

    /// Writes a file of a name that no other has.
    pub fn write_new(&self, suffix: &str, text: &str) -> PathBuf {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        self.write(&format!("{number}{suffix}"), text)
    }

    /// A new database like that of the setting kind, for one test alone.
    pub fn fresh_database(&self) -> String {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let name = format!("wellness_{number}");
        self.sql(
            "postgres",
            &format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}"),
        );
        name
    }

    /// Runs SQL as the superuser, straight to the server. The rows come
    /// unaligned, a line each.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let text = self.cluster.psql(database, sql).unwrap();
        text.trim_end().to_owned()
    }

    /// Runs SQL straight on the server as the role that tenants share, with
    /// `PGOPTIONS`.
    pub fn as_app(&self, database: &str, options: &str, sql: &str) -> Output {
        Command::new(self.cluster.client_program("psql"))
            .args(["-X", "-A", "-t", "-v", "VERBOSITY=verbose", "-c", sql])
            .arg(format!(
                "postgresql://{}:{}@127.0.0.1:{}/{database}?sslmode=require",
                wellness::APP_ROLE,
                self.app_password,
                self.cluster.port(),
            ))
            .env("PGOPTIONS", options)
            .output()
            .unwrap()
    }

    /// The folder of PostgreSQL's programs.
    pub fn bin_dir(&self) -> &Path {
        self.cluster.bin_dir()
    }
}

/// The company with this login.
pub(crate) fn company(login: &str) -> Company {
    let mut companies = COMPANIES.into_iter();
    companies
        .find(|company| company.login == login)
        .unwrap_or_else(|| panic!("no company logs in as {login}"))
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &Path, text: &str) {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .unwrap();
}
