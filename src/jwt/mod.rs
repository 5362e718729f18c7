//! JSON Web Tokens (RFC 7519), signed (RFC 7515), as the proof of who a client
//! is. Pure: no I/O.
//!
//! The text that a client sends becomes a [`Token`], of which nothing is
//! believed; the [`Rules`] of its issuer and the issuer's [`Keys`] make
//! [`Claims`] of it, or a [`Refusal`].

mod json;
mod keys;
mod refusal;
mod rules;
mod token;

pub use jsonwebtoken::Algorithm;
pub use keys::{Keys, KeysError};
pub use refusal::{NoKey, Refusal, Shown};
pub use rules::{ClaimPath, Claims, Rules};
pub use token::{MAX_LENGTH, Token};

/// The signature algorithms that can be accepted, by their names (RFC 7518,
/// RFC 8037). Of those with a shared secret HS256 alone.
pub const ALGORITHMS: [(&str, Algorithm); 10] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
    ("HS256", Algorithm::HS256),
];

/// The name of an algorithm.
#[must_use]
pub fn name_of(algorithm: Algorithm) -> &'static str {
    let mut all = ALGORITHMS.iter();
    all.find(|(_, known)| *known == algorithm)
        .map_or("unknown", |(name, _)| name)
}
