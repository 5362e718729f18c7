//! What the tools ask that read a console, by name and by position.

use super::{cell, columns, operator, port, proxy};
use std::process::Command;
use testkit::{Options, Pipeline, python, root, site, stdout, succeeds, wait_until};

/// PgBouncer 1.23's columns.
const COLUMNS: [(&str, &str); 9] = [
    (
        "POOLS",
        "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode",
    ),
    (
        "DATABASES",
        "name host port database force_user pool_size min_pool_size reserve_pool server_lifetime pool_mode max_connections current_connections paused disabled",
    ),
    (
        "STATS",
        "database total_server_assignment_count total_xact_count total_query_count total_received total_sent total_xact_time total_query_time total_wait_time avg_server_assignment_count avg_xact_count avg_query_count avg_recv avg_sent avg_xact_time avg_query_time avg_wait_time",
    ),
    (
        "STATS_TOTALS",
        "database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time wait_time",
    ),
    ("LISTS", "list items"),
    ("CONFIG", "key value default changeable"),
    ("MEM", "name size used free memtotal"),
    ("VERSION", "version"),
    (
        "USERS",
        "name pool_size pool_mode max_user_connections current_connections",
    ),
];

#[test]
fn every_word_has_the_columns_and_types_that_tools_expect() {
    let proxy = proxy(Options::default());
    let mut client = proxy.raw("innovate");
    client.run_ok("SELECT 1");
    let mut admin = operator(&proxy);
    let so = [("name", "sessions")];
    assert_eq!(cell(&mut admin, "SHOW MEM", "used", &so), "1");
    let size: usize = cell(&mut admin, "SHOW MEM", "memtotal", &so)
        .parse()
        .unwrap();
    assert!(size > 100, "{size}");
    for (key, value, changeable) in [
        ("pool_mode", "transaction", "no"),
        ("listen_addr", "127.0.0.1", "no"),
        ("client_tls_sslmode", "allow", "no"),
        ("admin_users", "ops", "no"),
        ("stats_users", "eyes", "no"),
        ("max_db_connections", "10", "no"),
        ("server_check_delay", "30", "yes"),
        ("max_user_client_connections", "1000", "yes"),
    ] {
        let so = [("key", key), ("value", value)];
        let shown = cell(&mut admin, "SHOW CONFIG", "changeable", &so);
        assert_eq!(shown, changeable, "{key}");
    }
    for (word, expected) in COLUMNS {
        let answer = admin.run_ok(&format!("SHOW {word};"));
        let names = columns(&answer.of(b'T').next().unwrap().body);
        assert_eq!(names.join(" "), expected, "{word}");
        assert!(!answer.rows().is_empty(), "{word}");
        assert_eq!(answer.commands(), ["SHOW"]);
        // No tool expects a NULL in the first column.
        assert!(answer.rows().iter().all(|row| row[0].is_some()), "{word}");
    }
    let database = proxy.database("innovate");
    let so = [("database", &*database)];
    wait_until("it is counted", || {
        cell(&mut admin, "SHOW STATS", "total_xact_count", &so) == "1"
    });
    assert_eq!(
        cell(&mut admin, "SHOW STATS_TOTALS", "query_count", &so),
        "1"
    );
    let sent: u64 = cell(&mut admin, "SHOW STATS", "total_sent", &so)
        .parse()
        .unwrap();
    assert!(sent > 10, "{sent}");
    assert_eq!(client.error("SET ROLE postgres").code(), "42501");
    let refusals = admin.run_ok("SHOW REFUSALS");
    let names = columns(&refusals.of(b'T').next().unwrap().body);
    let expected = "time tenant user client rule message enforced shape";
    assert_eq!(names.join(" "), expected);
    let so = [("user", "innovate"), ("enforced", "yes")];
    assert!(cell(&mut admin, "SHOW REFUSALS", "message", &so).contains("role"));
    for word in ["CLIENTS", "SERVERS"] {
        let answer = admin.run_ok(&format!("SHOW {word}"));
        assert_eq!(columns(&answer.of(b'T').next().unwrap().body).len(), 20);
        let row = &answer.rows()[0];
        for time in [&row[9], &row[10]] {
            // As Datadog reads them.
            let time = time.as_deref().unwrap();
            assert_eq!((time.len(), &time[19..]), (23, " UTC"), "{time}");
        }
    }
    let more = "ACTIVE_SOCKETS CERTIFICATES DIRECTORY DNS_HOSTS DNS_ZONES HELP LOGINS MEM \
                AUDIT PEERS PEER_POOLS PINS SOCKETS STATE STATS_AVERAGES TENANTS TOTALS WORKERS";
    for word in more.split_whitespace() {
        assert_eq!(admin.run_ok(&format!("show {word}")).commands(), ["SHOW"]);
    }
    // The extended protocol, described both ways.
    let pipeline = Pipeline::new()
        .parse("s", "SHOW LISTS")
        .describe_statement("s");
    let pipeline = pipeline
        .bind("p", "s", &[])
        .describe("p")
        .execute("p", 0)
        .sync();
    let answer = admin.run(&pipeline);
    assert_eq!((answer.of(b'T').count(), answer.rows().len()), (2, 14));
}

