//! How many connections there may be to a server, over all databases.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::thread;
use testkit::{Options, Proxy, Raw, configuration, site, wait_until};

fn proxy(most: usize, wait_timeout: &'static str) -> Proxy {
    let options = Options {
        wait_timeout,
        ..Options::default()
    };
    let text = configuration(site(), &options);
    let before = "[servers.main]\n";
    assert!(text.contains(before));
    let text = text.replace(before, &format!("{before}max_connections = {most}\n"));
    let mut proxy = Proxy::run(&site().write_new(".toml", &text));
    proxy.password.clone_from(&site().login_password);
    proxy
}

fn log_in(proxy: &Proxy, login: &str, database: &str) -> Raw {
    let parameters = [("user", login), ("database", database)];
    Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap()
}

/// The server connections of clients, over all databases.
fn open() -> usize {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'wellness%' \
               AND application_name <> 'pgtenant' AND usename <> 'postgres'";
    site().sql("postgres", sql).parse().unwrap()
}

#[test]
fn a_connection_of_one_database_makes_room_for_one_of_another() {
    let proxy = proxy(2, "30s");
    let mut clients = [
        log_in(&proxy, "innovate", "wellness_corp_db"),
        log_in(&proxy, "umbrella", "wellness_umbrella"),
        log_in(&proxy, "initech", "wellness_initech"),
    ];
    for _ in 0..3 {
        for client in &mut clients {
            client.run_ok("SELECT 1");
            wait_until("there are two at most", || open() <= 2);
        }
    }
    // All are used: who wants one waits until one is not.
    let [a, b, c] = &mut clients;
    a.run_ok("BEGIN");
    b.run_ok("BEGIN");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| c.run_ok("SELECT 1"));
        wait_until("it waits", || {
            proxy.log().matches("event=\"login\"").count() == 3 && open() == 2
        });
        a.run_ok("COMMIT");
        waiting.join().unwrap();
    });
    b.run_ok("COMMIT");
    // More than there may be from now on are let go of.
    proxy.reload(|text| text.replace("max_connections = 2", "max_connections = 1"));
    proxy.wait_for_log("reloaded");
    for client in &mut clients {
        client.run_ok("SELECT 1");
    }
    wait_until("there is one", || open() == 1);
    // And who cannot have one in time is told so.
    proxy.reload(|text| text.replace("wait_timeout = \"30s\"", "wait_timeout = \"200ms\""));
    let [a, b, _] = &mut clients;
    a.run_ok("BEGIN");
    wait_until("the reload is in force", || {
        let answer = b.query("SELECT 1");
        let errors = answer.errors();
        errors.first().is_some_and(|error| {
            error.code() == "53300"
                && error
                    .message()
                    .contains("no connection to the database server")
        })
    });
    a.run_ok("COMMIT");
    b.run_ok("SELECT 1");
}
