//! Changes while the proxy runs: of tenants, logins, limits, certificates and
//! servers; and what becomes of the clients that are there.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use pgtenant::directory::Verifier;
use pgtenant::throwaway::Authority;
use pgtenant::throwaway::wellness::APP_ROLE;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use testkit::{Answer, INNOVATE, Options, Pipeline, Proxy, Raw, SYNERGY, Site, site, wait_until};

const WHOSE: &str = "SELECT current_setting('session.current_organization_id')";

/// The configuration with `lines` in the section of the tenant.
fn with(text: &str, tenant: &str, lines: &str) -> String {
    let head = format!("[[tenants]]\nid = \"{tenant}\"\n");
    assert!(text.contains(&head));
    text.replace(&head, &format!("{head}{lines}\n"))
}

/// Makes the tenant what `lines` say, and nothing else of what was said before.
fn change(proxy: &Proxy, before: &str, tenant: &str, lines: &str) {
    let text = with(before, tenant, lines);
    proxy.reload(|_| text);
}

fn original(proxy: &Proxy) -> String {
    fs::read_to_string(&proxy.config).unwrap()
}

fn log_in(proxy: &Proxy, login: &str) -> Result<Raw, testkit::Fields> {
    let database = proxy.database(login);
    let parameters = [("user", login), ("database", &*database)];
    Raw::log_in(proxy.port, &proxy.password, &parameters)
}

/// The code of the error that ends a session.
fn ended(client: &mut Raw) -> String {
    let answer: Answer = client.until_closed();
    let error = answer.errors().pop().unwrap();
    assert_eq!(error.severity(), "FATAL");
    error.code().to_owned()
}

// States.

#[test]
fn a_suspended_tenant_s_sessions_end_and_nobody_else_s() {
    let proxy = Proxy::start(&Options::default());
    let before = original(&proxy);
    let mut idle = proxy.raw("innovate");
    let mut busy = proxy.raw("innovate");
    let mut other = proxy.raw("synergy");
    busy.run_ok("BEGIN");
    busy.run_ok("SELECT 1");
    change(&proxy, &before, INNOVATE, "state = \"suspended\"");
    assert_eq!(ended(&mut idle), "57P01");
    // What runs may end.
    assert_eq!(busy.value(WHOSE), INNOVATE);
    let answer = {
        busy.send_query("COMMIT");
        busy.until_closed()
    };
    assert_eq!(answer.commands(), ["COMMIT"]);
    assert_eq!(answer.error().code(), "57P01");
    assert!(log_in(&proxy, "innovate").is_err());
    assert_eq!(other.value(WHOSE), SYNERGY);
    // And back.
    proxy.reload(|_| before.clone());
    assert_eq!(proxy.raw("innovate").value(WHOSE), INNOVATE);
}

#[test]
fn a_suspended_tenant_s_client_that_waits_for_a_connection_waits_no_more() {
    let proxy = Proxy::start(&Options {
        size: 1,
        ..Options::default()
    });
    let mut holder = proxy.raw("synergy");
    holder.run_ok("BEGIN");
    let mut waiting = proxy.raw("innovate");
    waiting.send_query("SELECT 1");
    let before = original(&proxy);
    change(&proxy, &before, INNOVATE, "state = \"suspended\"");
    assert_eq!(ended(&mut waiting), "57P01");
    holder.run_ok("COMMIT");
}

#[test]
fn sessions_can_be_ended_in_the_midst_of_what_they_run() {
    let proxy = Proxy::start(&Options {
        more: "[directory]\nend_sessions = \"at-once\"\n".to_owned(),
        database: site().fresh_database(),
        ..Options::default()
    });
    let before = original(&proxy);
    let mut running = proxy.raw("innovate");
    let mut open = proxy.raw("innovate");
    let mut idle = proxy.raw("innovate");
    open.run_ok("BEGIN");
    open.run_ok("DELETE FROM wellness_entries");
    running.send_query("SELECT pg_sleep(600)");
    let active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' \
                  AND state = 'active' AND pid <> pg_backend_pid()";
    let database = proxy.database("innovate");
    wait_until("the statement runs", || {
        site().sql(&database, active) == "1"
    });
    change(&proxy, &before, INNOVATE, "state = \"suspended\"");
    for client in [&mut running, &mut open, &mut idle] {
        assert_eq!(ended(client), "57P01");
    }
    wait_until("the statement is cancelled", || {
        site().sql(&database, active) == "0"
    });
    let rows = site().sql(&database, "SELECT count(*) > 0 FROM wellness_entries");
    assert_eq!(rows, "t");
}