#[tokio::test]
async fn a_driver_that_prepares_and_reads_binary_values() {
    let proxy = proxy(Options::default());
    let _client = proxy.raw("innovate");
    let url = format!(
        "postgresql://ops:{}@127.0.0.1:{}/pgbouncer?sslmode=disable",
        proxy.password,
        port(&proxy)
    );
    let (admin, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let rows = admin.query("SHOW LISTS", &[]).await.unwrap();
    let used = rows
        .iter()
        .find(|row| row.get::<_, &str>(0) == "used_clients");
    // The administrator is one.
    assert_eq!(used.unwrap().get::<_, i32>(1), 2);
    assert_eq!(admin.execute("RECONNECT", &[]).await.unwrap(), 0);
    let refused = admin.query("SHOW NOTHING AT ALL", &[]).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "08P01");
    assert_eq!(admin.query_one("SHOW VERSION", &[]).await.unwrap().len(), 1);
}

/// Over TLS, as an operator does it.
fn url(proxy: &testkit::Proxy) -> String {
    format!(
        "postgresql://ops:{}@127.0.0.1:{}/pgbouncer?sslmode=verify-full&sslrootcert={}",
        proxy.password,
        port(proxy),
        site().ca_file().display()
    )
}

#[test]
fn psql() {
    let proxy = proxy(Options {
        tls: "require",
        ..Options::default()
    });
    let output = Command::new(site().cluster.client_program("psql"))
        .args([
            "-X",
            "-x",
            "-d",
            &url(&proxy),
            "-c",
            "SHOW STATE",
            "-c",
            "SHOW HELP",
        ])
        .output()
        .unwrap();
    succeeds("psql", &output);
    assert!(stdout(&output).contains("paused"), "{}", stdout(&output));
    assert!(testkit::stderr(&output).contains("KILL_TENANT"));
}

#[test]
fn psycopg() {
    let proxy = proxy(Options::default());
    let mut client = proxy.raw("innovate");
    client.run_ok("SELECT 1");
    let output = Command::new(python("import psycopg"))
        .arg(root().join("tests/console/psycopg_client.py"))
        .arg(url(&proxy))
        .output()
        .unwrap();
    succeeds("psycopg", &output);
}

#[test]
fn node_postgres() {
    let proxy = proxy(Options {
        tls: "require",
        ..Options::default()
    });
    let output = Command::new("node")
        .env(
            "NODE_PATH",
            root().join("target/test-clients/node/node_modules"),
        )
        .arg(root().join("tests/console/pg_client.js"))
        .arg(url(&proxy))
        .output()
        .unwrap();
    succeeds("node-postgres", &output);
}

fn succeeds_with(name: &str, command: &mut Command, arguments: &[&str]) {
    match command.args(arguments).output() {
        Ok(output) => succeeds(name, &output),
        Err(error) => panic!("{name}: {error}: run `deploy/setup --tests`"),
    }
}

#[test]
fn pgjdbc() {
    let proxy = proxy(Options::default());
    let mut client = proxy.raw("innovate");
    client.run_ok("SELECT 1");
    let mut java = Command::new("java");
    java.args(["-cp", "/usr/share/java/postgresql.jar"]);
    java.arg(root().join("tests/console/Console.java"));
    succeeds_with("Console.java", &mut java, &[&url(&proxy)]);
}

#[test]
fn pgx() {
    let proxy = proxy(Options::default());
    let mut client = proxy.raw("innovate");
    client.run_ok("SELECT 1");
    let program = root().join("target/test-clients/pgx-client");
    succeeds_with(
        "pgx-client",
        &mut Command::new(program),
        &["console", &url(&proxy)],
    );
}
