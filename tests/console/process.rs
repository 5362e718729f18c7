//! What the console asks of the process: reading the configuration again, settings,
//! and the end.

use super::{cell, count_clients, operator, port, proxy, try_admin};
use testkit::{Options, Proxy, Raw, wait_until};

/// A proxy that reads its file again only when it is asked to.
fn unwatched() -> Proxy {
    proxy(Options {
        more: "[directory]\nwatch = false\n".to_owned(),
        ..Options::default()
    })
}

fn edit(proxy: &Proxy, from: &str, to: &str) {
    let text = std::fs::read_to_string(&proxy.config).unwrap();
    assert!(text.contains(from));
    std::fs::write(&proxy.config, text.replace(from, to)).unwrap();
}

fn configured(admin: &mut Raw, key: &str) -> String {
    cell(admin, "SHOW CONFIG", "value", &[("key", key)])
}

#[test]
fn a_reload_answers_when_it_is_done_and_says_what_is_wrong() {
    let proxy = unwatched();
    let mut admin = operator(&proxy);
    edit(&proxy, "max_clients = 1000", "max_clients = 999");
    admin.run_ok("RELOAD");
    assert_eq!(configured(&mut admin, "max_client_conn"), "999");
    edit(&proxy, "max_clients = 999", "max_clients = 0");
    edit(
        &proxy,
        "password_file =",
        "password = \"hunter2\"\npassword_file =",
    );
    let error = admin.error("RELOAD");
    assert_eq!(error.code(), "F0000");
    for part in ["listen.max_clients", "password and password_file"] {
        assert!(error.message().contains(part), "{error:?}");
    }
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    // Nothing has changed, and the connection goes on.
    assert_eq!(configured(&mut admin, "max_client_conn"), "999");
}

#[test]
fn what_is_wrong_with_many_things_is_told_in_part() {
    let proxy = unwatched();
    let mut admin = operator(&proxy);
    let wrong: String = (0..40).map(|n| format!("wrong_{n} = 1\n")).collect();
    edit(&proxy, "max_clients =", &format!("{wrong}max_clients ="));
    let error = admin.error("RELOAD");
    assert!(error.message().contains("37 more problems"), "{error:?}");
}

#[test]
fn a_setting_holds_until_the_next_reload_and_through_changes_of_files() {
    let proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    let mut holder = proxy.raw("innovate");
    let mut waiter = proxy.raw("innovate");
    assert_eq!(
        admin.run_ok("SET max_user_connections = 1").commands(),
        ["SET"]
    );
    assert_eq!(configured(&mut admin, "max_user_connections"), "1");
    holder.run_ok("BEGIN");
    holder.run_ok("SELECT 1");
    waiter.send_query("SELECT 1");
    let so = [("user", "innovate")];
    wait_until("it waits", || {
        cell(&mut admin, "SHOW POOLS", "cl_waiting", &so) == "1"
    });
    edit(&proxy, "max_clients = 1000", "max_clients = 999");
    wait_until("the file is read", || {
        configured(&mut admin, "max_client_conn") == "999"
    });
    assert_eq!(configured(&mut admin, "max_user_connections"), "1");
    admin.run_ok("RELOAD");
    assert_eq!(configured(&mut admin, "max_user_connections"), "10");
    assert_eq!(waiter.until_ready().ok().value(), "1");
    holder.run_ok("COMMIT");
}

