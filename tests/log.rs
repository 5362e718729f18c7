//! A log that cannot be written stops nothing.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use testkit::{INNOVATE, Options, Proxy, Raw, site};

/// More lines than may wait, and more than a pipe holds.
const MANY: usize = 10_000;

/// Has clients log in, and makes many lines of the log.
fn use_it(proxy: &Proxy) {
    let mut client = proxy.raw("innovate");
    for _ in 0..MANY {
        assert_eq!(client.error("SET ROLE postgres").code(), "42501");
    }
    let mut another = proxy.raw("synergy");
    assert_eq!(
        another.value("SELECT email FROM users"),
        "bob@synergy.example"
    );
}

fn stop(mut proxy: Proxy) {
    proxy.terminate();
    assert_eq!(proxy.wait().code(), Some(0));
}

#[test]
fn with_nobody_behind_the_pipe() {
    let (reader, writer) = std::io::pipe().unwrap();
    let proxy = Proxy::start_logging_to(&Options::default(), Stdio::from(writer));
    drop(reader);
    use_it(&proxy);
    stop(proxy);
}

#[test]
fn with_no_room_on_the_disk() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let proxy = Proxy::start_logging_to(&Options::default(), Stdio::from(full));
    use_it(&proxy);
    stop(proxy);
}

#[test]
fn with_a_pipe_that_nobody_reads() {
    let (reader, writer) = std::io::pipe().unwrap();
    let proxy = Proxy::start_logging_to(&Options::default(), Stdio::from(writer));
    use_it(&proxy);
    // Once somebody reads, it is told how much is missing.
    let mut lines = BufReader::new(reader).lines().map(Result::unwrap);
    let told = lines
        .by_ref()
        .find(|line| line.contains("log lines were dropped"));
    assert!(told.is_some_and(|line| line.contains("lines=")));
    stop(proxy);
}

#[test]
fn a_pipe_that_nobody_reads_does_not_keep_it_from_ending() {
    let (_reader, writer) = std::io::pipe().unwrap();
    let proxy = Proxy::start_logging_to(&Options::default(), Stdio::from(writer));
    use_it(&proxy);
    stop(proxy);
}

#[test]
fn a_refused_login_is_logged_with_login_and_tenant_and_a_probe_is_no_warning() {
    let proxy = Proxy::start(&Options {
        log: "debug",
        ..Options::default()
    });
    let refuse = |user: &str| {
        let parameters = [("user", user), ("database", "x")];
        assert!(Raw::log_in(proxy.port, "wrong", &parameters).is_err());
    };
    refuse("innovate");
    let line = proxy.wait_for_log("login=\"innovate\"");
    let tenant = format!("tenant=\"{INNOVATE}\"");
    assert!(
        line.contains("WARN") && line.contains("login_refused") && line.contains(&tenant),
        "{line}"
    );
    refuse("nobody\n");
    let line = proxy.wait_for_log("nobody");
    assert!(!line.contains("tenant="), "{line}");
    // A probe of the port.
    drop(std::net::TcpStream::connect(("127.0.0.1", proxy.port)).unwrap());
    let line = proxy.wait_for_log("the connection was lost");
    assert!(
        line.contains("DEBUG") && line.contains("login_refused"),
        "{line}"
    );
    // pg_isready, which leaves when it is asked for a password.
    let ready = std::process::Command::new(site().cluster.client_program("pg_isready"))
        .args([
            "-h",
            "127.0.0.1",
            "-U",
            "synergy",
            "-p",
            &proxy.port.to_string(),
        ])
        .status()
        .unwrap();
    assert!(ready.success());
    let line = proxy.wait_for_log("login=\"synergy\"");
    assert!(
        line.contains("INFO") && line.contains("login_refused"),
        "{line}"
    );
}
