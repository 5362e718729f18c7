//! Statements that still run when their client has left.

use crate::{Leaving, WAYS_TO_LEAVE, superuser, with_bulk};
use testkit::{Options, Pipeline, Proxy, Raw, assert_whole, pool, site, wait_until};

fn one_connection() -> Options {
    Options {
        size: 1,
        wait_timeout: pool::WAIT_TIMEOUT,
        reclaim_after: "200ms",
        ..Options::default()
    }
}

/// How many sessions of the database meet the condition (`pg_stat_activity`).
fn sessions(admin: &mut Raw, condition: &str) -> usize {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND usename = 'wellness_app' AND application_name <> 'pgtenant' AND {condition}"
    );
    admin.value(&sql).parse().unwrap()
}

/// Sends a statement that does not end, and leaves once it runs.
fn abandon(proxy: &Proxy, messages: &Pipeline, condition: &str, leaving: Leaving) {
    let mut admin = superuser(&proxy.database("innovate"));
    let mut client = proxy.raw("innovate");
    client.send(messages.bytes());
    wait_until("the statement runs", || {
        sessions(&mut admin, condition) == 1
    });
    leaving.go(client);
    // Others wait for the connection.
    assert_whole(&format!("{leaving:?}"), proxy, "synergy", 1);
    wait_until("the statement is cancelled", || {
        sessions(&mut admin, condition) == 0
    });
}

/// Both protocols, by itself and in a transaction.
fn ways_to_run(sql: &str) -> [Pipeline; 5] {
    let p = Pipeline::new;
    [
        p().query(sql),
        p().statement(sql).sync(),
        p().statement(sql).flush(),
        p().query("BEGIN").query(sql),
        p().query(sql)
            .query("SELECT 1")
            .statement("SELECT 2")
            .sync(),
    ]
}

#[test]
fn a_statement_that_was_abandoned_does_not_hold_its_connection() {
    let proxy = with_bulk(one_connection());
    for leaving in WAYS_TO_LEAVE {
        for messages in ways_to_run("SELECT pg_sleep(600)") {
            abandon(&proxy, &messages, "wait_event = 'PgSleep'", leaving);
        }
    }
}

#[test]
fn a_statement_that_was_abandoned_while_it_waits_for_a_lock_does_not_hold_its_connection() {
    let proxy = with_bulk(one_connection());
    let mut holder = superuser(&proxy.database("innovate"));
    holder.run_ok("BEGIN; LOCK TABLE bulk");
    for leaving in WAYS_TO_LEAVE {
        for messages in ways_to_run("INSERT INTO bulk VALUES (1, 'x')") {
            abandon(&proxy, &messages, "wait_event_type = 'Lock'", leaving);
        }
    }
    holder.run_ok("COMMIT");
    let count = site().sql(&proxy.database("innovate"), "SELECT count(*) FROM bulk");
    assert_eq!(count, "0");
}

#[test]
fn who_abandons_statements_again_and_again_has_no_more_than_its_share() {
    let proxy = with_bulk(Options {
        size: 4,
        size_per_tenant: Some(2),
        ..one_connection()
    });
    let mut admin = superuser(&proxy.database("innovate"));
    let mut most = 0;
    for number in 0..130 {
        let mut client = proxy.raw("innovate");
        client.send_query("SELECT pg_sleep(60)");
        Leaving::Reset.go(client);
        most = most.max(sessions(&mut admin, "true"));
        if number % 26 == 0 {
            for login in ["synergy", "acme", "initech"] {
                proxy.raw(login).run_ok("SELECT 1");
            }
        }
    }
    assert!(most <= 4, "there were {most} sessions on the server");
    wait_until("all of them are cancelled", || {
        sessions(&mut admin, "state = 'active'") == 0
    });
    assert_whole("many abandoned statements", &proxy, "synergy", 2);
    assert_whole("many abandoned statements", &proxy, "innovate", 2);
    assert_eq!(proxy.raw("innovate").value("SELECT 1"), "1");
}
