//! From start to stop: servers that fail, signals, limits, and the usual
//! programs in front.

#![allow(clippy::unwrap_used)]

use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use testkit::{
    Between, Fields, Options, Pipeline, Plain, Programs, Proxy, Raw, Site, site, wait_until,
};

const ALICE: &str = "alice@innovate.example";
const WHOSE: &str = "SELECT email FROM users";

// PostgreSQL goes and comes.

#[test]
fn while_postgresql_is_down_clients_are_told_so_and_the_proxy_stays() {
    let mut site = Site::start();
    let mut proxy = Proxy::start_before(
        &site,
        &Options {
            connect_timeout: "200ms",
            wait_timeout: "200ms",
            ..Options::default()
        },
    );
    let mut idle = proxy.raw("innovate");
    let mut busy = proxy.raw("innovate");
    assert_eq!(idle.value(WHOSE), ALICE);
    for crash in [false, true] {
        busy.run_ok("BEGIN");
        if crash {
            site.cluster.stop_immediate().unwrap();
        } else {
            site.cluster.stop_fast().unwrap();
        }
        // Who was in a transaction has lost it.
        let told = busy.until_closed().errors();
        assert!(
            ["57P01", "57P02", "08006"].contains(&told[0].code()),
            "{told:?}"
        );
        // Who was not is told, and can ask again.
        for _ in 0..2 {
            let answer = idle.query(WHOSE);
            assert_unavailable(&answer.error(), "ERROR");
            assert_eq!((&*answer.tags(), answer.status()), ("EZ", 'I'));
            let pipeline = Pipeline::new().statement(WHOSE).statement(WHOSE).sync();
            let answer = idle.run(&pipeline);
            assert_unavailable(&answer.error(), "ERROR");
            assert_eq!((&*answer.tags(), answer.status()), ("EZ", 'I'));
        }
        // Who wants in, and of whom the server must be asked, is told, too.
        let parameters = [
            ("user", "umbrella"),
            ("database", "wellness_umbrella"),
            ("TimeZone", "Asia/Tokyo"),
        ];
        let refused = Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap_err();
        assert_unavailable(&refused, "FATAL");
        site.cluster.start_again().unwrap();
        wait_until("the proxy has found the server", || {
            idle.query(WHOSE).errors().is_empty()
        });
        assert_eq!(idle.value(WHOSE), ALICE);
        busy = proxy.raw("innovate");
        assert_eq!(busy.value(WHOSE), ALICE);
    }
    assert!(proxy.is_running());
}

#[track_caller]
fn assert_unavailable(error: &Fields, severity: &str) {
    assert_eq!(
        (error.code(), error.severity()),
        ("57P03", severity),
        "{error:?}"
    );
    assert!(!error.hint().is_empty(), "{error:?}");
    // No word of where the server is.
    assert!(!error.message().contains("127.0.0.1"), "{error:?}");
}

#[test]
fn a_role_that_the_server_refuses_is_tried_seldom_and_holds_up_no_other() {
    let site = Site::start();
    let proxy = Proxy::start_before(&site, &Options::default());
    let mut refused = proxy.raw("acme");
    let mut others = proxy.raw("globex");
    let change = |what: &str| {
        site.sql("postgres", &format!("ALTER ROLE acme_health_app {what}"));
    };
    change("NOLOGIN");
    site.sql(
        "postgres",
        "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
         WHERE usename = 'acme_health_app'",
    );
    let tries = || {
        proxy
            .log()
            .matches("cannot open a server connection")
            .count()
    };
    for _ in 0..100 {
        let error = refused.error("SELECT 1");
        assert_eq!((error.code(), error.severity()), ("08001", "ERROR"));
        others.run_ok("SELECT 1");
    }
    // It is tried after one second, two, four, …
    assert!((1..=3).contains(&tries()), "{}", tries());
    change("LOGIN");
    wait_until("it is tried again", || {
        refused.query("SELECT 1").errors().is_empty()
    });
}

