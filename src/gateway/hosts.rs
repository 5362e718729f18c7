//! Leaving addresses at which a server is no longer.
//!
//! A connection that breaks finds the primary again by itself, when the next one is
//! opened. What nobody would notice is looked for here: a host name that leads elsewhere
//! now, and a primary that was replaced by another one and does not know it.

use super::Shared;
use crate::config::{Server, TargetRole};
use crate::pool::Pool;
use crate::server::{Address, Target, addresses, probe};
use crate::tenant::{ServerName, Vetting};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
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
    /// Those that are being left.
    left: Arc<[SocketAddr]>,
    /// Those of them whose server was superseded: nothing may be written there.
    superseded: HashSet<SocketAddr>,
}

/// Looks again and again, without an end.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut known: HashMap<ServerName, Known> = HashMap::new();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut looks = JoinSet::new();
        for (server, pool) in shared.pools.servers() {
            if let Some(pool) = pool.filter(|_| may_move(&server)) {
                let own = known.remove(&server.name).unwrap_or_default();
                looks.spawn(look(server, pool, own, shared.clone()));
            }
        }
        while let Some(look) = looks.join_next().await {
            known.extend(look.ok());
        }
    }
}

fn may_move(server: &Server) -> bool {
    server.hosts.have_names() || has_rivals(server)
}

/// Whether two hosts can say that they are the primary.
fn has_rivals(server: &Server) -> bool {
    server.hosts.are_several() && server.target == TargetRole::Primary
}

async fn look(
    server: Arc<Server>,
    pool: Arc<Pool>,
    mut known: Known,
    shared: Arc<Shared>,
) -> (ServerName, Known) {
    let used = shared.pools.addresses(&server);
    if let Ok(found) = addresses(&server).await {
        if has_rivals(&server) && !used.is_empty() {
            supersede(&server, &pool, &found, &used, &mut known).await;
        }
        let now = Instant::now();
        known.saw(found.iter().map(|address| address.socket), now);
        let left = known.to_leave(&used, now);
        if *left != *known.left {
            tracing::info!(
                target: "pgtenant::server",
                server = %server.name,
                addresses = ?left,
                "leaving addresses at which the server is no longer"
            );
            known.left = left.into();
            shared.pools.leave(&server, &known.left);
        }
    }
    // Also those who got a connection just before.
    if !known.superseded.is_empty() {
        let superseded: Vec<_> = known.superseded.iter().copied().collect();
        shared.registry.end_at(&superseded);
    }
    (server.name.clone(), known)
}

/// Asks the hosts that are not used whether one was promoted after the one that is.
async fn supersede(
    server: &Arc<Server>,
    pool: &Arc<Pool>,
    found: &[Address],
    used: &HashSet<SocketAddr>,
    known: &mut Known,
) {
    let before = server.reached.timeline();
    let mut probes = JoinSet::new();
    for address in found {
        if !used.contains(&address.socket) {
            let (server, pool, address) = (server.clone(), pool.clone(), *address);
            probes.spawn(async move {
                let target = Target {
                    server: &server,
                    database: pool.database(),
                    user: &server.user,
                    password: server.password.as_ref().map(crate::config::Secret::reveal),
                    base: &[],
                    vetting: &Vetting::none(),
                };
                (address.socket, probe(&target, address).await)
            });
        }
    }
    while let Some(probed) = probes.join_next().await {
        if let Ok((address, Ok(()))) = probed
            && server.reached.timeline() > before
        {
            tracing::warn!(
                target: "pgtenant::server",
                server = %server.name,
                %address,
                "another host was promoted: its predecessors are left"
            );
            server.reached.set(address);
            known.superseded.extend(used);
            known.superseded.remove(&address);
        }
    }
}

impl Known {
    fn saw(&mut self, found: impl Iterator<Item = SocketAddr>, now: Instant) {
        self.seen.extend(found.map(|address| (address, now)));
        self.seen
            .retain(|_, seen| now.duration_since(*seen) < FORGOTTEN);
    }

    /// Those of the addresses that are used at which the server is no longer, and those
    /// that were superseded; in order.
    fn to_leave(&self, used: &HashSet<SocketAddr>, now: Instant) -> Vec<SocketAddr> {
        let is_seen = |address: &&SocketAddr| {
            let seen = self.seen.get(*address);
            seen.is_some_and(|seen| now.duration_since(*seen) < FORGOTTEN)
        };
        let unseen = used.iter().filter(|address| !is_seen(address));
        let all: HashSet<_> = unseen.chain(&self.superseded).copied().collect();
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_unstable();
        all
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
        known.superseded.insert(at(2));
        assert_eq!(known.to_leave(&used, late), [at(2)]);
    }
}