#[test]
fn a_read_only_tenant_reads_and_does_not_write_by_any_way() {
    let database = site().fresh_database();
    let proxy = Proxy::start(&Options {
        size: 1,
        database,
        ..Options::default()
    });
    let before = original(&proxy);
    let mut client = proxy.raw("innovate");
    let mut open = proxy.raw("innovate");
    client.run_ok("SET default_transaction_read_only = off");
    client.run(
        &Pipeline::new()
            .parse("w", "BEGIN READ WRITE")
            .parse("d", DELETE)
            .sync(),
    );
    open.run_ok("BEGIN");
    open.run_ok(DELETE);
    change(&proxy, &before, INNOVATE, "state = \"read-only\"");
    // A transaction that was open keeps what it was.
    open.run_ok("COMMIT");
    let count = client.value("SELECT count(*) FROM wellness_entries");
    assert_ne!(count, "");
    assert_eq!(client.value("SHOW default_transaction_read_only"), "on");
    assert_eq!(client.error(DELETE).code(), "25006");
    for sql in [
        "BEGIN READ WRITE",
        "SET default_transaction_read_only = off",
        "RESET default_transaction_read_only",
    ] {
        assert_eq!(client.error(sql).code(), "25006", "{sql}");
    }
    // Also what was prepared before.
    let answer = client.run(&Pipeline::new().prepared("w", &[]).sync());
    assert_eq!(answer.error().code(), "25006");
    let answer = client.run(&Pipeline::new().prepared("d", &[]).sync());
    assert_eq!(answer.error().code(), "25006");
    client.run_ok("RESET ALL");
    assert_eq!(client.error(DELETE).code(), "25006");
    client.run_ok("DISCARD ALL");
    assert_eq!(client.error(DELETE).code(), "25006");
    // The one connection serves others that may write, and comes back.
    let mut other = proxy.raw("synergy");
    other.run_ok(DELETE);
    assert_eq!(client.error(DELETE).code(), "25006");
    let mut late = proxy.raw("innovate");
    assert_eq!(late.error(DELETE).code(), "25006");
    proxy.reload(|_| before.clone());
    client.run_ok(DELETE);
    late.run_ok(DELETE);
}

const DELETE: &str = "DELETE FROM wellness_entries WHERE false";

#[test]
fn sessions_of_every_worker_are_told() {
    let proxy = Proxy::start(&Options {
        workers: 3,
        ..Options::default()
    });
    let before = original(&proxy);
    let mut clients: Vec<_> = (0..6).map(|_| proxy.raw("innovate")).collect();
    change(&proxy, &before, INNOVATE, "state = \"read-only\"");
    for client in &mut clients {
        assert_eq!(client.error(DELETE).code(), "25006");
        assert_eq!(client.error("BEGIN READ WRITE").code(), "25006");
    }
    change(&proxy, &before, INNOVATE, "state = \"suspended\"");
    for client in &mut clients {
        assert_eq!(ended(client), "57P01");
    }
}

#[test]
fn code_in_the_database_does_not_lift_what_restricts_the_tenant_for_long() {
    let database = site().fresh_database();
    site().sql(
        &database,
        "CREATE FUNCTION pref(k text, v text) RETURNS text LANGUAGE sql
         AS $$ SELECT set_config(k, v, false) $$",
    );
    for mode in ["transaction", "session"] {
        let proxy = Proxy::start(&Options {
            size: 1,
            mode,
            database: database.clone(),
            ..Options::default()
        });
        let before = original(&proxy);
        change(&proxy, &before, INNOVATE, "state = \"read-only\"");
        let mut client = proxy.raw("innovate");
        let lift = "SELECT pref('default_transaction_read_only', 'off')";
        client.run_ok(lift);
        assert_eq!(client.error(DELETE).code(), "25006", "{mode}");
        // Also of a client that keeps its connection, and in a pipeline.
        client.run_ok("DECLARE kept CURSOR WITH HOLD FOR SELECT 1");
        client.run_ok(lift);
        assert_eq!(client.error(DELETE).code(), "25006", "{mode}");
        let pipeline = Pipeline::new().statement(lift).sync();
        let answer = client.run(&pipeline);
        assert!(answer.errors().is_empty(), "{answer:?}");
        let answer = client.run(&Pipeline::new().statement(DELETE).sync());
        assert_eq!(answer.error().code(), "25006", "{mode}");
    }
}

#[test]
fn a_startup_parameter_does_not_lift_what_restricts_the_tenant() {
    let proxy = Proxy::start(&Options::default());
    let before = original(&proxy);
    let lines = "read_only = true\nstatement_timeout = \"2s\"";
    change(&proxy, &before, INNOVATE, lines);
    let database = proxy.database("innovate");
    for (name, value, passes) in [
        ("default_transaction_read_only", "off", false),
        ("options", "-c default_transaction_read_only=off", false),
        ("options", "-c statement_timeout=0", false),
        ("statement_timeout", "3s", false),
        ("statement_timeout", "1s", true),
    ] {
        let parameters = [
            ("user", "innovate"),
            ("database", &*database),
            (name, value),
        ];
        let result = Raw::log_in(proxy.port, &proxy.password, &parameters);
        assert_eq!(result.is_ok(), passes, "{name}={value}");
        if let Ok(mut client) = result {
            assert_eq!(client.value("SHOW statement_timeout"), "1s");
            assert_eq!(client.value("SHOW transaction_read_only"), "on");
        }
    }
}