#[test]
fn a_role_that_the_server_refuses_is_tried_once_for_all_who_ask_together() {
    let site = Site::start();
    let proxy = Proxy::start_before(&site, &Options::default());
    let mut clients: Vec<_> = (0..8).map(|_| proxy.raw("acme")).collect();
    site.sql(
        "postgres",
        "ALTER ROLE acme_health_app NOLOGIN; \
         SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
         WHERE usename = 'acme_health_app'",
    );
    // Other connections, of which none has succeeded a moment ago.
    proxy.reload(|text| text.replace("connect_timeout = \"5s\"", "connect_timeout = \"6s\""));
    for client in &mut clients {
        client.send_query("SELECT 1");
    }
    for client in &mut clients {
        assert_eq!(client.until_ready().error().code(), "08001");
    }
    let log = std::fs::read_to_string(site.cluster.log_path()).unwrap();
    assert_eq!(
        log.matches("is not permitted to log in").count(),
        1,
        "{log}"
    );
}

#[test]
fn a_restart_of_postgresql_under_load_ends_transactions_and_nothing_else() {
    let mut site = Site::start();
    let proxy = Proxy::start_before(
        &site,
        &Options {
            size: 3,
            ..Options::default()
        },
    );
    let over = AtomicBool::new(false);
    let done: Vec<_> = (0..8).map(|_| AtomicUsize::new(0)).collect();
    let wait_for_more = || {
        let before: Vec<_> = done.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        wait_until("everybody has been answered", || {
            let mut both = done.iter().zip(&before);
            both.all(|(now, before)| now.load(Ordering::Relaxed) > before + 20)
        });
    };
    thread::scope(|scope| {
        for (n, done) in done.iter().enumerate() {
            let (proxy, over) = (&proxy, &over);
            scope.spawn(move || work(proxy, n, done, over));
        }
        for crash in [false, true, false] {
            wait_for_more();
            if crash {
                site.cluster.stop_immediate().unwrap();
            } else {
                site.cluster.stop_fast().unwrap();
            }
            site.cluster.start_again().unwrap();
        }
        wait_for_more();
        over.store(true, Ordering::Relaxed);
    });
}

