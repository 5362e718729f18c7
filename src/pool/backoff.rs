//! How soon a server that failed is tried again.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// Doubles the pause between attempts while they fail, for all clients of a
/// pool together.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failing: Option<Failing>,
}

#[derive(Debug)]
struct Failing {
    pause: Duration,
    until: Instant,
}

impl Backoff {
    /// How long to wait before the next attempt.
    pub(super) fn pause(&self) -> Duration {
        match &self.failing {
            None => Duration::ZERO,
            Some(failing) => failing.until.saturating_duration_since(Instant::now()),
        }
    }

    /// An attempt succeeded.
    pub(super) fn succeeded(&mut self) {
        self.failing = None;
    }

    /// An attempt failed; returns the pause before the next.
    pub(super) fn failed(&mut self) -> Duration {
        let now = Instant::now();
        let pause = match &self.failing {
            None => FIRST,
            // Attempts that ran side by side count as one.
            Some(failing) if failing.until > now => return failing.until - now,
            Some(failing) => (failing.pause * 2).min(LONGEST),
        };
        self.failing = Some(Failing {
            pause,
            until: now + pause,
        });
        pause
    }
}
