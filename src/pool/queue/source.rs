//! Where a connection comes from.

use super::idle::Idle;
use super::{AccountId, Evicted, Queue};
use crate::attach::Parked;
use crate::pool::Pool;
use crate::server::Connection;
use crate::tenant::SharedTenant;

/// Where a connection may come from.
pub(super) enum Source {
    Idle(Connection<Parked>),
    Room,
}

impl Queue {
    /// Finds a connection for the tenant: its own, a new one, another tenant's,
    /// or the place of one that cannot serve it, in this order.
    pub(super) fn source(
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
        let customs = self.customs.get(&tenant.id);
        let looks_new =
            |idle: &Idle| idle.has_base_of(tenant) && idle.connection.customs().are_among(customs);
        // One whose cleanup is under way may keep its next user waiting, and one that
        // does not look as new must be closed.
        let settled = |idle: &Idle| idle.connection.is_settled();
        let best = |idle: &Idle| settled(idle) && looks_new(idle);
        let at = self.idle.iter().position(best);
        let at = at.or_else(|| self.idle.iter().position(settled));
        let at = at.unwrap_or(0);
        let is_shared = self
            .idle
            .get(at)
            .is_some_and(|idle| !dedicated && !idle.dedicated && looks_new(idle));
        let idle = self.idle.remove(at)?;
        if is_shared && !idle.is_disturbed() {
            return Some(Source::Idle(idle.into_connection(self.check_after)));
        }
        evicted.push(idle.connection);
        Some(Source::Room)
    }
}
