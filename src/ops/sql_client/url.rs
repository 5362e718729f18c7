//! A PostgreSQL connection URL.

use super::{Database, SqlClientError};
use crate::config::{Hosts, Reached, Secret, Server, ServerTls, TCP_USER_TIMEOUT, TargetRole};
use crate::server::{ConnectError, Origin};
use crate::tenant::ServerName;
use crate::x509::Authorities;
use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Where and as whom to connect:
/// `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…`.
///
/// `sslmode` is `disable`, `prefer`, `require`, `verify-ca` or `verify-full`;
/// without it `verify-full` if there is an `sslrootcert`, else `prefer`.
/// `prefer` means TLS that verifies nothing, and clear text only if the host is
/// this machine. `connect_timeout` is in seconds. The password may come from
/// the environment variable `PGPASSWORD`.
#[derive(Debug, Clone)]
pub struct Url {
    server: Server,
    database: String,
    /// `prefer` on this machine: whether clear text will do.
    may_fall_back: bool,
    /// Whether it says how the connection is secured.
    says_tls: bool,
    /// Where that is written.
    origin: Origin,
}

/// Why a text is not a URL that can be used. Nothing of the text is shown, since
/// there may be a password anywhere in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is something else.
    #[error(
        "not a PostgreSQL URL (not shown: it may contain a password): it must look like \
         postgres://user:password@host:5432/database?sslmode=verify-full&sslrootcert=ca.crt, with \
         / ? # @ : % in a name or password written as %2F %3F %23 %40 %3A %25"
    )]
    Malformed,
    /// There is no user name.
    #[error("the URL has no user name: write postgres://user@host/database")]
    NoUser,
    /// There is not exactly one host, or it is a Unix-domain socket.
    #[error("the URL must have one host name or address; Unix-domain sockets are not supported")]
    Host,
    /// A parameter after `?` is not known.
    #[error(
        "the URL has a parameter after `?` that is not known; known are sslmode, sslrootcert and \
         connect_timeout"
    )]
    Parameter,
    /// `sslmode` has a wrong value.
    #[error("sslmode must be one of disable, prefer, require, verify-ca, verify-full")]
    SslMode,
    /// `sslmode` asks to verify, and there is nothing to verify against.
    #[error(
        "sslmode=verify-ca and verify-full need sslrootcert=FILE, a PEM file with certificates"
    )]
    NoRoots,
    /// `sslrootcert` has no meaning with this `sslmode`.
    #[error("sslrootcert has no meaning with sslmode=disable")]
    RootsWithoutTls,
    /// The file of `sslrootcert` cannot be used.
    #[error("the file of sslrootcert cannot be used: {0}")]
    Roots(String),
    /// `connect_timeout` has a wrong value.
    #[error("connect_timeout must be a number of seconds from 1 to 600")]
    Timeout,
    /// `PGPASSWORD` is not Unicode text.
    #[error("the environment variable PGPASSWORD is not Unicode text")]
    Environment,
}

