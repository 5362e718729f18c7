//! The stored form of a password: PostgreSQL's SCRAM-SHA-256 verifier.

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// A SCRAM-SHA-256 verifier, as `pg_authid.rolpassword` holds it:
/// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>` (RFC 5803, with
/// the parts in base64). The password cannot be computed from it.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub(crate) iterations: u32,
    pub(crate) salt: Vec<u8>,
    pub(crate) stored_key: [u8; 32],
    pub(crate) server_key: [u8; 32],
}

/// Why a text is not a verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SCRAM-SHA-256 verifier: {0}")]
pub struct VerifierError(&'static str);

impl Verifier {
    /// The shape of those that PostgreSQL makes by default.
    pub(super) const USUAL_SHAPE: (u32, usize) = (4096, 16);

    /// What a client sees of it before it has proved anything: the iterations,
    /// and how many bytes of salt there are.
    pub(super) fn shape(&self) -> (u32, usize) {
        (self.iterations, self.salt.len())
    }

    /// Derives the verifier of a password, with a fresh random salt and 4,096
    /// iterations, as PostgreSQL does for `ALTER ROLE … PASSWORD`.
    #[must_use]
    pub fn derive(password: &str) -> String {
        postgres_protocol::password::scram_sha_256(password.as_bytes())
    }

    /// Whether this is the verifier of `password`, which must be ASCII: nothing
    /// is normalized (RFC 5802, section 3; costs as much as a login).
    #[must_use]
    pub fn is_of(&self, password: &str) -> bool {
        let Some(iterations) = NonZeroU32::new(self.iterations) else {
            return false;
        };
        let mut salted = [0; 32];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(
            algorithm,
            iterations,
            &self.salt,
            password.as_bytes(),
            &mut salted,
        );
        let salted = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA256, client_key.as_ref());
        stored.as_ref() == self.stored_key
    }
}

impl FromStr for Verifier {
    type Err = VerifierError;

    fn from_str(text: &str) -> Result<Self, VerifierError> {
        let rest = text
            .strip_prefix("SCRAM-SHA-256$")
            .ok_or(VerifierError("it does not begin with `SCRAM-SHA-256$`"))?;
        let (params, keys) = rest
            .split_once('$')
            .ok_or(VerifierError("the keys are missing"))?;
        let (iterations, salt) = params
            .split_once(':')
            .ok_or(VerifierError("the salt is missing"))?;
        let (stored, server) = keys
            .split_once(':')
            .ok_or(VerifierError("the server key is missing"))?;
        let iterations = iterations
            .parse()
            .ok()
            .filter(|n| *n >= 1)
            .ok_or(VerifierError("the iterations are not a positive number"))?;
        Ok(Self {
            iterations,
            salt: STANDARD
                .decode(salt)
                .ok()
                .filter(|salt| !salt.is_empty())
                .ok_or(VerifierError("the salt is not base64"))?,
            stored_key: key(stored)
                .ok_or(VerifierError("the stored key is not 32 bytes of base64"))?,
            server_key: key(server)
                .ok_or(VerifierError("the server key is not 32 bytes of base64"))?,
        })
    }
}

fn key(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_verifier_parses() {
        let text = Verifier::derive("correct horse");
        let verifier: Verifier = text.parse().unwrap();
        assert_eq!(verifier.iterations, 4096);
        assert_eq!(verifier.salt.len(), 16);
    }

    #[test]
    fn a_verifier_knows_its_password_alone() {
        let verifier: Verifier = Verifier::derive("correct horse").parse().unwrap();
        assert!(verifier.is_of("correct horse"));
        assert!(!verifier.is_of("correct hors"));
    }

    #[test]
    fn what_is_not_a_verifier_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "begin with"),
            ("md5abcdef", "begin with"),
            ("SCRAM-SHA-256$4096:c2FsdA==", "keys are missing"),
            ("SCRAM-SHA-256$4096$a:b", "salt is missing"),
            ("SCRAM-SHA-256$0:c2FsdA==$a:b", "iterations"),
            ("SCRAM-SHA-256$4096:$a:b", "salt is not"),
            ("SCRAM-SHA-256$4096:c2FsdA==$YQ==:YQ==", "stored key"),
        ] {
            let error = text.parse::<Verifier>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let text = Verifier::derive("p");
        let shown = format!("{:?}", text.parse::<Verifier>().unwrap());
        assert_eq!(shown, "Verifier { iterations: 4096, .. }");
    }
}
