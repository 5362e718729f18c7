//! What clients can make the proxy, and PostgreSQL, keep in memory.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write as _;
use std::thread;
use testkit::{Options, Pipeline, Proxy};

const MIB: usize = 1 << 20;

/// One server connection, and statements up to this size.
fn with_statements(max_statement: &str) -> Options {
    Options {
        size: 1,
        listen: format!("max_statement = \"{max_statement}\""),
        log: "info,pgtenant::audit=off",
        ..Options::default()
    }
}

/// A statement with about this many bytes, different for each number.
fn long(bytes: usize, n: usize) -> String {
    format!("SELECT length('{}'), {n}", "x".repeat(bytes))
}

/// A statement that takes a hundred times its length to parse.
fn costly(bytes: usize) -> String {
    format!("SELECT 1{} AS sum", ",1".repeat(bytes / 2))
}

/// How much more memory, in bytes, the proxy has had than `before`, in kB.
fn growth(proxy: &Proxy, before: usize) -> usize {
    (proxy.peak_memory() - before) << 10
}

// ----------------------------------------------------------- prepared statements

#[test]
fn statements_that_are_closed_leave_nothing_behind() {
    let proxy = Proxy::start(&with_statements("1MiB"));
    let mut client = proxy.raw("innovate");
    let prepare = |n| {
        let pipeline = Pipeline::new().parse("s", &long(900 << 10, n));
        pipeline.close_statement("s").sync()
    };
    client.run(&prepare(0)).ok();
    let before = proxy.peak_memory();
    for n in 1..200 {
        client.run(&prepare(n)).ok();
    }
    let growth = growth(&proxy, before);
    assert!(growth < 64 * MIB, "{growth}");
}

#[test]
fn one_client_keeps_no_more_than_it_may_and_can_make_room() {
    let proxy = Proxy::start(&with_statements("1MiB"));
    let mut client = proxy.raw("innovate");
    let prepare = |name: &str, n| Pipeline::new().parse(name, &long(900 << 10, n)).sync();
    let taken = (0..30).take_while(|n| {
        let answer = client.run(&prepare(&format!("s{n}"), *n));
        answer.errors().is_empty()
    });
    let taken = taken.count();
    assert!((15..=18).contains(&taken), "{taken}");
    // The unnamed one counts, too.
    let error = client.run(&prepare("", 50)).error();
    assert_eq!(
        (error.code(), error.message()),
        ("54000", "too many prepared statements")
    );
    // What makes room is never refused.
    client.extended("DEALLOCATE s3").ok();
    client.run(&prepare("", 50)).ok();
    assert_eq!(client.run(&prepare("s3", 60)).error().code(), "54000");
    client
        .run(&Pipeline::new().parse("", "SELECT 1").sync())
        .ok();
    client.run(&prepare("s3", 60)).ok();
    // Nobody else is concerned.
    proxy.raw("innovate").run(&prepare("", 1)).ok();
}

#[test]
fn a_server_connection_keeps_a_mebibyte_of_statements() {
    let proxy = Proxy::start(&Options {
        channels: "allow",
        ..with_statements("1MiB")
    });
    let mut client = proxy.raw("innovate");
    for n in 0..30 {
        let name = format!("s{n}");
        let pipeline = Pipeline::new().parse(&name, &long(300 << 10, n));
        let answer = client.run(&pipeline.bind("", &name, &[]).execute("", 0).sync());
        assert_eq!(answer.ok().rows().len(), 1);
    }
    let kept =
        "SELECT sum(length(statement)) FROM pg_prepared_statements WHERE statement LIKE '%xxx%'";
    let kept: usize = client.value(kept).parse().unwrap();
    assert!((MIB / 2..=MIB).contains(&kept), "{kept}");
    // What has gone there comes again.
    for n in [0, 29, 1] {
        let answer = client.run(
            &Pipeline::new()
                .bind("", &format!("s{n}"), &[])
                .execute("", 0)
                .sync(),
        );
        assert_eq!(answer.ok().value(), (300 << 10).to_string());
    }
}

