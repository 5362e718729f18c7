//! One login at a time of a role that the server may refuse.
//!
//! As long as no login of a role has succeeded lately, nobody knows whether the server
//! lets it in. So one connection is opened, and who wants another waits for what becomes
//! of it: a password that has changed costs one failed login, not one for each client.

use super::lock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long a success counts.
const COUNTS: Duration = Duration::from_secs(1);
/// Most time that is waited for the others' logins: a server that is silent tells
/// nothing about the role.
const PATIENCE: Duration = Duration::from_secs(1);
/// With more roles than these the old ones are forgotten.
const MANY: usize = 1000;

/// The roles that have logged in, or try to.
#[derive(Debug, Default)]
pub(super) struct Trials {
    roles: HashMap<Arc<str>, Trial>,
}

#[derive(Debug)]
struct Trial {
    /// Has one permit.
    turn: Arc<Semaphore>,
    succeeded: Option<Instant>,
}

impl Trial {
    fn counts(&self) -> bool {
        self.succeeded.is_some_and(|at| at.elapsed() < COUNTS)
    }

    fn is_in_use(&self) -> bool {
        self.counts() || Arc::strong_count(&self.turn) > 1
    }
}

impl Trials {
    /// The turn to take for a login, if others may not try beside it.
    fn turn(&mut self, role: &Arc<str>) -> Option<Arc<Semaphore>> {
        if self.roles.len() >= MANY && !self.roles.contains_key(role) {
            self.roles.retain(|_, trial| trial.is_in_use());
        }
        let trial = self.roles.entry(role.clone()).or_insert_with(|| Trial {
            turn: Arc::new(Semaphore::new(1)),
            succeeded: None,
        });
        (!trial.counts()).then(|| trial.turn.clone())
    }

    /// A login succeeded.
    pub(super) fn succeeded(&mut self, role: &Arc<str>) {
        if let Some(trial) = self.roles.get_mut(role) {
            trial.succeeded = Some(Instant::now());
        }
    }
}

/// The only one's turn to log in as the role; none where others may, too.
pub(super) async fn turn(trials: &Mutex<Trials>, role: &Arc<str>) -> Option<OwnedSemaphorePermit> {
    let turn = lock(trials).turn(role)?;
    let turn = timeout(PATIENCE, turn.acquire_owned()).await;
    let turn = turn.ok()?.ok()?;
    // Another's login may have succeeded meanwhile.
    lock(trials).turn(role)?;
    Some(turn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tries_at_a_time_until_one_has_succeeded() {
        let mut trials = Trials::default();
        let role: Arc<str> = Arc::from("app");
        let turn = trials.turn(&role).unwrap();
        let permit = turn.try_acquire().unwrap();
        assert!(trials.turn(&role).unwrap().try_acquire().is_err());
        assert!(
            trials
                .turn(&Arc::from("other"))
                .unwrap()
                .try_acquire()
                .is_ok()
        );
        drop(permit);
        assert!(trials.turn(&role).unwrap().try_acquire().is_ok());
        trials.succeeded(&role);
        assert!(trials.turn(&role).is_none());
    }

    #[test]
    fn roles_that_nobody_tries_are_forgotten() {
        let mut trials = Trials::default();
        let kept = trials.turn(&Arc::from("kept")).unwrap();
        for n in 0..2 * MANY {
            let _ = trials.turn(&Arc::from(format!("role{n}")));
        }
        assert!(trials.roles.len() <= MANY && trials.roles.contains_key("kept"));
        drop(kept);
    }
}
