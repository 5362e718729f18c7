//! Code behind relations that were there before the proxy.

use crate::{ALICE, BOB, Place, WHOSE, on_each};
use testkit::{Pipeline, Raw};

/// Reads that run the code.
const READS: &[&str] = &[
    "SELECT * FROM innocent",
    "TABLE public.innocent",
    "SELECT * FROM over_innocent",
    "SELECT n FROM report UNION ALL SELECT 1 FROM innocent",
    "WITH w AS (SELECT * FROM innocent) SELECT * FROM w",
    "SELECT * FROM other.twice",
    "COPY (SELECT * FROM innocent) TO STDOUT",
];

type Run = fn(&mut Raw, &str);

fn simple(client: &mut Raw, sql: &str) {
    client.run_ok(sql);
}

fn extended(client: &mut Raw, sql: &str) {
    client.extended(sql).ok();
}

fn prepared(client: &mut Raw, sql: &str) {
    let close = Pipeline::new().close_statement("p").sync();
    client.run(&close).ok();
    client.run(&Pipeline::new().parse("p", sql).sync()).ok();
    let run = Pipeline::new().prepared("p", &[]).sync();
    client.run(&run).ok();
}

#[test]
fn what_a_view_does_to_the_tenant_reaches_nobody_who_uses_the_connection_next() {
    on_each(|major| {
        let Some(place) = Place::start(major) else {
            return;
        };
        let mut client = place.client("innovate");
        let mut same = place.client("innovate");
        let mut other = place.client("synergy");
        let backend = client.backend();
        let runs: [Run; 3] = [simple, extended, prepared];
        for sql in READS {
            for run in runs {
                // Within the transaction it holds: the case is real.
                client.run_ok("BEGIN");
                run(&mut client, sql);
                assert_eq!(client.value(WHOSE), BOB, "{sql}");
                client.run_ok("COMMIT");
                assert_eq!(client.value(WHOSE), ALICE, "{sql}");

                run(&mut client, sql);
                assert_eq!(same.value(WHOSE), ALICE, "{sql}");
                run(&mut client, sql);
                assert_eq!(client.value(WHOSE), ALICE, "{sql}");
                run(&mut client, sql);
                assert_eq!(other.value(WHOSE), BOB, "{sql}");
                assert_eq!(same.backend(), backend);
            }
        }
        client.run_ok("INSERT INTO ruled VALUES (1)");
        assert_eq!(same.value(WHOSE), ALICE);
    });
}

#[test]
fn what_a_view_does_ends_with_the_transaction_of_a_client_that_keeps_its_connection() {
    on_each(|major| {
        for mode in ["transaction", "session"] {
            let pool = format!("mode = {mode:?}");
            let Some(place) = Place::start_with(major, "", &pool, "") else {
                return;
            };
            place.wait_until_known();
            let mut client = place.client("innovate");
            client.run_ok("CREATE TEMP TABLE mine AS SELECT 42 AS n");
            for sql in READS {
                simple(&mut client, sql);
                assert_eq!(client.value(WHOSE), ALICE, "{mode}: {sql}");
                extended(&mut client, sql);
                assert_eq!(client.extended(WHOSE).ok().value(), ALICE, "{mode}: {sql}");
            }
            assert_eq!(client.value("SELECT n FROM mine"), "42");
        }
    });
}

#[test]
fn nothing_is_believed_of_a_relation_that_could_run_code() {
    on_each(|major| {
        let with_files = "CREATE EXTENSION file_fdw;
            CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
            CREATE FOREIGN TABLE foreigner (n int) SERVER files
                OPTIONS (filename '/dev/null');
            CREATE FOREIGN TABLE part_two PARTITION OF part FOR VALUES IN (2)
                SERVER files OPTIONS (filename '/dev/null');
            CREATE SEQUENCE numbers;
            GRANT ALL ON ALL TABLES IN SCHEMA public TO wellness_app;
            GRANT ALL ON SEQUENCE numbers TO wellness_app;";
        let Some(place) = Place::start_with(major, with_files, "", "") else {
            return;
        };
        place.wait_until_known();
        let mut client = place.client("innovate");
        for name in [
            "innocent",
            "stored",
            "ruled",
            // Its rows may come from a foreign table.
            "part",
            "foreigner",
            "numbers",
            // A view bears the same name, and no search_path is known.
            "public.twice",
        ] {
            let sql = format!("SELECT count(*) FROM {name}");
            let doubts = place.doubts(&mut client, |client| simple(client, &sql));
            assert!(doubts, "PostgreSQL {major}: {sql}");
        }
        assert!(!place.doubts(&mut client, |client| simple(client, WHOSE)));
    });
}

#[test]
fn a_restricted_tenant_and_each_worker_go_by_the_same() {
    let Some(place) = Place::start(15) else {
        return;
    };
    let restricted = |text: &str| {
        let more = "statement_timeout = \"9s\"\n[[logins]]";
        testkit::with_workers(&text.replace("[[logins]]", more), 3)
    };
    // The number of workers needs a restart.
    let text = std::fs::read_to_string(&place.proxy.config).unwrap();
    std::fs::write(&place.proxy.config, restricted(&text)).unwrap();
    let mut proxy = testkit::Proxy::run(&place.proxy.config);
    proxy.password.clone_from(&place.proxy.password);
    proxy.wait_for_log("the plain tables of the database are known");
    let mut clients: Vec<_> = (0..3)
        .map(|_| place.plain.client(&proxy, "innovate"))
        .collect();
    let mut witness = place.plain.client(&proxy, "innovate");
    for client in &mut clients {
        assert_eq!(client.value("SHOW statement_timeout"), "9s");
        simple(client, READS[0]);
        assert_eq!(witness.value(WHOSE), ALICE);
        assert!(!place.doubts(client, |client| simple(client, WHOSE)));
        assert!(place.doubts(client, |client| simple(client, READS[0])));
    }
}
