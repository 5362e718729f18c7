//! Tenants of kind `database`.

use crate::place::*;

/// A place with tenants of kind `database`.
pub(crate) fn silo(names: &[&str]) -> Place {
    let place = Place::new(&[]);
    let mut more = String::from(
        "[isolation.silo]\nkind = \"database\"\nserver = \"main\"\ndatabase = \"{database}\"\n",
    );
    for (i, name) in names.iter().enumerate() {
        more.push_str(&tenant(
            site(),
            &place.database,
            i,
            "silo",
            "database",
            name,
        ));
    }
    Place::with(site(), place.database, more)
}

#[test]
fn a_database_is_made_closed_and_filled() {
    let names = ["silo \"a\"; DROP", "silo_b"];
    let place = silo(&names);
    let files = Files::new(&[("1.sql", "CREATE TABLE t (a int); INSERT INTO t VALUES (7)")]);
    let arguments = [&*files.template(), "--isolation=silo", "--all"];
    let printed = place.done(&[arguments[0], arguments[1], arguments[2], "--print"]);
    assert!(
        printed.contains("CREATE DATABASE \"silo \"\"a\"\"; DROP\""),
        "{printed}"
    );
    let exist = "SELECT count(*) FROM pg_database WHERE datname ~ '^silo'";
    assert_eq!(place.sql(exist), "0");
    let text = place.done(&arguments);
    assert_eq!(text.matches("created database").count(), 2, "{text}");
    assert_eq!(text.matches("applied 1 file").count(), 2, "{text}");
    let again = place.done(&arguments);
    assert_eq!(again.matches(": up to date").count(), 2, "{again}");
    files.write("2.sql", "UPDATE t SET a = 8");
    assert_eq!(
        place.done(&arguments).matches(": applied 1 file").count(),
        2
    );
    let acl = "SELECT datacl FROM pg_database WHERE datname = 'silo_b'";
    assert_eq!(
        place.sql(acl),
        "{postgres=CTc/postgres,wellness_app=c/postgres}"
    );
    let proxy = Proxy::start(&place.options);
    for (i, name) in names.iter().enumerate() {
        let user = login(&place.database, i);
        let parameters = [("user", &*user), ("database", *name)];
        let mut raw = Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap();
        assert_eq!(
            raw.value("SELECT a || current_database() FROM t"),
            format!("8{name}")
        );
    }
}

#[test]
fn a_database_that_fails_is_removed_and_one_that_was_there_is_not() {
    let place = silo(&["fail_a", "fail_b"]);
    site().sql("postgres", "CREATE DATABASE fail_b");
    let files = Files::new(&[("1.sql", "CREATE TABLE t (a int); SELECT 1 / 0")]);
    let text = place.fails(&[&files.template(), "--isolation=silo", "--all"]);
    assert_eq!(
        text.matches("FAILED: file 1.sql: division by zero").count(),
        2,
        "{text}"
    );
    let exist = "SELECT string_agg(datname, ',') FROM pg_database WHERE datname ~ '^fail_'";
    assert_eq!(place.sql(exist), "fail_b");
    assert_eq!(
        site().sql("fail_b", "SELECT to_regclass('public.t') IS NULL"),
        "t"
    );
}

#[test]
fn a_database_is_copied_from_another() {
    let place = silo(&["copy_a"]);
    site().sql("postgres", "CREATE DATABASE copy_template");
    site().sql(
        "copy_template",
        "CREATE TABLE t (a int); GRANT SELECT ON t TO wellness_app",
    );
    let arguments = [
        "--template=database:copy_template",
        "--isolation=silo",
        "--all",
    ];
    let text = place.done(&arguments);
    assert!(text.contains("created database \"copy_a\""), "{text}");
    assert!(place.done(&arguments).contains(": up to date"));
    let user = login(&place.database, 0);
    let proxy = Proxy::start(&place.options);
    let parameters = [("user", &*user), ("database", "copy_a")];
    let mut raw = Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap();
    assert_eq!(raw.value("SELECT count(*) FROM t"), "0");
}
