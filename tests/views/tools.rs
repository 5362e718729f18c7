//! What tools ask when they connect and on their dashboards, as they ask it: the shape
//! of the statements is theirs. A statement ends at an empty line.

use crate::Place;
use testkit::Pipeline;

const TOOLS: &[(&str, &str)] = &[
    ("pgAdmin", include_str!("tools/pgadmin.sql")),
    ("DataGrip", include_str!("tools/datagrip.sql")),
    ("DBeaver", include_str!("tools/dbeaver.sql")),
    ("dashboards", include_str!("tools/dashboards.sql")),
    ("JDBC", include_str!("tools/jdbc.sql")),
];

/// Each is answered in both protocols, and prepared under a name.
#[test]
fn tools_are_answered() {
    for major in [15, 18] {
        let Some(place) = Place::start(major, "size = 1") else {
            continue;
        };
        for (tool, statements) in TOOLS {
            let mut client = place.client("innovate");
            for sql in statements.split("\n\n") {
                let refused = |error: &testkit::Fields| {
                    panic!("{tool} on {major}: {sql}\n{}", error.message());
                };
                client.query(sql).errors().iter().for_each(refused);
                if sql.contains("; ") {
                    continue;
                }
                client.extended(sql).errors().iter().for_each(refused);
                let named = Pipeline::new()
                    .parse("named", sql)
                    .describe_statement("named")
                    .bind("", "named", &[])
                    .execute("", 5)
                    .close_statement("named")
                    .sync();
                client.run(&named).errors().iter().for_each(refused);
            }
        }
    }
}

/// Whatever keeps tenants apart.
#[test]
fn each_kind_of_tenant_has_its_own_rows() {
    let proxy = testkit::Proxy::start(&testkit::Options::default());
    let logins = ["innovate", "synergy", "globex", "umbrella"];
    let mut clients = logins.map(|login| proxy.raw(login));
    for client in &mut clients {
        client.run_ok("BEGIN");
    }
    for client in &mut clients {
        let own = "SELECT count(*) = 1 AND bool_and(pid = pg_backend_pid()) FROM pg_stat_activity";
        assert_eq!(client.value(own), "t");
        assert_eq!(client.extended(own).ok().value(), "t");
        let locks = "SELECT DISTINCT pid = pg_backend_pid() FROM pg_catalog.pg_locks";
        assert_eq!(client.value(locks), "t");
        client.run_ok("SELECT * FROM pg_stat_replication, pg_replication_slots");
    }
}

/// psql looks at its own connection and at what there is.
#[test]
fn psql_is_answered() {
    let Some(place) = Place::start(15, "size = 1") else {
        return;
    };
    let url = format!(
        "postgresql://innovate@127.0.0.1:{}/wellness_corp_db?sslmode=disable",
        place.proxy.port
    );
    let commands = r"\conninfo \d \d+ pg_catalog.pg_locks \dconfig \dRp \dRs \drds \du \l \db
SELECT count(*) FROM pg_stat_activity \gdesc
SELECT pid = pg_backend_pid() FROM pg_catalog.pg_locks LIMIT 1 \gx
\set FETCH_COUNT 1
SELECT mode FROM pg_locks;";
    let output = std::process::Command::new(place.plain.cluster.client_program("psql"))
        .args(["-X", "-v", "ON_ERROR_STOP=1", "-d", &url])
        .env("PGPASSWORD", &place.proxy.password)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .and_then(|mut psql| {
            use std::io::Write as _;
            let commands = commands.replace(" \\d", "\n\\d").replace(" \\l", "\n\\l");
            psql.stdin.take().unwrap().write_all(commands.as_bytes())?;
            psql.wait_with_output()
        })
        .unwrap();
    testkit::succeeds("psql", &output);
}
