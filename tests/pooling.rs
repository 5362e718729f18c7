//! Server connections that clients use in turn: who gets which, what follows
//! the client, and that every answer reaches the one who asked.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use testkit::{Message, Options, Pipeline, Proxy, Raw, cancel, site, wait_until};

/// A proxy with a database of its own, in which tenants can fill `bulk`.
fn with_bulk(options: Options) -> Proxy {
    let database = site().fresh_database();
    site().sql(
        &database,
        "CREATE TABLE bulk (n integer PRIMARY KEY, t text); GRANT ALL ON bulk TO wellness_app;",
    );
    Proxy::start(&Options {
        database,
        ..options
    })
}

fn size(size: usize) -> Options {
    Options {
        size,
        ..Options::default()
    }
}

/// How many server connections tenants have to the database: the proxy's own, by
/// which it reads the catalog, is called `pgtenant`.
fn connections(proxy: &Proxy) -> usize {
    let database = proxy.database("innovate");
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND application_name <> 'pgtenant'"
    );
    site().sql("postgres", &sql).parse().unwrap()
}

/// Waits until the server connection is in this state (`pg_stat_activity`).
fn wait_for_backend(pid: &str, condition: &str) {
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND {condition}");
    wait_until(condition, || site().sql("postgres", &sql) == "1");
}

// Who gets a connection.

#[test]
fn a_server_connection_changes_hands_between_transactions_only() {
    let proxy = Proxy::start(&size(1));
    let mut a = proxy.raw("innovate");
    let mut b = proxy.raw("innovate");
    let backend = a.backend();
    assert_eq!(b.backend(), backend);
    assert_eq!(a.value("BEGIN; SELECT pg_backend_pid()"), backend);
    b.send_query("SELECT pg_backend_pid() + 0");
    assert_eq!(a.value("SELECT pg_backend_pid() + 0"), backend);
    assert!(!b.has_answer());
    a.run_ok("COMMIT");
    assert_eq!(b.until_ready().ok().value(), backend);
}

#[test]
fn in_session_mode_a_client_keeps_its_server_connection() {
    let proxy = Proxy::start(&Options {
        mode: "session",
        wait_timeout: "200ms",
        ..size(2)
    });
    let mut a = proxy.raw("innovate");
    let mut b = proxy.raw("innovate");
    let (of_a, of_b) = (a.backend(), b.backend());
    assert_ne!(of_a, of_b);
    // What belongs to the session stays.
    a.run_ok("SET statement_timeout = '47s'; CREATE TEMP TABLE mine AS SELECT 42 AS n");
    a.run(&Pipeline::new().parse("s", "SELECT $1::int + 1").sync())
        .ok();
    for _ in 0..3 {
        assert_eq!((a.backend(), b.backend()), (of_a.clone(), of_b.clone()));
    }
    assert_eq!(a.value("SELECT n FROM mine"), "42");
    assert_eq!(a.value("SHOW statement_timeout"), "47s");
    let bound = a.run(&Pipeline::new().prepared("s", &["1"]).sync());
    assert_eq!(bound.ok().value(), "2");
    assert_eq!(a.run_ok("DEALLOCATE s").commands(), ["DEALLOCATE"]);
    let gone = a.run(&Pipeline::new().prepared("s", &["1"]).sync());
    assert_eq!(gone.error().code(), "26000");
    let again = Pipeline::new()
        .parse("s", "SELECT 5")
        .prepared("s", &[])
        .sync();
    assert_eq!(a.run(&again).ok().value(), "5");
    a.extended("DEALLOCATE s").ok();
    assert_eq!(a.run(&again).ok().value(), "5");
    a.run_ok("DISCARD ALL");
    assert_eq!(a.value("SELECT email FROM users"), "alice@innovate.example");
    // A third must wait until one leaves; another tenant gets it clean.
    let mut c = proxy.raw("synergy");
    assert_eq!(c.error("SELECT 1").code(), "53300");
    b.run_ok("CREATE TEMP TABLE mine AS SELECT 43 AS n");
    drop(b);
    wait_for_no_error(&mut c);
    assert_eq!(c.backend(), of_b);
    assert_eq!(c.error("SELECT n FROM mine").code(), "42P01");
    assert_eq!(c.value("SELECT email FROM users"), "bob@synergy.example");
}

/// Asks until there is a server connection.
fn wait_for_no_error(client: &mut Raw) {
    wait_until("a server connection is free", || {
        client.query("SELECT 1").errors().is_empty()
    });
}

