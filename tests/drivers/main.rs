//! Clients as people use them, unmodified, over TLS. What they do stands in
//! `tests/drivers`: programs that assert, and fail when something is not so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dump;
mod pgbench;
mod psql;
mod rust;

use std::process::Command;
use testkit::{Options, Proxy, python, root, site, succeeds};

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
fn url(proxy: &Proxy, login: &str) -> String {
    format!(
        "postgresql://{login}:{}@127.0.0.1:{}/{}?sslmode=verify-full&sslrootcert={}",
        proxy.password,
        proxy.port,
        proxy.database(login),
        site().ca_file().display(),
    )
}

fn run_python(imports: &str, script: &str, proxy: &Proxy, logins: &[&str]) {
    let output = Command::new(python(imports))
        .arg(root().join("tests/drivers").join(script))
        .args(logins.iter().map(|login| url(proxy, login)))
        .output()
        .unwrap();
    succeeds(script, &output);
}

#[test]
fn psycopg() {
    run_python(
        "import psycopg",
        "psycopg_client.py",
        &proxy(5),
        &["innovate"],
    );
}

#[test]
fn asyncpg() {
    run_python(
        "import asyncpg",
        "asyncpg_client.py",
        &proxy(2),
        &["innovate"],
    );
}

/// In session mode each client has a connection for itself: as many as the script
/// opens at once, and more, for those that it has just closed.
fn proxies() -> [Proxy; 2] {
    ["transaction", "session"].map(|mode| {
        Proxy::start(&Options {
            tls: "require",
            database: site().fresh_database(),
            mode,
            size: if mode == "session" { 20 } else { 3 },
            ..Options::default()
        })
    })
}

#[test]
fn sqlalchemy() {
    for proxy in proxies() {
        run_python(
            "import psycopg, sqlalchemy; assert sqlalchemy.__version__ >= '2'",
            "sqlalchemy_client.py",
            &proxy,
            &["innovate", "synergy", "globex"],
        );
    }
}

const DJANGO: &str = "import django, psycopg; assert django.VERSION >= (5,)";

#[test]
fn django() {
    for proxy in proxies() {
        run_python(
            DJANGO,
            "django_client.py",
            &proxy,
            &["innovate", "synergy", "globex"],
        );
    }
}

/// Outside of a transaction `iterator()` declares a cursor WITH HOLD, which keeps the
/// client on its connection; where that is not allowed, Django can do without.
#[test]
fn django_without_pinning() {
    let proxy = Proxy::start(&Options {
        tls: "require",
        database: site().fresh_database(),
        pin: "reject",
        size: 3,
        ..Options::default()
    });
    run_python(DJANGO, "django_unpinned.py", &proxy, &["innovate"]);
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
    let output = node(&[script.to_str().unwrap(), &url(&proxy, "innovate")]).unwrap();
    succeeds("pg_client.js", &output);
}

#[test]
fn sqlx() {
    let client = root().join("target/test-clients/sqlx/debug/sqlx-client");
    assert!(
        client.exists(),
        "the client of sqlx is missing: run `{SETUP}` to build it"
    );
    for proxy in proxies() {
        let urls = ["innovate", "synergy"].map(|login| url(&proxy, login));
        let output = Command::new(&client).args(urls).output().unwrap();
        succeeds("sqlx-client", &output);
    }
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
