//! The process at one time, as the page shows it.

use super::Shown;
use super::audit::Audited;
use crate::admin::http::Check;
use crate::directory::Directory;
use crate::metrics::{History, Recent, Refused};
use crate::pool::{ConnectionState, PoolView, Scope};
use crate::session::{Hold, SessionState, SessionView};
use crate::tenant::TenantId;
use crate::x509::Lifetime;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The process at one time.
#[derive(Debug)]
pub struct Picture {
    pub(super) time: SystemTime,
    pub(super) uptime: Duration,
    pub(super) checks: Vec<Check>,
    /// The latest first.
    pub(super) sessions: Vec<SessionView>,
    pub(super) servers: Servers,
    pub(super) directory: Arc<Directory>,
    /// Those that do or did something.
    pub(super) tenants: HashMap<TenantId, Activity>,
    pub(super) all: Recent,
    pub(super) paused: HashSet<Scope>,
    pub(super) disabled: HashSet<Scope>,
    pub(super) refusals: Vec<Refused>,
    pub(super) refused_by_rule: BTreeMap<&'static str, u64>,
    pub(super) audited: Option<Audited>,
    pub(super) lifetimes: Vec<(String, Lifetime)>,
    pub(super) key_ages: Vec<(String, Option<Duration>)>,
    pub(super) can_check: bool,
}

/// What a tenant does.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Activity {
    pub(super) clients: usize,
    pub(super) active: usize,
    pub(super) waiting: usize,
    pub(super) pinned: usize,
    pub(super) connections: usize,
    /// How long the first of those that wait has waited.
    pub(super) longest: Duration,
    /// Transactions a second.
    pub(super) rate: f64,
    /// In the last hour.
    pub(super) refusals: u64,
}

/// The connections to servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Servers {
    pub(super) active: usize,
    pub(super) idle: usize,
    pub(super) opening: usize,
}

impl Picture {
    /// Takes one; `checks` tell whether the process can serve clients. With many clients
    /// it takes a while: not to be called on a thread that others wait for.
    #[must_use]
    pub fn take(shown: &impl Shown, checks: Vec<Check>) -> Self {
        let mut sessions = shown.sessions();
        sessions.sort_by_key(|session| std::cmp::Reverse(session.connected));
        let pools = shown.pools();
        Self {
            time: SystemTime::now(),
            uptime: shown.uptime(),
            checks,
            servers: servers(&pools),
            tenants: tenants(&sessions, &pools, shown.history()),
            sessions,
            directory: shown.directory(),
            all: shown.history().of_all(),
            paused: shown.paused(),
            disabled: shown.disabled(),
            refusals: shown.refusals(),
            refused_by_rule: shown.refused_by_rule(),
            audited: Audited::of(shown.audit()),
            lifetimes: shown.lifetimes(),
            key_ages: shown.key_ages(),
            can_check: shown.checkup().is_some(),
        }
    }

    /// Clients that wait for a server connection.
    pub(super) fn waiting(&self) -> usize {
        self.tenants.values().map(|tenant| tenant.waiting).sum()
    }

    /// Clients that have a server connection.
    pub(super) fn active(&self) -> usize {
        self.tenants.values().map(|tenant| tenant.active).sum()
    }

    pub(super) fn is_paused(&self, tenant: &TenantId) -> bool {
        let own = Scope::Tenant(tenant.clone());
        self.paused.contains(&own) || self.paused.contains(&Scope::All)
    }
}

fn tenants(
    sessions: &[SessionView],
    pools: &[PoolView],
    history: &History,
) -> HashMap<TenantId, Activity> {
    let mut tenants: HashMap<TenantId, Activity> = HashMap::new();
    for session in sessions {
        let tenant = tenants.entry(session.tenant.id.clone()).or_default();
        tenant.clients += 1;
        match session.state {
            SessionState::Waiting => tenant.waiting += 1,
            SessionState::Active | SessionState::Attaching => tenant.active += 1,
            SessionState::Idle => {}
        }
        let is_pinned = !matches!(session.hold, Hold::No | Hold::Transaction);
        tenant.pinned += usize::from(is_pinned);
    }
    for one in pools.iter().flat_map(|pool| &pool.tenants) {
        let tenant = tenants.entry(one.tenant.clone()).or_default();
        tenant.connections += one.connections;
        tenant.longest = tenant.longest.max(one.longest);
    }
    for (tenant, (rate, refusals)) in history.summary() {
        let tenant = tenants.entry(tenant).or_default();
        (tenant.rate, tenant.refusals) = (rate, refusals);
    }
    tenants
}

fn servers(pools: &[PoolView]) -> Servers {
    let mut servers = Servers::default();
    for pool in pools {
        servers.opening += pool.opening;
        for connection in &pool.connections {
            match connection.state {
                ConnectionState::Active => servers.active += 1,
                ConnectionState::Idle | ConnectionState::Scrubbing => servers.idle += 1,
                ConnectionState::Closing => {}
            }
        }
    }
    servers
}
