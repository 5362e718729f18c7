//! Spreads the load over the workers while clients are there.
//!
//! A new client goes to the worker that has the fewest. What clients do is not known
//! then, so that those who do much can come to sit with one worker. Where one is busy
//! and another has time, for two looks in a row, some of its busiest clients move: each
//! between two of its transactions.

use super::Shared;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How often the workers are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// From this share of its time on a worker is busy.
const BUSY: f64 = 0.6;
/// So much less busy must another be.
const APART: f64 = 0.25;

/// The runtimes of the workers, in their order.
pub(super) type Runtimes = Vec<Handle>;

/// Watches the workers, without an end.
pub(super) async fn watch(shared: Arc<Shared>, runtimes: Runtimes) {
    if runtimes.len() < 2 {
        return std::future::pending().await;
    }
    let mut meter = Meter::new(&runtimes);
    let mut before = None;
    loop {
        tokio::time::sleep(EVERY).await;
        let uneven = uneven(&meter.shares(&runtimes));
        // Who was told to move, and has not, does not do so later either.
        let counted = before.map(|busiest| shared.registry.count(busiest));
        match (&uneven, counted) {
            (Some(uneven), Some(counted)) if before == Some(uneven.busiest) => {
                let chosen = choose(counted, uneven.share);
                tell(uneven, chosen.len());
                for (session, _) in chosen {
                    session.send_to(uneven.idlest);
                }
            }
            // What is seen for the first time may pass.
            (Some(uneven), _) => drop(shared.registry.count(uneven.busiest)),
            (None, _) => {}
        }
        before = uneven.map(|uneven| uneven.busiest);
    }
}

fn tell(uneven: &Uneven, clients: usize) {
    if clients > 0 {
        tracing::info!(
            target: "pgtenant::gateway",
            clients,
            from = uneven.busiest,
            to = uneven.idlest,
            "clients go on with a worker that has more time"
        );
    }
}

/// How busy the workers have been.
struct Meter {
    at: Instant,
    busy: Vec<Duration>,
}

impl Meter {
    fn new(runtimes: &[Handle]) -> Self {
        Self {
            at: Instant::now(),
            busy: runtimes.iter().map(busy).collect(),
        }
    }

    /// The share of the time, since this was asked last, that each worker was busy.
    fn shares(&mut self, runtimes: &[Handle]) -> Vec<f64> {
        let now = Self::new(runtimes);
        let time = now.at.duration_since(self.at).as_secs_f64();
        let both = now.busy.iter().zip(&self.busy);
        let shares = both.map(|(now, before)| now.saturating_sub(*before).as_secs_f64() / time);
        let shares = shares.collect();
        *self = now;
        shares
    }
}

fn busy(runtime: &Handle) -> Duration {
    // Each has one thread.
    runtime.metrics().worker_total_busy_duration(0)
}

/// One worker is busy, and another has time.
struct Uneven {
    busiest: usize,
    idlest: usize,
    /// The share of the busiest one's work that would make both equal.
    share: f64,
}

fn uneven(shares: &[f64]) -> Option<Uneven> {
    let workers = || shares.iter().copied().enumerate();
    let (busiest, most) = workers().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let (idlest, least) = workers().min_by(|a, b| a.1.total_cmp(&b.1))?;
    (most >= BUSY && most - least >= APART).then(|| Uneven {
        busiest,
        idlest,
        share: (most - least) / 2.0 / most,
    })
}

/// Those who do this share of all transactions, as nearly as it can be had: the busiest
/// of them first, so that few must move.
fn choose<T>(mut counted: Vec<(T, u32)>, share: f64) -> Vec<(T, u32)> {
    let all: f64 = counted.iter().map(|(_, count)| f64::from(*count)).sum();
    let mut left = all * share;
    counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counted.retain(|(_, count)| {
        let fits = *count > 0 && f64::from(*count) <= left;
        if fits {
            left -= f64::from(*count);
        }
        fits
    });
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_workers_and_idle_ones_are_left_alone() {
        assert!(uneven(&[0.9, 0.8]).is_none());
        assert!(uneven(&[0.5, 0.0]).is_none());
        let uneven = uneven(&[0.1, 0.4, 0.9]).unwrap();
        assert_eq!((uneven.busiest, uneven.idlest), (2, 0));
        assert!((uneven.share - 4.0 / 9.0).abs() < 1e-9);
    }

    #[test]
    fn the_busiest_who_fit_are_chosen() {
        let counted = vec![("a", 100), ("b", 1000), ("c", 300), ("d", 0), ("e", 200)];
        let chosen: Vec<_> = choose(counted, 0.3).into_iter().map(|c| c.0).collect();
        assert_eq!(chosen, ["c", "a"]);
        // To move the only one who works would help nobody.
        assert!(choose(vec![("a", 1000)], 0.5).is_empty());
    }
}
