//! The pool's book-keeping: which connections are idle, who holds how many,
//! and who is next.

mod idle;
mod sweep;

use super::lease::{Grant, Lease, Place};
use super::{CheckoutError, Pool};
use crate::attach::{Parked, SessionSettings};
use crate::config;
use crate::server::Connection;
use crate::tenant::{SharedTenant, TenantId};
use hashbrown::HashMap;
use idle::Idle;
use slab::Slab;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Why a client gets nothing at once.
#[derive(Debug)]
pub(super) enum NotYet {
    /// It has a place in the queue.
    Queued(Ticket),
    /// The queue of its tenant is full.
    Crowded,
    /// The pool gives nothing out any more.
    Retired,
}

/// A client's place in the queue.
#[derive(Debug)]
pub(super) struct Ticket {
    account: AccountId,
    number: u64,
    pub(super) outcome: oneshot::Receiver<Outcome>,
}

/// What comes of waiting.
pub(super) type Outcome = Result<Grant, CheckoutError>;

/// Outcomes on their way to those who waited for them. They must be handed out
/// after the lock is released: one that nobody takes any more comes back. Most
/// often there is one.
pub(super) type Outcomes = SmallVec<[(Waiter, Outcome); 1]>;

/// Connections that the pool keeps no more. They are to be closed after the lock is
/// released.
pub(super) type Evicted = Vec<Connection<Parked>>;

/// Most time for the server's answer to a cleanup.
pub const SETTLE_LIMIT: Duration = Duration::from_secs(2);

/// Hands outcomes to those who waited; what a client that has gone does not take
/// goes back to the pool.
pub(super) fn hand_out(outcomes: Outcomes) {
    for (waiter, mut outcome) in outcomes {
        if let Ok(Grant::Idle(lease)) = &mut outcome {
            // While the next client's task is woken.
            lease.begin_cleaning(&waiter.settings);
        }
        if let Err(Ok(Grant::Idle(lease))) = waiter.outcome.send(outcome) {
            lease.give_back();
        }
    }
}

#[derive(Debug)]
pub(super) struct Queue {
    size: usize,
    size_per_tenant: usize,
    waiting_per_tenant: usize,
    wait_timeout: Duration,
    check_after: Duration,
    /// Connections that exist or are being opened.
    open: usize,
    /// Idle ones, the longest idle first.
    idle: VecDeque<Idle>,
    /// One for each tenant that holds or awaits a connection, or has had one
    /// that is idle; the others are taken out in the sweep.
    accounts: Slab<Account>,
    by_tenant: HashMap<TenantId, AccountId, foldhash::fast::RandomState>,
    /// Tenants who wait, in the order in which they are served.
    turns: VecDeque<AccountId>,
    tickets: u64,
    /// It gives nothing out any more.
    retired: bool,
}

/// A tenant's account. It stays where it is while a connection is held, awaited
/// or idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct AccountId(usize);

#[derive(Debug)]
struct Account {
    tenant: TenantId,
    /// Connections in use.
    held: usize,
    /// Those who wait, the first first.
    queue: VecDeque<Waiter>,
}

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct Waiter {
    number: u64,
    tenant: SharedTenant,
    /// Its own, for a connection of another tenant's.
    settings: SessionSettings,
    dedicated: bool,
    /// When it has waited for too long.
    deadline: Instant,
    outcome: oneshot::Sender<Outcome>,
}

/// Where a connection may come from.
enum Source {
    Idle(Connection<Parked>),
    Room,
}

impl Queue {
    pub(super) fn new(settings: &config::Pool) -> Self {
        Self {
            size: settings.size,
            size_per_tenant: settings.size_per_tenant,
            waiting_per_tenant: settings.waiting_per_tenant,
            wait_timeout: settings.wait_timeout,
            check_after: settings.check_after,
            open: 0,
            idle: VecDeque::new(),
            accounts: Slab::new(),
            by_tenant: HashMap::default(),
            turns: VecDeque::new(),
            tickets: 0,
            retired: false,
        }
    }

    /// An idle connection of the tenant's own, unless others of it wait.
    pub(super) fn take_idle(
        &mut self,
        pool: &Arc<Pool>,
        tenant: &SharedTenant,
    ) -> Option<Lease<Parked>> {
        let at = self.idle.iter().rposition(|idle| idle.is_of(tenant))?;
        let idle = self.idle.get(at)?;
        if idle.is_disturbed() || !Arc::ptr_eq(&idle.tenant, tenant) {
            return None;
        }
        let id = idle.account;
        // Whoever waits already comes first.
        if self.is_full(id, tenant) || self.has_waiting(id) {
            return None;
        }
        let idle = self.idle.remove(at)?;
        let place = self.place(pool, id, tenant, idle.dedicated);
        Some(Lease::new(idle.into_connection(self.check_after), place))
    }

