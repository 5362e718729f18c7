//! What a session shows of itself to those who look on. On the way of a transaction
//! that costs relaxed stores: the time is that of the last tick.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// The time, as precise as the ticks are frequent.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    began: SystemTime,
    /// Milliseconds since the start.
    now: AtomicU64,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            began: SystemTime::now(),
            now: AtomicU64::new(0),
        }
    }
}

impl Clock {
    pub(super) fn tick(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis());
        self.now.store(now.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    fn time(&self, millis: u64) -> SystemTime {
        let since = Duration::from_millis(millis);
        self.began.checked_add(since).unwrap_or(self.began)
    }
}

/// Why a client keeps a server connection that it does not use now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It does not.
    No,
    /// Its transaction is open.
    Transaction,
    /// It has made objects (temporary tables, cursors, statements by SQL).
    Objects,
    /// It has taken locks.
    Locks,
    /// The pool is in session mode.
    Session,
}

/// Two ticks of the clock, in milliseconds.
const REST: u64 = 500;

#[derive(Debug)]
pub(super) struct Shown {
    clock: Arc<Clock>,
    pub(super) connected: SystemTime,
    /// When its state changed last, in milliseconds of the clock.
    since: AtomicU64,
    hold: AtomicU8,
    /// When the client was served last that keeps its connection, in the same.
    served: AtomicU64,
    prepared: AtomicU32,
    /// Its `application_name`, once that has changed.
    called: Mutex<Option<Box<str>>>,
}

impl Shown {
    pub(super) fn new(clock: Arc<Clock>) -> Self {
        Self {
            connected: SystemTime::now(),
            since: AtomicU64::new(clock.now()),
            clock,
            hold: AtomicU8::new(0),
            served: AtomicU64::new(0),
            prepared: AtomicU32::new(0),
            called: Mutex::default(),
        }
    }

    /// Its state changes now.
    pub(super) fn changes(&self) {
        self.since.store(self.clock.now(), Ordering::Relaxed);
        self.hold.store(0, Ordering::Relaxed);
    }

    pub(super) fn since(&self) -> SystemTime {
        let since = self.clock.time(self.since.load(Ordering::Relaxed));
        since.max(self.connected)
    }

    /// Whether nothing has changed for a quarter of a second or somewhat longer.
    pub(super) fn rests(&self) -> bool {
        let since = self.since.load(Ordering::Relaxed);
        self.clock.now().saturating_sub(since) >= REST
    }

    /// It is the client's turn, who keeps the connection for this reason. `served`: it has
    /// sent or been sent something since this was said last.
    pub(super) fn holds(&self, hold: Hold, served: bool) {
        if served {
            self.served.store(self.clock.now(), Ordering::Relaxed);
        }
        let code = match hold {
            Hold::No => 0,
            Hold::Transaction => 1,
            Hold::Objects => 2,
            Hold::Locks => 3,
            Hold::Session => 4,
        };
        self.hold.store(code, Ordering::Relaxed);
    }

    pub(super) fn hold(&self) -> Hold {
        match self.hold.load(Ordering::Relaxed) {
            1 => Hold::Transaction,
            2 => Hold::Objects,
            3 => Hold::Locks,
            4 => Hold::Session,
            _ => Hold::No,
        }
    }

    /// Since when the client has done nothing with a connection that it keeps outside of
    /// a transaction, if it is its turn.
    pub(super) fn kept_since(&self) -> Option<SystemTime> {
        match self.hold() {
            Hold::No | Hold::Transaction => None,
            _ => Some(self.clock.time(self.served.load(Ordering::Relaxed))),
        }
    }

    pub(super) fn has_prepared(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.prepared.store(count, Ordering::Relaxed);
    }

    pub(super) fn prepared(&self) -> u32 {
        self.prepared.load(Ordering::Relaxed)
    }

    pub(super) fn is_called(&self, application: &str) {
        let mut called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        if called.as_deref() != Some(application) {
            *called = Some(application.into());
        }
    }

    pub(super) fn called(&self) -> Option<Box<str>> {
        let called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        called.clone()
    }
}
