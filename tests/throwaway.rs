//! The throwaway PostgreSQL server: start, use, restart, and leave nothing.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use pgtenant::throwaway::wellness::{self, SETTING_DATABASE};
use pgtenant::throwaway::{Authority, Cluster, ClusterError, ClusterOptions, TlsOptions};
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn start() -> Cluster {
    Cluster::start(&ClusterOptions::default()).unwrap()
}

/// `psql` as a stranger would use it, with everything in the connection string.
fn psql(cluster: &Cluster, conninfo: &str, sql: &str) -> Output {
    Command::new(cluster.client_program("psql"))
        .args(["-X", "-A", "-t", "-d", conninfo, "-c", sql])
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_cluster_starts_answers_and_is_gone_when_dropped() {
    let cluster = start();
    assert_eq!(cluster.psql("postgres", "SELECT 6 * 7").unwrap(), "42\n");
    let url = cluster.superuser_url("postgres");
    assert_eq!(stdout(&psql(&cluster, &url, "SHOW fsync")), "off");

    let (directory, port) = (cluster.directory().to_owned(), cluster.port());
    drop(cluster);
    assert!(!directory.exists());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_failed_statement_is_an_error_with_the_servers_message() {
    let cluster = start();
    let sql = "CREATE TABLE t (i int); SELECT no_such_column; DROP TABLE t;";
    let error = cluster.psql("postgres", sql).unwrap_err().to_string();
    assert!(error.contains("no_such_column"), "{error}");
    // It stopped there: the last statement did not run.
    assert_eq!(
        cluster.psql("postgres", "SELECT count(*) FROM t").unwrap(),
        "0\n"
    );
}

#[test]
fn the_superuser_needs_the_password() {
    let cluster = start();
    let socket = cluster.socket_dir().unwrap();
    for host in ["127.0.0.1", socket.to_str().unwrap()] {
        let port = cluster.port();
        let conninfo = format!("host={host} port={port} user=postgres dbname=postgres password=x");
        let output = psql(&cluster, &conninfo, "SELECT 1");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(
            errors.contains("password authentication failed"),
            "{errors}"
        );

        let conninfo = conninfo.replace("password=x", "password=");
        let conninfo = conninfo + cluster.superuser_password();
        assert_eq!(stdout(&psql(&cluster, &conninfo, "SELECT 1")), "1");
    }
}

#[test]
fn a_stopped_cluster_starts_again_on_its_port_with_its_data() {
    let mut cluster = start();
    let port = cluster.port();
    cluster
        .psql("postgres", "CREATE TABLE kept AS SELECT 1 AS i; CHECKPOINT")
        .unwrap();
    for immediate in [false, true] {
        if immediate {
            cluster.stop_immediate().unwrap();
        } else {
            cluster.stop_fast().unwrap();
        }
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        cluster.start_again().unwrap();
        assert_eq!(cluster.port(), port);
        assert_eq!(cluster.psql("postgres", "TABLE kept").unwrap(), "1\n");
    }
}

#[test]
fn settings_and_hba_lines_are_taken() {
    let cluster = Cluster::start(&ClusterOptions {
        max_connections: 17,
        settings: vec![("test.note".to_owned(), "it's mine".to_owned())],
        hba: Some(vec!["host all guest 127.0.0.1/32 trust".to_owned()]),
        ..ClusterOptions::default()
    })
    .unwrap();
    let shown = cluster.psql("postgres", "SHOW max_connections; SHOW test.note");
    assert_eq!(shown.unwrap(), "17\nit's mine\n");

    let roles = "CREATE ROLE guest LOGIN; CREATE ROLE stranger LOGIN";
    cluster.psql("postgres", roles).unwrap();
    let port = cluster.port();
    let conninfo = |user| format!("host=127.0.0.1 port={port} user={user} dbname=postgres");
    assert_eq!(stdout(&psql(&cluster, &conninfo("guest"), "SELECT 1")), "1");
    let refused = psql(&cluster, &conninfo("stranger"), "SELECT 1");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no pg_hba.conf entry"));
}

#[test]
fn tls_with_a_certificate_of_ours_is_verified_in_full() {
    let authority = Authority::new("Test CA").unwrap();
    let cluster = Cluster::start(&ClusterOptions {
        tls: Some(TlsOptions {
            server: authority.server(&["localhost", "127.0.0.1"]).unwrap(),
            client_ca_pem: None,
        }),
        ..ClusterOptions::default()
    })
    .unwrap();
    let ca = cluster.directory().join("ca.crt");
    std::fs::write(&ca, authority.certificate_pem()).unwrap();
    let conninfo = format!(
        "host=localhost port={} user=postgres password={} dbname=postgres \
         sslmode=verify-full sslrootcert={}",
        cluster.port(),
        cluster.superuser_password(),
        ca.display()
    );
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(stdout(&psql(&cluster, &conninfo, sql)), "t");

    std::fs::write(&ca, Authority::new("Another CA").unwrap().certificate_pem()).unwrap();
    let refused = psql(&cluster, &conninfo, sql);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("certificate verify failed"));
}

#[test]
fn a_directory_that_is_not_empty_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("precious");
    std::fs::write(&file, "").unwrap();
    let options = ClusterOptions {
        directory: Some(directory.path().to_owned()),
        ..ClusterOptions::default()
    };
    let error = Cluster::start(&options).unwrap_err();
    assert!(matches!(error, ClusterError::Directory { .. }), "{error}");
    assert!(file.exists());
}