#[tokio::test]
async fn five_hundred_clients_share_ten_server_connections() {
    let database = site().fresh_database();
    let proxy = Proxy::start(&Options {
        database,
        ..size(10)
    });
    let mut clients = Vec::new();
    for n in 0..500 {
        let login = ["innovate", "synergy"][n % 2];
        clients.push((n, proxy.connect(login).await));
    }
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|(n, client)| {
            tokio::spawn(async move {
                let own = ["alice@innovate.example", "bob@synergy.example"][n % 2];
                for round in 0..4 {
                    let value = i32::try_from(n * 10 + round).unwrap();
                    let sql = "SELECT $1::int, email FROM users";
                    let row = client.query_one(sql, &[&value]).await.unwrap();
                    assert_eq!((row.get(0), row.get(1)), (value, own));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    // None was closed on the way: those that there are, are all there were.
    let open = connections(&proxy);
    assert!((1..=10).contains(&open), "{open} connections");
}

#[test]
fn a_client_that_waits_in_vain_is_told_and_goes_on() {
    let proxy = Proxy::start(&Options {
        wait_timeout: "100ms",
        ..size(1)
    });
    let mut holder = proxy.raw("innovate");
    let mut client = proxy.raw("synergy");
    holder.run_ok("BEGIN");
    let answer = client.query("SELECT 1");
    let error = answer.error();
    assert_eq!((error.code(), error.severity()), ("53300", "ERROR"));
    assert!(error.hint().contains("pool.size"), "{}", error.hint());
    assert_eq!((&*answer.tags(), answer.status()), ("EZ", 'I'));
    let pipeline = Pipeline::new()
        .statement("SELECT 1")
        .statement("SELECT 2")
        .sync();
    let answer = client.run(&pipeline);
    assert_eq!((&*answer.tags(), answer.error().code()), ("EZ", "53300"));
    holder.run_ok("COMMIT");
    assert_eq!(
        client.value("SELECT email FROM users"),
        "bob@synergy.example"
    );
    assert_eq!(
        client
            .run(&Pipeline::new().statement("SELECT 5").sync())
            .value(),
        "5"
    );
}

#[test]
fn a_tenant_holds_at_most_its_share() {
    let proxy = Proxy::start(&Options {
        size_per_tenant: Some(1),
        wait_timeout: "100ms",
        ..size(2)
    });
    let mut greedy = proxy.raw("innovate");
    let mut second = proxy.raw("innovate");
    let mut other = proxy.raw("synergy");
    greedy.run_ok("BEGIN");
    assert_eq!(second.error("SELECT 1").code(), "53300");
    assert_eq!(
        other.value("SELECT email FROM users"),
        "bob@synergy.example"
    );
    greedy.run_ok("COMMIT");
    second.run_ok("SELECT 1");
}

#[test]
fn a_refusal_is_told_before_the_next_statement_of_the_client_waits() {
    let proxy = Proxy::start(&Options {
        size: 1,
        wait_timeout: "2s",
        ..Options::default()
    });
    let mut holder = proxy.raw("innovate");
    holder.run_ok("BEGIN");
    let mut client = proxy.raw("synergy");
    client.send_query("SELECT 1");
    client.send_query("SELECT 2");
    assert_eq!(client.until_ready().error().code(), "53300");
    // The second has not waited for long.
    holder.run_ok("COMMIT");
    assert_eq!(client.until_ready().ok().value(), "2");
}

#[test]
fn no_more_clients_of_a_tenant_wait_than_may() {
    let proxy = Proxy::start(&Options {
        waiting_per_tenant: Some(1),
        ..size(1)
    });
    let mut holder = proxy.raw("innovate");
    let mut first = proxy.raw("innovate");
    let mut second = proxy.raw("innovate");
    let mut other = proxy.raw("synergy");
    holder.run_ok("BEGIN");
    first.send_query("SELECT 1");
    second.send_query("SELECT 1");
    wait_until("one of them is refused", || {
        first.has_answer() || second.has_answer()
    });
    let (mut refused, mut waiting) = match first.has_answer() {
        true => (first, second),
        false => (second, first),
    };
    let error = refused.until_ready().error();
    assert_eq!((error.code(), error.severity()), ("53300", "ERROR"));
    assert!(
        error.hint().contains("pool.waiting_per_tenant"),
        "{error:?}"
    );
    // Another tenant has a queue of its own.
    other.send_query("SELECT 2");
    assert!(!other.has_answer() && !waiting.has_answer());
    holder.run_ok("COMMIT");
    assert_eq!(waiting.until_ready().value(), "1");
    assert_eq!(other.until_ready().value(), "2");
    refused.run_ok("SELECT 1");
}

#[test]
fn the_log_tells_how_often_a_client_keeps_its_connection() {
    let proxy = Proxy::start(&Options {
        channels: "allow",
        ..size(1)
    });
    let mut client = proxy.raw("innovate");
    client.run_ok("CREATE TEMP TABLE kept (a int)");
    client.run_ok("DISCARD ALL");
    client.run_ok("SELECT 1");
    client.run_ok("SELECT pg_try_advisory_lock(1)");
    proxy.wait_for_log("event=\"pinned\" by=\"objects\" pins=1");
    proxy.wait_for_log("event=\"pinned\" by=\"locks\" pins=2");
}

#[test]
fn a_client_that_leaves_while_it_waits_frees_the_queue() {
    let proxy = with_bulk(size(1));
    let mut holder = proxy.raw("innovate");
    let mut waiting = proxy.raw("innovate");
    let mut next = proxy.raw("innovate");
    holder.run_ok("BEGIN");
    waiting.send_query("INSERT INTO bulk VALUES (1, 'never')");
    next.send_query("SELECT count(*) FROM bulk");
    assert!(!waiting.has_answer() && !next.has_answer());
    drop(waiting);
    proxy.wait_for_log("the client is gone");
    assert!(!next.has_answer());
    holder.run_ok("COMMIT");
    assert_eq!(next.until_ready().ok().value(), "0");
    assert_eq!(next.value("SELECT count(*) FROM bulk"), "0");
}

#[test]
fn a_client_that_vanishes_in_a_transaction_leaves_nothing() {
    let proxy = with_bulk(size(1));
    for login in ["innovate", "synergy"] {
        let mut client = proxy.raw("innovate");
        client.run_ok("BEGIN; INSERT INTO bulk VALUES (1, 'never')");
        let backend = client.value("SELECT pg_backend_pid() + 0");
        drop(client);
        let mut next = proxy.raw(login);
        let rows = next
            .run_ok("SELECT count(*), pg_backend_pid() FROM bulk")
            .rows();
        assert_eq!(rows[0][0].as_deref(), Some("0"));
        assert_ne!(rows[0][1], Some(backend));
    }
    // In the midst of a statement, or of a COPY.
    for sql in ["BEGIN; SELECT pg_sleep(600)", "COPY bulk FROM STDIN"] {
        let mut client = proxy.raw("innovate");
        let backend = client.backend();
        client.send_query(sql);
        wait_for_backend(&backend, "state = 'active'");
        drop(client);
        assert_ne!(proxy.raw("synergy").backend(), backend);
    }
}

// What follows the client.

#[test]
fn prepared_statements_follow_the_client_to_another_server_connection() {
    let proxy = Proxy::start(&size(2));
    let mut client = proxy.raw("innovate");
    let mut holder = proxy.raw("innovate");
    let parse = Pipeline::new()
        .parse("add", "SELECT $1::int + 1, pg_backend_pid()")
        .describe_statement("add")
        .sync();
    assert_eq!(client.run(&parse).tags(), "1tTZ");
    let run = Pipeline::new().prepared("add", &["41"]).sync();
    let here = client.run(&run).ok().rows();
    let held = holder.run_ok("BEGIN; SELECT pg_backend_pid()").rows();
    assert_eq!(held[0][0], here[0][1]);
    let there = client.run(&run);
    assert_eq!(there.tags(), "2DCZ");
    assert_eq!(there.rows()[0][0].as_deref(), Some("42"));
    assert_ne!(there.rows()[0][1], here[0][1]);
    let describe = Pipeline::new().describe_statement("add").sync();
    assert_eq!(client.run(&describe).tags(), "tTZ");
    // The other client does not know it.
    assert_eq!(holder.run(&run).error().code(), "26000");
}

#[test]
fn two_clients_can_give_one_name_to_different_statements() {
    let proxy = Proxy::start(&size(1));
    let mut a = proxy.raw("innovate");
    let mut b = proxy.raw("innovate");
    a.run(&Pipeline::new().parse("s", "SELECT 'a'").sync()).ok();
    b.run(&Pipeline::new().parse("s", "SELECT 'b'").sync()).ok();
    let run = Pipeline::new().prepared("s", &[]).sync();
    for _ in 0..3 {
        assert_eq!(
            (a.run(&run).value(), b.run(&run).value()),
            ("a".into(), "b".into())
        );
    }
    b.run(&Pipeline::new().close_statement("s").sync()).ok();
    assert_eq!(b.run(&run).error().code(), "26000");
    assert_eq!(a.run(&run).value(), "a");
    b.run_ok("DISCARD ALL");
    assert_eq!(a.run(&run).value(), "a");
}

#[test]
fn a_statement_keeps_the_meaning_that_its_clients_settings_give_it() {
    let proxy = Proxy::start(&size(1));
    let mut month_first = proxy.raw_with("innovate", &[("DateStyle", "ISO, MDY")]);
    let mut day_first = proxy.raw_with("innovate", &[("DateStyle", "ISO, DMY")]);
    // Constants are read when a statement is parsed.
    let parse = Pipeline::new()
        .parse("s", "SELECT DATE '01/02/2026'")
        .sync();
    let run = Pipeline::new().prepared("s", &[]).sync();
    month_first.run(&parse).ok();
    assert_eq!(month_first.run(&run).ok().value(), "2026-01-02");
    day_first.run(&parse).ok();
    assert_eq!(day_first.run(&run).ok().value(), "2026-02-01");
    assert_eq!(month_first.run(&run).ok().value(), "2026-01-02");
    // Also when the setting is changed later, or in the same transaction.
    month_first.run_ok("SET DateStyle = 'ISO, DMY'");
    month_first
        .run(&Pipeline::new().close_statement("s").sync())
        .ok();
    month_first.run(&parse).ok();
    assert_eq!(month_first.run(&run).ok().value(), "2026-02-01");
    let mut third = proxy.raw("innovate");
    third.run_ok("BEGIN; SET DateStyle = 'ISO, DMY'");
    third.run(&parse).ok();
    assert_eq!(third.run(&run).ok().value(), "2026-02-01");
    third.run_ok("ROLLBACK");
    let mut fourth = proxy.raw("innovate");
    fourth.run(&parse).ok();
    assert_eq!(fourth.run(&run).ok().value(), "2026-01-02");
}

#[test]
fn a_statement_can_be_prepared_anew_after_its_table_has_changed() {
    let proxy = with_bulk(size(1));
    let mut client = proxy.raw("innovate");
    let mut other = proxy.raw("innovate");
    let parse = Pipeline::new().parse("s", "SELECT * FROM bulk").sync();
    let run = Pipeline::new().prepared("s", &[]).sync();
    for column in ["a", "b"] {
        client.run_ok("DELETE FROM bulk; INSERT INTO bulk VALUES (1, 'x')");
        for client in [&mut client, &mut other] {
            client.run(&parse).ok();
            assert_eq!(client.run(&run).ok().rows().len(), 1);
        }
        let sql = format!("ALTER TABLE bulk ADD COLUMN {column} integer");
        site().sql(&proxy.database("innovate"), &sql);
        for client in [&mut client, &mut other] {
            // As PostgreSQL has it: the old statement may fail, a new one works.
            if let Some(error) = client.run(&run).errors().first() {
                assert_eq!(error.code(), "0A000");
            }
            client
                .run(&Pipeline::new().close_statement("s").sync())
                .ok();
            client.run(&parse).ok();
            assert_eq!(client.run(&run).ok().rows().len(), 1);
            client
                .run(&Pipeline::new().close_statement("s").sync())
                .ok();
        }
    }
}

#[test]
fn a_thousand_statements_stay_usable_on_a_connection_that_keeps_fewer() {
    let proxy = Proxy::start(&Options {
        channels: "allow",
        ..size(1)
    });
    let mut client = proxy.raw("innovate");
    let mut parse = Pipeline::new();
    for n in 0..1000 {
        parse = parse.parse(&format!("s{n}"), &format!("SELECT {n}"));
    }
    let answer = client.run(&parse.sync());
    assert_eq!(answer.ok().tags(), "1".repeat(1000) + "Z");
    // Not in the order in which they were made.
    let order = || (0..1000).map(|n| n * 7 % 1000);
    let mut run = Pipeline::new();
    for n in order() {
        run = run.prepared(&format!("s{n}"), &[]);
    }
    let expected: Vec<_> = order().map(|n| n.to_string()).collect();
    assert_eq!(client.run(&run.clone().sync()).ok().column(), expected);
    assert_eq!(client.run(&run.sync()).ok().column(), expected);
    for n in order().take(20) {
        let one = Pipeline::new().prepared(&format!("s{n}"), &[]).sync();
        assert_eq!(client.run(&one).ok().value(), n.to_string());
    }
    let kept: usize = client
        .value("SELECT count(*) FROM pg_prepared_statements")
        .parse()
        .unwrap();
    assert!(kept < 500, "{kept} statements are prepared");
}

#[test]
fn statements_are_deallocated_by_name_and_all_at_once() {
    let proxy = Proxy::start(&size(1));
    let mut client = proxy.raw("innovate");
    let run = Pipeline::new().prepared("s", &[]).sync();
    let parse = Pipeline::new().parse("s", "SELECT 1").sync();
    let deallocations = [
        "DEALLOCATE s",
        "DEALLOCATE PREPARE s",
        "DEALLOCATE ALL",
        "DISCARD ALL",
    ];
    for sql in deallocations {
        for send in [Raw::query, Raw::extended] {
            client.run(&parse).ok();
            // Once without and once with a server connection in hand.
            let tag = if sql.ends_with(" ALL") {
                sql
            } else {
                "DEALLOCATE"
            };
            assert_eq!(send(&mut client, sql).ok().commands(), [tag], "{sql}");
            assert_eq!(client.run(&run).error().code(), "26000", "{sql}");
            if sql == "DISCARD ALL" {
                continue;
            }
            client.run(&parse).ok();
            client.run_ok("BEGIN");
            assert_eq!(send(&mut client, sql).ok().commands(), [tag], "{sql}");
            assert_eq!(client.run(&run).error().code(), "26000", "{sql}");
            client.run_ok("ROLLBACK");
        }
    }
    assert_eq!(client.error("DEALLOCATE nothing").code(), "26000");
    assert_eq!(
        client.extended("DEALLOCATE nothing").error().code(),
        "26000"
    );
    // One client's statement, of a text that another has prepared, too.
    let mut other = proxy.raw("innovate");
    other.run(&parse).ok();
    client.run(&parse).ok();
    client.extended("DEALLOCATE s").ok();
    assert_eq!(other.run(&run).ok().value(), "1");
    other.run_ok("DEALLOCATE s");
    // Prepared here, run elsewhere.
    client.run(&parse).ok();
    client
        .run(&Pipeline::new().parse("", "DEALLOCATE s").sync())
        .ok();
    other.run_ok("SELECT 1");
    let late = Pipeline::new().prepared("", &[]).sync();
    assert_eq!(client.run(&late).ok().commands(), ["DEALLOCATE"]);
    assert_eq!(client.run(&run).error().code(), "26000");
    // Statements that follow in the same write.
    client.run(&parse).ok();
    let pipeline = Pipeline::new()
        .query("DEALLOCATE ALL")
        .parse("s", "SELECT 2")
        .prepared("s", &[])
        .sync();
    client.send(pipeline.bytes());
    client.until_ready().ok();
    assert_eq!(client.until_ready().ok().value(), "2");
    assert_eq!(client.run(&run).ok().value(), "2");
}

#[test]
fn names_that_are_taken_or_unknown_are_refused_as_the_server_would() {
    let proxy = Proxy::start(&size(1));
    let mut client = proxy.raw("innovate");
    let parse = Pipeline::new().parse("s", "SELECT 1").sync();
    client.run(&parse).ok();
    for in_transaction in [false, true] {
        if in_transaction {
            client.run_ok("BEGIN");
        }
        let status = if in_transaction { 'E' } else { 'I' };
        let answer = client.run(&parse);
        assert_eq!(answer.error().code(), "42P05");
        assert_eq!((&*answer.tags(), answer.status()), ("EZ", status));
        client.run_ok("ROLLBACK");
        if in_transaction {
            client.run_ok("BEGIN");
        }
        for pipeline in [
            Pipeline::new().bind("", "nothing", &[]),
            Pipeline::new().describe_statement("nothing"),
        ] {
            let answer = client.run(&pipeline.execute("", 0).sync());
            assert_eq!(answer.error().code(), "26000");
            assert_eq!(answer.tags(), "EZ");
            client.run_ok("ROLLBACK");
            if in_transaction {
                client.run_ok("BEGIN");
            }
        }
        client.query("ROLLBACK");
    }
    // To close what does not exist is no error.
    let close = Pipeline::new()
        .close_statement("nothing")
        .close("nothing")
        .sync();
    assert_eq!(client.run(&close).tags(), "33Z");
    // A Parse that fails leaves its name free.
    let wrong = Pipeline::new().parse("t", "SELECT nothing").sync();
    assert_eq!(client.run(&wrong).error().code(), "42703");
    client
        .run(&Pipeline::new().parse("t", "SELECT 3").sync())
        .ok();
    let run = Pipeline::new().prepared("t", &[]).sync();
    assert_eq!(client.run(&run).ok().value(), "3");
    // So does one that is skipped.
    let skipped = Pipeline::new()
        .statement("SELECT 1/0")
        .parse("u", "SELECT 1")
        .sync();
    assert_eq!(client.run(&skipped).error().code(), "22012");
    let run = Pipeline::new().prepared("u", &[]).sync();
    assert_eq!(client.run(&run).error().code(), "26000");
}

#[test]
fn the_unnamed_statement_lives_until_the_next_one() {
    let proxy = Proxy::start(&size(2));
    let mut client = proxy.raw("innovate");
    let mut holder = proxy.raw("innovate");
    client
        .run(
            &Pipeline::new()
                .parse("", "SELECT $1::int, pg_backend_pid()")
                .sync(),
        )
        .ok();
    let run = Pipeline::new().prepared("", &["7"]).sync();
    let here = client.run(&run).ok().rows();
    let held = holder.run_ok("BEGIN; SELECT pg_backend_pid()").rows();
    assert_eq!(held[0][0], here[0][1]);
    // The holder's own unnamed statement is another.
    holder.extended("SELECT 'x'").ok();
    let there = client.run(&run).ok().rows();
    assert_eq!(there[0][0].as_deref(), Some("7"));
    assert_ne!(there[0][1], here[0][1]);
    // A simple query ends it.
    client.run_ok("SELECT 1");
    assert_eq!(client.run(&run).error().code(), "26000");
}

// Answers in their order, however they were asked for.

#[test]
fn five_hundred_queries_in_one_write_are_answered_in_their_order() {
    let proxy = Proxy::start(&size(2));
    let mut client = proxy.raw("innovate");
    let mut simple = Pipeline::new();
    let mut synced = Pipeline::new();
    let mut unsynced = Pipeline::new();
    for n in 0..500 {
        let sql = format!("SELECT {n}");
        simple = simple.query(&sql);
        synced = synced.statement(&sql).sync();
        unsynced = unsynced.statement(&sql);
    }
    for pipeline in [simple, synced] {
        client.send(pipeline.bytes());
        for n in 0..500 {
            assert_eq!(client.until_ready().ok().value(), n.to_string());
        }
    }
    let expected: Vec<_> = (0..500).map(|n| n.to_string()).collect();
    assert_eq!(client.run(&unsynced.sync()).ok().column(), expected);
}

#[test]
fn a_long_pipeline_with_an_error_in_it_is_skipped_up_to_its_sync() {
    let proxy = with_bulk(size(1));
    let mut client = proxy.raw("innovate");
    let mut other = proxy.raw("synergy");
    // Longer than what is read at once, the error early, in the middle, late.
    let filling = "x".repeat(2000);
    for at in [0, 150, 299] {
        let mut pipeline = Pipeline::new();
        for n in 0..300 {
            let sql = if n == at {
                "SELECT 1/0".to_owned()
            } else {
                format!("INSERT INTO bulk VALUES ({n}, '{filling}')")
            };
            pipeline = pipeline.statement(&sql);
        }
        let answer = client.run(&pipeline.sync());
        assert_eq!(answer.error().code(), "22012");
        assert_eq!(answer.commands().len(), at);
        assert_eq!(other.value("SELECT count(*) FROM bulk"), "0");
        assert_eq!(client.value("SELECT 5"), "5");
    }
}

#[test]
fn a_pipeline_without_its_sync_keeps_its_server_connection() {
    let proxy = with_bulk(size(1));
    // One of the same tenant, which would get the connection as it is, and one
    // of another.
    for login in ["innovate", "synergy"] {
        let mut client = proxy.raw("innovate");
        let mut other = proxy.raw(login);
        let insert = Pipeline::new()
            .statement("INSERT INTO bulk VALUES (1, 'x')")
            .flush();
        client.send(insert.bytes());
        assert_eq!(client.until(b'C').tags(), "12nC");
        other.send_query("SELECT count(*) FROM bulk");
        assert!(
            !other.has_answer(),
            "it uses a connection in the midst of a pipeline"
        );
        // The error, and what is sent between it and the Sync.
        client.send(Pipeline::new().statement("SELECT 1/0").flush().bytes());
        client.until(b'E');
        assert!(
            !other.has_answer(),
            "it uses a connection that skips to a Sync"
        );
        let rest = Pipeline::new()
            .statement("SELECT 1")
            .sync()
            .query("SELECT 2");
        client.send(rest.bytes());
        assert_eq!(client.until_ready().tags(), "Z");
        assert_eq!(other.until_ready().ok().value(), "0");
        assert_eq!(client.until_ready().ok().value(), "2");
        // One that leaves has done nothing.
        client.send(insert.bytes());
        client.until(b'C');
        drop(client);
        assert_eq!(other.value("SELECT count(*) FROM bulk"), "0");
    }
}

#[test]
fn who_says_goodbye_behind_a_query_gets_its_answer() {
    let proxy = with_bulk(size(1));
    for n in 0..20 {
        let insert = format!("INSERT INTO bulk VALUES ({n}, 'x')");
        let pipeline = match n % 2 {
            0 => Pipeline::new().query(&insert),
            _ => Pipeline::new().statement(&insert).sync(),
        };
        let mut client = proxy.raw("innovate");
        client.send(pipeline.terminate().bytes());
        assert_eq!(client.until_closed().ok().commands(), ["INSERT 0 1"]);
    }
    let mut client = proxy.raw("innovate");
    assert_eq!(client.value("SELECT count(*) FROM bulk"), "20");
    // A transaction that is not committed is not.
    let open = Pipeline::new().query("BEGIN; DELETE FROM bulk").terminate();
    client.send(open.bytes());
    assert_eq!(client.until_closed().commands(), ["BEGIN", "DELETE 20"]);
    assert_eq!(
        proxy.raw("innovate").value("SELECT count(*) FROM bulk"),
        "20"
    );
}

#[test]
fn a_portal_gives_its_rows_in_portions() {
    let proxy = Proxy::start(&size(1));
    let mut client = proxy.raw("innovate");
    let open = Pipeline::new()
        .parse("", "SELECT generate_series(1, 5)")
        .bind("p", "", &[]);
    let portion = || Pipeline::new().execute("p", 2).flush();
    client.send(open.bytes());
    client.send(portion().bytes());
    assert_eq!(client.until(b's').tags(), "12DDs");
    client.send(portion().bytes());
    assert_eq!(client.until(b's').column(), ["3", "4"]);
    let rest = Pipeline::new().execute("p", 2).close("p").sync();
    let answer = client.run(&rest);
    assert_eq!(
        (answer.tags(), answer.column()),
        ("DC3Z".into(), vec!["5".into()])
    );
    // In a transaction it lives across Sync.
    client.run_ok("BEGIN");
    assert_eq!(
        client.run(&open.clone().execute("p", 2).sync()).tags(),
        "12DDsZ"
    );
    let more = Pipeline::new().execute("p", 0).sync();
    assert_eq!(client.run(&more).column(), ["3", "4", "5"]);
    client.run_ok("COMMIT");
    assert_eq!(client.run(&more).error().code(), "34000");
}

#[test]
fn empty_queries_notices_and_statements_without_rows_are_passed_on() {
    let proxy = Proxy::start(&size(1));
    let mut client = proxy.raw("innovate");
    assert_eq!(client.query("").tags(), "IZ");
    assert_eq!(client.query(" ; -- nothing\n").tags(), "IZ");
    assert_eq!(client.extended("").tags(), "12nIZ");
    assert_eq!(client.run(&Pipeline::new().sync()).tags(), "Z");
    for run in [Raw::query, Raw::extended] {
        let answer = run(&mut client, "DROP TABLE IF EXISTS nothing");
        let notices: Vec<_> = answer.of(b'N').map(Message::fields).collect();
        assert_eq!(notices.len(), 1, "{answer:?}");
        assert_eq!(notices[0].code(), "00000");
        assert!(notices[0].message().contains("does not exist"));
    }
    assert_eq!(
        client.query("SELECT 1; SELECT 2; SELECT 'x'").tags(),
        "TDCTDCTDCZ"
    );
    assert_eq!(
        client.query("SELECT 1; SELECT 1/0; SELECT 2").tags(),
        "TDCEZ"
    );
}

// Much data.

#[test]
fn copy_in_works_in_every_way_of_asking() {
    let proxy = with_bulk(size(1));
    let mut client = proxy.raw("innovate");
    let copy = "COPY bulk FROM STDIN";
    let data = |n: i32| format!("{n}\trow {n}\n").into_bytes();
    // Simple.
    client.send_query(copy);
    client.until(b'G');
    let rows = Pipeline::new()
        .copy_data(&data(1))
        .copy_data(&data(2))
        .copy_done();
    let answer = client.run(&rows);
    assert_eq!((&*answer.tags(), &*answer.commands()[0]), ("CZ", "COPY 2"));
    // All in one write.
    let pipelined = Pipeline::new()
        .query(copy)
        .copy_data(&data(3))
        .copy_done()
        .query("SELECT count(*) FROM bulk");
    client.send(pipelined.bytes());
    assert_eq!(client.until_ready().tags(), "GCZ");
    assert_eq!(client.until_ready().ok().value(), "3");
    // Extended; a Sync before the data is ignored, as PostgreSQL does.
    client.send(Pipeline::new().statement(copy).sync().bytes());
    client.until(b'G');
    let rows = Pipeline::new().copy_data(&data(4)).copy_done().sync();
    assert_eq!(client.run(&rows).tags(), "CZ");
    client.send(Pipeline::new().statement(copy).flush().bytes());
    client.until(b'G');
    let rows = Pipeline::new().copy_data(&data(5)).copy_done().sync();
    assert_eq!(client.run(&rows).tags(), "CZ");
    client.send(Pipeline::new().statement(copy).flush().bytes());
    client.until(b'G');
    let rows = Pipeline::new().sync().copy_data(&data(8)).copy_done();
    assert_eq!(client.run(&rows.sync()).tags(), "CZ");
    client.run_ok("DELETE FROM bulk WHERE n = 8");
    // The ignored Sync has not ended the pipeline.
    let mut other = proxy.raw("innovate");
    client.send(Pipeline::new().statement(copy).sync().bytes());
    client.until(b'G');
    let rows = Pipeline::new().copy_data(&data(7)).copy_done().flush();
    client.send(rows.bytes());
    assert_eq!(client.until(b'C').commands(), ["COPY 1"]);
    other.send_query("SELECT count(*) FROM bulk");
    assert!(!other.has_answer());
    client.send(Pipeline::new().statement("SELECT 1/0").sync().bytes());
    assert_eq!(client.until_ready().error().code(), "22012");
    assert_eq!(other.until_ready().ok().value(), "5");
    let pipelined = Pipeline::new()
        .statement(copy)
        .copy_data(&data(6))
        .copy_done()
        .sync()
        .query("SELECT count(*) FROM bulk");
    client.send(pipelined.bytes());
    assert_eq!(client.until_ready().tags(), "12nGCZ");
    assert_eq!(client.until_ready().ok().value(), "6");
}

#[test]
fn copied_data_pass_where_everything_else_waits_for_the_answer() {
    const COUNT: &str = "SELECT count(*) FROM bulk; TRUNCATE bulk";
    let proxy = with_bulk(size(1));
    let mut client = proxy.raw("innovate");
    let rows = |data: &str| Pipeline::new().copy_data(data.as_bytes()).copy_done();
    for sql in [
        "COPY bulk FROM STDIN",
        "DEALLOCATE ALL; COPY bulk FROM STDIN",
        "COPY bulk FROM STDIN; RESET ALL",
    ] {
        let all = Pipeline::new().query(sql).copy_data(b"1\tone\n");
        client.send(all.copy_done().query(COUNT).bytes());
        client.until_ready().ok();
        assert_eq!(client.until_ready().ok().value(), "1", "{sql}");
    }
    // Two in one string.
    client.send_query("COPY bulk FROM STDIN; COPY bulk FROM STDIN");
    client.until(b'G');
    client.send(rows("1\tone\n").bytes());
    client.until(b'G');
    client.send(rows("2\ttwo\n").query(COUNT).bytes());
    client.until_ready().ok();
    assert_eq!(client.until_ready().ok().value(), "2");
}

#[test]
fn a_copy_that_fails_leaves_the_session_usable() {
    let proxy = with_bulk(size(1));
    let mut client = proxy.raw("innovate");
    let copy = "COPY bulk FROM STDIN";
    let count = "SELECT count(*) FROM bulk";
    for in_transaction in [false, true] {
        let status = if in_transaction { 'E' } else { 'I' };
        let begin = |client: &mut Raw| {
            if in_transaction {
                client.run_ok("BEGIN");
            }
        };
        // The client gives up.
        begin(&mut client);
        client.send_query(copy);
        client.until(b'G');
        let give_up = Pipeline::new().copy_data(b"1\tx\n").copy_fail("no more");
        let answer = client.run(&give_up);
        assert_eq!((answer.error().code(), answer.status()), ("57014", status));
        client.query("ROLLBACK");
        assert_eq!(client.value(count), "0");
        // The server refuses a row, while more are on their way.
        begin(&mut client);
        let mut rows = Pipeline::new().query(copy).copy_data(b"no number\tx\n");
        for _ in 0..100 {
            rows = rows.copy_data(&[b'x'; 1000]);
        }
        client.send(rows.copy_done().query("SELECT 7").bytes());
        let answer = client.until_ready();
        assert_eq!((answer.error().code(), answer.status()), ("22P02", status));
        let after = client.until_ready();
        if in_transaction {
            assert_eq!(after.error().code(), "25P02");
        } else {
            assert_eq!(after.ok().value(), "7");
        }
        client.query("ROLLBACK");
        assert_eq!(client.value(count), "0");
        // The same in the extended protocol.
        begin(&mut client);
        client.send(Pipeline::new().statement(copy).flush().bytes());
        client.until(b'G');
        client.send(Pipeline::new().copy_data(b"no number\tx\n").bytes());
        let rest = Pipeline::new().copy_data(b"1\tx\n").copy_done().sync();
        let answer = client.run(&rest);
        assert_eq!((answer.error().code(), answer.status()), ("22P02", status));
        client.query("ROLLBACK");
        assert_eq!(client.value(count), "0");
    }
}

#[test]
fn copy_out_reaches_the_client_whole() {
    let proxy = Proxy::start(&size(1));
    let mut client = proxy.raw("innovate");
    let copy = "COPY (SELECT generate_series(1, 20000)) TO STDOUT";
    for run in [Raw::query, Raw::extended] {
        let answer = run(&mut client, copy);
        let rows: Vec<_> = answer.of(b'd').map(|m| m.body.clone()).collect();
        assert_eq!(rows.len(), 20_000);
        assert_eq!((&*rows[0], &*rows[19_999]), (&b"1\n"[..], &b"20000\n"[..]));
        assert_eq!(answer.commands(), ["COPY 20000"]);
        assert_eq!(client.value("SELECT 1"), "1");
    }
}

/// Most memory that passing data of whatever size may take, in kB.
const MOST_GROWTH: usize = 32 << 10;

#[test]
fn fifty_megabytes_are_copied_in_without_being_held() {
    let proxy = with_bulk(size(1));
    let mut client = proxy.raw("innovate");
    let before = proxy.peak_memory();
    client.send_query("COPY bulk FROM STDIN");
    client.until(b'G');
    let text = "x".repeat(100_000);
    for n in 0..500 {
        let row = format!("{n}\t{text}\n");
        client.send(Pipeline::new().copy_data(row.as_bytes()).bytes());
    }
    let answer = client.run(&Pipeline::new().copy_done());
    assert_eq!(answer.ok().commands(), ["COPY 500"]);
    let sum = client.value("SELECT sum(length(t)) FROM bulk");
    assert_eq!(sum, "50000000");
    let growth = proxy.peak_memory() - before;
    assert!(growth < MOST_GROWTH, "{growth} kB");
}

#[test]
fn a_large_result_waits_in_the_server_for_a_slow_reader() {
    let proxy = with_bulk(size(2));
    let mut client = proxy.raw("innovate");
    let mut other = proxy.raw("innovate");
    let backend = client.backend();
    let before = proxy.peak_memory();
    client.send_query("SELECT repeat('x', 1000) FROM generate_series(1, 100000)");
    wait_for_backend(&backend, "wait_event = 'ClientWrite'");
    // Others are served meanwhile.
    assert_eq!(other.value("SELECT 1"), "1");
    let mut rows = 0;
    loop {
        let message = client.read();
        match message.tag {
            b'D' => {
                rows += 1;
                assert_eq!(message.body.len(), 1006);
            }
            b'Z' => break,
            _ => {}
        }
    }
    assert_eq!(rows, 100_000);
    let growth = proxy.peak_memory() - before;
    assert!(growth < MOST_GROWTH, "{growth} kB");
}

#[test]
fn a_single_row_of_fifty_megabytes_passes_without_being_held() {
    let proxy = Proxy::start(&size(1));
    let mut client = proxy.raw("innovate");
    let before = proxy.peak_memory();
    let value = client.value("SELECT repeat('x', 50000000)");
    assert_eq!(value.len(), 50_000_000);
    let growth = proxy.peak_memory() - before;
    assert!(growth < MOST_GROWTH, "{growth} kB");
}

#[test]
fn long_parameters_and_long_statements_pass() {
    let proxy = Proxy::start(&size(1));
    let mut client = proxy.raw("innovate");
    let text = "x".repeat(1 << 19);
    let parse = Pipeline::new().parse("len", "SELECT length($1)").sync();
    client.run(&parse).ok();
    let run = Pipeline::new().prepared("len", &[&text]).sync();
    assert_eq!(client.run(&run).ok().value(), "524288");
    client.run_ok("BEGIN");
    assert_eq!(client.run(&run).ok().value(), "524288");
    client.run_ok("COMMIT");
    // Statements that are judged on another thread, among short ones.
    let long = format!("SELECT length('{text}')");
    for run in [Raw::query, Raw::extended] {
        assert_eq!(run(&mut client, &long).ok().value(), "524288");
    }
    let pipeline = Pipeline::new()
        .query("SELECT 1")
        .query(&long)
        .query("SELECT 3");
    client.send(pipeline.bytes());
    for expected in ["1", "524288", "3"] {
        assert_eq!(client.until_ready().ok().value(), expected);
    }
    let refused = format!("SELECT '{text}'; SET ROLE postgres");
    assert_eq!(client.error(&refused).code(), "42501");
    // Broken ones are refused, too.
    let mut body = long.into_bytes();
    body[100_000] = 0;
    body.push(0);
    let broken = Pipeline::new().message(b'Q', &body);
    assert_eq!(client.run(&broken).error().code(), "08P01");
    assert_eq!(client.value("SELECT 1"), "1");
}

// Cancelling.

#[test]
fn a_cancel_request_with_the_right_key_alone_cancels() {
    let proxy = with_bulk(size(2));
    let mut client = proxy.raw("innovate");
    let bystander = proxy.raw("innovate");
    let backend = client.backend();
    client.send_query("SELECT pg_sleep(600)");
    wait_for_backend(&backend, "wait_event = 'PgSleep'");
    let mut wrong = client.secret.clone();
    wrong[0] ^= 1;
    let port = proxy.port;
    cancel(port, client.pid, &wrong);
    cancel(port, client.pid, &bystander.secret);
    cancel(port, client.pid ^ 1, &client.secret);
    cancel(port, backend.parse().unwrap(), &client.secret);
    bystander.cancel();
    proxy.wait_for_log("cancel_refused");
    wait_for_backend(&backend, "wait_event = 'PgSleep'");
    assert!(!client.has_answer());
    client.cancel();
    let answer = client.until_ready();
    assert_eq!((answer.error().code(), answer.status()), ("57014", 'I'));
    assert_eq!(client.value("SELECT 1"), "1");
    // When nothing runs, nothing happens.
    client.cancel();
    assert_eq!(client.value("SELECT 1"), "1");
}

#[test]
fn a_client_can_cancel_its_waiting_for_a_server_connection() {
    let proxy = Proxy::start(&size(1));
    let mut holder = proxy.raw("innovate");
    let mut client = proxy.raw("innovate");
    holder.run_ok("BEGIN");
    client.send_query("SELECT 1");
    // Until it waits there is nothing to be cancelled.
    wait_until("the waiting is cancelled", || {
        client.cancel();
        client.has_answer()
    });
    let answer = client.until_ready();
    assert_eq!((answer.error().code(), answer.status()), ("57014", 'I'));
    assert_eq!(holder.value("SELECT 2"), "2");
    holder.run_ok("COMMIT");
    assert_eq!(client.value("SELECT 3"), "3");
}

#[test]
fn a_cancel_request_never_strikes_the_next_user_of_the_connection() {
    let proxy = Proxy::start(&size(1));
    let mut target = proxy.raw("innovate");
    let (port, pid, secret) = (proxy.port, target.pid, target.secret.clone());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Two who share the connection with the target, of its tenant and of
        // another, and one who cancels the target all the time.
        for login in ["innovate", "synergy"] {
            let mut victim = proxy.raw(login);
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    victim.run_ok("SELECT pg_sleep(0.0005)");
                }
            });
        }
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                cancel(port, pid, &secret);
            }
        });
        let (mut hit, mut spared) = (0, 0);
        while hit < 200 || spared == 0 {
            // A session that ends with its cancellation is entered anew.
            let answer = target.query("SELECT pg_sleep(0.0005)");
            match answer.errors().first() {
                Some(error) => {
                    assert_eq!((error.code(), error.severity()), ("57014", "ERROR"));
                    hit += 1;
                }
                None => spared += 1,
            }
            if hit + spared > 20_000 {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
        assert!(hit > 0, "no request ever struck");
    });
}

