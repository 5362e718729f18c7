//! Server connections, and who gets one.
//!
//! One [`Pool`] for each database of each server, and for each isolation that has pools of
//! its own. A client's transaction takes
//! a [`Lease`] of a connection with [`Handle::checkout`] and gives it back; one that
//! is dropped instead frees its place, and the connection is gone.
//!
//! # Workers
//!
//! A connection lies with the worker whose reactor tells of what arrives on it, among
//! the idle ones of that worker (`idle`). While nobody waits, a transaction takes
//! one of its tenant's from its own worker and gives it back there, and meets no other
//! worker. Everything else is decided for all workers together, under one lock
//! (`queue`): how many connections there are, how many a tenant may have, and who
//! is next. A tenant's connections count as its own while they are idle, too; so what
//! it takes from its own idle ones need not be counted.

mod age;
mod backoff;
mod budget;
mod closing;
mod customs;
mod guests;
mod halt;
mod handle;
mod idle;
mod lease;
mod opening;
mod per_worker;
mod places;
mod pools;
mod queue;
mod quota;
mod ready;
mod reclaim;
mod trial;
mod view;
mod waiting_count;
mod welcome;

pub use guests::Guest;
pub use halt::Scope;
pub use handle::Handle;
pub use lease::{Asked, Grant, Lease, Place, Waiting};
pub use pools::{Plans, Pools};
pub use queue::{SETTLE_LIMIT, Seniority};
pub use view::{ConnectionState, ConnectionView, PoolView, TenantView};
pub use welcome::{Key as WelcomeKey, Welcome};

use crate::config::{self, Secret, Server, Share};
use crate::protocol::ClientError;
use crate::server::{ConnectError, Roll};
use crate::tenant::{Attachment, Endpoint, Identity, IsolationName, LoginName, Placement};
use age::Age;
use backoff::Backoff;
use budget::Budget;
use customs::KnownCustoms;
use guests::Guests;
use idle::{Idle, IdleSets};
use pools::Key;
use queue::{Claim, Evicted, Freed, Queue};
use quota::Quotas;
use reclaim::{Holder, Holders};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use trial::Trials;
use waiting_count::WaitingCount;
use welcome::Welcomes;

/// The connections to one database.
#[derive(Debug)]
pub struct Pool {
    endpoint: Endpoint,
    /// Whose tenants it is for, if not for those of several.
    isolation: Option<IsolationName>,
    /// Whether it is for masked logins.
    masked: bool,
    server: Arc<Server>,
    settings: config::Pool,
    /// Connections that nobody uses.
    idle: IdleSets,
    /// Whether somebody waits who may have any of them.
    waiting: WaitingCount,
    queue: Mutex<Queue>,
    customs: KnownCustoms,
    backoff: Mutex<Backoff>,
    trials: Mutex<Trials>,
    /// Clients that hold a connection between their messages.
    holders: Holders,
    guests: Guests,
    /// Connections are being opened before somebody needs them.
    filling: AtomicBool,
    quotas: Quotas,
    welcomes: Mutex<Welcomes>,
    /// The connections there are.
    roll: Arc<Roll>,
    /// Those that there may be to the server.
    budget: Arc<Budget>,
    /// Those that it has replaced: their connections count, too.
    before: Vec<Weak<Pool>>,
    /// The one that has replaced it.
    after: Mutex<Weak<Pool>>,
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
    #[error("{0}")]
    Connect(Arc<ConnectError>),
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
            .hint("All connections of the pool are in use (pool.size, pool.size_per_tenant, pool_size of the login's profile, pool.wait_timeout); end idle transactions or ask the administrator for more."),
            Self::Crowded => ClientError::fatal("53300", self.to_string())
                .hint("Send fewer transactions at once, or ask the administrator for more (pool.size_per_tenant, pool.waiting_per_tenant)."),
            Self::Retired => ClientError::fatal("57P03", self.to_string())
                .hint("The configuration has changed; run the statement again."),
            Self::Connect(error) => error.to_client(),
        }
    }
}

impl Pool {
    fn new(
        key: Key,
        server: Arc<Server>,
        settings: config::Pool,
        workers: usize,
        budget: Arc<Budget>,
    ) -> Self {
        let queue = Queue::new(&settings);
        let age = Age::new(settings.connection_lifetime, &server.reached);
        let Key {
            endpoint,
            isolation,
            masked,
        } = key;
        Self {
            endpoint,
            isolation,
            masked,
            server,
            settings,
            idle: IdleSets::new(workers, &age),
            waiting: WaitingCount::default(),
            queue: Mutex::new(queue),
            customs: KnownCustoms::default(),
            backoff: Mutex::default(),
            trials: Mutex::default(),
            holders: Holders::new(workers),
            guests: Guests::default(),
            filling: AtomicBool::new(false),
            quotas: Quotas::default(),
            welcomes: Mutex::default(),
            roll: Arc::default(),
            budget,
            before: Vec::new(),
            after: Mutex::default(),
        }
    }

    /// Whether it takes the place of `before`: its connections go to the same
    /// database of the same server. The pool of a replica takes no primary's.
    fn replaces(&self, before: &Self) -> bool {
        let (own, others) = (&self.server, &before.server);
        self.endpoint.database == before.endpoint.database
            && self.isolation == before.isolation
            && self.masked == before.masked
            && own.hosts.meet(&others.hosts)
            && (own.name == others.name || own.target == others.target)
    }

    /// How many connections there are of the pools that it has replaced.
    fn open_before(&self) -> usize {
        let before = self.before.iter().filter_map(Weak::upgrade);
        before.map(|before| lock(&before.queue).open()).sum()
    }

