//! The server's answers come late, as from another machine: no order of what two
//! tenants send at the same time lets one see the other.

use crate::{LOOK, NOTHING, Place};
use std::time::Duration;
use testkit::{Pipeline, Raw, answers_soon};

/// How late.
const LATE: Duration = Duration::from_millis(3);

fn rounds() -> usize {
    let rounds = std::env::var("PGTENANT_RACES");
    rounds.map_or(25, |rounds| rounds.parse().unwrap())
}

/// What the last tenant sends in one write, and how many ReadyForQuery answer it.
/// PostgreSQL 18 leaves a transaction open behind Execute, Query, Sync.
fn open_transactions() -> Vec<(Pipeline, usize)> {
    let p = Pipeline::new;
    let local = "SELECT set_config('app.secret', 'of_a', true)";
    let run = |sql: &str| p().parse("", sql).prepared("", &[]);
    vec![
        (run("SELECT 3").query("SELECT 1").sync(), 2),
        (run(local).query("SELECT 1").sync(), 2),
        (run("SELECT 3").query(local).sync(), 2),
        (run(local).query("SELECT 1").query("SELECT 2").sync(), 3),
        (run(local).query("SELECT 1/0").sync(), 2),
        (run("SELECT 3").query("SET app.secret = 'of_a'").sync(), 2),
        (run("SELECT 3").query("SELECT 1").sync().sync(), 3),
    ]
}

/// Reads what answers the last tenant. PostgreSQL 18 answers the next message in
/// such a transaction by an error, and less of what is behind it.
fn finish(client: &mut Raw, ready: usize) {
    for _ in 0..ready {
        let Some(answer) = client.try_ready() else {
            return;
        };
        if answer.errors().iter().any(|error| error.code() == "XX000") {
            return;
        }
    }
}

fn look(client: &mut Raw, own: &str, extended: bool, what: &str) {
    match extended {
        false => client.send_query(LOOK),
        true => client.send(Pipeline::new().statement(LOOK).sync().bytes()),
    }
    assert!(answers_soon(client), "{what}: no answer");
    let answer = client
        .try_ready()
        .unwrap_or_else(|| panic!("{what}: the session was ended"));
    assert!(answer.errors().is_empty(), "{what}: {answer:?}");
    assert_eq!(answer.column(), [own], "{what}");
    assert_eq!(answer.status(), 'I', "{what}");
}

fn race(major: u32) {
    let Some(place) = Place::start(major, "", "") else {
        return;
    };
    place.relay.delay(LATE);
    let before = open_transactions();
    // Another tenant, and another client of the same.
    let mut others = [
        (place.client("synergy"), NOTHING),
        (place.client("innovate"), "alice@innovate.example"),
    ];
    for round in 0..rounds() {
        let (messages, ready) = &before[round % before.len()];
        let (other, own) = &mut others[round % 3 / 2];
        let what = format!(
            "round {round} on PostgreSQL {major}, then {own}: {:?}",
            String::from_utf8_lossy(messages.bytes())
        );
        let mut a = place.client("innovate");
        a.send(messages.bytes());
        // At the same time, or once the answer is there.
        if round % 2 == 0 {
            finish(&mut a, *ready);
        }
        look(other, own, round % 5 < 2, &what);
        if round % 2 == 1 {
            finish(&mut a, *ready);
        }
        if round % 5 == 0 {
            place.wait_for_no_transaction();
        }
        place.relay.forget();
    }
}

#[test]
fn a_transaction_that_is_left_open_unsaid_is_nobody_else_s_on_15() {
    race(15);
}

#[test]
fn a_transaction_that_is_left_open_unsaid_is_nobody_else_s_on_18() {
    race(18);
}
