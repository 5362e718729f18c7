//! `pgtenant demo` from its start to its end, as a stranger would use it.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use testkit::{stderr, wait_until};

/// A running demo and what its ready file says.
struct Demo {
    process: Child,
    ready: Value,
    ready_file: PathBuf,
    // Holds the ready file; removed with this value.
    _directory: tempfile::TempDir,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ready_file = directory.path().join("ready.json");
        let mut process = pgtenant_demo(arguments)
            .arg("--ready-file")
            .arg(&ready_file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_until("the ready file is there", || {
            if process.try_wait().unwrap().is_some() {
                let mut said = String::new();
                let _ = process.stderr.take().unwrap().read_to_string(&mut said);
                unreachable!("the demo ended: {said}");
            }
            ready_file.exists()
        });
        // It is written at once, so what is there is whole.
        let ready = serde_json::from_str(&fs::read_to_string(&ready_file).unwrap()).unwrap();
        Self {
            process,
            ready,
            ready_file,
            _directory: directory,
        }
    }

    fn text(&self, pointer: &str) -> &str {
        self.ready.pointer(pointer).unwrap().as_str().unwrap()
    }

    /// The directory of everything that the demo made.
    fn directory(&self) -> PathBuf {
        Path::new(self.text("/proxy/config_file"))
            .parent()
            .unwrap()
            .to_owned()
    }

    fn tenant(&self, name: &str) -> &Value {
        let tenants = self.ready["tenants"].as_array().unwrap();
        tenants
            .iter()
            .find(|tenant| tenant["name"] == name)
            .unwrap()
    }

    /// Runs SQL as a tenant, with the connection string that the demo gives.
    fn psql(&self, tenant: &str, sql: &[&str]) -> Output {
        psql(self.tenant(tenant)["url"].as_str().unwrap(), sql)
    }

