//! SCRAM-SHA-256, with and without channel binding (RFC 5802, RFC 7677; protocol
//! section "SASL Authentication").

use super::arrive::{Failed, Introduced};
use super::wire::{LoginError, Wire};
use crate::settings::ClientTls;
use crate::tenant::{Directory, Principal, Verifier};
use crate::wire::ClientError;
use crate::wire::backend::{self, Authentication};
use crate::wire::startup::Startup;
use aws_lc_rs::{hmac, rand};
use pgwire::api::auth::sasl::scram::{ScramSecret, ScramServerAuth};
use pgwire::error::PgWireError;
use std::fmt;

/// The newest minor version of the protocol that is spoken.
const NEWEST_MINOR: u16 = 2;
const PLUS: &str = "SCRAM-SHA-256-PLUS";
const PLAIN: &str = "SCRAM-SHA-256";

/// Checks credentials.
pub struct Authenticator {
    /// With the certificate's hash, for clients over TLS.
    over_tls: Option<ScramServerAuth>,
    /// From this the salts of users that do not exist are made: the same salt
    /// for the same name for as long as the process lives.
    mock: hmac::Key,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").finish_non_exhaustive()
    }
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
        let over_tls = match tls {
            ClientTls::Off => None,
            ClientTls::Allow(certificates) | ClientTls::Require(certificates) => {
                let mut scram = ScramServerAuth::new();
                // A certificate whose signature names no hash function
                // (Ed25519) has no channel binding; nor does PostgreSQL's.
                scram
                    .configure_certificate(&certificates.chain_pem)
                    .ok()
                    .map(|()| scram)
            }
        };
        let mock = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())?;
        Ok(Self { over_tls, mock })
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
        let binding = self.over_tls.as_ref().filter(|_| wire.transport.is_tls());
        let mechanisms: &[&str] = if binding.is_some() {
            &[PLUS, PLAIN]
        } else {
            &[PLAIN]
        };
        let mut out = Vec::new();
        negotiate(startup, &mut out);
        Authentication::Sasl(mechanisms).encode(&mut out);
        wire.send(&out).await?;

        let first = wire.answer().await?;
        let first = initial_response(&first, mechanisms)?;
        let found = directory.find(user);
        let secret = match found {
            Some((verifier, _)) => secret_of(verifier),
            None => self.mock_secret(user),
        };
        let scram = binding.cloned().unwrap_or_default();
        let (challenge, waiting) = scram
            .on_client_first_message_with_secret(first, secret)
            .map_err(|error| failed(user, reason(&error)))?;
        out.clear();
        Authentication::SaslContinue(challenge.as_bytes()).encode(&mut out);
        wire.send(&out).await?;

        let proof = wire.answer().await?;
        let proven = waiting.on_client_final_message(&proof);
        let (Some((_, principal)), Ok(signature)) = (found, &proven) else {
            return Err(match (found, proven) {
                (None, _) => failed(user, "no such login"),
                (_, Err(error)) => failed(user, reason(&error)),
                (_, Ok(_)) => failed(user, "no proof"),
            });
        };
        out.clear();
        Authentication::SaslFinal(signature.as_bytes()).encode(&mut out);
        Authentication::Ok.encode(&mut out);
        Ok((principal.clone(), out))
    }

    /// The secret of a user that does not exist: no proof fits it.
    fn mock_secret(&self, user: &str) -> ScramSecret {
        let tag = hmac::sign(&self.mock, user.as_bytes());
        let (salt, rest) = tag.as_ref().split_at_checked(16).unwrap_or_default();
        let mut stored_key = vec![0; 32];
        // Were there no randomness, the key would be the hash of no known value.
        let _ = rand::fill(&mut stored_key);
        let server_key = [rest, salt].concat();
        ScramSecret::Verifier {
            salt: salt.to_vec(),
            iterations: 4096,
            stored_key,
            server_key,
        }
    }
}

fn secret_of(verifier: &Verifier) -> ScramSecret {
    ScramSecret::Verifier {
        salt: verifier.salt.clone(),
        iterations: usize::try_from(verifier.iterations).unwrap_or(usize::MAX),
        stored_key: verifier.stored_key.to_vec(),
        server_key: verifier.server_key.to_vec(),
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

/// The mechanism's data from a SASLInitialResponse.
fn initial_response<'a>(body: &'a [u8], offered: &[&str]) -> Result<&'a [u8], LoginError> {
    let malformed = || LoginError::told(ClientError::protocol("malformed SASL initial response"));
    let end = body.iter().position(|b| *b == 0).ok_or_else(malformed)?;
    let (mechanism, rest) = body.split_at_checked(end).ok_or_else(malformed)?;
    let (len, data) = rest
        .get(1..)
        .and_then(|rest| rest.split_first_chunk::<4>())
        .ok_or_else(malformed)?;
    if usize::try_from(u32::from_be_bytes(*len)) != Ok(data.len()) {
        return Err(malformed());
    }
    let Some(mechanism) = offered.iter().find(|offer| offer.as_bytes() == mechanism) else {
        return Err(LoginError::told(ClientError::protocol(
            "client selected an invalid SASL authentication mechanism",
        )));
    };
    // The mechanism and the data must agree on channel binding.
    if (*mechanism == PLUS) != data.starts_with(b"p=") {
        return Err(malformed());
    }
    Ok(data)
}

/// One message for every cause, so that nobody learns which it was.
fn failed(user: &str, reason: &str) -> LoginError {
    LoginError::Refused {
        error: Box::new(ClientError::fatal(
            "28P01",
            format!("password authentication failed for user \"{user}\""),
        )),
        reason: format!("login {user:?}: {reason}"),
    }
}

/// What the log is told. The error itself may quote the client's message, and
/// with it the proof.
fn reason(error: &PgWireError) -> &'static str {
    match error {
        PgWireError::InvalidPassword(_) => "wrong password",
        PgWireError::InvalidScramMessage(text) if text.starts_with("Channel binding") => {
            "the channel binding does not fit"
        }
        _ => "malformed SCRAM message",
    }
}
