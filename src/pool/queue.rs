//! The pool's book-keeping: which connections are idle, who holds how many,
//! and who is next.

mod age;
mod idle;
mod source;
mod sweep;
mod waiting;

pub(super) use waiting::{Claim, NotYet, Outcome, Outcomes, Ticket, hand_out};

use super::Pool;
use super::lease::{Grant, Lease, Place};
use crate::attach::{Parked, SessionSettings};
use crate::config;
use crate::server::{Connection, Customs};
use crate::tenant::{Attachment, SharedTenant, TenantId};
use age::Age;
use hashbrown::HashMap;
use idle::Idle;
use slab::Slab;
use source::Source;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use waiting::Waiter;

/// Connections that the pool keeps no more. They are to be closed after the lock is
/// released.
pub(super) type Evicted = Vec<Connection<Parked>>;

/// Most time for the server's answer to a cleanup.
pub const SETTLE_LIMIT: Duration = Duration::from_secs(2);

/// Most tenants of which custom settings are kept.
const MOST_WITH_CUSTOMS: usize = 100_000;

#[derive(Debug)]
pub(super) struct Queue {
    size: usize,
    size_per_tenant: usize,
    /// The same for a tenant whose database is its own.
    size_alone: usize,
    waiting_per_tenant: usize,
    wait_timeout: Duration,
    check_after: Duration,
    age: Age,
    /// Connections that exist or are being opened.
    open: usize,
    /// Idle ones, the longest idle first.
    idle: VecDeque<Idle>,
    /// One for each tenant that holds or awaits a connection, or has had one
    /// that is idle; the others are taken out in the sweep.
    accounts: Slab<Account>,
    by_tenant: HashMap<TenantId, AccountId, foldhash::fast::RandomState>,
    /// Custom settings that tenants have set.
    customs: HashMap<TenantId, Customs, foldhash::fast::RandomState>,
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

impl Queue {
    pub(super) fn new(settings: &config::Pool) -> Self {
        Self {
            size: settings.size,
            size_per_tenant: settings.size_per_tenant,
            size_alone: settings.size_alone,
            age: Age::new(settings.connection_lifetime),
            waiting_per_tenant: settings.waiting_per_tenant,
            wait_timeout: settings.wait_timeout,
            check_after: settings.check_after,
            open: 0,
            idle: VecDeque::new(),
            accounts: Slab::new(),
            by_tenant: HashMap::default(),
            customs: HashMap::default(),
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
        Err(self.queue_up(id, tenant, settings, dedicated))
    }

    /// Takes a connection back from its `tenant`; returns what others get now, or
    /// the connection where nobody is to get it: it is too old, or the pool retired.
    pub(super) fn put(
        &mut self,
        pool: &Arc<Pool>,
        account: AccountId,
        tenant: SharedTenant,
        connection: Connection<Parked>,
        dedicated: bool,
    ) -> Result<Outcomes, Connection<Parked>> {
        if self.retired || self.age.is_over(&connection) {
            return Err(connection);
        }
        self.learn_customs(&tenant, connection.customs());
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

    /// Takes note of what a connection knows that its tenant gives back: all of it is
    /// the tenant's own, or was known to it before.
    fn learn_customs(&mut self, tenant: &SharedTenant, customs: &Customs) {
        if customs.is_empty() {
            return;
        }
        if let Some(known) = self.customs.get_mut(&tenant.id) {
            known.extend(customs);
            return;
        }
        if self.customs.len() >= MOST_WITH_CUSTOMS {
            // They are learnt again.
            self.customs.clear();
        }
        self.customs.insert(tenant.id.clone(), customs.clone());
    }

    /// Most connections that the tenant may hold.
    fn most_of(&self, tenant: &SharedTenant) -> usize {
        let default = match tenant.placement.attachment {
            Attachment::Database => self.size_alone,
            Attachment::Setting { .. } | Attachment::Schema { .. } => self.size_per_tenant,
        };
        tenant.limits.pool_size.unwrap_or(default)
    }

    /// Whether the tenant holds as many connections as it may.
    fn is_full(&self, id: AccountId, tenant: &SharedTenant) -> bool {
        let account = self.accounts.get(id.0);
        account.is_none_or(|account| account.held >= self.most_of(tenant))
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
}
