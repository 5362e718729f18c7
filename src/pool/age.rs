//! How old connections may become.

use crate::config::Reached;
use crate::server::Connection;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Lifetimes differ by one in so many at most, so that connections that were opened
/// together do not end together.
const SPREAD: u32 = 5;

/// When connections are too old.
#[derive(Debug, Clone)]
pub(super) struct Age {
    lifetime: Duration,
    /// The shortest that the spread leaves.
    least: Duration,
    /// The time of the last sweep, which is precise enough.
    now: Instant,
    /// Connections whose opening began before this are replaced.
    since: Option<Instant>,
    /// Connections to these addresses are replaced: they lead to the server no longer.
    left: Option<Arc<[SocketAddr]>>,
    /// Connections to a primary that it supersedes are replaced.
    reached: Reached,
}

impl Age {
    pub(super) fn new(lifetime: Duration, reached: &Reached) -> Self {
        Self {
            lifetime,
            least: lifetime - lifetime / SPREAD,
            now: Instant::now(),
            since: None,
            left: None,
            reached: reached.clone(),
        }
    }

    pub(super) fn tick(&mut self, now: Instant) {
        self.now = now;
    }

    /// All that have been opened before `now` are too old.
    pub(super) fn renew(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// Those to these addresses are too old, whenever they were opened; to others, no
    /// longer.
    pub(super) fn leave(&mut self, addresses: &Arc<[SocketAddr]>) {
        self.left = (!addresses.is_empty()).then(|| addresses.clone());
    }

    /// When all that there were became too old.
    pub(super) fn renewed(&self) -> Option<Instant> {
        self.since
    }

    /// Whether the connection is to be closed once nobody uses it.
    pub(super) fn is_over<S>(&self, connection: &Connection<S>) -> bool {
        let opened = connection.opened();
        let age = self.now.saturating_duration_since(opened);
        if self.since.is_some_and(|since| opened < since) {
            return true;
        }
        if let Some(left) = &self.left
            && let Some(address) = connection.key().address
            && left.contains(&address.socket)
        {
            return true;
        }
        if self.reached.supersedes(connection.key().timeline) {
            return true;
        }
        // Most are not: nothing is multiplied for them.
        if age < self.least {
            return false;
        }
        // Numbers that follow one another are spread evenly by the golden ratio.
        let spread = self.lifetime - self.least;
        let share = connection.id().spread();
        age >= self.lifetime.saturating_sub(spread.mul_f64(share))
    }
}
