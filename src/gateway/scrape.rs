//! What the proxy shows to Prometheus.

use super::{Control, Shared};
use crate::metrics::{
    Account, Doing, Format, Gauge, Present, Sample, Samples, Subject, Whose, number, process,
};
use crate::pool::{ConnectionState, PoolView};
use crate::session::{Hold, SessionState};
use crate::tenant::TenantId;
use prometheus_client::registry::Unit;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How many of what, by labels.
type Tally = BTreeMap<Vec<(&'static str, String)>, f64>;

impl Control {
    /// Writes all metrics as text. With many tenants it takes a while: not to be called
    /// on a worker.
    ///
    /// # Errors
    /// If they cannot be written to `out`.
    pub fn metrics(&self, format: Format, out: &mut dyn fmt::Write) -> fmt::Result {
        let shared = &*self.shared;
        let accounts = shared.ledger.accounts();
        let pools = self.pools();
        let present = self.present(&pools, &accounts);
        let mut gauges = vec![build_info()];
        gauges.extend(connections(&pools));
        gauges.extend(directory(shared));
        gauges.extend(credentials(shared));
        gauges.extend(faults(shared));
        gauges.extend(process());
        Samples::new(&shared.ledger, accounts, present, gauges).write(format, out)
    }

    /// The clients and server connections that there are of each tenant.
    fn present(&self, pools: &[PoolView], accounts: &[(Subject, Arc<Account>)]) -> Present {
        let own: HashSet<_> = accounts
            .iter()
            .map(|(subject, _)| &subject.tenant)
            .collect();
        let whose = |tenant: &TenantId, database: &Arc<str>| match own.contains(tenant) {
            true => Whose::Own(Subject {
                tenant: tenant.clone(),
                database: database.clone(),
            }),
            false => Whose::Others,
        };
        let mut present = Present::default();
        for session in self.shared.registry.glances() {
            let whose = whose(&session.tenant.id, &session.endpoint.database);
            present.client(whose, doing(session.state, session.hold), session.prepared);
        }
        for pool in pools {
            for tenant in &pool.tenants {
                let whose = whose(&tenant.tenant, &pool.endpoint.database);
                present.connections(whose, tenant.connections, tenant.longest);
            }
        }
        present
    }
}

fn doing(state: SessionState, hold: Hold) -> Doing {
    match (state, hold) {
        (SessionState::Idle, _) => Doing::Idle,
        (SessionState::Waiting, _) => Doing::Waiting,
        (SessionState::Active, Hold::Objects | Hold::Locks | Hold::Session) => Doing::Pinned,
        (SessionState::Active | SessionState::Attaching, _) => Doing::Active,
    }
}

fn build_info() -> Gauge {
    let labels = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    gauge(
        "pgtenant_build_info",
        "The version of the program",
        [(labels, 1.0)].into(),
    )
}

fn gauge(name: &'static str, help: &'static str, values: Tally) -> Gauge {
    let samples = values.into_iter();
    Gauge {
        name,
        help,
        unit: None,
        is_counter: false,
        samples: samples
            .map(|(labels, value)| Sample { labels, value })
            .collect(),
    }
}

fn in_unit(gauge: Gauge, unit: Unit) -> Gauge {
    Gauge {
        unit: Some(unit),
        ..gauge
    }
}

fn counter(name: &'static str, help: &'static str, values: Tally) -> Gauge {
    Gauge {
        is_counter: true,
        ..gauge(name, help, values)
    }
}

fn one(value: f64) -> Tally {
    [(Vec::new(), value)].into()
}

/// How many there are, as the formats have it.
fn count(of: usize) -> f64 {
    number(of as u64)
}

fn connections(pools: &[PoolView]) -> [Gauge; 2] {
    let (mut connections, mut sizes) = (Tally::new(), Tally::new());
    for pool in pools {
        let labels = vec![
            ("server", pool.endpoint.server.as_str().to_owned()),
            ("database", pool.endpoint.database.to_string()),
        ];
        let mut add = |state: &str, n: f64| {
            let mut labels = labels.clone();
            labels.push(("state", state.to_owned()));
            *connections.entry(labels).or_default() += n;
        };
        // So that there is a series for each, also where there is none of it now.
        for state in ["active", "idle", "scrubbing", "closing"] {
            add(state, 0.0);
        }
        add("opening", count(pool.opening));
        for connection in &pool.connections {
            let state = match connection.state {
                ConnectionState::Active => "active",
                ConnectionState::Idle => "idle",
                ConnectionState::Scrubbing => "scrubbing",
                ConnectionState::Closing => "closing",
            };
            add(state, 1.0);
        }
        if !pool.retired {
            *sizes.entry(labels).or_default() += count(pool.size);
        }
    }
    [
        gauge(
            "pgtenant_server_connections",
            "Server connections, by state",
            connections,
        ),
        gauge(
            "pgtenant_pool_size",
            "Most server connections of a pool",
            sizes,
        ),
    ]
}

fn directory(shared: &Shared) -> Vec<Gauge> {
    let live = shared.live.load();
    let directory = &live.directory;
    let age = directory.age().into_iter();
    vec![
        gauge(
            "pgtenant_directory_tenants",
            "Tenants in the directory",
            one(count(directory.tenants().count())),
        ),
        gauge(
            "pgtenant_directory_logins",
            "Logins in the directory",
            one(count(directory.len())),
        ),
        gauge(
            "pgtenant_directory_complete",
            "Whether the directory has all of its sources: 1, or 0 while one is away",
            one(if directory.is_complete() { 1.0 } else { 0.0 }),
        ),
        gauge(
            "pgtenant_directory_problems",
            "Entries of the directory's database that cannot be used",
            one(count(directory.left_out())),
        ),
        in_unit(
            gauge(
                "pgtenant_directory_age",
                "How long ago the directory's database confirmed what it says",
                age.map(|age| (Vec::new(), age.as_secs_f64())).collect(),
            ),
            Unit::Seconds,
        ),
        gauge(
            "pgtenant_max_clients",
            "Most clients (listen.max_clients)",
            one(count(live.listen.max_clients)),
        ),
    ]
}

fn credentials(shared: &Shared) -> [Gauge; 2] {
    let live = shared.live.load();
    let keys = live.authenticator.key_ages();
    let ages = keys.map(|(issuer, age)| {
        let age = age.map_or(f64::INFINITY, |age: Duration| age.as_secs_f64());
        (vec![("issuer", issuer.to_owned())], age)
    });
    let now = SystemTime::now();
    let expiries = live.certificate_files.iter().map(|one| {
        let file = ("certificate", one.file.display().to_string());
        let left = one.lifetime.left(now);
        #[expect(clippy::cast_precision_loss, reason = "so the formats have it")]
        let left = left as f64;
        (vec![file, ("key", one.key.clone())], left)
    });
    [
        in_unit(
            gauge(
                "pgtenant_jwks_age",
                "How long ago the keys of an issuer of tokens were fetched",
                ages.collect(),
            ),
            Unit::Seconds,
        ),
        in_unit(
            gauge(
                "pgtenant_certificate_expiry",
                "How long the certificates in a file are still valid: the one that expires first; below 0 once it has",
                expiries.collect(),
            ),
            Unit::Seconds,
        ),
    ]
}

fn passed_on(shared: &Shared) -> Tally {
    let live = shared.live.load();
    let peers = live.peers.iter().flat_map(|peers| peers.views());
    let counts = peers.flat_map(|peer| {
        peer.counts.map(|(outcome, count)| {
            let peer = ("peer", peer.id.to_string());
            let outcome = ("outcome", outcome.name().to_owned());
            (vec![peer, outcome], number(count))
        })
    });
    counts.collect()
}

fn faults(shared: &Shared) -> [Gauge; 4] {
    let (_, bytes) = shared.interner.size();
    let kind = |kind: &str, bytes| (vec![("kind", kind.to_owned())], count(bytes));
    let mut memory = Tally::from([kind("statements", bytes)]);
    let audit = shared.audit.status();
    memory.extend(audit.map(|audit| kind("audit", audit.waiting_bytes)));
    [
        counter(
            "pgtenant_cancels",
            "Requests to cancel that had a right key",
            one(number(shared.ledger.cancelled())),
        ),
        counter(
            "pgtenant_peer_cancels",
            "Requests to cancel that were passed on to another replica, by what came of them",
            passed_on(shared),
        ),
        counter(
            "pgtenant_watchdog",
            "Sessions that were ended since they waited for an answer that was not to come",
            one(number(shared.registry.faults())),
        ),
        in_unit(
            gauge(
                "pgtenant_memory",
                "What is held in memory for clients, by kind",
                memory,
            ),
            Unit::Bytes,
        ),
    ]
}
