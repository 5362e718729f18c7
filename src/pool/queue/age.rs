//! How old connections may become.

use super::{Evicted, Outcomes, Queue};
use crate::pool::Pool;
use crate::server::Connection;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Lifetimes differ by one in so many at most, so that connections that were opened
/// together do not end together.
const SPREAD: u32 = 5;

/// When connections are too old.
#[derive(Debug)]
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

impl Queue {
    /// Replaces all connections: returns those that are idle, to be closed, and what
    /// others get in their places. Those that are used are closed once they are
    /// given back.
    pub(in crate::pool) fn renew(&mut self, pool: &Arc<Pool>) -> (Evicted, Outcomes) {
        self.age.since = Some(Instant::now());
        let idle = std::mem::take(&mut self.idle).into_iter();
        let (old, fresh) =
            idle.partition::<VecDeque<_>, _>(|idle| self.age.is_over(&idle.connection));
        self.idle = fresh;
        self.open -= old.len();
        let old = old.into_iter().map(|idle| idle.connection).collect();
        (old, self.serve(pool))
    }
}
