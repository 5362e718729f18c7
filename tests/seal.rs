//! A tenant's context that no code in the database can forge.

#![allow(clippy::unwrap_used)]

use pgtenant::tenant::{Claim, SealKey};
use pgtenant::throwaway::{random_hex, wellness::SETTING};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};
use testkit::{
    Answer, INNOVATE, Options, Proxy, Raw, SYNERGY, Site, configuration, site, wait_until,
};

const ALICE: &str = "alice@innovate.example";
const BOB: &str = "bob@synergy.example";
const WHOSE: &str = "SELECT email FROM users";
const SEALS: [&str; 2] = ["carrier", "token"];

/// Code of an application that changes settings, and runs text.
const TRAPS: &str = "
    CREATE SCHEMA app;
    GRANT USAGE ON SCHEMA app TO wellness_app;
    CREATE FUNCTION app.run_report(q text) RETURNS SETOF text LANGUAGE plpgsql
        AS $$ BEGIN RETURN QUERY EXECUTE q; END $$;
    CREATE FUNCTION app.set_pref(k text, v text) RETURNS text LANGUAGE sql
        AS 'SELECT set_config(k, v, false)';
    CREATE PROCEDURE app.set_pref_proc(k text, v text) LANGUAGE plpgsql
        AS $$ BEGIN EXECUTE format('SET SESSION %s = %L', k, v); END $$;
    CREATE FUNCTION app.forget() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RESET ALL; END $$;
    CREATE TABLE app.prefs (k text, v text);
    GRANT SELECT, INSERT, DELETE ON app.prefs TO wellness_app;
    CREATE FUNCTION app.apply() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN PERFORM set_config(NEW.k, NEW.v, false); RETURN NEW; END $$;
    CREATE TRIGGER apply BEFORE INSERT ON app.prefs FOR EACH ROW EXECUTE FUNCTION app.apply();
    CREATE VIEW app.applied AS SELECT set_config(k, v, false) FROM app.prefs;
    GRANT SELECT ON app.applied TO wellness_app;
    INSERT INTO users (organization_id, email, password_hash)
        SELECT id, n || '@more.example', '' FROM organizations, generate_series(1, 50) n;
    ANALYZE;";

/// A database of one's own, a key, and a configuration that seals.
struct Sealed {
    options: Options,
    config: PathBuf,
    key_file: PathBuf,
}

impl Sealed {
    fn new(seal: &str) -> Self {
        let database = site().fresh_database();
        site().sql(&database, TRAPS);
        let key_file = site().write_new(".key", &format!("{}\n", random_hex(32).unwrap()));
        Self::with(seal, database, key_file)
    }

    fn with(seal: &str, database: String, key_file: PathBuf) -> Self {
        let options = Options {
            database,
            size: 1,
            opaque: "allow",
            isolation: format!("seal = {seal:?}\nseal_key_file = {key_file:?}"),
            ..Options::default()
        };
        let config = site().write_new(".toml", &configuration(site(), &options));
        Self {
            options,
            config,
            key_file,
        }
    }

    /// The same, with the database made ready.
    fn hardened(seal: &str) -> Self {
        let sealed = Self::new(seal);
        sealed.harden(&[]);
        sealed
    }

