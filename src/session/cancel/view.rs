//! The sessions there are, for those who look on.

use super::Registry;
use super::entry::Entry;
use super::running::Activity;
use super::shown::Hold;
use super::{Ending, lock};
use crate::config::PoolMode;
use crate::server::BackendKey;
use crate::tenant::{Endpoint, LoginName, SharedProfile, SharedTenant, TenantId};
use crate::transport::ClientAddress;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// It uses no server connection.
    Idle,
    /// It waits for a server connection.
    Waiting,
    /// A server connection is being made its tenant's.
    Attaching,
    /// It has a server connection.
    Active,
}

/// A session at one time.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// The process id that the client was given.
    pub id: u32,
    /// Its tenant, as it was told last.
    pub tenant: SharedTenant,
    /// Its login.
    pub login: LoginName,
    /// What that may, if a profile says so, as it was told last.
    pub profile: Option<SharedProfile>,
    /// Where the client comes from.
    pub address: ClientAddress,
    /// Where it has come to.
    pub local: Option<SocketAddr>,
    /// The database that it asked for.
    pub database: Box<str>,
    /// Where its server connections go.
    pub endpoint: Endpoint,
    /// What it does.
    pub state: SessionState,
    /// Since when, to a quarter of a second.
    pub since: SystemTime,
    /// When it logged in.
    pub connected: SystemTime,
    /// Its `application_name`.
    pub application: Box<str>,
    /// Protocol and cipher suite, over TLS.
    pub tls: Option<Box<str>>,
    /// Prepared statements with a name, at the end of its last transaction.
    pub prepared: u32,
    /// Why it keeps its server connection.
    pub hold: Hold,
    /// The server's process that serves it now, and where that is.
    pub backend: Option<BackendKey>,
    /// The worker that serves it.
    pub worker: usize,
}

/// Whose a session is and what it does: what can be looked at for many at little cost.
#[derive(Debug, Clone)]
pub struct SessionGlance {
    /// Its tenant, as it was told last.
    pub tenant: SharedTenant,
    /// Where its server connections go.
    pub endpoint: Endpoint,
    /// What it does.
    pub state: SessionState,
    /// Prepared statements with a name, at the end of its last transaction.
    pub prepared: u32,
    /// Why it keeps its server connection.
    pub hold: Hold,
    /// The server's process that serves it now, and where that is.
    pub backend: Option<BackendKey>,
}

impl Registry {
    /// The same as [`Self::sessions`], with less of each.
    #[must_use]
    pub fn glances(&self) -> Vec<SessionGlance> {
        self.all().iter().map(|entry| glance(entry)).collect()
    }

    /// All sessions. The registry is locked only while they are listed, not while each
    /// is looked at.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionView> {
        let entries: Vec<_> = lock(&self.sessions)
            .iter()
            .map(|(pid, entry)| (*pid, entry.clone()))
            .collect();
        entries
            .iter()
            .map(|(pid, entry)| view(*pid, entry))
            .collect()
    }

    /// Ends the sessions that use a connection to a primary after which another one was
    /// promoted.
    pub fn end_superseded(&self) {
        let is_superseded = |entry: &&Arc<Entry>| match entry.activity() {
            Activity::Using(key) => entry.pool().server().reached.supersedes(key.timeline),
            _ => false,
        };
        for entry in self.all().iter().filter(is_superseded) {
            entry.end(Ending::Superseded);
        }
    }

    /// Ends the sessions whose time is over. To be called several times a second, by one
    /// task.
    pub fn end_late(&self) {
        for entry in self.all().iter().filter(|entry| !entry.inbox.is_closed()) {
            match entry.is_late() {
                // A transaction may begin meanwhile: it is let end.
                Some(ending @ Ending::Idle) => drop(entry.end_at_boundary(ending)),
                Some(ending) => drop(entry.end(ending)),
                None => {}
            }
        }
    }

    /// Ends sessions by the administrator's order: those that are `meant`. Returns
    /// which; they [are there](Self::has_any) until their clients have been told.
    pub fn end(&self, meant: impl Fn(u32, &TenantId, &str) -> bool) -> Vec<u32> {
        let entries: Vec<(u32, Arc<Entry>)> = lock(&self.sessions)
            .iter()
            .map(|(pid, entry)| (*pid, entry.clone()))
            .collect();
        let meant = entries.iter().filter(|(pid, entry)| {
            meant(*pid, &entry.tenant, &entry.visitor.database) && !entry.inbox.is_closed()
        });
        let ended = meant.map(|(pid, entry)| {
            entry.end(Ending::Killed);
            *pid
        });
        ended.collect()
    }

    /// Whether one of these sessions is there still.
    #[must_use]
    pub fn has_any(&self, pids: &[u32]) -> bool {
        let sessions = lock(&self.sessions);
        pids.iter().any(|pid| sessions.contains_key(pid))
    }
}

fn glance(entry: &Entry) -> SessionGlance {
    let activity = entry.activity();
    let pool = entry.pool();
    let backend = match activity {
        Activity::Using(key) => Some(key),
        _ => None,
    };
    let state = match activity {
        Activity::Idle => SessionState::Idle,
        Activity::Waiting | Activity::Cancelled => SessionState::Waiting,
        Activity::Attaching => SessionState::Attaching,
        Activity::Using(_) => SessionState::Active,
    };
    let hold = match backend {
        None => Hold::No,
        Some(_) if pool.settings().mode == PoolMode::Session => Hold::Session,
        Some(_) => entry.shown.hold(),
    };
    SessionGlance {
        tenant: entry.tenant_now(),
        endpoint: pool.endpoint().clone(),
        state,
        prepared: entry.shown.prepared(),
        hold,
        backend,
    }
}

fn view(id: u32, entry: &Entry) -> SessionView {
    let SessionGlance {
        tenant,
        endpoint,
        state,
        prepared,
        hold,
        backend,
    } = glance(entry);
    let visitor = &entry.visitor;
    SessionView {
        id,
        tenant,
        login: entry.login.clone(),
        profile: entry.profile_now(),
        address: visitor.address,
        local: visitor.local,
        database: visitor.database.clone(),
        endpoint,
        state,
        since: entry.shown.since(),
        connected: entry.shown.connected,
        application: entry
            .shown
            .called()
            .unwrap_or_else(|| visitor.application.clone()),
        tls: visitor.tls.clone(),
        prepared,
        hold,
        backend,
        worker: entry.station.worker(),
    }
}
