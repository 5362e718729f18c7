//! While others wait for the connection, what cleans it is sent behind its client's last
//! message, before that is answered: whatever becomes of the one and the other, the next
//! tenant gets it clean, and a client that is not done keeps it.

use crate::{LOOK, NOTHING, Place};
use pgtenant::directory::Verifier;
use testkit::{Passed, Pipeline, Raw, answers_soon, wait_until};

/// What cleans a connection.
const CLEANUP: &str = "DISCARD ALL";

/// Waits for the answer in its place: somebody of each tenant, and the one who holds the
/// connection.
struct Waiting {
    holder: Raw,
    a: Raw,
    b: Raw,
}

impl Waiting {
    /// `innovate` waits with these messages, and behind it `synergy`.
    fn start(place: &Place, messages: &Pipeline) -> Self {
        let [mut holder, mut b] = ["synergy"; 2].map(|login| place.client(login));
        let mut a = place.client("innovate");
        holder.run_ok("BEGIN");
        a.send(messages.bytes());
        assert!(a.is_quiet(), "{:?}", a.try_read());
        b.send_query(LOOK);
        assert!(b.is_quiet());
        place.relay.forget();
        Self { holder, a, b }
    }

    /// `innovate` gets the connection, and no answer yet.
    fn go_on(&mut self, place: &Place) {
        place.relay.hold_answer_to("of_a");
        self.holder.run_ok("COMMIT");
        place.relay.wait_until_held();
    }

    fn finish(&mut self, what: &str) {
        assert!(answers_soon(&self.b), "{what}: no answer");
        assert_eq!(self.b.until_ready().ok().column(), [NOTHING], "{what}");
    }
}

/// Whether what cleans the connection was sent behind this, before this was answered.
fn is_cleaned_behind(passed: &[Passed], text: &str) -> bool {
    let asked = passed.iter().rposition(|passed| passed.asks(text));
    let behind = asked
        .and_then(|asked| passed.get(asked..))
        .unwrap_or_default();
    let mut until_answered = behind.iter().take_while(|passed| passed.up);
    until_answered.any(|passed| passed.asks(CLEANUP))
}

fn places() -> impl Iterator<Item = (u32, Place)> {
    let of = |major| Place::start(major, "", "").map(|place| (major, place));
    [15, 18].into_iter().filter_map(of)
}

/// What is over with its answer.
fn last_messages() -> Vec<(&'static str, Pipeline)> {
    let p = Pipeline::new;
    let insert = "INSERT INTO users (id, organization_id, email) \
                  SELECT id, organization_id, 'of_a' FROM users WHERE false";
    vec![
        ("a query", p().query("SELECT 'of_a'")),
        ("two", p().query("SELECT 1; SELECT 'of_a'")),
        ("an error", p().query("SELECT 1/0 /* of_a */")),
        ("a write", p().query(insert)),
        ("a copy", p().query("COPY (SELECT 'of_a') TO STDOUT")),
        ("extended", p().statement("SELECT 'of_a'").sync()),
        (
            "an error in a pipeline",
            p().statement("SELECT 1/0 /* of_a */").sync(),
        ),
        (
            "a name",
            p().parse("mine", "SELECT 'of_a'")
                .prepared("mine", &[])
                .sync(),
        ),
    ]
}

#[test]
fn the_server_cleans_the_connection_by_itself_once_it_has_answered() {
    for (major, place) in places() {
        for (name, messages) in last_messages() {
            let what = format!("{name}, PostgreSQL {major}");
            let mut waiting = Waiting::start(&place, &messages);
            waiting.go_on(&place);
            place
                .relay
                .wait_for(&format!("it is cleaned: {what}"), |passed| {
                    is_cleaned_behind(passed, "of_a")
                });
            let passed = place.relay.passed();
            assert!(
                !passed.iter().any(|p| p.asks("of_b")),
                "{what}: {passed:#?}"
            );
            place.relay.release();
            assert_eq!(waiting.a.until_ready().status(), 'I', "{what}");
            waiting.finish(&what);
            // The one who was there before is served as before.
            waiting.a.send_query("SELECT 7");
            let answer = waiting
                .a
                .try_ready()
                .unwrap_or_else(|| panic!("{what}: {:#?}", place.relay.passed()));
            assert_eq!(answer.ok().value(), "7", "{what}");
        }
    }
}

#[test]
fn it_does_so_behind_the_end_of_a_transaction() {
    for (major, place) in places() {
        for (end, first) in [
            ("COMMIT /* of_a */", "SELECT 1"),
            ("ROLLBACK /* of_a */", "SELECT 1"),
            ("END /* of_a */", "SELECT 1/0"),
        ] {
            let what = format!("{end} behind {first}, PostgreSQL {major}");
            let [mut a, mut b] = ["innovate", "synergy"].map(|login| place.client(login));
            a.run_ok("BEGIN");
            a.query(first);
            b.send_query(LOOK);
            assert!(b.is_quiet());
            place.relay.forget();
            place.relay.hold_answer_to("of_a");
            a.send_query(end);
            place.relay.wait_until_held();
            place
                .relay
                .wait_for(&format!("it is cleaned: {what}"), |passed| {
                    is_cleaned_behind(passed, "of_a")
                });
            place.relay.release();
            assert_eq!(a.until_ready().status(), 'I', "{what}");
            assert_eq!(b.until_ready().ok().column(), [NOTHING], "{what}");
        }
    }
}