// Limits.

#[test]
fn a_tenant_s_statement_timeout_holds_for_all_its_clients() {
    let proxy = Proxy::start(&Options {
        size: 1,
        ..Options::default()
    });
    let before = original(&proxy);
    let mut early = proxy.raw("innovate");
    early.run_ok("SET statement_timeout = 0");
    change(&proxy, &before, INNOVATE, "statement_timeout = \"300ms\"");
    let mut late = proxy.raw("innovate");
    let mut other = proxy.raw("synergy");
    for client in [&mut early, &mut late] {
        assert_eq!(client.value("SHOW statement_timeout"), "300ms");
        assert_eq!(client.error("SELECT pg_sleep(30)").code(), "57014");
        assert_eq!(client.error("SET statement_timeout = 0").code(), "42501");
        assert_eq!(client.error("RESET statement_timeout").code(), "42501");
    }
    assert_eq!(other.value("SHOW statement_timeout"), "0");
    // One client's shorter time is not the other's, on the same connection.
    early.run_ok("SET statement_timeout = '100ms'");
    assert_eq!(early.value("SHOW statement_timeout"), "100ms");
    assert_eq!(late.value("SHOW statement_timeout"), "300ms");
    early.run_ok("RESET ALL");
    assert_eq!(early.value("SHOW statement_timeout"), "300ms");
    assert_eq!(early.error("SELECT pg_sleep(30)").code(), "57014");
}

#[test]
fn what_a_client_has_chosen_returns_with_the_end_of_its_tenant_s_limit() {
    let proxy = Proxy::start(&Options {
        size: 1,
        ..Options::default()
    });
    let before = original(&proxy);
    let mut client = proxy.raw("innovate");
    let mut other = proxy.raw("innovate");
    let restrict = |lines: &str| {
        change(&proxy, &before, INNOVATE, lines);
        proxy.raw("innovate").run_ok("SELECT 1");
    };
    let limit = |time: &str| restrict(&format!("statement_timeout = \"{time}\""));
    client.run_ok("SET statement_timeout = '40s'; SET default_transaction_read_only = off");
    // A limit that becomes another, and what does not change anything.
    limit("10s");
    assert_eq!(client.value("SHOW statement_timeout"), "10s");
    client.run_ok("BEGIN; SET LOCAL statement_timeout = '5s'; COMMIT");
    client.run_ok("BEGIN; SET statement_timeout = '5s'; ROLLBACK");
    limit("20s");
    assert_eq!(client.value("SHOW statement_timeout"), "20s");
    restrict("");
    assert_eq!(client.value("SHOW statement_timeout"), "40s");
    assert_eq!(other.value("SHOW statement_timeout"), "0");
    restrict("state = \"read-only\"");
    assert_eq!(client.value("SHOW default_transaction_read_only"), "on");
    restrict("");
    assert_eq!(client.value("SHOW default_transaction_read_only"), "off");
    // What it has chosen under the limit stays.
    limit("1500ms");
    client.run_ok("SET statement_timeout = '1s'");
    restrict("");
    assert_eq!(client.value("SHOW statement_timeout"), "1s");
    // What it has reset under the limit stays reset, and is no choice.
    limit("90s");
    client.run_ok("RESET ALL");
    assert_eq!(client.value("SHOW statement_timeout"), "90s");
    restrict("");
    assert_eq!(client.value("SHOW statement_timeout"), "0");
}

#[test]
fn a_tenant_s_idle_transactions_are_ended_in_its_time() {
    let proxy = Proxy::start(&Options::default());
    let before = original(&proxy);
    let lines = "idle_in_transaction_timeout = \"200ms\"";
    change(&proxy, &before, INNOVATE, lines);
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN");
    assert_eq!(ended(&mut client), "25P03");
    let mut other = proxy.raw("synergy");
    other.run_ok("BEGIN");
    assert_eq!(other.value(WHOSE), SYNERGY);
}

#[test]
fn a_tenant_has_its_own_number_of_clients_and_connections() {
    let proxy = Proxy::start(&Options::default());
    let before = original(&proxy);
    change(&proxy, &before, INNOVATE, "max_clients = 2\npool_size = 1");
    let mut first = proxy.raw("innovate");
    let mut second = proxy.raw("innovate");
    let error = log_in(&proxy, "innovate").err().unwrap();
    assert_eq!(error.code(), "53300");
    first.run_ok("BEGIN");
    second.send_query("SELECT 1");
    let mut other = proxy.raw("synergy");
    assert_eq!(other.value(WHOSE), SYNERGY);
    assert!(!second.has_answer());
    first.run_ok("COMMIT");
    assert_eq!(second.until_ready().ok().value(), "1");
}

