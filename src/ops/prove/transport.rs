//! How clients come, and how the proxy comes to PostgreSQL.

use super::report::{Outcome, Test};
use super::scene::Side;
use super::wire::Login;
use crate::config::{Server, ServerTls, Verification};
use crate::server::ConnectError;
use crate::transport::Transport;
use crate::x509::Lifetime;
use rustls::pki_types::CertificateDer;
use std::time::SystemTime;

/// What the connection showed of itself.
pub(super) struct Secured {
    /// Protocol and cipher suite.
    pub(super) tls: Option<String>,
    chain: Vec<CertificateDer<'static>>,
}

/// The connection as the URL has it secured.
pub(super) async fn secured(login: &Login) -> Result<Secured, ConnectError> {
    let (secured, _) = login.reach().await?;
    let chain = match &secured.transport {
        Transport::Tls(stream) => stream.get_ref().1.peer_certificates().map(<[_]>::to_vec),
        Transport::Plain(_) => None,
    };
    let tls = secured.transport.tls().map(Into::into);
    Ok(Secured {
        tls,
        chain: chain.unwrap_or_default(),
    })
}

/// Looks at the way from the clients to the proxy.
pub(super) async fn clients(side: &Side, now: SystemTime, tests: &mut Vec<Test>) {
    let login = &side.login;
    let mut add = |id: &str, what: &str, outcome| {
        tests.push(Test {
            id: id.to_owned(),
            promise: "D1",
            what: what.to_owned(),
            outcome,
        });
    };
    let unverified = ServerTls::unverified().map(|tls| login.secured(tls));
    let offered = match &unverified {
        Some(login) => secured(login).await.map_err(|error| error.to_string()),
        None => Err("the cryptography is not there".to_owned()),
    };
    add(
        "tls-offered",
        "ask for TLS",
        match &offered {
            Ok(Secured { tls: Some(tls), .. }) => Outcome::Held(tls.clone()),
            Ok(_) => Outcome::Broken("the connection is in clear text".to_owned()),
            Err(why) => Outcome::Broken(why.clone()),
        },
    );
    add(
        "tls-certificate",
        "verify the certificate and its name, as the URL asks for",
        certificate(login).await,
    );
    add(
        "tls-certificate-days",
        "read until when the certificates are valid",
        match &offered {
            Ok(secured) => lifetime(secured, now),
            Err(why) => Outcome::NotTested(why.clone()),
        },
    );
    add(
        "clear-text-refused",
        "begin to log in without TLS; no password is sent",
        clear_text(login).await,
    );
}

async fn clear_text(login: &Login) -> Outcome {
    let mut login = login.secured(ServerTls::Off);
    // Whoever listens would get it.
    login.server.password = None;
    match login.open().await {
        Ok(session) => {
            session.close().await;
            Outcome::Broken("the login succeeded in clear text, without a password".to_owned())
        }
        Err(ConnectError::Authentication(_)) => {
            Outcome::Broken("it was not refused: the login goes on in clear text".to_owned())
        }
        Err(ConnectError::Refused(report)) if report.sqlstate == "28000" => {
            Outcome::Held(format!("refused: {} ({})", report.message, report.sqlstate))
        }
        Err(error) => Outcome::NotTested(format!("it failed for another reason: {error}")),
    }
}

async fn certificate(login: &Login) -> Outcome {
    let ServerTls::On { verification, .. } = &login.server.tls else {
        return Outcome::NotTested("the URL does not ask for TLS".to_owned());
    };
    match (verification, secured(login).await) {
        (Verification::Full, Ok(_)) => {
            Outcome::Held("it is valid for the host of the URL".to_owned())
        }
        (Verification::Full | Verification::Chain, Err(error)) => {
            Outcome::Broken(error.to_string())
        }
        (Verification::Chain, Ok(_)) => Outcome::NotTested(
            "the URL does not ask for the name: sslmode=verify-full does".to_owned(),
        ),
        (Verification::Nothing, _) => {
            Outcome::NotTested("the URL names no authority: sslrootcert=FILE does".to_owned())
        }
    }
}

fn lifetime(secured: &Secured, now: SystemTime) -> Outcome {
    let Some(lifetime) = Lifetime::of(&secured.chain) else {
        return Outcome::NotTested("no certificate could be read".to_owned());
    };
    let days = lifetime.left(now) / (24 * 60 * 60);
    match lifetime.has_ended(now) {
        true => Outcome::Broken(format!("it has expired: {lifetime}")),
        false => Outcome::Held(format!("{days} days left: {lifetime}")),
    }
}

/// The way from the proxy to PostgreSQL, as PostgreSQL sees it.
pub(super) async fn server(side: &Side) -> Test {
    let sql =
        "SELECT ssl::text, coalesce(version, '') FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let outcome = match side.login.open().await {
        Err(error) => Outcome::NotTested(format!("cannot log in: {error}")),
        Ok(mut session) => {
            let answer = session.query(sql).await;
            session.close().await;
            let values: Vec<_> = answer
                .rows
                .iter()
                .flatten()
                .flatten()
                .map(String::as_str)
                .collect();
            let address = side.place.server_address.as_str();
            let is_near = address.is_empty() || address == "::1" || address.starts_with("127.");
            match (values.as_slice(), answer.failed) {
                (["true", version], _) => Outcome::Held(format!("PostgreSQL says: {version}")),
                (["false", _], _) if is_near => Outcome::NotApplicable(
                    "in clear text, and does not leave the machine".to_owned(),
                ),
                (["false", _], _) => Outcome::Broken("PostgreSQL says: clear text".to_owned()),
                (_, Some(failed)) => Outcome::NotTested(format!("it cannot be seen: {failed}")),
                _ => Outcome::NotTested("PostgreSQL does not say".to_owned()),
            }
        }
    };
    Test {
        id: "server-encrypted".to_owned(),
        promise: "D2",
        what: "ask PostgreSQL (pg_stat_ssl) whether the server connection is encrypted".to_owned(),
        outcome,
    }
}

/// Whether the configuration has the server's certificate verified.
pub(super) fn configured(server: Option<&Server>, silence: &str) -> Test {
    let outcome = match server.map(|server| &server.tls) {
        None => Outcome::NotTested(silence.to_owned()),
        Some(ServerTls::On { verification, .. }) => match verification {
            Verification::Full => Outcome::Held("tls = \"verify-full\"".to_owned()),
            Verification::Chain => Outcome::Broken(
                "tls = \"verify-ca\": any server of the authority passes for it".to_owned(),
            ),
            Verification::Nothing => {
                Outcome::Broken("tls = \"require\": nothing is verified".to_owned())
            }
        },
        Some(ServerTls::Off) => match server.is_some_and(|server| {
            server
                .hosts
                .iter()
                .all(|host| host.socket().is_some() || is_loopback(&host.name))
        }) {
            true => Outcome::NotApplicable("tls = \"off\", to this machine alone".to_owned()),
            false => Outcome::Broken("tls = \"off\"".to_owned()),
        },
    };
    Test {
        id: "server-verified".to_owned(),
        promise: "D2",
        what: "read tls of the server's section in the configuration".to_owned(),
        outcome,
    }
}

fn is_loopback(name: &str) -> bool {
    let address = name.parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
