//! SCRAM-SHA-256, with and without channel binding (RFC 5802, RFC 7677; protocol
//! section "SASL Authentication").

use super::authenticate::{Guess, failed};
use super::sasl::{Chosen, malformed};
use super::wire::{LoginError, Wire};
use crate::config::ClientTls;
use crate::protocol::backend::Authentication;
use crate::tenant::Verifier;
use aws_lc_rs::{hmac, rand};
use pgwire::api::auth::sasl::scram::{ScramSecret, ScramServerAuth};
use pgwire::error::PgWireError;
use std::fmt;

const PLUS: &str = "SCRAM-SHA-256-PLUS";
const PLAIN: &str = "SCRAM-SHA-256";

/// Checks passwords.
pub(super) struct Scram {
    /// With the certificate's hash, for clients over TLS.
    over_tls: Option<ScramServerAuth>,
    /// From this the salts of users that do not exist are made: the same salt
    /// for the same name. Without TLS only for as long as the process lives.
    mock: hmac::Key,
}

/// What a password is checked against.
pub(super) enum Against<'v> {
    /// The verifier of the login's password.
    Verifier(&'v Verifier),
    /// Nothing: no password is right, and the client is not to notice.
    Nothing {
        /// The iterations that it is asked for.
        iterations: u32,
        /// The bytes of salt that it is given.
        salt_len: usize,
        /// What the log is told.
        reason: String,
    },
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scram").finish_non_exhaustive()
    }
}

impl Scram {
    /// For a listener with this TLS.
    pub(super) fn new(tls: &ClientTls) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let over_tls = tls.certificates().and_then(|certificates| {
            let mut scram = ScramServerAuth::new();
            // A certificate whose signature names no hash function (Ed25519) has
            // no channel binding; nor does PostgreSQL's.
            scram
                .configure_certificate(&certificates.chain_pem)
                .ok()
                .map(|()| scram)
        });
        let mock = match tls.certificates() {
            Some(certificates) => certificates.mock_key.key().clone(),
            None => hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())?,
        };
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

    /// Runs the exchange from the client's choice on. Who has nothing to be
    /// checked `against` takes the same path as who has, and fails at its end.
    /// Returns the end of the authentication, to be sent.
    pub(super) async fn exchange(
        &self,
        wire: &mut Wire,
        guess: Guess<'_>,
        against: Against<'_>,
        chosen: Chosen,
    ) -> Result<Vec<u8>, LoginError> {
        let user = guess.user;
        let binding = self.over_tls.as_ref().filter(|_| wire.transport.is_tls());
        let first = chosen.data.ok_or_else(malformed)?;
        // The mechanism and the data must agree on channel binding.
        if (chosen.mechanism == PLUS) != first.starts_with(b"p=") {
            return Err(malformed());
        }
        let secret = match &against {
            Against::Verifier(verifier) => secret_of(verifier),
            Against::Nothing {
                iterations,
                salt_len,
                ..
            } => self.mock_secret(user, *iterations, *salt_len),
        };
        let scram = binding.cloned().unwrap_or_default();
        let (challenge, waiting) = scram
            .on_client_first_message_with_secret(&first, secret)
            .map_err(|error| failed(user, reason(&error)))?;
        let mut out = Vec::new();
        Authentication::SaslContinue(challenge.as_bytes()).encode(&mut out);
        wire.send(&out).await?;

        let proof = wire.answer().await?;
        // Once more: others may have failed in the meantime, and whoever tries
        // many at once gets no more verdicts than who tries one after another.
        guess.check()?;
        // What is compared within is a hash that only who has the verifier could
        // steer: how long it takes tells nothing.
        let proven = waiting.on_client_final_message(&proof);
        let signature = match (against, proven) {
            (Against::Verifier(_), Ok(signature)) => signature,
            (Against::Verifier(_), Err(error)) => return Err(failed(user, reason(&error))),
            (Against::Nothing { reason, .. }, _) => return Err(failed(user, &reason)),
        };
        out.clear();
        Authentication::SaslFinal(signature.as_bytes()).encode(&mut out);
        Authentication::Ok.encode(&mut out);
        Ok(out)
    }

    /// The secret of a user that does not exist: no proof fits it.
    fn mock_secret(&self, user: &str, iterations: u32, salt_len: usize) -> ScramSecret {
        let mut salt = Vec::with_capacity(salt_len);
        for block in 0..=u32::MAX {
            if salt.len() >= salt_len {
                break;
            }
            let mut context = hmac::Context::with_key(&self.mock);
            context.update(&block.to_be_bytes());
            context.update(user.as_bytes());
            salt.extend_from_slice(context.sign().as_ref());
        }
        salt.truncate(salt_len);
        let mut keys = [0; 64];
        // Were there no randomness, the key would be the hash of no known value.
        let _ = rand::fill(&mut keys);
        let (stored_key, server_key) = keys.split_at(32);
        ScramSecret::Verifier {
            salt,
            iterations: usize::try_from(iterations).unwrap_or(usize::MAX),
            stored_key: stored_key.to_vec(),
            server_key: server_key.to_vec(),
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
