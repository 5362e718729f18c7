//! What the Prometheus project's pgbouncer_exporter (0.12) and CloudNativePG's metrics
//! rest on: an answer that is otherwise ends their whole scrape.

use super::{operator, port, proxy, try_admin};
use std::collections::HashSet;
use testkit::{Answer, Options, Raw, wait_until};

/// `oid`s of text, int4 and numeric.
const TEXT: u32 = 25;
const INT4: u32 = 23;
const NUMERIC: u32 = 1700;

/// An answer's columns with their types, and its rows.
struct Shown {
    columns: Vec<(String, u32)>,
    rows: Vec<Vec<Option<String>>>,
}

impl Shown {
    fn of(answer: &Answer) -> Self {
        let head = answer.of(b'T').next().unwrap();
        let names = super::columns(&head.body);
        let mut rest = &head.body[2..];
        let columns = names.into_iter().map(|name| {
            let behind = &rest[name.len() + 1..];
            rest = &behind[18..];
            (name, u32::from_be_bytes(behind[6..10].try_into().unwrap()))
        });
        Self {
            columns: columns.collect(),
            rows: answer.rows(),
        }
    }

    fn show(admin: &mut Raw, what: &str) -> Self {
        Self::of(&admin.run_ok(what))
    }

    fn at(&self, name: &str) -> usize {
        let names = self.columns.iter();
        names.map(|(name, _)| name).position(|n| n == name).unwrap()
    }

    /// The values of a label: texts or int4, and no two rows have the same ones.
    fn labelled(&self, labels: &[&str]) {
        let places: Vec<_> = labels.iter().map(|label| self.at(label)).collect();
        for place in &places {
            let (name, kind) = &self.columns[*place];
            assert!([TEXT, INT4].contains(kind), "{name}");
        }
        let mut seen = HashSet::new();
        for row in &self.rows {
            let labels: Vec<_> = places.iter().map(|place| row[*place].clone()).collect();
            assert!(seen.insert(labels), "{row:?}");
        }
    }

    /// The values of a metric: numbers.
    fn measured(&self, names: &str) {
        for name in names.split_whitespace() {
            let place = self.at(name);
            for row in &self.rows {
                let value = row[place].as_deref().unwrap();
                assert!(value.parse::<f64>().is_ok(), "{name}: {value}");
            }
        }
    }
}

#[test]
fn the_exporter_s_queries_are_answered_as_it_expects() {
    let proxy = proxy(Options::default());
    let _clients = ["innovate", "synergy", "globex", "initech"].map(|login| {
        let mut client = proxy.raw(login);
        client.run_ok("SELECT 1");
        client
    });
    // A viewer is enough.
    let mut admin = try_admin(&proxy, port(&proxy), "eyes", "pgbouncer").unwrap();
    wait_until("all is counted", || {
        Shown::show(&mut admin, "SHOW STATS;").rows.len() == 3
    });
    let version = Shown::show(&mut admin, "SHOW VERSION;");
    assert_eq!(version.columns, [("version".to_owned(), TEXT)]);
    let lists = Shown::show(&mut admin, "SHOW LISTS;");
    assert_eq!(lists.columns.len(), 2);
    lists.measured("items");
    let config = Shown::show(&mut admin, "SHOW CONFIG;");
    assert_eq!(config.columns.len(), 4);
    for row in &config.rows {
        assert!(row.iter().all(Option::is_some), "{row:?}");
        if ["max_client_conn", "max_user_connections"]
            .map(Some)
            .contains(&row[0].as_deref())
        {
            row[1].as_deref().unwrap().parse::<f64>().unwrap();
        }
    }
    let clients = Shown::show(&mut admin, "SHOW CLIENTS;");
    for name in ["database", "user", "state", "application_name"] {
        clients.at(name);
    }
    let databases = Shown::show(&mut admin, "SHOW databases;");
    assert_eq!(databases.rows.len(), 3);
    databases.labelled(&[
        "name",
        "host",
        "port",
        "database",
        "force_user",
        "pool_mode",
    ]);
    databases
        .measured("pool_size reserve_pool max_connections current_connections paused disabled");
    let totals = Shown::show(&mut admin, "SHOW stats_totals;");
    totals.labelled(&["database"]);
    totals.measured(
        "query_count query_time bytes_received bytes_sent wait_time xact_count xact_time \
         server_assignment_count",
    );
    let pools = Shown::show(&mut admin, "SHOW pools;");
    pools.labelled(&["database", "user"]);
    pools.measured(
        "cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active \
         sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait",
    );
}

#[test]
fn positions_and_types_are_those_that_tools_scan_into() {
    let proxy = proxy(Options::default());
    let mut client = proxy.raw("innovate");
    client.run_ok("SELECT 1");
    let mut admin = operator(&proxy);
    let types = |admin: &mut Raw, what: &str| -> Vec<u32> {
        let shown = Shown::show(admin, what);
        shown.columns.into_iter().map(|(_, kind)| kind).collect()
    };
    let pools = [&[TEXT; 2][..], &[INT4; 13], &[TEXT]].concat();
    assert_eq!(types(&mut admin, "SHOW POOLS"), pools);
    let stats = [&[TEXT][..], &[NUMERIC; 16]].concat();
    assert_eq!(types(&mut admin, "SHOW STATS"), stats);
    assert_eq!(types(&mut admin, "SHOW LISTS"), [TEXT, INT4]);
    for what in ["STATS", "POOLS"] {
        let shown = Shown::show(&mut admin, &format!("SHOW {what}"));
        let numbers = shown.columns.iter().enumerate();
        for (place, _) in numbers.filter(|(_, (_, kind))| *kind != TEXT) {
            for row in &shown.rows {
                // Telegraf takes whole numbers alone.
                row[place].as_deref().unwrap().parse::<i64>().unwrap();
            }
        }
    }
}