#[test]
fn a_name_without_end_is_refused() {
    let proxy = Proxy::start(&with_statements("1MiB"));
    let mut client = proxy.raw("innovate");
    let name = "n".repeat(100_000);
    let error = client
        .run(&Pipeline::new().parse(&name, "SELECT 1").sync())
        .error();
    assert_eq!(error.code(), "54000");
    assert!(error.message().len() < 1000);
    // PostgreSQL takes it, and PgBouncer too.
    let long = Pipeline::new().parse(&name[..4090], "SELECT 1");
    let run = long.bind("", &name[..4090], &[]).execute("", 0).sync();
    assert_eq!(client.run(&run).ok().value(), "1");
    let error = client
        .run(&Pipeline::new().describe_statement(&name[..9000]).sync())
        .error();
    assert_eq!(error.code(), "26000");
    assert!(error.message().len() < 1000);
}

// ------------------------------------------------------------------------ parsing

#[test]
fn statements_are_parsed_one_after_another_when_they_are_long() {
    let proxy = Proxy::start(&Options {
        workers: 4,
        size: 10,
        ..with_statements("1MiB")
    });
    let mut clients: Vec<_> = (0..8).map(|_| proxy.raw("innovate")).collect();
    let before = proxy.peak_memory();
    // PostgreSQL has too many columns here, and says so.
    let sql = costly(900 << 10);
    for client in &mut clients {
        client.send_query(&sql);
    }
    for client in &mut clients {
        assert_eq!(client.until_ready().error().code(), "54011");
    }
    let growth = growth(&proxy, before);
    // One takes 110 MiB, and eight would take 880.
    assert!(growth < 400 * MIB, "{growth}");
}

#[test]
fn who_leaves_while_it_waits_for_its_turn_is_gone() {
    let proxy = Proxy::start(&with_statements("1MiB"));
    let mut clients: Vec<_> = (0..8).map(|_| proxy.raw("innovate")).collect();
    let sql = costly(900 << 10);
    for client in &mut clients {
        client.send_query(&sql);
    }
    drop(clients);
    // Others come to their turn, and short statements at once.
    let mut other = proxy.raw("innovate");
    assert_eq!(other.value("SELECT 1"), "1");
    assert_eq!(other.error(&sql).code(), "54011");
    assert_eq!(proxy.raw("synergy").error(&sql).code(), "54011");
}

#[test]
fn a_very_long_statement_passes_where_it_may() {
    let proxy = Proxy::start(&with_statements("64MiB"));
    let mut client = proxy.raw("innovate");
    let before = proxy.peak_memory();
    let size = 40 * MIB;
    let answer = client.query(&long(size, 1));
    assert_eq!(answer.ok().value(), size.to_string());
    let growth = growth(&proxy, before);
    assert!(growth < 8 * size, "{growth}");
    // Prepared, too.
    let pipeline = Pipeline::new().parse("s", &long(size, 2));
    let answer = client.run(&pipeline.bind("", "s", &[]).execute("", 0).sync());
    assert_eq!(answer.ok().value(), size.to_string());
    client
        .run(&Pipeline::new().close_statement("s").sync())
        .ok();
    assert_eq!(client.value("SELECT 1"), "1");
}

#[test]
fn long_inserts_and_lists_take_no_more_memory_than_is_said() {
    let proxy = Proxy::start(&with_statements("128MiB"));
    let mut client = proxy.raw("innovate");
    client.run_ok("CREATE TEMP TABLE long (t text)");
    let before = proxy.peak_memory();
    let row = format!("('{}')", "x".repeat(100));
    let rows = 16 * MIB / row.len();
    let insert = format!("INSERT INTO long VALUES {}", vec![&*row; rows].join(","));
    let answer = client.query(&insert);
    assert_eq!(answer.ok().commands(), [format!("INSERT 0 {rows}")]);
    let grown = growth(&proxy, before);
    assert!(grown < 10 * insert.len(), "{grown}");
    let numbers: Vec<_> = (0..2 * MIB).map(|n| (1_000_000 + n).to_string()).collect();
    let list = format!("SELECT 7 IN ({})", numbers.join(","));
    assert_eq!(client.value(&list), "f");
    let grown = growth(&proxy, before);
    assert!(grown < 16 * list.len(), "{grown}");
}

