//! Where the connections of a server lead, and leaving addresses that are no longer its.

use super::{Pool, Pools, lock, queue};
use crate::config::Server;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

impl Pools {
    /// The servers that there are, each with a pool of its connections that can be asked
    /// for, if there is one.
    #[must_use]
    pub fn servers(&self) -> Vec<(Arc<Server>, Option<Arc<Pool>>)> {
        let state = lock(&self.state);
        let servers = state.servers.values();
        let of = |server: &Arc<Server>| {
            let mut pools = state.open.values();
            pools.find(|pool| Arc::ptr_eq(&pool.server, server))
        };
        servers
            .map(|server| (server.clone(), of(server).cloned()))
            .collect()
    }

    /// The addresses at which there are connections to the server.
    #[must_use]
    pub fn addresses(&self, server: &Server) -> HashSet<SocketAddr> {
        let pools = self.of(server);
        let cards = pools.iter().flat_map(|pool| pool.roll.cards());
        cards.filter_map(|card| card.address).collect()
    }

    /// Whether there are connections to a primary of the server's after which another one
    /// was promoted.
    #[must_use]
    pub fn has_superseded(&self, server: &Server) -> bool {
        let pools = self.of(server);
        pools.iter().any(|pool| {
            let cards = pool.roll.cards();
            cards
                .iter()
                .any(|card| pool.server.reached.supersedes(card.timeline))
        })
    }

    /// Replaces the server's connections to these addresses, and no others: idle ones are
    /// closed now, the others once they are given back.
    pub fn leave(&self, server: &Server, addresses: &Arc<[SocketAddr]>) {
        for pool in self.of(server) {
            lock(&pool.welcomes).clear();
            let (old, outcomes) = lock(&pool.queue).leave_addresses(&pool, addresses);
            pool.close(old);
            queue::hand_out(outcomes);
        }
    }

    fn of(&self, server: &Server) -> Vec<Arc<Pool>> {
        let mut pools = self.all();
        pools.retain(|pool| pool.server.name == server.name);
        pools
    }
}