// Pinning.

#[test]
fn a_temporary_table_pins_its_client_to_the_connection() {
    let proxy = Proxy::start(&Options {
        wait_timeout: "100ms",
        ..size(1)
    });
    let mut client = proxy.raw("innovate");
    let mut other = proxy.raw("synergy");
    client.run_ok("CREATE TEMP TABLE mine (n integer)");
    client.run_ok("INSERT INTO mine VALUES (42)");
    assert_eq!(other.error("SELECT 1").code(), "53300");
    assert_eq!(client.value("SELECT n FROM mine"), "42");
    // DISCARD ALL lets it go.
    client.run_ok("DISCARD ALL");
    assert_eq!(other.value("SELECT 1"), "1");
    // So does leaving.
    client.run_ok("CREATE TEMP TABLE mine (n integer)");
    assert_eq!(other.error("SELECT 1").code(), "53300");
    drop(client);
    wait_for_no_error(&mut other);
    assert_eq!(other.error("SELECT n FROM mine").code(), "42P01");
}

#[test]
fn where_pinning_is_rejected_nothing_is_left_in_the_session() {
    let proxy = Proxy::start(&Options {
        pin: "reject",
        channels: "allow",
        ..size(1)
    });
    let mut client = proxy.raw("innovate");
    let statements = [
        "CREATE TEMP TABLE mine (n integer)",
        "CREATE TEMP TABLE mine AS SELECT 1",
        "SELECT 1 AS n INTO TEMP mine",
        "DECLARE mine CURSOR WITH HOLD FOR SELECT 1",
        "PREPARE mine AS SELECT 1",
        "SELECT pg_try_advisory_lock(1)",
    ];
    for sql in statements {
        for run in [Raw::query, Raw::extended] {
            let answer = run(&mut client, sql);
            let error = answer.error();
            assert_eq!((error.code(), answer.status()), ("0A000", 'I'), "{sql}");
            assert!(error.hint().contains("pool.pin"), "{}", error.hint());
            client.run_ok("BEGIN");
            assert_eq!(run(&mut client, sql).status(), 'E');
            client.run_ok("ROLLBACK");
        }
    }
    client.run_ok("BEGIN");
    client.run_ok("CREATE TEMP TABLE mine ON COMMIT DROP AS SELECT 42 AS n");
    assert_eq!(client.value("SELECT n FROM mine"), "42");
    client.run_ok("DECLARE c CURSOR FOR SELECT 1; SELECT pg_advisory_xact_lock(1)");
    client.run_ok("COMMIT");
}

