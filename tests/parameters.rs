//! What clients are told of the server's parameters (ParameterStatus): those of the
//! connection that answers them, whatever has changed since they logged in.

#![allow(clippy::unwrap_used, clippy::panic)]

use pgtenant::throwaway::wellness::{APP_ROLE, SETTING_DATABASE};
use std::process::Command;
use testkit::{Plain, Programs, Proxy, Raw, wait_until};

/// A date that is another one when day and month change places.
const DATE: &str = "SELECT '2024-02-03'::date::text";
const MONTH_FIRST: &str = "02/03/2024";
const DAY_FIRST: &str = "03/02/2024";
const SETTINGS: &[(&str, &str)] = &[("datestyle", "SQL, MDY")];

/// Runs a test with each version of PostgreSQL that is there.
fn on_each(settings: &[(&str, &str)], test: impl Fn(&mut Plain)) {
    for major in [15, 18] {
        if let Some(programs) = Programs::find(major) {
            test(&mut Plain::start(&programs, settings));
        }
    }
}

/// Reads the date, which must be written as the client knows by then.
fn read(client: &mut Raw) -> String {
    client.send_query(DATE);
    let row = client.until(b'D').value();
    let style = client.parameters["DateStyle"].clone();
    client.until_ready();
    let expected = match &*style {
        "SQL, MDY" => MONTH_FIRST,
        "SQL, DMY" => DAY_FIRST,
        "German, DMY" => "03.02.2024",
        other => panic!("{other}"),
    };
    assert_eq!(row, expected, "{style}");
    row
}

/// Changes the setting for all, in the server's file.
fn reload(superuser: &mut Raw, setting: &str) {
    superuser.run_ok(&format!("ALTER SYSTEM SET {setting}"));
    superuser.run_ok("SELECT pg_reload_conf()");
}

#[test]
fn a_reload_of_the_server_is_told_to_clients_and_logins() {
    on_each(SETTINGS, |plain| {
        let proxy = plain.proxy(plain.cluster.port(), "size = 1", "");
        let own = [
            ("user", "innovate"),
            ("database", SETTING_DATABASE),
            ("DateStyle", "German"),
        ];
        let mut own = Raw::log_in(proxy.port, &proxy.password, &own).unwrap();
        let mut alice = plain.client(&proxy, "innovate");
        let mut bob = plain.client(&proxy, "synergy");
        let mut superuser = plain.superuser();
        for (style, date) in [("SQL, DMY", DAY_FIRST), ("SQL, MDY", MONTH_FIRST)] {
            // The connection is not that of the next one: to its own last client the
            // server itself tells of the change behind the first answer.
            read(&mut bob);
            read(&mut alice);
            reload(&mut superuser, &format!("datestyle = '{style}'"));
            // One connection, which changes tenants each time.
            // The server may read its file between an attachment and the statement behind
            // it: until it has, nothing is said of what the client knows.
            wait_until("the server has read its file", || {
                bob.value(DATE);
                // A client's own setting stays as it is, and what it knows.
                assert_eq!(read(&mut own), "03.02.2024");
                bob.value(DATE);
                alice.value(DATE) == date
            });
            read(&mut bob);
            // A new client knows it from the start.
            let mut new = plain.client(&proxy, "innovate");
            assert_eq!(new.parameters["DateStyle"], style);
            assert_eq!(read(&mut new), date);
        }
    });
}

#[test]
fn a_login_is_told_what_holds_now_though_nobody_has_used_a_connection() {
    on_each(SETTINGS, |plain| {
        let proxy = plain.proxy(plain.cluster.port(), "size = 2", "");
        let style = |plain: &Plain, proxy: &Proxy| {
            let client = plain.client(proxy, "innovate");
            client.parameters["DateStyle"].clone()
        };
        assert_eq!(style(plain, &proxy), "SQL, MDY");
        reload(&mut plain.superuser(), "datestyle = 'SQL, DMY'");
        wait_until("logins are told of the change", || {
            style(plain, &proxy) == "SQL, DMY"
        });
    });
}

