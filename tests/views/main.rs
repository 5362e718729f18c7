//! PostgreSQL's views of all sessions (`pg_stat_activity`, `pg_locks`, …): a client
//! sees its own rows in them, or none, and nothing of another tenant.

#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(missing_docs, unreachable_pub)]

mod leaks;
mod shapes;
mod tools;

use testkit::{Plain, Programs, Proxy, Raw};

/// A server and the proxy before it.
struct Place {
    // Stopped first.
    proxy: Proxy,
    plain: Plain,
}

impl Place {
    /// `None` where this version of PostgreSQL is not there.
    fn start(major: u32, pool: &str) -> Option<Self> {
        let programs = Programs::find(major)?;
        let settings = [
            ("max_prepared_transactions", "5"),
            ("wal_level", "replica"),
            // Each query would be sent twice to an idle machine's cores.
            ("max_parallel_workers", "0"),
        ];
        let plain = Plain::start(&programs, &settings);
        let proxy = plain.proxy(plain.cluster.port(), pool, "");
        Some(Self { proxy, plain })
    }

    fn client(&self, login: &str) -> Raw {
        self.plain.client(&self.proxy, login)
    }
}

/// The views, and the first release that has each.
const VIEWS: &[(&str, u32)] = &[
    ("pg_aios", 18),
    ("pg_locks", 15),
    ("pg_prepared_statements", 15),
    ("pg_prepared_xacts", 15),
    ("pg_replication_origin_status", 15),
    ("pg_replication_slots", 15),
    ("pg_stat_activity", 15),
    ("pg_stat_gssapi", 15),
    ("pg_stat_progress_analyze", 15),
    ("pg_stat_progress_basebackup", 15),
    ("pg_stat_progress_cluster", 15),
    ("pg_stat_progress_copy", 15),
    ("pg_stat_progress_create_index", 15),
    ("pg_stat_progress_vacuum", 15),
    ("pg_stat_replication", 15),
    ("pg_stat_ssl", 15),
    ("pg_stat_subscription", 15),
    ("pg_stat_wal_receiver", 15),
];

/// Those that a release has.
fn views(major: u32) -> impl Iterator<Item = &'static str> {
    let there = VIEWS.iter().filter(move |(_, since)| *since <= major);
    there.map(|(view, _)| *view)
}