#[test]
fn a_connection_that_is_held_for_nothing_goes_to_one_who_waits() {
    let proxy = with_bulk(Options {
        reclaim_after: "100ms",
        ..size(1)
    });
    let mut waiting = proxy.raw("synergy");
    // An open transaction ends with its session.
    let mut holder = proxy.raw("innovate");
    holder.run_ok("BEGIN; INSERT INTO bulk VALUES (1, 'x')");
    assert_eq!(waiting.value("SELECT count(*) FROM bulk"), "0");
    let told = holder.until_closed().error();
    assert_eq!((told.code(), told.severity()), ("25P03", "FATAL"));
    assert!(told.hint().contains("pool.reclaim_after"), "{told:?}");
    // Who holds objects alone can go on without them, and is told.
    let mut holder = proxy.raw("innovate");
    holder.run_ok("CREATE TEMP TABLE mine AS SELECT 42 AS n");
    assert_eq!(waiting.value("SELECT count(*) FROM bulk"), "0");
    let warning = holder.read().fields();
    assert_eq!((warning.code(), warning.severity()), ("01000", "WARNING"));
    // What was temporary must not come to mean what is permanent.
    assert_eq!(holder.error("DELETE FROM mine").code(), "42P01");
    assert_eq!(holder.value("SELECT 7"), "7");
    holder.run_ok("CREATE TEMP TABLE mine AS SELECT 43 AS n");
    assert_eq!(holder.value("SELECT n FROM mine"), "43");
    drop(holder);
    // The same where a permanent relation has the name.
    let mut holder = proxy.raw("innovate");
    holder.run_ok("CREATE TEMP TABLE bulk (n int)");
    assert_eq!(waiting.value("SELECT count(*) FROM bulk"), "0");
    assert_eq!(holder.read().fields().code(), "01000");
    let gone = holder.error("INSERT INTO Bulk VALUES (1, 'x')");
    assert_eq!(gone.code(), "42P01");
    assert!(gone.message().contains("\"bulk\" is gone"), "{gone:?}");
    holder.run_ok("DISCARD TEMP");
    assert_eq!(holder.value("SELECT count(*) FROM bulk"), "0");
    // One that is made anew hides no other.
    holder.run_ok("CREATE TEMP TABLE bulk (n int); CREATE TEMP TABLE also (n int)");
    assert_eq!(waiting.value("SELECT count(*) FROM bulk"), "0");
    assert_eq!(holder.read().fields().code(), "01000");
    let anew = "CREATE TEMP TABLE also (n int); INSERT INTO bulk VALUES (1, 'x')";
    assert_eq!(holder.error(anew).code(), "42P01");
    drop(holder);
    // Who does something is not disturbed.
    let mut busy = proxy.raw("innovate");
    busy.send_query("BEGIN; SELECT pg_sleep(2.5)");
    wait_for_sleeper(&proxy);
    waiting.send_query("SELECT count(*) FROM bulk");
    assert_eq!(busy.until_ready().ok().status(), 'T');
    assert!(!waiting.has_answer());
    busy.run_ok("COMMIT");
    assert_eq!(waiting.until_ready().ok().value(), "0");
}

