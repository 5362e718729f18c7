//! SHA-256, as the log writes it.

use aws_lc_rs::digest::{SHA256, digest};
use std::fmt;

/// The length of a hash in hexadecimal digits.
pub(super) const HEX: usize = 64;

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What stands for the record before the first one.
    pub const NONE: Self = Self([0; 32]);

    /// That of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        // At one stroke: a context would be made in memory of its own each time.
        let digest = digest(&SHA256, bytes);
        Self(digest.as_ref().try_into().unwrap_or([0; 32]))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        let text: &[u8; HEX] = text.try_into().ok()?;
        let mut hash = [0; 32];
        for (to, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *to = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(hash))
    }

    /// It as 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> [u8; HEX] {
        // Without a table: so many digits are made in one instruction.
        let digit = |n: u8| n + if n < 10 { b'0' } else { b'a' - 10 };
        let mut hex = [0; HEX];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        hex
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}
