//! Server connections, and who gets one.
//!
//! One [`Pool`] for each database of each server. A client's transaction takes
//! a connection with [`Pool::checkout`] and gives it back through its [`Slot`];
//! a slot that is dropped instead frees its place, and the connection is gone.

mod greeting;
mod holder;
mod retry;
mod shelf;

pub use greeting::{Greeting, Key as GreetingKey};

use crate::binding::{Bound, Taken, base};
use crate::server::{ConnectError, Connection, Target, Unbound, connect};
use crate::settings::{self, Secret, Server, Share};
use crate::tenant::{
    Attachment, Endpoint, Identity, Placement, ServerName, SharedTenant, TenantId,
};
use crate::wire::ClientError;
use greeting::Greetings;
use holder::Holder;
use retry::Retry;
use shelf::{AccountId, NotYet, Place, Shelf};
use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

/// All pools, by what they connect to.
#[derive(Debug)]
pub struct Pools {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    servers: BTreeMap<ServerName, Arc<Server>>,
    settings: settings::Pool,
    open: HashMap<Endpoint, Arc<Pool>>,
    /// Those that were replaced and have connections in use still.
    retired: Vec<Arc<Pool>>,
}

impl Pools {
    /// No pool yet: each is made when its first client comes.
    #[must_use]
    pub fn new(servers: BTreeMap<ServerName, Server>, settings: settings::Pool) -> Self {
        Self {
            state: Mutex::new(State {
                servers: shared(servers),
                settings,
                open: HashMap::new(),
                retired: Vec::new(),
            }),
        }
    }

    /// The pool of a database; `None` if no server has its name.
    pub fn get(&self, endpoint: &Endpoint) -> Option<Arc<Pool>> {
        let mut state = lock(&self.state);
        if let Some(pool) = state.open.get(endpoint) {
            return Some(pool.clone());
        }
        let server = state.servers.get(&endpoint.server)?.clone();
        let pool = Pool::new(endpoint.clone(), server, state.settings.clone());
        let pool = Arc::new(pool);
        state.open.insert(endpoint.clone(), pool.clone());
        Some(pool)
    }

    /// Takes other servers and settings from now on. Returns the pools that
    /// these change: [`Pool::retire`] them once nobody is sent to them any more.
    pub fn replace(
        &self,
        servers: BTreeMap<ServerName, Server>,
        settings: settings::Pool,
    ) -> Vec<Arc<Pool>> {
        let mut state = lock(&self.state);
        let unchanged = settings == state.settings;
        let mut servers = shared(servers);
        for (name, server) in &mut servers {
            if let Some(known) = state.servers.get(name)
                && **known == **server
            {
                *server = known.clone();
            }
        }
        let open = std::mem::take(&mut state.open);
        let (kept, retired): (HashMap<_, _>, HashMap<_, _>) =
            open.into_iter().partition(|(endpoint, pool)| {
                let server = servers.get(&endpoint.server);
                unchanged && server.is_some_and(|server| Arc::ptr_eq(server, &pool.server))
            });
        state.open = kept;
        state.servers = servers;
        state.settings = settings;
        let retired: Vec<_> = retired.into_values().collect();
        state.retired.extend(retired.iter().cloned());
        retired
    }

    /// Closes connections that have been idle for too long, or that their
    /// server has closed, tells those who have waited for too long, and takes
    /// back connections that others wait for and whose clients do nothing with
    /// them. To be called several times a second: it is what `wait_timeout` is
    /// precise to.
    pub fn sweep(&self) {
        for pool in self.all() {
            let (stale, late) = lock(&pool.shelf).sweep(pool.settings.idle_timeout);
            retire(stale);
            shelf::hand_out(late);
            pool.reclaim();
        }
        lock(&self.state)
            .retired
            .retain(|pool| !lock(&pool.shelf).is_empty());
    }

    /// Closes every idle connection.
    pub async fn close(&self) {
        for pool in self.all() {
            let (idle, late) = lock(&pool.shelf).sweep(Duration::ZERO);
            shelf::hand_out(late);
            for connection in idle {
                connection.close().await;
            }
        }
    }