/// Idle transactions are ended early for those who have less, and late for clients of
/// their own tenant alone.
#[test]
fn a_transaction_that_harms_its_own_tenant_alone_is_left_for_longer() {
    let proxy = with_bulk(Options {
        reclaim_after: "100ms",
        reclaim_own_after: Some("1h"),
        wait_timeout: "1s",
        ..size(1)
    });
    let mut holder = proxy.raw("innovate");
    holder.run_ok("BEGIN; INSERT INTO bulk VALUES (1, 'x')");
    let mut own = proxy.raw("innovate");
    assert_eq!(own.error("SELECT 1").code(), "53300");
    holder.run_ok("COMMIT; BEGIN");
    // Another tenant that has none is not made to wait.
    let mut other = proxy.raw("synergy");
    assert_eq!(other.value("SELECT count(*) FROM bulk"), "1");
    assert_eq!(holder.until_closed().error().code(), "25P03");
    // What is kept outside of a transaction goes early to anybody.
    let mut holder = proxy.raw("innovate");
    holder.run_ok("CREATE TEMP TABLE mine AS SELECT 42 AS n");
    assert_eq!(own.value("SELECT 7"), "7");
    assert_eq!(holder.read().fields().code(), "01000");
}

#[test]
fn a_connection_is_replaced_when_its_time_is_over() {
    let proxy = with_bulk(Options {
        connection_lifetime: "1s",
        ..size(1)
    });
    let mut client = proxy.raw("innovate");
    let number = "SELECT pg_backend_pid() + 0";
    let first = client.value(number);
    // In use it stays.
    assert_eq!(client.value(&format!("BEGIN; {number}")), first);
    client.run_ok("SELECT pg_sleep(1.5)");
    assert_eq!(client.value(number), first);
    client.run_ok("COMMIT");
    assert_ne!(client.value(number), first);
    // Idle it goes by itself.
    wait_until("the connection is closed", || connections(&proxy) == 0);
}

