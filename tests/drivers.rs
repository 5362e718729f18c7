//! Clients as people use them, unmodified, over TLS. What they do stands in
//! `tests/drivers`: programs that assert, and fail when something is not so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Options, Proxy, site};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// How to get what is missing.
const SETUP: &str = "deploy/setup --tests";

fn proxy(size: usize) -> Proxy {
    Proxy::start(&Options {
        tls: "require",
        database: site().fresh_database(),
        size,
        ..Options::default()
    })
}

/// A connection string as an operator hands it out.
fn url(proxy: &Proxy) -> String {
    format!(
        "postgresql://innovate:{}@127.0.0.1:{}/{}?sslmode=verify-full&sslrootcert={}",
        proxy.password,
        proxy.port,
        proxy.database("innovate"),
        site().ca_file().display(),
    )
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn succeeds(what: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{what}: {}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A python that has the module: the set-up's own, or the system's.
fn python(module: &str) -> PathBuf {
    let own = root().join("target/test-clients/python/bin/python3");
    let has_module = |python: &PathBuf| {
        let import = format!("import {module}");
        let output = Command::new(python).args(["-c", &import]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let mut pythons = [own, PathBuf::from("python3")].into_iter();
    pythons
        .find(has_module)
        .unwrap_or_else(|| panic!("python's {module} is missing: run `{SETUP}` to install it"))
}

fn run_python(module: &str, script: &str, size: usize) {
    let python = python(module);
    let proxy = proxy(size);
    let output = Command::new(python)
        .arg(root().join("tests/drivers").join(script))
        .arg(url(&proxy))
        .output()
        .unwrap();
    succeeds(script, &output);
}

#[test]
fn psycopg() {
    run_python("psycopg", "psycopg_client.py", 5);
}

#[test]
fn asyncpg() {
    run_python("asyncpg", "asyncpg_client.py", 2);
}

#[test]
fn node_postgres() {
    let modules = root().join("target/test-clients/node/node_modules");
    let node = |arguments: &[&str]| {
        let mut command = Command::new("node");
        command.env("NODE_PATH", &modules).args(arguments);
        command.output()
    };
    let found = node(&["-e", "require('pg')"]).is_ok_and(|output| output.status.success());
    assert!(found, "node's pg is missing: run `{SETUP}` to install it");
    // Fewer than there are clients: they take turns.
    let proxy = proxy(2);
    let script = root().join("tests/drivers/pg_client.js");
    let output = node(&[script.to_str().unwrap(), &url(&proxy)]).unwrap();
    succeeds("pg_client.js", &output);
}

/// A program of PostgreSQL's.
fn program(name: &str) -> Command {
    let path = site().cluster.client_program(name);
    let found = Command::new(&path).arg("--version").output();
    assert!(
        found.is_ok(),
        "{name} is missing: run `{SETUP}` to install it"
    );
    Command::new(path)
}

#[test]
fn psql() {
    let proxy = proxy(2);
    let script = "\
\\set ON_ERROR_STOP on
\\conninfo
SELECT email FROM users;
\\d users
\\dt
\\l
BEGIN;
SAVEPOINT s;
SELECT count(*) FROM wellness_entries \\gset
ROLLBACK TO s;
ROLLBACK;
\\set FETCH_COUNT 10
SELECT sum(n) FROM generate_series(1, 100) n;
SELECT n FROM generate_series(1, 25) n;
\\unset FETCH_COUNT
\\copy users TO STDOUT
SELECT 1 \\; SELECT 2;
SELECT 'a' AS x, 'SELECT 42 AS made' AS q \\g
SELECT 'SELECT 4' || '2' \\gexec
";
    let file = site().write_new(".sql", script);
    let output = program("psql")
        .args(["-X", "-A", "-t", "-d", &url(&proxy), "-f"])
        .arg(file)
        .output()
        .unwrap();
    succeeds("psql", &output);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "alice@innovate.example",
        "SSL connection",
        "gen_random_uuid",
        "wellness_entries",
        "5050",
        "\n25\n",
        "\n42\n",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    assert!(!text.contains("bob@synergy.example"), "{text}");
}

#[test]
fn pgbench() {
    // One for each client: while it waits for one to prepare a statement on, a
    // thread of pgbench moves none of its clients on.
    let proxy = proxy(8);
    let script = site().write_new(
        ".sql",
        "\\set n random(1, 1000)\nBEGIN;\n\
         INSERT INTO wellness_entries (user_id, organization_id, entry_type, value) \
         SELECT id, organization_id, 'pgbench', :n FROM users;\n\
         SELECT count(*) FROM wellness_entries WHERE value = :n;\nCOMMIT;\n\
         SELECT email FROM users WHERE email <> 'nobody';\n",
    );
    for protocol in ["simple", "extended", "prepared"] {
        let output = program("pgbench")
            .args(["-n", "-c", "8", "-j", "2", "-t", "25", "-M", protocol, "-f"])
            .arg(&script)
            .arg(url(&proxy))
            .output()
            .unwrap();
        succeeds(protocol, &output);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("200/200"), "{protocol}: {text}");
    }
    let count = "SELECT count(*) FROM wellness_entries WHERE entry_type = 'pgbench'";
    let output = program("psql")
        .args(["-X", "-A", "-t", "-c", count, "-d", &url(&proxy)])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "600");
}
