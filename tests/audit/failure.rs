//! A log that cannot be written.

use super::{Audited, options, verify};
use pgtenant::directory::Verifier;
use std::process::Command;
use testkit::{Proxy, Raw, site, wait_until};

/// A proxy that can write files of so many KiB.
fn limited(kib: usize, lines: &str) -> Audited {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder.path().join("audit.jsonl"), lines);
    let first = Proxy::start(&options);
    let (config, password) = (first.config.clone(), first.password.clone());
    drop(first);
    let mut command = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -S -f {}; exec \"$@\"", 2 * kib);
    command.args(["-c", &script, "sh"]);
    let mut proxy = Proxy::run_by(command, &config);
    proxy.password = password;
    Audited { proxy, folder }
}

/// Lets it write as much as it likes.
fn free(audited: &Audited) {
    let pid = audited.proxy.pid().to_string();
    let freed = Command::new("prlimit")
        .args(["--pid", &pid, "--fsize=unlimited"])
        .status();
    assert!(freed.unwrap().success());
}

#[test]
fn with_stop_no_login_and_no_audited_statement_goes_unrecorded() {
    let verifier = Verifier::derive("a password");
    let admins = format!("[[admins]]\nuser = \"ops\"\nrole = \"operator\"\nscram = {verifier:?}\n");
    let mut audited = limited(
        64,
        &format!("statements = \"all\"\nbuffer = \"64KiB\"\n{admins}"),
    );
    let password = audited.proxy.password.clone();
    let console = [("user", "ops"), ("database", "pgtenant")];
    let administrator = |audited: &Audited| Raw::log_in(audited.proxy.port, "a password", &console);
    let mut admin = administrator(&audited).unwrap();
    let mut client = audited.log_in("innovate", &password).unwrap();
    let mut run = 0;
    let error = loop {
        let answer = client.query("SELECT 1");
        match answer.errors().pop() {
            Some(error) => break error,
            None => run += 1,
        }
        assert!(run < 100_000, "the log takes everything");
    };
    assert_eq!(error.code(), "53100");
    assert!(error.hint().contains("audit.file"), "{}", error.hint());
    // In a transaction, and in the extended protocol.
    assert_eq!(client.extended("SELECT 1").error().code(), "53100");
    assert_eq!(
        audited.log_in("synergy", &password).unwrap_err().code(),
        "53100"
    );
    // Nor does an administrator do anything; what is shown changes nothing.
    assert_eq!(administrator(&audited).unwrap_err().code(), "53100");
    assert_eq!(admin.error("PAUSE").code(), "53100");
    let line = audited.proxy.wait_for_log("no command goes unrecorded");
    assert!(
        line.contains("user=\"ops\"") && line.contains("PAUSE"),
        "{line}"
    );
    admin.run_ok("SHOW AUDIT");
    free(&audited);
    wait_until("statements run again", || {
        client.query("SELECT 1").errors().is_empty()
    });
    drop(client);
    admin.run_ok("PAUSE");
    admin.run_ok("RESUME");
    audited
        .log_in("synergy", &password)
        .unwrap()
        .run_ok("SELECT 1");
    audited.wait_for("logout", 2);
    audited.stop();
    let ran = audited.records();
    let ran = ran.iter().filter(|record| record["event"] == "statement");
    assert_eq!(ran.count(), run + 2);
    let (well, said) = verify(&[audited.file().to_str().unwrap()]);
    assert!(well, "{said}");
}

#[test]
fn with_count_everything_goes_on_and_what_is_lost_is_counted() {
    let mut audited = limited(64, "buffer = \"64KiB\"");
    let password = audited.proxy.password.clone();
    let mut client = audited.log_in("innovate", &password).unwrap();
    for _ in 0..1000 {
        assert_eq!(client.error("SET ROLE postgres").code(), "42501");
    }
    audited
        .log_in("synergy", &password)
        .unwrap()
        .run_ok("SELECT 1");
    free(&audited);
    let lost = audited.wait_for("records_lost", 1).remove(0);
    assert!(lost["records"].as_u64().unwrap() > 100);
    drop(client);
    audited.stop();
    let (well, said) = verify(&[audited.file().to_str().unwrap()]);
    assert!(well, "{said}");
}

#[test]
fn a_proxy_does_not_start_without_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let audited = Proxy::start(&options(&file, ""));
    let text = std::fs::read_to_string(&audited.config).unwrap();
    let text = text.replace(file.to_str().unwrap(), "/dev/full");
    let config = site().write_new(".toml", &text);
    let run = Command::new(testkit::program())
        .args(["run", "--config", config.to_str().unwrap()])
        .output();
    let run = run.unwrap();
    assert_eq!(run.status.code(), Some(1));
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(
        said.contains("cannot open the audit log /dev/full"),
        "{said}"
    );
}
