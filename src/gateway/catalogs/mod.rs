//! The databases whose plain tables are kept known, for the guards to go by.
//!
//! A task for each such database [reads its catalog](load) again and again, over a
//! connection of its own that logs in as the pool's do. As long as it has nothing
//! to say, all relations of its database are doubtful; nobody waits for it.

mod fitness;
mod load;

use crate::config::{Isolation, IsolationKind, Server};
use crate::guard::PlainRelations;
use crate::tenant::{Endpoint, IsolationName, ServerName, Tenant, Unfit};
use fitness::{Demands, Fitness, demands};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// What is known of the databases in which code behind a relation could change
/// the tenant of a connection.
#[derive(Debug)]
pub(super) struct Catalogs {
    state: Mutex<State>,
    /// What is known where nothing is.
    unknown: Arc<PlainRelations>,
    /// There is a database that nobody reads yet.
    added: Notify,
    /// Whether tenants can be served has changed.
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    servers: BTreeMap<ServerName, Server>,
    databases: HashMap<Endpoint, Catalog>,
    demands: Demands,
}

#[derive(Debug)]
struct Catalog {
    server: Server,
    relations: Arc<PlainRelations>,
    fitness: Arc<Fitness>,
    /// None before it is read.
    reader: Option<AbortHandle>,
}

impl Catalogs {
    /// Those of the isolations: they are read before their first client comes.
    pub(super) fn new(
        servers: BTreeMap<ServerName, Server>,
        isolations: &BTreeMap<IsolationName, Isolation>,
    ) -> Arc<Self> {
        let catalogs = Self {
            state: Mutex::new(State {
                servers,
                databases: HashMap::new(),
                demands: demands(isolations),
            }),
            unknown: Arc::default(),
            added: Notify::new(),
            changed: Arc::default(),
        };
        catalogs.add(isolations);
        Arc::new(catalogs)
    }

    /// The plain tables of a database with tenants of the isolation, which is read from
    /// now on if it was not. `None` if no server has its name.
    pub(super) fn get(
        &self,
        endpoint: &Endpoint,
        isolation: &IsolationName,
    ) -> Option<Arc<PlainRelations>> {
        let mut state = self.lock();
        if let Some(known) = state.databases.get(endpoint) {
            known.fitness.note(isolation);
            return Some(known.relations.clone());
        }
        let server = state.servers.get(&endpoint.server)?.clone();
        let relations = Arc::new(PlainRelations::default());
        let fitness = Arc::new(Fitness::new(&state.demands));
        fitness.note(isolation);
        let catalog = Catalog {
            server,
            relations: relations.clone(),
            fitness,
            reader: None,
        };
        state.databases.insert(endpoint.clone(), catalog);
        self.added.notify_one();
        Some(relations)
    }

    /// Those of whom every relation may be anything.
    pub(super) fn unknown(&self) -> &Arc<PlainRelations> {
        &self.unknown
    }

    /// Why a tenant cannot be served over the role that its isolation's tenants
    /// share, as far as it is known.
    pub(super) fn unfit(&self, tenant: &Tenant) -> Option<Unfit> {
        let state = self.lock();
        let catalog = state.databases.get(&tenant.placement.endpoint)?;
        catalog.fitness.unfit(&tenant.isolation)
    }

    /// Whether tenants can be served has changed somewhere.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes other servers from now on. Of databases of servers that these change
    /// nothing is known any more.
    pub(super) fn replace(
        &self,
        servers: BTreeMap<ServerName, Server>,
        isolations: &BTreeMap<IsolationName, Isolation>,
    ) {
        {
            let mut state = self.lock();
            state.databases.retain(|endpoint, catalog| {
                let same = servers.get(&endpoint.server) == Some(&catalog.server);
                if !same {
                    catalog.retire();
                }
                same
            });
            state.servers = servers;
            let demands = demands(isolations);
            if state.demands != demands {
                for catalog in state.databases.values() {
                    catalog.fitness.demand(&demands);
                }
                state.demands = demands;
            }
        }
        self.add(isolations);
    }

    fn add(&self, isolations: &BTreeMap<IsolationName, Isolation>) {
        for (name, isolation) in isolations {
            if let Some(endpoint) = endpoint(isolation) {
                let _ = self.get(&endpoint, name);
            }
        }
    }

    /// Reads the catalogs, for ever. What it has begun ends with it.
    pub(super) async fn follow(self: Arc<Self>) {
        let stopped = Stopped(&self);
        loop {
            self.start_readers();
            stopped.0.added.notified().await;
        }
    }

    fn start_readers(&self) {
        let mut state = self.lock();
        for (endpoint, catalog) in &mut state.databases {
            if catalog.reader.is_none() {
                let server = catalog.server.clone();
                let database = endpoint.database.clone();
                let news = load::News {
                    relations: catalog.relations.clone(),
                    fitness: catalog.fitness.clone(),
                    changed: self.changed.clone(),
                };
                let reading = load::follow(server, database, news);
                catalog.reader = Some(tokio::spawn(reading).abort_handle());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Catalog {
    /// Who goes by it still knows nothing any more.
    fn retire(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.abort();
        }
        // Also of what a reader says that has not ended yet.
        self.relations.retire();
    }
}

/// Ends the readers when it is dropped.
struct Stopped<'a>(&'a Catalogs);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        for catalog in self.0.lock().databases.values_mut() {
            catalog.retire();
        }
    }
}

/// Whether tenants of such an isolation rest on a setting of the session that any
/// code could change, for whoever uses the connection next. With a role for each
/// tenant the role holds, and in kind `database` there is nothing else within
/// reach.
pub(super) fn rests_on_settings(kind: &IsolationKind) -> bool {
    match kind {
        IsolationKind::Setting { .. } => true,
        IsolationKind::Schema { per_tenant_role } => !per_tenant_role,
        IsolationKind::Database => false,
    }
}

/// The database of an isolation's tenants, where they do not say another server.
fn endpoint(isolation: &Isolation) -> Option<Endpoint> {
    if !rests_on_settings(&isolation.kind) {
        return None;
    }
    let database = match (&isolation.kind, &isolation.naming) {
        (IsolationKind::Setting { database, .. }, _) => database,
        (_, Some(naming)) => &naming.database,
        (_, None) => return None,
    };
    Some(Endpoint {
        server: isolation.server.clone(),
        database: database.clone(),
    })
}
