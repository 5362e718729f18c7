//! pg_dump through the proxy: the rows of the tenant, and what it needs for that.

use super::{program, url};
use std::process::Output;
use testkit::{Options, Proxy, site, succeeds};

/// It turns row-level security off unless it is told not to, and reads the list of
/// all large objects.
const NEEDED: [&str; 2] = ["--enable-row-security", "--no-blobs"];

fn proxy(mode: &'static str) -> Proxy {
    Proxy::start(&Options {
        tls: "require",
        database: site().fresh_database(),
        mode,
        size: 4,
        ..Options::default()
    })
}

fn dump(proxy: &Proxy, login: &str, arguments: &[&str]) -> Output {
    let mut pg_dump = program("pg_dump");
    pg_dump.args(arguments).arg("-d").arg(url(proxy, login));
    pg_dump.output().unwrap()
}

/// Restores dumps, as an owner would, in a new database.
fn restored(dumps: &[&Output], name: &str) -> String {
    let name = format!("restored_{name}");
    let create = format!("CREATE DATABASE {name} TEMPLATE template0");
    site().sql("postgres", &create);
    for dump in dumps {
        succeeds("pg_dump", dump);
        let text = String::from_utf8(dump.stdout.clone()).unwrap();
        let output = program("psql")
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d"])
            .arg(site().cluster.superuser_url(&name))
            .arg("-f")
            .arg(site().write_new(".sql", &text))
            .output()
            .unwrap();
        succeeds("psql -f", &output);
    }
    name
}

const ROWS: [&str; 2] = [
    "SELECT * FROM users ORDER BY id",
    "SELECT * FROM wellness_entries ORDER BY id",
];

#[test]
fn a_tenants_database_comes_back_as_it_was() {
    for mode in ["transaction", "session"] {
        let proxy = proxy(mode);
        for (name, more) in [("copy", [].as_slice()), ("inserts", &["--inserts"])] {
            let arguments = [NEEDED.as_slice(), &["--no-owner", "--no-acl"], more].concat();
            let dump = dump(&proxy, "umbrella", &arguments);
            let database = restored(&[&dump], &format!("{mode}_{name}"));
            for query in ROWS {
                let expected = site().sql("wellness_umbrella", query);
                assert!(!expected.is_empty());
                assert_eq!(site().sql(&database, query), expected);
            }
        }
    }
}

#[test]
fn data_alone_goes_into_tables_that_are_there() {
    let proxy = proxy("transaction");
    let [tables, rows] = [
        ["--schema-only", "--no-owner", "--no-acl"].as_slice(),
        &["--data-only", "--disable-triggers"],
    ]
    .map(|more| dump(&proxy, "umbrella", &[NEEDED.as_slice(), more].concat()));
    let database = restored(&[&tables, &rows], "data");
    for query in ROWS {
        assert_eq!(
            site().sql(&database, query),
            site().sql("wellness_umbrella", query)
        );
    }
}

#[test]
fn of_shared_tables_it_has_the_tenants_rows_alone() {
    for mode in ["transaction", "session"] {
        let proxy = proxy(mode);
        for (name, more) in [("copy", [].as_slice()), ("inserts", &["--column-inserts"])] {
            let arguments = [NEEDED.as_slice(), &["--no-owner", "--no-acl"], more].concat();
            let dump = dump(&proxy, "innovate", &arguments);
            let text = String::from_utf8_lossy(&dump.stdout);
            assert!(!text.contains("bob@synergy.example"), "{text}");
            let database = restored(&[&dump], &format!("rls_{mode}_{name}"));
            let users = "SELECT email FROM users";
            assert_eq!(site().sql(&database, users), "alice@innovate.example");
            let id = "11111111-1111-1111-1111-111111111111";
            let own = format!("WHERE organization_id = '{id}' ORDER BY id");
            let query = format!("SELECT * FROM wellness_entries {own}");
            let expected = site().sql(&proxy.database("innovate"), &query);
            assert_eq!(expected.lines().count(), 10);
            assert_eq!(site().sql(&database, ROWS[1]), expected);
        }
    }
}

#[test]
fn several_connections_share_one_snapshot() {
    let proxy = proxy("transaction");
    let folder = site().file("dump");
    let path = folder.to_str().unwrap();
    let arguments = [NEEDED.as_slice(), &["-Fd", "-j", "2", "-f", path]].concat();
    succeeds("pg_dump -j 2", &dump(&proxy, "innovate", &arguments));
    let output = program("pg_restore")
        .args(["--data-only", "-t", "users", "-f", "-", path])
        .output()
        .unwrap();
    succeeds("pg_restore", &output);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("alice@innovate.example"), "{text}");
    assert!(!text.contains("bob@synergy.example"), "{text}");
}

#[test]
fn dumps_the_schema_of_a_tenant_with_a_role_of_its_own() {
    let proxy = proxy("transaction");
    let arguments = [NEEDED.as_slice(), &["--schema", "acme_health"]].concat();
    let output = dump(&proxy, "acme", &arguments);
    succeeds("pg_dump", &output);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("acme_health.employee_logs"), "{text}");
    assert!(!text.contains("globex"), "{text}");
}

#[test]
fn what_it_must_not_do_is_refused_by_name() {
    let proxy = proxy("transaction");
    for (login, arguments, rule) in [
        ("innovate", [].as_slice(), "isolation-setting"),
        ("umbrella", &[], "isolation-setting"),
        ("umbrella", &NEEDED[..1], "large-objects"),
    ] {
        let output = dump(&proxy, login, arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{login} {arguments:?}");
        assert!(
            error.contains(&format!("rule {rule}")),
            "{login} {arguments:?}: {error}"
        );
    }
}
