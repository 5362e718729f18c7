//! The sessions there are, and what reaches them from outside: cancel requests,
//! from the key that the proxy gave to a client to the server connection that
//! the client is using and never to another; and orders.

mod awaited;
mod delivery;
mod entry;
mod overdue;
mod pid;
mod running;
mod shown;
mod station;
mod told;
mod view;

pub(super) use delivery::{Aftermath, Settled};
pub use overdue::Overdue;
pub use pid::replica_of;
pub use shown::Hold;
pub use view::{SessionGlance, SessionState, SessionView};

use super::orders::{Ending, Membership, Order};
use crate::audit::{Event, Log};
use crate::directory::Principal;
use crate::pool::Pool;
use crate::protocol::startup::CancelRequest;
use crate::server::BackendKey;
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
use std::task::Waker;
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

/// A session of the same login, found by the process id that its client was
/// given.
#[derive(Debug)]
pub(super) struct Peer(Arc<Entry>);

impl Peer {
    /// Cancels what it runs. Returns once the server has taken the request, as
    /// for [`Registry::cancel`].
    pub(super) async fn cancel(self) {
        self.0.cancel().await;
    }

    /// Ends it. The client is told at once; what it runs on the server is
    /// cancelled. Returns once the server has taken that request.
    pub(super) async fn end(self) {
        if let Some((deliveries, number)) = self.0.end(Ending::Peer) {
            deliveries.over(number).await;
        }
    }
}

/// A session's entry; it is taken out when this is dropped.
#[derive(Debug)]
pub struct Registration {
    registry: Arc<Registry>,
    entry: Arc<Entry>,
    pid: u32,
}

impl Registration {
    /// The process id that the client is given.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The secret key that the client is given.
    #[must_use]
    pub fn secret(&self) -> &[u8] {
        &self.entry.secret
    }

    /// A session of the same login and tenant, perhaps this one; not one that
    /// has been ended.
    pub(super) fn find(&self, pid: u32) -> Option<Peer> {
        let entry = lock(&self.registry.sessions).get(&pid).cloned()?;
        let own = &self.entry;
        let is_peer = entry.login == own.login && entry.tenant == own.tenant;
        let is_there = !entry.inbox.is_closed();
        (is_peer && is_there).then_some(Peer(entry))
    }

    /// The session's task, which orders and cancel requests are to wake. It must
    /// not change.
    pub(super) fn listen(&self, waker: &Waker) {
        self.entry.inbox.listen(waker);
    }

    /// The worker that the session is to go on with, if it is to move.
    pub(super) fn next_worker(&self) -> Option<usize> {
        self.entry.station.next()
    }

    /// The session has come to a worker.
    pub(super) fn arrived(&self, worker: usize) {
        self.entry.station.arrived(worker);
    }

    /// Whether there is an order. Costs nothing to ask.
    pub(super) fn is_told(&self) -> bool {
        self.entry.inbox.is_told()
    }

    /// Asks what the session is to be told, and tells it.
    pub fn review(&self, decide: impl Fn(&Member<'_>) -> Option<Order>) {
        if self.entry.review(decide) {
            lock(&self.registry.watched).push(self.entry.clone());
        }
    }

    /// Takes the order.
    pub(super) fn take_order(&self) -> Option<Order> {
        self.entry.inbox.take()
    }

    /// Whether the session is to end at once, and why. Costs nothing to ask.
    pub(super) fn ending_at_once(&self) -> Option<Ending> {
        self.entry.inbox.ending_at_once()
    }

    /// The session takes its connections from this pool from now on.
    pub(super) fn follow(&self, pool: &Arc<Pool>) {
        self.entry.follow(pool);
    }

    /// The session waits for a server connection, for the statement for which it
    /// waited before or, after [`idle`](Self::idle), for another.
    pub(super) fn waiting(&self) {
        self.entry.waiting();
    }

    /// Whether the waiting is cancelled: that wakes the session's task.
    pub(super) fn is_cancelled(&self) -> bool {
        self.entry.is_cancelled()
    }

    /// Whether the session has done nothing for a moment.
    pub(super) fn rests(&self) -> bool {
        self.entry.shown.rests()
    }

    /// The session does nothing that could be cancelled.
    pub(super) fn idle(&self) {
        self.entry.idle();
    }

    /// The session's connection runs statements of the proxy's own, until
    /// [`using`](Self::using) or [`done`](Self::done): requests wait for that.
    pub(super) fn attaching(&self) {
        self.entry.attaching();
    }

    /// The session uses a connection from now on, until [`done`](Self::done).
    pub(super) fn using(&self, key: BackendKey) {
        self.entry.station.begin();
        self.entry.using(key);
    }

    /// The session waits for its server's answer. `moved`: something has gone to the
    /// server or come from it since the session said so last.
    pub(super) fn awaits(&self, moved: bool) {
        if moved {
            self.entry.awaited.begin();
        } else {
            self.entry.awaited.go_on();
        }
    }

    /// The client does not need its connection now, and keeps it for this reason.
    /// `served`: it has sent or been sent something since this was said last.
    pub(super) fn holds(&self, hold: Hold, served: bool) {
        self.entry.shown.holds(hold, served);
    }

    /// How many statements the client has prepared.
    pub(super) fn has_prepared(&self, count: usize) {
        self.entry.shown.has_prepared(count);
    }

    /// The client calls itself otherwise now.
    pub(super) fn is_called(&self, application: &str) {
        self.entry.shown.is_called(application);
    }

    /// It is not the server's turn.
    pub(super) fn awaits_nothing(&self) {
        self.entry.awaited.end();
    }

    /// The session gives the connection up: from here on no request is sent to
    /// it, and those that wait are for nothing any more.
    pub(super) fn done(&self) -> Aftermath {
        self.entry.done()
    }

    /// What waits until no request is under way any more to the connection that
    /// was given up last ([`done`](Self::done)), before this was called.
    pub(super) fn settled(&self) -> impl Future<Output = Settled> + Send + use<> {
        self.entry.settled()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&self.registry.sessions).remove(&self.pid);
        if let Some(expires) = self.entry.visitor.expires {
            lock(&self.registry.expiries).remove(&(expires, self.pid));
        }
        // Nobody takes it any more.
        self.entry.inbox.take();
        self.done();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