#[test]
fn connections_from_before_and_after_a_change_of_the_role_are_told_apart() {
    on_each(SETTINGS, |plain| {
        let proxy = plain.proxy(plain.cluster.port(), "size = 2", "");
        let mut alice = plain.client(&proxy, "innovate");
        let mut bob = plain.client(&proxy, "synergy");
        alice.run_ok("BEGIN");
        let alter = format!("ALTER ROLE {APP_ROLE} SET datestyle = 'SQL, DMY'");
        plain.superuser().run_ok(&alter);
        // The second connection is opened after the change.
        assert_eq!(read(&mut bob), DAY_FIRST);
        assert_eq!(read(&mut alice), MONTH_FIRST);
        alice.run_ok("COMMIT");
        // Each gets the other's connection, in both protocols and within a pipeline.
        for _ in 0..3 {
            for first in [true, false] {
                let (a, b) = match first {
                    true => (&mut alice, &mut bob),
                    false => (&mut bob, &mut alice),
                };
                a.run_ok("BEGIN");
                let dates = [read(b), read(a)];
                a.run_ok("COMMIT");
                assert!(dates.contains(&DAY_FIRST.to_owned()), "{dates:?}");
                assert!(dates.contains(&MONTH_FIRST.to_owned()), "{dates:?}");
            }
        }
        // A database's own setting comes before the role's; and a client's own before
        // both, also when it returns to it.
        alice.run_ok("SET datestyle = 'German'");
        for _ in 0..3 {
            bob.run_ok("BEGIN");
            assert_eq!(read(&mut alice), "03.02.2024");
            read(&mut bob);
            bob.run_ok("COMMIT");
            read(&mut bob);
        }
        alice.run_ok("RESET datestyle");
        for _ in 0..3 {
            read(&mut alice);
            bob.run_ok("BEGIN");
            read(&mut alice);
            bob.run_ok("COMMIT");
        }
        let mut new = plain.client(&proxy, "innovate");
        read(&mut new);
    });
}

#[test]
fn a_promoted_server_is_known_as_one() {
    on_each(&[], |plain| {
        plain.cluster.stop_fast().unwrap();
        std::fs::write(plain.cluster.data_dir().join("standby.signal"), "").unwrap();
        plain.cluster.start_again().unwrap();
        let proxy = plain.proxy(plain.cluster.port(), "size = 2", "");
        let client = plain.client(&proxy, "innovate");
        assert_eq!(client.parameters["in_hot_standby"], "on");
        let writes = || {
            let output = Command::new(plain.cluster.client_program("psql"))
                .args(["-X", "-A", "-t", "-c", "SELECT 1", "-d"])
                .arg(format!(
                    "host=127.0.0.1 port={} user=innovate password='{}' dbname={SETTING_DATABASE} \
                     target_session_attrs=read-write",
                    proxy.port, proxy.password
                ))
                .output()
                .unwrap();
            output.status.success()
        };
        assert!(!writes());
        plain.superuser().run_ok("SELECT pg_promote()");
        wait_until("clients that want to write get in", writes);
    });
}

#[test]
fn a_part_of_the_date_style_behind_a_reset_leaves_the_other_as_it_was_at_startup() {
    on_each(&[("datestyle", "ISO, MDY")], |plain| {
        let proxy = plain.proxy(plain.cluster.port(), "size = 1", "");
        let mut other = plain.client(&proxy, "synergy");
        for startup in ["ISO, DMY", "DMY", "SQL, YMD", "German", "Postgres"] {
            for sql in [
                "RESET ALL; SET DateStyle = 'ISO'",
                "RESET ALL; SET DateStyle TO sql; SET TimeZone = 'UTC'",
                "RESET ALL; SET DateStyle = 'us'",
                "RESET ALL; SET DateStyle = 'YMD'; SET DateStyle = 'SQL'",
                "RESET ALL; SET DateStyle = Postgres, European",
                "RESET ALL; SET DateStyle = 'German'",
                "RESET ALL; SET DateStyle = 'default'",
                "SET SESSION AUTHORIZATION DEFAULT; SET DateStyle = 'ISO'",
                "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; SET DateStyle = 'ISO'",
                "SET DateStyle = 'SQL'; RESET DateStyle; SET DateStyle = 'ISO'",
                "RESET DateStyle; SELECT set_config('DateStyle', 'ISO', false)",
                "SET DateStyle = 'SQL'; SET DateStyle = 'default'",
                "SET DateStyle TO DEFAULT; SET DateStyle = 'MDY'; SET TimeZone = 'UTC'",
            ] {
                let log_in = |port, user, password: &str| {
                    let parameters = [
                        ("user", user),
                        ("database", SETTING_DATABASE),
                        ("DateStyle", startup),
                    ];
                    Raw::log_in(port, password, &parameters).unwrap()
                };
                let superuser = plain.cluster.superuser_password();
                let mut direct = log_in(plain.cluster.port(), "postgres", superuser);
                let mut client = log_in(proxy.port, "innovate", &proxy.password);
                let mut styles = [&mut direct, &mut client].map(|client| {
                    client.run_ok(sql);
                    let style = client.value("SHOW DateStyle");
                    assert_eq!(client.parameters["DateStyle"], style, "{startup}: {sql}");
                    style
                });
                assert_eq!(styles[0], styles[1], "{startup}: {sql}");
                // It follows the client.
                other.run_ok("SELECT 1");
                styles[1] = client.value("SHOW DateStyle");
                assert_eq!(styles[0], styles[1], "{startup}: {sql}");
            }
        }
    });
}