#[test]
fn an_address_that_is_not_allowed_any_more_loses_its_sessions() {
    let proxy = Proxy::start(&Options::default());
    let before = original(&proxy);
    change(
        &proxy,
        &before,
        INNOVATE,
        "allowed = [\"127.0.0.0/8\", \"::1\"]",
    );
    let mut client = proxy.raw("innovate");
    client.run_ok("SELECT 1");
    change(&proxy, &before, INNOVATE, "allowed = \"10.0.0.0/8\"");
    assert_eq!(ended(&mut client), "57P01");
    assert!(log_in(&proxy, "innovate").is_err());
    assert_eq!(proxy.raw("synergy").value(WHOSE), SYNERGY);
}

// Clients that keep a server connection.

#[test]
fn a_client_that_keeps_its_connection_survives_what_it_can() {
    let proxy = Proxy::start(&Options::default());
    let before = original(&proxy);
    let mut client = proxy.raw("innovate");
    client.run_ok("CREATE TEMP TABLE kept (x int)");
    change(&proxy, &before, INNOVATE, "max_clients = 7");
    client.run_ok("INSERT INTO kept VALUES (1)");
    assert_eq!(client.value("SELECT count(*) FROM kept"), "1");
    change(&proxy, &before, INNOVATE, "state = \"read-only\"");
    assert_eq!(ended(&mut client), "57P01");
}

#[test]
fn a_session_of_session_mode_goes_on_and_ends_as_told() {
    let proxy = Proxy::start(&Options {
        mode: "session",
        ..Options::default()
    });
    let before = original(&proxy);
    let mut client = proxy.raw("innovate");
    client.run_ok("SET application_name = 'kept'");
    change(&proxy, &before, INNOVATE, "pool_size = 3");
    assert_eq!(client.value("SHOW application_name"), "kept");
    change(&proxy, &before, INNOVATE, "state = \"suspended\"");
    assert_eq!(ended(&mut client), "57P01");
}

// Logins.

#[test]
fn a_removed_login_s_session_ends_and_a_changed_password_s_goes_on() {
    let proxy = Proxy::start(&Options::default());
    let before = original(&proxy);
    let mut innovate = proxy.raw("innovate");
    let mut synergy = proxy.raw("synergy");
    innovate.run_ok("SELECT 1");
    let removed = before.replace("user = \"innovate\"", "user = \"renamed\"");
    let verifier = Verifier::derive("another");
    let head = "user = \"synergy\"\n";
    let (front, back) = removed.split_once(head).unwrap();
    let (old, rest) = back.split_once("scram = \"").unwrap();
    let (_, rest) = rest.split_once('"').unwrap();
    let changed = format!("{front}{head}{old}scram = \"{verifier}\"{rest}");
    proxy.reload(|_| changed);
    assert_eq!(ended(&mut innovate), "57P01");
    assert_eq!(synergy.value(WHOSE), SYNERGY);
    assert_eq!(log_in(&proxy, "synergy").err().unwrap().code(), "28P01");
    let database = proxy.database("synergy");
    let parameters = [("user", "synergy"), ("database", &*database)];
    let mut new = Raw::log_in(proxy.port, "another", &parameters).unwrap();
    assert_eq!(new.value(WHOSE), SYNERGY);
}

#[test]
fn a_login_that_goes_to_another_tenant_takes_no_session_along() {
    let proxy = Proxy::start(&Options::default());
    let before = original(&proxy);
    let mut client = proxy.raw("innovate");
    let head = format!("user = \"innovate\"\ntenant = \"{INNOVATE}\"");
    let other = format!("user = \"innovate\"\ntenant = \"{SYNERGY}\"");
    assert!(before.contains(&head));
    proxy.reload(|_| before.replace(&head, &other));
    assert_eq!(ended(&mut client), "57P01");
    assert_eq!(proxy.raw("innovate").value(WHOSE), SYNERGY);
}

// Files.

#[test]
fn a_broken_configuration_changes_nothing_and_is_reported() {
    let proxy = Proxy::start(&Options::default());
    let before = original(&proxy);
    let mut client = proxy.raw("innovate");
    let broken = with(&before, INNOVATE, "state = \"suspendd\"").replace("size = 10", "size = 0");
    fs::write(&proxy.config, broken).unwrap();
    let line = proxy.hang_up("tenants[0].state");
    assert!(
        line.contains("suspended") && line.contains("ERROR"),
        "{line}"
    );
    proxy.wait_for_log("pool.size = 0");
    assert_eq!(client.value(WHOSE), INNOVATE);
    assert_eq!(proxy.raw("innovate").value(WHOSE), INNOVATE);
    fs::write(&proxy.config, "[listen").unwrap();
    proxy.hang_up("not valid TOML");
    assert_eq!(client.value(WHOSE), INNOVATE);
}

