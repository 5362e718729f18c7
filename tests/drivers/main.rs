//! Clients as people use them, unmodified, over TLS. What they do stands in
//! `tests/drivers`: programs that assert, and fail when something is not so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dump;
mod pgbench;
mod psql;
mod rust;

use std::io::Write as _;
use std::process::{Command, Stdio};
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

/// Drivers that use large objects by FunctionCall messages.
fn with_channels() -> Proxy {
    Proxy::start(&Options {
        tls: "require",
        database: site().fresh_database(),
        channels: "allow",
        size: 2,
        ..Options::default()
    })
}

fn run_for_two(name: &str, command: &mut Command, proxy: &Proxy) {
    let urls = ["innovate", "synergy"].map(|login| url(proxy, login));
    match command.args(urls).output() {
        Ok(output) => succeeds(name, &output),
        Err(error) => panic!("{name}: {error}: run `{SETUP}` to install what is missing"),
    }
}

#[test]
fn pgjdbc() {
    let mut java = Command::new("java");
    java.args(["-cp", "/usr/share/java/postgresql.jar"]);
    java.arg(root().join("tests/drivers/jdbc/Client.java"));
    run_for_two("Client.java", &mut java, &with_channels());
}

#[test]
fn ruby_pg() {
    let mut ruby = Command::new("ruby");
    ruby.arg(root().join("tests/drivers/pg_client.rb"));
    run_for_two("pg_client.rb", &mut ruby, &with_channels());
}

/// Values by parameters and by literals, with and without cursors of its own.
#[test]
fn psqlodbc() {
    let proxy = with_channels();
    let sql = "SET client_min_messages TO warning\n\
        SELECT email FROM users\n\
        RESET ALL; SET TimeZone = 'UTC'\n\
        CREATE TEMP TABLE of_odbc (n int)\n\
        INSERT INTO of_odbc SELECT generate_series(1, 250)\n\
        SELECT count(*) + 1000 FROM of_odbc\n\
        SELECT n + 5000 FROM of_odbc ORDER BY n\n\
        DISCARD ALL\n\
        SELECT email FROM users\n";
    for options in [
        "UseDeclareFetch=0",
        "UseDeclareFetch=1;Fetch=50",
        "UseServerSidePrepare=0",
    ] {
        for (login, own) in [
            ("innovate", "alice@innovate.example"),
            ("synergy", "@synergy.example"),
        ] {
            let said = odbc(&proxy, login, options, sql);
            assert_eq!(said.matches("example").count(), 2, "{options}: {said}");
            assert_eq!(said.matches(own).count(), 2, "{options}: {said}");
            for row in ["1250", "5001", "5250"] {
                assert!(said.contains(row), "{options}: {said}");
            }
            assert!(!said.contains("ERROR"), "{options}: {said}");
        }
    }
}

/// What isql says to statements, one a line.
fn odbc(proxy: &Proxy, login: &str, options: &str, sql: &str) -> String {
    let driver = std::fs::read_dir("/usr/lib").unwrap().find_map(|folder| {
        let driver = folder.unwrap().path().join("odbc/psqlodbcw.so");
        driver.exists().then_some(driver)
    });
    let Some(driver) = driver else {
        panic!("psqlODBC is missing: run `{SETUP}` to install it");
    };
    let place = format!(
        "Driver={};Servername=127.0.0.1;Port={};Database={};Username={login};Password={};\
         SSLmode=require;{options}",
        driver.display(),
        proxy.port,
        proxy.database(login),
        proxy.password,
    );
    let mut isql = Command::new("isql")
        .args(["-b", "-v", "-k", &place])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    isql.stdin
        .take()
        .unwrap()
        .write_all(sql.as_bytes())
        .unwrap();
    let output = isql.wait_with_output().unwrap();
    succeeds("isql", &output);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn pgx() {
    let client = root().join("target/test-clients/pgx-client");
    run_for_two("pgx-client", &mut Command::new(client), &with_channels());
}