/// Runs transactions until it is over; every answer is right or an error.
fn work(proxy: &Proxy, n: usize, done: &AtomicUsize, over: &AtomicBool) {
    let (login, own) = [("innovate", ALICE), ("synergy", "bob@synergy.example")][n % 2];
    let database = proxy.database(login);
    let parameters = [("user", login), ("database", &*database)];
    while !over.load(Ordering::Relaxed) {
        let Ok(mut client) = Raw::log_in(proxy.port, &proxy.password, &parameters) else {
            continue;
        };
        'session: while !over.load(Ordering::Relaxed) {
            for sql in ["BEGIN", WHOSE, "COMMIT"] {
                client.send_query(sql);
                loop {
                    let Some(message) = client.try_read() else {
                        break 'session;
                    };
                    match message.tag {
                        b'D' => assert_eq!(message.row()[0].as_deref(), Some(own)),
                        b'E' if message.fields().severity() == "FATAL" => break 'session,
                        b'Z' => break,
                        _ => {}
                    }
                }
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_client_whose_answer_is_lost_is_not_told_that_nothing_was_done() {
    let programs = Programs::find(15).unwrap();
    let plain = Plain::start(&programs, &[]);
    let mut admin = plain.superuser();
    admin.run_ok("CREATE TABLE done (n int); GRANT ALL ON done TO PUBLIC");
    let relay = Between::start(plain.cluster.port());
    let proxy = plain.proxy(relay.port, "size = 1", "");
    let mut client = plain.client(&proxy, "innovate");
    client.run_ok("SELECT 1");
    relay.hold_answer_to("INSERT");
    client.send_query("INSERT INTO done VALUES (1)");
    relay.wait_until_held();
    wait_until("it is committed", || {
        admin.value("SELECT count(*) FROM done") == "1"
    });
    relay.lose();
    let answer = client.until_closed();
    let error = answer.error();
    assert_eq!((error.severity(), error.code()), ("FATAL", "08006"));
    assert!(!error.hint().contains("rolled back"), "{error:?}");
    assert!(error.hint().contains("carried out or not"), "{error:?}");
    assert!(answer.commands().is_empty());
}

#[test]
fn a_server_connection_that_ended_while_idle_is_not_used() {
    let database = site().fresh_database();
    let proxy = Proxy::start(&Options {
        database: database.clone(),
        ..Options::default()
    });
    let mut client = proxy.raw("innovate");
    for _ in 0..5 {
        let backend = client.backend();
        terminate(&backend);
        assert_ne!(client.backend(), backend);
    }
    // In a transaction its end is the client's.
    client.run_ok("BEGIN");
    terminate(&client.backend());
    let told = client.until_closed();
    assert_eq!(told.error().code(), "57P01");
}

/// Ends a session of the server's and waits until it is gone.
fn terminate(pid: &str) {
    let gone = site().sql(
        "postgres",
        &format!("SELECT pg_terminate_backend({pid}, 10000)"),
    );
    assert_eq!(gone, "t");
}

#[test]
fn server_connections_that_nobody_uses_are_closed() {
    let database = site().fresh_database();
    let proxy = Proxy::start(&Options {
        database: database.clone(),
        idle_timeout: "100ms",
        ..Options::default()
    });
    let mut client = proxy.raw("innovate");
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND application_name <> 'pgtenant'"
    );
    let backend = client.value("BEGIN; SELECT pg_backend_pid()");
    wait_until("others are closed", || site().sql("postgres", &sql) == "1");
    assert_eq!(client.backend(), backend, "one in use is not closed");
    client.run_ok("COMMIT");
    wait_until("all are closed", || site().sql("postgres", &sql) == "0");
    assert_eq!(client.value(WHOSE), ALICE);
}

#[test]
fn a_client_that_does_nothing_for_too_long_is_told_so() {
    let proxy = Proxy::start(&Options {
        listen: "client_idle_timeout = \"1s\"\n".to_owned(),
        ..Options::default()
    });
    let mut within = proxy.raw("innovate");
    within.run_ok("BEGIN");
    let (mut idle, mut pinned) = (proxy.raw("innovate"), proxy.raw("innovate"));
    pinned.run_ok("CREATE TEMP TABLE mine (n integer)");
    for client in [&mut idle, &mut pinned] {
        let error = client.until_closed().error();
        assert_eq!((error.code(), error.severity()), ("57P05", "FATAL"));
    }
    // A transaction has a limit of its own.
    within.run_ok("COMMIT");
}

#[test]
fn a_client_that_keeps_its_connection_is_not_idle_while_it_works() {
    let proxy = Proxy::start(&Options {
        listen: "client_idle_timeout = \"1s\"\n".to_owned(),
        ..Options::default()
    });
    let mut client = proxy.raw("innovate");
    client.run_ok("CREATE TEMP TABLE mine (n integer)");
    // By one statement that is longer, and by many.
    client.run_ok("SELECT pg_sleep(2.5)");
    for _ in 0..8 {
        client.run_ok("SELECT pg_sleep(0.25)");
    }
    assert_eq!(client.value("SELECT count(*) FROM mine"), "0");
    let error = client.until_closed().error();
    assert_eq!((error.code(), error.severity()), ("57P05", "FATAL"));
}

// The proxy goes.

#[test]
fn sigterm_lets_transactions_end_and_nobody_in() {
    let mut proxy = Proxy::start(&Options::default());
    let mut idle = proxy.raw("innovate");
    let mut busy = proxy.raw("innovate");
    let mut running = proxy.raw("synergy");
    let mut pinned = proxy.raw("innovate");
    busy.run_ok("BEGIN");
    pinned.run_ok("CREATE TEMP TABLE mine (n integer)");
    running.send_query("SELECT pg_sleep(600)");
    wait_until("it runs", || {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' \
                     AND query = 'SELECT pg_sleep(600)'";
        site().sql("postgres", count) == "1"
    });
    proxy.terminate();
    proxy.wait_for_log("draining");
    for client in [&mut idle, &mut pinned] {
        assert_stopping(&client.until_closed().error());
    }
    assert!(TcpStream::connect(("127.0.0.1", proxy.port)).is_err());
    assert_eq!(busy.value(WHOSE), ALICE);
    assert!(!running.has_answer());
    assert!(proxy.is_running());
    // It cannot ask for a cancel any more; the server can.
    let sleeping = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity \
                    WHERE wait_event = 'PgSleep' AND application_name <> 'x' \
                    AND query = 'SELECT pg_sleep(600)'";
    wait_until("the sleep has ended", || {
        site().sql("postgres", sleeping) != "0"
    });
    let answer = running.until_closed();
    let codes: Vec<_> = answer
        .errors()
        .iter()
        .map(|e| e.code().to_owned())
        .collect();
    assert_eq!(codes, ["57014", "57P01"]);
    let answer = {
        busy.send_query("COMMIT");
        busy.until_closed()
    };
    assert_eq!(
        (&*answer.commands(), &*answer.tags()),
        (&["COMMIT".to_owned()][..], "CZE")
    );
    assert_stopping(&answer.error());
    assert_eq!(proxy.wait().code(), Some(0));
    proxy.wait_for_log("drained=true");
}

#[test]
fn a_client_that_waits_is_served_after_sigterm_and_told_so_after_sigint() {
    for signal in ["TERM", "INT"] {
        let mut proxy = Proxy::start(&Options {
            size: 1,
            waiting_per_tenant: Some(1),
            ..Options::default()
        });
        let mut busy = proxy.raw("innovate");
        busy.run_ok("BEGIN");
        let mut clients = [proxy.raw("synergy"), proxy.raw("synergy")];
        for client in &mut clients {
            client.send_query("SELECT 1");
        }
        // One is told that the other waits.
        wait_until("one waits", || clients.iter().any(Raw::has_answer));
        let [first, second] = clients;
        let mut waiting = if first.has_answer() { second } else { first };
        assert!(!waiting.has_answer());
        proxy.signal(signal);
        if signal == "INT" {
            assert_stopping(&waiting.until_closed().error());
        }
        busy.send_query("COMMIT");
        assert_eq!(busy.until_closed().commands(), ["COMMIT"]);
        if signal == "TERM" {
            let answer = waiting.until_closed();
            assert_eq!(answer.commands(), ["SELECT 1"]);
            assert_stopping(&answer.error());
        }
        assert_eq!(proxy.wait().code(), Some(0));
    }
}

#[track_caller]
fn assert_stopping(error: &Fields) {
    assert_eq!(
        (error.code(), error.severity()),
        ("57P01", "FATAL"),
        "{error:?}"
    );
    assert!(!error.hint().is_empty());
}

#[test]
fn no_core_file_holds_its_memory() {
    let proxy = Proxy::start(&Options::default());
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", proxy.pid())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<_> = core.unwrap().split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"]);
}