#[test]
fn what_cannot_change_without_a_restart_says_so() {
    let proxy = Proxy::start(&Options::default());
    let before = original(&proxy);
    let changed =
        testkit::with_workers(&before, 2).replace("mode = \"transaction\"", "mode = \"session\"");
    proxy.reload(|_| changed);
    for key in ["listen.workers", "pool.mode"] {
        proxy.wait_for_log(&format!("the new value waits for a restart key=\"{key}\""));
    }
    assert_eq!(proxy.raw("innovate").value(WHOSE), INNOVATE);
}

#[test]
fn the_number_of_clients_can_change() {
    let proxy = Proxy::start(&Options {
        max_clients: 1,
        ..Options::default()
    });
    let before = original(&proxy);
    let mut first = proxy.raw("innovate");
    assert_eq!(log_in(&proxy, "innovate").err().unwrap().code(), "53300");
    proxy.reload(|_| before.replace("max_clients = 1", "max_clients = 2"));
    let mut second = proxy.raw("innovate");
    proxy.reload(|_| before.clone());
    assert_eq!(first.value(WHOSE), INNOVATE);
    assert_eq!(second.value(WHOSE), INNOVATE);
    assert_eq!(log_in(&proxy, "innovate").err().unwrap().code(), "53300");
}

#[test]
fn a_reload_tells_what_it_has_changed() {
    let proxy = Proxy::start(&Options::default());
    let before = original(&proxy);
    change(&proxy, &before, INNOVATE, "max_clients = 7");
    let line = proxy.wait_for_log("changed_tenants=");
    assert!(line.contains(&format!("1 changed ({INNOVATE})")), "{line}");
    assert!(!line.contains("changed_keys"), "{line}");
    let changed = before
        .replace("user = \"innovate\"", "user = \"renamed\"")
        .replace("size = 10", "size = 9")
        .replace("size_per_tenant = 10", "size_per_tenant = 9")
        .replace("connect_timeout = \"5s\"", "connect_timeout = \"6s\"");
    proxy.reload(|_| changed);
    let line = proxy.wait_for_log("changed_keys=");
    let keys = "\"pool.size, pool.size_per_tenant, servers.main.connect_timeout\"";
    assert!(line.contains(keys), "{line}");
    assert!(
        line.contains("1 added (renamed), 1 removed (innovate)"),
        "{line}"
    );
}

#[test]
fn a_reload_names_what_has_changed_in_every_section() {
    let identity = || {
        let identity = site().authority.server(&["localhost"]).unwrap();
        (identity.certificate_pem, identity.key_pem)
    };
    let (certificate, key) = identity();
    let (certificate, key) = (
        site().write_new(".crt", &certificate),
        site().write_new(".key", &key),
    );
    let proxy = Proxy::start(&Options::default());
    let path = |name| format!("{:?}", site().file(name));
    let mut text = original(&proxy)
        .replace(&path("proxy.crt"), &format!("{certificate:?}"))
        .replace(&path("proxy.key"), &format!("{key:?}"))
        .replace("connect_timeout = \"5s\"", "connect_timeout = \"6s\"");
    proxy.reload(|_| text.clone());
    proxy.wait_for_log("\"servers.main.connect_timeout, tls.certificate, tls.key\"");
    let secret = site().write_new(".key", &"s".repeat(32));
    let issuer = format!(
        "[jwt.people]\nissuer = \"https://issuer\"\naudience = \"us\"\nalgorithms = [\"HS256\"]\n\
         key_file = {secret:?}\n"
    );
    let mut edit = |from: &str, to: &str, said: &str| {
        let edited = text.replacen(from, to, 1);
        assert_ne!(edited, text);
        text = edited;
        fs::write(&proxy.config, &text).unwrap();
        proxy.wait_for_log(said);
    };
    let keys = |keys: &str| format!("changed_keys=\"{keys}\"");
    for (from, to, key) in [
        (
            "login_timeout = \"10s\"",
            "login_timeout = \"11s\"",
            "listen.login_timeout",
        ),
        (
            "[listen]\n",
            "[listen]\nmax_statement = \"2MiB\"\n",
            "listen.max_statement",
        ),
        ("mode = \"allow\"", "mode = \"require\"", "tls.mode"),
        ("[throttle]\n", "[throttle]\nfree = 9\n", "throttle.free"),
        (
            "idle_timeout = \"10min\"",
            "idle_timeout = \"9min\"",
            "pool.idle_timeout",
        ),
        (
            "channels = \"reject\"",
            "channels = \"allow\"",
            "guard.channels",
        ),
        ("[tls]", "[check]\nignore = \"PGT502\"\n[tls]", "check"),
        ("\"PGT502\"", "\"PGT503\"", "check.ignore"),
        ("[tls]", &format!("{issuer}[tls]"), "jwt.people"),
        (
            "audience = \"us\"",
            "audience = \"them\"",
            "jwt.people.audience",
        ),
        (
            "[tls]",
            "[directory]\nend_sessions = \"at-once\"\n[tls]",
            "directory",
        ),
        (
            "\"at-once\"",
            "\"after-transaction\"",
            "directory.end_sessions",
        ),
        (
            "kind = \"database\"",
            "opaque = \"reject\"\nkind = \"database\"",
            "isolation.database.opaque",
        ),
    ] {
        edit(from, to, &keys(key));
    }
    // The same names, with something else in the files.
    let (other_certificate, other_key) = identity();
    site().write(
        certificate.file_name().unwrap().to_str().unwrap(),
        &other_certificate,
    );
    site().write(key.file_name().unwrap().to_str().unwrap(), &other_key);
    proxy.wait_for_log(&keys("tls.certificate, tls.key"));
    site().write(
        secret.file_name().unwrap().to_str().unwrap(),
        &"t".repeat(32),
    );
    proxy.wait_for_log(&keys("jwt.people.key_file"));
    assert!(!proxy.log().contains("tttt"));
    // What waits for a restart is not told as changed.
    for (from, to, key) in [
        ("workers = 1", "workers = 2", "listen.workers"),
        ("filter = \"info\"", "filter = \"debug\"", "log"),
    ] {
        edit(
            from,
            to,
            &format!("the new value waits for a restart key=\"{key}\""),
        );
    }
    for key in ["listen.workers", "log"] {
        assert!(!proxy.log().contains(&format!("changed_keys=\"{key}")));
    }
}

