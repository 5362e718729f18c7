//! What an issuer has: keys, and tokens that it makes with them.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use aws_lc_rs::{hmac, rsa};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};
use testkit::INNOVATE;

/// What the claim `iss` says unless a test says otherwise.
pub(crate) const ISSUER: &str = "https://issuer.example";
/// The same for `aud`.
pub(crate) const AUDIENCE: &str = "pgtenant";

/// A key that signs.
#[derive(Clone)]
pub(crate) struct Signer {
    /// Its `kid`.
    pub(crate) id: String,
    key: Arc<Key>,
}

enum Key {
    Rsa(RsaKeyPair),
    Ec256(EcdsaKeyPair),
    Ec384(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Secret(Vec<u8>),
}

/// Two RSA keys for all tests, because making one takes long.
pub(crate) fn rsa() -> Signer {
    static KEY: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("rsa", KeySize::Rsa2048));
    KEY.clone()
}

/// A key that no issuer has published.
pub(crate) fn attacker() -> Signer {
    static KEY: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("rsa", KeySize::Rsa2048));
    KEY.clone()
}

impl Signer {
    fn new(id: &str, key: Key) -> Self {
        Self {
            id: id.to_owned(),
            key: Arc::new(key),
        }
    }

    pub(crate) fn rsa(id: &str, size: KeySize) -> Self {
        Self::new(id, Key::Rsa(rsa::KeyPair::generate(size).unwrap()))
    }

    pub(crate) fn ec256(id: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self::new(id, Key::Ec256(key))
    }

    pub(crate) fn ec384(id: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        Self::new(id, Key::Ec384(key))
    }

    pub(crate) fn ed(id: &str) -> Self {
        Self::new(id, Key::Ed(Ed25519KeyPair::generate().unwrap()))
    }

    pub(crate) fn secret(secret: &[u8]) -> Self {
        Self::new("secret", Key::Secret(secret.to_vec()))
    }

    /// Another name for the same key.
    pub(crate) fn called(&self, id: &str) -> Self {
        Self {
            id: id.to_owned(),
            ..self.clone()
        }
    }

    /// The public key as a member of a JWK set.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = self.bare_jwk();
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    /// The same without `kid` and `use`.
    pub(crate) fn bare_jwk(&self) -> Value {
        let point = |curve: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            json!({"kty": "EC", "crv": curve, "x": base64(x), "y": base64(y)})
        };
        match &*self.key {
            Key::Rsa(key) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({"kty": "RSA", "n": base64(&public.n), "e": base64(&public.e)})
            }
            Key::Ec256(key) => point("P-256", key.public_key().as_ref()),
            Key::Ec384(key) => point("P-384", key.public_key().as_ref()),
            Key::Ed(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64(key.public_key().as_ref())})
            }
            Key::Secret(secret) => json!({"kty": "oct", "k": base64(secret)}),
        }
    }

    /// The public key as DER (SubjectPublicKeyInfo).
    pub(crate) fn der(&self) -> Vec<u8> {
        match &*self.key {
            Key::Rsa(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
            Key::Ec256(key) | Key::Ec384(key) => {
                key.public_key().as_der().unwrap().as_ref().to_vec()
            }
            Key::Ed(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
            Key::Secret(_) => panic!("a secret has no public key"),
        }
    }

    /// The public key in PEM.
    pub(crate) fn pem(&self) -> String {
        let text = STANDARD.encode(self.der());
        let lines: Vec<_> = text.as_bytes().chunks(64).collect();
        let lines = lines.iter().map(|line| String::from_utf8_lossy(line));
        let lines: Vec<_> = lines.collect();
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines.join("\n")
        )
    }

    /// The algorithm that it signs with unless a header says otherwise.
    pub(crate) fn algorithm(&self) -> &'static str {
        match &*self.key {
            Key::Rsa(_) => "RS256",
            Key::Ec256(_) => "ES256",
            Key::Ec384(_) => "ES384",
            Key::Ed(_) => "EdDSA",
            Key::Secret(_) => "HS256",
        }
    }

    /// A token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_with(
            &json!({"alg": self.algorithm(), "kid": self.id, "typ": "JWT"}),
            claims,
        )
    }

    /// A token with this header; the signature is by its `alg`.
    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string())
    }

    /// A token of two texts.
    pub(crate) fn token_of(&self, header: &str, claims: &str) -> String {
        let message = format!(
            "{}.{}",
            base64(header.as_bytes()),
            base64(claims.as_bytes())
        );
        let algorithm = serde_json::from_str::<Value>(header).unwrap()["alg"].clone();
        let signature = self.sign(algorithm.as_str().unwrap_or_default(), message.as_bytes());
        format!("{message}.{}", base64(&signature))
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &*self.key {
            Key::Rsa(key) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Key::Ec256(key) | Key::Ec384(key) => {
                key.sign(&random, message).unwrap().as_ref().to_vec()
            }
            Key::Ed(key) => key.sign(message).as_ref().to_vec(),
            Key::Secret(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, message).as_ref().to_vec()
            }
        }
    }
}

/// The claims of a user of a tenant that hold.
pub(crate) fn claims(user: &str, tenant: &str) -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": now() + 300,
        "iat": now(),
        "sub": user,
        "org_id": tenant,
    })
}

/// The same with more claims, or others.
pub(crate) fn claims_with(more: &Value) -> Value {
    let mut all = claims("ann", INNOVATE);
    for (name, value) in more.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

/// The same without one of them.
pub(crate) fn claims_without(name: &str) -> Value {
    let mut all = claims("ann", INNOVATE);
    all.as_object_mut().unwrap().remove(name).unwrap();
    all
}

/// A JWK set of these keys.
pub(crate) fn jwks(signers: &[&Signer]) -> String {
    let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
