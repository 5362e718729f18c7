//! The statements that were refused last.

use crate::tenant::{LoginName, TenantId};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// So many are kept.
const KEPT: usize = 200;
/// Most bytes of a message: it can have names of the client's in it.
const MOST_MESSAGE: usize = 512;

/// A statement that was refused, or would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub time: SystemTime,
    /// Whose it was.
    pub tenant: TenantId,
    /// The login.
    pub login: LoginName,
    /// The client's address.
    pub client: SocketAddr,
    /// The rule that refuses it.
    pub rule: &'static str,
    /// What the client was told.
    pub message: String,
    /// Whether it was refused; otherwise it was only reported.
    pub enforced: bool,
}

/// The statements that were refused last, a bounded number of them.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<VecDeque<Refused>>);

impl Refusals {
    /// Keeps one, with the front of a long message.
    pub fn add(&self, mut refused: Refused) {
        if refused.message.len() > MOST_MESSAGE {
            let end = refused.message.floor_char_boundary(MOST_MESSAGE);
            refused.message.truncate(end);
            refused.message.push('…');
            refused.message.shrink_to_fit();
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(refused);
    }

    /// Those that are kept, the latest first.
    #[must_use]
    pub fn latest(&self) -> Vec<Refused> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_in_number_and_in_bytes() {
        let refusals = Refusals::default();
        for _ in 0..2 * KEPT {
            refusals.add(Refused {
                time: SystemTime::UNIX_EPOCH,
                tenant: TenantId::parse("t"),
                login: LoginName::new("l"),
                client: SocketAddr::from(([127, 0, 0, 1], 1)),
                rule: "role",
                message: "ä".repeat(1 << 20),
                enforced: true,
            });
        }
        let kept = refusals.latest();
        assert_eq!(kept.len(), KEPT);
        let bytes: usize = kept.iter().map(|one| one.message.capacity()).sum();
        assert!(bytes <= KEPT * (MOST_MESSAGE + 8), "{bytes}");
        assert!(kept.iter().all(|one| one.message.ends_with("ä…")));
    }
}