#[test]
fn an_unused_proxy_stops_at_once() {
    for signal in ["TERM", "INT"] {
        let mut proxy = Proxy::start(&Options {
            drain_timeout: "10min",
            ..Options::default()
        });
        proxy.raw("innovate").run_ok("SELECT 1");
        proxy.signal(signal);
        assert_eq!(proxy.wait().code(), Some(0));
    }
}

#[test]
fn transactions_that_do_not_end_are_not_waited_for_any_longer() {
    // Each of these ends long before the ten minutes.
    let cases: [(&str, &[&str]); 4] = [
        ("200ms", &["TERM"]),
        ("10min", &["INT"]),
        ("10min", &["TERM", "TERM"]),
        ("10min", &["TERM", "INT"]),
    ];
    thread::scope(|scope| {
        for (drain_timeout, signals) in cases {
            scope.spawn(move || {
                let mut proxy = Proxy::start(&Options {
                    drain_timeout,
                    size: 2,
                    ..Options::default()
                });
                let mut clients = ["innovate", "synergy", "innovate"].map(|login| proxy.raw(login));
                let [idle, running, waiting] = &mut clients;
                idle.run_ok("BEGIN");
                running.run_ok("BEGIN");
                // Not a text that another test cancels.
                running.send_query("SELECT pg_sleep(601)");
                waiting.send_query("SELECT 1");
                for signal in signals {
                    proxy.signal(signal);
                    proxy.wait_for_log("draining");
                }
                for client in &mut clients {
                    let answer = client.until_closed();
                    assert!(answer.commands().is_empty());
                    assert_eq!(answer.error().code(), "57P01", "{signals:?}");
                }
                assert_eq!(proxy.wait().code(), Some(0), "{signals:?}");
                proxy.wait_for_log("drained=false");
            });
        }
    });
}

#[test]
fn sighup_changes_nothing_for_clients() {
    let mut proxy = Proxy::start(&Options::default());
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN");
    proxy.signal("HUP");
    proxy.wait_for_log(" reloaded");
    client.run_ok("COMMIT");
    assert!(proxy.is_running());
    assert_eq!(proxy.raw("innovate").value(WHOSE), ALICE);
}

// Limits.

#[test]
fn a_tenant_has_at_most_its_share_of_the_clients() {
    let proxy = Proxy::start(&Options {
        clients_per_tenant: Some(1),
        ..Options::default()
    });
    let first = proxy.raw("innovate");
    let database = proxy.database("innovate");
    let parameters = [("user", "innovate"), ("database", &*database)];
    let log_in = || Raw::log_in(proxy.port, &proxy.password, &parameters);
    let error = log_in().unwrap_err();
    assert_eq!((error.code(), error.severity()), ("53300", "FATAL"));
    assert!(
        error.hint().contains("listen.clients_per_tenant"),
        "{error:?}"
    );
    proxy.raw("synergy").run_ok("SELECT 1");
    drop(first);
    wait_until("the place is free", || log_in().is_ok());
}

