//! The state of `random()`, which one tenant leaves and the next one must not
//! know: it is set anew where the last one can have to do with it.

use crate::{Place, WHOSE, on_each};
use pgtenant::throwaway::wellness::SETTING_DATABASE;
use testkit::{Pipeline, Raw};

/// More of what can show or set the state.
const DRAWING: &str = "
    CREATE FUNCTION draw() RETURNS float LANGUAGE sql AS 'SELECT random()';
    CREATE VIEW drawn AS SELECT random() AS r;
    CREATE TABLE defaults (n int, r float DEFAULT random());
    GRANT ALL ON ALL TABLES IN SCHEMA public TO wellness_app;";

/// Whether the connection gets another state when it goes from one tenant, who has
/// run something, to the next.
fn reseeds(place: &Place, run: impl FnOnce(&mut Raw)) -> bool {
    let mut first = place.client("innovate");
    let mut second = place.client("synergy");
    // Whatever was before is done with.
    second.run_ok("SELECT 1");
    let backend = first.backend();
    place.relay.forget();
    run(&mut first);
    assert_eq!(second.backend(), backend);
    let passed = place.relay.passed();
    assert!(passed.iter().any(|passed| passed.asks("DISCARD ALL")));
    let setseed = 1599_u32.to_be_bytes();
    let mut up = passed.iter().filter(|passed| passed.up);
    up.any(|passed| passed.message.tag == b'F' && passed.message.body.starts_with(&setseed))
}

#[test]
fn what_can_show_or_set_it_is_followed_by_another_state() {
    on_each(|major| {
        let Some(place) = Place::start_with(major, DRAWING, "", "") else {
            return;
        };
        place.wait_until_known();
        for sql in [
            "SELECT random()",
            "SELECT email FROM users ORDER BY random()",
            "SELECT draw()",
            "SELECT * FROM drawn",
            "INSERT INTO defaults VALUES (1) RETURNING r",
            "BEGIN; SELECT random(); ROLLBACK",
            "CREATE TABLE IF NOT EXISTS mine AS SELECT 1 AS n",
        ] {
            let simple = reseeds(&place, |client| drop(client.query(sql)));
            assert!(simple, "PostgreSQL {major}: {sql}");
            let prepare = Pipeline::new().parse("p", sql).sync();
            let run = Pipeline::new().prepared("p", &[]).sync();
            if !sql.contains(';') {
                let prepared = reseeds(&place, |client| {
                    client.run(&prepare).ok();
                    client.run(&run).ok();
                });
                assert!(prepared, "PostgreSQL {major}: {sql}");
            }
        }
        // Also what a client before has run, of the same tenant.
        assert!(reseeds(&place, |client| {
            client.run_ok("SELECT random()");
            let mut same = place.client("innovate");
            same.run_ok(WHOSE);
        }));
    });
}

#[test]
fn no_client_begins_with_a_state_of_its_choice() {
    let Some(place) = Place::start(15) else {
        return;
    };
    let parameters = [
        ("user", "innovate"),
        ("database", SETTING_DATABASE),
        ("options", "-c seed=0.5"),
    ];
    let (port, password) = (place.proxy.port, &place.proxy.password);
    let refused = Raw::log_in(port, password, &parameters);
    assert_eq!(refused.err().unwrap().code(), "0A000");
}

#[test]
fn plain_reads_are_not() {
    on_each(|major| {
        let Some(place) = Place::start(major) else {
            return;
        };
        let run = Pipeline::new().parse("p", WHOSE).prepared("p", &[]).sync();
        let in_transaction = |client: &mut Raw| {
            client.run_ok("BEGIN");
            client.run_ok("SET LOCAL work_mem = '1MB'");
            client.run_ok("SELECT count(*) FROM users JOIN wellness_entries ON true");
            client.run_ok("COMMIT");
        };
        assert!(!reseeds(&place, |client| drop(client.query(WHOSE))));
        assert!(!reseeds(&place, |client| drop(client.extended(WHOSE))));
        assert!(!reseeds(&place, |client| drop(client.run(&run))));
        assert!(!reseeds(&place, in_transaction));
        assert!(!reseeds(&place, |client| drop(client.query("SELECT 1/0"))));
        assert!(!reseeds(&place, |client| drop(
            client.query("SET TimeZone = 'UTC'")
        )));
    });
}

#[test]
fn where_nothing_is_known_of_a_statement_another_state_follows() {
    // It passes, and could have done anything.
    let Some(place) = Place::start_with(15, "", "", "mode = \"report\"") else {
        return;
    };
    place.wait_until_known();
    assert!(reseeds(&place, |client| drop(
        client.query("DO 'BEGIN END'")
    )));
    assert!(!reseeds(&place, |client| drop(client.query(WHOSE))));
}
