//! How old connections may become.

use crate::server::Connection;
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
}

impl Age {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            least: lifetime - lifetime / SPREAD,
            now: Instant::now(),
            since: None,
        }
    }

    pub(super) fn tick(&mut self, now: Instant) {
        self.now = now;
    }

    /// All that have been opened before `now` are too old.
    pub(super) fn renew(&mut self, now: Instant) {
        self.since = Some(now);
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
