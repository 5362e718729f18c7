//! Giving no server connection out for a while (PAUSE, RESUME).

use super::queue::{self, Queue};
use super::{Pool, Pools, lock};
use crate::tenant::TenantId;
use std::collections::HashSet;
use std::sync::Arc;

/// Whose clients are to wait.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everybody's.
    All,
    /// Those of a database of whatever server.
    Database(Arc<str>),
    /// Those of a tenant.
    Tenant(TenantId),
}

impl Scope {
    /// Whether it is all of this database.
    #[must_use]
    pub fn has_database(&self, database: &str) -> bool {
        match self {
            Self::All => true,
            Self::Database(name) => **name == *database,
            Self::Tenant(_) => false,
        }
    }
}

/// Who waits in one pool whatever is free.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Halt {
    /// All.
    pub(super) whole: bool,
    /// The clients of these.
    pub(super) tenants: HashSet<TenantId>,
}

impl Halt {
    /// Of the pool of this database.
    pub(super) fn of(scopes: &HashSet<Scope>, database: &str) -> Self {
        let tenants = scopes.iter().filter_map(|scope| match scope {
            Scope::Tenant(id) => Some(id.clone()),
            Scope::All | Scope::Database(_) => None,
        });
        Self {
            whole: scopes.iter().any(|scope| scope.has_database(database)),
            tenants: tenants.collect(),
        }
    }

    pub(super) fn holds(&self, tenant: &TenantId) -> bool {
        self.whole || self.tenants.contains(tenant)
    }
}

impl Pools {
    /// Gives out no connection to these from now on: who asks for one waits, and
    /// `wait_timeout` does not run. A database's connections are closed, each as soon as
    /// nobody uses it. `false`: they wait already.
    pub fn pause(&self, scope: &Scope) -> bool {
        let is_new = lock(&self.state).paused.insert(scope.clone());
        self.apply();
        let all = self.all();
        // What a tenant alone has used others can use.
        let paused = all
            .iter()
            .filter(|pool| scope.has_database(pool.database()));
        for pool in paused {
            pool.replace_connections();
        }
        is_new
    }

    /// Ends what [`pause`](Self::pause) began; of [`Scope::All`], every such. `false`:
    /// there was none.
    pub fn resume(&self, scope: &Scope) -> bool {
        let was_there = {
            let paused = &mut lock(&self.state).paused;
            match scope {
                Scope::All => paused.drain().count() > 0,
                scope => paused.remove(scope),
            }
        };
        self.apply();
        was_there
    }

    /// Who waits by [`pause`](Self::pause).
    #[must_use]
    pub fn paused(&self) -> HashSet<Scope> {
        lock(&self.state).paused.clone()
    }

    /// Whether no client of these uses a connection.
    #[must_use]
    pub fn is_quiet(&self, scope: &Scope) -> bool {
        self.all().iter().all(|pool| match scope {
            Scope::Database(name) if **name != *pool.database() => true,
            Scope::Tenant(id) => lock(&pool.queue).used(pool, id) == 0,
            Scope::All | Scope::Database(_) => pool.is_unused(),
        })
    }

    /// Whether every connection of these that was there at the last
    /// [`renew`](Self::renew) is gone.
    #[must_use]
    pub fn is_renewed(&self, scope: &Scope) -> bool {
        let all = self.all();
        let mut pools = all
            .iter()
            .filter(|pool| scope.has_database(pool.database()));
        pools.all(|pool| !pool.idle.has_outlived(&pool.roll))
    }

    fn apply(&self) {
        let paused = self.paused();
        for pool in self.all() {
            pool.halt(Halt::of(&paused, pool.database()));
        }
    }
}

impl Pool {
    /// Changes who waits, and serves those who need not any more.
    pub(super) fn halt(self: &Arc<Self>, halt: Halt) {
        let outcomes = lock(&self.queue).halt(self, halt);
        queue::hand_out(outcomes);
    }

    /// Whether all connections are idle.
    fn is_unused(&self) -> bool {
        let mut idle = 0;
        self.idle.each(|_| idle += 1);
        lock(&self.queue).open() <= idle
    }
}

impl Queue {
    /// Whether anybody waits whatever is free.
    pub(super) fn halts_somebody(&self) -> bool {
        self.halt != Halt::default()
    }

    /// Whether the tenant's clients wait whatever is free.
    pub(super) fn is_halted(&self, tenant: &TenantId) -> bool {
        self.halt.holds(tenant)
    }
}
