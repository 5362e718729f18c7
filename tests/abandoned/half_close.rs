//! Clients that shut down the write side only: they still read, and PostgreSQL
//! answers what they have sent.

use crate::with_bulk;
use std::net::Shutdown;
use std::time::Duration;
use testkit::{Options, Pipeline, answers_soon, assert_whole, pool, site};

fn options() -> Options {
    Options {
        size: 1,
        wait_timeout: pool::WAIT_TIMEOUT,
        ..Options::default()
    }
}

/// Both protocols.
fn asking(sql: &str) -> [Pipeline; 2] {
    [
        Pipeline::new().query(sql),
        Pipeline::new().statement(sql).sync(),
    ]
}

#[test]
fn who_sends_no_more_still_gets_its_answer() {
    let proxy = with_bulk(options());
    for sql in ["SELECT 42", "SELECT 42 FROM pg_sleep(0.5)"] {
        for messages in asking(sql) {
            let mut client = proxy.raw("innovate");
            client.send(messages.bytes());
            client.stream.shutdown(Shutdown::Write).unwrap();
            assert!(answers_soon(&client));
            assert_eq!(client.until_closed().ok().value(), "42", "{sql}");
            assert_whole(sql, &proxy, "synergy", 1);
        }
    }
}

#[test]
fn a_statement_that_writes_is_carried_out() {
    let proxy = with_bulk(options());
    let database = proxy.database("innovate");
    for sql in [
        "INSERT INTO bulk VALUES (1, 'x')",
        "INSERT INTO bulk SELECT 1, 'x' FROM pg_sleep(0.5)",
    ] {
        for messages in asking(sql) {
            let mut client = proxy.raw("innovate");
            client.send(messages.bytes());
            client.stream.shutdown(Shutdown::Write).unwrap();
            let answer = client.until_closed();
            assert_eq!(answer.ok().commands(), ["INSERT 0 1"], "{sql}");
        }
    }
    assert_eq!(site().sql(&database, "SELECT count(*) FROM bulk"), "4");
}

#[test]
fn who_reads_slowly_gets_all_of_its_answer() {
    let proxy = with_bulk(options());
    let sql = "SELECT repeat('x', 100000) FROM generate_series(1, 300)";
    let mut client = proxy.raw("innovate");
    client.send_query(sql);
    client.stream.shutdown(Shutdown::Write).unwrap();
    let mut rows = 0;
    while let Some(message) = client.try_read() {
        if message.tag == b'D' {
            rows += 1;
            // Longer in all than the proxy waits for one that does not read.
            std::thread::sleep(Duration::from_millis(15));
        }
    }
    assert_eq!(rows, 300);
    assert_whole(sql, &proxy, "synergy", 1);
}

#[test]
fn who_waits_for_a_connection_is_answered() {
    let proxy = with_bulk(options());
    let mut other = proxy.raw("innovate");
    let mut neighbour = proxy.raw("synergy");
    for opens in [false, true] {
        if opens {
            let pid = other.backend();
            let sql = format!("SELECT pg_terminate_backend({pid}, 60000)");
            assert_eq!(site().sql("postgres", &sql), "t");
        } else {
            other.run_ok("BEGIN");
        }
        let mut client = proxy.raw("innovate");
        client.send_query("SELECT 42");
        client.stream.shutdown(Shutdown::Write).unwrap();
        if !opens {
            // The proxy has had time for whatever it would do.
            for _ in 0..5 {
                assert_eq!(neighbour.error("SET ROLE postgres").code(), "42501");
            }
            other.run_ok("COMMIT");
        }
        assert_eq!(client.until_closed().ok().value(), "42", "opens: {opens}");
    }
    assert_whole("waits", &proxy, "synergy", 1);
}

#[test]
fn all_of_a_pipeline_is_answered() {
    let proxy = with_bulk(options());
    let mut client = proxy.raw("innovate");
    let many = (0..50).fold(Pipeline::new(), |all, n| {
        all.statement(&format!("SELECT {n}"))
            .sync()
            .query("SELECT 7")
    });
    client.send(many.bytes());
    client.stream.shutdown(Shutdown::Write).unwrap();
    let answer = client.until_closed();
    assert_eq!(answer.of(b'Z').count(), 100);
    assert_eq!(answer.ok().column().len(), 100);
    assert_whole("a pipeline", &proxy, "synergy", 1);
}

#[test]
fn an_open_transaction_is_rolled_back_behind_its_answer() {
    let proxy = with_bulk(options());
    let database = proxy.database("innovate");
    let mut client = proxy.raw("innovate");
    client.send_query("BEGIN");
    client.send_query("INSERT INTO bulk SELECT 1, 'x' FROM pg_sleep(0.3)");
    client.stream.shutdown(Shutdown::Write).unwrap();
    let answer = client.until_closed();
    assert_eq!(answer.ok().commands(), ["BEGIN", "INSERT 0 1"]);
    assert_whole("a transaction", &proxy, "synergy", 1);
    assert_eq!(site().sql(&database, "SELECT count(*) FROM bulk"), "0");
}
