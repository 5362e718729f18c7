//! How soon a server that failed is tried again, for each role that logs in.

use crate::server::ConnectError;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The pause after a failure, which doubles.
const FIRST: Duration = Duration::from_millis(50);
/// Its most while the server is away.
const LONGEST: Duration = Duration::from_secs(1);
/// Its first and its most where trying again is of no use before somebody changes
/// something: the server would only log failed logins.
const FIRST_REFUSED: Duration = Duration::from_secs(1);
const LONGEST_REFUSED: Duration = Duration::from_secs(10);

/// The roles whose connections cannot be opened.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failing: HashMap<Arc<str>, Failing>,
}

#[derive(Debug)]
struct Failing {
    pause: Duration,
    until: Instant,
    error: Arc<ConnectError>,
    /// Somebody tries again, alone.
    trying: bool,
    /// How many were told of the error since the last attempt.
    told: u64,
}

/// What somebody is to do who wants to open a connection.
#[derive(Debug)]
pub(super) enum Advice {
    /// To try, after this time.
    Try(Duration),
    /// Not to try: it would fail with this.
    Fail(Arc<ConnectError>),
}

/// What follows from a failure.
#[derive(Debug)]
pub(super) struct Failed {
    /// How long nobody tries.
    pub(super) pause: Duration,
    /// How many were told of an error without an attempt of their own, since the
    /// last one.
    pub(super) told: u64,
    pub(super) error: Arc<ConnectError>,
    /// The log knows of it: the replicas lag still, or attempts that ran side by side
    /// failed in the same way.
    pub(super) known: bool,
}

impl Failed {
    /// One that others need not be told of.
    pub(super) fn once(error: ConnectError) -> Self {
        Self {
            pause: Duration::ZERO,
            told: 0,
            error: Arc::new(error),
            known: false,
        }
    }
}

impl Backoff {
    /// What to do now. While the server refuses the role, one at a time tries.
    pub(super) fn advise(&mut self, role: &str) -> Advice {
        let Some(failing) = self.failing.get_mut(role) else {
            return Advice::Try(Duration::ZERO);
        };
        let now = Instant::now();
        if failing.error.is_passing() {
            return Advice::Try(failing.until.saturating_duration_since(now));
        }
        if failing.until > now {
            failing.told += 1;
            return Advice::Fail(failing.error.clone());
        }
        // Others are told what is known until this one has tried.
        failing.until = now + failing.pause;
        failing.trying = true;
        Advice::Try(Duration::ZERO)
    }

    /// Whether nobody should try now who can do without.
    pub(super) fn rests(&self, role: &str) -> bool {
        let failing = self.failing.get(role);
        failing.is_some_and(|failing| Instant::now() < failing.until)
    }

    /// An attempt succeeded.
    pub(super) fn succeeded(&mut self, role: &str) {
        if !self.failing.is_empty() {
            self.failing.remove(role);
        }
    }

    /// An attempt failed.
    pub(super) fn failed(&mut self, role: &Arc<str>, error: ConnectError) -> Failed {
        let now = Instant::now();
        let error = Arc::new(error);
        let (first, longest) = match error.is_passing() {
            true => (FIRST, LONGEST),
            false => (FIRST_REFUSED, LONGEST_REFUSED),
        };
        let before = self.failing.get(role);
        let told = before.map_or(0, |failing| failing.told);
        let lags = |error: &ConnectError| matches!(error, ConnectError::Lagging(_));
        let lags_still = lags(&error) && before.is_some_and(|failing| lags(&failing.error));
        let same = before.filter(|failing| failing.error.is_passing() == error.is_passing());
        let beside = same.filter(|failing| failing.until > now && !failing.trying);
        let known = lags_still
            || beside.is_some_and(|failing| failing.error.to_string() == error.to_string());
        let (pause, until) = match same {
            None => (first, now + first),
            // Attempts that ran side by side count as one.
            Some(failing) if beside.is_some() => (failing.pause, failing.until),
            Some(failing) => {
                let pause = (failing.pause * 2).min(longest);
                (pause, now + pause)
            }
        };
        let failing = Failing {
            pause,
            until,
            error: error.clone(),
            trying: false,
            told: if known { told } else { 0 },
        };
        self.failing.insert(role.clone(), failing);
        Failed {
            pause: until - now,
            told,
            error,
            known,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn away() -> ConnectError {
        io::Error::from(io::ErrorKind::ConnectionRefused).into()
    }

    #[test]
    fn a_refused_role_is_tried_by_one_at_a_time_and_others_are_not_held_up() {
        let mut backoff = Backoff::default();
        let role: Arc<str> = Arc::from("locked");
        // Of several that began side by side each fails.
        for _ in 0..3 {
            let failed = backoff.failed(&role, ConnectError::Authentication("a password"));
            assert!(failed.pause <= FIRST_REFUSED);
        }
        for _ in 0..3 {
            assert!(matches!(backoff.advise("locked"), Advice::Fail(_)));
        }
        assert!(matches!(
            backoff.advise("other"),
            Advice::Try(Duration::ZERO)
        ));
        // Its time has come.
        if let Some(failing) = backoff.failing.get_mut("locked") {
            failing.until = Instant::now();
        }
        assert!(matches!(backoff.advise("locked"), Advice::Try(_)));
        assert!(matches!(backoff.advise("locked"), Advice::Fail(_)));
        let failed = backoff.failed(&role, ConnectError::Authentication("a password"));
        assert_eq!((failed.told, failed.pause), (4, 2 * FIRST_REFUSED));
        backoff.succeeded("locked");
        assert!(matches!(
            backoff.advise("locked"),
            Advice::Try(Duration::ZERO)
        ));
    }

    #[test]
    fn a_server_that_is_away_is_waited_for() {
        let mut backoff = Backoff::default();
        let role: Arc<str> = Arc::from("app");
        assert!(!backoff.failed(&role, away()).known);
        // Of one that began beside it the log is not told again.
        assert!(backoff.failed(&role, away()).known);
        let Advice::Try(pause) = backoff.advise("app") else {
            panic!("it may come back");
        };
        assert!(pause <= FIRST && pause > Duration::ZERO);
    }
}
