//! The pool's book-keeping: which connections are idle, who holds how many,
//! and who is next.

use super::{Pool, Slot};
use crate::binding::Bound;
use crate::server::Connection;
use crate::settings;
use crate::tenant::{SharedTenant, TenantId};
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// What a client gets.
#[derive(Debug)]
pub(super) enum Grant {
    /// A connection that was idle.
    Idle(Box<Connection<Bound>>, Slot),
    /// The right to open one.
    Open(Slot),
}

/// Why a client gets nothing at once.
#[derive(Debug)]
pub(super) enum NotYet {
    /// It has a place in the queue.
    Waiting(Waiting),
    /// The queue of its tenant is full.
    Crowded,
    /// The pool gives nothing out any more.
    Retired,
}

/// A client's place in the queue.
#[derive(Debug)]
pub(super) struct Waiting {
    tenant: TenantId,
    ticket: u64,
    pub(super) grant: oneshot::Receiver<Grant>,
}

/// Grants on their way to those who waited for them. They must be handed out
/// after the lock is released: one that nobody takes any more comes back.
pub(super) type Grants = Vec<(oneshot::Sender<Grant>, Grant)>;

/// Hands grants to those who waited; what a client that has gone does not take
/// goes back to the pool.
pub(super) fn hand_out(grants: Grants) {
    for (waiter, grant) in grants {
        if let Err(Grant::Idle(connection, slot)) = waiter.send(grant) {
            slot.give_back(*connection);
        }
    }
}

#[derive(Debug)]
pub(super) struct Shelf {
    size: usize,
    size_per_tenant: usize,
    waiting_per_tenant: usize,
    /// Connections that exist or are being opened.
    open: usize,
    /// Idle ones, the longest idle first.
    idle: VecDeque<Idle>,
    /// Connections in use, by tenant; tenants with none are taken out in the
    /// sweep.
    held: HashMap<TenantId, usize, foldhash::fast::RandomState>,
    /// Those who wait, by tenant, the first first.
    queues: HashMap<TenantId, VecDeque<Waiter>, foldhash::fast::RandomState>,
    /// Tenants who wait, in the order in which they are served.
    turns: VecDeque<TenantId>,
    tickets: u64,
    /// It gives nothing out any more.
    retired: bool,
}

#[derive(Debug)]
struct Idle {
    connection: Connection<Bound>,
    /// Whether it can serve its tenant alone.
    dedicated: bool,
    /// The first sweep that has seen it idle.
    since: Option<Instant>,
}

impl Idle {
    fn is_of(&self, tenant: &SharedTenant) -> bool {
        let last = self.connection.tenant();
        Arc::ptr_eq(last, tenant) || last.id == tenant.id
    }

    /// Whether it can be the tenant's. After a change of the directory it may have
    /// been opened as another role, with other settings to fall back to, or for
    /// others too.
    fn fits(&self, tenant: &SharedTenant, dedicated: bool) -> bool {
        let last = self.connection.tenant();
        let same_kind =
            || self.dedicated == dedicated && (!dedicated || last.placement == tenant.placement);
        !self.connection.is_disturbed() && (Arc::ptr_eq(last, tenant) || same_kind())
    }
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    tenant: SharedTenant,
    dedicated: bool,
    grant: oneshot::Sender<Grant>,
}

/// Where a connection may come from.
enum Source {
    Idle(Connection<Bound>),
    Room,
}

