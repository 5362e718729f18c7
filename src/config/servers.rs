//! `[servers.NAME]`

use super::reader::{Entry, Section};
use super::{Reached, Secret, Server, ServerTls, Verification};
use super::{application_name, hosts, pem, replica, server_certificate};
use crate::directory::Hosts;
use crate::problem::suggestion;
use crate::tenant::ServerName;
use crate::x509::Authorities;
use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const PASSWORDS: [&str; 3] = ["password", "password_file", "password_env"];

/// PostgreSQL takes no more (`max_connections`).
const MOST_CONNECTIONS: u32 = 262_143;

/// `tcp_user_timeout` unless it is given.
pub(crate) const TCP_USER_TIMEOUT: Duration = Duration::from_secs(20);

/// The servers, and the names of those too that have a problem.
#[derive(Clone, Default)]
pub(super) struct Servers {
    pub(super) declared: BTreeSet<String>,
    pub(super) valid: BTreeMap<ServerName, Server>,
}

impl Servers {
    /// The server of this name, for a value that must name one.
    pub(super) fn find(&self, entry: &Entry<'_>) -> Option<ServerName> {
        let name = entry.text()?;
        if !self.declared.contains(name) {
            let names = self.declared.iter().map(String::as_str);
            let near = suggestion(name, names);
            entry.refuse(format!("no section [servers.NAME] has this name; {near}"));
            return None;
        }
        Some(ServerName::new(name))
    }

    /// Where they are, and as whom tenants share them.
    pub(super) fn hosts(&self) -> Hosts {
        let mut hosts = Hosts::new();
        for server in self.valid.values() {
            // A replica has the same data.
            let primary = server.replica_of.iter().flat_map(|one| one.hosts.iter());
            let places = server.hosts.iter().chain(primary);
            let places = places.map(|host| (&*host.name, host.port));
            hosts.add(&server.name, places, &server.user);
        }
        hosts
    }
}

pub(super) fn read(root: &mut Section<'_>) -> Servers {
    let sections = root.sections("servers");
    let names = sections.iter().map(|(name, _)| name.clone());
    let mut servers = Servers {
        declared: names.collect(),
        ..Servers::default()
    };
    let mut replicas = Vec::new();
    for (name, section) in sections {
        let Some(mut section) = section else {
            continue;
        };
        replicas.extend(replica::of(&name, &mut section, &servers));
        if let Some(server) = server(&name, section) {
            servers.valid.insert(server.name.clone(), server);
        }
    }
    replica::resolve(replicas, &mut servers.valid);
    servers
}

fn server(name: &str, mut section: Section<'_>) -> Option<Server> {
    let place = hosts::read(&mut section);
    let target = place.as_ref().map(|(_, target)| *target);
    let lag_limit = replica::lag_limit(&mut section, target);
    let is_local = place
        .as_ref()
        .is_some_and(|(hosts, _)| hosts.first().socket().is_some());
    let tls = match is_local {
        true => no_tls(&mut section),
        false => tls(&mut section),
    };
    let user = section.required("user", "the role that the proxy logs in as");
    let user = user.and_then(|entry| entry.text());
    let password = password(&mut section);
    let connect_timeout = match section.optional("connect_timeout") {
        Some(entry) => entry.duration(Duration::from_millis(100)..=Duration::from_secs(600)),
        None => Some(Duration::from_secs(5)),
    };
    let tcp_user_timeout = match section.optional("tcp_user_timeout") {
        Some(entry) => entry.duration(Duration::from_millis(100)..=Duration::from_secs(3600)),
        None => Some(TCP_USER_TIMEOUT),
    };
    let max_connections = section
        .optional("max_connections")
        .and_then(|entry| entry.integer(1..=MOST_CONNECTIONS))
        .map(|most| most as usize);
    let application_name = section
        .optional("application_name")
        .and_then(|entry| application_name::read(&entry));
    section.finish();
    let (hosts, target) = place?;
    Some(Server {
        name: ServerName::new(name),
        hosts,
        target,
        replica_of: None,
        lag_limit,
        tls: tls?,
        user: Arc::from(user?),
        password,
        connect_timeout: connect_timeout?,
        tcp_user_timeout: tcp_user_timeout?,
        max_connections,
        application_name,
        reached: Reached::default(),
    })
}

/// PostgreSQL has no TLS on Unix-domain sockets.
fn no_tls(section: &mut Section<'_>) -> Option<ServerTls> {
    let reason = "has no meaning on a Unix-domain socket: remove it";
    let ca = section.optional("ca");
    if let Some(ca) = &ca {
        ca.refuse(reason);
    }
    let tls = match section.optional("tls") {
        Some(entry) => entry.choice(&[("off", ())]),
        None => Some(()),
    };
    tls.filter(|()| ca.is_none()).map(|()| ServerTls::Off)
}

