//! The sessions there are, and what reaches them from outside: cancel requests,
//! from the key that the proxy gave to a client to the server connection that
//! the client is using and never to another; and orders.

use super::orders::{Ending, Inbox, Membership, Order, When};
use crate::pool::Pool;
use crate::server::{self, BackendKey};
use crate::tenant::{LoginName, Principal, TenantId};
use crate::wire::startup::CancelRequest;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::error::Unspecified;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::SystemTime;
use tokio::sync::Notify;

/// All sessions that can be cancelled, by the process id that they were given.
#[derive(Debug, Default)]
pub struct Registry {
    sessions: Mutex<HashMap<u32, Arc<Entry>>>,
    /// When the credentials of sessions expire, the earliest first.
    expiries: Mutex<BTreeSet<(SystemTime, u32)>>,
}

/// What a session is entered with.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Whether the login stands in the directory by its name.
    pub listed: bool,
    /// Where the client comes from.
    pub address: IpAddr,
    /// Which worker serves it.
    pub worker: usize,
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
    /// What it goes by.
    pub membership: &'a Membership,
}

/// A session's entry; it is taken out when this is dropped.
#[derive(Debug)]
pub struct Registration {
    registry: Arc<Registry>,
    entry: Arc<Entry>,
    pid: u32,
}

