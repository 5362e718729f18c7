//! Sessions that are told something, and never come to the end of a transaction:
//! they have `directory.end_sessions_within`.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::io::Write as _;
use std::time::Instant;
use testkit::{
    Fields, INNOVATE, Message, Options, PATIENCE, Pipeline, Proxy, Raw, site, wait_until,
};

const SUSPENDED: &str = "terminating connection: the tenant is suspended";
const CHANGED: &str = "terminating connection: the tenant's configuration has changed";

fn start(options: Options) -> Proxy {
    Proxy::start(&Options {
        more: "[directory]\nend_sessions_within = \"500ms\"\n".to_owned(),
        ..options
    })
}

/// Makes the tenant what `lines` say.
fn change(proxy: &Proxy, lines: &str) {
    let head = format!("[[tenants]]\nid = \"{INNOVATE}\"\n");
    proxy.reload(|text| {
        assert!(text.contains(&head));
        text.replace(&head, &format!("{head}{lines}\n"))
    });
}

/// Sends `bytes` and reads up to the first message of this type, again and
/// again, until the session ends: with which error.
fn until_ended(client: &mut Raw, bytes: &[u8], tag: Option<u8>) -> Fields {
    let deadline = Instant::now() + PATIENCE;
    let mut last: Option<Message> = None;
    loop {
        assert!(Instant::now() < deadline, "the session goes on and on");
        let sent = client.stream.write_all(bytes).is_ok();
        let mut over = sent && tag.is_none() && !client.has_answer();
        while !over {
            let Some(message) = client.try_read() else {
                return last.unwrap().fields();
            };
            over = tag == Some(message.tag);
            last = Some(message);
        }
    }
}

#[track_caller]
fn assert_ended(error: &Fields, message: &str) {
    assert_eq!((error.severity(), error.code()), ("FATAL", "57P01"));
    assert_eq!(error.message(), message);
}

#[test]
fn a_chain_of_transactions_ends_in_time_once_the_tenant_is_suspended() {
    for mode in ["transaction", "session"] {
        let proxy = start(Options {
            mode,
            ..Options::default()
        });
        let mut client = proxy.raw("innovate");
        client.run_ok("BEGIN");
        change(&proxy, "state = \"suspended\"");
        let chain = Pipeline::new().query("SELECT 1; COMMIT AND CHAIN");
        let error = until_ended(&mut client, chain.bytes(), Some(b'Z'));
        assert_ended(&error, SUSPENDED);
        proxy.wait_for_log("session_late");
    }
}

#[test]
fn a_pipeline_without_a_sync_ends_in_time_once_the_tenant_is_read_only() {
    let proxy = start(Options::default());
    let mut client = proxy.raw("innovate");
    client.run_ok("SELECT 1");
    let pipeline = Pipeline::new().statement("SELECT 1").flush();
    client.send(pipeline.bytes());
    client.until(b'C');
    change(&proxy, "state = \"read-only\"");
    let error = until_ended(&mut client, pipeline.bytes(), Some(b'C'));
    assert_ended(&error, CHANGED);
}

#[test]
fn a_copy_into_a_table_ends_in_time_and_leaves_nothing() {
    let database = site().fresh_database();
    site().sql(
        &database,
        "CREATE TABLE lines (t text); GRANT ALL ON lines TO wellness_app",
    );
    let proxy = start(Options {
        database: database.clone(),
        ..Options::default()
    });
    let mut client = proxy.raw("innovate");
    client.send_query("COPY lines FROM STDIN");
    client.until(b'G');
    change(&proxy, "state = \"suspended\"");
    let data = Pipeline::new().copy_data(b"one more\n");
    let error = until_ended(&mut client, data.bytes(), None);
    assert_ended(&error, SUSPENDED);
    wait_until("the server has ended the copy", || {
        site().sql(&database, "SELECT count(*) FROM pg_stat_progress_copy") == "0"
    });
    assert_eq!(site().sql(&database, "SELECT count(*) FROM lines"), "0");
}

#[test]
fn a_long_statement_is_cancelled_when_its_session_s_time_is_over() {
    let database = site().fresh_database();
    let proxy = start(Options {
        database: database.clone(),
        ..Options::default()
    });
    let mut client = proxy.raw("innovate");
    client.send_query("SELECT pg_sleep(600)");
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' \
                    AND datname = current_database()";
    wait_until("it runs", || site().sql(&database, sleeping) == "1");
    change(&proxy, "state = \"suspended\"");
    let answer = client.until_closed();
    assert_ended(&answer.error(), SUSPENDED);
    wait_until("it is cancelled", || site().sql(&database, sleeping) == "0");
}

#[test]
fn who_comes_to_an_end_in_time_is_not_ended_before() {
    let proxy = start(Options::default());
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN");
    change(&proxy, "state = \"read-only\"");
    client.run_ok("COMMIT");
    // It has followed, and lives longer than it would have had time.
    assert_eq!(client.value("SHOW default_transaction_read_only"), "on");
    client.run_ok("SELECT pg_sleep(1)");
    client.run_ok("BEGIN");
    client.run_ok("SELECT pg_sleep(1)");
    client.run_ok("COMMIT");
}

#[test]
fn a_change_that_takes_nothing_from_a_session_waits_for_it() {
    let proxy = start(Options::default());
    change(&proxy, "state = \"read-only\"\nstatement_timeout = \"10s\"");
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN");
    // Fewer connections, and then more rights.
    change(&proxy, "pool_size = 3");
    proxy.reload(|text| {
        text.replace("state = \"read-only\"\n", "")
            .replace("statement_timeout = \"10s\"\n", "")
    });
    client.run_ok("SELECT pg_sleep(1.5)");
    client.run_ok("COMMIT");
    client.run_ok("DELETE FROM wellness_entries WHERE false");
    // One that takes something away later has its own time.
    client.run_ok("BEGIN");
    change(&proxy, "allowed = [\"10.0.0.0/8\"]");
    assert_eq!(client.until_closed().error().code(), "57P01");
}
