//! How long sessions have for what they do: for all, for an isolation, a tenant and a
//! login. The strictest counts, and no client lifts it.

#![allow(clippy::unwrap_used, clippy::panic)]

use testkit::{INNOVATE, Options, Pipeline, Programs, Proxy, Raw, Site, site, wait_until};

fn start(listen: &str) -> Proxy {
    Proxy::start(&options(listen))
}

fn options(listen: &str) -> Options {
    Options {
        listen: format!("{listen}\n"),
        ..Options::default()
    }
}

/// Adds `line` to the section that `head` is the beginning of.
fn add(text: &str, head: &str, line: &str) -> String {
    assert!(text.contains(head), "{head}");
    text.replacen(head, &format!("{head}{line}\n"), 1)
}

fn tenant() -> String {
    format!("[[tenants]]\nid = \"{INNOVATE}\"\n")
}

const LOGIN: &str = "[[logins]]\nuser = \"innovate\"\n";

#[track_caller]
fn assert_out_of_time(client: &mut Raw) {
    let error = client.until_closed().error();
    assert_eq!((error.severity(), error.code()), ("FATAL", "25P04"));
    let message = "terminating connection due to transaction timeout";
    assert_eq!(error.message(), message);
}

/// Nothing of the clients is left on the server.
fn wait_until_rolled_back(site: &Site, database: &str) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
               AND pid <> pg_backend_pid() AND (xact_start IS NOT NULL \
               OR wait_event = 'PgSleep')";
    wait_until("the server has ended it", || site.sql(database, sql) == "0");
}

#[test]
fn a_transaction_that_takes_too_long_ends_with_its_session() {
    // PostgreSQL has a setting of this name from 17 on.
    for major in [15, 18] {
        let Some(programs) = Programs::find(major) else {
            continue;
        };
        let site = Site::start_on(&programs);
        let database = site.fresh_database();
        for mode in ["transaction", "session"] {
            let proxy = Proxy::start_before(
                &site,
                &Options {
                    database: database.clone(),
                    mode,
                    ..options("transaction_timeout = \"1s\"")
                },
            );
            let mut within = proxy.raw("innovate");
            within.run_ok("BEGIN");
            // On 15 there is none; where there is, it lifts nothing.
            let answer = within.query("SET transaction_timeout = 0");
            assert_eq!(answer.errors().is_empty(), major >= 17);
            let mut running = proxy.raw("innovate");
            running.send_query("SELECT pg_sleep(600)");
            let mut pipeline = proxy.raw("innovate");
            pipeline.send(Pipeline::new().statement("SELECT 1").flush().bytes());
            pipeline.until(b'C');
            for client in [&mut within, &mut running, &mut pipeline] {
                assert_out_of_time(client);
            }
            wait_until_rolled_back(&site, &database);
        }
    }
}

#[test]
fn many_transactions_have_their_time_each() {
    for mode in ["transaction", "session"] {
        let proxy = Proxy::start(&Options {
            mode,
            ..options("transaction_timeout = \"2s\"")
        });
        let (mut client, mut pinned) = (proxy.raw("innovate"), proxy.raw("innovate"));
        pinned.run_ok("CREATE TEMP TABLE mine (n integer)");
        for client in [&mut client, &mut pinned] {
            // Without a moment of rest between them.
            let sleep = || Pipeline::new().query("SELECT pg_sleep(0.5)");
            let mut all = sleep().bytes().to_vec();
            (1..6).for_each(|_| all.extend_from_slice(sleep().bytes()));
            client.send(&all);
        }
        for client in [&mut client, &mut pinned] {
            for _ in 0..6 {
                client.until_ready().ok();
            }
            client.run_ok("BEGIN");
            assert_out_of_time(client);
        }
    }
}

#[test]
fn a_transaction_that_the_server_does_not_tell_of_has_its_time_too() {
    let Some(programs) = Programs::find(18) else {
        return;
    };
    let site = Site::start_on(&programs);
    let proxy = Proxy::start_before(&site, &options("transaction_timeout = \"1s\""));
    let mut client = proxy.raw("innovate");
    // PostgreSQL 18 goes on with the transaction behind each Query, and says I.
    let one = || {
        Pipeline::new()
            .statement("SELECT 1")
            .query("SELECT pg_sleep(0.25)")
    };
    let all: Vec<u8> = (0..40).flat_map(|_| one().bytes().to_vec()).collect();
    client.send(&all);
    assert_out_of_time(&mut client);
}

#[test]
fn the_strictest_of_all_counts() {
    let proxy = start("statement_timeout = \"40s\"");
    let shown = |what: &str| proxy.raw("innovate").value(&format!("SHOW {what}"));
    assert_eq!(shown("statement_timeout"), "40s");
    let lines = [
        (
            "[isolation.setting]\n",
            "statement_timeout = \"30s\"",
            "30s",
        ),
        (&*tenant(), "statement_timeout = \"50s\"", "30s"),
        (LOGIN, "statement_timeout = \"20s\"", "20s"),
        (LOGIN, "idle_in_transaction_timeout = \"7s\"", "20s"),
    ];
    for (head, line, expected) in lines {
        proxy.reload(|text| add(&text, head, line));
        assert_eq!(shown("statement_timeout"), expected, "{line}");
    }
    assert_eq!(shown("idle_in_transaction_session_timeout"), "7s");
    assert_eq!(proxy.raw("synergy").value("SHOW statement_timeout"), "30s");
    // It can be made shorter, and not longer.
    let mut client = proxy.raw("innovate");
    client.run_ok("SET statement_timeout = '10s'");
    for sql in ["SET statement_timeout = '25s'", "SET statement_timeout = 0"] {
        assert_eq!(client.query(sql).error().code(), "42501", "{sql}");
    }
    client.run_ok("RESET ALL");
    assert_eq!(client.value("SHOW statement_timeout"), "20s");
}

#[test]
fn a_login_has_its_own_time_for_transactions_and_for_idleness() {
    let proxy = start("");
    proxy.reload(|text| {
        let text = add(&text, LOGIN, "client_idle_timeout = \"1s\"");
        add(&text, &tenant(), "transaction_timeout = \"1s\"")
    });
    let (mut idle, mut other) = (proxy.raw("innovate"), proxy.raw("synergy"));
    let mut within = proxy.raw("innovate");
    within.run_ok("BEGIN");
    other.run_ok("BEGIN");
    assert_eq!(idle.until_closed().error().code(), "57P05");
    assert_out_of_time(&mut within);
    other.run_ok("COMMIT");
}

#[test]
fn a_limit_that_comes_to_be_holds_for_what_runs() {
    let proxy = start("");
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN");
    client.run_ok("SELECT pg_sleep(1)");
    let line = "transaction_timeout = \"500ms\"";
    proxy.reload(|text| add(&text, "[listen]\n", line));
    assert_out_of_time(&mut client);
    // And goes again.
    proxy.reload(|text| text.replace(line, "transaction_timeout = \"0s\""));
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN");
    client.run_ok("SELECT pg_sleep(1.5)");
    client.run_ok("COMMIT");
    assert_eq!(site().sql("postgres", "SELECT 1"), "1");
}
