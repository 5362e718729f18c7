//! Requests to cancel: how they end, whom they strike, and how many there may be.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use pgtenant::throwaway::Authority;
use testkit::{
    CANCEL_REQUEST, Options, Pipeline, Proxy, Raw, Relay, Site, Tls, packet, site, wait_until,
};

/// Behind a relay that can hold requests back.
fn behind(relay: &Relay, options: Options) -> Proxy {
    Proxy::start(&Options {
        relay: Some(relay.port),
        ..options
    })
}

fn size(size: usize) -> Options {
    Options {
        size,
        ..Options::default()
    }
}

/// The ways a request may come.
fn ways(port: u16) -> Vec<(&'static str, Raw)> {
    vec![
        ("clear text", Raw::open(port)),
        ("TLS 1.2", Raw::secured(port, Tls::V1_2)),
        ("TLS 1.3", Raw::secured(port, Tls::V1_3)),
    ]
}

/// Asks to cancel, and does not wait for the connection's end.
fn ask(conn: &mut Raw, pid: u32, secret: &[u8]) {
    let body = [&pid.to_be_bytes()[..], secret].concat();
    conn.send(&packet(CANCEL_REQUEST, &body));
}

fn asking(proxy: &Proxy, client: &Raw) -> Raw {
    let mut conn = Raw::open(proxy.port);
    ask(&mut conn, client.pid, &client.secret);
    conn
}

/// Waits until the proxy has looked at all requests that were made before.
fn overtake(proxy: &Proxy, client: &Raw) {
    let refused = |proxy: &Proxy| proxy.log().matches("cancel_refused").count();
    let before = refused(proxy);
    let mut conn = Raw::open(proxy.port);
    let wrong: Vec<_> = client.secret.iter().map(|byte| byte ^ 1).collect();
    ask(&mut conn, client.pid, &wrong);
    assert!(conn.ends_well());
    wait_until("the request is refused", || refused(proxy) > before);
}

// How they end.

#[test]
fn a_request_s_connection_is_closed_after_the_server_s_own_and_properly() {
    let relay = Relay::start(site());
    let proxy = behind(&relay, size(2));
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN");
    for (n, (way, mut conn)) in ways(proxy.port).into_iter().enumerate() {
        relay.hold();
        client.send_query("SELECT pg_sleep(600)");
        ask(&mut conn, client.pid, &client.secret);
        relay.wait_for(n + 1);
        assert!(conn.stays_open(), "{way}");
        wait_until_sleeping(&proxy);
        relay.release();
        assert!(conn.ends_well(), "{way}");
        assert_eq!(client.until_ready().error().code(), "57014", "{way}");
        client.run_ok("ROLLBACK; BEGIN");
    }
}

fn wait_until_sleeping(proxy: &Proxy) {
    let database = proxy.database("innovate");
    let sql = format!(
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = '{database}' \
         AND wait_event = 'PgSleep'"
    );
    wait_until("the statement runs", || site().sql("postgres", &sql) == "t");
}

#[test]
fn a_request_that_comes_to_nothing_ends_as_one_that_strikes() {
    let proxy = Proxy::start(&Options::default());
    let mut client = proxy.raw("innovate");
    client.run_ok("SELECT 1");
    let wrong: Vec<_> = client.secret.iter().map(|byte| byte ^ 1).collect();
    for (what, pid, secret) in [
        ("nothing runs", client.pid, &client.secret),
        ("a wrong key", client.pid, &wrong),
        ("a longer key", client.pid, &client.secret.repeat(8)),
        ("nobody", client.pid ^ 1, &client.secret),
    ] {
        for (way, mut conn) in ways(proxy.port) {
            ask(&mut conn, pid, secret);
            assert!(conn.ends_well(), "{what}, {way}");
        }
    }
    assert_eq!(client.value("SELECT 2"), "2");
}

#[test]
fn a_client_that_waits_for_the_end_of_its_request_is_not_struck_afterwards() {
    let proxy = Proxy::start(&size(2));
    let mut client = proxy.raw("innovate");
    for _ in 0..50 {
        client.run_ok("BEGIN");
        client.run_ok("SELECT 1");
        client.cancel();
        client.run_ok("SELECT pg_sleep(0.02)");
        client.run_ok("COMMIT");
    }
}

#[test]
fn a_request_to_a_silent_server_ends_in_time() {
    let relay = Relay::start(site());
    let proxy = behind(
        &relay,
        Options {
            connect_timeout: "500ms",
            ..size(2)
        },
    );
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN");
    relay.hold();
    for (way, mut conn) in ways(proxy.port) {
        ask(&mut conn, client.pid, &client.secret);
        assert!(conn.ends_well(), "{way}");
    }
    assert_eq!(relay.came(), 3);
    relay.wait_until_gone();
    // It has lost nothing.
    client.run_ok("SELECT 1");
    relay.release();
    relay.wait_until_passed(3);
    client.run_ok("COMMIT");
}

// How many there may be.