#[test]
fn settings_take_pgbouncer_s_values_and_what_is_wrong_is_told() {
    let proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    for (set, key, value) in [
        ("SET query_wait_timeout = 7", "query_wait_timeout", "7"),
        (
            "SET query_wait_timeout TO '1.5'",
            "query_wait_timeout",
            "1.5",
        ),
        ("set server_lifetime='2min';", "server_lifetime", "120"),
        ("SET server_idle_timeout = 5", "server_idle_timeout", "5"),
        ("SET client_login_timeout = 9", "client_login_timeout", "9"),
        ("SET server_check_delay = 3", "server_check_delay", "3"),
        ("SET query_timeout = 30", "query_timeout", "30"),
        (
            "SET idle_transaction_timeout = 60",
            "idle_transaction_timeout",
            "60",
        ),
        ("SET transaction_timeout = 90", "transaction_timeout", "90"),
        (
            "SET client_idle_timeout = 600",
            "client_idle_timeout",
            "600",
        ),
        ("SET max_packet_size = 131072", "max_packet_size", "131072"),
        ("SET max_client_conn = 99", "max_client_conn", "99"),
        (
            "SET max_user_client_connections = 9",
            "max_user_client_connections",
            "9",
        ),
        ("SET default_pool_size = 11", "default_pool_size", "11"),
        ("SET min_pool_size = 3", "min_pool_size", "3"),
    ] {
        let so = [("key", key)];
        assert_eq!(cell(&mut admin, "SHOW CONFIG", "changeable", &so), "yes");
        admin.run_ok(set);
        assert_eq!(configured(&mut admin, key), value, "{set}");
    }
    for (set, part) in [
        ("SET default_pool_size = many", "whole number"),
        (
            "SET default_pool_size = 0",
            "SET in the console: pool.size = \"0\": ",
        ),
        ("SET default_pool_size = 1", "pool.size_per_tenant = 10: "),
        (
            "SET query_wait_timeout = -1",
            "SET in the console: pool.wait_timeout = \"-1\": ",
        ),
        ("SET defaultpoolsize = 5", "did you mean default_pool_size?"),
        ("SET pool_mode = session", "no setting 'pool_mode'"),
    ] {
        let error = admin.error(set);
        assert!(error.message().contains(part), "{set}: {error:?}");
        assert!(!error.message().contains("environment"), "{error:?}");
    }
    // One that was refused leaves no trace.
    admin.run_ok("SET query_wait_timeout = 8");
    assert_eq!(configured(&mut admin, "default_pool_size"), "11");
    let mut viewer = try_admin(&proxy, port(&proxy), "eyes", "pgtenant").unwrap();
    let error = viewer.error("SET default_pool_size = 5");
    assert_eq!(error.message(), "admin access needed");
    let told = proxy.wait_for_log("SET default_pool_size = 11");
    assert!(told.contains("admin_command"), "{told}");
}

#[test]
fn what_drivers_set_for_their_sessions_is_ignored() {
    let proxy = proxy(Options::default());
    let mut viewer = try_admin(&proxy, port(&proxy), "eyes", "pgtenant").unwrap();
    for sql in [
        "SET client_encoding = 'UTF8'",
        "SET DateStyle TO ISO, MDY",
        "SET extra_float_digits = 3",
        "SET application_name = 'x'",
        "SET statement_timeout = 0",
        "SET TIME ZONE 'UTC'",
        "SET SESSION TimeZone TO 'UTC'",
        "SET client_min_messages TO warning",
        "SET search_path = a, b",
        "SET standard_conforming_strings = on",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET NAMES 'UTF8'",
    ] {
        assert_eq!(viewer.run_ok(sql).commands(), ["SET"], "{sql}");
    }
}

#[test]
fn a_shutdown_after_the_clients_lets_them_stay_and_nobody_in() {
    let mut proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    let mut client = proxy.raw("innovate");
    admin.run_ok("SHUTDOWN WAIT_FOR_CLIENTS");
    wait_until("nobody is let in", || {
        std::net::TcpStream::connect(("127.0.0.1", proxy.port)).is_err()
    });
    // Between transactions and idle, it stays.
    for _ in 0..3 {
        assert_eq!(client.value("SELECT 1"), "1");
    }
    assert_eq!(count_clients(&mut operator(&proxy)), 1);
    assert!(proxy.is_running());
    drop(client);
    assert!(proxy.wait().success());
}

#[test]
fn a_shutdown_after_the_servers_ends_idle_clients_also_once_it_waits_for_clients() {
    let mut proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    let mut client = proxy.raw("innovate");
    let mut idle = proxy.raw("synergy");
    client.run_ok("BEGIN");
    client.run_ok("SELECT 1");
    admin.run_ok("SHUTDOWN WAIT_FOR_CLIENTS");
    admin.run_ok("SHUTDOWN WAIT_FOR_SERVERS");
    assert_eq!(idle.until_closed().error().code(), "57P01");
    client.send_query("COMMIT");
    assert_eq!(client.until_closed().commands(), ["COMMIT"]);
    assert!(proxy.wait().success());
}

#[test]
fn a_shutdown_at_once_ends_everybody() {
    let mut proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN");
    client.run_ok("SELECT 1");
    admin.send_query("SHUTDOWN");
    client.until_closed();
    assert!(proxy.wait().success());
}