    /// A connection at once, and those that had to make room for it; or a place
    /// in the queue.
    pub(super) fn take(
        &mut self,
        pool: &Arc<Pool>,
        tenant: &SharedTenant,
        settings: &SessionSettings,
        dedicated: bool,
    ) -> Result<(Grant, Evicted), NotYet> {
        if self.retired {
            return Err(NotYet::Retired);
        }
        let id = self.account(tenant);
        let mut evicted = Evicted::new();
        // Whoever waits already comes first.
        if !self.has_waiting(id)
            && let Some(source) = self.source(pool, id, tenant, dedicated, &mut evicted)
        {
            return Ok((self.grant(pool, id, tenant, dedicated, source), evicted));
        }
        let Some(account) = self.accounts.get_mut(id.0) else {
            return Err(NotYet::Retired);
        };
        if account.queue.len() >= self.waiting_per_tenant {
            return Err(NotYet::Crowded);
        }
        self.tickets += 1;
        let number = self.tickets;
        let (sender, outcome) = oneshot::channel();
        if account.queue.is_empty() {
            self.turns.push_back(id);
        }
        account.queue.push_back(Waiter {
            number,
            tenant: tenant.clone(),
            settings: settings.clone(),
            dedicated,
            deadline: Instant::now() + self.wait_timeout,
            outcome: sender,
        });
        Err(NotYet::Queued(Ticket {
            account: id,
            number,
            outcome,
        }))
    }

    /// Takes a connection back from its `tenant`; returns what others get now, or
    /// the connection where nobody is to get it.
    pub(super) fn put(
        &mut self,
        pool: &Arc<Pool>,
        account: AccountId,
        tenant: SharedTenant,
        connection: Connection<Parked>,
        dedicated: bool,
    ) -> Result<Outcomes, Connection<Parked>> {
        if self.retired {
            return Err(connection);
        }
        self.release(account);
        self.idle.push_back(Idle {
            connection,
            tenant,
            account,
            dedicated,
            since: None,
        });
        Ok(self.serve(pool))
    }

    /// Notes that a connection is gone; returns what others get.
    pub(super) fn free(&mut self, pool: &Arc<Pool>, account: AccountId) -> Outcomes {
        self.release(account);
        self.open -= 1;
        self.serve(pool)
    }

    /// Gives nothing out any more. Returns the idle connections, and those who
    /// waited: dropping them tells them.
    pub(super) fn retire(&mut self) -> (Evicted, Vec<impl Drop + use<>>) {
        self.retired = true;
        self.open -= self.idle.len();
        let idle = std::mem::take(&mut self.idle).into_iter();
        self.turns.clear();
        let accounts = self.accounts.iter_mut();
        let waiters = accounts.flat_map(|(_, account)| account.queue.drain(..));
        let waiters = waiters.map(|waiter| waiter.outcome).collect();
        (idle.map(|idle| idle.connection).collect(), waiters)
    }

    /// How many connections there are.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Whether no connection is in use or idle.
    pub(super) fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// Whether somebody waits who would get a connection that `tenant` gave
    /// back.
    pub(super) fn is_awaited(&self, tenant: &TenantId) -> bool {
        let mut waiting = self.turns.iter().filter_map(|id| self.accounts.get(id.0));
        waiting.any(|account| {
            let first = account.queue.front();
            account.tenant == *tenant
                || first.is_some_and(|first| account.held < self.most_of(&first.tenant))
        })
    }

    /// Takes a client out of the queue.
    pub(super) fn leave(&mut self, ticket: &Ticket) {
        let id = ticket.account;
        if let Some(account) = self.accounts.get_mut(id.0) {
            let queue = &mut account.queue;
            let before = queue.len();
            queue.retain(|waiter| waiter.number != ticket.number);
            if queue.is_empty() && before > 0 {
                self.turns.retain(|turn| *turn != id);
            }
        }
    }

    /// The tenant's account, a new one if it has none.
    fn account(&mut self, tenant: &SharedTenant) -> AccountId {
        if let Some(id) = self.by_tenant.get(&tenant.id) {
            return *id;
        }
        let id = AccountId(self.accounts.insert(Account {
            tenant: tenant.id.clone(),
            held: 0,
            queue: VecDeque::new(),
        }));
        self.by_tenant.insert(tenant.id.clone(), id);
        id
    }