impl Url {
    /// Parses a URL. Without a password in it, the one of the process's
    /// environment variable `PGPASSWORD` is taken.
    ///
    /// # Errors
    /// As [`UrlError`] names them.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        Self::parse_with(text, std::env::var_os("PGPASSWORD"))
    }

    /// Parses a URL, with the password for one that has none.
    ///
    /// # Errors
    /// As [`UrlError`] names them.
    pub fn parse_with(text: &str, password: Option<OsString>) -> Result<Self, UrlError> {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        if !base.starts_with("postgres://") && !base.starts_with("postgresql://") {
            return Err(UrlError::Malformed);
        }
        // With two, what is taken for the host may be the end of a password.
        if base.matches('@').count() > 1 {
            return Err(UrlError::Malformed);
        }
        let config: Config = base.parse().map_err(|_| UrlError::Malformed)?;
        let parameters = Parameters::parse(query)?;
        let user = config.get_user().ok_or(UrlError::NoUser)?;
        let host = host(&config)?;
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let local = is_this_machine(host);
        Ok(Self {
            database: config.get_dbname().unwrap_or(user).to_owned(),
            may_fall_back: local && parameters.mode()? == Mode::Prefer,
            origin: Origin::Url,
            says_tls: parameters.sslmode.is_some() || parameters.sslrootcert.is_some(),
            server: Server {
                name: ServerName::new(&format!("{host}:{port}")),
                hosts: Hosts::one(host, port),
                target: TargetRole::Any,
                replica_of: None,
                lag_limit: None,
                tls: parameters.tls()?,
                user: Arc::from(user),
                password: secret(&config, password)?,
                connect_timeout: parameters.timeout()?,
                tcp_user_timeout: TCP_USER_TIMEOUT,
                application_name: None,
                max_connections: None,
                reached: Reached::default(),
            },
        })
    }

    /// The URL with connections secured as `server` says, unless it says that itself.
    #[must_use]
    pub(super) fn secured_as(mut self, server: &Server) -> Self {
        if !self.says_tls {
            self.server.tls = server.tls.clone();
            self.server.name = server.name.clone();
            self.origin = Origin::SecuredUrl;
            self.may_fall_back = false;
        }
        self
    }

    /// Connects to its database as its user.
    ///
    /// # Errors
    /// As [`Database::connect`].
    pub async fn connect(&self) -> Result<Database, SqlClientError> {
        self.connect_to(&self.database).await
    }

    /// Connects to another database of the same server.
    ///
    /// # Errors
    /// As [`Database::connect`].
    pub async fn connect_to(&self, database: &str) -> Result<Database, SqlClientError> {
        let (user, password) = (self.user(), self.password());
        let origin = self.origin;
        let connected = Database::connect_for(origin, &self.server, database, user, password).await;
        match connected {
            Err(SqlClientError::Connect {
                source: ConnectError::Tls(_),
                ..
            }) if self.may_fall_back => {
                let mut server = self.server.clone();
                server.tls = ServerTls::Off;
                Database::connect_for(origin, &server, database, user, password).await
            }
            connected => connected,
        }
    }

    /// The server, with the user and the password in it.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The server in clear text, where the URL would make do with that.
    #[must_use]
    pub fn in_clear_text(&self) -> Option<Server> {
        let tls = ServerTls::Off;
        let server = self.server.clone();
        self.may_fall_back.then_some(Server { tls, ..server })
    }

    /// The database; the user's name where the URL has none.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.server.user
    }

    /// The password, where there is one.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        self.server.password.as_ref()
    }
}

