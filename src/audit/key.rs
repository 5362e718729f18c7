//! Keys that sign checkpoints: Ed25519, or HMAC-SHA256.
//!
//! An Ed25519 key is a PEM file as OpenSSL makes and reads it (PKCS #8); whoever
//! verifies needs its public key alone. An HMAC key is any other text, as for the
//! proxy's other keys (`openssl rand -hex 32`); whoever verifies needs the same.

use super::hash::Hash;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use std::fmt;

/// The fewest bytes of an HMAC key.
const LEAST_HMAC: usize = 16;
/// What stands before the 32 bytes of an Ed25519 key in a `SubjectPublicKeyInfo`
/// (RFC 8410, section 4).
const PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// What an HMAC key is told apart by.
const ID: &[u8] = b"pgtenant audit key";

/// Why a file holds no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not one of the forms.
    #[error("holds no key: make one with `pgtenant audit key`")]
    Form,
    /// A PEM file of another kind of key.
    #[error("holds a key that is none of Ed25519: make one with `pgtenant audit key`")]
    Kind,
    /// Too short for HMAC.
    #[error("holds fewer than 16 bytes: make a key with `pgtenant audit key --hmac`")]
    Short,
    /// A public key, which signs nothing.
    #[error("holds a public key: the proxy signs with the private one")]
    Public,
}

/// A key that signs and verifies.
pub struct SigningKey(Signs);

enum Signs {
    Ed25519(Ed25519KeyPair),
    Hmac(Box<hmac::Key>),
}

/// A key that verifies.
#[derive(Clone)]
pub struct VerifyingKey(Verifies);

#[derive(Clone)]
enum Verifies {
    /// As `SubjectPublicKeyInfo`.
    Ed25519(Vec<u8>),
    Hmac(Box<hmac::Key>),
}

impl SigningKey {
    /// Reads the content of a key file.
    ///
    /// # Errors
    /// If there is no such key in it.
    pub fn read(content: &[u8]) -> Result<Self, KeyError> {
        if !is_pem(content) {
            return Ok(Self(Signs::Hmac(Box::new(hmac_key(content)?))));
        }
        if SubjectPublicKeyInfoDer::from_pem_slice(content).is_ok() {
            return Err(KeyError::Public);
        }
        let der = PrivatePkcs8KeyDer::from_pem_slice(content).map_err(|_| KeyError::Form)?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
        let pair = pair.map_err(|_| KeyError::Kind)?;
        Ok(Self(Signs::Ed25519(pair)))
    }

    /// What verifies its signatures.
    #[must_use]
    pub fn verifying(&self) -> VerifyingKey {
        VerifyingKey(match &self.0 {
            Signs::Ed25519(pair) => Verifies::Ed25519(public_der(pair)),
            Signs::Hmac(key) => Verifies::Hmac(key.clone()),
        })
    }

    /// The signature on `message`, in Base64.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> String {
        match &self.0 {
            Signs::Ed25519(pair) => STANDARD.encode(pair.sign(message)),
            Signs::Hmac(key) => STANDARD.encode(hmac::sign(key, message)),
        }
    }
}

impl VerifyingKey {
    /// Reads the content of a key file: a public key, a private one, or one for HMAC.
    ///
    /// # Errors
    /// If there is no such key in it.
    pub fn read(content: &[u8]) -> Result<Self, KeyError> {
        if is_pem(content)
            && let Ok(der) = SubjectPublicKeyInfoDer::from_pem_slice(content)
        {
            let is_ed25519 = der.len() == PREFIX.len() + 32 && der.starts_with(&PREFIX);
            return match is_ed25519 {
                true => Ok(Self(Verifies::Ed25519(der.to_vec()))),
                false => Err(KeyError::Kind),
            };
        }
        SigningKey::read(content).map(|key| key.verifying())
    }

    /// What the key is told apart by, in the log: its kind and a part of a hash.
    #[must_use]
    pub fn id(&self) -> String {
        let (kind, hash) = match &self.0 {
            Verifies::Ed25519(der) => ("ed25519", Hash::of(der)),
            Verifies::Hmac(key) => ("hmac-sha256", Hash::of(hmac::sign(key, ID).as_ref())),
        };
        format!("{kind}:{:.16}", hash.to_string())
    }

