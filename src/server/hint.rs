//! What helps where a connection cannot be opened: the key that decides it, or the
//! command that makes what is missing. For operators alone: clients are told nothing of
//! keys, servers and roles.

use super::ConnectError;
use crate::config::Server;

/// Where it is written whom a connection is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In `[servers.NAME]`: its `user`.
    Server,
    /// In the tenant's isolation: a role of the tenant's own.
    Tenant,
    /// In `[directory.sql]`.
    Directory,
    /// In a URL on the command line, also how the connection is secured.
    Url,
    /// In such a URL, but `[servers.NAME]` says how the connection is secured.
    SecuredUrl,
}

impl Origin {
    /// That of a connection of the proxy's as this role.
    #[must_use]
    pub fn of(user: &str, server: &Server) -> Self {
        if *user == *server.user {
            Self::Server
        } else {
            Self::Tenant
        }
    }
}

impl ConnectError {
    /// What helps, where something is known.
    #[must_use]
    pub fn hint(&self, server: &Server, origin: Origin) -> Option<String> {
        match self {
            Self::Tls(reason) => Some(hint_of_tls(reason, server, origin)),
            Self::Refused(report) => {
                hint_of_refusal(&report.sqlstate, &report.message, server, origin)
            }
            _ => None,
        }
    }
}

fn hint_of_tls(reason: &str, server: &Server, origin: Origin) -> String {
    let name = &server.name;
    let section = format!("servers.{name}");
    let (ca, host, tls) = match origin {
        Origin::Url => (
            "the file of sslrootcert".to_owned(),
            "the URL's host".to_owned(),
            "sslmode".to_owned(),
        ),
        Origin::SecuredUrl => (
            format!("{section}.ca"),
            "the URL's host".to_owned(),
            format!("{section}.tls"),
        ),
        Origin::Server | Origin::Tenant | Origin::Directory => (
            format!("{section}.ca"),
            format!("{section}.host"),
            format!("{section}.tls"),
        ),
    };
    if reason.contains("UnknownIssuer") {
        format!("{ca} must have the authority of the server's certificate")
    } else if reason.contains("not valid for name") {
        format!("{host} must be a name in the server's certificate, or {tls} \"verify-ca\"")
    } else {
        format!("{tls} and {ca} say what is asked of the server")
    }
}

/// What helps where the server has refused a login with this SQLSTATE.
pub(crate) fn hint_of_refusal(
    sqlstate: &str,
    message: &str,
    server: &Server,
    origin: Origin,
) -> Option<String> {
    let name = &server.name;
    let is_login = sqlstate.starts_with("28");
    // The file has this name in every language.
    if is_login && message.contains("pg_hba.conf") {
        return Some("the server's pg_hba.conf decides who may connect from where".to_owned());
    }
    let hint = match (sqlstate, origin) {
        ("3D000", Origin::Server | Origin::Tenant) => {
            "`pgtenant provision` makes databases of tenants of kind \"database\"".to_owned()
        }
        ("3D000", Origin::Directory) => {
            "directory.sql.database must be a database of the server".to_owned()
        }
        (_, Origin::Tenant) if is_login => {
            "`pgtenant provision` makes the tenant's role, with the password that is derived for \
             it"
            .to_owned()
        }
        (_, Origin::Server) if is_login => format!(
            "servers.{name}.user must be a role that may log in, and servers.{name}.password (or \
             password_file, password_env) its password"
        ),
        (_, Origin::Directory) if is_login => {
            "directory.sql.user must be a role that may log in, and directory.sql.password (or \
             password_file, password_env) its password"
                .to_owned()
        }
        _ => return None,
    };
    Some(hint)
}
