//! The answer to what cleans the connection is held back.

use crate::{LOOK, NOTHING, Place};
use std::time::Instant;
use testkit::{Passed, Pipeline, Raw, SOON, answers_soon, wait_until};

/// What cleans a connection.
const CLEANUP: &str = "DISCARD ALL";

/// What the last tenant does, how many ReadyForQuery answer it, and whether it
/// must leave for others to get its connection.
struct Before {
    name: &'static str,
    messages: Pipeline,
    ready: usize,
    pins: bool,
}

fn all_before() -> Vec<Before> {
    let p = Pipeline::new;
    let simple = |name, sql, pins| Before {
        name,
        messages: p().query(sql),
        ready: 1,
        pins,
    };
    vec![
        simple("nothing", "SELECT 1", false),
        simple("a setting", "SET DateStyle = 'German'", false),
        simple("a name", "SET work_mem = '4321kB' /* of_a */", false),
        simple("an error", "SELECT 1/0", false),
        simple(
            "a transaction",
            "BEGIN; SET LOCAL work_mem = '1MB'; COMMIT",
            false,
        ),
        simple("a table", "CREATE TEMP TABLE of_a (n int)", true),
        simple("a statement", "PREPARE mine AS SELECT 'of_a'", true),
        simple(
            "a cursor",
            "DECLARE mine CURSOR WITH HOLD FOR SELECT 'of_a'",
            true,
        ),
        Before {
            name: "extended",
            messages: p()
                .parse("mine", "SELECT 'of_a'")
                .prepared("mine", &[])
                .sync(),
            ready: 1,
            pins: false,
        },
        Before {
            name: "P B E Q S",
            messages: p()
                .parse(
                    "",
                    "SELECT set_config('work_mem', '4321kB', true) /* of_a */",
                )
                .prepared("", &[])
                .query("SELECT 1")
                .sync(),
            ready: 2,
            pins: false,
        },
    ]
}

/// Asserts that the proxy has had time for whatever it would do: another client
/// is answered, again and again, on the same thread and without the server.
fn let_the_proxy_work(other: &mut Raw) {
    for _ in 0..5 {
        assert_eq!(other.error("SET ROLE postgres").code(), "42501");
    }
}

/// Asserts that at the first message of the next tenant the server owed nothing
/// to what had cleaned the connection.
fn assert_confirmed(what: &str, passed: &[Passed]) {
    let first = passed.iter().position(|passed| passed.asks("of_b"));
    let first = first.unwrap_or_else(|| panic!("{what}: nothing was asked: {passed:#?}"));
    let connection = passed[first].connection;
    let before: Vec<_> = passed[..first]
        .iter()
        .filter(|passed| passed.connection == connection)
        .collect();
    let Some(cleanup) = before.iter().rposition(|passed| passed.asks(CLEANUP)) else {
        // Another connection, on which nobody was before.
        assert!(
            before.iter().all(|passed| !passed.asks("of_a")),
            "{what}: not cleaned: {before:#?}"
        );
        return;
    };
    let confirmed = before[cleanup..]
        .iter()
        .any(|passed| !passed.up && passed.message.tag == b'Z');
    assert!(confirmed, "{what}: not confirmed: {before:#?}");
}

fn held_back(major: u32) {
    let Some(place) = Place::start(major, "", "") else {
        return;
    };
    let mut other = place.client("synergy");
    for before in all_before() {
        for leaves in [false, true] {
            if before.pins && !leaves {
                continue;
            }
            for extended in [false, true] {
                let what = format!(
                    "{}, leaves: {leaves}, extended: {extended}, PostgreSQL {major}",
                    before.name
                );
                let mut a = place.client("innovate");
                let mut b = place.client("synergy");
                a.run_ok("SELECT 'of_a'");
                place.relay.forget();
                place.relay.hold_answer_to(CLEANUP);
                a.send(before.messages.bytes());
                for _ in 0..before.ready {
                    a.until_ready();
                }
                let a = (!leaves).then_some(a);
                match extended {
                    false => b.send_query(LOOK),
                    true => b.send(Pipeline::new().statement(LOOK).sync().bytes()),
                }
                place.relay.wait_until_held();
                let_the_proxy_work(&mut other);
                let passed = place.relay.passed();
                let early = passed.iter().find(|passed| passed.asks("of_b"));
                place.relay.release();
                assert!(early.is_none(), "{what}: sent too early: {passed:#?}");
                assert!(answers_soon(&b), "{what}: no answer");
                let answer = b.until_ready();
                assert_eq!(answer.ok().column(), [NOTHING], "{what}");
                assert_confirmed(&what, &place.relay.passed());
                drop(a);
            }
        }
    }
}