#[test]
fn the_longest_statement_is_that_of_the_configuration_at_any_time() {
    let proxy = Proxy::start(&with_statements("64KiB"));
    let mut client = proxy.raw("innovate");
    let sql = long(100 << 10, 1);
    let error = client.error(&sql);
    assert_eq!(error.code(), "54000");
    assert!(error.message().contains("65536 bytes"), "{error:?}");
    assert!(error.hint().contains("listen.max_statement"), "{error:?}");
    proxy.reload(|text| text.replace("64KiB", "1MiB"));
    client.query(&sql).ok();
    // Statements that are too long to be judged at once are to be prepared again.
    let prepare = Pipeline::new()
        .parse("short", "SELECT 1")
        .parse("long", &sql);
    client.run(&prepare.sync()).ok();
    proxy.reload(|text| text.replace("1MiB", "64KiB"));
    assert_eq!(client.error(&sql).code(), "54000");
    let run = |name| Pipeline::new().bind("", name, &[]).execute("", 0).sync();
    assert_eq!(client.run(&run("short")).ok().value(), "1");
    assert_eq!(client.run(&run("long")).error().code(), "26000");
}

// ------------------------------------------------------------------------ buffers

#[test]
fn memory_is_taken_as_bytes_come_not_as_they_are_announced() {
    let proxy = Proxy::start(&with_statements("1023MiB"));
    let mut clients: Vec<_> = (0..50).map(|_| proxy.raw("innovate")).collect();
    let before = proxy.peak_memory();
    for client in &mut clients {
        let mut message = vec![b'Q'];
        message.extend((1000_u32 << 20).to_be_bytes());
        message.extend([b' '; 50_000]);
        client.send(&message);
    }
    // They have been read by when others are served.
    for _ in 0..3 {
        assert_eq!(proxy.raw("innovate").value("SELECT 1"), "1");
    }
    let growth = growth(&proxy, before);
    assert!(growth < 32 * MIB, "{growth}");
}

#[test]
fn answers_of_the_proxy_wait_until_the_client_takes_them() {
    const CALLS: usize = 100_000;
    let proxy = Proxy::start(&with_statements("1MiB"));
    let mut client = proxy.raw("innovate");
    // The buffer grows with a statement, and then holds many short messages.
    let refused = format!("SET ROLE '{}'", "x".repeat(900 << 10));
    let mut all = Pipeline::new().query(&refused).bytes().to_vec();
    for _ in 0..CALLS {
        all.extend(b"F\0\0\0\x04");
    }
    let before = proxy.peak_memory();
    let mut writer = client.stream.try_clone().unwrap();
    let writer = thread::spawn(move || writer.write_all(&all));
    for _ in 0..=CALLS {
        assert_eq!(client.until_ready().errors().len(), 1);
    }
    writer.join().unwrap().unwrap();
    let growth = growth(&proxy, before);
    assert!(growth < 16 * MIB, "{growth}");
}

// -------------------------------------------------------------------- what is noted

#[test]
fn temporary_relations_are_noted_once_and_not_without_end() {
    let proxy = Proxy::start(&with_statements("1MiB"));
    let mut client = proxy.raw("innovate");
    for _ in 0..3 {
        client.run_ok("CREATE TEMP TABLE again (a int)");
        client.run_ok("DROP TABLE again");
    }
    let many: Vec<_> = (0..10_000)
        .map(|n| format!("CREATE TEMP TABLE t{n}()"))
        .collect();
    let error = client.error(&many.join(";"));
    assert_eq!(error.code(), "54000");
    client.run_ok("DISCARD ALL");
    client.run_ok("CREATE TEMP TABLE again (a int)");
}
