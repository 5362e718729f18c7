//! Where a connection comes from.

use super::{AccountId, Evicted, Queue};
use crate::attach::Parked;
use crate::pool::Pool;
use crate::pool::idle::{Booking, Idle};
use crate::server::Connection;
use crate::tenant::SharedTenant;

/// Where a connection may come from.
#[derive(Debug)]
pub(super) enum Source {
    Idle(Connection<Parked>),
    Room,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSource {
    /// The tenant's clients use as many as they may.
    Full,
    /// All are in use.
    Exhausted,
}

impl Queue {
    /// Finds a connection for the tenant: its own, a new one, another tenant's,
    /// or the place of one that cannot serve it, in this order; those that lie with
    /// `worker` before others. It is in the tenant's account then.
    pub(super) fn source(
        &mut self,
        pool: &Pool,
        worker: usize,
        id: AccountId,
        tenant: &SharedTenant,
        dedicated: bool,
        evicted: &mut Evicted,
    ) -> Result<Source, NoSource> {
        if self.is_halted(&tenant.id) {
            return Err(match self.halt.whole {
                true => NoSource::Exhausted,
                false => NoSource::Full,
            });
        }
        let most = self.most_of(tenant);
        while let Some(idle) = pool.idle.take_own(worker, id) {
            // There may be more than there may be now.
            if self.connections_of(id) <= most && idle.fits(tenant, dedicated) {
                return Ok(Source::Idle(idle.into_parts(self.check_after).0));
            }
            self.forget(idle.booking.account);
            evicted.push(idle.connection);
        }
        if self.connections_of(id) >= most {
            return Err(NoSource::Full);
        }
        if let Some(ready) = self.nobodys(pool, worker, tenant, dedicated, evicted) {
            self.credit(id);
            return Ok(Source::Idle(ready));
        }
        if self.open + pool.open_before() < self.size {
            self.open += 1;
            self.credit(id);
            return Ok(Source::Room);
        }
        let customs = pool.customs.of(&tenant.id);
        let looks_new = |idle: &Idle| {
            idle.has_base_of(tenant) && idle.connection.customs().are_among(customs.as_deref())
        };
        // One whose cleanup is under way may keep its next user waiting, and one that
        // does not look as new must be closed.
        let rank = |idle: &Idle| match idle.connection.is_settled() {
            true if looks_new(idle) => 2,
            true => 1,
            false => 0,
        };
        let idle = pool
            .idle
            .take_best(worker, rank)
            .ok_or(NoSource::Exhausted)?;
        self.debit(idle.booking.account);
        self.credit(id);
        let is_shared = !dedicated && !idle.booking.dedicated && looks_new(&idle);
        if is_shared && !idle.is_disturbed() {
            return Ok(Source::Idle(idle.into_parts(self.check_after).0));
        }
        evicted.push(idle.connection);
        Ok(Source::Room)
    }

    /// One that nobody has used yet, if it can be the tenant's.
    fn nobodys(
        &mut self,
        pool: &Pool,
        worker: usize,
        tenant: &SharedTenant,
        dedicated: bool,
        evicted: &mut Evicted,
    ) -> Option<Connection<Parked>> {
        if dedicated || self.nobodys == 0 {
            return None;
        }
        while let Some(idle) = pool.idle.take_own(worker, AccountId::NOBODY) {
            if idle.has_base_of(tenant) && !idle.is_disturbed() {
                self.debit(AccountId::NOBODY);
                return Some(idle.into_parts(self.check_after).0);
            }
            self.forget(AccountId::NOBODY);
            evicted.push(idle.connection);
        }
        None
    }

    /// A booking for one more connection, where there are fewer than `least`: one that any
    /// of the tenants whose clients are there can use, if there is such, else one of the
    /// tenant that has the fewest. It counts as there from now on.
    pub(in crate::pool) fn vacancy(
        &mut self,
        pool: &Pool,
        least: usize,
        guests: &mut dyn Iterator<Item = &SharedTenant>,
    ) -> Option<Booking> {
        let open = self.open + pool.open_before();
        if self.retired || self.halt.whole || open >= least.min(self.size) {
            return None;
        }
        let mut poorest: Option<(usize, &SharedTenant)> = None;
        let mut any = None;
        for tenant in guests {
            if !pool.is_dedicated(&tenant.placement) {
                any = Some(tenant);
                break;
            }
            let account = self.by_tenant.get(&tenant.id);
            let has = account.map_or(0, |id| self.connections_of(*id));
            let may_have = has < self.most_of(tenant) && !self.is_halted(&tenant.id);
            if may_have && poorest.is_none_or(|(fewest, _)| has < fewest) {
                poorest = Some((has, tenant));
            }
        }
        let (account, tenant) = match (any, poorest) {
            (Some(tenant), _) => (AccountId::NOBODY, tenant),
            (None, Some((_, tenant))) => (self.account(tenant), tenant),
            (None, None) => return None,
        };
        self.open += 1;
        self.credit(account);
        Some(self.booking(account, tenant, any.is_none()))
    }
}