#[test]
fn a_hangup_replaces_connections_and_ends_no_transaction() {
    let database = site().fresh_database();
    let proxy = Proxy::start(&Options {
        database: database.clone(),
        ..size(2)
    });
    let mut idle = proxy.raw("synergy");
    let mut busy = proxy.raw("innovate");
    busy.run_ok("BEGIN");
    idle.run_ok("SELECT 1");
    let show = "SHOW work_mem";
    assert_eq!(busy.value(show), "4MB");
    site().sql(
        "postgres",
        &format!("ALTER DATABASE {database} SET work_mem = '5MB'"),
    );
    proxy.hang_up("reloaded");
    wait_until("the idle connection is replaced", || {
        connections(&proxy) == 1
    });
    assert_eq!(idle.value(show), "5MB");
    assert_eq!(busy.value(show), "4MB");
    busy.run_ok("COMMIT");
    assert_eq!(busy.value(show), "5MB");
}

/// `current_setting` of a name that was never set is NULL, and an empty text once it
/// has been: by whichever way, and in whichever transaction.
#[test]
fn a_custom_setting_of_one_tenant_is_not_known_to_the_next() {
    let number = "SELECT pg_backend_pid() + 0";
    let is_new = "SELECT current_setting('app.user_id', true) IS NULL";
    let ways = [
        Pipeline::new().query("SET app.user_id = 'x'"),
        Pipeline::new().query("SET App.User_Id = 'x'; RESET app.user_id"),
        Pipeline::new().query("BEGIN; SET LOCAL app.user_id = 'x'; ROLLBACK"),
        Pipeline::new()
            .statement("SELECT set_config('app.user_id', 'x', true)")
            .sync(),
        Pipeline::new()
            .parse_with("", "SELECT set_config($1, 'x', true)", &[25])
            .bind("", "", &["app.user_id"])
            .execute("", 0)
            .sync(),
    ];
    for way in ways {
        let proxy = with_bulk(size(1));
        let mut a = proxy.raw("innovate");
        let mut b = proxy.raw("synergy");
        assert_eq!(b.value(is_new), "t");
        a.run(&way).ok();
        let first = a.value(number);
        assert_eq!(a.value(is_new), "f");
        assert_eq!(b.value(is_new), "t", "{way:?}");
        assert_ne!(b.value(number), first);
        // A tenant that has set it itself gets the session as it is.
        b.run(&way).ok();
        let second = b.value(number);
        assert_eq!(a.value(number), second);
        assert_eq!(b.value(number), second);
    }
    // The same of what a client asks for at login.
    let proxy = with_bulk(size(1));
    let mut a = proxy.raw_with("innovate", &[("options", "-c app.user_id=x")]);
    assert_eq!(a.value("SHOW app.user_id"), "x");
    drop(a);
    assert_eq!(proxy.raw("synergy").value(is_new), "t");
}

