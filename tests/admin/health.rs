//! `/livez` and `/readyz`.

use crate::{TOKEN, bearer, proxy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::{io, thread};
use testkit::{Options, Raw, site, wait_until};

#[test]
fn every_worker_is_seen_to_live() {
    let (_proxy, door) = proxy(
        "",
        Options {
            workers: 3,
            ..Options::default()
        },
    );
    let reply = door.get("/livez", &[]);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.json()["status"], "pass");
    assert_eq!(reply.checks("pass"), ["worker 0", "worker 1", "worker 2"]);
}

#[test]
fn a_proxy_is_ready_though_no_server_was_asked_and_names_each_check() {
    let (proxy, door) = proxy("", Options::default());
    let reply = door.get("/readyz", &[]);
    assert_eq!(reply.status, 200);
    let expected = [
        "listening",
        "draining",
        "directory",
        "isolation database",
        "isolation schema",
        "isolation setting",
    ];
    assert_eq!(reply.checks("pass"), expected);
    // Addresses and errors are not for everybody.
    assert!(!reply.body.contains("detail"), "{reply:?}");
    let full = door.get("/readyz", &[&bearer(TOKEN)]);
    assert!(full.body.contains("has not been asked yet"), "{full:?}");
    assert!(
        full.body.contains(&format!("127.0.0.1:{}", proxy.port)),
        "{full:?}"
    );
    proxy.raw("innovate").run_ok("SELECT 1");
    let full = door.get("/readyz", &[&bearer(TOKEN)]);
    assert!(full.body.contains("server main: answers"), "{full:?}");
}

/// Passes connections on to the server of the site.
fn pass_on(listener: TcpListener) {
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(("127.0.0.1", site().cluster.port())).unwrap();
            let ways = [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ];
            for (mut from, mut to) in ways {
                thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
            }
        }
    });
}

#[test]
fn a_proxy_whose_server_is_away_is_not_ready_until_it_is_there_again() {
    // The system takes connections for it, and nobody answers.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let (proxy, door) = proxy(
        "",
        Options {
            relay: Some(server.local_addr().unwrap().port()),
            connect_timeout: "1s",
            ..Options::default()
        },
    );
    assert_eq!(door.get("/readyz", &[]).status, 200);
    let database = proxy.database("innovate");
    let parameters = [("user", "innovate"), ("database", &*database)];
    let client = Raw::log_in(proxy.port, &proxy.password, &parameters);
    assert_eq!(client.err().unwrap().code(), "57P03");
    let reply = door.get("/readyz", &[]);
    assert_eq!(reply.status, 503);
    assert_eq!(reply.json()["status"], "fail");
    assert_eq!(
        reply.checks("fail"),
        [
            "isolation database",
            "isolation schema",
            "isolation setting"
        ]
    );
    // The process itself is fine.
    assert_eq!(door.get("/livez", &[]).status, 200);
    // Nobody connects, and it is found nevertheless: that clear text is refused there
    // is an answer.
    pass_on(server);
    wait_until("the server is found", || {
        door.get("/readyz", &[]).status == 200
    });
}

#[test]
fn a_server_that_refuses_a_login_is_there() {
    let (proxy, door) = proxy(
        "",
        Options {
            database: "there_is_no_such_database".to_owned(),
            ..Options::default()
        },
    );
    let parameters = [
        ("user", "innovate"),
        ("database", "there_is_no_such_database"),
    ];
    let client = Raw::log_in(proxy.port, &proxy.password, &parameters);
    assert_eq!(client.err().unwrap().code(), "08001");
    let full = door.get("/readyz", &[&bearer(TOKEN)]);
    assert_eq!(full.status, 200);
    assert!(full.body.contains("server main: answers"), "{full:?}");
}

#[test]
fn a_proxy_that_drains_says_so_until_it_has_ended() {
    let (mut proxy, door) = proxy("", Options::default());
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN");
    proxy.terminate();
    proxy.wait_for_log("draining");
    let reply = door.get("/readyz", &[]);
    assert_eq!(reply.status, 503);
    assert_eq!(reply.checks("fail"), ["listening", "draining"]);
    assert_eq!(door.get("/livez", &[]).status, 200);
    client.send_query("COMMIT");
    client.until_closed();
    assert!(proxy.wait().success());
    assert!(door.open().is_err());
}

#[test]
fn a_directory_that_is_away_leaves_the_proxy_not_ready() {
    let more = "[directory.sql]\nserver = \"main\"\ndatabase = \"no_such_directory\"\n\
                user = \"tenant_directory\"\npassword = \"x\"\nlogins = \"SELECT 1\"\n";
    let (_proxy, door) = proxy(
        "",
        Options {
            more: more.to_owned(),
            ..Options::default()
        },
    );
    let reply = door.get("/readyz", &[]);
    assert_eq!(reply.status, 503);
    assert_eq!(reply.checks("fail"), ["directory"]);
}

#[test]
fn a_proxy_that_waits_for_its_clients_to_leave_takes_no_new_ones() {
    let scram = &site().login_verifier;
    let (mut proxy, door) = proxy(
        "",
        Options {
            more: format!("[[admins]]\nuser = \"ops\"\nrole = \"operator\"\nscram = {scram:?}\n"),
            ..Options::default()
        },
    );
    let parameters = [("user", "ops"), ("database", "pgtenant")];
    let mut admin = Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap();
    let mut client = proxy.raw("innovate");
    assert_eq!(door.get("/readyz", &[]).status, 200);
    admin.run_ok("SHUTDOWN WAIT_FOR_CLIENTS");
    wait_until("it is not ready", || door.get("/readyz", &[]).status == 503);
    assert_eq!(client.value("SELECT 1"), "1");
    drop(client);
    assert!(proxy.wait().success());
}
