//! Cancel requests: from the key that the proxy gave to a client to the server
//! connection that the client is using, and never to another.

use crate::pool::Pool;
use crate::server::{self, BackendKey};
use crate::wire::startup::CancelRequest;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

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
}

struct Entry {
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

impl Registry {
    /// Enters a session. `secret_len` is the length of its secret key in bytes:
    /// 4 in protocol 3.0, up to 256 from 3.2 on.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn register(
        self: &Arc<Self>,
        pool: &Arc<Pool>,
        secret_len: usize,
    ) -> Result<Registration, aws_lc_rs::error::Unspecified> {
        let mut secret = vec![0; secret_len].into_boxed_slice();
        aws_lc_rs::rand::fill(&mut secret)?;
        let entry = Arc::new(Entry {
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
        let key = loop {
            let changed = entry.changed.notified();
            match entry.begin() {
                Begun::Send(key) => break key,
                Begun::Nothing => return,
                Begun::Later => changed.await,
            }
        };
        if let Err(error) = server::cancel(entry.pool.server(), key).await {
            tracing::warn!(target: "pgtenant::server", %error, "cannot deliver a cancel request");
        }
        entry.end();
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
    fn begin(&self) -> Begun {
        let mut running = lock(&self.running);
        match running.on {
            Activity::Using(key) => {
                running.under_way += 1;
                running.hit = true;
                Begun::Send(key)
            }
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
        async move {
            loop {
                let changed = entry.changed.notified();
                if lock(&entry.running).under_way == 0 {
                    return;
                }
                changed.await;
            }
        }
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
