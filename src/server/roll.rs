//! The connections there are, for those who look on.

use super::{BackendKey, ConnectionId};
use crate::tenant::ServerName;
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

/// The connections there are of one pool.
#[derive(Debug, Default)]
pub struct Roll(Mutex<HashMap<ConnectionId, Arc<Card>>>);

/// What does not change about a connection.
#[derive(Debug)]
pub struct Card {
    /// Tells it from others.
    pub id: ConnectionId,
    /// The server.
    pub server: ServerName,
    /// Where the server was reached.
    pub address: Option<SocketAddr>,
    /// The server's process.
    pub pid: u32,
    /// The timeline that the server told of; 0: it was not asked for it.
    pub timeline: u32,
    /// The role that it is logged in as.
    pub role: Arc<str>,
    /// When it was opened.
    pub connected: SystemTime,
    /// When its opening began.
    pub opened: Instant,
    /// Protocol and cipher suite, over TLS.
    pub tls: Option<Box<str>>,
    /// It is being closed.
    closing: AtomicBool,
}

/// A connection's entry in its [`Roll`]; it is taken out when this is dropped.
pub(super) struct Enrolled {
    roll: Arc<Roll>,
    card: Arc<Card>,
    /// Dropped with the connection.
    _held: Option<Held>,
}

/// What is kept for as long as a connection is there.
pub type Held = Arc<dyn Any + Send + Sync>;

impl Roll {
    /// Those there are now.
    #[must_use]
    pub fn cards(&self) -> Vec<Arc<Card>> {
        self.lock().values().cloned().collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn enrol(self: &Arc<Self>, card: Card, held: Option<Held>) -> Enrolled {
        let card = Arc::new(card);
        self.lock().insert(card.id, card.clone());
        Enrolled {
            roll: self.clone(),
            card,
            _held: held,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Arc<Card>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Card {
    pub(super) fn new(
        id: ConnectionId,
        server: ServerName,
        key: BackendKey,
        role: Arc<str>,
        opened: Instant,
        tls: Option<Box<str>>,
    ) -> Self {
        Self {
            id,
            server,
            address: key.address.map(|address| address.socket),
            pid: key.pid,
            timeline: key.timeline,
            role,
            connected: SystemTime::now(),
            opened,
            tls,
            closing: AtomicBool::new(false),
        }
    }

    /// Whether it is being closed.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }
}

impl Enrolled {
    /// It is being closed.
    pub(super) fn closes(&self) {
        self.card.closing.store(true, Ordering::Relaxed);
    }
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        self.roll.lock().remove(&self.card.id);
    }
}

impl fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.card.fmt(f)
    }
}
