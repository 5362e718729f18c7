//! Passing requests on to the replica that has the session.

use super::bond::Hello;
use super::channel::{Channel, PeerTls};
use super::exchange::Proven;
use super::{PeerError, REACH};
use crate::config::{ClientTls, Host, OwnPeer, PeerKey};
use crate::protocol::startup::CancelRequest;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Requests to one replica that are under way at a time.
const LANES: usize = 16;
/// Requests to one replica that are under way or wait.
const MOST: usize = 128;

/// This replica and the others, as the settings name them.
#[derive(Debug)]
pub struct Peers {
    pub(super) own: u8,
    pub(super) key: PeerKey,
    pub(super) tls: Option<PeerTls>,
    others: BTreeMap<u8, Arc<Other>>,
}

/// Another replica.
#[derive(Debug)]
struct Other {
    host: Host,
    lanes: Semaphore,
    /// Those that are under way or wait.
    places: Semaphore,
    /// How many have come to each of [`Forwarded`].
    counts: [AtomicU64; 3],
}

/// What has come of a request that was passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// It had a right key, and was carried out.
    Delivered,
    /// Its key was wrong.
    Refused,
    /// The replica did not say that it has dealt with it.
    Failed,
}

impl Forwarded {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Refused, Self::Failed];

    /// Its name in metrics and the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Another replica, for those who look on.
#[derive(Debug, Clone)]
pub struct PeerView {
    /// Its number.
    pub id: u8,
    /// Where it is.
    pub host: Host,
    /// The most requests to it at a time.
    pub lanes: usize,
    /// Requests that are under way.
    pub active: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// How many have come to each outcome.
    pub counts: [(Forwarded, u64); 3],
}

impl Peers {
    /// What is known of a replica that was there `before` stays.
    ///
    /// # Errors
    /// If the cryptography cannot do it.
    pub fn new(
        own: &OwnPeer,
        others: &BTreeMap<u8, Host>,
        tls: &ClientTls,
        before: Option<&Self>,
    ) -> io::Result<Self> {
        let kept = |id: &u8, host: &Host| {
            let before = before?.others.get(id)?;
            (before.host == *host).then(|| before.clone())
        };
        let others = others.iter().map(|(id, host)| {
            let other = kept(id, host).unwrap_or_else(|| Arc::new(Other::new(host)));
            (*id, other)
        });
        Ok(Self {
            own: own.id,
            key: own.key.clone(),
            tls: PeerTls::new(tls).map_err(io::Error::other)?,
            others: others.collect(),
        })
    }

    /// Whether there is another replica of this number.
    #[must_use]
    pub fn has(&self, id: u8) -> bool {
        self.others.contains_key(&id)
    }

    /// Passes a request on. Returns once the replica has carried it out, or will not say
    /// so any more; within 35 seconds.
    pub async fn forward(&self, id: u8, request: &CancelRequest) -> Forwarded {
        let Some(other) = self.others.get(&id) else {
            return Forwarded::Failed;
        };
        let outcome = match self.ask(id, other, request).await {
            Ok(true) => Forwarded::Delivered,
            Ok(false) => Forwarded::Refused,
            Err(error) => {
                tracing::warn!(target: "pgtenant::peers", peer = id, address = %other.host, %error, "cannot pass a cancel request on");
                Forwarded::Failed
            }
        };
        if outcome != Forwarded::Failed {
            tracing::info!(target: "pgtenant::peers", peer = id, outcome = outcome.name(), "passed a cancel request on");
        }
        if let Some(count) = other.counts.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    async fn ask(&self, id: u8, other: &Other, request: &CancelRequest) -> Result<bool, PeerError> {
        let _place = other.places.try_acquire().map_err(|_| PeerError::Busy)?;
        let reach = timeout(REACH, async {
            let lane = other.lanes.acquire().await.map_err(|_| PeerError::Busy)?;
            let channel = Channel::open(&other.host, self.tls.as_ref()).await?;
            let hello = Hello::new(self.own, id)?;
            Ok::<_, PeerError>((lane, Proven::new(channel, &self.key, hello).await?))
        });
        let (_lane, proven) = reach.await.map_err(|_| PeerError::Timeout)??;
        proven.ask(request).await
    }

    /// The other replicas.
    #[must_use]
    pub fn views(&self) -> Vec<PeerView> {
        let others = self.others.iter();
        others.map(|(id, other)| other.view(*id)).collect()
    }
}

impl Other {
    fn new(host: &Host) -> Self {
        Self {
            host: host.clone(),
            lanes: Semaphore::new(LANES),
            places: Semaphore::new(MOST),
            counts: Default::default(),
        }
    }

    fn view(&self, id: u8) -> PeerView {
        let active = LANES.saturating_sub(self.lanes.available_permits());
        let there = MOST.saturating_sub(self.places.available_permits());
        let count = |outcome: Forwarded| {
            let count = self.counts.get(outcome as usize);
            let count = count.map_or(0, |count| count.load(Ordering::Relaxed));
            (outcome, count)
        };
        PeerView {
            id,
            host: self.host.clone(),
            lanes: LANES,
            active,
            waiting: there.saturating_sub(active),
            counts: Forwarded::ALL.map(count),
        }
    }
}
