//! The sessions there are, and what reaches them from outside: cancel requests,
//! from the key that the proxy gave to a client to the server connection that
//! the client is using and never to another; and orders.

mod awaited;
mod delivery;
mod entry;
mod open;
mod overdue;
mod pid;
mod registration;
mod running;
mod shown;
mod spell;
mod station;
mod told;
mod view;

pub(super) use delivery::{Aftermath, Settled};
pub use overdue::Overdue;
pub use pid::replica_of;
pub(super) use registration::Peer;
pub use registration::Registration;
pub use shown::Hold;
pub use view::{SessionGlance, SessionState, SessionView};

use super::orders::{Ending, Membership, Order};
use crate::audit::{Event, Log};
use crate::directory::{Principal, Vouched};
use crate::protocol::startup::CancelRequest;
use crate::tenant::LoginName;
use crate::transport::ClientAddress;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::error::Unspecified;
use delivery::Lanes;
use entry::Entry;
use shown::Clock;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// All sessions that can be cancelled, by the process id that they were given.
#[derive(Debug, Default)]
pub struct Registry {
    sessions: Mutex<HashMap<u32, Arc<Entry>>>,
    /// When the credentials of sessions expire, the earliest first.
    expiries: Mutex<BTreeSet<(SystemTime, u32)>>,
    /// Sessions that were told something and may not have done it yet.
    watched: Mutex<Vec<Arc<Entry>>>,
    lanes: Arc<Lanes>,
    clock: Arc<Clock>,
    /// What is recorded of them.
    audit: Log,
    /// How many sessions waited for what was not to come.
    faults: AtomicU64,
    /// The number of this replica, where there are several.
    replica: Option<u8>,
}

/// What a session is entered with.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Whether the login stands in the directory by its name.
    pub listed: bool,
    /// What says which profile it has, beside the directory.
    pub vouched: Option<Box<Vouched>>,
    /// Where the client comes from.
    pub address: ClientAddress,
    /// Where it has come to.
    pub local: Option<SocketAddr>,
    /// The database that it asked for.
    pub database: Box<str>,
    /// The `application_name` that it came with.
    pub application: Box<str>,
    /// Protocol and cipher suite, over TLS.
    pub tls: Option<Box<str>>,
    /// When its credential expires, if the session is to end with it.
    pub expires: Option<SystemTime>,
}

/// A session, as the directory sees it.
#[derive(Debug)]
pub struct Member<'a> {
    /// Its login.
    pub login: &'a LoginName,
    /// How it came.
    pub visitor: &'a Visitor,
    /// The worker that serves it.
    pub worker: usize,
    /// What it goes by.
    pub membership: &'a Membership,
}

impl Registry {
    /// One without sessions, which records what happens to them. `replica`: the number
    /// of this one, where there are several.
    #[must_use]
    pub fn new(audit: Log, replica: Option<u8>) -> Arc<Self> {
        Arc::new(Self {
            audit,
            replica,
            ..Self::default()
        })
    }

    /// Enters a session. `secret_len` is the length of its secret key in bytes:
    /// 4 in protocol 3.0, up to 256 from 3.2 on.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn register(
        self: &Arc<Self>,
        principal: &Principal,
        membership: Membership,
        visitor: Visitor,
        worker: usize,
        secret_len: usize,
    ) -> Result<Registration, Unspecified> {
        // The secret, and behind it the process id: each draw has its price.
        let mut secret = vec![0; secret_len + size_of::<u32>()];
        aws_lc_rs::rand::fill(&mut secret)?;
        let (_, bytes) = secret.split_last_chunk().ok_or(Unspecified)?;
        let mut bytes = *bytes;
        secret.truncate(secret_len);
        let secret = secret.into_boxed_slice();
        let lanes = self.lanes.clone();
        let clock = self.clock.clone();
        let entry = Arc::new(Entry::new(
            principal, membership, visitor, worker, secret, lanes, clock,
        ));
        loop {
            let pid = pid::of(u32::from_be_bytes(bytes), self.replica);
            let mut sessions = lock(&self.sessions);
            if pid != 0 && !sessions.contains_key(&pid) {
                sessions.insert(pid, entry.clone());
                drop(sessions);
                if let Some(expires) = entry.visitor.expires {
                    lock(&self.expiries).insert((expires, pid));
                }
                return Ok(Registration {
                    registry: self.clone(),
                    entry,
                    pid,
                });
            }
            drop(sessions);
            aws_lc_rs::rand::fill(&mut bytes)?;
        }
    }

    /// Carries out a request: nothing happens unless the key is right and the
    /// session is running something. Returns once the server has taken it, or
    /// will not get it any more; within twice the server's `connect_timeout`. Says
    /// whether the key was right.
    pub async fn cancel(&self, request: &CancelRequest) -> bool {
        let Some(entry) = lock(&self.sessions).get(&request.pid).cloned() else {
            return false;
        };
        if verify_slices_are_equal(&entry.secret, &request.secret).is_err() {
            tracing::warn!(target: "pgtenant::audit", event = "cancel_refused", "a cancel request had a wrong key");
            self.audit.record(&Event::CancelRefused);
            return false;
        }
        entry.cancel().await;
        true
    }

    /// Asks of every session what it is to be told, and tells it.
    pub fn survey(&self, decide: impl Fn(&Member<'_>) -> Option<Order>) {
        for entry in self.all() {
            if entry.review(&decide) {
                lock(&self.watched).push(entry);
            }
        }
    }

    /// The sessions of a worker, and how many transactions each has begun since this
    /// was asked last.
    pub fn count(&self, worker: usize) -> Vec<(Mover, u32)> {
        let sessions = lock(&self.sessions);
        let of_worker = sessions
            .values()
            .filter(|entry| entry.station.worker() == worker);
        let counted = of_worker.map(|entry| (Mover(entry.clone()), entry.station.count()));
        counted.collect()
    }

    /// Wakes the tasks of all sessions.
    pub fn wake(&self) {
        for entry in self.all() {
            entry.inbox.wake();
        }
    }

    /// All sessions, to be looked at without the lock.
    fn all(&self) -> Vec<Arc<Entry>> {
        lock(&self.sessions).values().cloned().collect()
    }

    /// Tells the sessions whose credential has expired to end, and ends those
    /// that have not done what they were told within `time`. To be called
    /// several times a second.
    pub fn expire(&self, time: Duration) {
        self.clock.tick();
        self.expire_credentials();
        let watched = std::mem::take(&mut *lock(&self.watched));
        let again = watched
            .into_iter()
            .filter(|entry| entry.look(time, &self.audit));
        let again: Vec<_> = again.collect();
        lock(&self.watched).extend(again);
    }

    fn expire_credentials(&self) {
        let now = SystemTime::now();
        let mut expiries = lock(&self.expiries);
        while expiries.first().is_some_and(|(expires, _)| *expires <= now) {
            let Some((_, pid)) = expiries.pop_first() else {
                break;
            };
            let entry = lock(&self.sessions).get(&pid).cloned();
            if let Some(entry) = entry
                && entry.end_at_boundary(Ending::Expired)
            {
                lock(&self.watched).push(entry);
            }
        }
    }
}

/// A session that may move to another worker.
#[derive(Debug)]
pub struct Mover(Arc<Entry>);

impl Mover {
    /// Tells it to go on with another worker, once it holds no server connection.
    pub fn send_to(&self, worker: usize) {
        self.0.station.send_to(worker);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