    fn harden(&self, arguments: &[&str]) -> String {
        let output = self.try_harden(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn try_harden(&self, arguments: &[&str]) -> Output {
        self.start_harden(arguments).wait_with_output().unwrap()
    }

    fn start_harden(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_pgtenant"))
            .arg("harden")
            .arg("--config")
            .arg(&self.config)
            .args(["--isolation", "setting"])
            .args(arguments)
            .args(["--apply", &site().cluster.superuser_url("postgres")])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// What `check` says of the seal, as the proxy's own role.
    fn check(&self) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_pgtenant"))
            .args(["check", "--config"])
            .arg(&self.config)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn print(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_pgtenant"))
            .args(["harden", "--print", "--config"])
            .arg(&self.config)
            .args(["--isolation", "setting"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn proxy(&self) -> Proxy {
        Proxy::start(&self.options)
    }

    fn sql(&self, sql: &str) -> String {
        site().sql(&self.options.database, sql)
    }

    fn key(&self) -> SealKey {
        SealKey::derive(
            std::fs::read_to_string(&self.key_file)
                .unwrap()
                .trim()
                .as_bytes(),
        )
    }

    fn is_carrier(&self) -> bool {
        self.options.isolation.contains("carrier")
    }

    /// Presents a token in a running transaction, as the client's code can.
    fn present(&self, client: &mut Raw, token: &str) -> Answer {
        if self.is_carrier() {
            client.query(&format!(
                "SELECT * FROM app.run_report($q$SELECT pgtenant.bind('{token}')$q$)"
            ))
        } else {
            client.query(&format!("SELECT app.set_pref('pgtenant.token', '{token}')"))
        }
    }

    /// Everything about the schema that sealing may change.
    fn state(&self) -> String {
        self.sql(
            "SELECT string_agg(concat(schemaname, tablename, policyname, permissive, roles, cmd, \
             qual, with_check), E'\\n' ORDER BY tablename, policyname) FROM pg_policies; \
             SELECT string_agg(nspname, ',' ORDER BY nspname) FROM pg_namespace \
             WHERE nspname !~ '^pg_t'; \
             SELECT string_agg(oid::regprocedure::text, ',' ORDER BY oid::regprocedure::text) FROM pg_proc \
             WHERE pronamespace::regnamespace::text = 'pgtenant'",
        )
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// Only own rows, whichever and however few.
#[track_caller]
fn assert_nothing_of_synergy(answer: &Answer) {
    let rows = answer.rows();
    // What comes after them is what a function of the query's has answered.
    let text = format!(
        "{:?}",
        rows.iter()
            .map(|row| &row[..row.len().min(2)])
            .collect::<Vec<_>>()
    );
    assert!(!text.contains(BOB) && !text.contains(SYNERGY), "{text}");
}

#[test]
fn sealed_tenants_see_their_own_rows_on_one_connection_and_on_several() {
    for seal in SEALS {
        let sealed = Sealed::hardened(seal);
        for (share, size) in [("scrubbed", 1), ("tenant", 1), ("scrubbed", 4)] {
            let proxy = Proxy::start(&Options {
                share,
                size,
                opaque: "reject",
                ..sealed.options.clone()
            });
            let mut clients = [(proxy.raw("innovate"), ALICE), (proxy.raw("synergy"), BOB)];
            let backends = clients.each_mut().map(|(client, _)| client.backend());
            let shared = sealed.is_carrier() && share == "scrubbed" && size == 1;
            assert_eq!(backends[0] == backends[1], shared, "{seal} {share} {size}");
            for round in 0..10 {
                for (client, own) in &mut clients {
                    let sql = "SELECT email FROM users WHERE email NOT LIKE '%@more.example'";
                    let answer = match round % 2 {
                        0 => client.query(sql),
                        _ => client.extended(sql),
                    };
                    assert_eq!(answer.ok().column(), [*own], "{seal} {share} {size}");
                    assert_eq!(client.value("SELECT count(*) FROM users"), "51");
                }
            }
            let [(a, _), _] = &mut clients;
            a.run_ok(
                "INSERT INTO users (organization_id, email, password_hash) \
                      SELECT organization_id, 'new@innovate.example', '' FROM users LIMIT 1",
            );
            let error = a.error(&format!(
                "INSERT INTO users (organization_id, email, password_hash) \
                 VALUES ('{SYNERGY}', 'x@x.example', '')"
            ));
            assert_eq!(error.code(), "42501", "{error:?}");
            a.run_ok("DELETE FROM users WHERE email = 'new@innovate.example'");
        }
    }
}

#[test]
fn code_that_changes_the_setting_shows_nothing_of_another_tenant() {
    let to_synergy = format!("'{SETTING}', '{SYNERGY}'");
    let scripts: Vec<Vec<String>> = vec![
        vec![format!("SELECT app.set_pref({to_synergy})")],
        vec![format!("CALL app.set_pref_proc({to_synergy})")],
        vec![format!("INSERT INTO app.prefs VALUES ({to_synergy})")],
        vec![
            format!("INSERT INTO app.prefs VALUES ({to_synergy})"),
            "SELECT * FROM app.applied".to_owned(),
        ],
        vec![format!(
            "SELECT * FROM app.run_report($q$SELECT set_config({to_synergy}, false)$q$)"
        )],
        vec![format!(
            "DO $q$ BEGIN PERFORM set_config({to_synergy}, true); END $q$"
        )],
    ];
    // The setting changes in the midst of these.
    let within = [
        format!("SELECT email, organization_id, app.set_pref({to_synergy}) FROM users"),
        format!(
            "WITH x AS MATERIALIZED (SELECT app.set_pref({to_synergy})) \
             SELECT email, organization_id FROM x, users"
        ),
        format!(
            "SELECT * FROM app.run_report($q$WITH x AS MATERIALIZED \
             (SELECT set_config({to_synergy}, true)) SELECT email FROM x, users$q$)"
        ),
        format!(
            "SELECT u.email, u.organization_id FROM (SELECT app.set_pref({to_synergy}) AS s \
             FROM generate_series(1, 3) OFFSET 0) x CROSS JOIN LATERAL \
             (SELECT * FROM users WHERE email >= left(x.s, 0) OFFSET 0) u"
        ),
        format!(
            "SELECT u.email, u.organization_id, app.set_pref('{SETTING}', CASE WHEN n % 2 = 0 \
             THEN '{INNOVATE}' ELSE '{SYNERGY}' END) FROM generate_series(1, 4) n, users u"
        ),
    ];
    for seal in SEALS {
        let sealed = Sealed::hardened(seal);
        let proxy = sealed.proxy();
        let mut client = proxy.raw("innovate");
        for script in &scripts {
            client.run_ok("BEGIN");
            for statement in script {
                client.run_ok(statement);
            }
            let seen = client.value(&format!("SELECT current_setting('{SETTING}')"));
            assert_eq!(seen, SYNERGY, "the case is real");
            assert_eq!(client.run_ok(WHOSE).column(), [""; 0], "{seal}: {script:?}");
            let touched = client.run_ok("UPDATE users SET password_hash = 'x'");
            assert_eq!(touched.commands(), ["UPDATE 0"]);
            client.run_ok("COMMIT");
            assert_eq!(client.value("SELECT count(*) FROM users"), "51");
        }
        for index in ["on", "off"] {
            for statement in &within {
                client.run_ok(&format!(
                    "BEGIN; SET LOCAL enable_seqscan = {}; SET LOCAL enable_indexscan = {index}; \
                     SET LOCAL enable_bitmapscan = off",
                    if index == "on" { "off" } else { "on" },
                ));
                for run in [Raw::query, Raw::extended] {
                    assert_nothing_of_synergy(run(&mut client, statement).ok());
                }
                client.run_ok("ROLLBACK");
                assert_eq!(client.value("SELECT count(*) FROM users"), "51");
            }
        }
        // The same without the seal: what is tested here can happen.
        sealed.harden(&["--undo"]);
        let bare = Proxy::start(&Options {
            isolation: String::new(),
            ..sealed.options.clone()
        });
        let mut client = bare.raw("innovate");
        for statement in &within {
            client.run_ok("BEGIN");
            let seen = format!("{:?}", client.run_ok(statement).rows());
            assert!(seen.contains("@more"), "{seen}");
            client.run_ok("ROLLBACK");
        }
        let leak = format!("{:?}", client.run_ok(&within[1]).rows());
        assert!(leak.contains(BOB), "{leak}");
    }
}

#[test]
fn forged_copied_and_expired_tokens_show_nothing() {
    for seal in SEALS {
        let sealed = Sealed::hardened(seal);
        let proxy = sealed.proxy();
        let mut client = proxy.raw("innovate");
        let key = sealed.key();
        let other_key = SealKey::derive(&[7; 32]);
        let database = sealed.options.database.clone();
        client.run_ok("BEGIN");
        let pid: u32 = client.backend().parse().unwrap();
        client.run_ok("ROLLBACK");
        let claim = Claim {
            setting: SETTING,
            tenant: SYNERGY,
            database: &database,
            pid,
            serial: 1_000_000,
        };
        let good = key.sign(seal, &claim, now() + 60);
        let (statement, mac) = good.rsplit_once('.').unwrap();
        let innovate = key.sign(
            seal,
            &Claim {
                tenant: INNOVATE,
                ..claim
            },
            now() + 60,
        );
        let (_, innovate_mac) = innovate.rsplit_once('.').unwrap();
        let kind = if seal == "token" { "carrier" } else { "token" };
        let wrong = [
            key.sign(
                seal,
                &Claim {
                    pid: pid + 1,
                    ..claim
                },
                now() + 60,
            ),
            key.sign(
                seal,
                &Claim {
                    database: "postgres",
                    ..claim
                },
                now() + 60,
            ),
            key.sign(
                seal,
                &Claim {
                    setting: "session.x",
                    ..claim
                },
                now() + 60,
            ),
            key.sign(seal, &claim, now() - 60),
            key.sign(kind, &claim, now() + 60),
            other_key.sign(seal, &claim, now() + 60),
            other_key
                .sign(seal, &claim, now() + 60)
                .replace(other_key.id(), key.id()),
            format!("{statement}.{innovate_mac}"),
            format!("{statement}.{}", "0".repeat(64)),
            format!("{statement}."),
            format!("{good}.x"),
            format!("x{good}"),
            good.replacen("v1", "v2", 1),
            good.replacen("1000000", "2000000", 1),
            good.to_uppercase(),
            mac.to_owned(),
            ".........".to_owned(),
            "a.b.c.d.e.f.g.6z.i.j".to_owned(),
            String::new(),
        ];
        for token in &wrong {
            client.run_ok("BEGIN");
            client.run_ok(&format!("SELECT app.set_pref('{SETTING}', '{SYNERGY}')"));
            let answer = sealed.present(&mut client, token);
            if sealed.is_carrier() {
                let said = answer.error();
                assert_eq!(said.code(), "28000", "{token}: {said:?}");
                assert!(!said.message().contains(mac));
            } else {
                assert_eq!(client.run_ok(WHOSE).column(), [""; 0], "{token}");
            }
            client.run_ok("ROLLBACK");
            assert_eq!(client.value("SELECT count(*) FROM users"), "51");
        }
        // A right one would do, or the cases above prove nothing.
        client.run_ok("BEGIN");
        client.run_ok(&format!("SELECT app.set_pref('{SETTING}', '{SYNERGY}')"));
        sealed.present(&mut client, &good).ok();
        assert_eq!(client.value("SELECT count(*) FROM users"), "51");
        assert!(client.run_ok(WHOSE).column().contains(&BOB.to_owned()));
        if sealed.is_carrier() {
            let said = sealed.present(&mut client, &good).error();
            assert!(said.message().contains("has been used"), "{said:?}");
        }
        client.run_ok("ROLLBACK");
    }
}

#[test]
fn a_token_that_a_tenant_leaves_behind_is_of_no_use_to_the_next() {
    let sealed = Sealed::hardened("token");
    let proxy = sealed.proxy();
    let mut a = proxy.raw("innovate");
    let mut b = proxy.raw("synergy");
    for _ in 0..3 {
        // There is one server connection, and both use it in turn.
        a.run_ok(
            "INSERT INTO app.prefs VALUES ('pgtenant.left', current_setting('pgtenant.token'))",
        );
        let pid = a.backend();
        b.run_ok("BEGIN");
        assert_ne!(b.backend(), pid, "a process serves one tenant alone");
        b.run_ok(&format!("SELECT app.set_pref('{SETTING}', '{INNOVATE}')"));
        b.run_ok("SELECT app.set_pref('pgtenant.token', v) FROM app.prefs");
        assert_eq!(b.run_ok(WHOSE).column(), [""; 0]);
        b.run_ok("ROLLBACK");
        a.run_ok("DELETE FROM app.prefs");
    }
    // The carrier's never lies where a client's code can read it.
    let sealed = Sealed::hardened("carrier");
    let proxy = sealed.proxy();
    let mut a = proxy.raw("innovate");
    assert_eq!(
        a.value("SELECT current_setting('pgtenant.token', true) IS NULL"),
        "t"
    );
    let shown = a
        .run_ok("SELECT current_setting('backtrace_functions')")
        .column();
    assert_eq!(shown[0].split('_').count(), 4, "{shown:?}");
}

#[test]
fn resets_keep_the_seal_and_code_that_removes_it_sees_nothing() {
    let resets = [
        "RESET ALL",
        "DISCARD ALL",
        "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;",
    ];
    for seal in SEALS {
        let sealed = Sealed::hardened(seal);
        for (share, opaque) in [
            ("scrubbed", "reject"),
            ("tenant", "reject"),
            ("scrubbed", "allow"),
        ] {
            let proxy = Proxy::start(&Options {
                share,
                opaque,
                ..sealed.options.clone()
            });
            let mut client = proxy.raw("innovate");
            let mut other = proxy.raw("synergy");
            for reset in resets {
                let runs: &[fn(&mut Raw, &str) -> Answer] = match reset.contains(';') {
                    true => &[Raw::query],
                    false => &[Raw::query, Raw::extended],
                };
                for run in runs {
                    other.backend();
                    run(&mut client, reset).ok();
                    assert_eq!(client.value("SELECT count(*) FROM users"), "51");
                    if !reset.starts_with("DISCARD") {
                        client.run_ok("BEGIN");
                        run(&mut client, reset).ok();
                        assert_eq!(client.value("SELECT count(*) FROM users"), "51");
                        client.run_ok("ROLLBACK");
                        assert_eq!(client.value("SELECT count(*) FROM users"), "51");
                    }
                }
            }
            client.run_ok("BEGIN");
            client.run_ok(match opaque {
                "allow" => "DO $$ BEGIN RESET ALL; END $$",
                _ => "SELECT app.forget()",
            });
            client.run_ok(&format!("SELECT app.set_pref('{SETTING}', '{SYNERGY}')"));
            assert_eq!(client.run_ok(WHOSE).column(), [""; 0]);
            client.run_ok(&format!("SELECT app.set_pref('{SETTING}', '{INNOVATE}')"));
            assert_eq!(client.run_ok(WHOSE).column(), [""; 0]);
            client.run_ok("COMMIT");
            assert_eq!(client.value("SELECT count(*) FROM users"), "51");
        }
    }
}

#[test]
fn the_guard_keeps_clients_from_the_seal() {
    let sealed = Sealed::hardened("carrier");
    let proxy = sealed.proxy();
    let mut client = proxy.raw("innovate");
    for (sql, rule) in [
        ("SET pgtenant.token = 'x'", "carries the tenant"),
        (
            "SELECT set_config('backtrace_functions', 'x', true)",
            "carries the tenant",
        ),
        ("RESET backtrace_functions", "carries the tenant"),
        ("SELECT pgtenant.bind('x')", "function bind"),
    ] {
        let error = client.error(sql);
        assert_eq!(error.code(), "42501", "{sql}");
        assert!(error.message().contains(rule), "{sql}: {error:?}");
    }
    // The tenant itself is no secret.
    let sql = format!("SELECT pgtenant.tenant('{SETTING}')");
    assert_eq!(client.value(&sql), INNOVATE);
    // Where no guard stands, the database refuses by itself.
    for sql in [
        "SELECT set_config('backtrace_functions', 'x', true)",
        "SELECT pgtenant.bind('x')",
        "SELECT id FROM pgtenant.keys",
        "ALTER FUNCTION pgtenant.tenant(text) RENAME TO x",
        "SET ROLE pgtenant_seal",
        "ALTER ROLE wellness_app SET backtrace_functions = 'x'",
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql SET backtrace_functions = 'x' AS 'SELECT 1'",
        "CREATE FUNCTION pgtenant.bind(varchar) RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
        "DROP POLICY pgtenant_seal ON users",
    ] {
        let text = format!("DO $do$ BEGIN EXECUTE $q${sql}$q$; END $do$");
        let code = client.error(&text).code().to_owned();
        assert!(code == "42501" || code == "28000", "{sql}: {code}");
    }
    // A connection that is bound to nobody shows nothing.
    for setting in [INNOVATE, SYNERGY] {
        let options = format!("-c {SETTING}={setting}");
        let output = site().as_app(&sealed.options.database, &options, WHOSE);
        assert!(
            output.status.success() && output.stdout.is_empty(),
            "{output:?}"
        );
    }
    let output = site().as_app(
        &sealed.options.database,
        "-c backtrace_functions=x",
        "SELECT 1",
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("permission denied"), "{said}");
}

#[test]
fn sealing_can_be_repeated_and_undone() {
    for seal in SEALS {
        let sealed = Sealed::new(seal);
        let before = sealed.state();
        let said = sealed.harden(&[]);
        assert!(said.contains("sealed public.users"), "{said}");
        assert!(said.contains("sealed public.wellness_entries"), "{said}");
        let first = sealed.state();
        sealed.harden(&[]);
        assert_eq!(sealed.state(), first);
        // The table that is left to itself can be named.
        sealed.harden(&["--table", "public.users=organization_id"]);
        sealed.harden(&["--undo"]);
        assert_eq!(sealed.state(), before);
        sealed.harden(&["--undo"]);
        let refused = sealed.try_harden(&["--table", "public.users=nothing"]);
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("has no column"), "{said}");
        assert_eq!(sealed.state(), before);
    }
}

#[test]
fn the_printed_script_does_the_same_and_has_no_key_in_it() {
    for seal in SEALS {
        let sealed = Sealed::new(seal);
        let before = sealed.state();
        let script = sealed.print(&[]);
        let secret = std::fs::read_to_string(&sealed.key_file).unwrap();
        assert!(!script.contains(secret.trim()));
        let file = site().write_new(".sql", &script);
        let without_key = psql(&sealed.options.database, &file, &[]);
        let said = String::from_utf8_lossy(&without_key.stderr);
        assert!(
            !without_key.status.success() && said.contains("seal_key_file=PATH"),
            "{said}"
        );
        assert_eq!(sealed.state(), before);
        let variable = format!("seal_key_file={}", sealed.key_file.display());
        for _ in 0..2 {
            let output = psql(&sealed.options.database, &file, &["-v", &variable]);
            assert!(output.status.success(), "{output:?}");
        }
        let printed = sealed.state();
        let proxy = sealed.proxy();
        assert_eq!(
            proxy.raw("innovate").value("SELECT count(*) FROM users"),
            "51"
        );
        drop(proxy);
        sealed.harden(&[]);
        assert_eq!(sealed.state(), printed);
        let undo = site().write_new(".sql", &sealed.print(&["--undo"]));
        assert!(psql(&sealed.options.database, &undo, &[]).status.success());
        assert_eq!(sealed.state(), before);
    }
}

fn psql(database: &str, file: &Path, arguments: &[&str]) -> Output {
    Command::new(site().cluster.client_program("psql"))
        .args(["-X", "-q", "-f"])
        .arg(file)
        .args(arguments)
        .arg(site().cluster.superuser_url(database))
        .output()
        .unwrap()
}

#[test]
fn several_can_harden_at_once() {
    // In one database, and in two: roles and rights are the whole server's.
    for seal in SEALS {
        let databases = [Sealed::new(seal), Sealed::new(seal)];
        let runs: Vec<_> = (0..8).map(|n| databases[n % 2].start_harden(&[])).collect();
        for run in runs {
            let output = run.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        for sealed in databases {
            let proxy = sealed.proxy();
            let count = proxy.raw("innovate").value("SELECT count(*) FROM users");
            assert_eq!(count, "51");
        }
    }
}

#[test]
fn check_tells_whether_the_database_takes_the_configured_key() {
    for seal in SEALS {
        let sealed = Sealed::new(seal);
        let said = sealed.check();
        assert!(
            said.contains("PGT307") && said.contains("not hardened"),
            "{said}"
        );
        sealed.harden(&[]);
        let said = sealed.check();
        assert!(!said.contains("PGT307"), "{said}");
        let key = site().write_new(".key", &random_hex(32).unwrap());
        let other = Sealed::with(seal, sealed.options.database.clone(), key.clone());
        let said = other.check();
        assert!(
            said.contains("PGT307") && said.contains("seal_key_file"),
            "{said}"
        );
        assert!(said.contains("pgtenant harden"), "{said}");
        sealed.harden(&["--rotate", key.to_str().unwrap()]);
        assert!(!other.check().contains("PGT307"));
        let kind = if seal == "carrier" {
            "token"
        } else {
            "carrier"
        };
        let another = Sealed::with(
            kind,
            sealed.options.database.clone(),
            sealed.key_file.clone(),
        );
        let said = another.check();
        assert!(said.contains("PGT307") && said.contains(kind), "{said}");
    }
}

#[test]
fn the_key_can_be_changed_while_clients_work() {
    for seal in SEALS {
        let old = Sealed::hardened(seal);
        let database = old.options.database.clone();
        let new_file = site().write_new(".key", &random_hex(40).unwrap());
        let new = Sealed::with(seal, database, new_file.clone());
        let (old_proxy, new_proxy) = (old.proxy(), new.proxy());
        let count = "SELECT count(*) FROM users";
        assert_eq!(old_proxy.raw("innovate").value(count), "51");
        let refused = |proxy: &Proxy| {
            let parameters = [("user", "innovate"), ("database", &*old.options.database)];
            Raw::log_in(proxy.port, &proxy.password, &parameters).is_err()
        };
        assert!(refused(&new_proxy));
        old.harden(&["--rotate", new_file.to_str().unwrap()]);
        assert_eq!(old_proxy.raw("synergy").value(count), "51");
        assert_eq!(new_proxy.raw("innovate").value(count), "51");
        new.harden(&[]);
        assert_eq!(new_proxy.raw("synergy").value(count), "51");
        let late = old.proxy();
        assert!(refused(&late));
        late.wait_for_log("the server refused to attach the tenant");
    }
}

#[test]
fn without_a_hardened_database_nobody_is_let_in() {
    let sealed = Sealed::new("carrier");
    let proxy = sealed.proxy();
    let parameters = [
        ("user", "innovate"),
        ("database", &*sealed.options.database),
    ];
    let error = Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap_err();
    assert_eq!(error.code(), "08006", "{error:?}");
    // What the proxy needs comes first, the policies once it is there.
    sealed.harden(&["--without-policies"]);
    let mut client = proxy.raw("innovate");
    assert_eq!(client.value("SELECT count(*) FROM users"), "51");
    sealed.harden(&[]);
    assert_eq!(client.value("SELECT count(*) FROM users"), "51");
}

#[test]
fn a_client_that_keeps_its_connection_gets_a_new_token_in_time() {
    let mut sealed = Sealed::hardened("token");
    sealed.options.isolation += "\nseal_lifetime = \"2s\"";
    for mode in ["transaction", "session"] {
        let proxy = Proxy::start(&Options {
            mode,
            ..sealed.options.clone()
        });
        let mut client = proxy.raw("innovate");
        let backend = client.backend();
        let token = "SELECT current_setting('pgtenant.token')";
        let first = client.value(token);
        client.run_ok("SET extra_float_digits = 2");
        wait_until("the token has been renewed", || {
            assert_eq!(client.value("SELECT count(*) FROM users"), "51");
            client.value(token) != first
        });
        let expiry = |token: &str| token.split('.').nth(5).unwrap().parse::<u64>().unwrap();
        wait_until("the first token has expired", || {
            assert_eq!(client.value("SELECT count(*) FROM users"), "51");
            now() > expiry(&first)
        });
        // It does not come to an end within a transaction.
        client.run_ok("BEGIN");
        let within = client.value(token);
        wait_until("the transaction's token has expired", || {
            assert_eq!(client.value("SELECT count(*) FROM users"), "51");
            now() > expiry(&within)
        });
        assert_eq!(client.value(token), within);
        client.run_ok("COMMIT");
        assert_eq!(client.value("SELECT count(*) FROM users"), "51");
        assert_eq!(client.value("SHOW extra_float_digits"), "2");
        assert_eq!(client.backend(), backend);
    }
}

#[test]
fn policies_of_several_forms_are_sealed_for_what_they_say() {
    let sealed = Sealed::new("carrier");
    sealed.sql(&format!(
        "CREATE TABLE notes (owner uuid, reader uuid, text text);
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY r ON notes FOR SELECT
             USING (reader = NULLIF(current_setting('{SETTING}', true), '')::uuid);
         CREATE POLICY w ON notes FOR INSERT
             WITH CHECK (owner = (SELECT current_setting('{upper}')::uuid));
         CREATE POLICY d ON notes FOR DELETE USING (
             CASE WHEN current_setting('{SETTING}') = '' THEN true
             ELSE owner::text = current_setting('{SETTING}') END);
         CREATE TABLE own (organization_id text, text text);
         ALTER TABLE own ENABLE ROW LEVEL SECURITY;
         CREATE FUNCTION whoami() RETURNS text STABLE LANGUAGE sql
             RETURN current_setting('{SETTING}');
         CREATE POLICY p ON own USING (organization_id = whoami());
         GRANT SELECT, INSERT, UPDATE, DELETE ON notes, own TO wellness_app;
         INSERT INTO notes VALUES ('{SYNERGY}', '{SYNERGY}', 'b to b'),
             ('{INNOVATE}', '{SYNERGY}', 'a to b'), ('{SYNERGY}', '{INNOVATE}', 'b to a');
         INSERT INTO own VALUES ('{INNOVATE}', 'a'), ('{SYNERGY}', 'b')",
        upper = SETTING.to_uppercase(),
    ));
    let said = sealed.harden(&["--table", "public.own=organization_id"]);
    assert!(
        said.contains("sealed public.notes") && said.contains("sealed public.own"),
        "{said}"
    );
    let proxy = sealed.proxy();
    let mut client = proxy.raw("innovate");
    assert_eq!(client.run_ok("SELECT text FROM notes").column(), ["b to a"]);
    assert_eq!(client.run_ok("SELECT text FROM own").column(), ["a"]);
    let insert = |owner, reader| format!("INSERT INTO notes VALUES ('{owner}', '{reader}', 'new')");
    client.run_ok(&insert(INNOVATE, SYNERGY));
    for (forged, statement, done) in [
        (SYNERGY, "SELECT text FROM notes".to_owned(), "SELECT 0"),
        (SYNERGY, "SELECT text FROM own".to_owned(), "SELECT 0"),
        (SYNERGY, "DELETE FROM notes".to_owned(), "DELETE 0"),
        // Whoever is nobody may delete all; with the seal, all of its own.
        ("", "DELETE FROM notes".to_owned(), "DELETE 2"),
    ] {
        client.run_ok("BEGIN");
        client.run_ok(&format!("SELECT app.set_pref('{SETTING}', '{forged}')"));
        let answer = client.query(&statement);
        if answer.errors().is_empty() {
            assert_eq!(answer.commands(), [done], "{statement}");
        }
        client.run_ok("ROLLBACK");
    }
    client.run_ok("BEGIN");
    client.run_ok(&format!("SELECT app.set_pref('{SETTING}', '{SYNERGY}')"));
    assert_eq!(client.error(&insert(SYNERGY, SYNERGY)).code(), "42501");
    client.run_ok("ROLLBACK");
    assert_eq!(sealed.sql("SELECT count(*) FROM notes"), "4");
}

#[test]
fn a_seal_needs_its_key_and_harden_a_seal() {
    let sealed = Sealed::new("carrier");
    let bare = Options {
        isolation: String::new(),
        ..sealed.options.clone()
    };
    let config = site().write_new(".toml", &configuration(site(), &bare));
    let output = Command::new(env!("CARGO_BIN_EXE_pgtenant"))
        .args(["harden", "--print", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("isolation.setting.seal_key_file: is missing"),
        "{said}"
    );
    // Policies would hide all rows from a proxy that does not seal.
    let off = Sealed::with("off", sealed.options.database.clone(), sealed.key_file);
    for arguments in [&["--without-policies"][..], &["--seal", "token"]] {
        let refused = off.try_harden(arguments);
        assert_eq!(refused.status.code(), Some(2));
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(
            said.contains("isolation.setting.seal: is \"off\"")
                && said.contains("--without-policies"),
            "{said}"
        );
    }
    off.harden(&["--seal", "token", "--without-policies"]);
}

/// A table whose policy reads the setting through a function, and one whose policy
/// does not read it at all.
const INDIRECT: &str = "
    CREATE FUNCTION whoami() RETURNS text STABLE LANGUAGE sql
        RETURN current_setting('session.current_organization_id');
    CREATE TABLE own (organization_id text, other text);
    CREATE TABLE news (text text);
    ALTER TABLE own ENABLE ROW LEVEL SECURITY;
    ALTER TABLE news ENABLE ROW LEVEL SECURITY;
    CREATE POLICY p ON own USING (organization_id = whoami());
    CREATE POLICY p ON news USING (true);
    GRANT SELECT, INSERT ON own, news TO wellness_app;";

#[test]
fn what_is_sealed_stays_sealed_until_it_is_asked_for() {
    for seal in SEALS {
        let sealed = Sealed::new(seal);
        sealed.sql(INDIRECT);
        let said = sealed.harden(&[]);
        for (table, why) in [
            ("own", "through the function public.whoami()"),
            ("news", "by themselves"),
        ] {
            let unsealed = format!("public.{table} is NOT sealed");
            let told = |line: &str| line.contains(&unsealed) && line.contains(why);
            assert!(said.lines().any(told), "{said}");
        }
        let named = sealed.harden(&["--table", "public.own=organization_id"]);
        assert!(named.contains("sealed public.own"), "{named}");
        let first = sealed.state();
        // The end of the way to another key.
        let key = site().write_new(".key", &random_hex(32).unwrap());
        sealed.harden(&["--rotate", key.to_str().unwrap()]);
        let said = sealed.harden(&[]);
        assert!(said.contains("sealed public.own"), "{said}");
        assert_eq!(sealed.state(), first);
        sealed.harden(&["--without-policies"]);
        assert_eq!(sealed.state(), first);
        // The column keeps its meaning under another name.
        sealed.sql("ALTER TABLE own RENAME organization_id TO tenant");
        let renamed = sealed.state();
        sealed.harden(&[]);
        assert_eq!(sealed.state(), renamed);
        // Where its column cannot be told, a seal stays as it is.
        sealed.sql(
            "COMMENT ON POLICY pgtenant_seal ON own IS NULL;
             ALTER POLICY tenant_isolation_policy ON users
                USING (organization_id::text = whoami())",
        );
        let said = sealed.harden(&[]);
        for table in ["own", "users"] {
            let line = format!("sealed public.{table} (as it was before)");
            assert!(said.contains(&line), "{said}");
        }
        // Also by a seal of the other kind.
        let kind = if seal == "carrier" {
            "token"
        } else {
            "carrier"
        };
        sealed.harden(&["--seal", kind]);
        let accessor = |seal| match seal {
            "carrier" => "pgtenant.tenant(",
            _ => "pgtenant.tenant_of_token(",
        };
        let unlike = format!(
            "SELECT count(*) FROM pg_policies WHERE policyname ~ 'pgtenant_seal' \
             AND strpos(qual, '{}') = 0",
            accessor(kind)
        );
        assert_eq!(sealed.sql(&unlike), "0");
        sealed.harden(&[]);
        let refused = sealed.try_harden(&["--unseal", "public.news"]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("public.news is not sealed"), "{said}");
        let said = sealed.harden(&["--unseal", "public.own"]);
        assert!(
            said.contains("unsealed public.own") && !said.contains("users"),
            "{said}"
        );
        let said = sealed.harden(&[]);
        assert!(said.contains("public.own is NOT sealed"), "{said}");
        let said = sealed.harden(&["--unseal-all"]);
        assert!(said.contains("unsealed public.users"), "{said}");
        let again = "unsealed public.wellness_entries: pgtenant harden would seal it again";
        assert!(said.contains(again), "{said}");
        let seals = "SELECT count(*) FROM pg_policies WHERE policyname ~ 'pgtenant_seal'";
        assert_eq!(sealed.sql(seals), "0");
        // The proxy goes on.
        let proxy = sealed.proxy();
        let mut client = proxy.raw("innovate");
        assert_eq!(client.value("SELECT count(*) FROM wellness_entries"), "10");
    }
}

/// Clients of two tenants that run transactions all the time.
struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<usize>>,
}

impl Load {
    fn start(proxy: &Proxy) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let start = |n: usize| {
            let (login, id) = [("innovate", INNOVATE), ("synergy", SYNERGY)][n % 2];
            let (mut client, stop) = (proxy.raw(login), stop.clone());
            std::thread::spawn(move || {
                let mut transactions = 0;
                while !stop.load(Ordering::Relaxed) {
                    work(&mut client, id, n);
                    transactions += 1;
                }
                transactions
            })
        };
        let clients = (0..6).map(start).collect();
        Self { stop, clients }
    }

    /// Each of them has done something, and nothing of it has failed.
    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            assert!(client.join().unwrap() > 0);
        }
    }
}

/// A transaction, which takes the tables in one order or the other.
fn work(client: &mut Raw, id: &str, n: usize) {
    let whose = |table| format!("SELECT DISTINCT organization_id FROM {table}");
    let mut tables = ["users", "wellness_entries"];
    if n.is_multiple_of(3) {
        tables.reverse();
    }
    client.run_ok("BEGIN");
    for table in tables {
        let sql = whose(table);
        let answer = match n % 2 {
            0 => client.query(&sql),
            _ => client.extended(&sql),
        };
        assert_eq!(answer.ok().column(), [id], "{table}");
    }
    // One of each tenant: several could wait for each other.
    if n < 2 {
        let done = client.run_ok("UPDATE wellness_entries SET value = value");
        assert_ne!(done.commands(), ["UPDATE 0"]);
    }
    client.run_ok("COMMIT");
    assert_eq!(client.run_ok(&whose("users")).column(), [id]);
}

#[test]
fn a_seal_is_switched_on_and_off_under_load_with_one_file() {
    for seal in SEALS {
        // As an operator has it: not sealed, and opaque code refused.
        let mut sealed = Sealed::new(seal);
        sealed.options.isolation = String::new();
        sealed.options.opaque = "reject";
        sealed.options.size = 8;
        let proxy = sealed.proxy();
        sealed.config.clone_from(&proxy.config);
        let key = format!("seal_key_file = {:?}\n", sealed.key_file);
        let lines = |seal: &str| format!("{key}seal = {seal:?}\n");
        let head = "[isolation.setting]\n";
        let original = std::fs::read_to_string(&proxy.config).unwrap();
        let change = |lines: &str| {
            let text = original.replace(head, &format!("{head}{lines}"));
            proxy.reload(|_| text);
        };
        let load = Load::start(&proxy);
        change(&key);
        sealed.harden(&["--seal", seal, "--without-policies"]);
        change(&lines(seal));
        let said = sealed.harden(&[]);
        assert!(said.contains("sealed public.users"), "{said}");
        load.stop();
        let said = sealed.check();
        assert!(
            !said.contains("PGT306") && !said.contains("PGT307"),
            "{said}"
        );
        let load = Load::start(&proxy);
        // Another key.
        let next = site().write_new(".key", &random_hex(32).unwrap());
        sealed.harden(&["--rotate", next.to_str().unwrap()]);
        change(&format!("seal_key_file = {next:?}\nseal = {seal:?}\n"));
        sealed.harden(&[]);
        // And off.
        let key = format!("seal_key_file = {next:?}\n");
        sealed.harden(&["--unseal-all"]);
        change(&key);
        sealed.harden(&["--undo"]);
        change("");
        load.stop();
    }
}

#[test]
fn a_transaction_that_began_before_the_seal_is_waited_for() {
    let sealed = Sealed::new("token");
    let bare = Proxy::start(&Options {
        isolation: String::new(),
        ..sealed.options.clone()
    });
    let mut client = bare.raw("innovate");
    client.run_ok("BEGIN; SELECT 1");
    let harden = sealed.start_harden(&[]);
    // It waits, and has changed nothing.
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgtenant' \
                 AND wait_event = 'PgSleep'";
    wait_until("it waits", || sealed.sql(waits) == "1");
    assert_eq!(client.value("SELECT count(*) FROM users"), "51");
    client.run_ok("COMMIT");
    let output = harden.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_sealed_database_before_a_proxy_without_a_seal_serves_nobody() {
    let sealed = Sealed::new("carrier");
    let bare = Sealed::with(
        "off",
        sealed.options.database.clone(),
        sealed.key_file.clone(),
    );
    let proxy = bare.proxy();
    let mut client = proxy.raw("innovate");
    assert_eq!(client.value("SELECT count(*) FROM users"), "51");
    assert!(!bare.check().contains("PGT313"));
    sealed.harden(&[]);
    let said = bare.check();
    assert!(
        said.contains("PGT313") && said.contains("public.users"),
        "{said}"
    );
    // The proxy that runs finds out, and so does one that starts.
    let line = proxy.wait_for_log("the tenants of the isolation are not served");
    assert!(
        line.contains("ERROR") && line.contains("seal_key_file"),
        "{line}"
    );
    let parameters = [("user", "innovate"), ("database", &*bare.options.database)];
    for proxy in [proxy, bare.proxy()] {
        let error = Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap_err();
        assert_eq!(error.code(), "55000", "{error:?}");
        assert!(error.message().contains("asks for a seal"), "{error:?}");
    }
    assert!(!client.until_closed().errors().is_empty());
    // The tenants are back when the seal is off.
    let proxy = bare.proxy();
    sealed.harden(&["--unseal-all"]);
    wait_until("the tenants are served", || {
        Raw::log_in(proxy.port, &proxy.password, &parameters).is_ok()
    });
    assert_eq!(
        proxy.raw("innovate").value("SELECT count(*) FROM users"),
        "51"
    );
}

#[test]
fn an_owner_is_told_that_the_carrier_is_not_for_it() {
    let site = Site::start();
    let database = site.fresh_database();
    let key = site.write_new(".key", &random_hex(32).unwrap());
    let options = Options {
        database: database.clone(),
        isolation: format!("seal = \"carrier\"\nseal_key_file = {key:?}"),
        ..Options::default()
    };
    let config = site.write_new(".toml", &configuration(&site, &options));
    site.sql(
        &database,
        "CREATE ROLE keeper LOGIN CREATEROLE PASSWORD 'k'; \
         GRANT CREATE ON DATABASE wellness_corp_db TO keeper",
    );
    let url = format!(
        "postgres://keeper:k@127.0.0.1:{}/{database}?sslmode=require",
        site.cluster.port()
    );
    let output = Command::new(env!("CARGO_BIN_EXE_pgtenant"))
        .args(["harden", "--config"])
        .arg(&config)
        .args(["--apply", &url])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("Use seal = \"token\""),
        "{said}"
    );
}
