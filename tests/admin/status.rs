//! `pgtenant status`

use crate::proxy;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use testkit::{Options, Proxy, program, site, stderr, stdout};

fn status(config: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.arg("status").arg("--config").arg(config);
    command.args(arguments).output().unwrap()
}

/// A copy of the proxy's configuration, with the port that it has got.
fn known(proxy: &Proxy, port: u16, edit: impl FnOnce(String) -> String) -> std::path::PathBuf {
    let text = fs::read_to_string(&proxy.config).unwrap();
    let line = "address = \"127.0.0.1:0\"\ntoken_file";
    assert!(text.contains(line));
    let text = text.replace(line, &format!("address = \"0.0.0.0:{port}\"\ntoken_file"));
    site().write_new(".toml", &edit(text))
}

#[test]
fn the_status_of_a_running_proxy_is_told_with_every_check() {
    let (proxy, door) = proxy("", Options::default());
    let config = known(&proxy, door.port, |text| text);
    let output = status(&config, &[]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
    let first = format!("pgtenant at https://127.0.0.1:{}: ready\n", door.port);
    assert!(text.starts_with(&first), "{text}");
    for part in [
        "worker 0",
        "isolation setting",
        "server main: has not been asked yet",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let output = status(&config, &["--json"]);
    let value: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(value["status"], "ready");
    assert!(value["checks"].as_array().unwrap().len() >= 6);
}

#[test]
fn a_proxy_that_drains_or_has_ended_is_not_ready() {
    let (mut proxy, door) = proxy("", Options::default());
    let config = known(&proxy, door.port, |text| text);
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN");
    proxy.terminate();
    proxy.wait_for_log("draining");
    let output = status(&config, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout(&output).contains("FAIL  draining"),
        "{}",
        stdout(&output)
    );
    client.send_query("COMMIT");
    client.until_closed();
    proxy.wait();
    let output = status(&config, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let value: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(value["status"], "unknown");
}

#[test]
fn only_the_process_with_the_certificate_is_believed() {
    let (proxy, door) = proxy("", Options::default());
    // Of the same authority and for the same names.
    let other = site()
        .authority
        .server(&["localhost", "127.0.0.1"])
        .unwrap();
    let certificate = site().write_new(".crt", &other.certificate_pem);
    let key = site().write_new(".key", &other.key_pem);
    let config = known(&proxy, door.port, |text| {
        let lines = text.lines().map(|line| match line.split_once(" = ") {
            Some(("certificate", _)) => format!("certificate = {certificate:?}"),
            Some(("key", _)) => format!("key = {key:?}"),
            _ => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    let output = status(&config, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout(&output).contains("another certificate"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn what_is_missing_for_it_is_said() {
    let (proxy, door) = proxy("public = [\"/metrics\"]", Options::default());
    let config = known(&proxy, door.port, |text| {
        let lines = text.lines().filter(|line| !line.starts_with("token_file"));
        lines.collect::<Vec<_>>().join("\n")
    });
    let output = status(&config, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout(&output).contains("admin.token_file"),
        "{}",
        stdout(&output)
    );
    let without = Proxy::start(&Options::default());
    let output = status(&without.config, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("admin.address is not set"),
        "{}",
        stderr(&output)
    );
    let output = status(Path::new("/nonexistent.toml"), &[]);
    assert_eq!(output.status.code(), Some(2));
}
