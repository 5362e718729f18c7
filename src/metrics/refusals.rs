//! The statements that were refused last.

use crate::tenant::{LoginName, TenantId};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// So many are kept.
const KEPT: usize = 200;

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
    /// Keeps one.
    pub fn add(&self, refused: Refused) {
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