impl Shelf {
    pub(super) fn new(settings: &settings::Pool) -> Self {
        Self {
            size: settings.size,
            size_per_tenant: settings.size_per_tenant,
            waiting_per_tenant: settings.waiting_per_tenant,
            open: 0,
            idle: VecDeque::new(),
            held: HashMap::default(),
            queues: HashMap::default(),
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
    ) -> Option<(Connection<Bound>, Slot)> {
        let at = self.idle.iter().rposition(|idle| idle.is_of(tenant))?;
        let idle = self.idle.get(at)?;
        if idle.connection.is_disturbed() || !Arc::ptr_eq(idle.connection.tenant(), tenant) {
            return None;
        }
        // Whoever waits already comes first.
        if !self.queues.is_empty() && self.queues.contains_key(&tenant.id) {
            return None;
        }
        let most = self.most_of(tenant);
        match self.held.get_mut(&tenant.id) {
            Some(held) if *held >= most => return None,
            Some(held) => *held += 1,
            None if most == 0 => return None,
            None => {
                self.held.insert(tenant.id.clone(), 1);
            }
        }
        let idle = self.idle.remove(at)?;
        Some((idle.connection, Slot::new(pool, tenant)))
    }

    /// Most connections that the tenant may hold.
    fn most_of(&self, tenant: &SharedTenant) -> usize {
        tenant.limits.pool_size.unwrap_or(self.size_per_tenant)
    }

    /// A connection at once, and those that had to make room for it; or a place
    /// in the queue.
    pub(super) fn take(
        &mut self,
        pool: &Arc<Pool>,
        tenant: &SharedTenant,
        dedicated: bool,
    ) -> Result<(Grant, Vec<Connection<Bound>>), NotYet> {
        if self.retired {
            return Err(NotYet::Retired);
        }
        let mut evicted = Vec::new();
        // Whoever waits already comes first.
        if !self.queues.contains_key(&tenant.id)
            && let Some(source) = self.source(tenant, dedicated, &mut evicted)
        {
            return Ok((self.grant(pool, tenant, source), evicted));
        }
        let waiting = self.queues.get(&tenant.id).map_or(0, VecDeque::len);
        if waiting >= self.waiting_per_tenant {
            return Err(NotYet::Crowded);
        }
        self.tickets += 1;
        let ticket = self.tickets;
        let (sender, grant) = oneshot::channel();
        let waiter = Waiter {
            ticket,
            tenant: tenant.clone(),
            dedicated,
            grant: sender,
        };
        let queue = self.queues.entry(tenant.id.clone()).or_default();
        if queue.is_empty() {
            self.turns.push_back(tenant.id.clone());
        }
        queue.push_back(waiter);
        Err(NotYet::Waiting(Waiting {
            tenant: tenant.id.clone(),
            ticket,
            grant,
        }))
    }

    /// Takes a connection back from `tenant`; returns what others get now, or
    /// the connection where nobody is to get it.
    pub(super) fn put(
        &mut self,
        pool: &Arc<Pool>,
        tenant: &SharedTenant,
        connection: Connection<Bound>,
        dedicated: bool,
    ) -> Result<Grants, Box<Connection<Bound>>> {
        self.release(&tenant.id);
        if self.retired {
            self.open -= 1;
            return Err(Box::new(connection));
        }
        self.idle.push_back(Idle {
            connection,
            dedicated,
            since: None,
        });
        Ok(self.serve(pool))
    }

    /// Notes that a connection of `tenant`'s is gone; returns what others get.
    pub(super) fn free(&mut self, pool: &Arc<Pool>, tenant: &SharedTenant) -> Grants {
        self.release(&tenant.id);
        self.open -= 1;
        self.serve(pool)
    }

    /// Gives nothing out any more. Returns the idle connections, and those who
    /// waited: dropping them tells them.
    pub(super) fn retire(&mut self) -> (Vec<Connection<Bound>>, Vec<impl Drop + use<>>) {
        self.retired = true;
        self.open -= self.idle.len();
        let idle = std::mem::take(&mut self.idle).into_iter();
        self.turns.clear();
        let queues = std::mem::take(&mut self.queues).into_values();
        let waiters = queues.flatten().map(|waiter| waiter.grant).collect();
        (idle.map(|idle| idle.connection).collect(), waiters)
    }

    /// Whether no connection is in use or idle.
    pub(super) fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// Whether somebody waits who would get a connection that `tenant` gave
    /// back.
    pub(super) fn is_awaited(&self, tenant: &TenantId) -> bool {
        let has_room = |id: &TenantId| {
            let first = self.queues.get(id).and_then(VecDeque::front);
            let most = first.map_or(self.size_per_tenant, |first| self.most_of(&first.tenant));
            id == tenant || self.held.get(id).is_none_or(|held| *held < most)
        };
        self.turns.iter().any(has_room)
    }

    /// Takes a client out of the queue.
    pub(super) fn leave(&mut self, waiting: &Waiting) {
        if let Some(queue) = self.queues.get_mut(&waiting.tenant) {
            queue.retain(|waiter| waiter.ticket != waiting.ticket);
            self.drop_empty_queue(&waiting.tenant);
        }
    }

    /// Takes out connections that have been idle for longer than `limit`, or
    /// that their server has closed.
    pub(super) fn sweep(&mut self, limit: Duration) -> Vec<Connection<Bound>> {
        let now = Instant::now();
        let mut stale = Vec::new();
        for mut idle in std::mem::take(&mut self.idle) {
            let since = *idle.since.get_or_insert(now);
            if now.duration_since(since) >= limit || idle.connection.is_disturbed() {
                stale.push(idle.connection);
            } else {
                self.idle.push_back(idle);
            }
        }
        self.open -= stale.len();
        self.held.retain(|_, held| *held > 0);
        stale
    }

    fn release(&mut self, tenant: &TenantId) {
        if let Some(held) = self.held.get_mut(tenant) {
            *held -= 1;
        }
    }

    fn grant(&mut self, pool: &Arc<Pool>, tenant: &SharedTenant, source: Source) -> Grant {
        let slot = self.slot(pool, tenant);
        match source {
            Source::Idle(connection) => Grant::Idle(Box::new(connection), slot),
            Source::Room => Grant::Open(slot),
        }
    }

    fn slot(&mut self, pool: &Arc<Pool>, tenant: &SharedTenant) -> Slot {
        match self.held.get_mut(&tenant.id) {
            Some(held) => *held += 1,
            None => {
                self.held.insert(tenant.id.clone(), 1);
            }
        }
        Slot::new(pool, tenant)
    }

    /// Gives what there is to those who wait, one tenant after another.
    fn serve(&mut self, pool: &Arc<Pool>) -> Grants {
        let mut grants = Grants::new();
        if self.turns.is_empty() {
            return grants;
        }
        let mut evicted = Vec::new();
        let mut refused = 0;
        while refused < self.turns.len() {
            let Some(id) = self.turns.pop_front() else {
                break;
            };
            let first = self.queues.get(&id).and_then(VecDeque::front);
            let Some((tenant, dedicated)) = first.map(|w| (w.tenant.clone(), w.dedicated)) else {
                self.queues.remove(&id);
                continue;
            };
            self.turns.push_back(id.clone());
            let Some(source) = self.source(&tenant, dedicated, &mut evicted) else {
                refused += 1;
                continue;
            };
            refused = 0;
            let grant = self.grant(pool, &tenant, source);
            let queue = self.queues.get_mut(&id);
            if let Some(waiter) = queue.and_then(VecDeque::pop_front) {
                grants.push((waiter.grant, grant));
            }
            self.drop_empty_queue(&id);
        }
        super::retire(evicted);
        grants
    }

    fn drop_empty_queue(&mut self, tenant: &TenantId) {
        if self.queues.get(tenant).is_some_and(VecDeque::is_empty) {
            self.queues.remove(tenant);
            self.turns.retain(|id| id != tenant);
        }
    }

    /// Finds a connection for the tenant: its own, a new one, another tenant's,
    /// or the place of one that cannot serve it, in this order.
    fn source(
        &mut self,
        tenant: &SharedTenant,
        dedicated: bool,
        evicted: &mut Vec<Connection<Bound>>,
    ) -> Option<Source> {
        if self
            .held
            .get(&tenant.id)
            .is_some_and(|held| *held >= self.most_of(tenant))
        {
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
                return Some(Source::Idle(idle.connection));
            }
            self.open -= 1;
            evicted.push(idle.connection);
        }
        if self.open < self.size {
            self.open += 1;
            return Some(Source::Room);
        }
        let idle = self.idle.pop_front()?;
        if !dedicated && !idle.dedicated && !idle.connection.is_disturbed() {
            return Some(Source::Idle(idle.connection));
        }
        evicted.push(idle.connection);
        Some(Source::Room)
    }
}