#[test]
fn a_directory_that_is_kept_stays() {
    let parent = tempfile::tempdir().unwrap();
    // The server may run as another user, who must get there.
    let everybody = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(parent.path(), everybody).unwrap();
    let directory = parent.path().join("kept");
    let cluster = Cluster::start(&ClusterOptions {
        directory: Some(directory.clone()),
        keep: true,
        ..ClusterOptions::default()
    })
    .unwrap();
    drop(cluster);
    assert!(directory.join("data/PG_VERSION").exists());
    assert!(!directory.join("data/postmaster.pid").exists());
}

#[test]
fn a_folder_without_the_programs_is_refused() {
    let options = ClusterOptions {
        bin_dir: Some(Path::new("/").to_owned()),
        ..ClusterOptions::default()
    };
    let error = Cluster::start(&options).unwrap_err().to_string();
    assert!(error.contains("`initdb` is not in it"), "{error}");
}

#[test]
fn wellness_isolates_by_the_setting_the_role_and_the_database() {
    let cluster = start();
    wellness::load(&cluster, "app-password", b"role-key").unwrap();
    let app = |database: &str| {
        let port = cluster.port();
        format!("postgresql://wellness_app:app-password@127.0.0.1:{port}/{database}")
    };

    let entries = "SELECT count(*), count(DISTINCT organization_id) FROM wellness_entries";
    let unset = psql(&cluster, &app(SETTING_DATABASE), entries);
    assert!(String::from_utf8_lossy(&unset.stderr).contains("session.current_organization_id"));
    for (id, rows) in [("1", "10|1"), ("2", "12|1")] {
        let id = "11111111-1111-1111-1111-111111111111".replace('1', id);
        let options = format!("?options=-csession.current_organization_id%3D{id}");
        let url = app(SETTING_DATABASE) + &options;
        assert_eq!(stdout(&psql(&cluster, &url, entries)), rows);
    }

    let refused = psql(&cluster, &app("wellness_schemas"), "SELECT 1");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("permission denied for database"));
    let role = pgtenant::tenant::TenantRole::derive(b"role-key", "globex_app");
    let globex = format!(
        "postgresql://globex_app:{}@127.0.0.1:{}/wellness_schemas",
        role.password,
        cluster.port()
    );
    let own = "SELECT count(*) FROM globex.wellness_metrics";
    assert_eq!(stdout(&psql(&cluster, &globex, own)), "5");
    let other = psql(
        &cluster,
        &globex,
        "SELECT * FROM acme_health.wellness_metrics",
    );
    assert!(String::from_utf8_lossy(&other.stderr).contains("permission denied for schema"));

    for (database, email) in [
        ("wellness_initech", "grace@initech.example"),
        ("wellness_umbrella", "grace@umbrella.example"),
    ] {
        let users = "SELECT email FROM users";
        assert_eq!(stdout(&psql(&cluster, &app(database), users)), email);
        let refused = psql(
            &cluster,
            &globex.replace("wellness_schemas", database),
            users,
        );
        assert!(!refused.status.success());
    }
}

/// With this variable set, this test is the process that another test kills.
const VICTIM: &str = "PGTENANT_TEST_VICTIM";

#[test]
fn a_killed_process_leaves_neither_server_nor_files() {
    if std::env::var_os(VICTIM).is_some() {
        let cluster = start();
        println!("\n{VICTIM} {}", cluster.directory().display());
        loop {
            std::thread::park();
        }
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("a_killed_process_leaves_neither_server_nor_files")
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let directory = lines
        .map_while(Result::ok)
        .find_map(|line| Some(PathBuf::from(line.strip_prefix(VICTIM)?.trim())))
        .unwrap();
    let pid_file = directory.join("data/postmaster.pid");
    let pid_text = std::fs::read_to_string(pid_file).unwrap();
    let pid = pid_text.lines().next().unwrap();
    victim.kill().unwrap();
    victim.wait().unwrap();

    let alive = || {
        Command::new("kill")
            .args(["-0", pid])
            .output()
            .unwrap()
            .status
            .success()
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while directory.exists() || alive() {
        assert!(Instant::now() < deadline, "{} is left", directory.display());
        std::thread::sleep(Duration::from_millis(50));
    }
}