/// Waits until somebody sleeps in the database.
fn wait_for_sleeper(proxy: &Proxy) {
    let database = proxy.database("innovate");
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND wait_event = 'PgSleep'"
    );
    wait_until("somebody sleeps", || site().sql("postgres", &sql) == "1");
}

#[test]
fn a_cancel_request_that_comes_while_the_tenant_is_attached_ends_no_session() {
    let proxy = Proxy::start(&size(1));
    let mut target = proxy.raw("innovate");
    let mut other = proxy.raw("synergy");
    let (port, pid, secret) = (proxy.port, target.pid, target.secret.clone());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                cancel(port, pid, &secret);
            }
        });
        let mut hit = 0;
        for round in 0..1000 {
            // Each time the connection is the other tenant's before, and every
            // other time the settings are read from it afterwards.
            other.run_ok("SELECT 1");
            let sql = "SET app.flavor = 'sour'; SELECT pg_sleep(0.002)";
            target.send_query(if round % 2 == 0 { &sql[25..] } else { sql });
            let Some(answer) = target.try_ready() else {
                over.store(true, Ordering::Relaxed);
                panic!("the session ended after {hit} cancelled statements");
            };
            match answer.errors().first() {
                Some(error) => {
                    assert_eq!((error.code(), error.severity()), ("57014", "ERROR"));
                    hit += 1;
                }
                None => assert_eq!(answer.column().len(), 1),
            }
            if hit == 5 {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
        assert!(hit > 0, "no request ever struck");
    });
}

/// The server knows statements by other names, of which two may have one text.
#[test]
fn an_error_names_the_statement_that_the_client_has_named() {
    let proxy = Proxy::start(&size(1));
    let mut client = proxy.raw("innovate");
    let names = ["a", "b", "c", "d"];
    let all = names
        .iter()
        .fold(Pipeline::new(), |all, name| all.parse(name, "SELECT 1"));
    client.run(&all.sync()).ok();
    for name in names {
        let error = client
            .run(&Pipeline::new().bind("", name, &["1"]).sync())
            .error();
        assert!(
            error.message().contains(&format!("\"{name}\"")),
            "{error:?}"
        );
    }
}