    /// The rows that SQL gives a tenant.
    fn rows(&self, tenant: &str, sql: &str) -> Vec<String> {
        let output = self.psql(tenant, &[sql]);
        assert!(output.status.success(), "{tenant}: {}", stderr(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Tells it to stop, with a signal, and gives its exit code.
    fn stop(&mut self, signal: &str) -> Option<i32> {
        let pid = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let mut code = None;
        wait_until("the demo has ended", || {
            code = self.process.try_wait().unwrap();
            code.is_some()
        });
        code.unwrap().code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Only left running by a test that failed; its watcher cleans up.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn pgtenant_demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgtenant"));
    command.arg("demo").args(arguments);
    command
}

fn psql(url: &str, sql: &[&str]) -> Output {
    let mut command = Command::new("psql");
    command.env("PGCONNECT_TIMEOUT", "10");
    command.args(["-X", "-A", "-t", "-v", "VERBOSITY=verbose", "-d", url]);
    for statement in sql {
        command.args(["-c", statement]);
    }
    command.output().unwrap()
}

#[test]
fn every_tenant_sees_its_own_rows_and_nothing_is_left_behind() {
    let mut demo = Demo::start(&["--port", "0"]);

    // Row-level security: the same table, each its own rows.
    let sql = "SELECT DISTINCT organization_id FROM wellness_entries";
    for name in ["Innovate Inc.", "Synergy Corp"] {
        let id = demo.tenant(name)["id"].as_str().unwrap();
        assert_eq!(demo.rows(name, sql), [id]);
    }
    let count = "SELECT count(*) FROM wellness_entries";
    assert_eq!(demo.rows("Innovate Inc.", count), ["10"]);
    assert_eq!(demo.rows("Synergy Corp", count), ["12"]);

    // A schema each: the same name, each its own table, and no way to the other.
    let sql = "SELECT DISTINCT split_part(employee_email, '@', 2) FROM employee_logs";
    assert_eq!(demo.rows("Acme Health", sql), ["acme-health.example"]);
    assert_eq!(demo.rows("Globex", sql), ["globex.example"]);
    let other = demo.psql("Globex", &["SELECT * FROM acme_health.employee_logs"]);
    assert!(stderr(&other).contains("42501"), "{}", stderr(&other));

    // A database each.
    let sql = "SELECT email FROM users";
    assert_eq!(demo.rows("Initech", sql), ["grace@initech.example"]);
    assert_eq!(demo.rows("Umbrella", sql), ["grace@umbrella.example"]);

    // The tenant cannot be changed, and the refusal costs nothing else.
    let set = "SET session.current_organization_id = '22222222-2222-2222-2222-222222222222'";
    let refused = demo.psql("Innovate Inc.", &[set, count]);
    let said = stderr(&refused);
    assert!(
        said.contains("42501") && said.contains("session.current_organization_id"),
        "{said}"
    );
    assert_eq!(String::from_utf8_lossy(&refused.stdout), "10\n");

    let superuser = demo.text("/postgres/superuser_url").to_owned();
    assert!(psql(&superuser, &["SELECT 1"]).status.success());
    let directory = demo.directory();
    assert_eq!(demo.stop("-TERM"), Some(0));
    assert!(!directory.exists());
    assert!(!demo.ready_file.exists());
    assert!(!psql(&superuser, &["SELECT 1"]).status.success());
}

#[test]
fn the_ready_file_and_the_configuration_describe_the_demo() {
    let mut demo = Demo::start(&["--port", "0"]);
    assert_eq!(demo.text("/proxy/host"), "localhost");
    assert!(Path::new(demo.text("/proxy/ca_file")).exists());
    assert!(demo.ready["admin"].is_object());
    let kinds: Vec<_> = demo.ready["tenants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tenant| tenant["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "setting", "setting", "schema", "schema", "database", "database"
        ]
    );

    let config = demo.text("/proxy/config_file");
    let port = demo.ready["proxy"]["port"].as_u64().unwrap();
    assert!(
        fs::read_to_string(config)
            .unwrap()
            .contains(&format!("127.0.0.1:{port}"))
    );
    let check = Command::new(env!("CARGO_BIN_EXE_pgtenant"))
        // How many files may be open is the machine's affair.
        .args([
            "check",
            "--offline",
            "--ignore",
            "PGT009",
            // Its tenants of kind "setting" share a role.
            "--ignore",
            "PGT011 isolation.shared_tables",
            "--config",
            config,
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&check.stdout);
    let ignored = "not found, though it is to be ignored: PGT009\n\n";
    let expected = "configuration is valid: 6 tenants, 7 logins\n\nnothing found; ";
    assert!(
        said.replace(ignored, "").starts_with(expected),
        "{said}{}",
        stderr(&check)
    );

    // A login beside the application's sees masked data, of the same tenant.
    let masked = demo.text("/tenants/0/masked/url").to_owned();
    let sql = "SELECT email, password_hash IS NULL FROM users";
    let seen = psql(&masked, &[sql]).stdout;
    assert_eq!(String::from_utf8_lossy(&seen), "a***@innovate.example|t\n");
    assert!(
        !psql(&masked, &["SELECT * FROM public.users"])
            .status
            .success()
    );

    // Clear text between proxy and server is not even possible.
    let superuser = demo.text("/postgres/superuser_url").to_owned();
    let sql =
        "SELECT count(*) FROM pg_hba_file_rules WHERE user_name = '{all}' AND type <> 'hostssl'";
    assert_eq!(psql(&superuser, &[sql]).stdout, b"0\n");
    assert_eq!(demo.stop("-HUP"), Some(0));
}

#[test]
fn what_is_to_be_kept_stays() {
    let parent = tempfile::tempdir_in("/tmp").unwrap();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(parent.path(), everybody).unwrap();
    let directory = parent.path().join("kept");
    let mut demo = Demo::start(&["--port", "0", "--keep", directory.to_str().unwrap()]);
    assert_eq!(demo.stop("-INT"), Some(0));
    assert!(directory.join("pgtenant.toml").exists());
    assert!(directory.join("data/PG_VERSION").exists());
    assert!(!directory.join("data/postmaster.pid").exists());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = pgtenant_demo(&["--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains(&format!("port {port} is taken")), "{text}");
    assert!(text.contains("--port"), "{text}");
}

#[test]
fn a_folder_without_postgresql_is_named() {
    let output = pgtenant_demo(&["--port", "0", "--postgres-bin", "/no/such/folder"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("/no/such/folder"));
}
