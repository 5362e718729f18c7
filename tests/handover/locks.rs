//! The cleanup needs locks, and there are none left, or somebody has them.

use crate::{LOOK, NOTHING, Place};
use testkit::{Pipeline, Raw, answers_soon, wait_until};

/// Takes advisory locks until the server has no memory for more.
const TAKE_ALL: &str = "SELECT count(pg_try_advisory_lock(n)) FROM generate_series(1, 1000000) n";

/// Asserts that the client is answered: with its own row alone, or an error.
fn look(client: &mut Raw) -> bool {
    client.send_query(LOOK);
    assert!(answers_soon(client), "no answer");
    let Some(answer) = client.try_ready() else {
        panic!("the session was ended");
    };
    if answer.errors().is_empty() {
        assert_eq!(answer.value(), NOTHING);
    }
    answer.errors().is_empty()
}

#[test]
fn a_cleanup_that_fails_for_want_of_locks_hands_nothing_over() {
    for major in [15, 18] {
        let guard = "channels = \"allow\"";
        let Some(place) = Place::start(major, "wait_timeout = \"2s\"", guard) else {
            continue;
        };
        let mut b = place.client("synergy");
        let mut a = place.client("innovate");
        a.run_ok("CREATE TEMP TABLE of_a AS SELECT 1 AS n; SET app.secret = 'of_a'");
        let mut holder = place.plain.superuser();
        assert_eq!(holder.error(TAKE_ALL).code(), "53200");
        drop(a);
        // Dropping the table needs a lock. It may be served elsewhere or wait.
        for _ in 0..3 {
            look(&mut b);
        }
        holder.run_ok("SELECT pg_advisory_unlock_all()");
        wait_until("the next tenant is served", || look(&mut b));
    }
}

#[test]
fn who_takes_all_locks_itself_hands_nothing_over() {
    for major in [15, 18] {
        let guard = "channels = \"allow\"";
        let Some(place) = Place::start(major, "wait_timeout = \"2s\"", guard) else {
            continue;
        };
        let mut b = place.client("synergy");
        let for_the_transaction = TAKE_ALL.replace("try_advisory_lock", "try_advisory_xact_lock");
        for sql in [TAKE_ALL, &for_the_transaction] {
            let mut a = place.client("innovate");
            a.run_ok("CREATE TEMP TABLE of_a AS SELECT 1 AS n; SET app.secret = 'of_a'");
            assert_eq!(a.error(sql).code(), "53200");
            drop(a);
            wait_until("the next tenant is served", || look(&mut b));
        }
        // As many as there are, in a transaction that the pipeline leaves open.
        let some = for_the_transaction.replace("1000000", "1500");
        let pipeline = Pipeline::new()
            .parse("", &some)
            .prepared("", &[])
            .query("SELECT 1")
            .sync();
        let mut a = place.client("innovate");
        a.send(pipeline.bytes());
        a.until_ready();
        a.until_ready();
        wait_until("the next tenant is served", || look(&mut b));
    }
}

/// Another session of the last tenant's has a lock on what is to be dropped.
#[test]
fn a_cleanup_that_waits_for_a_lock_does_not_hold_the_pool() {
    for major in [15, 18] {
        let pool = "wait_timeout = \"2s\"";
        let Some(place) = Place::start(major, pool, "") else {
            continue;
        };
        let mut a = place.client("innovate");
        let mut b = place.client("synergy");
        a.run_ok("CREATE TEMP TABLE of_a (n int)");
        let mut holder = place.plain.superuser();
        let schema =
            holder.value("SELECT relnamespace::regnamespace FROM pg_class WHERE relname = 'of_a'");
        holder.run_ok(&format!("BEGIN; LOCK TABLE {schema}.of_a IN SHARE MODE"));
        drop(a);
        wait_until("the next tenant is served", || look(&mut b));
        holder.run_ok("ROLLBACK");
    }
}
