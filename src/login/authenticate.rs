//! Which proof a client is asked for, and whether it holds.

use super::arrive::{Failed, Introduced};
use super::certificate::{Certificate, spelled};
use super::scram::{Against, Scram};
use super::throttle::{Throttle, Who};
use super::wire::{INVALID_PASSWORD, LoginError, Wire};
use crate::settings::Settings;
use crate::tenant::{
    CertificateMap, Directory, Login, LoginName, Method, Principal, Standing, Verifier,
};
use crate::wire::ClientError;
use crate::wire::backend::{self, Authentication};
use crate::wire::startup::Startup;
use std::net::IpAddr;
use std::time::SystemTime;

/// The newest minor version of the protocol that is spoken.
const NEWEST_MINOR: u16 = 2;

/// Checks credentials.
#[derive(Debug)]
pub struct Authenticator {
    scram: Scram,
    certificates: CertificateMap,
    end_expired: bool,
}

/// Where a client comes from, and what is known of failed logins.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    /// Its address.
    pub address: IpAddr,
    /// What slows guessing down.
    pub throttle: &'a Throttle,
}

/// A client whose credential holds. It has not been told yet: `answer` goes in
/// front of what it is told next.
#[derive(Debug)]
pub struct Authenticated {
    /// Its connection.
    pub wire: Wire,
    /// Its startup packet.
    pub startup: Startup,
    /// Who it is.
    pub principal: Principal,
    /// The end of the authentication, to be sent.
    pub answer: Vec<u8>,
    /// Whether its login is one of the directory's; else the credential alone
    /// says who it is.
    pub listed: bool,
    /// When its credential expires, if its session is to end then.
    pub expires: Option<SystemTime>,
}

/// What a proof that holds leads to.
struct Proven {
    principal: Principal,
    answer: Vec<u8>,
    listed: bool,
    expires: Option<SystemTime>,
}

impl Authenticator {
    /// An authenticator by these settings.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn new(settings: &Settings) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let tls = settings.tls.certificates();
        Ok(Self {
            scram: Scram::new(&settings.tls)?,
            certificates: settings.certificates.clone(),
            end_expired: tls.is_some_and(|own| own.end_expired),
        })
    }

    /// Runs the exchange. A user that does not exist takes the same path as one
    /// that does, and fails at its end.
    ///
    /// # Errors
    /// If the client does not prove who it is, or may not log in.
    pub async fn authenticate(
        &self,
        introduced: Introduced,
        directory: &Directory,
        peer: Peer<'_>,
    ) -> Result<Authenticated, Failed> {
        let Introduced { mut wire, startup } = introduced;
        match self.exchange(&mut wire, &startup, directory, peer).await {
            Ok(proven) => Ok(Authenticated {
                wire,
                startup,
                principal: proven.principal,
                answer: proven.answer,
                listed: proven.listed,
                expires: proven.expires,
            }),
            Err(error) => Err((Some(Box::new(wire)), error)),
        }
    }

    async fn exchange(
        &self,
        wire: &mut Wire,
        startup: &Startup,
        directory: &Directory,
        peer: Peer<'_>,
    ) -> Result<Proven, LoginError> {
        let user = parameter(startup, "user")
            .filter(|user| !user.is_empty())
            .ok_or_else(|| {
                LoginError::told(ClientError::fatal(
                    "28000",
                    "no PostgreSQL user name specified in startup packet",
                ))
            })?;
        let mut out = Vec::new();
        negotiate(startup, &mut out);
        let certificate = Certificate::of(&wire.transport);
        let login = directory.find(user);
        let who = Who::new(peer.address, user, login.is_some());
        let expires = certificate.as_ref().map(|certificate| certificate.expires);
        let expires = expires.filter(|_| self.end_expired);
        let proof = match login {
            Some(login) => listed(login, certificate.as_ref()),
            None => self.unlisted(user, certificate.as_ref(), directory),
        };
        let proven = match proof {
            Proof::Certificate(principal) => {
                Authentication::Ok.encode(&mut out);
                Ok(Proven {
                    principal,
                    answer: out,
                    listed: login.is_some(),
                    expires,
                })
            }
            Proof::Password {
                login,
                verifier,
                certificate,
            } => {
                let guess = Guess { user, who, peer };
                let against = Against::Verifier(verifier);
                let answer = self.scram.exchange(wire, guess, against, out).await;
                answer.map(|answer| Proven {
                    principal: login.principal.clone(),
                    answer,
                    listed: true,
                    expires: expires.filter(|_| certificate),
                })
            }
            Proof::None(reason) => {
                let guess = Guess { user, who, peer };
                let (iterations, salt_len) = directory.usual_secret();
                let against = Against::Nothing {
                    iterations,
                    salt_len,
                    reason,
                };
                match self.scram.exchange(wire, guess, against, out).await {
                    Ok(_) => Err(failed(user, "no proof")),
                    Err(error) => Err(error),
                }
            }
        };
        let proven = proven.and_then(|proven| allowed(proven, user, peer.address));
        match &proven {
            Ok(_) => peer.throttle.succeeded(who),
            // A right password from a wrong address counts too, or the delay
            // that does not come would tell that it was right.
            Err(error) if error.is_wrong_credential() => peer.throttle.failed(who),
            Err(_) => {}
        }
        standing(proven?)
    }

    /// What proves a user that is not listed: a certificate that says itself
    /// whose it is.
    fn unlisted<'l>(
        &self,
        user: &str,
        certificate: Option<&Certificate>,
        directory: &Directory,
    ) -> Proof<'l> {
        let Some(certificate) = certificate else {
            return Proof::None("no such login".to_owned());
        };
        let holder = match self.certificates.find(&certificate.names, user) {
            Ok(holder) => holder,
            Err(misfit) => {
                let shown = certificate.shown();
                return Proof::None(format!("no such login, and {misfit} ({shown})"));
            }
        };
        match directory.tenant(&holder.tenant) {
            Some(tenant) => Proof::Certificate(Principal {
                login: LoginName::new(&holder.login),
                tenant: tenant.clone(),
            }),
            None => Proof::None(format!(
                "the client certificate is for tenant {:?}, which does not exist",
                holder.tenant.as_str()
            )),
        }
    }
}