#[test]
fn nothing_of_the_next_tenant_is_sent_before_the_cleanup_is_confirmed_on_15() {
    held_back(15);
}

#[test]
fn nothing_of_the_next_tenant_is_sent_before_the_cleanup_is_confirmed_on_18() {
    held_back(18);
}

/// A transaction that its client leaves open ends with its connection: the next
/// tenant gets another.
#[test]
fn a_connection_with_a_transaction_is_not_handed_over() {
    for major in [15, 18] {
        let Some(place) = Place::start(major, "", "") else {
            continue;
        };
        let mut b = place.client("synergy");
        let mut a = place.client("innovate");
        a.run_ok("BEGIN; SET LOCAL work_mem = '4321kB' /* of_a */");
        place.relay.forget();
        drop(a);
        b.send_query(LOOK);
        assert_eq!(b.until_ready().ok().column(), [NOTHING]);
        let passed = place.relay.passed();
        let first = passed.iter().find(|passed| passed.asks("of_b")).unwrap();
        let begins = |p: &&Passed| p.connection == first.connection && p.message.tag == b'K';
        assert!(passed.iter().any(|p| begins(&p)), "{passed:#?}");
    }
}

/// The last tenant asks for the cleanup itself.
#[test]
fn nothing_is_sent_while_a_discard_all_of_the_last_tenant_is_unanswered() {
    for major in [15, 18] {
        let Some(place) = Place::start(major, "", "") else {
            continue;
        };
        let mut other = place.client("synergy");
        for messages in [
            Pipeline::new().query(CLEANUP),
            Pipeline::new().statement(CLEANUP).sync(),
        ] {
            let mut a = place.client("innovate");
            let mut b = place.client("synergy");
            a.run_ok("SET work_mem = '4321kB' /* of_a */");
            place.relay.forget();
            place.relay.hold_answer_to(CLEANUP);
            a.send(messages.bytes());
            place.relay.wait_until_held();
            b.send_query(LOOK);
            let_the_proxy_work(&mut other);
            let passed = place.relay.passed();
            place.relay.release();
            assert!(!passed.iter().any(|p| p.asks("of_b")), "{passed:#?}");
            a.until_ready().ok();
            assert_eq!(b.until_ready().ok().value(), NOTHING);
            assert_confirmed("DISCARD ALL", &place.relay.passed());
        }
    }
}

/// A cleanup that is never answered, or fails for ever, is waited for no longer
/// than the client would wait for a connection.
#[test]
fn a_cleanup_that_is_not_answered_does_not_hold_the_pool() {
    for major in [15, 18] {
        // Each keeps the server busy for seconds.
        for before in all_before().into_iter().step_by(4) {
            let Some(place) = Place::start(major, "wait_timeout = \"2s\"", "") else {
                continue;
            };
            let mut a = place.client("innovate");
            let mut b = place.client("synergy");
            a.run_ok("SELECT 'of_a'");
            place.relay.hold_answer_to(CLEANUP);
            a.send(before.messages.bytes());
            for _ in 0..before.ready {
                a.until_ready();
            }
            drop(a);
            b.send_query(LOOK);
            place.relay.wait_until_held();
            let started = Instant::now();
            assert!(answers_soon(&b), "{}: B hangs", before.name);
            let mut answer = b.try_ready();
            let late = started.elapsed();
            assert!(late < SOON, "{}: {late:?}", before.name);
            // Until there is another connection it may be refused, in good order.
            wait_until("the pool has another connection", || {
                match &answer {
                    Some(answer) if answer.errors().is_empty() => {
                        assert_eq!(answer.value(), NOTHING, "{}", before.name);
                        return true;
                    }
                    Some(answer) => {
                        let code = answer.errors()[0].code().to_owned();
                        assert!(matches!(&*code, "53300" | "57P03" | "08006"), "{code}");
                    }
                    None => panic!("{}: the session was ended", before.name),
                }
                b.send_query(LOOK);
                assert!(answers_soon(&b), "{}: B hangs", before.name);
                answer = b.try_ready();
                false
            });
            assert!(place.relay.is_holding(), "{}", before.name);
        }
    }
}
