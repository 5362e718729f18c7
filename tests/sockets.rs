//! Unix-domain sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use pgtenant::throwaway::wellness::SETTING_DATABASE;
use std::process::Command;
use testkit::{Plain, Programs, Proxy, Raw, program, stdout, wait_until};

/// A server, and the configuration of a proxy that reaches it through its socket.
fn local() -> Option<(Plain, String)> {
    let plain = Plain::start(&Programs::find(15)?, &[]);
    let port = plain.cluster.port();
    let text = plain.configuration(SETTING_DATABASE, port, "wait_timeout = \"1s\"", "");
    let folder = plain.cluster.socket_dir().unwrap();
    let text = text.replace(
        "host = \"127.0.0.1\"\n",
        &format!("host = {:?}\n", folder.to_str().unwrap()),
    );
    Some((plain, text))
}

fn client(proxy: &Proxy) -> Raw {
    let parameters = [("user", "innovate"), ("database", SETTING_DATABASE)];
    Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap()
}

#[test]
fn a_server_is_reached_through_its_socket() {
    let Some((plain, text)) = local() else {
        return;
    };
    // TLS is verified by default elsewhere, and there is none here.
    for text in [text.replace("tls = \"off\"\n", ""), text] {
        let proxy = plain.proxy_by(&text);
        let mut client = client(&proxy);
        let email = client.value("SELECT email FROM users");
        assert_eq!(email, "alice@innovate.example");
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE client_port = -1 \
                   AND usename = 'wellness_app'";
        let reached = plain.cluster.psql("postgres", sql).unwrap();
        assert_ne!(reached.trim(), "0");
        // A request to cancel takes the same way.
        client.send_query("SELECT pg_sleep(600)");
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        wait_until("the statement runs", || {
            plain.cluster.psql("postgres", sql).unwrap().trim() == "1"
        });
        client.cancel();
        assert_eq!(client.until_ready().error().code(), "57014");
        assert_eq!(client.value("SELECT 1"), "1");
        let check = Command::new(program())
            .args(["check", "--config"])
            .arg(&proxy.config)
            .output();
        let report = stdout(&check.unwrap());
        let looked = format!("looked at database {SETTING_DATABASE} of main");
        assert!(report.contains(&looked), "{report}");
    }
}

#[test]
fn a_server_s_socket_that_is_away_is_waited_for() {
    let Some((mut plain, text)) = local() else {
        return;
    };
    let proxy = plain.proxy_by(&text);
    let mut before = client(&proxy);
    before.run_ok("SELECT 1");
    plain.cluster.stop_fast().unwrap();
    let error = before.error("SELECT 1");
    assert!(["57P01", "57P03"].contains(&error.code()), "{error:?}");
    plain.cluster.start_again().unwrap();
    wait_until("it is reached again", || {
        let parameters = [("user", "innovate"), ("database", SETTING_DATABASE)];
        let client = Raw::log_in(proxy.port, &proxy.password, &parameters);
        client.is_ok_and(|mut client| client.query("SELECT 1").messages.len() > 2)
    });
}
