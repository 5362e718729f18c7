//! Until when a chain of certificates is valid.

use super::parse;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::time::{Duration, SystemTime};

/// So long before the end a warning is due.
pub const WARNING: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The certificate of a chain that expires first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifetime {
    /// Its subject.
    subject: String,
    /// The end of its validity, in seconds since 1970.
    not_after: i64,
    /// The same as a text.
    shown: String,
}

impl Lifetime {
    /// Of the chain. `None` if no certificate can be read.
    #[must_use]
    pub fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let read = chain.iter().filter_map(|der| {
            let certificate = parse(der).ok()?;
            let not_after = certificate.validity().not_after;
            Some(Self {
                subject: certificate.subject().to_string(),
                not_after: not_after.timestamp(),
                shown: not_after.to_string(),
            })
        });
        read.min_by_key(|lifetime| lifetime.not_after)
    }

    /// Whether it has ended, or ends within [`WARNING`] of `now`.
    #[must_use]
    pub fn is_ending(&self, now: SystemTime) -> bool {
        self.left(now) <= i64::try_from(WARNING.as_secs()).unwrap_or(i64::MAX)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self, now: SystemTime) -> bool {
        self.left(now) < 0
    }

    /// How long it is still valid, in seconds; below 0 once it has expired.
    #[must_use]
    pub fn left(&self, now: SystemTime) -> i64 {
        let now = now.duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        self.not_after.saturating_sub(now)
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is valid until {}", self.subject, self.shown)
    }
}
