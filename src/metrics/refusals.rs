//! The statements that were refused last.

use crate::tenant::{LoginName, TenantId};
use crate::transport::ClientAddress;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// So many are kept.
const KEPT: usize = 200;
/// Most bytes of a message or a shape: both can have names of the client's in them.
pub const MOST_TEXT: usize = 512;

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
    pub client: ClientAddress,
    /// The rule that refuses it.
    pub rule: &'static str,
    /// What the client was told.
    pub message: String,
    /// Whether it was refused; otherwise it was only reported.
    pub enforced: bool,
    /// Its text without its literals; `None` where it was not read.
    pub shape: Option<String>,
}

/// The statements that were refused last, a bounded number of them.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<VecDeque<Refused>>);

impl Refusals {
    /// Keeps one, with the front of a long message and a long shape.
    pub fn add(&self, mut refused: Refused) {
        cut(&mut refused.message);
        if let Some(shape) = &mut refused.shape {
            cut(shape);
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

fn cut(text: &mut String) {
    if text.len() > MOST_TEXT {
        text.truncate(text.floor_char_boundary(MOST_TEXT));
        text.push('…');
    }
    text.shrink_to_fit();
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
                client: ClientAddress::Local,
                rule: "role",
                message: "ä".repeat(1 << 20),
                enforced: true,
                shape: Some("ä".repeat(1 << 20)),
            });
        }
        let kept = refusals.latest();
        assert_eq!(kept.len(), KEPT);
        let texts = kept.iter().flat_map(|one| {
            let shape = one.shape.as_ref();
            [&one.message].into_iter().chain(shape)
        });
        let bytes: usize = texts.clone().map(String::capacity).sum();
        assert!(bytes <= 2 * KEPT * (MOST_TEXT + 8), "{bytes}");
        assert!(texts.clone().count() == 2 * KEPT && texts.clone().all(|one| one.ends_with("ä…")));
    }
}