#[test]
fn one_client_too_many_is_told_and_the_others_are_served() {
    let proxy = Proxy::start(&Options {
        max_clients: 2,
        ..Options::default()
    });
    let mut first = proxy.raw("innovate");
    let second = proxy.raw("innovate");
    let database = proxy.database("innovate");
    let parameters = [("user", "innovate"), ("database", &*database)];
    let log_in = || Raw::log_in(proxy.port, &proxy.password, &parameters);
    let error = log_in().unwrap_err();
    assert_eq!((error.code(), error.severity()), ("53300", "FATAL"));
    assert!(error.hint().contains("listen.max_clients"), "{error:?}");
    // A cancel request is no client.
    first.send_query("SELECT pg_sleep(600)");
    wait_until("the request has struck", || {
        first.cancel();
        first.has_answer()
    });
    assert_eq!(first.until_ready().error().code(), "57014");
    drop(second);
    wait_until("there is a place", || log_in().is_ok());
    assert_eq!(first.value(WHOSE), ALICE);
}

#[test]
fn several_workers_serve_clients_side_by_side() {
    let proxy = Proxy::start(&Options {
        workers: 3,
        size: 1,
        ..Options::default()
    });
    let mut clients: Vec<_> = (0..9)
        .map(|n| proxy.raw(["innovate", "synergy"][n % 2]))
        .collect();
    let backend = clients[0].backend();
    for _ in 0..5 {
        for (n, client) in clients.iter_mut().enumerate() {
            let own = [ALICE, "bob@synergy.example"][n % 2];
            assert_eq!(client.value(WHOSE), own);
            assert_eq!(client.backend(), backend);
        }
    }
    // One waits for the connection of another worker's client.
    clients[0].run_ok("BEGIN");
    clients[1].send_query(WHOSE);
    clients[2].send_query(WHOSE);
    assert!(!clients[1].has_answer());
    clients[0].run_ok("COMMIT");
    assert_eq!(clients[1].until_ready().ok().value(), "bob@synergy.example");
    assert_eq!(clients[2].until_ready().ok().value(), ALICE);
}

// The usual programs.

#[test]
fn psql_describes_tables() {
    let proxy = Proxy::start(&Options::default());
    for (login, table) in [
        ("innovate", "users"),
        ("acme", "employee_logs"),
        ("initech", "users"),
    ] {
        let named = format!("\\d {table}");
        let output = proxy.psql(login, &["\\d", &named, "\\dt+", "\\du", "\\conninfo"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && errors.is_empty(), "{errors}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains(table) && text.contains("created_at"),
            "{text}"
        );
    }
}

#[test]
fn pgbench_runs_in_every_mode() {
    let database = site().fresh_database();
    pgbench(&[
        "-i",
        "-q",
        "-s",
        "1",
        &site().cluster.superuser_url(&database),
    ]);
    site().sql(
        &database,
        "GRANT ALL ON pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers \
         TO wellness_app",
    );
    let options = Options {
        database: database.clone(),
        size: 3,
        ..Options::default()
    };
    let proxy = Proxy::start(&options);
    let url = proxy.url("innovate");
    for mode in ["simple", "extended", "prepared"] {
        for script in ["select-only", "tpcb-like"] {
            let said = pgbench(&[
                "-n", "-M", mode, "-b", script, "-c", "8", "-j", "8", "-t", "40", &url,
            ]);
            let all = "number of transactions actually processed: 320/320";
            assert!(said.contains(all), "{mode}, {script}: {said}");
            assert!(said.contains("failed transactions: 0"), "{said}");
        }
    }
    let history = site().sql(&database, "SELECT count(*) FROM pgbench_history");
    assert_eq!(history, (3 * 320).to_string());
    let sums = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM \
                pgbench_history) AND (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT \
                sum(delta) FROM pgbench_history)";
    assert_eq!(site().sql(&database, sums), "t");
    // A connection for each transaction.
    let said = pgbench(&["-n", "-S", "-C", "-c", "4", "-t", "10", &url]);
    assert!(said.contains("processed: 40/40"), "{said}");
}

fn pgbench(arguments: &[&str]) -> String {
    let output = Command::new(site().cluster.client_program("pgbench"))
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
