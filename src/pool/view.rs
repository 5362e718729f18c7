//! Pools and their connections, for those who look on.

use super::queue::AccountId;
use super::{Pool, Pools, lock};
use crate::config::Server;
use crate::server::{Card, ConnectionId};
use crate::tenant::{Endpoint, TenantId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What a server connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    /// Somebody uses it.
    Active,
    /// Nobody uses it.
    Idle,
    /// Nobody uses it, and what its last user has left is being taken away.
    Scrubbing,
    /// It is being closed.
    Closing,
}

/// A server connection at one time.
#[derive(Debug, Clone)]
pub struct ConnectionView {
    /// What does not change about it.
    pub card: Arc<Card>,
    /// What it does. Whose session uses it is known by [`Card::pid`].
    pub state: ConnectionState,
    /// The tenant that used it last, if any has, while nobody uses it.
    pub tenant: Option<TenantId>,
    /// For how long nobody has used it, to a quarter of a second.
    pub idle: Option<Duration>,
}

/// The clients of a tenant that wait, and its connections.
#[derive(Debug, Clone)]
pub struct TenantView {
    /// The tenant.
    pub tenant: TenantId,
    /// Its connections, idle ones included.
    pub connections: usize,
    /// Its clients that wait.
    pub waiting: usize,
    /// How long the first of them has waited.
    pub longest: Duration,
}

/// A pool at one time.
#[derive(Debug, Clone)]
pub struct PoolView {
    /// The server and the database.
    pub endpoint: Endpoint,
    /// The server.
    pub server: Arc<Server>,
    /// Most connections.
    pub size: usize,
    /// So many are kept ready while there are clients.
    pub min_idle: usize,
    /// Most connections of a tenant.
    pub size_per_tenant: usize,
    /// Its connections.
    pub connections: Vec<ConnectionView>,
    /// Connections that are being opened.
    pub opening: usize,
    /// The tenants that have or await a connection.
    pub tenants: Vec<TenantView>,
    /// It has been replaced, and gives nothing out any more.
    pub retired: bool,
}

impl Pools {
    /// All pools. Each lock is held for one pool at a time, and for the idle
    /// connections of one worker at a time.
    #[must_use]
    pub fn views(&self) -> Vec<PoolView> {
        self.all().iter().map(|pool| pool.view()).collect()
    }
}

impl Pool {
    fn view(&self) -> PoolView {
        let cards = self.roll.cards();
        let mut idle: HashMap<ConnectionId, (ConnectionState, Option<TenantId>, Option<Duration>)> =
            HashMap::new();
        self.idle.each(|one| {
            let state = match one.connection.is_settled() {
                true => ConnectionState::Idle,
                false => ConnectionState::Scrubbing,
            };
            let since = one.since.map(|since| since.elapsed());
            let tenant = one.booking.tenant.id.clone();
            let tenant = (one.booking.account != AccountId::NOBODY).then_some(tenant);
            idle.insert(one.connection.id(), (state, tenant, since));
        });
        let (open, tenants, retired) = lock(&self.queue).view();
        let opening = open.saturating_sub(cards.iter().filter(|card| !card.is_closing()).count());
        let connections = cards.into_iter().map(|card| match idle.remove(&card.id) {
            Some((state, tenant, since)) => ConnectionView {
                card,
                state,
                tenant,
                idle: Some(since.unwrap_or_default()),
            },
            None => ConnectionView {
                state: match card.is_closing() {
                    true => ConnectionState::Closing,
                    false => ConnectionState::Active,
                },
                card,
                tenant: None,
                idle: None,
            },
        });
        PoolView {
            endpoint: self.endpoint.clone(),
            server: self.server.clone(),
            size: self.settings.size,
            min_idle: self.settings.min_idle,
            size_per_tenant: self.settings.size_per_tenant,
            connections: connections.collect(),
            opening,
            tenants,
            retired,
        }
    }
}
