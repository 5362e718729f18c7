//! Connections that are opened before somebody needs them (`pool.min_idle`), so that
//! clients that come back all at once need not wait for logins.
//!
//! What is opened in advance takes nothing from anybody: no connection of another
//! database makes room for it, it is no reason for a login at a server that has failed,
//! and few are opened at a time, however many databases a server has.

use super::handle::Handle;
use super::lease::Place;
use super::{Pool, Pools, lock};
use crate::config::Contact;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime;
use tokio::sync::Semaphore;

/// So many are opened at a time at one server.
const AT_A_TIME: usize = 4;
/// After one that failed none is opened in advance at its server for so long.
const PAUSE: Duration = Duration::from_secs(5);

/// What is opened in advance at one server.
#[derive(Debug)]
pub(super) struct Ahead {
    turns: Semaphore,
    rests_until: Mutex<Option<Instant>>,
}

impl Default for Ahead {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(AT_A_TIME),
            rests_until: Mutex::default(),
        }
    }
}

impl Ahead {
    fn rests(&self) -> bool {
        let until = *lock(&self.rests_until);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn has_failed(&self) {
        *lock(&self.rests_until) = Some(Instant::now() + PAUSE);
    }
}

/// That a pool is being filled, until this is dropped.
struct Filling(Arc<Pool>);

impl Drop for Filling {
    fn drop(&mut self) {
        self.0.filling.store(false, Ordering::Relaxed);
    }
}

impl Pools {
    /// Opens connections where a pool has clients and fewer than `pool.min_idle`: on
    /// these runtimes, which are those of the workers. To be called several times a
    /// second.
    pub fn fill(&self, runtimes: &[runtime::Handle]) {
        for pool in self.in_use() {
            if let Some(filling) = pool.begin_filling() {
                tokio::spawn(filling.fill(runtimes.to_vec()));
            }
        }
    }
}

impl Pool {
    /// How many connections are to be there now, those in use included.
    pub(super) fn least(&self) -> usize {
        match self.settings.min_idle {
            0 => 0,
            _ if self.guests.is_empty() => 0,
            least => least,
        }
    }

    /// The right to fill it, where there is something to do and nobody does it.
    fn begin_filling(self: &Arc<Self>) -> Option<Filling> {
        let least = self.least();
        if least == 0 || lock(&self.queue).open() >= least || !self.may_open_ahead() {
            return None;
        }
        let filling = self.filling.swap(true, Ordering::Relaxed);
        (!filling).then(|| Filling(self.clone()))
    }

    /// Whether nothing is known that speaks against a login now.
    fn may_open_ahead(&self) -> bool {
        let is_away = matches!(self.server.reached.contact(), Contact::Failed(_));
        !is_away && !self.budget.ahead.rests()
    }

    /// A place for one more connection, while there are fewer than there are to be.
    fn vacancy(self: &Arc<Self>, worker: usize) -> Option<Place> {
        let least = self.least();
        let booking = self.guests.choose(|guests| {
            let mut queue = lock(&self.queue);
            queue.vacancy(self, least, guests)
        })?;
        Some(Place::new(Handle::new(self.clone(), worker), booking))
    }

    /// Opens one more connection on this worker's thread. `false`: that is all for now.
    async fn open_one_ahead(self: Arc<Self>, worker: usize) -> bool {
        let Ok(_turn) = self.budget.ahead.turns.acquire().await else {
            return false;
        };
        if !self.may_open_ahead() {
            return false;
        }
        let Some(place) = self.vacancy(worker) else {
            return false;
        };
        match place.open_ahead().await {
            Ok(Some(lease)) => {
                lease.give_back();
                true
            }
            Ok(None) => false,
            Err(_told) => {
                self.budget.ahead.has_failed();
                false
            }
        }
    }
}

impl Filling {
    /// Opens what is missing, one connection after another, on one worker after another.
    async fn fill(self, runtimes: Vec<runtime::Handle>) {
        for (worker, runtime) in runtimes.iter().enumerate().cycle() {
            let opening = runtime.spawn(self.0.clone().open_one_ahead(worker));
            if !matches!(opening.await, Ok(true)) {
                return;
            }
        }
    }
}
