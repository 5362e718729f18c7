//! Cancel requests: from the key that the proxy gave to a client to the server
//! connection that the client is using, and never to another.

use crate::pool::Pool;
use crate::server::{self, BackendKey};
use crate::tenant::{LoginName, Principal, TenantId};
use crate::wire::startup::CancelRequest;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};

/// All sessions that can be cancelled, by the process id that they were given.
#[derive(Debug, Default)]
pub struct Registry {
    sessions: Mutex<HashMap<u32, Arc<Entry>>>,
}

/// A session's entry; it is taken out when this is dropped.
#[derive(Debug)]
pub struct Registration {
    registry: Arc<Registry>,
    entry: Arc<Entry>,
    pid: u32,
    /// Told when another session of the login has ended this one.
    end: Option<oneshot::Receiver<()>>,
}

struct Entry {
    login: LoginName,
    tenant: TenantId,
    /// Ends the session.
    end: Mutex<Option<oneshot::Sender<()>>>,
    secret: Box<[u8]>,
    pool: Arc<Pool>,
    running: Mutex<Running>,
    /// A request has been delivered, or a waiting session has been cancelled.
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
        pool: &Arc<Pool>,
        secret_len: usize,
    ) -> Result<Registration, aws_lc_rs::error::Unspecified> {
        let mut secret = vec![0; secret_len].into_boxed_slice();
        aws_lc_rs::rand::fill(&mut secret)?;
        let (end, ended) = oneshot::channel();
        let entry = Arc::new(Entry {
            login: principal.login.clone(),
            tenant: principal.tenant.id.clone(),
            end: Mutex::new(Some(end)),
            secret,
            pool: pool.clone(),
            running: Mutex::default(),
            changed: Notify::new(),
        });
        loop {
            let mut bytes = [0; 4];
            aws_lc_rs::rand::fill(&mut bytes)?;
            // Clients take it for a signed process id.
            let pid = u32::from_be_bytes(bytes) >> 1;
            let mut sessions = lock(&self.sessions);
            if pid != 0 && !sessions.contains_key(&pid) {
                sessions.insert(pid, entry.clone());
                return Ok(Registration {
                    registry: self.clone(),
                    entry,
                    pid,
                    end: Some(ended),
                });
            }
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
        let running = self.0.begin_in_use();
        if let Some(end) = lock(&self.0.end).take() {
            // The session may be ending by itself.
            let _ = end.send(());
        }
        if let Some(key) = running {
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
        if let Err(error) = server::cancel(self.pool.server(), key).await {
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
                self.changed.notify_waiters();
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
        let is_there = lock(&entry.end).is_some();
        (is_peer && is_there).then_some(Peer(entry))
    }

    /// What completes when another session ends this one. To be asked for once.
    pub(super) fn ended(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let end = self.end.take();
        async move {
            let told = match end {
                Some(end) => end.await.is_ok(),
                None => false,
            };
            if !told {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The session waits for a server connection.
    pub(super) fn waiting(&self) {
        lock(&self.entry.running).on = Activity::Waiting;
    }

    /// Completes when the waiting is cancelled.
    pub(super) async fn cancelled(&self) {
        loop {
            let changed = self.entry.changed.notified();
            if let Activity::Cancelled = lock(&self.entry.running).on {
                return;
            }
            changed.await;
        }
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
        self.done();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
