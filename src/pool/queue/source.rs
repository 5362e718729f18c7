//! Where a connection comes from.

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
