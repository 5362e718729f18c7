//! Telling everybody to stop.

use crate::session::DrainLevel;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How far the proxy is with stopping, where each wake-up of a client's task looks.
/// Whoever changes it wakes the tasks.
#[derive(Debug, Default)]
pub(super) struct Flags {
    pub(super) draining: Arc<DrainLevel>,
    immediate: AtomicBool,
    /// Over how many milliseconds clients are told to leave.
    spread: AtomicU64,
}

impl Flags {
    /// Over how long clients are told to leave.
    pub(super) fn spread(&self) -> Duration {
        Duration::from_millis(self.spread.load(Ordering::Relaxed))
    }

    /// Whether nobody is waited for any more.
    pub(super) fn is_immediate(&self) -> bool {
        self.immediate.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Running,
    Leaving,
    Closing,
    Draining,
    Immediate,
}

/// Tells the proxy to stop.
#[derive(Debug, Clone)]
pub struct StopHandle {
    level: Arc<watch::Sender<Level>>,
    flags: Arc<Flags>,
}

/// Learns that the proxy is to stop.
#[derive(Debug, Clone)]
pub struct Stop {
    level: watch::Receiver<Level>,
    flags: Arc<Flags>,
}

impl Stop {
    /// The two ends.
    #[must_use]
    pub fn new() -> (StopHandle, Self) {
        let (sender, level) = watch::channel(Level::Running);
        let flags = Arc::<Flags>::default();
        let handle = StopHandle {
            level: Arc::new(sender),
            flags: flags.clone(),
        };
        (handle, Self { level, flags })
    }

    /// Completes when no new client is to be admitted.
    pub async fn closing(&self) {
        self.reached(Level::Closing).await;
    }

    /// Completes when clients are to leave at the end of their transactions.
    pub async fn draining(&self) {
        self.reached(Level::Draining).await;
    }

    /// Completes when nobody is to be waited for any more.
    pub async fn immediate(&self) {
        self.reached(Level::Immediate).await;
    }

    /// Whether clients are to be sent elsewhere: new ones are refused, or soon will be.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        *self.level.borrow() >= Level::Leaving
    }

    /// The same as flags that cost nothing to look at.
    pub(super) fn flags(&self) -> &Arc<Flags> {
        &self.flags
    }

    async fn reached(&self, level: Level) {
        let mut receiver = self.level.clone();
        if receiver.wait_for(|now| *now >= level).await.is_err() {
            // The handle is gone: nobody will ever tell.
            std::future::pending::<()>().await;
        }
    }
}

impl StopHandle {
    /// Clients are to be sent elsewhere; those that come are admitted as before.
    pub fn leave(&self) {
        self.raise(Level::Leaving);
    }

    /// No new client is admitted; those that are there stay as long as they like.
    pub fn close(&self) {
        self.raise(Level::Closing);
    }

    /// No new client is admitted; those that are there are told to leave over this time,
    /// each at the end of its transaction.
    pub fn drain(&self, spread: Duration) {
        let millis = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
        self.flags.spread.store(millis, Ordering::Relaxed);
        if spread.is_zero() {
            self.flags.draining.force();
        }
        self.raise(Level::Draining);
    }

    /// Nobody is waited for.
    pub fn now(&self) {
        self.drain(Duration::ZERO);
        self.flags.draining.end();
        self.flags.immediate.store(true, Ordering::Relaxed);
        self.raise(Level::Immediate);
    }

    fn raise(&self, level: Level) {
        self.level.send_if_modified(|now| {
            let higher = level > *now;
            *now = level.max(*now);
            higher
        });
    }
}