// Servers and pools.

#[test]
fn a_changed_pool_takes_over_between_transactions() {
    let proxy = Proxy::start(&Options {
        size: 1,
        database: site().fresh_database(),
        ..Options::default()
    });
    let before = original(&proxy);
    let mut holder = proxy.raw("innovate");
    let backend = holder.backend();
    holder.run_ok("BEGIN");
    let mut waiting = proxy.raw("synergy");
    waiting.send_query(WHOSE);
    proxy.reload(|_| before.replace("\nsize = 1\n", "\nsize = 2\n"));
    // Who waited for the one connection need not wait any more.
    assert_eq!(waiting.until_ready().ok().value(), SYNERGY);
    assert_eq!(holder.backend(), backend);
    holder.run_ok("COMMIT");
    assert_ne!(holder.backend(), backend);
    assert_eq!(holder.value(WHOSE), INNOVATE);
}

#[test]
fn reloads_make_nobody_wait_for_longer() {
    let proxy = Proxy::start(&Options {
        size: 1,
        wait_timeout: "2s",
        database: site().fresh_database(),
        ..Options::default()
    });
    let before = original(&proxy);
    let mut holder = proxy.raw("innovate");
    holder.run_ok("BEGIN");
    let mut waiting = proxy.raw("innovate");
    waiting.send_query(WHOSE);
    let mut reloads = 0;
    // Each has it wait anew, of a changed tenant or in another pool.
    wait_until("its time is over", || {
        reloads += 1;
        let limit = format!("max_clients = {}", 100 + reloads);
        let idle = format!("idle_timeout = \"{}min\"", 10 + reloads % 2);
        let text = with(&before, INNOVATE, &limit);
        proxy.reload(|_| text.replace("idle_timeout = \"10min\"", &idle));
        waiting.has_answer()
    });
    assert!(reloads > 1);
    assert_eq!(waiting.until_ready().error().code(), "53300");
}

