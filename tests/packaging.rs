//! What packages, images and manifests say, against what the program does.

#![allow(clippy::unwrap_used)]

use pgtenant::config::load_with;
use std::collections::BTreeSet;
use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join(path)).unwrap()
}

/// The number behind the words in a file.
fn number(path: &str, words: &str) -> u64 {
    let text = read(path);
    let (_, rest) = text.split_once(words).unwrap();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// The keys that keep a configuration from loading.
fn missing(path: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let problems = load_with(&path, []).unwrap_err();
    let keys = problems.iter().filter_map(|problem| problem.key.clone());
    keys.collect()
}

#[test]
fn a_pod_has_the_time_that_its_clients_have() {
    let pod = "deploy/kubernetes/base/deployment.yaml";
    let grace = number(pod, "terminationGracePeriodSeconds: ");
    let config = "deploy/kubernetes/base/pgtenant.toml";
    let delay = number(config, "drain_delay = \"");
    let drain = number(config, "drain_timeout = \"");
    assert!(grace > delay + drain, "{grace} {delay} {drain}");
}

#[test]
fn systemd_waits_longer_than_the_drain_takes() {
    let stop = number("deploy/pgtenant.service", "TimeoutStopSec=");
    let drain = number("config/pgtenant.toml", "# drain_timeout = \"");
    assert!(stop > drain);
}

#[test]
fn the_configuration_of_the_pods_lacks_nothing_but_secrets() {
    let secrets = [
        "admin.token_file",
        "directory.sql.password_file",
        "servers.main.ca",
        "servers.main.password_file",
        "tls.certificate",
        "tls.key",
    ];
    let expected: BTreeSet<_> = secrets.map(str::to_owned).into();
    assert_eq!(missing("deploy/kubernetes/base/pgtenant.toml"), expected);
}

#[test]
fn the_configuration_of_the_image_lacks_nothing_but_files() {
    let files = [
        "servers.main.ca",
        "servers.main.password_env",
        "tls.certificate",
        "tls.key",
    ];
    let expected: BTreeSet<_> = files.map(str::to_owned).into();
    assert_eq!(missing("deploy/container.toml"), expected);
}

#[test]
fn only_the_label_of_clients_selects_them() {
    // A label that is added to all selectors would be asked of clients too.
    let policy = read("deploy/kubernetes/base/networkpolicy.yaml");
    assert!(policy.contains("matchLabels:\n              pgtenant-client: \"true\"\n      ports"));
    let base = read("deploy/kubernetes/base/kustomization.yaml");
    assert!(!base.contains("includeSelectors"));
}

#[test]
fn the_package_names_files_that_are_there() {
    let manifest = read("Cargo.toml");
    let (_, assets) = manifest.split_once("\nassets = [\n").unwrap();
    let (assets, _) = assets.split_once("\n]\n").unwrap();
    let sources = assets.lines().filter_map(|line| line.split('"').nth(1));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for source in sources.filter(|source| !source.starts_with("target/")) {
        let named = source.split('*').next().unwrap();
        assert!(root.join(named).exists(), "{source}");
        count += 1;
    }
    assert!(count > 5);
}

#[test]
fn the_image_and_the_package_leave_the_demo_out() {
    for path in ["deploy/Dockerfile", "deploy/package", "deploy/release"] {
        let text = read(path);
        let mut builds = text.lines().filter(|line| line.contains("cargo build"));
        assert!(
            builds.all(|line| line.contains("--no-default-features")),
            "{path}"
        );
    }
}