    fn all(&self) -> Vec<Arc<Pool>> {
        let state = lock(&self.state);
        let all = state.open.values().chain(&state.retired);
        all.cloned().collect()
    }
}

fn shared(servers: BTreeMap<ServerName, Server>) -> BTreeMap<ServerName, Arc<Server>> {
    let servers = servers.into_iter();
    servers
        .map(|(name, server)| (name, Arc::new(server)))
        .collect()
}

/// The connections to one database.
#[derive(Debug)]
pub struct Pool {
    endpoint: Endpoint,
    server: Arc<Server>,
    settings: settings::Pool,
    shelf: Mutex<Shelf>,
    retry: Mutex<Retry>,
    /// Clients that hold a connection between their messages.
    holders: Mutex<Vec<Arc<Holder>>>,
    greetings: Mutex<Greetings>,
}

/// Why a client got no connection.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// None became free in time.
    #[error("no server connection became free within {0:?}")]
    Timeout(Duration),
    /// So many clients of the tenant wait already that no more may.
    #[error("too many clients of the tenant wait for a server connection")]
    Crowded,
    /// The pool has been replaced by another while the client waited.
    #[error("the server connections are being replaced")]
    Retired,
    /// None could be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl CheckoutError {
    /// What the client is told.
    #[must_use]
    pub fn to_client(&self) -> ClientError {
        match self {
            Self::Timeout(limit) => ClientError::fatal(
                "53300",
                format!("no server connection became free within {}", humantime::format_duration(*limit)),
            )
            .hint("All connections of the pool are in use (pool.size, pool.size_per_tenant, pool.wait_timeout); end idle transactions or ask the administrator for more."),
            Self::Crowded => ClientError::fatal("53300", self.to_string())
                .hint("Send fewer transactions at once, or ask the administrator for more (pool.size_per_tenant, pool.waiting_per_tenant)."),
            Self::Retired => ClientError::fatal("57P03", self.to_string())
                .hint("The configuration has changed; run the statement again."),
            Self::Connect(error) => error.to_client(),
        }
    }
}

impl Pool {
    fn new(endpoint: Endpoint, server: Arc<Server>, settings: settings::Pool) -> Self {
        let shelf = Shelf::new(&settings);
        Self {
            endpoint,
            server,
            settings,
            shelf: Mutex::new(shelf),
            retry: Mutex::default(),
            holders: Mutex::default(),
            greetings: Mutex::default(),
        }
    }

    /// An idle connection that is the tenant's already.
    pub fn take_idle(self: &Arc<Self>, tenant: &SharedTenant) -> Option<(Connection<Bound>, Slot)> {
        lock(&self.shelf).take_idle(self, tenant)
    }

    /// What the tenant can have now: a connection, or a place in the queue for
    /// one, where tenants are served in turn.
    ///
    /// # Errors
    /// If too many of the tenant wait already, or the pool has been replaced.
    pub fn ask(self: &Arc<Self>, tenant: &SharedTenant) -> Result<Asked, CheckoutError> {
        let dedicated = self.is_dedicated(&tenant.placement);
        let taken = lock(&self.shelf).take(self, tenant, dedicated);
        match taken {
            Ok((grant, evicted)) => {
                retire(evicted);
                Ok(Asked::Granted(grant))
            }
            Err(NotYet::Queued(place)) => Ok(Asked::Queued(Waiting {
                pool: self.clone(),
                place: Some(place),
            })),
            Err(NotYet::Crowded) => Err(CheckoutError::Crowded),
            Err(NotYet::Retired) => Err(CheckoutError::Retired),
        }
    }

    /// A connection that the tenant may use, once one is free: waits for at
    /// most `wait_timeout`.
    ///
    /// # Errors
    /// If none becomes free in time, or none can be opened within the server's
    /// `connect_timeout`.
    pub async fn checkout(
        self: &Arc<Self>,
        tenant: &SharedTenant,
    ) -> Result<(Taken, Slot), CheckoutError> {
        let grant = match self.ask(tenant)? {
            Asked::Granted(grant) => grant,
            Asked::Queued(waiting) => waiting.await?,
        };
        match grant {
            Grant::Idle(connection, slot) => Ok((Taken::Used(connection), slot)),
            Grant::Room(slot) => {
                let (connection, slot) = slot.open(tenant.clone()).await?;
                Ok((Taken::Fresh(connection), slot))
            }
        }
    }

