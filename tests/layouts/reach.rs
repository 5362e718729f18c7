//! What reaches nothing but the tenant's own database or role passes there by itself.

use crate::place::{OWN_DATABASE, OWN_ROLE, Place, SHARED_ROLE};
use testkit::{Pipeline, Raw};

fn places(guard: &str) -> impl Iterator<Item = Place> {
    let places = [15, 18].map(|major| Place::start(major, guard));
    places.into_iter().flatten()
}

/// What migration tools, ORMs and BI tools send, and which of it needs a database of
/// the tenant's own.
const STATEMENTS: &[(&str, bool)] = &[
    ("SELECT pg_try_advisory_lock(77)", true),
    ("SELECT pg_advisory_lock(72707369)", true),
    ("SELECT pg_advisory_unlock_all()", false),
    ("BEGIN; SELECT pg_advisory_xact_lock(1, 2); COMMIT", true),
    ("SELECT pg_notify('c', 'x')", true),
    ("NOTIFY c", true),
    ("SELECT lo_unlink(lo_create(0))", true),
    (
        "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; COMMIT",
        false,
    ),
    (
        "CREATE DOMAIN positive AS int CHECK (VALUE > 0); DROP DOMAIN positive",
        false,
    ),
    ("SELECT count(*) FROM pg_stats WHERE tablename = 't'", false),
    ("CREATE TEMPORARY VIEW v AS TABLE t", false),
    ("SELECT * FROM v", false),
    ("DISCARD ALL", false),
];

/// What reaches beyond a database: its role is every tenant's.
const BEYOND: &[&str] = &[
    "TABLE pg_stat_activity",
    "TABLE pg_locks",
    "SELECT pg_terminate_backend(1) FROM pg_stat_activity",
    "DO $$ BEGIN END $$",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "SELECT query_to_xml('SELECT 1', true, false, '')",
    "CREATE DOMAIN pg_temp.uuid AS text",
    "CREATE TEMP VIEW v AS TABLE pg_stat_activity",
];

fn assert_refused(client: &mut Raw, sql: &str) {
    let errors = client.query(sql).errors();
    assert_eq!(
        errors.first().map(testkit::Fields::code),
        Some("42501"),
        "{sql}"
    );
    // What ran before it in the same string.
    client.query("ROLLBACK");
}

#[test]
fn what_stays_within_the_tenants_own_passes_by_itself() {
    for place in places("") {
        for ([tenant, neighbour], database) in [(OWN_DATABASE, true), (OWN_ROLE, false)] {
            let mut client = place.client(tenant);
            for (sql, needs_database) in STATEMENTS {
                match database || !needs_database {
                    true => drop(client.run_ok(sql)),
                    false => assert_refused(&mut client, sql),
                }
            }
            for sql in BEYOND {
                assert_refused(&mut client, sql);
            }
            // Nothing of it is left for others.
            let mut other = place.client(neighbour);
            assert_eq!(other.value("SELECT whose FROM t"), neighbour);
            assert_eq!(other.error("SELECT * FROM v").code(), "42P01");
        }
        let mut client = place.client(SHARED_ROLE[0]);
        for (sql, needs_database) in STATEMENTS {
            let harmless = ["unlock_all", "FROM v", "DISCARD"];
            if *needs_database || !harmless.iter().any(|part| sql.contains(part)) {
                assert_refused(&mut client, sql);
            }
        }
    }
}

#[test]
fn a_session_lock_and_a_channel_are_the_databases_own() {
    let [mars, venus] = OWN_DATABASE;
    for place in places("") {
        let (mut one, mut other) = (place.client(mars), place.client(venus));
        let lock = Pipeline::new()
            .parse_with("", "SELECT pg_try_advisory_lock($1)", &[20])
            .bind("", "", &["77"])
            .execute("", 0)
            .sync();
        for client in [&mut one, &mut other] {
            let answer = client.run(&lock);
            answer.ok();
            assert_eq!(answer.value(), "t");
        }
        one.run_ok("LISTEN orders");
        other.run_ok("LISTEN orders");
        let notified = one.run_ok("NOTIFY orders, 'of mars'");
        assert_eq!(notified.of(b'A').count(), 1);
        assert_eq!(other.run_ok("SELECT 1").of(b'A').count(), 0);
    }
}

#[test]
fn an_isolation_has_rules_of_its_own() {
    let guard = "opaque = \"reject\"\nchannels = \"reject\"";
    let edit = |text: String| {
        text.replace(
            "[isolation.own]\n",
            "[isolation.own]\nopaque = \"allow\"\nchannels = \"own\"\n",
        )
    };
    for place in [15, 18]
        .into_iter()
        .filter_map(|major| Place::start_with(major, guard, edit))
    {
        let [east, west] = OWN_ROLE;
        let mut client = place.client(east);
        client.run_ok("DO $$ BEGIN PERFORM set_config('search_path', 'shared', false); END $$");
        assert_eq!(client.value("SELECT whose FROM t"), east);
        client.run_ok("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'");
        client.run_ok("DISCARD ALL");
        client.run_ok("BEGIN; LOCK TABLE t; ROLLBACK");
        assert_refused(&mut client, "SELECT pg_try_advisory_lock(1)");
        assert_eq!(place.client(west).value("SELECT whose FROM t"), west);
        let mut silo = place.client(OWN_DATABASE[0]);
        for sql in [
            "DO $$ BEGIN END $$",
            "LISTEN c",
            "CREATE DOMAIN d AS int",
            "LOCK TABLE t",
        ] {
            assert_refused(&mut silo, sql);
        }
    }
}
