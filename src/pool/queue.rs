//! The pool's book-keeping over all workers: how many connections there are, in whose
//! accounts, and who is next. Who finds an idle connection of its tenant's with its
//! own worker, while nobody waits, need not ask here.

mod source;
mod sweep;
mod waiting;

pub use waiting::Seniority;
pub(super) use waiting::{Claim, Freed, NotYet, Outcome, Outcomes, Ticket, hand_out};

use super::TenantView;
use super::halt::Halt;
use super::handle::Handle;
use super::idle::{Booking, Idle};
use super::lease::{Grant, Lease, Place};
use super::quota::Used;
use super::{CheckoutError, Pool};
use crate::attach::{Parked, SessionSettings};
use crate::config;
use crate::server::Connection;
use crate::tenant::{Attachment, LoginName, SharedTenant, TenantId};
use hashbrown::HashMap;
use slab::Slab;
use source::Source;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use waiting::Lines;

/// Connections that the pool keeps no more. They are to be closed after the lock is
/// released.
pub(super) type Evicted = Vec<Connection<Parked>>;

/// Most time for the server's answer to a cleanup.
pub const SETTLE_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Queue {
    size: usize,
    size_per_tenant: usize,
    /// The same for a tenant whose database is its own.
    size_alone: usize,
    waiting_per_tenant: usize,
    wait_timeout: Duration,
    check_after: Duration,
    /// Connections that exist or are being opened.
    open: usize,
    /// Those of them that nobody has used yet, and that any tenant can get.
    nobodys: usize,
    /// One for each tenant that has or awaits a connection; the others are taken out
    /// in the sweep.
    accounts: Slab<Account>,
    by_tenant: HashMap<TenantId, AccountId, foldhash::fast::RandomState>,
    /// Tenants who wait and may have one connection more, in the order in which they
    /// are served.
    turns: VecDeque<AccountId>,
    tickets: u64,
    /// Clients that wait.
    waiters: usize,
    /// It gives nothing out any more.
    retired: bool,
    /// Who waits whatever is free.
    pub(super) halt: Halt,
}

/// A tenant's account. It stays where it is while the tenant has or awaits a
/// connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct AccountId(usize);

impl AccountId {
    /// That of connections which nobody has used yet.
    pub(super) const NOBODY: Self = Self(usize::MAX - 1);

    pub(super) fn number(self) -> usize {
        self.0
    }

    pub(super) fn of_number(number: usize) -> Self {
        Self(number)
    }
}

#[derive(Debug)]
struct Account {
    tenant: TenantId,
    /// Connections that its clients use, and idle ones that they were the last to use.
    connections: usize,
    line: Lines,
    /// Somebody of the tenant waits. Known wherever the tenant's connections are.
    waits: Arc<AtomicBool>,
    /// It is among those whose turn comes.
    in_turn: bool,
}

impl Queue {
    pub(super) fn new(settings: &config::Pool) -> Self {
        Self {
            size: settings.size,
            size_per_tenant: settings.size_per_tenant,
            size_alone: settings.size_alone,
            waiting_per_tenant: settings.waiting_per_tenant,
            wait_timeout: settings.wait_timeout,
            check_after: settings.check_after,
            open: 0,
            nobodys: 0,
            accounts: Slab::new(),
            by_tenant: HashMap::default(),
            turns: VecDeque::new(),
            tickets: 0,
            waiters: 0,
            retired: false,
            halt: Halt::default(),
        }
    }

    /// A connection at once, and those that had to make room for it; or a place
    /// in the queue.
    pub(super) fn take(
        &mut self,
        handle: &Arc<Handle>,
        tenant: &SharedTenant,
        settings: &SessionSettings,
        dedicated: bool,
        seniority: Option<Seniority>,
    ) -> Result<(Grant, Evicted), NotYet> {
        if self.retired {
            return Err(NotYet::Retired);
        }
        let id = self.account(tenant);
        let mut evicted = Evicted::new();
        // Whoever waits already comes first.
        if self.has_waiting(id) || self.has_of_login(id, handle) {
            return Err(self.queue_up(handle, id, tenant, settings, dedicated, seniority));
        }
        let quota = handle.quota();
        let used = quota.take().or_else(|| {
            // From here on who gives one of the login's back looks here.
            quota.set_waits(true);
            let used = quota.take();
            quota.set_waits(used.is_none());
            used
        });
        let Some(used) = used else {
            return Err(self.queue_up(handle, id, tenant, settings, dedicated, seniority));
        };
        let (pool, worker) = (handle.pool(), handle.worker());
        if let Ok(source) = self.source(pool, worker, id, tenant, dedicated, &mut evicted) {
            return Ok((
                self.grant(handle, id, tenant, (dedicated, used), source),
                evicted,
            ));
        }
        // From here on who gives one back asks who waits, without a gap until the client
        // is in the queue. One that was given back before is found now.
        pool.waiting.add(1);
        self.tell_waits(id, true);
        let source = self.source(pool, worker, id, tenant, dedicated, &mut evicted);
        let taken = match source {
            Ok(source) => Ok((
                self.grant(handle, id, tenant, (dedicated, used), source),
                evicted,
            )),
            Err(_) => {
                pool.close(evicted);
                drop(used);
                Err(self.queue_up(handle, id, tenant, settings, dedicated, seniority))
            }
        };
        self.tell_waits(id, self.has_waiting(id));
        pool.waiting.sub(1);
        taken
    }