/// What is not over with its answer, or leaves something.
fn other_messages() -> Vec<(&'static str, Pipeline)> {
    let p = Pipeline::new;
    let simple = |sql: &'static str| (sql, p().query(sql));
    vec![
        simple("BEGIN /* of_a */"),
        simple("SELECT 1; BEGIN /* of_a */"),
        simple("BEGIN; SELECT 'of_a'; COMMIT AND CHAIN"),
        simple("SET work_mem = '4321kB' /* of_a */"),
        simple("CREATE TEMP TABLE of_a (n int)"),
        simple("PREPARE mine AS SELECT 'of_a'"),
        simple("COPY users FROM STDIN /* of_a */"),
        ("extended", p().statement("BEGIN /* of_a */").sync()),
        (
            "a name",
            p().parse("mine", "BEGIN /* of_a */")
                .prepared("mine", &[])
                .sync(),
        ),
        ("no Sync", p().statement("SELECT 'of_a'").flush()),
        (
            "more",
            p().query("SELECT 'of_a'").query("SELECT 'of_a too'"),
        ),
        (
            "a Query in a pipeline",
            p().statement("SELECT 3").query("SELECT 'of_a'").sync(),
        ),
    ]
}

#[test]
fn who_is_not_done_keeps_the_connection() {
    for (major, place) in places() {
        let mut other = place.client("innovate");
        for (name, messages) in other_messages() {
            let what = format!("{name}, PostgreSQL {major}");
            let mut waiting = Waiting::start(&place, &messages);
            waiting.go_on(&place);
            for _ in 0..5 {
                // The proxy has had time for whatever it would do.
                assert_eq!(other.error("SET ROLE postgres").code(), "42501");
            }
            let passed = place.relay.passed();
            place.relay.release();
            assert!(!is_cleaned_behind(&passed, "of_a"), "{what}: {passed:#?}");
            // It is answered, and ends what it has begun.
            assert!(answers_soon(&waiting.a), "{what}: no answer");
            drop(waiting.a);
            assert!(answers_soon(&waiting.b), "{what}: no answer to the next");
            assert_eq!(waiting.b.until_ready().ok().column(), [NOTHING], "{what}");
        }
    }
}

#[test]
fn a_request_to_cancel_ends_the_client_s_statement_and_harms_nobody_else() {
    for (major, place) in places() {
        let messages = Pipeline::new().query("SELECT pg_sleep(600) /* of_a */");
        let mut waiting = Waiting::start(&place, &messages);
        waiting.holder.run_ok("COMMIT");
        place
            .relay
            .wait_for("it is cleaned", |passed| is_cleaned_behind(passed, "of_a"));
        waiting.a.cancel();
        let errors = waiting.a.until_ready().errors();
        assert_eq!(errors[0].code(), "57014", "PostgreSQL {major}");
        waiting.finish(&format!("PostgreSQL {major}"));
        assert_eq!(waiting.a.value("SELECT 7"), "7");
    }
}

/// The client has its answer all the same, and the next one another connection.
#[test]
fn a_connection_that_breaks_in_its_cleanup_is_nobody_s() {
    for (major, place) in places() {
        let [mut a, mut b] = ["innovate", "synergy"].map(|login| place.client(login));
        a.run_ok("BEGIN");
        b.send_query(LOOK);
        assert!(b.is_quiet());
        place.relay.forget();
        place.relay.hold_answer_to(CLEANUP);
        a.run_ok("COMMIT /* of_a */");
        place.relay.wait_until_held();
        assert!(!place.relay.passed().iter().any(|p| p.asks("of_b")));
        place.relay.lose();
        assert_eq!(
            b.until_ready().ok().column(),
            [NOTHING],
            "PostgreSQL {major}"
        );
        assert_eq!(a.value("SELECT 7"), "7");
    }
}

/// Who waited has gone: nobody takes the connection, whose cleanup is answered together
/// with its client.
#[test]
fn a_connection_that_nobody_waits_for_any_more_is_kept() {
    let verifier = Verifier::derive("of ops");
    let admins = format!("[[admins]]\nuser = \"ops\"\nscram = {verifier:?}");
    for major in [15, 18] {
        let Some(place) = Place::start(major, "", &admins) else {
            continue;
        };
        let console = [("user", "ops"), ("database", "pgtenant")];
        let mut admin = Raw::log_in(place.proxy.port, "of ops", &console).unwrap();
        for round in 0..2 {
            let what = format!("PostgreSQL {major}, round {round}");
            let [mut a, mut b] = ["innovate", "synergy"].map(|login| place.client(login));
            a.run_ok("BEGIN");
            b.send_query(LOOK);
            assert!(b.is_quiet());
            place.relay.forget();
            place.relay.hold_answer_to("of_a");
            a.send_query("COMMIT /* of_a */");
            place.relay.wait_until_held();
            place
                .relay
                .wait_for(&what, |passed| is_cleaned_behind(passed, "of_a"));
            drop(b);
            let clients = |admin: &mut Raw| {
                let clients = admin.run_ok("SHOW CLIENTS");
                clients
                    .rows()
                    .into_iter()
                    .filter_map(|row| row[1].clone())
                    .collect::<Vec<_>>()
            };
            wait_until("who waited has gone", || {
                !clients(&mut admin).contains(&"synergy".to_owned())
            });
            place.relay.release();
            a.until_ready().ok();
            wait_until(&what, || {
                let servers = admin.run_ok("SHOW SERVERS");
                let states: Vec<_> = servers
                    .rows()
                    .into_iter()
                    .map(|row| row[4].clone())
                    .collect();
                states == [Some("idle".to_owned())]
            });
        }
    }
}
