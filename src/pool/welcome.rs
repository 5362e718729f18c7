//! What a server reports at login, kept so that a client's login need not ask.

use crate::attach::SessionSettings;
use crate::protocol::backend;
use crate::server::Parameters;
use crate::tenant::{Identity, Placement};
use std::collections::HashMap;
use std::sync::Arc;

/// Most welcomes that a pool keeps.
const MOST: usize = 256;

/// The parameters that a client is told at login.
#[derive(Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The settings of the first client that was told so: clients with the same
    /// share one copy.
    pub own: SessionSettings,
    /// The parameters, as the server reports them under the client's settings.
    messages: Box<[u8]>,
}

impl Welcome {
    /// What a client with these settings is told.
    #[must_use]
    pub fn new(own: SessionSettings, parameters: &Parameters) -> Self {
        let mut messages = Vec::new();
        for (name, value) in parameters.iter() {
            backend::write_parameter_status(&mut messages, name, value);
        }
        Self {
            own,
            messages: messages.into(),
        }
    }

    /// A ParameterStatus message for each parameter.
    #[must_use]
    pub fn messages(&self) -> &[u8] {
        &self.messages
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
        let role = match &placement.identity {
            Identity::Tenant(role) => Some(role.name.clone()),
            Identity::Server => None,
        };
        Self {
            own: own.clone(),
            search_path,
            role,
        }
    }
}

/// Welcomes by what they depend on.
#[derive(Debug, Default)]
pub(super) struct Welcomes {
    /// What the server last reported to a new connection.
    server_version: Option<Box<str>>,
    known: HashMap<Key, Arc<Welcome>>,
}

impl Welcomes {
    /// Takes note of a new connection: a server that has changed its version
    /// invalidates what is known.
    pub(super) fn meet(&mut self, parameters: &Parameters) {
        let version = parameters.get("server_version").map(Box::from);
        if self.server_version != version {
            self.known.clear();
            self.server_version = version;
        }
    }

    /// Forgets all: the server may report something else now.
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
