//! What came of reaching a server.

use super::Hosts;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// More addresses than a server has.
const MOST_SEEN: usize = 256;

/// What is known of a server by trying to reach it. It is no part of the configuration,
/// and equal to every other.
#[derive(Debug, Clone, Default)]
pub struct Reached(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    last: Mutex<Last>,
    /// The highest timeline of a primary that was reached; 0: none was asked for it.
    timeline: AtomicU32,
    /// The system identifier that the server at these hosts has, of which this one is a
    /// replica.
    system: Mutex<Option<(Hosts, u64)>>,
    /// How the replica at each address was seen when it had replayed all there was.
    seen: Mutex<HashMap<SocketAddr, Seen>>,
}

/// A moment at which a replica had replayed all that its primary had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The moment.
    pub at: Instant,
    /// The position in the WAL that it had replayed.
    pub replayed: u64,
}

#[derive(Debug, Default)]
struct Last {
    /// Where it was reached: that is tried first.
    address: Option<SocketAddr>,
    contact: Contact,
}

/// What came of the last attempt to connect to a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Contact {
    /// There was none yet.
    #[default]
    Untried,
    /// The server has answered, if only to refuse a login.
    Answered,
    /// There was no answer, or none that is PostgreSQL's; why.
    Failed(Arc<str>),
}

impl Reached {
    /// The address at which it was reached last.
    #[must_use]
    pub fn get(&self) -> Option<SocketAddr> {
        self.lock().address
    }

    /// It was reached at this one.
    pub fn set(&self, address: SocketAddr) {
        self.lock().address = Some(address);
    }

    /// A primary with this timeline was reached. `false`: another one has a higher
    /// timeline; it was promoted after this one, which must not be written to.
    #[must_use]
    pub fn leads(&self, timeline: u32) -> bool {
        self.0.timeline.fetch_max(timeline, Ordering::Relaxed) <= timeline
    }

    /// The highest timeline of a primary that was reached; 0: none was asked for it.
    #[must_use]
    pub fn timeline(&self) -> u32 {
        self.0.timeline.load(Ordering::Relaxed)
    }

    /// Whether another primary was promoted after one that had this timeline; 0: it was
    /// not asked for it.
    #[must_use]
    pub fn supersedes(&self, timeline: u32) -> bool {
        timeline != 0 && timeline < self.timeline()
    }

    /// The system identifier that the server at these hosts told, of which this one is
    /// a replica.
    #[must_use]
    pub fn system(&self, of: &Hosts) -> Option<u64> {
        let system = lock(&self.0.system);
        system
            .as_ref()
            .filter(|(hosts, _)| hosts == of)
            .map(|(_, system)| *system)
    }

    /// The server at these hosts, of which this one is a replica, told this one.
    pub fn set_system(&self, of: &Hosts, system: u64) {
        *lock(&self.0.system) = Some((of.clone(), system));
    }

    /// How the replica at this address was seen when it had replayed all there was.
    #[must_use]
    pub fn seen_at(&self, address: SocketAddr) -> Option<Seen> {
        lock(&self.0.seen).get(&address).copied()
    }

    /// It was seen so.
    pub fn see_at(&self, address: SocketAddr, seen: Option<Seen>) {
        let Some(seen) = seen else {
            return;
        };
        let mut all = lock(&self.0.seen);
        // Names can lead to ever new addresses.
        if all.len() >= MOST_SEEN && !all.contains_key(&address) {
            all.clear();
        }
        all.insert(address, seen);
    }

    /// What came of the last attempt.
    #[must_use]
    pub fn contact(&self) -> Contact {
        self.lock().contact.clone()
    }

    /// This has come of an attempt.
    pub fn tried(&self, contact: Contact) {
        self.lock().contact = contact;
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        lock(&self.0.last)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PartialEq for Reached {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Reached {}
