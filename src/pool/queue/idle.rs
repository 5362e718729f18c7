//! A connection that nobody uses.

use super::{AccountId, Queue, SETTLE_LIMIT};
use crate::attach::Parked;
use crate::pool::Pool;
use crate::pool::lease::Lease;
use crate::pool::welcome::Reported;
use crate::server::Connection;
use crate::tenant::SharedTenant;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Idle {
    pub(super) connection: Connection<Parked>,
    /// Who has used it last.
    pub(super) tenant: SharedTenant,
    /// Its tenant's.
    pub(super) account: AccountId,
    /// Whether it can serve its tenant alone.
    pub(super) dedicated: bool,
    /// The first sweep that has seen it idle.
    pub(super) since: Option<Instant>,
}

impl Idle {
    pub(super) fn is_of(&self, tenant: &SharedTenant) -> bool {
        Arc::ptr_eq(&self.tenant, tenant) || self.tenant.id == tenant.id
    }

    /// Whether it can be the tenant's. After a change of the directory it may have
    /// been opened as another role, with other settings to fall back to, or for
    /// others too.
    pub(super) fn fits(&self, tenant: &SharedTenant, dedicated: bool) -> bool {
        let last = &self.tenant;
        let same_kind =
            || self.dedicated == dedicated && (!dedicated || last.placement == tenant.placement);
        !self.is_disturbed()
            && (Arc::ptr_eq(last, tenant) || (self.has_base_of(tenant) && same_kind()))
    }

    /// Whether its session falls back to what shuts the tenant out.
    pub(super) fn has_base_of(&self, tenant: &SharedTenant) -> bool {
        let last = &self.tenant.placement.attachment;
        last.has_base_of(&tenant.placement.attachment)
    }

    /// Whether the server has spoken unasked, or has closed the connection.
    pub(super) fn is_disturbed(&self) -> bool {
        self.connection.is_settled() && self.connection.is_disturbed()
    }

    /// Whether it has been silent for so long that it may be lost.
    pub(super) fn is_silent(&self, limit: Duration) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= limit)
    }

    /// The connection, for a client. It is checked first if it has been silent for
    /// long.
    pub(super) fn into_connection(self, limit: Duration) -> Connection<Parked> {
        let is_silent = self.is_silent(limit);
        let mut connection = self.connection;
        if is_silent {
            connection.check();
        }
        connection
    }

    /// Whether a cleanup has failed, or is not answered in time.
    pub(super) fn is_spoilt(&mut self, now: Instant) -> bool {
        if self.connection.is_settled() {
            return self.connection.is_disturbed();
        }
        let late = |since| now.duration_since(since) >= SETTLE_LIMIT;
        match self.connection.try_settle() {
            Ok(settled) => !settled && self.connection.cleaning_since().is_some_and(late),
            Err(_) => true,
        }
    }
}

impl Queue {
    /// What the connection reports that was given back last.
    pub(in crate::pool) fn last_reported(&self) -> Option<Reported> {
        let Idle {
            connection, tenant, ..
        } = self
            .idle
            .back()
            .filter(|idle| idle.connection.is_settled())?;
        let settings = connection.last_settings().cloned().unwrap_or_default();
        let parameters = connection.parameters();
        Some(Reported::new(&tenant.placement, parameters, settings))
    }

    /// An idle connection, whoever has used it last, unless somebody waits. To be
    /// given back as it is.
    pub(in crate::pool) fn take_any_idle(&mut self, pool: &Arc<Pool>) -> Option<Lease<Parked>> {
        let is_ready = |idle: &Idle| idle.connection.is_settled() && !idle.is_disturbed();
        if self.retired || !self.turns.is_empty() || !self.idle.back().is_some_and(is_ready) {
            return None;
        }
        let idle = self.idle.pop_back()?;
        let place = self.place(pool, idle.account, &idle.tenant, idle.dedicated);
        Some(Lease::new(idle.connection, place))
    }
}