    /// A place is free: whoever waits in the pool that has replaced this one may get
    /// it.
    fn pass_on(&self) {
        let after = lock(&self.after).upgrade();
        if let Some(after) = after {
            let outcomes = lock(&after.queue).serve(&after, None, None);
            queue::hand_out(outcomes);
        }
    }

    /// Takes a connection back, for others to use. `login`: of whom somebody waits for it
    /// to be given back.
    ///
    /// # Errors
    /// The connection itself, where nobody is to get it: it is too old, or the pool
    /// retired.
    fn put(self: &Arc<Self>, mut idle: Idle, login: Option<&LoginName>) -> Result<(), Box<Idle>> {
        let (customs, booking) = (idle.connection.customs(), &mut idle.booking);
        if booking.customs_known != customs.len() {
            self.customs.learn(&booking.tenant.id, customs);
            booking.customs_known = customs.len();
        }
        let (account, worker) = (booking.account, idle.connection.worker());
        let own_waits = match self.idle.put(idle) {
            Ok(own_waits) => own_waits,
            Err(idle) => {
                // Its login uses one less all the same.
                if let Some(login) = login {
                    self.has_room(&idle.booking.tenant.id, login);
                }
                return Err(idle);
            }
        };
        if own_waits || login.is_some() || self.waiting.is_some() {
            let freed = Freed { account, login };
            let outcomes = lock(&self.queue).serve(self, Some(worker), Some(freed));
            queue::hand_out(outcomes);
        }
        Ok(())
    }

    /// Gives out no connection from now on: those who wait are told so, idle
    /// connections are closed, and the others once they are given back.
    pub fn retire(&self) {
        let (idle, outcomes) = lock(&self.queue).retire(self);
        self.close(idle);
        queue::hand_out(outcomes);
        self.pass_on();
    }

    /// Replaces all connections: the idle ones are closed now, the others once they
    /// are given back.
    fn renew(self: &Arc<Self>) {
        lock(&self.welcomes).clear();
        self.replace_connections();
    }

    fn replace_connections(self: &Arc<Self>) {
        let (old, outcomes) = lock(&self.queue).renew(self);
        self.close(old);
        queue::hand_out(outcomes);
    }

    /// Closes the idle connections that have been silent for long.
    fn evict_silent(self: &Arc<Self>) {
        let (silent, outcomes) = lock(&self.queue).evict_silent(self);
        self.close(silent);
        queue::hand_out(outcomes);
    }

    /// Gives an idle connection up, which keeps its place until its session has ended.
    fn abandon(self: &Arc<Self>, idle: Idle) {
        let handle = Handle::new(self.clone(), idle.connection.worker());
        Lease::new(idle.connection, Place::new(handle, idle.booking)).abandon();
    }

    /// Says goodbye to connections, without waiting for it.
    fn close(&self, connections: Evicted) {
        for connection in connections {
            closing::spawn(connection, self.server.clone(), None);
        }
    }

    /// The server and the database that the pool connects to.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The server that the pool connects to.
    #[must_use]
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// The pool's settings.
    #[must_use]
    pub fn settings(&self) -> &config::Pool {
        &self.settings
    }

    /// What the server says at login to a client with these settings, if a
    /// login has found it out already.
    #[must_use]
    pub fn welcome(&self, key: &WelcomeKey) -> Option<Arc<Welcome>> {
        lock(&self.welcomes).get(key)
    }

    /// Keeps what the server says at login.
    pub fn remember_welcome(&self, key: WelcomeKey, welcome: Arc<Welcome>) {
        lock(&self.welcomes).insert(key, welcome);
    }

    /// While somebody waits, tells the client that has held its connection for
    /// nothing the longest to give it up, if that is for too long: for
    /// `reclaim_after` where the one who waits is of a tenant that holds fewer, or
    /// only objects are kept. A transaction that idles while nobody but its own tenant
    /// has the harm is given `reclaim_own_after`.
    fn reclaim(&self) {
        let Some(claims) = lock(&self.queue).claims(self) else {
            return;
        };
        let mut resting = self.holders.resting();
        resting.sort_by_key(|(idle, _)| std::cmp::Reverse(*idle));
        let (short, long) = (self.settings.reclaim_after, self.settings.reclaim_own_after);
        let is_useful = |idle: Duration, holder: &Holder| {
            let used = lock(&self.queue).used(self, &holder.tenant);
            match claims.to(&holder.tenant, &holder.login, used) {
                None => false,
                Some(Claim::Equal) if holder.is_within() => idle >= long,
                Some(_) => true,
            }
        };
        let useful = resting
            .into_iter()
            .take_while(|(idle, _)| *idle >= short)
            .find(|(idle, holder)| is_useful(*idle, holder));
        if let Some((_, holder)) = useful {
            holder.tell();
        }
    }

    /// Whether connections of this placement serve one tenant for their life.
    fn is_dedicated(&self, placement: &Placement) -> bool {
        self.settings.share == Share::Tenant
            || matches!(placement.identity, Identity::Tenant(_))
            || matches!(&placement.attachment, Attachment::Setting { seal, .. } if seal.is_readable())
    }

    /// The database that the pool connects to.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.endpoint.database
    }

    /// As whom a connection for a tenant in this place is opened.
    #[must_use]
    pub fn account(&self, placement: &Placement) -> (Arc<str>, Option<Secret>) {
        let flavor = self.flavor(placement);
        (flavor.user, flavor.password)
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
            Identity::Masked(role) => Flavor {
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

/// A panic elsewhere has not left these half-changed: no code of ours runs
/// under the lock that could panic between two changes.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