    /// Most connections that the tenant may hold.
    fn most_of(&self, tenant: &SharedTenant) -> usize {
        tenant.limits.pool_size.unwrap_or(self.size_per_tenant)
    }

    /// Whether the tenant holds as many connections as it may.
    fn is_full(&self, id: AccountId, tenant: &SharedTenant) -> bool {
        let account = self.accounts.get(id.0);
        account.is_none_or(|account| account.held >= self.most_of(tenant))
    }

    fn has_waiting(&self, id: AccountId) -> bool {
        let account = self.accounts.get(id.0);
        account.is_some_and(|account| !account.queue.is_empty())
    }

    fn release(&mut self, id: AccountId) {
        if let Some(account) = self.accounts.get_mut(id.0) {
            account.held -= 1;
        }
    }

    fn grant(
        &mut self,
        pool: &Arc<Pool>,
        id: AccountId,
        tenant: &SharedTenant,
        dedicated: bool,
        source: Source,
    ) -> Grant {
        let place = self.place(pool, id, tenant, dedicated);
        match source {
            Source::Idle(connection) => Grant::Idle(Lease::new(connection, place)),
            Source::Room => Grant::Room(place),
        }
    }

    fn place(
        &mut self,
        pool: &Arc<Pool>,
        id: AccountId,
        tenant: &SharedTenant,
        dedicated: bool,
    ) -> Place {
        if let Some(account) = self.accounts.get_mut(id.0) {
            account.held += 1;
        }
        Place::new(pool.clone(), id, tenant.clone(), dedicated)
    }

    /// Gives what there is to those who wait, one tenant after another.
    pub(super) fn serve(&mut self, pool: &Arc<Pool>) -> Outcomes {
        let mut outcomes = Outcomes::new();
        if self.turns.is_empty() {
            return outcomes;
        }
        let mut evicted = Evicted::new();
        let mut refused = 0;
        while refused < self.turns.len() {
            let Some(id) = self.turns.pop_front() else {
                break;
            };
            let first = self.accounts.get(id.0).and_then(|a| a.queue.front());
            let Some((tenant, dedicated)) = first.map(|w| (w.tenant.clone(), w.dedicated)) else {
                continue;
            };
            let Some(source) = self.source(pool, id, &tenant, dedicated, &mut evicted) else {
                self.turns.push_back(id);
                refused += 1;
                continue;
            };
            refused = 0;
            let queue = self.accounts.get_mut(id.0).map(|a| &mut a.queue);
            let Some((waiter, more)) = queue.and_then(|q| Some((q.pop_front()?, !q.is_empty())))
            else {
                continue;
            };
            if more {
                self.turns.push_back(id);
            }
            let grant = self.grant(pool, id, &tenant, dedicated, source);
            outcomes.push((waiter, Ok(grant)));
        }
        pool.close(evicted);
        outcomes
    }

    /// Finds a connection for the tenant: its own, a new one, another tenant's,
    /// or the place of one that cannot serve it, in this order.
    fn source(
        &mut self,
        pool: &Pool,
        id: AccountId,
        tenant: &SharedTenant,
        dedicated: bool,
        evicted: &mut Evicted,
    ) -> Option<Source> {
        if self.is_full(id, tenant) {
            return None;
        }
        // The one that was used last: its caches are the warmest, and the
        // others grow old enough to be closed.
        while let Some(idle) = self
            .idle
            .iter()
            .rposition(|idle| idle.is_of(tenant))
            .and_then(|at| self.idle.remove(at))
        {
            if idle.fits(tenant, dedicated) {
                return Some(Source::Idle(idle.into_connection(self.check_after)));
            }
            self.open -= 1;
            evicted.push(idle.connection);
        }
        if self.open + pool.open_before() < self.size {
            self.open += 1;
            return Some(Source::Room);
        }
        // One whose cleanup is under way may keep its next user waiting.
        let at = self
            .idle
            .iter()
            .position(|idle| idle.connection.is_settled());
        let idle = self.idle.remove(at.unwrap_or(0))?;
        if !dedicated && !idle.dedicated && !idle.is_disturbed() {
            return Some(Source::Idle(idle.into_connection(self.check_after)));
        }
        evicted.push(idle.connection);
        Some(Source::Room)
    }
}
