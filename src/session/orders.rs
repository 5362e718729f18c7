//! What a running session is told from outside: to end, or to go on as another
//! than it began.

use crate::guard::Guard;
use crate::pool::{Handle, Pool};
use crate::protocol::ClientError;
use crate::tenant::{LoginLimits, LoginName, Restrictions, SharedTenant, Timeouts};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// What a session is told.
#[derive(Debug)]
pub enum Order {
    /// To end.
    End(Ending, When),
    /// To go on with these from its next transaction on.
    Follow(Membership),
}

/// What follows from a session's tenant.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The tenant, as the directory has it now.
    pub tenant: SharedTenant,
    /// What the login says beside it.
    pub login: LoginLimits,
    /// Where its server connections come from.
    pub pool: Arc<Pool>,
    /// What judges its statements.
    pub guard: Arc<Guard>,
}

impl Membership {
    /// Whether all is the same.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tenant, &other.tenant)
            && self.login == other.login
            && self.serves_like(other)
    }

    /// The pool, as a client of this login has it on this worker.
    #[must_use]
    pub fn handle(&self, login: &LoginName, worker: usize) -> Arc<Handle> {
        let most = self.login.pool_size();
        Handle::of_login(self.pool.clone(), worker, &self.tenant.id, login, most)
    }

    /// What the client cannot lift.
    #[must_use]
    pub fn restrictions(&self) -> Restrictions {
        self.tenant.restrictions(&self.login)
    }

    /// Most time that the session has for what it does.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.tenant.timeouts(&self.login)
    }

    /// Whether the same connections, judged by the same guard, do for both.
    fn serves_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pool, &other.pool) && Arc::ptr_eq(&self.guard, &other.guard)
    }

    /// Whether a client can keep its server connection through the change.
    pub(super) fn keeps_connection(&self, other: &Self) -> bool {
        let (old, new) = (&self.tenant, &other.tenant);
        self.serves_like(other)
            && old.placement == new.placement
            && self.restrictions() == other.restrictions()
    }

    /// Whether `before` lets a session do or reach something that this does not.
    /// Where its connections come from is no such thing.
    pub(super) fn takes_from(&self, before: &Self) -> bool {
        let (old, new) = (&before.tenant, &self.tenant);
        let (may, may_now) = (before.restrictions(), self.restrictions());
        let judged_otherwise = if may == may_now {
            !self.guard.judges_like(&before.guard)
        } else {
            // Restrictions have guards of their own.
            before.guard.options() != self.guard.options()
        };
        judged_otherwise || old.placement != new.placement || tightens(may, may_now)
    }
}

/// Whether something may be done under `old` restrictions and not under `new`.
fn tightens(old: Restrictions, new: Restrictions) -> bool {
    let shorter = |old: Option<Duration>, new: Option<Duration>| {
        new.is_some_and(|new| old.is_none_or(|old| new < old))
    };
    (new.read_only && !old.read_only)
        || shorter(old.statement_timeout, new.statement_timeout)
        || shorter(
            old.idle_in_transaction_timeout,
            new.idle_in_transaction_timeout,
        )
}

/// When a session ends that is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At the end of its transaction, or once its time for that is over.
    AtBoundary,
    /// At once; what it runs is cancelled.
    Now,
}

/// Why a session is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Another session of the login has ended it.
    Peer,
    /// Its tenant has been suspended.
    Suspended,
    /// Its login or its tenant is not in the directory any more.
    Removed,
    /// Clients of its tenant may not come from its address any more.
    Address,
    /// It keeps a server connection that cannot be kept any more.
    Changed,
    /// What it has proved itself with has expired.
    Expired,
    /// It waits for an answer that its server does not owe.
    Unanswered,
    /// An administrator has ended it.
    Killed,
    /// It uses a server that is no longer the primary.
    Superseded,
    /// Its client has done nothing for too long.
    Idle,
    /// Its transaction has taken too long.
    Transaction,
    /// It may see masked data alone, and there is no masking.
    Unmasked,
    /// Its tenant is not served any more: nothing would keep it from others' rows, or
    /// it would see none.
    Unfit,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Peer => "another session of the login has ended it",
            Self::Suspended => "the tenant has been suspended",
            Self::Removed => "the login has been removed",
            Self::Address => "the client's address is not allowed any more",
            Self::Changed => "the tenant's place or limits have changed",
            Self::Expired => "the credential has expired",
            Self::Killed => "an administrator has ended it",
            Self::Unanswered => "it waits for an answer that its server does not owe",
            Self::Idle => "the client has done nothing for too long",
            Self::Transaction => "the transaction has taken too long",
            Self::Superseded => "its server is no longer the primary",
            Self::Unmasked => "its login may see masked data alone, and masking is not set up",
            Self::Unfit => "the role or the seal of its database is not one to serve tenants with",
        })
    }
}

