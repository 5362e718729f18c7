//! Leaving addresses at which a server is no longer.
//!
//! A connection that breaks finds the primary again by itself, when the next one is
//! opened. What nobody would notice is looked for here: a host name that leads elsewhere
//! now, and a primary that was replaced by another one and does not know it.

use super::Shared;
use super::replicas::Unfit;
use crate::config::{Secret, Server, TargetRole};
use crate::pool::Pool;
use crate::server::{Address, Target, addresses, probe};
use crate::tenant::{ServerName, Vetting};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

/// How often it is looked.
const PERIOD: Duration = Duration::from_secs(1);
/// An address that its name has not led to for so long is none of the server's any more:
/// of many addresses some name servers tell a few at a time.
const FORGOTTEN: Duration = Duration::from_secs(5);

/// What is known of a server's addresses.
#[derive(Debug, Default)]
struct Known {
    /// When its names led there last.
    seen: HashMap<SocketAddr, Instant>,
    /// Those at which the server is no longer.
    moved: Vec<SocketAddr>,
    /// Those that are being left.
    left: Arc<[SocketAddr]>,
    /// Those that are being asked who they are.
    probes: HashMap<SocketAddr, JoinHandle<()>>,
    /// The replicas that are not fit to be read.
    unfit: Unfit,
}

/// Looks again and again, without an end. A name server or a host that is silent holds up
/// nothing but the answer about itself.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut known: HashMap<ServerName, Arc<Mutex<Known>>> = HashMap::new();
    let mut looks = JoinSet::new();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        while looks.try_join_next().is_some() {}
        let servers = shared.pools.servers();
        if servers
            .iter()
            .any(|(server, _)| has_rivals(server) && shared.pools.has_superseded(server))
        {
            shared.registry.end_superseded();
        }
        known.retain(|name, _| servers.iter().any(|(server, _)| server.name == *name));
        for (server, pool) in servers {
            let Some(pool) = pool.filter(|_| may_move(&server)) else {
                continue;
            };
            let own = known.entry(server.name.clone()).or_default().clone();
            // Otherwise the look before goes on.
            if let Ok(own) = own.try_lock_owned() {
                looks.spawn(look(server, pool, own, shared.clone()));
            }
        }
    }
}

fn may_move(server: &Server) -> bool {
    server.hosts.have_names() || has_rivals(server) || server.lag_limit.is_some()
}

/// Whether two hosts can say that they are the primary.
fn has_rivals(server: &Server) -> bool {
    server.hosts.are_several() && server.target == TargetRole::Primary
}

async fn look(
    server: Arc<Server>,
    pool: Arc<Pool>,
    mut known: OwnedMutexGuard<Known>,
    shared: Arc<Shared>,
) {
    let Ok(found) = addresses(&server).await else {
        return;
    };
    let used = shared.pools.addresses(&server);
    if has_rivals(&server) && !used.is_empty() {
        let unused = found
            .iter()
            .filter(|address| !used.contains(&address.socket));
        known.ask(&server, &pool, unused);
    }
    if server.lag_limit.is_some() {
        known.ask_replicas(&server, &pool, &found, &used);
    }
    let now = Instant::now();
    known.saw(found.iter().map(|address| address.socket), now);
    let moved = known.to_leave(&used, now);
    if *moved != *known.moved {
        tracing::info!(
            target: "pgtenant::server",
            server = %server.name,
            addresses = ?moved,
            "leaving addresses at which the server is no longer"
        );
        known.moved.clone_from(&moved);
    }
    let mut left = moved;
    left.extend(known.unfit.addresses());
    // A pool may be younger than what others were told.
    if *left != *known.left || left.iter().any(|address| used.contains(address)) {
        known.left = left.into();
        shared.pools.leave(&server, &known.left);
    }
}

/// Asks a host that is not used whether it was promoted after the one that is. If so, it
/// is the one to go to from then on: connections to its predecessors know it by their
/// timeline.
async fn ask(server: Arc<Server>, pool: Arc<Pool>, address: Address) {
    let vetting = Vetting::none();
    let target = target(&server, &pool, &vetting);
    let before = server.reached.timeline();
    if let Ok(key) = probe(&target, address).await
        && key.timeline > before
    {
        tracing::warn!(
            target: "pgtenant::server",
            server = %server.name,
            address = %address.socket,
            "another host was promoted: its predecessors are left"
        );
        server.reached.set(address.socket);
    }
}

/// What is asked who it is.
pub(super) fn target<'a>(server: &'a Server, pool: &'a Pool, vetting: &'a Vetting) -> Target<'a> {
    Target {
        server,
        database: pool.database(),
        user: &server.user,
        password: server.password.as_ref().map(Secret::reveal),
        base: &[],
        vetting,
    }
}

impl Known {
    fn saw(&mut self, found: impl Iterator<Item = SocketAddr>, now: Instant) {
        self.seen.extend(found.map(|address| (address, now)));
        self.seen
            .retain(|_, seen| now.duration_since(*seen) < FORGOTTEN);
    }

    /// Asks these, each once at a time.
    fn ask<'a>(
        &mut self,
        server: &Arc<Server>,
        pool: &Arc<Pool>,
        addresses: impl Iterator<Item = &'a Address>,
    ) {
        for address in addresses {
            self.probe(*address, ask(server.clone(), pool.clone(), *address));
        }
    }

    /// Asks all of a replica's hosts whether they are fit, each once at a time.
    fn ask_replicas(
        &mut self,
        server: &Arc<Server>,
        pool: &Arc<Pool>,
        found: &[Address],
        used: &HashSet<SocketAddr>,
    ) {
        self.unfit.keep(found);
        for address in found {
            let is_used = used.contains(&address.socket);
            let (server, pool) = (server.clone(), pool.clone());
            let asking = self.unfit.ask(server, pool, *address, is_used);
            self.probe(*address, asking);
        }
    }

    fn probe(&mut self, address: Address, asking: impl Future<Output = ()> + Send + 'static) {
        self.probes.retain(|_, probe| !probe.is_finished());
        self.probes
            .entry(address.socket)
            .or_insert_with(|| tokio::spawn(asking));
    }

    /// Those of the addresses that are used at which the server is no longer; in order.
    fn to_leave(&self, used: &HashSet<SocketAddr>, now: Instant) -> Vec<SocketAddr> {
        let is_seen = |address: &&SocketAddr| {
            let seen = self.seen.get(*address);
            seen.is_some_and(|seen| now.duration_since(*seen) < FORGOTTEN)
        };
        let unseen = used.iter().filter(|address| !is_seen(address));
        let mut unseen: Vec<_> = unseen.copied().collect();
        unseen.sort_unstable();
        unseen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 5432))
    }

    #[test]
    fn an_address_is_left_once_its_name_has_not_led_there_for_a_while() {
        let (mut known, start) = (Known::default(), Instant::now());
        let used = HashSet::from([at(1), at(2)]);
        known.saw([at(1), at(2)].into_iter(), start);
        let soon = start + FORGOTTEN / 2;
        known.saw([at(2), at(3)].into_iter(), soon);
        assert_eq!(known.to_leave(&used, soon), []);
        let late = start + FORGOTTEN;
        known.saw([at(2)].into_iter(), late);
        assert_eq!(known.to_leave(&used, late), [at(1)]);
        // It leads there again.
        known.saw([at(1)].into_iter(), late);
        assert_eq!(known.to_leave(&used, late), []);
    }
}
