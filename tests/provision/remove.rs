//! `--remove`: what it removes, and what it does not.

use crate::databases::silo;
use crate::place::*;

/// The server's own view of the role and the schema.
fn left(place: &Place, schema: &str) -> String {
    place.sql(&format!(
        "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = '{schema}'),
                (SELECT count(*) FROM pg_roles WHERE rolname = '{schema}_app'),
                (SELECT count(*) FROM pgtenant_provision.provisioned
                 WHERE schema_name = '{schema}')"
    ))
}

const MAKE: [&str; 3] = ["--template=schema:tmpl", "--isolation=made", "--all"];
const REMOVE: [&str; 3] = ["--remove", "--yes", "Company 0"];

#[test]
fn a_suspended_tenant_is_removed_and_can_be_made_again() {
    for site in servers() {
        let place = Place::on(site, &["gone_a", "gone_b"]);
        place.sql(TEMPLATE);
        place.done(&MAKE);
        place.sql("INSERT INTO gone_a.empty DEFAULT VALUES");
        // A right at what is shared does not keep the role.
        place.sql("GRANT USAGE ON SCHEMA shared TO gone_a_app");
        place.sql("GRANT SELECT ON shared.countries TO gone_a_app");

        let before = place.state();
        let text = place.fails(&REMOVE);
        assert!(text.contains("FAILED: it is not suspended"), "{text}");
        place.stand("suspended");
        let asked = place.provision(&["--remove", "Company 0"]);
        assert_eq!(asked.status.code(), Some(2));
        assert!(stderr(&asked).contains("add --yes"), "{}", stderr(&asked));
        let printed = place.done(&["--remove", "Company 0", "--print"]);
        assert!(
            printed.contains("DROP SCHEMA \"gone_a\" CASCADE;"),
            "{printed}"
        );
        assert_eq!(place.state(), before);

        let text = place.done(&REMOVE);
        assert!(text.contains("--schema='\"gone_a\"'"), "{text}");
        assert!(
            text.ends_with(": removed schema \"gone_a\", removed role \"gone_a_app\"\n"),
            "{text}"
        );
        assert_eq!(left(&place, "gone_a"), "0|0|0");
        assert_eq!(left(&place, "gone_b"), "1|1|1");
        let text = place.done(&REMOVE);
        assert!(text.ends_with(": there is nothing to remove\n"), "{text}");

        place.stand("active");
        let text = place.done(&MAKE);
        assert!(text.contains("created schema \"gone_a\""), "{text}");
        assert_eq!(left(&place, "gone_a"), "1|1|1");
        let proxy = Proxy::start_before(site, &place.options);
        let mut raw = place.log_in(&proxy, 0);
        assert_eq!(raw.value("SELECT count(*) FROM empty"), "0");
    }
}

#[test]
fn what_is_not_the_tenants_alone_is_not_removed() {
    for site in servers() {
        let place = Place::on(site, &["kept_a", "kept_b"]);
        place.sql(TEMPLATE);
        place.done(&MAKE);
        place.stand("suspended");
        for (make, undo, reason) in [
            (
                "CREATE SCHEMA reports; CREATE VIEW reports.all AS SELECT * FROM kept_a.ul",
                "DROP SCHEMA reports CASCADE",
                "what is not in schema \"kept_a\" would go with it: rule _RETURN on view reports.\"all\"",
            ),
            (
                "ALTER TABLE kept_b.employees ADD theirs bigint REFERENCES kept_a.employees",
                "ALTER TABLE kept_b.employees DROP theirs",
                "constraint employees_theirs_fkey on table kept_b.employees",
            ),
            (
                "CREATE FUNCTION public.f(kept_a.mood) RETURNS int LANGUAGE sql AS 'SELECT 1'",
                "DROP FUNCTION public.f",
                "function public.f(kept_a.mood)",
            ),
            (
                "CREATE TABLE public.own (a int); ALTER TABLE public.own OWNER TO kept_a_app",
                "DROP TABLE public.own",
                "role \"kept_a_app\" owns what is not in its schema: table public.own",
            ),
            (
                "ALTER ROLE kept_a_app BYPASSRLS",
                "ALTER ROLE kept_a_app NOBYPASSRLS",
                "has one of SUPERUSER",
            ),
        ] {
            place.sql(make);
            let before = place.state();
            let text = place.fails(&REMOVE);
            assert!(text.contains(reason), "{reason}: {text}");
            assert_eq!(place.state(), before);
            place.sql(undo);
        }
        place.done(&REMOVE);
        assert_eq!(left(&place, "kept_a"), "0|0|0");
    }
}

