//! The keys that tokens are signed with: from a JWK set (RFC 7517), from PEM
//! (RFC 7468), or a shared secret.

use super::json::Object;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use std::fmt;

/// The most keys of an issuer.
const MOST_KEYS: usize = 100;
/// The most keys that are tried on a token which does not say which it is. More
/// would let strangers cost us time.
const MOST_TRIED: usize = 16;
/// Bytes of an RSA modulus: of 2,048 to 8,192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// The keys of one issuer.
#[derive(Clone, Default)]
pub struct Keys(Vec<Key>);

#[derive(Clone)]
struct Key {
    /// `kid`
    id: Option<String>,
    kind: Kind,
    /// `alg`: the only algorithm that it is for.
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
    Secret,
}

/// Why there are no keys to be had from a text. Shows nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// It is not a JWK set.
    #[error("is not a JWK set: it must be a JSON object with a list `keys`, no name twice")]
    NotASet,
    /// It has too many keys.
    #[error("has more than {MOST_KEYS} keys")]
    TooMany,
    /// It has no usable one.
    #[error(
        "has no key that can be used: RSA of at least 2048 bits, EC P-256 or P-384, or Ed25519, \
         and not for encryption"
    )]
    NoneUsable,
    /// A PEM section is damaged, or there is none of a public key.
    #[error("has no public key: it must have a PEM section BEGIN PUBLIC KEY")]
    NoPem,
    /// It has a certificate instead.
    #[error("has a certificate; make it a key with `openssl x509 -pubkey -noout`")]
    Certificate,
    /// It has the private key.
    #[error(
        "has a private key, which only the issuer should have; make a public one of it with \
         `openssl pkey -pubout`"
    )]
    Private,
    /// A PEM section has a key that cannot be used.
    #[error(
        "has a key that cannot be used: it must be RSA of at least 2048 bits, EC P-256 or P-384, \
         or Ed25519"
    )]
    Unusable,
}

impl Keys {
    /// Reads a JWK set. Keys that cannot be used are left out: issuers publish
    /// those of other purposes too. Never a shared secret.
    ///
    /// # Errors
    /// If it is not one, or has no key that can be used.
    pub fn from_jwks(text: &[u8]) -> Result<Self, KeysError> {
        let Object(mut set) = Object::parse(text).map_err(|_| KeysError::NotASet)?;
        let Some(Value::Array(members)) = set.remove("keys") else {
            return Err(KeysError::NotASet);
        };
        if members.len() > MOST_KEYS {
            return Err(KeysError::TooMany);
        }
        let keys: Vec<_> = members.into_iter().filter_map(Key::from_jwk).collect();
        if keys.is_empty() {
            return Err(KeysError::NoneUsable);
        }
        Ok(Self(keys))
    }

    /// Reads public keys in PEM, which have no id and fit every token.
    ///
    /// # Errors
    /// If there is none, or one cannot be used.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeysError> {
        let has = |mark: &str| memchr::memmem::find(text, mark.as_bytes()).is_some();
        if has("PRIVATE KEY-----") {
            return Err(KeysError::Private);
        }
        let read: Result<Vec<_>, _> = SubjectPublicKeyInfoDer::pem_slice_iter(text).collect();
        let keys = read.map_err(|_| KeysError::NoPem)?;
        if keys.is_empty() && has("BEGIN CERTIFICATE-----") {
            return Err(KeysError::Certificate);
        }
        if keys.is_empty() {
            return Err(KeysError::NoPem);
        }
        let keys = keys.iter().map(|key| Key::from_spki(key));
        let keys: Option<Vec<_>> = keys.collect();
        keys.map(Self).ok_or(KeysError::Unusable)
    }

    /// A secret that is shared with the issuer, for HS256.
    #[must_use]
    pub fn from_secret(secret: &[u8]) -> Self {
        Self(vec![Key {
            id: None,
            kind: Kind::Secret,
            algorithm: Some(Algorithm::HS256),
            key: DecodingKey::from_secret(secret),
        }])
    }

    /// Whether a key can verify signatures of this algorithm.
    #[must_use]
    pub fn has_for(&self, algorithm: Algorithm) -> bool {
        self.0.iter().any(|key| key.fits(algorithm))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a key is called so.
    pub(super) fn has_id(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// The keys that a token of this `kid` and algorithm may be signed with. A
    /// key without an id fits every `kid`, and a token without `kid` every key; of
    /// these, the first ones.
    pub(super) fn candidates(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &DecodingKey> {
        let is_it = move |key: &&Key| match (&key.id, id) {
            (Some(known), Some(id)) => known == id,
            _ => true,
        };
        let fitting = self.0.iter().filter(move |key| key.fits(algorithm));
        fitting.filter(is_it).map(|key| &key.key).take(MOST_TRIED)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|key| key.kind))
            .finish()
    }
}

