//! SCRAM-SHA-256, with and without channel binding (RFC 5802, RFC 7677; protocol
//! section "SASL Authentication").

use super::authenticate::failed;
use super::sasl::{Chosen, malformed};
use super::wire::{LoginError, Wire};
use crate::settings::ClientTls;
use crate::tenant::{Principal, Verifier};
use crate::wire::backend::Authentication;
use aws_lc_rs::{hmac, rand};
use pgwire::api::auth::sasl::scram::{ScramSecret, ScramServerAuth};
use pgwire::error::PgWireError;
use std::fmt;

pub(super) const PLUS: &str = "SCRAM-SHA-256-PLUS";
pub(super) const PLAIN: &str = "SCRAM-SHA-256";

/// Checks passwords.
pub(super) struct Scram {
    /// With the certificate's hash, for clients over TLS.
    over_tls: Option<ScramServerAuth>,
    /// From this the salts of users that do not exist are made: the same salt
    /// for the same name for as long as the process lives.
    mock: hmac::Key,
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scram").finish_non_exhaustive()
    }
}

impl Scram {
    /// For a listener with this TLS.
    pub(super) fn new(tls: &ClientTls) -> Result<Self, aws_lc_rs::error::Unspecified> {
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

    /// The mechanisms for a client over TLS or not, the best first.
    pub(super) fn mechanisms(&self, is_tls: bool) -> &'static [&'static str] {
        if is_tls && self.over_tls.is_some() {
            &[PLUS, PLAIN]
        } else {
            &[PLAIN]
        }
    }

    /// Runs the exchange from the client's choice on. A user that is not `found`
    /// takes the same path as one that is, and fails at its end. Returns who was
    /// found, and the end of the authentication, to be sent.
    pub(super) async fn exchange<'p>(
        &self,
        wire: &mut Wire,
        user: &str,
        found: Option<(&'p Principal, &Verifier)>,
        chosen: Chosen,
    ) -> Result<(&'p Principal, Vec<u8>), LoginError> {
        let binding = self.over_tls.as_ref().filter(|_| wire.transport.is_tls());
        let first = chosen.data.ok_or_else(malformed)?;
        // The mechanism and the data must agree on channel binding.
        if (chosen.mechanism == PLUS) != first.starts_with(b"p=") {
            return Err(malformed());
        }
        let mut out = Vec::new();
        let secret = match found {
            Some((_, verifier)) => secret_of(verifier),
            None => self.mock_secret(user),
        };
        let scram = binding.cloned().unwrap_or_default();
        let (challenge, waiting) = scram
            .on_client_first_message_with_secret(&first, secret)
            .map_err(|error| failed(user, reason(&error)))?;
        Authentication::SaslContinue(challenge.as_bytes()).encode(&mut out);
        wire.send(&out).await?;

        let proof = wire.answer().await?;
        let proven = waiting.on_client_final_message(&proof);
        let (Some((principal, _)), Ok(signature)) = (found, &proven) else {
            return Err(match (found, proven) {
                (None, _) => failed(user, "no such login"),
                (_, Err(error)) => failed(user, reason(&error)),
                (_, Ok(_)) => failed(user, "no proof"),
            });
        };
        out.clear();
        Authentication::SaslFinal(signature.as_bytes()).encode(&mut out);
        Authentication::Ok.encode(&mut out);
        Ok((principal, out))
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