    /// Opens a connection; tries again for as long as the server's
    /// `connect_timeout` while the failure is a passing one.
    async fn open(&self, placement: &Placement) -> Result<Connection<Unbound>, ConnectError> {
        let flavor = self.flavor(placement);
        let base = base(&placement.attachment, flavor.dedicated);
        let target = Target {
            server: &self.server,
            database: &self.endpoint.database,
            user: &flavor.user,
            password: flavor.password.as_ref().map(Secret::reveal),
            base: &base,
        };
        let deadline = Instant::now() + self.server.connect_timeout;
        loop {
            let pause = lock(&self.retry).pause();
            tokio::time::sleep(pause).await;
            match connect(&target).await {
                Ok(connection) => {
                    lock(&self.retry).succeeded();
                    lock(&self.greetings).meet(connection.parameters());
                    return Ok(connection);
                }
                Err(error) => {
                    let next = lock(&self.retry).failed();
                    tracing::warn!(
                        target: "pgtenant::server",
                        server = %self.endpoint.server,
                        database = %self.endpoint.database,
                        user = %flavor.user,
                        %error,
                        "cannot open a server connection"
                    );
                    if !error.is_passing() || Instant::now() + next > deadline {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Gives out no connection from now on: those who wait are told so, idle
    /// connections are closed, and the others once they are given back.
    pub fn retire(&self) {
        let (idle, waiters) = lock(&self.shelf).retire();
        retire(idle);
        // Outside of the lock: who waited may look at the pool at once.
        drop(waiters);
    }

    /// The server that the pool connects to.
    #[must_use]
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// The pool's settings.
    #[must_use]
    pub fn settings(&self) -> &settings::Pool {
        &self.settings
    }

    /// What the server says at login to a client with these settings, if a
    /// login has found it out already.
    #[must_use]
    pub fn greeting(&self, key: &GreetingKey) -> Option<Arc<Greeting>> {
        lock(&self.greetings).get(key)
    }

    /// Keeps what the server says at login.
    pub fn remember_greeting(&self, key: GreetingKey, greeting: Arc<Greeting>) {
        lock(&self.greetings).insert(key, greeting);
    }

    /// While somebody waits, tells the client that has held its connection for
    /// nothing the longest to give it up, if that is for too long.
    fn reclaim(&self) {
        let limit = self.settings.reclaim_after;
        let holders = lock(&self.holders);
        if holders.is_empty() {
            return;
        }
        let shelf = lock(&self.shelf);
        let idle = holders
            .iter()
            .filter_map(|holder| Some((holder.idle_for()?, holder)));
        let useful =
            idle.filter(|(idle, holder)| *idle >= limit && shelf.is_awaited(&holder.tenant));
        if let Some((_, holder)) = useful.max_by_key(|(idle, _)| *idle) {
            holder.tell();
        }
    }

    /// Whether connections of this placement serve one tenant for their life.
    fn is_dedicated(&self, placement: &Placement) -> bool {
        self.settings.share == Share::Tenant
            || matches!(placement.identity, Identity::Tenant(_))
            || matches!(&placement.attachment, Attachment::Setting { seal, .. } if seal.is_readable())
    }

    /// As whom, and for whom, the tenant's connections are opened.
    fn flavor(&self, placement: &Placement) -> Flavor {
        let dedicated = self.is_dedicated(placement);
        match &placement.identity {
            Identity::Tenant(role) => Flavor {
                user: role.name.clone(),
                password: Some(Secret::new(&role.password)),
                dedicated,
            },
            Identity::Server => Flavor {
                user: self.server.user.clone(),
                password: self.server.password.clone(),
                dedicated,
            },
        }
    }
}

/// As whom, and for whom, a connection is opened.
#[derive(Debug)]
struct Flavor {
    user: Arc<str>,
    password: Option<Secret>,
    /// It starts as its tenant's and can serve no other.
    dedicated: bool,
}

/// What a pool has for a client.
#[derive(Debug)]
pub enum Asked {
    /// This, at once.
    Granted(Grant),
    /// Nothing yet.
    Queued(Waiting),
}

/// What a client gets.
#[derive(Debug)]
pub enum Grant {
    /// A connection that was idle.
    Idle(Connection<Bound>, Slot),
    /// The right to [open](Slot::open) one.
    Room(Slot),
}

/// A client's waiting for a connection. It leaves the queue when this is
/// dropped.
#[derive(Debug)]
pub struct Waiting {
    pool: Arc<Pool>,
    place: Option<Place>,
}

impl Future for Waiting {
    type Output = Result<Grant, CheckoutError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(place) = &mut self.place else {
            return Poll::Ready(Err(CheckoutError::Retired));
        };
        // Without a word the pool has been retired.
        let outcome = ready!(Pin::new(&mut place.outcome).poll(cx));
        self.place = None;
        Poll::Ready(outcome.unwrap_or(Err(CheckoutError::Retired)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(mut place) = self.place.take() else {
            return;
        };
        lock(&self.pool.shelf).leave(&place);
        // It may have been granted meanwhile.
        place.outcome.close();
        if let Ok(Ok(Grant::Idle(connection, slot))) = place.outcome.try_recv() {
            slot.give_back(connection);
        }
    }
}

/// A place in a pool, and with it the right to one connection.
#[derive(Debug)]
pub struct Slot {
    pool: Arc<Pool>,
    account: AccountId,
    /// Its connection can serve its tenant alone.
    dedicated: bool,
    kept: bool,
    holder: Option<Arc<Holder>>,
}

impl Slot {
    /// Opens the connection, for the tenant that the place was granted to.
    ///
    /// # Errors
    /// If none can be opened within the server's `connect_timeout`.
    pub async fn open(
        self,
        tenant: SharedTenant,
    ) -> Result<(Connection<Unbound>, Self), CheckoutError> {
        let connection = self.pool.open(&tenant.placement).await?;
        Ok((connection, self))
    }

    /// Gives the connection back for others to use.
    pub fn give_back(mut self, mut connection: Connection<Bound>) {
        self.kept = true;
        connection.rest();
        let put = lock(&self.pool.shelf).put(&self.pool, self.account, connection, self.dedicated);
        match put {
            Ok(outcomes) => shelf::hand_out(outcomes),
            Err(connection) => retire(vec![connection]),
        }
    }

    /// The tenant's client holds the connection and does nothing with it, until
    /// [`busy`](Self::busy). `waker` is woken when it should give it up.
    pub fn rest(&mut self, tenant: &TenantId, waker: &Waker) {
        let holder = self.holder.get_or_insert_with(|| {
            let holder = Arc::new(Holder::new(tenant.clone()));
            lock(&self.pool.holders).push(holder.clone());
            holder
        });
        holder.rest(waker);
    }

    /// The client has gone on.
    pub fn busy(&self) {
        if let Some(holder) = &self.holder {
            holder.busy();
        }
    }

    /// Whether others wait, and the client has held the connection for nothing
    /// for too long.
    #[must_use]
    pub fn is_reclaimed(&self) -> bool {
        self.holder.as_ref().is_some_and(|holder| holder.is_told())
    }

    /// The pool that it is a place in.
    #[must_use]
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(holder) = self.holder.take() {
            lock(&self.pool.holders).retain(|known| !Arc::ptr_eq(known, &holder));
        }
        if !self.kept {
            let outcomes = lock(&self.pool.shelf).free(&self.pool, self.account);
            shelf::hand_out(outcomes);
        }
    }
}

/// Says goodbye to connections, without waiting for it.
fn retire(connections: Vec<Connection<Bound>>) {
    for connection in connections {
        tokio::spawn(connection.close());
    }
}

/// A panic elsewhere has not left these half-changed: no code of ours runs
/// under the lock that could panic between two changes.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
