//! What a client has left on its server connection: nobody waits for it.

use crate::{WAYS_TO_LEAVE, with_bulk};
use testkit::{Options, site, wait_until};

#[test]
fn locks_of_a_client_that_has_left_are_released_at_once() {
    let proxy = with_bulk(Options {
        channels: "allow",
        ..Options::default()
    });
    let database = proxy.database("innovate");
    for leaving in WAYS_TO_LEAVE {
        let mut client = proxy.raw("innovate");
        assert_eq!(client.value("SELECT pg_try_advisory_lock(7)"), "t");
        leaving.go(client);
        // The connection is kept for minutes, and nobody else asks for it.
        wait_until("the lock is released", || {
            let sql = "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database \
                       WHERE locktype = 'advisory' AND datname = current_database()";
            site().sql(&database, sql) == "0"
        });
    }
}

#[test]
fn temporary_tables_of_a_client_that_has_left_are_dropped_at_once() {
    let proxy = with_bulk(Options::default());
    let database = proxy.database("innovate");
    for leaving in WAYS_TO_LEAVE {
        let mut client = proxy.raw("innovate");
        client.run_ok("CREATE TEMP TABLE mine AS SELECT 1 AS n");
        leaving.go(client);
        wait_until("the table is dropped", || {
            let sql = "SELECT count(*) FROM pg_class WHERE relname = 'mine'";
            site().sql(&database, sql) == "0"
        });
    }
}

#[test]
fn transactions_of_a_client_that_has_left_are_rolled_back_at_once() {
    let proxy = with_bulk(Options::default());
    let database = proxy.database("innovate");
    for leaving in WAYS_TO_LEAVE {
        let mut client = proxy.raw("innovate");
        client.run_ok("BEGIN; INSERT INTO bulk VALUES (1, 'x')");
        leaving.go(client);
        // It waits for the lock that the INSERT has.
        site().sql(&database, "TRUNCATE bulk");
    }
}