impl Key {
    fn from_jwk(member: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(member).ok()?;
        let common = &jwk.common;
        let signs = match &common.public_key_use {
            None | Some(PublicKeyUse::Signature) => true,
            Some(_) => false,
        };
        let verifies = match &common.key_operations {
            None => true,
            Some(operations) => operations.contains(&KeyOperations::Verify),
        };
        if !signs || !verifies {
            return None;
        }
        let algorithm = match common.key_algorithm {
            None => None,
            Some(algorithm) => Some(Algorithm::try_from(algorithm).ok()?),
        };
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let (kind, key) = match &jwk.algorithm {
            AlgorithmParameters::RSA(key) => rsa_key(&decode(&key.n)?, &decode(&key.e)?)?,
            AlgorithmParameters::EllipticCurve(key) => {
                let (x, y) = (decode(&key.x)?, decode(&key.y)?);
                let point = [&[4], &x[..], &y].concat();
                let kind = match key.curve {
                    EllipticCurve::P256 => Kind::P256,
                    EllipticCurve::P384 => Kind::P384,
                    _ => return None,
                };
                (kind, Self::curve_key(kind, &point)?)
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                let x = decode(&key.x)?;
                (Kind::Ed25519, Self::curve_key(Kind::Ed25519, &x)?)
            }
            _ => return None,
        };
        let key = Self {
            id: common.key_id.clone(),
            kind,
            algorithm: None,
            key,
        };
        // Made for an algorithm that it cannot do, it is good for none.
        match algorithm {
            Some(algorithm) if !key.fits(algorithm) => None,
            algorithm => Some(Self { algorithm, ..key }),
        }
    }

    fn from_spki(der: &[u8]) -> Option<Self> {
        let curves = [Kind::P256, Kind::P384, Kind::Ed25519];
        let of_curve = |kind| Some((kind, Self::curve_key(kind, der)?));
        let (kind, key) = match rsa::PublicKey::from_der(der) {
            Ok(key) => {
                let parts = RsaPublicKeyComponents::<Vec<u8>>::from(&key);
                rsa_key(&parts.n, &parts.e)?
            }
            Err(_) => curves.into_iter().find_map(of_curve)?,
        };
        Some(Self {
            id: None,
            kind,
            algorithm: None,
            key,
        })
    }

    /// The key of a curve, raw or as SubjectPublicKeyInfo, if it is one.
    fn curve_key(kind: Kind, bytes: &[u8]) -> Option<DecodingKey> {
        match kind {
            Kind::P256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes).ok()?,
            Kind::P384 => ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, bytes).ok()?,
            Kind::Ed25519 => ParsedPublicKey::new(&ED25519, bytes).ok()?,
            Kind::Rsa | Kind::Secret => return None,
        };
        Some(match kind {
            Kind::Ed25519 => DecodingKey::from_ed_der(bytes),
            _ => DecodingKey::from_ec_der(bytes),
        })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{ES256, ES384, EdDSA, HS256, PS256, PS384, PS512, RS256, RS384, RS512};
        let can = match self.kind {
            Kind::Rsa => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
            Kind::P256 => algorithm == ES256,
            Kind::P384 => algorithm == ES384,
            Kind::Ed25519 => algorithm == EdDSA,
            Kind::Secret => algorithm == HS256,
        };
        can && self.algorithm.is_none_or(|own| own == algorithm)
    }
}

fn rsa_key(n: &[u8], e: &[u8]) -> Option<(Kind, DecodingKey)> {
    let (n, e) = (trimmed(n), trimmed(e));
    if !MODULUS.contains(&n.len()) {
        return None;
    }
    RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .ok()?;
    Some((Kind::Rsa, DecodingKey::from_rsa_raw_components(n, e)))
}

/// Without the zeros in front that some write.
fn trimmed(mut number: &[u8]) -> &[u8] {
    while let Some((0, rest)) = number.split_first() {
        number = rest;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zeros_in_front_do_not_count() {
        assert_eq!(trimmed(&[0, 0, 1, 0]), [1, 0]);
        assert!(trimmed(&[0, 0]).is_empty());
    }

    proptest! {
        #[test]
        fn no_key_makes_it_panic(
            kty in "RSA|EC|OKP|oct|x",
            crv in "P-256|P-384|P-521|Ed25519|x",
            a in proptest::collection::vec(any::<u8>(), 0..70),
            b in proptest::collection::vec(any::<u8>(), 0..70),
        ) {
            let (a, b) = (URL_SAFE_NO_PAD.encode(a), URL_SAFE_NO_PAD.encode(b));
            let key = serde_json::json!({
                "kty": kty, "crv": crv, "x": a, "y": b, "n": a, "e": b, "k": a,
            });
            let text = serde_json::json!({ "keys": [key] }).to_string();
            let _ = Keys::from_jwks(text.as_bytes());
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}") {
            let _ = Keys::from_jwks(text.as_bytes());
            let pem = format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n");
            let _ = Keys::from_pem(pem.as_bytes());
        }
    }
}
