//! Which proof a client is asked for, and whether it holds.

use super::arrive::{Failed, Introduced};
use super::scram::Scram;
use super::wire::{LoginError, Wire};
use crate::settings::ClientTls;
use crate::tenant::{Directory, Method, Principal, Verifier};
use crate::wire::ClientError;
use crate::wire::backend;
use crate::wire::startup::Startup;

/// The newest minor version of the protocol that is spoken.
const NEWEST_MINOR: u16 = 2;

/// Checks credentials.
#[derive(Debug)]
pub struct Authenticator {
    scram: Scram,
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
}

impl Authenticator {
    /// An authenticator for a listener with this TLS.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn new(tls: &ClientTls) -> Result<Self, aws_lc_rs::error::Unspecified> {
        Ok(Self {
            scram: Scram::new(tls)?,
        })
    }

    /// Runs the exchange. A user that does not exist takes the same path as one
    /// that does, and fails at its end.
    ///
    /// # Errors
    /// If the client does not prove that it knows the password.
    pub async fn authenticate(
        &self,
        introduced: Introduced,
        directory: &Directory,
    ) -> Result<Authenticated, Failed> {
        let Introduced { mut wire, startup } = introduced;
        match self.exchange(&mut wire, &startup, directory).await {
            Ok((principal, answer)) => Ok(Authenticated {
                wire,
                startup,
                principal,
                answer,
            }),
            Err(error) => Err((Some(Box::new(wire)), error)),
        }
    }

    async fn exchange(
        &self,
        wire: &mut Wire,
        startup: &Startup,
        directory: &Directory,
    ) -> Result<(Principal, Vec<u8>), LoginError> {
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
        let login = directory.find(user);
        if login.is_none() && !directory.is_complete() {
            return Err(unavailable());
        }
        let verifier = login.and_then(|login| login.methods.iter().find_map(password_of));
        let found = login.map(|login| &login.principal).zip(verifier);
        let (principal, answer) = self.scram.exchange(wire, user, found, out).await?;
        Ok((principal.clone(), answer))
    }
}

/// What the password is checked against, where a password is enough.
fn password_of(method: &Method) -> Option<&Verifier> {
    match method {
        Method::Scram(verifier) => Some(verifier),
        _ => None,
    }
}

/// Whoever is not in the directory may be in the part of it that is away.
fn unavailable() -> LoginError {
    LoginError::told(
        ClientError::fatal("57P03", "the tenant directory is not available")
            .hint("Try again in a moment."),
    )
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
        error: Box::new(ClientError::fatal(
            "28P01",
            format!("password authentication failed for user \"{user}\""),
        )),
        reason: format!("login {user:?}: {reason}"),
    }
}
