//! The seal: a statement about the tenant of one server connection that only
//! the holder of the key can make.

use aws_lc_rs::{digest, hmac};
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Whether the tenant's context is sealed, and how the database keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Seal {
    /// The setting alone carries the tenant.
    #[default]
    Off,
    /// A signed token lies in a setting that anybody can change; whoever reads
    /// the tenant verifies it. A token is valid for as long as is said here, and
    /// renewed after half of the time.
    Token(SealKey, Duration),
    /// A token is verified once and its tenant put where only the verifying
    /// function can write (PostgreSQL 15 and later).
    Carrier(SealKey),
}

impl Seal {
    /// The settings that carry seals: the token, and the parameter of the
    /// carrier. No client may change them.
    pub const SETTINGS: [&str; 2] = ["pgtenant.token", "backtrace_functions"];

    /// How long a carrier's token is valid. It is verified as soon as it arrives:
    /// its life only has to cover the difference of two clocks.
    const LIFE_OF_CARRIER: Duration = Duration::from_secs(5 * 60);

    /// The key, where there is a seal.
    #[must_use]
    pub fn key(&self) -> Option<&SealKey> {
        match self {
            Self::Off => None,
            Self::Token(key, _) | Self::Carrier(key) => Some(key),
        }
    }

    /// The kind's name, as configuration and tokens have it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Token(..) => "token",
            Self::Carrier(_) => "carrier",
        }
    }

    /// After which time on one connection the tenant is to be sealed again.
    #[must_use]
    pub fn renewed_after(&self) -> Option<Duration> {
        match self {
            Self::Token(_, life) => Some(*life / 2),
            Self::Off | Self::Carrier(_) => None,
        }
    }

    /// Whether a client's code can read its own token. Then a server process
    /// serves one tenant alone: a token is valid for its process, and whoever
    /// comes next could present one that was left for it.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        matches!(self, Self::Token(..))
    }

    /// The token for a claim; `None` without a seal.
    #[must_use]
    pub fn token(&self, claim: &Claim<'_>) -> Option<String> {
        let life = match self {
            Self::Off => return None,
            Self::Token(_, life) => *life,
            Self::Carrier(_) => Self::LIFE_OF_CARRIER,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        // A clock before 1970 makes a token that has expired.
        let expiry = now.unwrap_or_default() + life;
        Some(self.key()?.sign(self.name(), claim, expiry.as_secs()))
    }
}

/// What a token says, for one server connection.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The setting that the policies read.
    pub setting: &'a str,
    /// The tenant.
    pub tenant: &'a str,
    /// The database.
    pub database: &'a str,
    /// The server's process.
    pub pid: u32,
    /// Larger than that of any token before on this connection.
    pub serial: u64,
}

/// The key that tokens are signed with. Never shown.
#[derive(Clone)]
pub struct SealKey {
    id: Arc<str>,
    key: [u8; 32],
}

impl SealKey {
    /// The key that follows from a secret of at least 32 random bytes:
    /// SHA-256("pgtenant seal key v1", 0, secret). The database is given this
    /// key, not the secret.
    #[must_use]
    pub fn derive(secret: &[u8]) -> Self {
        let key = hash(b"pgtenant seal key v1\0", secret);
        let mut id = hex(&hash(b"pgtenant seal key id v1\0", &key));
        id.truncate(16);
        let id = Arc::from(id);
        Self { id, key }
    }

    /// Tells keys apart; says nothing of the key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key as HMAC-SHA256 (RFC 2104) needs it: padded to a block and XORed,
    /// for the inner hash and for the outer. For the database's table of keys;
    /// as secret as the key itself.
    #[must_use]
    pub fn pads(&self) -> ([u8; 64], [u8; 64]) {
        let (mut inner, mut outer) = ([0x36; 64], [0x5c; 64]);
        for (pad, byte) in inner.iter_mut().zip(self.key) {
            *pad ^= byte;
        }
        for (pad, byte) in outer.iter_mut().zip(self.key) {
            *pad ^= byte;
        }
        (inner, outer)
    }

    /// `v1.kind.key.serial.pid.expiry.database.setting.tenant.MAC`, names and
    /// MAC in hexadecimal digits, the expiry in seconds since 1970; the MAC is
    /// HMAC-SHA256 of all before its dot.
    #[must_use]
    pub fn sign(&self, kind: &str, claim: &Claim<'_>, expiry: u64) -> String {
        let mut token = format!(
            "v1.{kind}.{}.{}.{}.{expiry}.{}.{}.{}",
            self.id,
            claim.serial,
            claim.pid,
            hex(claim.database.as_bytes()),
            hex(claim.setting.as_bytes()),
            hex(claim.tenant.as_bytes()),
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key);
        let mac = hmac::sign(&key, token.as_bytes());
        token.push('.');
        token.push_str(&hex(mac.as_ref()));
        token
    }
}

impl PartialEq for SealKey {
    fn eq(&self, other: &Self) -> bool {
        // The id is a hash of the key.
        self.id == other.id
    }
}

impl Eq for SealKey {}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn hash(purpose: &[u8], bytes: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(purpose);
    context.update(bytes);
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pads_make_the_same_mac_as_hmac_does() {
        let key = SealKey::derive(&[7; 32]);
        let claim = Claim {
            setting: "a.b",
            tenant: "t",
            database: "d",
            pid: 1,
            serial: 1,
        };
        let token = key.sign("carrier", &claim, 2);
        let (statement, mac) = token.rsplit_once('.').unwrap();
        let (inner, outer) = key.pads();
        assert_eq!(hex(&hash(&outer, &hash(&inner, statement.as_bytes()))), mac);
        assert_eq!(
            statement,
            format!("v1.carrier.{}.1.1.2.64.612e62.74", key.id())
        );
    }

    #[test]
    fn nothing_shows_the_key() {
        let seal = Seal::Carrier(SealKey::derive(b"a secret of at least 32 bytes....."));
        let key = hex(&seal.key().unwrap().key);
        let shown = format!("{seal:?}");
        assert!(
            !shown.contains(&key)
                && !shown.contains("[")
                && !key.starts_with(seal.key().unwrap().id())
        );
    }
}