    /// Notes that a connection is gone; returns what others get.
    pub(super) fn free(&mut self, pool: &Arc<Pool>, freed: Freed<'_>) -> Outcomes {
        self.forget(freed.account);
        self.serve(pool, None, Some(freed))
    }

    /// The login may have one connection more than it could.
    pub(super) fn has_room(
        &mut self,
        pool: &Arc<Pool>,
        tenant: &TenantId,
        login: &LoginName,
    ) -> Outcomes {
        let Some(account) = self.by_tenant.get(tenant).copied() else {
            return Outcomes::new();
        };
        let login = Some(login);
        self.serve(pool, None, Some(Freed { account, login }))
    }

    /// Gives nothing out any more. Returns the idle connections, and what those get who
    /// waited.
    pub(super) fn retire(&mut self, pool: &Pool) -> (Evicted, Outcomes) {
        self.retired = true;
        let idle = pool.idle.retire();
        for idle in &idle {
            self.forget(idle.booking.account);
        }
        self.waiters = 0;
        let accounts = self.accounts.iter_mut();
        let told = accounts
            .flat_map(|(_, account)| account.line.drain())
            .map(|waiter| (waiter, Err(CheckoutError::Retired)))
            .collect();
        self.drop_turns(pool);
        (idle.into_iter().map(|idle| idle.connection).collect(), told)
    }

    /// How many connections there are.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// How many connections there are, the tenants that have or await one, and whether
    /// nothing is given out any more.
    pub(super) fn view(&self) -> (usize, Vec<TenantView>, bool) {
        let accounts = self.accounts.iter().map(|(_, account)| TenantView {
            tenant: account.tenant.clone(),
            connections: account.connections,
            waiting: account.line.len(),
            longest: account.line.longest_wait(),
        });
        (self.open, accounts.collect(), self.retired)
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
            connections: 0,
            line: Lines::default(),
            waits: Arc::new(AtomicBool::new(self.is_halted(&tenant.id))),
            in_turn: false,
        }));
        self.by_tenant.insert(tenant.id.clone(), id);
        id
    }

    /// Most connections that the tenant may have.
    fn most_of(&self, tenant: &SharedTenant) -> usize {
        let default = match tenant.placement.attachment {
            Attachment::Database => self.size_alone,
            Attachment::Setting { .. } | Attachment::Schema { .. } => self.size_per_tenant,
        };
        tenant.limits.pool_size.unwrap_or(default)
    }

    /// Says where the tenant's connections are whether somebody of it waits.
    fn tell_waits(&self, id: AccountId, waits: bool) {
        if let Some(account) = self.accounts.get(id.0) {
            let waits = waits || self.halt.tenants.contains(&account.tenant);
            account.waits.store(waits, Ordering::Relaxed);
        }
    }

    fn connections_of(&self, id: AccountId) -> usize {
        self.accounts
            .get(id.0)
            .map_or(0, |account| account.connections)
    }

    /// One of the connections is the account's from now on.
    fn credit(&mut self, id: AccountId) {
        if id == AccountId::NOBODY {
            self.nobodys += 1;
        }
        if let Some(account) = self.accounts.get_mut(id.0) {
            account.connections += 1;
        }
    }

    /// The same, no longer.
    fn debit(&mut self, id: AccountId) {
        if id == AccountId::NOBODY {
            self.nobodys -= 1;
        }
        if let Some(account) = self.accounts.get_mut(id.0) {
            account.connections -= 1;
        }
    }

    /// A connection of the account's is gone.
    fn forget(&mut self, id: AccountId) {
        self.debit(id);
        self.open -= 1;
    }

    /// The same, of idle ones.
    fn forget_all(&mut self, idle: Vec<Idle>) -> Evicted {
        let gone = idle.into_iter().map(|idle| {
            self.forget(idle.booking.account);
            idle.connection
        });
        gone.collect()
    }

    /// What a connection in this account is booked by.
    fn booking(&self, account: AccountId, tenant: &SharedTenant, dedicated: bool) -> Booking {
        let waits = self.accounts.get(account.0).map(|a| a.waits.clone());
        Booking {
            account,
            tenant: tenant.clone(),
            dedicated,
            customs_known: 0,
            waits: waits.unwrap_or_default(),
        }
    }

    fn grant(
        &self,
        handle: &Arc<Handle>,
        account: AccountId,
        tenant: &SharedTenant,
        (dedicated, used): (bool, Used),
        source: Source,
    ) -> Grant {
        let booking = self.booking(account, tenant, dedicated);
        handle.remember(account);
        let place = Place::of_login(handle.clone(), booking, used);
        match source {
            Source::Idle(connection) => Grant::Idle(Lease::new(connection, place)),
            Source::Room => Grant::Room(place),
        }
    }
}
