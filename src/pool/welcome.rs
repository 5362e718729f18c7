//! What a server reports at login, kept so that a client's login need not ask.

use super::idle::Idle;
use crate::attach::SessionSettings;
use crate::protocol::backend;
use crate::server::Parameters;
use crate::tenant::{Identity, Placement};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most welcomes that a pool keeps.
const MOST: usize = 256;
/// So long they hold without the server being asked.
const FRESH: Duration = Duration::from_secs(1);
/// So long they hold where there is no connection to ask over.
const OLD: Duration = Duration::from_secs(10);

/// The parameters that a client is told at login.
#[derive(Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The settings of the first client that was told so: clients with the same
    /// share one copy.
    pub own: SessionSettings,
    /// The parameters, as the server reports them under the client's settings.
    pub parameters: Parameters,
}

impl Welcome {
    /// What a client with these settings is told.
    #[must_use]
    pub fn new(own: SessionSettings, parameters: Parameters) -> Self {
        Self { own, parameters }
    }

    /// Appends a ParameterStatus message for each parameter.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in self.parameters.iter() {
            backend::write_parameter_status(out, name, value);
        }
    }

    /// Whether a connection on which a client has these `settings` reports another
    /// value of something that neither client has set itself.
    fn is_contradicted(&self, reported: &Parameters, settings: &SessionSettings) -> bool {
        let mut differing = reported.differing(&self.parameters);
        differing.any(|(name, _)| {
            let name = name.to_ascii_lowercase();
            let is_set = |settings: &SessionSettings| settings.get(&name).is_some();
            // This one is the tenant's.
            name != "search_path" && !is_set(&self.own) && !is_set(settings)
        })
    }
}

/// What a welcome depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The client's own settings.
    own: SessionSettings,
    /// The search path, which PostgreSQL 18 reports.
    search_path: Option<Arc<str>>,
    /// The role, where it is the tenant's own.
    role: Option<Arc<str>>,
}

impl Key {
    /// The key for a client of this placement with these settings.
    #[must_use]
    pub fn new(placement: &Placement, own: &SessionSettings) -> Self {
        let search_path = placement.attachment.search_path().cloned();
        Self {
            own: own.clone(),
            search_path,
            role: role(placement),
        }
    }
}

/// What a connection reports.
#[derive(Debug)]
pub(super) struct Reported {
    /// The role that it is of, where that is a tenant's own.
    pub(super) role: Option<Arc<str>>,
    pub(super) parameters: Parameters,
    /// What its last client has set.
    pub(super) settings: SessionSettings,
}

impl Reported {
    pub(super) fn new(
        placement: &Placement,
        parameters: &Parameters,
        settings: SessionSettings,
    ) -> Self {
        Self {
            role: role(placement),
            parameters: parameters.clone(),
            settings,
        }
    }

    /// What an idle connection reports, unless a cleanup is under way.
    pub(super) fn of_idle(idle: &Idle) -> Option<Self> {
        let connection = &idle.connection;
        let settings = connection.last_settings().cloned().unwrap_or_default();
        let placement = &idle.booking.tenant.placement;
        let reported = || Self::new(placement, connection.parameters(), settings);
        connection.is_settled().then(reported)
    }

    fn contradicts(&self, key: &Key, known: &Welcome) -> bool {
        key.role == self.role && known.is_contradicted(&self.parameters, &self.settings)
    }
}

/// The tenant's own role.
fn role(placement: &Placement) -> Option<Arc<str>> {
    match &placement.identity {
        Identity::Tenant(role) => Some(role.name.clone()),
        Identity::Masked(role) => Some(role.name.clone()),
        Identity::Server => None,
    }
}

/// Welcomes by what they depend on.
#[derive(Debug, Default)]
pub(super) struct Welcomes {
    known: HashMap<Key, Arc<Welcome>>,
    /// When the server was asked last whether they still hold.
    asked: Option<Instant>,
    /// When a connection was opened last, or to be opened for that.
    opened: Option<Instant>,
}

impl Welcomes {
    /// Takes note of a connection that has just been opened. What says otherwise does
    /// not hold any more (another version of the server, `ALTER ROLE ... SET`, a
    /// reload).
    pub(super) fn meet(&mut self, new: &Reported) {
        self.opened = Some(Instant::now());
        self.known.retain(|key, known| !new.contradicts(key, known));
    }

    /// Forgets the one of the key where a connection says otherwise.
    pub(super) fn compare(&mut self, key: &Key, reported: &Reported) {
        let known = self.known.get(key);
        if known.is_some_and(|known| reported.contradicts(key, known)) {
            self.known.remove(key);
        }
    }

    /// Whether it is time to ask the server whether they still hold. Whoever is told
    /// so does that.
    pub(super) fn are_due(&mut self) -> bool {
        let is_due = self.asked.is_none_or(|asked| asked.elapsed() >= FRESH);
        if is_due {
            self.asked = Some(Instant::now());
        }
        is_due
    }

    /// Whether it is time to open a connection for that, where there is none.
    pub(super) fn are_old(&mut self) -> bool {
        let is_old = self.opened.is_none_or(|opened| opened.elapsed() >= OLD);
        if is_old {
            self.opened = Some(Instant::now());
        }
        is_old
    }

    /// Forgets them all.
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Welcome>> {
        self.known.get(key).cloned()
    }

    pub(super) fn insert(&mut self, key: Key, welcome: Arc<Welcome>) {
        if self.known.len() >= MOST {
            self.known.clear();
        }
        self.known.insert(key, welcome);
    }
}