struct Entry {
    login: LoginName,
    tenant: TenantId,
    visitor: Visitor,
    inbox: Inbox,
    /// What the session was told last to go by.
    told: Mutex<Membership>,
    secret: Box<[u8]>,
    /// Where the connection that it uses comes from.
    pool: Mutex<Arc<Pool>>,
    running: Mutex<Running>,
    /// A request has been delivered, or one that waits may go on.
    changed: Notify,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Running {
    on: Activity,
    /// Requests on their way to the server.
    under_way: usize,
    /// A session of the same login waits to send another.
    queued: bool,
    /// A request was sent to the connection in use.
    hit: bool,
}

#[derive(Debug, Default, Clone, Copy)]
enum Activity {
    #[default]
    Idle,
    /// The session waits for a server connection.
    Waiting,
    /// The waiting is to end.
    Cancelled,
    /// What runs on the server is the proxy's own: a request waits for its end.
    Attaching,
    /// The session uses the connection with this key.
    Using(BackendKey),
}

impl Running {
    fn strike(&mut self) -> Option<BackendKey> {
        let Activity::Using(key) = self.on else {
            return None;
        };
        self.under_way += 1;
        self.hit = true;
        Some(key)
    }
}

impl Registry {
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
        secret_len: usize,
    ) -> Result<Registration, Unspecified> {
        // The secret, and behind it the process id: each draw has its price.
        let mut secret = vec![0; secret_len + size_of::<u32>()];
        aws_lc_rs::rand::fill(&mut secret)?;
        let (_, bytes) = secret.split_last_chunk().ok_or(Unspecified)?;
        let mut bytes = *bytes;
        secret.truncate(secret_len);
        let secret = secret.into_boxed_slice();
        let entry = Arc::new(Entry {
            login: principal.login.clone(),
            tenant: principal.tenant.id.clone(),
            visitor,
            inbox: Inbox::default(),
            secret,
            pool: Mutex::new(membership.pool.clone()),
            told: Mutex::new(membership),
            running: Mutex::default(),
            changed: Notify::new(),
        });
        loop {
            // Clients take it for a signed process id.
            let pid = u32::from_be_bytes(bytes) >> 1;
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
    /// session is running something. Returns once the server has taken it.
    pub async fn cancel(&self, request: &CancelRequest) {
        let Some(entry) = lock(&self.sessions).get(&request.pid).cloned() else {
            return;
        };
        if verify_slices_are_equal(&entry.secret, &request.secret).is_err() {
            tracing::warn!(target: "pgtenant::audit", event = "cancel_refused", "a cancel request had a wrong key");
            return;
        }
        entry.cancel().await;
    }

    /// Asks of every session what it is to be told, and tells it.
    pub fn survey(&self, decide: impl Fn(&Member<'_>) -> Option<Order>) {
        let all: Vec<_> = lock(&self.sessions).values().cloned().collect();
        for entry in all {
            entry.review(&decide);
        }
    }

    /// Tells the sessions whose credential has expired to end. To be called
    /// several times a second.
    pub fn expire(&self) {
        let now = SystemTime::now();
        let mut expiries = lock(&self.expiries);
        while expiries.first().is_some_and(|(expires, _)| *expires <= now) {
            let Some((_, pid)) = expiries.pop_first() else {
                break;
            };
            if let Some(entry) = lock(&self.sessions).get(&pid) {
                let order = Order::End(Ending::Expired, When::AtBoundary);
                entry.inbox.put(order);
            }
        }
    }
}

/// A session of the same login, found by the process id that its client was
/// given.
#[derive(Debug)]
pub(super) struct Peer(Arc<Entry>);

impl Peer {
    /// Cancels what it runs. Requests go to the server one after another, and
    /// what is asked for while one waits is done by that one.
    pub(super) async fn cancel(self) {
        if std::mem::replace(&mut lock(&self.0.running).queued, true) {
            return;
        }
        self.0.settled().await;
        lock(&self.0.running).queued = false;
        self.0.cancel().await;
    }

    /// Ends it. The client is told at once; what it runs on the server is
    /// cancelled.
    pub(super) async fn end(self) {
        if let Some(key) = self.0.end_now(Ending::Peer) {
            self.0.deliver(key).await;
        }
    }
}

/// What a request comes to.
enum Begun {
    /// It goes to the connection with this key. Until [`end`](Entry::end) the
    /// connection stays with the session.
    Send(BackendKey),
    /// There is nothing to send.
    Nothing,
    /// It must wait until something changes.
    Later,
}

impl Entry {
    /// Tells the session what `decide` says.
    fn review(self: &Arc<Self>, decide: impl Fn(&Member<'_>) -> Option<Order>) {
        let mut told = lock(&self.told);
        let member = Member {
            login: &self.login,
            visitor: &self.visitor,
            membership: &told,
        };
        match decide(&member) {
            None => {}
            Some(Order::End(ending, When::Now)) => {
                if let Some(key) = self.end_now(ending) {
                    let entry = self.clone();
                    tokio::spawn(async move { entry.deliver(key).await });
                }
            }
            Some(order) => {
                if let Order::Follow(membership) = &order {
                    *told = membership.clone();
                }
                self.inbox.put(order);
            }
        }
    }

    /// Ends the session at once. What it runs is to be cancelled with the key.
    fn end_now(&self, ending: Ending) -> Option<BackendKey> {
        let running = self.begin_in_use();
        self.inbox.put(Order::End(ending, When::Now));
        running
    }

    async fn cancel(&self) {
        let key = loop {
            let changed = self.changed.notified();
            match self.begin() {
                Begun::Send(key) => break key,
                Begun::Nothing => return,
                Begun::Later => changed.await,
            }
        };
        self.deliver(key).await;
    }

    async fn deliver(&self, key: BackendKey) {
        let pool = lock(&self.pool).clone();
        if let Err(error) = server::cancel(pool.server(), key).await {
            tracing::warn!(target: "pgtenant::server", %error, "cannot deliver a cancel request");
        }
        self.end();
    }

    /// A request is to go to the connection in use, if there is one.
    fn begin_in_use(&self) -> Option<BackendKey> {
        lock(&self.running).strike()
    }

    fn begin(&self) -> Begun {
        let mut running = lock(&self.running);
        match running.on {
            Activity::Using(_) => running.strike().map_or(Begun::Nothing, Begun::Send),
            Activity::Waiting => {
                running.on = Activity::Cancelled;
                drop(running);
                self.inbox.wake();
                Begun::Nothing
            }
            Activity::Attaching => Begun::Later,
            Activity::Idle | Activity::Cancelled => Begun::Nothing,
        }
    }

    async fn settled(&self) {
        loop {
            let changed = self.changed.notified();
            if lock(&self.running).under_way == 0 {
                return;
            }
            changed.await;
        }
    }

    fn end(&self) {
        lock(&self.running).under_way -= 1;
        self.changed.notify_waiters();
    }
}

/// Whether cancel requests concern a connection that is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aftermath {
    /// None was sent: it can be used at once.
    None,
    /// One was sent and may yet strike.
    Possible,
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

    /// Whether there is an order. Costs nothing to ask.
    pub(super) fn is_told(&self) -> bool {
        self.entry.inbox.is_told()
    }

    /// Asks what the session is to be told, and tells it.
    pub fn review(&self, decide: impl Fn(&Member<'_>) -> Option<Order>) {
        self.entry.review(decide);
    }

    /// Takes the order.
    pub(super) fn take_order(&self) -> Option<Order> {
        self.entry.inbox.take()
    }

    /// What says, apart from the session, whether it is to end at once, and why.
    pub(super) fn end_at_once(&self) -> impl Fn() -> Option<Ending> + Send + use<> {
        let entry = self.entry.clone();
        move || match entry.inbox.is_closed().then(|| entry.inbox.take()) {
            Some(Some(Order::End(ending, _))) => Some(ending),
            _ => None,
        }
    }

    /// The session takes its connections from this pool from now on.
    pub(super) fn follow(&self, pool: &Arc<Pool>) {
        lock(&self.entry.pool).clone_from(pool);
    }

    /// The session waits for a server connection.
    pub(super) fn waiting(&self) {
        lock(&self.entry.running).on = Activity::Waiting;
    }

    /// Whether the waiting is cancelled: that wakes the session's task.
    pub(super) fn is_cancelled(&self) -> bool {
        matches!(lock(&self.entry.running).on, Activity::Cancelled)
    }

    /// The session does nothing that could be cancelled.
    pub(super) fn idle(&self) {
        lock(&self.entry.running).on = Activity::Idle;
    }

    /// The session's connection runs statements of the proxy's own.
    pub(super) fn attaching(&self) {
        let mut running = lock(&self.entry.running);
        running.on = Activity::Attaching;
        running.hit = false;
    }

    /// The session uses a connection from now on.
    pub(super) fn using(&self, key: BackendKey) {
        let mut running = lock(&self.entry.running);
        let before = std::mem::replace(&mut running.on, Activity::Using(key));
        running.hit = false;
        drop(running);
        if let Activity::Attaching = before {
            self.entry.changed.notify_waiters();
        }
    }

    /// The session gives the connection up.
    pub(super) fn done(&self) -> Aftermath {
        let mut running = lock(&self.entry.running);
        if let Activity::Attaching = running.on {
            self.entry.changed.notify_waiters();
        }
        running.on = Activity::Idle;
        if std::mem::take(&mut running.hit) {
            Aftermath::Possible
        } else {
            Aftermath::None
        }
    }

    /// What waits until no request is under way any more.
    pub(super) fn settled(&self) -> impl Future<Output = ()> + Send + use<> {
        let entry = self.entry.clone();
        async move { entry.settled().await }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&self.registry.sessions).remove(&self.pid);
        if let Some(expires) = self.entry.visitor.expires {
            lock(&self.registry.expiries).remove(&(expires, self.pid));
        }
        self.done();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
