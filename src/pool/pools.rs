//! The pools there are.

use super::budget::Budget;
use super::halt::{Halt, Scope};
use super::queue;
use super::{Pool, lock};
use crate::config::{self, Contact, Server};
use crate::tenant::{Endpoint, IsolationName, Placement, ServerName};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The settings of pools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plans {
    /// Of those that isolations share.
    pub common: config::Pool,
    /// Of isolations that have pools of their own.
    pub own: BTreeMap<IsolationName, config::Pool>,
}

impl Plans {
    fn of(&self, key: &Key) -> Option<&config::Pool> {
        match &key.isolation {
            None => Some(&self.common),
            Some(isolation) => self.own.get(isolation),
        }
    }
}

/// Which pool it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) endpoint: Endpoint,
    /// Whose it is alone.
    pub(super) isolation: Option<IsolationName>,
    /// Its connections show masked data alone, and no other pool's do.
    pub(super) masked: bool,
}

/// All pools, by what they connect to.
#[derive(Debug)]
pub struct Pools {
    pub(super) state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) servers: BTreeMap<ServerName, Arc<Server>>,
    plans: Plans,
    workers: usize,
    budgets: HashMap<ServerName, Arc<Budget>>,
    pub(super) open: HashMap<Key, Arc<Pool>>,
    /// Who is to wait.
    pub(super) paused: HashSet<Scope>,
    /// Those that were replaced and have connections in use still.
    retired: Vec<Arc<Pool>>,
}

impl Pools {
    /// No pool yet: each is made when its first client comes.
    #[must_use]
    pub fn new(servers: BTreeMap<ServerName, Server>, plans: Plans, workers: usize) -> Self {
        Self {
            state: Mutex::new(State {
                servers: shared(servers),
                budgets: HashMap::new(),
                plans,
                workers,
                open: HashMap::new(),
                paused: HashSet::new(),
                retired: Vec::new(),
            }),
        }
    }

    /// The pool of an isolation's tenants in a database; `None` if no server has its name.
    pub fn get(&self, placement: &Placement, isolation: &IsolationName) -> Option<Arc<Pool>> {
        let endpoint = &placement.endpoint;
        let mut state = lock(&self.state);
        let own = state.plans.own.contains_key(isolation);
        let key = Key {
            endpoint: endpoint.clone(),
            isolation: own.then(|| isolation.clone()),
            masked: placement.masked,
        };
        if let Some(pool) = state.open.get(&key) {
            return Some(pool.clone());
        }
        let settings = state.plans.of(&key)?.clone();
        let server = state.servers.get(&endpoint.server)?.clone();
        let most = server.max_connections;
        let budget = state.budgets.entry(server.name.clone());
        let budget = budget.or_insert_with(|| Budget::new(most)).clone();
        let mut pool = Pool::new(key.clone(), server, settings, state.workers, budget.clone());
        let before = state.retired.iter().filter(|before| pool.replaces(before));
        let before: Vec<_> = before.cloned().collect();
        pool.before = before.iter().map(Arc::downgrade).collect();
        let pool = Arc::new(pool);
        budget.join(&pool);
        let halt = Halt::of(&state.paused, pool.database());
        if halt != Halt::default() {
            pool.halt(halt);
        }
        for before in before {
            *lock(&before.after) = Arc::downgrade(&pool);
        }
        state.open.insert(key, pool.clone());
        Some(pool)
    }

