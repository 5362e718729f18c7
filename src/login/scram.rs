//! SCRAM-SHA-256, with and without channel binding (RFC 5802, RFC 7677; protocol
//! section "SASL Authentication").

mod exchange;

use super::authenticate::{Guess, failed};
use super::sasl::{Chosen, malformed};
use super::wire::{LoginError, Wire};
use crate::config::ClientTls;
use crate::directory::Verifier;
use crate::protocol::backend::Authentication;
use crate::x509::server_end_point;
use aws_lc_rs::{hmac, rand};
use exchange::{Binding, Challenged};
use std::fmt;

const PLUS: &str = "SCRAM-SHA-256-PLUS";
const PLAIN: &str = "SCRAM-SHA-256";

/// Checks passwords.
pub(super) struct Scram {
    /// The certificate's hash, for clients over TLS.
    end_point: Option<Vec<u8>>,
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
        let own = tls.certificates().and_then(|own| own.chain.first());
        let end_point = own.and_then(|own| server_end_point(own));
        let mock = match tls.certificates() {
            Some(certificates) => certificates.mock_key.key().clone(),
            None => hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())?,
        };
        Ok(Self { end_point, mock })
    }

    /// The mechanisms for a client over TLS or not, the best first.
    pub(super) fn mechanisms(&self, is_tls: bool) -> &'static [&'static str] {
        if is_tls && self.end_point.is_some() {
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
        let first = chosen.data.ok_or_else(malformed)?;
        // The mechanism and the data must agree on channel binding.
        if (chosen.mechanism == PLUS) != first.starts_with(b"p=") {
            return Err(malformed());
        }
        let end_point = self.end_point.as_ref();
        let binding = match end_point.filter(|_| wire.transport.is_tls()) {
            Some(hash) if chosen.mechanism == PLUS => Binding::EndPoint(hash),
            Some(_) => Binding::Declined,
            None => Binding::Unavailable,
        };
        let verifier = match &against {
            Against::Verifier(verifier) => Verifier::clone(verifier),
            Against::Nothing {
                iterations,
                salt_len,
                ..
            } => self.mock_verifier(user, *iterations, *salt_len),
        };
        let challenged = Challenged::new(&first, binding, verifier)
            .map_err(|error| failed(user, &error.to_string()))?;
        let mut out = Vec::new();
        Authentication::SaslContinue(challenged.challenge().as_bytes()).encode(&mut out);
        wire.send(&out).await?;

        let proof = wire.answer().await?;
        // Once more: others may have failed in the meantime, and whoever tries
        // many at once gets no more verdicts than who tries one after another.
        guess.check()?;
        // What is compared within is a hash that only who has the verifier could
        // steer: how long it takes tells nothing.
        let proven = challenged.prove(&proof);
        let signature = match (against, proven) {
            (Against::Verifier(_), Ok(signature)) => signature,
            (Against::Verifier(_), Err(error)) => return Err(failed(user, &error.to_string())),
            (Against::Nothing { reason, .. }, _) => return Err(failed(user, &reason)),
        };
        out.clear();
        Authentication::SaslFinal(signature.as_bytes()).encode(&mut out);
        Authentication::Ok.encode(&mut out);
        Ok(out)
    }

    /// The verifier of a user that does not exist: no proof fits it.
    fn mock_verifier(&self, user: &str, iterations: u32, salt_len: usize) -> Verifier {
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
        let (mut stored_key, mut server_key) = ([0; 32], [0; 32]);
        // Were there no randomness, the key would be the hash of no known value.
        let _ = rand::fill(&mut stored_key);
        let _ = rand::fill(&mut server_key);
        Verifier {
            iterations,
            salt,
            stored_key,
            server_key,
        }
    }
}