#[test]
fn a_reload_leaves_clients_that_wait_in_their_order() {
    let scram = &site().login_verifier;
    let proxy = Proxy::start(&Options {
        size: 1,
        workers: 1,
        database: site().fresh_database(),
        more: format!("[[admins]]\nuser = \"eyes\"\nscram = {scram:?}\n"),
        ..Options::default()
    });
    let before = original(&proxy);
    let parameters = [("user", "eyes"), ("database", "pgtenant")];
    let mut admin = Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap();
    let mut wait_for_waiting = |clients: usize| {
        wait_until("they wait", || {
            let rows = admin.run_ok("SHOW CLIENTS").rows();
            let waiting = rows
                .iter()
                .filter(|row| row[4].as_deref() == Some("waiting"));
            waiting.count() == clients
        });
    };
    let mut holder = proxy.raw("innovate");
    holder.run_ok("BEGIN");
    let mut clients: Vec<_> = (0..6).map(|_| proxy.raw("innovate")).collect();
    // Not in the order in which they have connected.
    clients.reverse();
    clients.swap(1, 4);
    for (before, client) in clients.iter_mut().enumerate() {
        client.send_query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
        wait_for_waiting(before + 1);
    }
    change(&proxy, &before, INNOVATE, "max_clients = 100");
    wait_for_waiting(6);
    holder.run_ok("COMMIT");
    let served = |client: &mut Raw| client.until_ready().ok().value().parse().unwrap();
    let times: Vec<u64> = clients.iter_mut().map(served).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn a_changed_pool_has_no_more_connections_than_its_size() {
    let site = Site::start();
    let proxy = Proxy::start_before(
        &site,
        &Options {
            size: 2,
            ..Options::default()
        },
    );
    let mut holders = [proxy.raw("innovate"), proxy.raw("synergy")];
    let mut waiting = proxy.raw("innovate");
    for holder in &mut holders {
        holder.run_ok("BEGIN");
    }
    proxy.reload(|text| text.replace("wait_timeout = \"30s\"", "wait_timeout = \"29s\""));
    waiting.send_query(WHOSE);
    assert!(!waiting.has_answer());
    let backends = "SELECT count(*) FROM pg_stat_activity \
                    WHERE usename = 'wellness_app' AND application_name <> 'pgtenant'";
    assert_eq!(site.sql("postgres", backends), "2");
    let [first, _second] = &mut holders;
    first.run_ok("COMMIT");
    assert_eq!(waiting.until_ready().ok().value(), INNOVATE);
}

#[test]
fn connections_of_a_tenant_s_former_role_do_not_serve_it_any_more() {
    let proxy = Proxy::start(&Options::default());
    let before = original(&proxy);
    let role = "SELECT current_user || ' ' || current_schema()";
    let mut acme = proxy.raw("acme");
    let mut globex = proxy.raw("globex");
    let backends = [acme.backend(), globex.backend()];
    assert_eq!(acme.value(role), "acme_health_app acme_health");
    assert_eq!(globex.value(role), "globex_app globex");
    // Each gets what was the other's.
    let swapped = before
        .replace("schema = \"globex\"", "schema = \"x\"")
        .replace("schema = \"acme_health\"", "schema = \"globex\"")
        .replace("schema = \"x\"", "schema = \"acme_health\"");
    proxy.reload(|_| swapped);
    assert_eq!(acme.value(role), "globex_app globex");
    assert_eq!(globex.value(role), "acme_health_app acme_health");
    for client in [&mut acme, &mut globex] {
        assert!(!backends.contains(&client.backend()));
        client.run_ok("RESET ALL");
    }
    assert_eq!(acme.value(role), "globex_app globex");
}

#[test]
fn a_seal_can_be_switched_on_and_off_while_clients_work() {
    let database = site().fresh_database();
    let proxy = Proxy::start(&Options {
        size: 1,
        database,
        ..Options::default()
    });
    let before = original(&proxy);
    let mut innovate = proxy.raw("innovate");
    let mut synergy = proxy.raw("synergy");
    let backend = innovate.backend();
    assert_eq!(synergy.backend(), backend);
    // Tokens are for server processes of one tenant: what served both must go.
    let key = site().write_new(".key", &"k".repeat(32));
    let head = "[isolation.setting]\n";
    let sealed = before.replace(
        head,
        &format!("{head}seal = \"token\"\nseal_key_file = {key:?}\n"),
    );
    proxy.reload(|_| sealed);
    // The database has not been hardened: it does not know the token.
    innovate.send_query(WHOSE);
    assert_eq!(ended(&mut innovate), "08006");
    proxy.reload(|_| before.clone());
    let mut innovate = proxy.raw("innovate");
    assert_ne!(innovate.backend(), backend);
    assert_eq!(innovate.value(WHOSE), INNOVATE);
    assert_eq!(synergy.value(WHOSE), SYNERGY);
}

/// A second server's section.
fn server(site: &Site) -> String {
    format!(
        "[servers.second]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"verify-full\"\nca = {:?}\n\
         user = \"{APP_ROLE}\"\npassword_file = {:?}\n",
        site.cluster.port(),
        site.ca_file(),
        site.file("app.password"),
    )
}

#[test]
fn a_tenant_moves_to_another_server_between_two_transactions() {
    let second = Site::start();
    let proxy = Proxy::start(&Options {
        more: server(&second),
        ..Options::default()
    });
    let before = original(&proxy);
    let port = "SHOW port";
    let [old, new] = [site(), &second].map(|site| site.cluster.port().to_string());
    let mut client = proxy.raw("innovate");
    let mut stays = proxy.raw("synergy");
    let mut pinned = proxy.raw("innovate");
    pinned.run_ok("CREATE TEMP TABLE kept (x int)");
    client.run(&Pipeline::new().parse("p", port).sync());
    client.run_ok("SET application_name = 'mover'");
    client.run_ok("BEGIN");
    assert_eq!(client.value(port), old);
    change(&proxy, &before, INNOVATE, "server = \"second\"");
    // What it has made is on the old server.
    assert_eq!(ended(&mut pinned), "57P01");
    // The transaction ends where it began.
    assert_eq!(client.value(port), old);
    client.run_ok("COMMIT");
    assert_eq!(client.value(port), new);
    assert_eq!(client.value(WHOSE), INNOVATE);
    assert_eq!(client.value("SHOW application_name"), "mover");
    let answer = client.run(&Pipeline::new().prepared("p", &[]).sync());
    assert_eq!(answer.ok().value(), new);
    assert_eq!(proxy.raw("innovate").value(port), new);
    assert_eq!(stays.value(port), old);
}

#[test]
fn a_server_s_section_can_change_to_another_server() {
    let second = Site::start();
    let proxy = Proxy::start(&Options::default());
    let before = original(&proxy);
    let [old, new] = [site(), &second].map(|site| site.cluster.port());
    let mut client = proxy.raw("innovate");
    assert_eq!(client.value("SHOW port"), old.to_string());
    let moved = before
        .replace(&format!("port = {old}\n"), &format!("port = {new}\n"))
        .replace(
            &format!("ca = {:?}", site().ca_file()),
            &format!("ca = {:?}", second.ca_file()),
        )
        .replace(
            &format!("password_file = {:?}", site().file("app.password")),
            &format!("password_file = {:?}", second.file("app.password")),
        );
    proxy.reload(|_| moved);
    assert_eq!(client.value("SHOW port"), new.to_string());
    assert_eq!(client.value(WHOSE), INNOVATE);
}

// Under load.

/// pgbench with two clients over TLS, so many transactions each.
fn pgbench(proxy: &Proxy, login: &str, transactions: usize) -> Child {
    let script = format!(
        "BEGIN;\nSELECT 1 / (current_setting('session.current_organization_id') = '{}')::int;\n\
         DELETE FROM wellness_entries WHERE false;\nCOMMIT;\n",
        match login {
            "innovate" => INNOVATE,
            _ => SYNERGY,
        }
    );
    let script = site().write_new(".sql", &script);
    Command::new(site().cluster.client_program("pgbench"))
        .args([
            "-n",
            "-c",
            "2",
            "-M",
            "prepared",
            "-t",
            &transactions.to_string(),
            "-f",
        ])
        .arg(script)
        .arg(format!(
            "host=127.0.0.1 port={} user={login} dbname={} sslmode=require",
            proxy.port,
            proxy.database(login)
        ))
        .env("PGPASSWORD", &proxy.password)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Whether a new client that trusts the authority gets in.
fn trusts(proxy: &Proxy, ca: &Path) -> bool {
    let status = Command::new(site().cluster.client_program("psql"))
        .args(["-X", "-c", "SELECT 1"])
        .arg(format!(
            "host=localhost port={} user=synergy dbname={} sslmode=verify-full sslrootcert={}",
            proxy.port,
            proxy.database("synergy"),
            ca.display()
        ))
        .env("PGPASSWORD", &proxy.password)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.unwrap().success()
}

#[test]
fn nothing_is_lost_while_certificates_pools_and_other_tenants_change() {
    let proxy = Proxy::start(&Options {
        database: site().fresh_database(),
        ..Options::default()
    });
    // Certificates of two authorities in turn.
    let authorities: Vec<_> = ["one", "two"]
        .into_iter()
        .map(|name| {
            let authority = Authority::new(name).unwrap();
            let key = authority.server(&["localhost", "127.0.0.1"]).unwrap();
            let ca = site().write_new(".crt", &authority.certificate_pem());
            (ca, key)
        })
        .collect();
    let certificate = site().write_new(".crt", &authorities[0].1.certificate_pem);
    let key = site().write_new(".key", &authorities[0].1.key_pem);
    let before = original(&proxy)
        .replace(
            &format!("{:?}", site().file("proxy.crt")),
            &format!("{certificate:?}"),
        )
        .replace(
            &format!("{:?}", site().file("proxy.key")),
            &format!("{key:?}"),
        );
    proxy.reload(|_| before.clone());

    let mut load = pgbench(&proxy, "innovate", 1500);
    let mut rounds = 0;
    while load.try_wait().unwrap().is_none() || rounds < 4 {
        let (ca, pair) = &authorities[rounds % 2];
        let (other, _) = &authorities[(rounds + 1) % 2];
        fs::write(&certificate, &pair.certificate_pem).unwrap();
        fs::write(&key, &pair.key_pem).unwrap();
        let size = format!("\nsize = {}\n", 2 + rounds % 3);
        let text = before
            .replace("\nsize = 10\n", &size)
            .replace("\nsize_per_tenant = 10\n", "\n");
        proxy.reload(|_| text.clone());
        assert!(trusts(&proxy, ca));
        assert!(!trusts(&proxy, other));
        let mut synergy = proxy.raw("synergy");
        change(&proxy, &text, SYNERGY, "state = \"suspended\"");
        assert_eq!(ended(&mut synergy), "57P01");
        rounds += 1;
    }
    let output = load.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("processed: 3000/3000"), "{said}");
    assert!(said.contains("failed transactions: 0 "), "{said}");
}