    /// Takes other servers and settings from now on. Returns the pools that
    /// these change: [`Pool::retire`] them once nobody is sent to them any more.
    pub fn replace(&self, servers: BTreeMap<ServerName, Server>, plans: Plans) -> Vec<Arc<Pool>> {
        let mut state = lock(&self.state);
        let mut servers = shared(servers);
        for (name, server) in &mut servers {
            match state.servers.get(name) {
                Some(known) if **known == **server => *server = known.clone(),
                // Which of its hosts leads is not forgotten with another setting.
                Some(known) if known.hosts.meet(&server.hosts) => {
                    Arc::make_mut(server).reached = known.reached.clone();
                }
                _ => {}
            }
        }
        for (name, budget) in &state.budgets {
            let server = servers.get(name);
            budget.set_most(server.and_then(|server| server.max_connections));
        }
        let open = std::mem::take(&mut state.open);
        let (kept, retired): (HashMap<_, _>, HashMap<_, _>) =
            open.into_iter().partition(|(key, pool)| {
                let server = servers.get(&key.endpoint.server);
                let unchanged = plans.of(key) == Some(&pool.settings);
                unchanged && server.is_some_and(|server| Arc::ptr_eq(server, &pool.server))
            });
        state.open = kept;
        state.servers = servers;
        state.plans = plans;
        let retired: Vec<_> = retired.into_values().collect();
        state.retired.extend(retired.iter().cloned());
        retired
    }

    /// The settings of the pools that isolations share.
    #[must_use]
    pub fn settings(&self) -> config::Pool {
        lock(&self.state).plans.common.clone()
    }

    /// How long nothing may move while an answer is awaited (`pool.check_after`).
    #[must_use]
    pub fn check_after(&self) -> Duration {
        lock(&self.state).plans.common.check_after
    }

    /// What came of the last attempt to reach the server; `None` if none has its name.
    #[must_use]
    pub fn contact(&self, server: &ServerName) -> Option<Contact> {
        let state = lock(&self.state);
        state
            .servers
            .get(server)
            .map(|server| server.reached.contact())
    }

    /// The servers that could not be reached when it was tried last.
    #[must_use]
    pub fn out_of_reach(&self) -> Vec<Arc<Server>> {
        let state = lock(&self.state);
        let has_failed =
            |server: &&Arc<Server>| matches!(server.reached.contact(), Contact::Failed(_));
        state.servers.values().filter(has_failed).cloned().collect()
    }

    /// Closes connections that have been idle for too long or are too old, or that their
    /// server has closed, tells those who have waited for too long, and takes
    /// back connections that others wait for and whose clients do nothing with
    /// them. To be called several times a second: it is what `wait_timeout` is
    /// precise to.
    pub fn sweep(&self) {
        for pool in self.all() {
            let swept = lock(&pool.queue).sweep(&pool, pool.settings.idle_timeout, pool.least());
            pool.close(swept.evicted);
            for spoilt in swept.spoilt {
                tracing::warn!(target: "pgtenant::server", "dropped a server connection whose cleanup failed");
                pool.abandon(spoilt);
            }
            queue::hand_out(swept.outcomes);
            pool.quotas.sweep();
            pool.reclaim();
        }
        let budgets: Vec<_> = lock(&self.state).budgets.values().cloned().collect();
        budgets.iter().for_each(|budget| budget.relieve());
        lock(&self.state)
            .retired
            .retain(|pool| !lock(&pool.queue).is_empty());
    }

    /// Replaces every connection to these databases, without disturbing anybody: those
    /// that are idle now, the others once they are given back. New ones have what the
    /// server's roles and databases say today.
    pub fn renew(&self, scope: &Scope) {
        let all = self.all();
        let pools = all
            .iter()
            .filter(|pool| scope.has_database(pool.database()));
        for pool in pools {
            pool.renew();
        }
    }

    /// Closes every idle connection.
    pub async fn close(&self) {
        for pool in self.all() {
            let swept = lock(&pool.queue).sweep(&pool, Duration::ZERO, 0);
            queue::hand_out(swept.outcomes);
            drop(swept.spoilt);
            for connection in swept.evicted {
                connection.close().await;
            }
        }
    }

    /// Those that give connections out.
    pub(super) fn in_use(&self) -> Vec<Arc<Pool>> {
        lock(&self.state).open.values().cloned().collect()
    }

    pub(super) fn all(&self) -> Vec<Arc<Pool>> {
        let state = lock(&self.state);
        let all = state.open.values().chain(&state.retired);
        all.cloned().collect()
    }
}

fn shared(servers: BTreeMap<ServerName, Server>) -> BTreeMap<ServerName, Arc<Server>> {
    let servers = servers.into_iter();
    servers
        .map(|(name, server)| (name, Arc::new(server)))
        .collect()
}
