//! Everything that the demo consists of: the server, its data and the files.

use super::{Arguments, Failure, HOST, Ports, configuration};
use pgtenant::audit::NewKey;
use pgtenant::config;
use pgtenant::directory::Verifier;
use pgtenant::ops::mask;
use pgtenant::throwaway::wellness::{self, COMPANIES, Company, Layout};
use pgtenant::throwaway::{
    Authority, CertifiedKey, Cluster, ClusterError, ClusterOptions, TlsOptions, random_hex,
};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// The demo's server and files. Dropping it stops the one and removes the other.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) cluster: Cluster,
    pub(super) tenants: Vec<Tenant>,
    pub(super) analyst: Analyst,
    pub(super) admin: Admin,
    pub(super) kept: bool,
}

/// The administrator, who sees the page and the console.
pub(super) struct Admin {
    pub(super) password: String,
    pub(super) verifier: String,
}

/// A login of a company's that may see masked data alone.
pub(super) struct Analyst {
    /// The company's id.
    pub(super) tenant: &'static str,
    pub(super) login: String,
    pub(super) password: String,
    pub(super) verifier: String,
}

/// A company and how it logs in.
pub(super) struct Tenant {
    pub(super) company: Company,
    pub(super) password: String,
    pub(super) verifier: String,
}

impl Site {
    /// Starts the server, loads the data and writes the files.
    pub(super) fn build(arguments: &Arguments) -> Result<Self, Failure> {
        let authority = Authority::new("pgtenant demo CA").map_err(Failure::run)?;
        let certificate = |names| authority.server(names).map_err(Failure::run);
        let cluster = start(arguments, certificate(&[HOST, "127.0.0.1"])?)?;

        let app_password = secret()?;
        let role_key = secret()?;
        wellness::load(&cluster, &app_password, role_key.as_bytes()).map_err(Failure::run)?;

        let tenants = COMPANIES.into_iter().map(Tenant::new);
        let site = Self {
            tenants: tenants.collect::<Result<_, _>>()?,
            analyst: Analyst::new()?,
            admin: Admin::new()?,
            kept: arguments.keep.is_some(),
            cluster,
        };
        let proxy = certificate(&[HOST, "127.0.0.1", "::1"])?;
        site.write("ca.crt", 0o644, &authority.certificate_pem())?;
        site.write("proxy.crt", 0o644, &proxy.certificate_pem)?;
        site.write("proxy.key", 0o600, &proxy.key_pem)?;
        site.write("wellness_app.password", 0o600, &app_password)?;
        site.write("role.key", 0o600, &role_key)?;
        site.write("wellness_bi.password", 0o600, &secret()?)?;
        let key = NewKey::ed25519().ok_or_else(|| Failure::run("the system has no randomness"))?;
        site.write("audit.key", 0o600, &key.private)?;
        site.write("audit.key.pub", 0o644, &key.public.unwrap_or_default())?;
        site.write_configuration(Ports {
            clients: arguments.port,
            page: 0,
        })?;
        site.mask()?;
        Ok(site)
    }

    /// Does what `pgtenant mask` does.
    fn mask(&self) -> Result<(), Failure> {
        let settings = config::load(&self.config_file()).map_err(Failure::configuration)?;
        for masking in mask::targets(&settings, None) {
            let made = self.cluster.psql("postgres", &masking.script());
            made.map_err(Failure::run)?;
        }
        Ok(())
    }

    /// The authority that the proxy's and the server's certificates come from.
    pub(super) fn ca_file(&self) -> PathBuf {
        self.file("ca.crt")
    }

    pub(super) fn config_file(&self) -> PathBuf {
        self.file("pgtenant.toml")
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.cluster.directory().join(name)
    }

    /// Writes the configuration of a proxy that listens on these ports.
    pub(super) fn write_configuration(&self, ports: Ports) -> Result<(), Failure> {
        self.write("pgtenant.toml", 0o600, &configuration::text(self, ports))
    }

    /// Writes a file, readable as `mode` says from its first byte on.
    fn write(&self, name: &str, mode: u32, text: &str) -> Result<(), Failure> {
        let path = self.file(name);
        let _ = fs::remove_file(&path);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| Failure::run(format!("cannot write `{}`: {error}", path.display())))
    }
}

impl Admin {
    fn new() -> Result<Self, Failure> {
        let password = random_hex(12).map_err(Failure::run)?;
        Ok(Self {
            verifier: Verifier::derive(&password),
            password,
        })
    }
}

impl Analyst {
    /// Of the first company with shared tables.
    fn new() -> Result<Self, Failure> {
        let mut shared = COMPANIES.into_iter();
        let company = shared.find(|one| one.layout == Layout::Setting);
        let company = company.ok_or_else(|| Failure::run("no company has shared tables"))?;
        let password = random_hex(12).map_err(Failure::run)?;
        Ok(Self {
            tenant: company.id,
            login: format!("{}_bi", company.login),
            verifier: Verifier::derive(&password),
            password,
        })
    }

    /// The connection string for it.
    pub(super) fn url(&self, site: &Site, port: u16) -> String {
        url(
            site,
            port,
            (&self.login, &self.password),
            Layout::Setting.database(),
        )
    }
}

impl std::fmt::Debug for Analyst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Analyst")
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admin")
    }
}

impl Tenant {
    fn new(company: Company) -> Result<Self, Failure> {
        let password = random_hex(12).map_err(Failure::run)?;
        Ok(Self {
            company,
            verifier: Verifier::derive(&password),
            password,
        })
    }

    /// The connection string for a client of the tenant.
    pub(super) fn url(&self, site: &Site, port: u16) -> String {
        let login = (self.company.login, &*self.password);
        url(site, port, login, self.company.layout.database())
    }
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenant")
            .field("company", &self.company)
            .finish_non_exhaustive()
    }
}

fn url(site: &Site, port: u16, (login, password): (&str, &str), database: &str) -> String {
    let ca = percent_encode(&site.ca_file().to_string_lossy());
    format!(
        "postgresql://{login}:{password}@{HOST}:{port}/{database}?sslmode=verify-full&sslrootcert={ca}"
    )
}

fn start(arguments: &Arguments, server: CertifiedKey) -> Result<Cluster, Failure> {
    let options = ClusterOptions {
        bin_dir: arguments.postgres_bin.clone(),
        directory: arguments.keep.clone(),
        keep: arguments.keep.is_some(),
        tls: Some(TlsOptions {
            server,
            client_ca_pem: None,
        }),
        hba: Some(vec![
            "hostssl all all 127.0.0.1/32 scram-sha-256".to_owned(),
        ]),
        ..ClusterOptions::default()
    };
    Cluster::start(&options).map_err(|error| match error {
        ClusterError::ProgramsNotFound => Failure::missing(format!("{error} with --postgres-bin")),
        ClusterError::NotAProgramFolder { .. } | ClusterError::Directory { .. } => {
            Failure::configuration(format!("pgtenant: {error}"))
        }
        _ => Failure::run(error),
    })
}

/// A password or key of 256 random bits.
fn secret() -> Result<String, Failure> {
    random_hex(32).map_err(Failure::run)
}

/// A path as it stands in the query of a connection string.
fn percent_encode(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