fn host(config: &Config) -> Result<&str, UrlError> {
    let ([Host::Tcp(host)], [] | [_]) = (config.get_hosts(), config.get_ports()) else {
        return Err(UrlError::Host);
    };
    // Brackets are the URL's own way to write an IPv6 address.
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host = bare.unwrap_or(host);
    match rustls::pki_types::ServerName::try_from(host) {
        Ok(_) => Ok(host),
        Err(_) => Err(UrlError::Host),
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

fn secret(config: &Config, environment: Option<OsString>) -> Result<Option<Secret>, UrlError> {
    let text = match (config.get_password(), environment) {
        (Some(password), _) => std::str::from_utf8(password).map_err(|_| UrlError::Malformed)?,
        (None, None) => return Ok(None),
        (None, Some(password)) => {
            let password = password.to_str().ok_or(UrlError::Environment)?;
            return Ok((!password.is_empty()).then(|| Secret::new(password)));
        }
    };
    Ok(Some(Secret::new(text)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// What stands behind `?`.
#[derive(Default)]
struct Parameters {
    sslmode: Option<String>,
    sslrootcert: Option<String>,
    connect_timeout: Option<String>,
}

impl Parameters {
    fn parse(query: &str) -> Result<Self, UrlError> {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or(UrlError::Parameter)?;
            let slot = match key {
                "sslmode" => &mut parameters.sslmode,
                "sslrootcert" => &mut parameters.sslrootcert,
                "connect_timeout" => &mut parameters.connect_timeout,
                _ => return Err(UrlError::Parameter),
            };
            let value = percent_decode_str(value).decode_utf8();
            *slot = Some(value.map_err(|_| UrlError::Malformed)?.into_owned());
        }
        Ok(parameters)
    }

    fn mode(&self) -> Result<Mode, UrlError> {
        Ok(match (self.sslmode.as_deref(), &self.sslrootcert) {
            (None, None) | (Some("prefer"), None) => Mode::Prefer,
            (Some("disable"), None) => Mode::Disable,
            (Some("disable"), Some(_)) => return Err(UrlError::RootsWithoutTls),
            (Some("require"), None) => Mode::Require,
            // As libpq has it: who names an authority wants it to be verified.
            (Some("prefer" | "require" | "verify-ca"), Some(_)) => Mode::VerifyCa,
            (None | Some("verify-full"), Some(_)) => Mode::VerifyFull,
            (Some("verify-ca" | "verify-full"), None) => return Err(UrlError::NoRoots),
            (Some(_), _) => return Err(UrlError::SslMode),
        })
    }

    fn tls(&self) -> Result<ServerTls, UrlError> {
        let tls = match self.mode()? {
            Mode::Disable => Some(ServerTls::Off),
            Mode::Prefer | Mode::Require => ServerTls::unverified(),
            Mode::VerifyCa => ServerTls::of_chain(self.authorities()?),
            Mode::VerifyFull => ServerTls::verified(self.authorities()?),
        };
        tls.ok_or_else(|| UrlError::Roots("no certificate in it can be used".to_owned()))
    }

    fn authorities(&self) -> Result<Authorities, UrlError> {
        let path = Path::new(self.sslrootcert.as_deref().ok_or(UrlError::NoRoots)?);
        let refuse = |reason: String| UrlError::Roots(format!("{}: {reason}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        let certificates = read.map_err(|_| refuse("damaged PEM text".to_owned()))?;
        if certificates.is_empty() {
            return Err(refuse("has no certificate".to_owned()));
        }
        Authorities::new(certificates).map_err(|error| refuse(error.to_string()))
    }

    fn timeout(&self) -> Result<Duration, UrlError> {
        let Some(text) = &self.connect_timeout else {
            return Ok(Duration::from_secs(5));
        };
        let seconds = text.parse().ok().filter(|n| (1..=600).contains(n));
        seconds.map(Duration::from_secs).ok_or(UrlError::Timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Url, UrlError> {
        Url::parse_with(text, None)
    }

    #[test]
    fn a_url_names_user_password_host_port_and_database() {
        let url =
            parse("postgres://o%40k:p%2Fw%3F@db.example.com:5433/lab?sslmode=require").unwrap();
        assert_eq!((url.user(), url.database()), ("o@k", "lab"));
        assert_eq!(url.password().unwrap().reveal(), "p/w?");
        assert_eq!(url.server().hosts.to_string(), "db.example.com:5433");
    }

    #[test]
    fn what_is_missing_has_the_usual_defaults() {
        let url = parse("postgresql://owner@localhost").unwrap();
        assert_eq!(url.database(), "owner");
        assert_eq!(url.server().hosts.first().port, 5432);
        assert!(url.password().is_none());
        let url = Url::parse_with("postgres://o@h/d", Some("secret".into())).unwrap();
        assert_eq!(url.password().unwrap().reveal(), "secret");
    }

    #[test]
    fn clear_text_will_do_on_this_machine_alone_and_only_where_nothing_is_said() {
        for (text, may) in [
            ("postgres://o@localhost/d", true),
            ("postgres://o@127.0.0.1/d?sslmode=prefer", true),
            ("postgres://o@[::1]/d", true),
            ("postgres://o@127.0.0.1/d?sslmode=require", false),
            ("postgres://o@db.example.com/d", false),
        ] {
            assert_eq!(parse(text).unwrap().may_fall_back, may, "{text}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_and_its_password_is_not_shown() {
        for (text, error) in [
            ("hunter2", UrlError::Malformed),
            ("mysql://o:hunter2@h/d", UrlError::Malformed),
            ("postgres://o:pass@hunter2/@h/d", UrlError::Malformed),
            ("postgres://o:hunter2@h:port/d", UrlError::Malformed),
            ("postgres://h/d", UrlError::NoUser),
            ("postgres://o:hunter2@%2Ftmp/d", UrlError::Host),
            ("postgres://o:hunter2@a,b/d", UrlError::Host),
            ("postgres://o:hunter2@h/d?hunter2=1", UrlError::Parameter),
            (
                "postgres://o:hunter2@h/d?sslmode=hunter2",
                UrlError::SslMode,
            ),
            (
                "postgres://o:hunter2@h/d?sslmode=verify-full",
                UrlError::NoRoots,
            ),
            (
                "postgres://o:hunter2@h/d?sslmode=disable&sslrootcert=ca.crt",
                UrlError::RootsWithoutTls,
            ),
            (
                "postgres://o:hunter2@h/d?connect_timeout=soon",
                UrlError::Timeout,
            ),
        ] {
            let refused = parse(text).unwrap_err();
            assert_eq!(refused, error, "{text}");
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
        }
        let shown = format!("{:?}", parse("postgres://o:hunter2@h/d").unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