    /// Whether this is a signature on `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else {
            return false;
        };
        match &self.0 {
            Verifies::Ed25519(der) => {
                let key = der.get(PREFIX.len()..).unwrap_or_default();
                let key = UnparsedPublicKey::new(&ED25519, key);
                key.verify(message, &signature).is_ok()
            }
            Verifies::Hmac(key) => hmac::verify(key, message, &signature).is_ok(),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.verifying().id())
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.id())
    }
}

/// Contents of new key files.
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What signs: to be kept secret.
    pub private: String,
    /// What verifies, if that can be public.
    pub public: Option<String>,
}

impl NewKey {
    /// A new Ed25519 key; `None` if the system has no randomness.
    #[must_use]
    pub fn ed25519() -> Option<Self> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).ok()?;
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).ok()?;
        Some(Self {
            private: pem("PRIVATE KEY", pkcs8.as_ref()),
            public: Some(pem("PUBLIC KEY", &public_der(&pair))),
        })
    }

    /// A new HMAC key; `None` if the system has no randomness.
    #[must_use]
    pub fn hmac() -> Option<Self> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(Self {
            private: hex + "\n",
            public: None,
        })
    }
}

fn public_der(pair: &Ed25519KeyPair) -> Vec<u8> {
    let raw = pair.public_key();
    let der = AsDer::<PublicKeyX509Der<'_>>::as_der(raw);
    let raw = raw.as_ref();
    der.map_or_else(|_| [&PREFIX, raw].concat(), |der| der.as_ref().to_vec())
}

fn is_pem(content: &[u8]) -> bool {
    memchr::memmem::find(content, b"-----BEGIN ").is_some()
}

fn hmac_key(content: &[u8]) -> Result<hmac::Key, KeyError> {
    let end = content.iter().rposition(|c| !matches!(c, b'\n' | b'\r'));
    let key = end.and_then(|end| content.get(..=end)).unwrap_or_default();
    if key.len() < LEAST_HMAC {
        return Err(KeyError::Short);
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, key))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem + "-----END " + label + "-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_verifies_what_the_private_one_has_signed() {
        let (new, other) = (NewKey::ed25519(), NewKey::ed25519());
        let (new, other) = (new.expect("a key"), other.expect("a key"));
        let key = SigningKey::read(new.private.as_bytes()).expect("a key");
        let public = new.public.expect("is public");
        let verifying = VerifyingKey::read(public.as_bytes()).expect("a key");
        assert_eq!(verifying.id(), key.verifying().id());
        let signature = key.sign(b"text");
        assert!(verifying.verifies(b"text", &signature));
        assert!(!verifying.verifies(b"texts", &signature));
        let other = VerifyingKey::read(other.private.as_bytes()).expect("a key");
        assert!(!other.verifies(b"text", &signature));
        assert_eq!(
            SigningKey::read(public.as_bytes()).err(),
            Some(KeyError::Public)
        );
    }

    #[test]
    fn an_hmac_key_verifies_what_it_has_signed() {
        let new = NewKey::hmac().expect("a key");
        let key = SigningKey::read(new.private.as_bytes()).expect("a key");
        let signature = key.sign(b"text");
        let verifying = VerifyingKey::read(new.private.trim().as_bytes()).expect("a key");
        assert!(verifying.verifies(b"text", &signature));
        assert!(!verifying.verifies(b"text", &signature[1..]));
        assert!(verifying.id().starts_with("hmac-sha256:"));
    }

    #[test]
    fn other_files_are_refused() {
        let error = |content: &[u8]| SigningKey::read(content).err();
        assert_eq!(error(b""), Some(KeyError::Short));
        assert_eq!(
            error(b"short\n\n\n\n\n\n\n\n\n\n\n\n"),
            Some(KeyError::Short)
        );
        let rsa = b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(error(rsa), Some(KeyError::Form));
        let other = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(error(other), Some(KeyError::Kind));
    }
}
