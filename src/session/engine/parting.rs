//! When what scrubs the session may be sent behind the client's messages.

use super::Engine;
use super::link::Link;
use crate::attach::Random;
use crate::guard::{Transaction, Verdict};
use crate::server::Pipe;
use std::sync::Arc;

/// Longest messages that are copied for it, in bytes.
const MOST_COPIED: usize = 8 << 10;

impl Engine {
    /// Whether a statement leaves nothing in the session and no transaction open, whatever
    /// comes of it.
    pub(super) fn passes(&self, verdict: &Arc<Verdict>) -> bool {
        let effects = &verdict.effects;
        effects.transaction == Transaction::None
            && verdict.refusal.is_none()
            && (self.guard.is_harmless(verdict) || effects.are_over_with_it())
    }

    /// Takes note of a statement that is to run.
    pub(super) fn note_passing(&self, verdict: &Arc<Verdict>, link: &mut Link) {
        link.passes = link.passes && self.passes(verdict);
    }

    /// Where the exchange is over once what has been taken from the client is answered:
    /// queues the rest of that, and lets nothing more be queued but what scrubs the
    /// session. What the client may know of `random()` is returned then.
    pub(in crate::session) fn part(&mut self, link: &mut Link, pipe: &mut Pipe) -> Option<Random> {
        let client = &self.client;
        let is_whole = !client.scan.is_within() && client.scan.unseen(&client.input).is_empty();
        let may = is_whole
            && client.input.len() <= MOST_COPIED
            && self.maps_names
            && self.settings.are_known()
            && link.is_last();
        if !may {
            return None;
        }
        self.client.stage(&mut pipe.output);
        link.parted = true;
        Some(self.known_of_random(link))
    }

    /// What the client may know of the state of `random()` from what it has run.
    pub(in crate::session) fn known_of_random(&self, link: &Link) -> Random {
        match self.guard.sees_draws() {
            true => link.random,
            false => Random::Seen,
        }
    }
}