fn tls(section: &mut Section<'_>) -> Option<ServerTls> {
    let verification = match section.optional("tls") {
        Some(entry) => entry.choice(&[
            ("verify-full", Some(Verification::Full)),
            ("verify-ca", Some(Verification::Chain)),
            ("require", Some(Verification::Nothing)),
            ("off", None),
        ]),
        None => Some(Some(Verification::Full)),
    };
    let ca = section.optional("ca");
    match (verification?, ca) {
        (None, None) => Some(ServerTls::Off),
        (Some(Verification::Nothing), None) => ServerTls::unverified(),
        (None, Some(ca)) => {
            ca.refuse("has no meaning with tls = \"off\": remove it, or verify the server");
            None
        }
        (Some(Verification::Nothing), Some(ca)) => {
            ca.refuse(
                "has no meaning with tls = \"require\", which verifies no certificate: use \
                 \"verify-full\" or \"verify-ca\"",
            );
            None
        }
        (Some(Verification::Full | Verification::Chain), None) => {
            section.missing(
                "ca",
                "the PEM file with the certificates that the server's is verified against (or set \
                 tls to \"require\" or \"off\", which verify nothing)",
            );
            None
        }
        (Some(Verification::Full), Some(ca)) => ServerTls::verified(pem::authorities(&ca)?),
        (Some(Verification::Chain), Some(ca)) => ServerTls::of_chain(pem::authorities(&ca)?),
    }
}

impl ServerTls {
    /// `require`. `None` if the cryptography cannot do it.
    pub(crate) fn unverified() -> Option<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = server_certificate::none(&provider);
        Self::on(provider, verifier, Verification::Nothing, Arc::from([]))
    }

    /// `verify-ca`. `None` if the cryptography cannot do it.
    pub(crate) fn of_chain(authorities: Authorities) -> Option<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = authorities.certificates().clone();
        let verifier = server_certificate::chain(authorities, &provider);
        Self::on(provider, verifier, Verification::Chain, roots)
    }

    /// `verify-full`. `None` if the cryptography cannot do it.
    pub(crate) fn verified(authorities: Authorities) -> Option<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = authorities.certificates().clone();
        let verifier = server_certificate::full(authorities, &provider);
        Self::on(provider, verifier, Verification::Full, roots)
    }

    fn on(
        provider: Arc<CryptoProvider>,
        verifier: Arc<dyn ServerCertVerifier>,
        verification: Verification,
        roots: Arc<[CertificateDer<'static>]>,
    ) -> Option<Self> {
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .ok()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Some(Self::On {
            config: Arc::new(config),
            verification,
            roots,
        })
    }
}

/// The password, by one of the keys that there are for it.
pub(super) fn password(section: &mut Section<'_>) -> Option<Secret> {
    let [text, file, variable] = PASSWORDS.map(|key| section.optional(key));
    let given: Vec<_> = PASSWORDS
        .into_iter()
        .filter(|key| section.has(key))
        .collect();
    if given.len() > 1 {
        section.refuse_section(format!("has {}: keep one of them", given.join(" and ")));
        return None;
    }
    let password = if let Some(entry) = text {
        entry.secret()?.to_owned()
    } else if let Some(entry) = file {
        password_in_file(&entry)?
    } else {
        password_in_environment(&variable?)?
    };
    Some(Secret::new(&password))
}

pub(super) fn password_in_file(entry: &Entry<'_>) -> Option<String> {
    let (path, bytes) = entry.file()?;
    let text = String::from_utf8(bytes).ok();
    let password = text.as_deref().map(|text| {
        let text = text.strip_suffix('\n').unwrap_or(text);
        text.strip_suffix('\r').unwrap_or(text)
    });
    match password {
        Some(password) if !password.is_empty() && !password.contains(char::is_control) => {
            Some(password.to_owned())
        }
        Some("") => {
            entry.refuse(format!("{} is empty", path.display()));
            None
        }
        _ => {
            entry.refuse(format!(
                "{} must have the password alone, one line of UTF-8 text",
                path.display()
            ));
            None
        }
    }
}

fn password_in_environment(entry: &Entry<'_>) -> Option<String> {
    // Somebody may have put the password itself here.
    let name = entry.secret()?;
    let value = entry.reader().environment().get(name);
    match value.map(|value| value.to_str()) {
        Some(Some(password)) if !password.is_empty() && !password.contains('\0') => {
            Some(password.to_owned())
        }
        Some(Some("")) => {
            entry.refuse_hidden("the environment variable that it names is empty");
            None
        }
        Some(_) => {
            entry.refuse_hidden("the environment variable that it names is not Unicode text");
            None
        }
        None => {
            let variable = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            if name.chars().all(variable) && name.contains('_') {
                entry.refuse("there is no such environment variable");
            } else {
                entry.refuse_hidden(
                    "must be the name of an environment variable that is set (not shown: it may \
                     be the password itself, which belongs into the key `password`)",
                );
            }
            None
        }
    }
}