/// How a client can prove itself.
enum Proof<'l> {
    /// It has, by its certificate.
    Certificate(Principal),
    /// By the password; `certificate` tells whether one was needed besides.
    Password {
        login: &'l Login,
        verifier: &'l Verifier,
        certificate: bool,
    },
    /// Not at all, and why. It is asked for a password like everybody.
    None(String),
}

/// The strongest of the login's methods that the client has the means for.
fn listed<'l>(login: &'l Login, certificate: Option<&Certificate>) -> Proof<'l> {
    let has = |name| certificate.is_some_and(|certificate| certificate.is_for(name));
    let methods = || login.methods.iter();
    if methods().any(|method| matches!(method, Method::Certificate(name) if has(name))) {
        return Proof::Certificate(login.principal.clone());
    }
    let both = methods().find_map(|method| match method {
        Method::CertificateAndScram(name, verifier) if has(name) => Some((verifier, true)),
        _ => None,
    });
    let password = || {
        methods().find_map(|method| match method {
            Method::Scram(verifier) => Some((verifier, false)),
            _ => None,
        })
    };
    match both.or_else(password) {
        Some((verifier, certificate)) => Proof::Password {
            login,
            verifier,
            certificate,
        },
        None => Proof::None(missing(login, certificate)),
    }
}

/// Why none of the login's methods can be used.
fn missing(login: &Login, certificate: Option<&Certificate>) -> String {
    let names: Vec<_> = login
        .methods
        .iter()
        .filter_map(|method| match method {
            Method::Certificate(name) | Method::CertificateAndScram(name, _) => Some(name),
            _ => None,
        })
        .collect();
    let needed = spelled(names.iter().copied());
    match certificate {
        _ if names.is_empty() => "the login does not accept what the client has".to_owned(),
        None => format!("no client certificate, and the login needs one for {needed}"),
        Some(certificate) => format!(
            "the client certificate is {}, and the login needs one for {needed}",
            certificate.shown()
        ),
    }
}

/// A password that a client tries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guess<'a> {
    pub(super) user: &'a str,
    who: Who,
    peer: Peer<'a>,
}

impl Guess<'_> {
    /// Whether it may be looked at now.
    pub(super) fn check(&self) -> Result<(), LoginError> {
        let checked = self.peer.throttle.check(self.who);
        checked.map_err(|throttled| LoginError::Throttled {
            error: Box::new(wrong_credential(self.user)),
            reason: format!("login {:?}: {throttled}", self.user),
        })
    }
}

/// Whether the tenant's clients may come from this address.
fn allowed(proven: Proven, user: &str, address: IpAddr) -> Result<Proven, LoginError> {
    if proven.principal.tenant.limits.allow(address) {
        return Ok(proven);
    }
    Err(failed(user, "address not allowed"))
}

/// Whether the tenant's clients may log in at all. Who has proved to be one may
/// know.
fn standing(proven: Proven) -> Result<Proven, LoginError> {
    match proven.principal.tenant.standing {
        Standing::Active | Standing::ReadOnly => Ok(proven),
        Standing::Suspended => Err(LoginError::Refused {
            error: Box::new(ClientError::fatal("28000", "the tenant is suspended")),
            reason: format!(
                "login {:?}: tenant {} is suspended",
                proven.principal.login.as_str(),
                proven.principal.tenant.id
            ),
        }),
    }
}

/// The value of a startup parameter.
pub(crate) fn parameter<'a>(startup: &'a Startup, name: &str) -> Option<&'a str> {
    let found = startup.parameters.iter().find(|(known, _)| known == name)?;
    Some(&found.1)
}

/// Tells the client what it asked for and will not get: a newer minor version,
/// or protocol options.
fn negotiate(startup: &Startup, out: &mut Vec<u8>) {
    let names = startup.parameters.iter().map(|(name, _)| name.as_str());
    let unknown: Vec<_> = names.filter(|name| name.starts_with("_pq_.")).collect();
    if startup.minor > NEWEST_MINOR || !unknown.is_empty() {
        backend::negotiate_protocol_version(out, startup.minor.min(NEWEST_MINOR), &unknown);
    }
}

/// One message for every cause, so that nobody learns which it was.
pub(super) fn failed(user: &str, reason: &str) -> LoginError {
    LoginError::Refused {
        error: Box::new(wrong_credential(user)),
        reason: format!("login {user:?}: {reason}"),
    }
}

fn wrong_credential(user: &str) -> ClientError {
    ClientError::fatal(
        INVALID_PASSWORD,
        format!("password authentication failed for user \"{user}\""),
    )
}
