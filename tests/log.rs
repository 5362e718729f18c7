//! A log that cannot be written stops nothing.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use testkit::{Options, Proxy};

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