impl Ending {
    /// What the client is told.
    pub(super) fn to_client(self) -> ClientError {
        let (message, hint) = match self {
            Self::Peer => (
                "terminating connection due to administrator command",
                "Another session of the same login has ended it (pg_terminate_backend).",
            ),
            Self::Suspended => (
                "terminating connection: the tenant is suspended",
                "Ask the administrator.",
            ),
            Self::Removed => (
                "terminating connection: the login has been removed",
                "Ask the administrator.",
            ),
            Self::Address => (
                "terminating connection: the client's address is not allowed any more",
                "Ask the administrator.",
            ),
            Self::Changed => (
                "terminating connection: the tenant's configuration has changed",
                "Connect again.",
            ),
            Self::Expired => (
                "terminating connection: the credential of the login has expired",
                "Connect again with a new one.",
            ),
            Self::Killed => (
                "terminating connection due to administrator command",
                "An administrator of the proxy has ended it.",
            ),
            Self::Idle => (
                "terminating connection due to client_idle_timeout",
                "Connect again. The administrator sets the time by client_idle_timeout (of [listen], the isolation, the tenant or the login).",
            ),
            Self::Transaction => (
                "terminating connection due to transaction timeout",
                "Connect again. What the transaction has done is lost. The administrator sets the time by transaction_timeout (of [listen], the isolation, the tenant or the login).",
            ),
            Self::Superseded => (
                "terminating connection: its server is no longer the primary",
                "Connect again. What the transaction has done is lost.",
            ),
            Self::Unmasked => (
                "terminating connection: the login may see masked data alone now, and masking is not set up",
                "Ask the administrator.",
            ),
            Self::Unfit => (
                "terminating connection: the database is not in a state in which pgtenant serves its tenants",
                "This is an error of the proxy's configuration; its log has the reason.",
            ),
            Self::Unanswered => (
                "terminating connection: pgtenant waits for an answer that the server does not owe",
                "This is a fault of pgtenant's or of the network between it and the server: please report it, with pgtenant's log.",
            ),
        };
        let sqlstate = match self {
            Self::Unanswered => "XX000",
            Self::Idle => "57P05",
            Self::Transaction => "25P04",
            _ => "57P01",
        };
        ClientError::fatal(sqlstate, message).hint(hint)
    }
}

/// What has become of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It waits, and no other did.
    First,
    /// It has taken the place of one that the session had not taken.
    InsteadOfAnother,
    /// The session is told to end already.
    Ignored,
}

/// Where a session finds its orders.
#[derive(Default)]
pub(super) struct Inbox {
    /// There is one. Looked at often, and costs nothing.
    told: AtomicBool,
    /// The session is to end at once, or is ending.
    closed: AtomicBool,
    post: Mutex<Post>,
}

#[derive(Default)]
struct Post {
    /// Boxed: there is hardly ever one.
    order: Option<Box<Order>>,
    waker: Option<Waker>,
}

impl Inbox {
    /// The session's task, which each order wakes. It must not change.
    pub(super) fn listen(&self, waker: &Waker) {
        self.lock().waker = Some(waker.clone());
    }

    /// Leaves an order. One to end is replaced only by one to end at once.
    pub(super) fn put(&self, order: Order) -> Put {
        let mut post = self.lock();
        let ends = matches!(post.order.as_deref(), Some(Order::End(..)));
        if ends && !matches!(order, Order::End(_, When::Now)) {
            return Put::Ignored;
        }
        if let Order::End(_, When::Now) = order {
            self.closed.store(true, Ordering::Relaxed);
        }
        let before = post.order.replace(Box::new(order));
        self.told.store(true, Ordering::Release);
        drop(post);
        self.wake();
        match before {
            None => Put::First,
            Some(_) => Put::InsteadOfAnother,
        }
    }

    /// Looks at the order that the session has not taken.
    pub(super) fn peek<T>(&self, look: impl FnOnce(&Order) -> T) -> Option<T> {
        self.lock().order.as_deref().map(look)
    }

    /// Wakes the session's task.
    pub(super) fn wake(&self) {
        let waker = self.lock().waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether there is an order.
    pub(super) fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// Whether the session is to end at once.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Why the session is to end at once, if it is. The order stays.
    pub(super) fn ending_at_once(&self) -> Option<Ending> {
        if !self.is_closed() {
            return None;
        }
        match self.lock().order.as_deref() {
            Some(Order::End(ending, When::Now)) => Some(*ending),
            _ => None,
        }
    }

    /// Takes the order.
    pub(super) fn take(&self) -> Option<Order> {
        let mut post = self.lock();
        self.told.store(false, Ordering::Relaxed);
        post.order.take().map(|order| *order)
    }

    fn lock(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