#[test]
fn a_server_connection_has_one_request_under_way_at_a_time() {
    let relay = Relay::start(site());
    let proxy = behind(&relay, size(2));
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN");
    client.send_query("SELECT pg_sleep(600)");
    wait_until_sleeping(&proxy);
    relay.hold();
    let requests: Vec<_> = (0..300).map(|_| asking(&proxy, &client)).collect();
    overtake(&proxy, &client);
    relay.wait_for(1);
    assert_eq!(relay.came(), 1);
    relay.release();
    for mut conn in requests {
        assert!(conn.ends_well());
    }
    assert_eq!(relay.came(), 2);
    assert_eq!(client.until_ready().error().code(), "57014");
    client.run_ok("ROLLBACK");
}

#[test]
fn a_server_has_a_bounded_number_of_requests_under_way() {
    let relay = Relay::start(site());
    let proxy = behind(&relay, size(20));
    let mut clients: Vec<_> = (0..20).map(|_| proxy.raw("innovate")).collect();
    for client in &mut clients {
        client.run_ok("BEGIN");
    }
    relay.hold();
    let requests = clients.iter().map(|client| asking(&proxy, client));
    let requests: Vec<_> = requests.collect();
    overtake(&proxy, &clients[0]);
    relay.wait_for(16);
    assert_eq!(relay.came(), 16);
    relay.release();
    for mut conn in requests {
        assert!(conn.ends_well());
    }
    assert_eq!(relay.came(), 20);
    for client in &mut clients {
        client.run_ok("COMMIT");
    }
}

// Whom they strike.

#[test]
fn a_request_that_waits_is_for_nothing_once_the_connection_is_given_up() {
    let relay = Relay::start(site());
    let proxy = behind(&relay, size(1));
    let mut client = proxy.raw("innovate");
    let mut other = proxy.raw("synergy");
    let backend = client.backend();
    client.run_ok("BEGIN");
    relay.hold();
    let mut first = asking(&proxy, &client);
    relay.wait_for(1);
    let mut second = asking(&proxy, &client);
    overtake(&proxy, &client);
    assert!(second.is_quiet());
    client.run_ok("COMMIT");
    assert!(second.ends_well());
    // The connection is nobody's while a request may strike what runs on it.
    other.send_query("SELECT pg_backend_pid() + 0");
    assert!(!other.has_answer());
    assert!(first.is_quiet());
    relay.release();
    assert!(first.ends_well());
    assert_eq!(other.until_ready().ok().value(), backend);
    assert_eq!(relay.came(), 1);
}

#[test]
fn a_request_does_not_keep_the_connection_that_its_client_uses_next() {
    let relay = Relay::start(site());
    let proxy = behind(&relay, size(2));
    let mut client = proxy.raw("innovate");
    let mut other = proxy.raw("synergy");
    client.run_ok("BEGIN");
    let first = client.backend();
    relay.hold();
    let mut conn = asking(&proxy, &client);
    relay.wait_for(1);
    client.run_ok("COMMIT");
    let second = client.backend();
    assert_ne!(first, second);
    // A request for what runs there now is another's affair, and does not hold
    // the first one back.
    client.run_ok("BEGIN");
    let mut late = asking(&proxy, &client);
    relay.wait_for(2);
    client.run_ok("COMMIT");
    other.send_query("SELECT pg_backend_pid() + 0");
    assert!(!other.has_answer());
    relay.release_one();
    assert_eq!(other.until_ready().ok().value(), first);
    assert!(conn.ends_well());
    relay.release();
    assert!(late.ends_well());
}

#[test]
fn one_that_cannot_be_secured_is_told_with_the_key_that_decides_it() {
    let site = Site::start();
    let proxy = Proxy::start_before(&site, &size(1));
    let mut client = proxy.raw("innovate");
    client.send(Pipeline::new().query("SELECT pg_sleep(600)").bytes());
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query ~ 'pg_sleep.600'";
    wait_until("the statement runs", || {
        site.sql("wellness_corp_db", running) == "2"
    });
    let other = Authority::new("another CA").unwrap();
    let identity = other.server(&["localhost", "127.0.0.1"]).unwrap();
    for (setting, text) in [
        ("ssl_cert_file", &identity.certificate_pem),
        ("ssl_key_file", &identity.key_pem),
    ] {
        let name = site.sql("postgres", &format!("SHOW {setting}"));
        let folder = site.sql("postgres", "SHOW data_directory");
        std::fs::write(std::path::Path::new(&folder).join(name), text).unwrap();
    }
    // Both are in force at once.
    site.sql("postgres", "ALTER SYSTEM SET work_mem = '5MB'");
    site.sql("postgres", "SELECT pg_reload_conf()");
    wait_until("the server has another certificate", || {
        site.sql("postgres", "SHOW work_mem") == "5MB"
    });
    let _asking = asking(&proxy, &client);
    let line = proxy.wait_for_log("cannot deliver a cancel request");
    assert!(line.contains("server=main"), "{line}");
    assert!(
        line.contains("servers.main.ca must have the authority"),
        "{line}"
    );
}
