//! pgbench in all its modes: what it counts as failed is none.

use super::{program, proxy, url};
use testkit::{Options, Proxy, site, succeeds};

/// Runs pgbench and returns what it tells, if no transaction of `total` failed.
#[track_caller]
fn pgbench(url: &str, total: usize, arguments: &[&str]) -> String {
    let output = program("pgbench")
        .args(["-n", "-j", "2"])
        .args(arguments)
        .arg(url)
        .output()
        .unwrap();
    succeeds(&format!("{arguments:?}"), &output);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(&format!("{total}/{total}")),
        "{arguments:?}: {text}"
    );
    let failed = "number of failed transactions:";
    assert!(
        !text.contains(failed) || text.contains("failed transactions: 0 (0.000%)"),
        "{arguments:?}: {text}"
    );
    text
}

fn psql(url: &str, sql: &str) -> String {
    let output = program("psql")
        .args(["-X", "-A", "-t", "-c", sql, "-d", url])
        .output()
        .unwrap();
    succeeds(sql, &output);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn each_protocol_in_a_tenant_of_kind_setting() {
    // One for each client: while it waits for one to prepare a statement on, a
    // thread of pgbench moves none of its clients on.
    let proxy = proxy(8);
    let url = url(&proxy, "innovate");
    let script = site().write_new(
        ".sql",
        "\\set n random(1, 1000)\nBEGIN;\n\
         INSERT INTO wellness_entries (user_id, organization_id, entry_type, value) \
         SELECT id, organization_id, 'pgbench', :n FROM users;\n\
         SELECT count(*) FROM wellness_entries WHERE value = :n;\nCOMMIT;\n\
         SELECT email FROM users WHERE email <> 'nobody';\n",
    );
    for protocol in ["simple", "extended", "prepared"] {
        let script = script.to_str().unwrap();
        let arguments = ["-c", "8", "-t", "25", "-M", protocol, "-f", script];
        pgbench(&url, 200, &arguments);
    }
    let count = "SELECT count(*) FROM wellness_entries WHERE entry_type = 'pgbench'";
    assert_eq!(psql(&url, count), "600");
}

/// A tenant's database in which its role may make tables, as `pgbench -i` does.
fn bench_database(name: &str) {
    site().sql("postgres", &format!("CREATE DATABASE {name}"));
    site().sql(name, "GRANT CREATE ON SCHEMA public TO wellness_app");
}

fn bench_proxy(database: &str, mode: &'static str) -> Proxy {
    let id = "99999999-9999-9999-9999-999999999999";
    Proxy::start(&Options {
        tls: "require",
        mode,
        size: 8,
        more: format!(
            "[[tenants]]\nid = \"{id}\"\nname = \"Bench\"\nisolation = \"database\"\n\
             database = \"{database}\"\n[[logins]]\nuser = \"bench\"\ntenant = \"{id}\"\n\
             scram = {:?}\n",
            site().login_verifier
        ),
        ..Options::default()
    })
}

fn bench_url(proxy: &Proxy, database: &str) -> String {
    url(proxy, "initech")
        .replace("//initech:", "//bench:")
        .replace("/wellness_initech?", &format!("/{database}?"))
}

#[test]
fn the_built_in_scripts_on_tables_that_it_made_itself() {
    for mode in ["transaction", "session"] {
        let database = format!("bench_{mode}");
        bench_database(&database);
        let proxy = bench_proxy(&database, mode);
        let url = bench_url(&proxy, &database);
        let output = program("pgbench")
            .args(["-i", "-q", "--foreign-keys", "--partitions=2", &url])
            .output()
            .unwrap();
        succeeds("pgbench -i", &output);
        for protocol in ["simple", "extended", "prepared"] {
            for script in ["tpcb-like", "simple-update", "select-only"] {
                let arguments = ["-c", "4", "-t", "50", "-M", protocol, "-b", script];
                pgbench(&url, 200, &arguments);
            }
        }
        // A connection for each transaction.
        pgbench(&url, 40, &["-c", "4", "-t", "10", "-C", "-b", "tpcb-like"]);
        pgbench(&url, 200, &["-c", "4", "-t", "50", "--rate=2000"]);
        pgbench(&url, 200, &["-c", "4", "-t", "50", "--max-tries=5"]);
        // Each transaction of the writing scripts wrote one row: none is lost.
        let history = "SELECT count(*) FROM pgbench_history";
        assert_eq!(psql(&url, history), (200 * 6 + 40 + 400).to_string());
        let sums = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = \
                    (SELECT sum(delta) FROM pgbench_history)";
        assert_eq!(psql(&url, sums), "t");
    }
}

#[test]
fn pipelines_and_variables_from_results() {
    let proxy = proxy(4);
    let url = url(&proxy, "innovate");
    let pipeline = site().write_new(
        ".sql",
        "\\set n random(1, 1000)\n\
         \\startpipeline\n\
         BEGIN;\n\
         SELECT count(*) FROM users;\n\
         INSERT INTO wellness_entries (user_id, organization_id, entry_type, value) \
         SELECT id, organization_id, 'piped', :n FROM users;\n\
         COMMIT;\n\
         SELECT email FROM users;\n\
         \\endpipeline\n",
    );
    for protocol in ["extended", "prepared"] {
        let script = pipeline.to_str().unwrap();
        let arguments = ["-c", "4", "-t", "50", "-M", protocol, "-f", script];
        pgbench(&url, 200, &arguments);
    }
    let count = "SELECT count(*) FROM wellness_entries WHERE entry_type = 'piped'";
    assert_eq!(psql(&url, count), "400");
    // A division by zero where a result is not that of the tenant.
    let one = "SELECT count(*) AS n, min(length(email)) AS len FROM users \\gset own_\n\
               SELECT 1 / (:own_n = 1 AND :own_len = 22)::int;\n";
    let several = "SELECT 1 AS a \\; SELECT count(*) AS b FROM users \\aset\n\
                   SELECT 1 / (:a + :b = 2)::int;\n";
    let both = [
        (one, ["simple", "extended", "prepared"].as_slice()),
        (several, &["simple"]),
    ];
    for (text, protocols) in both {
        let script = site().write_new(".sql", text);
        for protocol in protocols {
            let script = script.to_str().unwrap();
            pgbench(
                &url,
                200,
                &["-c", "4", "-t", "50", "-M", protocol, "-f", script],
            );
        }
    }
}