#[test]
fn a_tenant_that_is_connected_is_not_removed() {
    for site in servers() {
        let place = Place::on(site, &["busy_a"]);
        place.sql("CREATE SCHEMA tmpl; CREATE TABLE tmpl.t (a int)");
        place.done(&MAKE);
        let proxy = Proxy::start_before(site, &place.options);
        let mut raw = place.log_in(&proxy, 0);
        raw.run_ok("INSERT INTO t VALUES (1)");
        place.stand("suspended");
        let before = place.state();
        let text = place.fails(&REMOVE);
        assert!(
            text.contains("role \"busy_a_app\" has 1 connection"),
            "{text}"
        );
        assert_eq!(place.state(), before);
        assert_eq!(raw.value("SELECT count(*) FROM t"), "1");
    }
}

/// A failure on the way, when the role is closed already.
#[test]
fn a_removal_that_fails_leaves_all_as_it_was() {
    for site in servers() {
        let place = Place::on(site, &["fails_a"]);
        place.sql("CREATE SCHEMA tmpl; CREATE TABLE tmpl.t (a int)");
        place.done(&MAKE);
        place.stand("suspended");
        // In another database, where it cannot be seen.
        site.sql("postgres", "CREATE TABLE shared_by_all (a int)");
        site.sql("postgres", "GRANT SELECT ON shared_by_all TO fails_a_app");
        let before = place.state();
        let text = place.fails(&REMOVE);
        assert!(
            text.contains("removing role \"fails_a_app\"") && text.contains("2BP01"),
            "{text}"
        );
        assert_eq!(place.state(), before);
        site.sql("postgres", "DROP TABLE shared_by_all");
        place.done(&REMOVE);
        assert_eq!(left(&place, "fails_a"), "0|0|0");
    }
}

#[test]
fn the_owner_needs_no_superuser_to_remove() {
    for site in servers() {
        let place = Place::on(site, &["plain_a"]);
        let Place { database, .. } = &place;
        place.sql("CREATE ROLE plain_owner LOGIN CREATEROLE PASSWORD 'pw'");
        place.sql(&format!("ALTER DATABASE {database} OWNER TO plain_owner"));
        place.sql(&format!("SET ROLE plain_owner; {TEMPLATE}"));
        let port = site.cluster.port();
        let url = format!("postgres://plain_owner:pw@127.0.0.1:{port}/{database}");
        let made = place.provision_at(&url, &MAKE);
        assert_eq!(made.status.code(), Some(0), "{}", stdout(&made));
        place.stand("suspended");
        let removed = place.provision_at(&url, &REMOVE);
        assert_eq!(removed.status.code(), Some(0), "{}", stdout(&removed));
        assert_eq!(left(&place, "plain_a"), "0|0|0");
    }
}

#[test]
fn a_database_is_removed_when_nobody_is_connected() {
    let place = silo(&["silo_gone", "silo_kept"]);
    let make = ["--isolation=silo", "--all"];
    place.done(&make);
    let exist = "SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database
                 WHERE datname IN ('silo_gone', 'silo_kept') AND datallowconn";
    let text = place.fails(&REMOVE);
    assert!(text.contains("FAILED: it is not suspended"), "{text}");
    place.stand("suspended");
    let proxy = Proxy::start(&place.options);
    let user = login(&place.database, 0);
    let parameters = [("user", &*user), ("database", "silo_gone")];
    let mut raw = Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap();
    raw.run_ok("SELECT 1");
    let text = place.fails(&REMOVE);
    assert!(
        text.contains("database \"silo_gone\" has 1 connection"),
        "{text}"
    );
    assert_eq!(place.sql(exist), "silo_gone,silo_kept");
    drop((raw, proxy));
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'silo_gone'";
    testkit::wait_until("nobody is connected", || place.sql(busy) == "0");
    let own = site().cluster.superuser_url("silo_gone");
    let text = stdout(&place.provision_at(&own, &REMOVE));
    assert!(text.contains("over a connection to it"), "{text}");
    let text = place.done(&REMOVE);
    assert!(
        text.ends_with(": removed database \"silo_gone\"\n"),
        "{text}"
    );
    assert_eq!(place.sql(exist), "silo_kept");
    place.stand("active");
    assert!(place.done(&make).contains("created database \"silo_gone\""));
}
