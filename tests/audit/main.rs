//! The audit log: what is recorded, that it can be trusted, and what happens when it
//! cannot be written.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod application_name;
mod failure;
mod files;
mod statements;

use pgtenant::directory::Verifier;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use testkit::{Fields, INNOVATE, Options, Proxy, Raw, SYNERGY, program, wait_until};

/// A proxy with an audit log.
struct Audited {
    proxy: Proxy,
    folder: tempfile::TempDir,
}

impl Audited {
    /// With these lines in `[audit]`.
    fn start(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let proxy = Proxy::start(&options(&folder.path().join("audit.jsonl"), lines));
        Self { proxy, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    fn records(&self) -> Vec<Value> {
        records(&self.file())
    }

    /// The records of this event, once there are so many.
    fn wait_for(&self, event: &str, count: usize) -> Vec<Value> {
        let mut found = Vec::new();
        wait_until(&format!("there are {count} records of {event}"), || {
            found = self.records();
            found.retain(|record| record["event"] == event);
            found.len() >= count
        });
        assert_eq!(found.len(), count, "{found:#?}");
        found
    }

    fn stop(&mut self) {
        self.proxy.terminate();
        assert_eq!(self.proxy.wait().code(), Some(0));
    }

    /// The same configuration in a new process.
    fn restart(&mut self) {
        let password = self.proxy.password.clone();
        let config = self.proxy.config.clone();
        self.proxy = Proxy::run(&config);
        self.proxy.password = password;
    }

    fn log_in(&self, login: &str, password: &str) -> Result<Raw, Fields> {
        let parameters = [("user", login), ("database", "wellness_corp_db")];
        Raw::log_in(self.proxy.port, password, &parameters)
    }
}

fn options(file: &Path, lines: &str) -> Options {
    Options {
        more: format!("[audit]\nfile = {:?}\n{lines}\n", file.to_str().unwrap()),
        ..Options::default()
    }
}

/// The whole records of a file.
fn records(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn audit(arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.arg("audit").args(arguments).output().unwrap()
}

fn told(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

/// Verifies files and returns what is said, and whether all is well.
fn verify(arguments: &[&str]) -> (bool, String) {
    let output = audit(&[&["verify"], arguments].concat());
    (output.status.success(), told(&output))
}

/// The files of a log, without what is kept beside it.
fn log_files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path().to_str().unwrap().to_owned());
    let mut files: Vec<_> = paths.filter(|path| path.contains("audit.jsonl")).collect();
    files.retain(|path| !path.ends_with(".checkpoint") && !path.ends_with(".lock"));
    files.sort();
    files
}

#[test]
fn who_comes_and_goes_and_what_is_refused_is_recorded() {
    let mut audited = Audited::start("");
    let mut client = audited.proxy.raw("innovate");
    assert_eq!(client.error("SET ROLE 'secret'").code(), "42501");
    assert_eq!(client.value("SELECT 1"), "1");
    drop(client);
    let logout = audited.wait_for("logout", 1).remove(0);
    assert_eq!(
        audited.log_in("innovate", "wrong").unwrap_err().code(),
        "28P01"
    );
    let refused = audited.wait_for("login_refused", 1).remove(0);
    assert_eq!(refused["login"], "innovate");
    assert_eq!(refused["tenant"], INNOVATE);
    assert_eq!(refused["sqlstate"], "28P01");
    assert!(
        refused["client"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );

    let login = audited.wait_for("login", 1).remove(0);
    for (key, value) in [
        ("login", "innovate"),
        ("tenant", INNOVATE),
        ("method", "scram"),
    ] {
        assert_eq!(login[key], value);
    }
    assert_eq!(login["tls"], false);
    assert_eq!(login["session"], logout["session"]);
    assert_eq!(logout["login"], "innovate");
    assert_eq!(
        (&logout["statements"], &logout["refused"]),
        (&2.into(), &1.into())
    );
    let refused = audited.wait_for("statement_refused", 1).remove(0);
    assert_eq!(refused["tenant"], INNOVATE);
    assert_eq!(refused["sqlstate"], "42501");
    assert_eq!(refused["text"], "SET ROLE ?");
    assert_eq!(refused["session"], login["session"]);
    assert_eq!(refused["statement"], 1);
    assert!(refused["rule"].is_string() && refused["reason"].is_string());
    // Statements that pass are not.
    assert!(
        audited
            .records()
            .iter()
            .all(|record| record["event"] != "statement")
    );
    audited.stop();
    let names: Vec<_> = audited
        .records()
        .iter()
        .map(|one| one["event"].to_string())
        .collect();
    assert_eq!(names.first().unwrap(), "\"log_file\"");
    assert_eq!(names[1], "\"start\"");
    assert_eq!(names[names.len() - 2..], ["\"stop\"", "\"checkpoint\""]);
}

#[test]
fn changes_of_the_configuration_are_recorded_with_what_has_changed() {
    let audited = Audited::start("");
    audited.proxy.reload(|text| {
        let changed = text.replace("max_clients = 1000", "max_clients = 999");
        assert_ne!(changed, text);
        changed
    });
    let changed = audited.wait_for("configuration_changed", 1).remove(0);
    assert_eq!(changed["keys"], serde_json::json!(["listen.max_clients"]));
    assert_eq!(changed["source"], audited.proxy.config.to_str().unwrap());
    let text = std::fs::read_to_string(&audited.proxy.config).unwrap();
    std::fs::write(&audited.proxy.config, text + "\n[nonsense]\n").unwrap();
    audited.proxy.signal("HUP");
    wait_until("the refusal is recorded with its problem", || {
        let mut records = audited.records().into_iter();
        records.any(|record| {
            record["event"] == "configuration_refused"
                && record["problems"].to_string().contains("nonsense")
        })
    });
}

#[test]
fn one_client_s_end_of_another_is_recorded() {
    let audited = Audited::start("");
    let mut one = audited.proxy.raw("innovate");
    let mut other = audited.proxy.raw("innovate");
    let pid = other.value("SELECT pg_backend_pid()");
    assert_eq!(
        one.value(&format!("SELECT pg_terminate_backend({pid})")),
        "t"
    );
    let ended = audited.wait_for("session_ended", 1).remove(0);
    assert_eq!(ended["pid"].to_string(), pid);
    let logins = audited.wait_for("login", 2);
    assert_eq!(ended["session"], logins[0]["session"]);
    assert_eq!(logins[1]["pid"], ended["pid"]);
}

#[test]
fn a_tenant_s_records_are_proven_without_the_others() {
    let mut audited = Audited::start("statements = \"all\"");
    for login in ["innovate", "synergy", "innovate"] {
        let mut client = audited.proxy.raw(login);
        assert_eq!(client.value("SELECT 1"), "1");
    }
    audited.stop();
    let file = audited.file();
    let file = file.to_str().unwrap();
    let output = audit(&["export", "--tenant", SYNERGY, file]);
    assert!(output.status.success(), "{}", told(&output));
    let export = audited.folder.path().join("export.jsonl");
    std::fs::write(&export, &output.stdout).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains(INNOVATE));
    assert_eq!(text.lines().count(), 1 + 3);
    let path = export.to_str().unwrap();
    let (well, said) = verify(&[path]);
    assert!(well && said.contains("3 records"), "{said}");
    std::fs::write(&export, text.replace("SELECT ?", "DELETE ?")).unwrap();
    let (well, said) = verify(&[path]);
    assert!(
        !well && said.contains(":3: the record was changed"),
        "{said}"
    );
}

#[test]
fn administrators_are_recorded_with_what_they_do() {
    let verifier = Verifier::derive("admin secret");
    let admin = format!("[[admins]]\nuser = \"ops\"\nscram = \"{verifier}\"");
    let audited = Audited::start(&admin);
    let log_in = |password: &str| {
        let parameters = [("user", "ops"), ("database", "pgtenant")];
        Raw::log_in(audited.proxy.port, password, &parameters)
    };
    assert!(log_in("wrong").is_err());
    let refused = audited.wait_for("login_refused", 1).remove(0);
    assert_eq!(refused["login"], "ops");
    let mut console = log_in("admin secret").unwrap();
    let login = audited.wait_for("admin_login", 1).remove(0);
    assert_eq!(
        (&login["user"], &login["method"]),
        (&"ops".into(), &"scram".into())
    );
    console.query("PAUSE");
    let command = audited.wait_for("admin_command", 1).remove(0);
    assert_eq!(
        (&command["user"], &command["command"]),
        (&"ops".into(), &"PAUSE".into())
    );
    // It is a viewer.
    assert_ne!(command["outcome"], "done");
}
