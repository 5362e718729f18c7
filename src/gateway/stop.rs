//! Telling everybody to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// How far the proxy is with stopping, where each wake-up of a client's task looks.
/// Whoever changes it wakes the tasks.
#[derive(Debug, Default)]
pub(super) struct Flags {
    pub(super) draining: Arc<AtomicBool>,
    immediate: AtomicBool,
}

impl Flags {
    /// Whether nobody is waited for any more.
    pub(super) fn is_immediate(&self) -> bool {
        self.immediate.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Running,
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

    /// Whether no new client is admitted.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        *self.level.borrow() >= Level::Closing
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
    /// No new client is admitted; those that are there stay as long as they like.
    pub fn close(&self) {
        self.raise(Level::Closing);
    }

    /// No new client is admitted; those in a transaction may end it.
    pub fn drain(&self) {
        self.flags.draining.store(true, Ordering::Relaxed);
        self.raise(Level::Draining);
    }

    /// Nobody is waited for.
    pub fn now(&self) {
        self.drain();
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
