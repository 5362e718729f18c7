//! The command: its arguments, its files and its exit codes.

use super::lab::{Lab, own_database, run};
use std::process::Command;
use testkit::{stderr, stdout};

fn key(folder: &std::path::Path, name: &str, kind: &[&str]) -> String {
    let file = folder.join(name);
    let output = Command::new(env!("CARGO_BIN_EXE_pgtenant"))
        .args(["audit", "key"])
        .args(kind)
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success());
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_report_is_signed_and_verifies() {
    let lab = Lab::start(&own_database());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let report = file.to_str().unwrap();
    let private = key(folder.path(), "key", &[]);
    let public = format!("{private}.pub");
    let secret = key(folder.path(), "hmac", &["--hmac"]);
    let (one, two) = (lab.url("innovate"), lab.url("synergy"));
    for (signs, verifies) in [(&private, &public), (&secret, &secret)] {
        let output = run(&[
            "--login", &one, "--other", &two, "--json", report, "--key", signs,
        ]);
        assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
        let verify = |key: &str| run(&["--verify", report, "--key", key]);
        let output = verify(verifies);
        assert_eq!(output.status.code(), Some(0));
        let text = stdout(&output);
        assert!(text.contains("held") && text.contains("P13 "), "{text}");
        let written = std::fs::read_to_string(&file).unwrap();
        assert!(!written.contains(&lab.proxy.password));
        std::fs::write(&file, written.replacen("\"broken\": 0", "\"broken\": 1", 1)).unwrap();
        let output = verify(verifies);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stdout(&output).contains("does not verify"),
            "{}",
            stdout(&output)
        );
        std::fs::write(&file, &written).unwrap();
        let other = key(
            folder.path(),
            &format!("other-{}", written.len()),
            &["--hmac"],
        );
        assert_eq!(verify(&other).status.code(), Some(1));
        std::fs::write(&file, "{}").unwrap();
        assert_eq!(verify(verifies).status.code(), Some(1));
    }
}

#[test]
fn what_cannot_be_run_is_told_from_what_is_broken() {
    let lab = Lab::start(&own_database());
    let (one, two) = (lab.url("innovate"), lab.url("synergy"));
    let refused = |arguments: &[&str]| {
        let output = run(arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            stdout(&output)
        );
        stderr(&output)
    };
    let wrong = two.replace(&lab.proxy.password, "hunter2");
    let text = refused(&["--login", &one, "--other", &wrong]);
    assert!(
        text.contains("synergy") && !text.contains("hunter2"),
        "{text}"
    );
    let text = refused(&["--login", &one, "--other", &one]);
    assert!(text.contains("logins of two tenants"), "{text}");
    refused(&["--login", &one]);
    refused(&["--login", &one, "--other", "postgres://x:hunter2@h/d?y=1"]);
    refused(&["--login", &one, "--other", &two, "--key", "nowhere"]);
    refused(&[
        "--login",
        &one,
        "--other",
        &two,
        "--setting",
        "session.other",
    ]);
}

#[test]
fn passwords_come_from_files_and_urls_from_standard_input() {
    let lab = Lab::start(&own_database());
    let without = |login: &str| {
        lab.url(login)
            .replace(&format!(":{}@", lab.proxy.password), "@")
    };
    let (one, two) = (without("innovate"), without("synergy"));
    let password = lab
        .site
        .write_new(".password", &format!("{}\n", lab.proxy.password));
    let password = password.to_str().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgtenant"));
    command.args(["prove", "--login", "-", "--other", "-"]);
    command.args(["--login-password", password, "--other-password", password]);
    let output = testkit::fed(&mut command, &format!("{one}\n{two}\n"));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("logins innovate and synergy"));
}
