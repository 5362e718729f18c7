//! The page in a real browser, which `browser.js` drives.

use crate::client::Door;
use crate::{PASSWORD, proxy};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use testkit::{Options, Proxy, Raw, root, site};

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path);
    let mut programs = folders.flat_map(|folder| BROWSERS.map(|name| folder.join(name)));
    let found = programs.find(|program| program.is_file());
    found.expect("chromium is missing: run `deploy/setup --tests` to install it")
}

#[test]
fn a_browser_shows_it_and_runs_nothing_of_clients() {
    let log = site().file("browser-audit.jsonl");
    let _ = fs::remove_file(&log);
    let audit = format!("[audit]\nfile = {log:?}\n");
    let (proxy, door) = proxy(
        "tls = \"off\"",
        Options {
            more: audit,
            ..Options::default()
        },
    );
    let folder = tempfile::tempdir().unwrap();
    // To be looked at.
    let kept = std::env::var_os("PGTENANT_SCREENSHOTS").map(PathBuf::from);
    let shots = kept.as_deref().unwrap_or(folder.path());
    drive(&proxy, &door, &log, shots);
}

fn drive(proxy: &Proxy, door: &Door, log: &Path, shots: &Path) {
    let mut script = Command::new("node")
        .env(
            "NODE_PATH",
            root().join("target/test-clients/node/node_modules"),
        )
        .arg(root().join("tests/admin/browser.js"))
        .arg(chromium())
        .arg(format!("http://127.0.0.1:{}/", door.port))
        .args([PASSWORD.as_ref(), shots])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answers = script.stdin.take().unwrap();
    let mut clients = Clients::default();
    let asked = BufReader::new(script.stdout.take().unwrap());
    for word in asked.lines().map_while(Result::ok) {
        clients.act(&word, proxy, log);
        answer(&mut answers, &word);
    }
    assert!(script.wait().unwrap().success());
}

fn answer(script: &mut ChildStdin, word: &str) {
    // It has ended if this fails, which its exit status tells.
    let _ = writeln!(script, "{word} done");
}

/// Those who are connected.
#[derive(Default)]
struct Clients(Vec<(&'static str, Raw)>);

impl Clients {
    fn connect(&mut self, proxy: &Proxy, application: &'static str) {
        let client = proxy.raw_with("innovate", &[("application_name", application)]);
        self.0.push((application, client));
    }

    fn act(&mut self, word: &str, proxy: &Proxy, log: &Path) {
        match word {
            "clients" => {
                self.connect(proxy, "<script>alert(1)</script>");
                self.connect(proxy, "\"><img src=x onerror=alert(3)>");
                let (_, client) = &mut self.0[0];
                let sql = "SET session.\"<img src=x onerror=alert(2)>\" = 'x'; \
                           SELECT set_config('session.current_organization_id', '<b>', false)";
                client.error(sql);
                client.error("SET ROLE \"<img src=x onerror=alert(2)>\"");
            }
            "another" => self.connect(proxy, "another one"),
            "more" => self.connect(proxy, "one more"),
            "ended" => {
                let (_, client) = self.0.last_mut().unwrap();
                assert_eq!(client.refusal().code(), "57P01");
            }
            "tamper" => {
                let text = fs::read_to_string(log).unwrap();
                let changed = text.replacen("\"login\":\"innovate\"", "\"login\":\"somebody\"", 1);
                assert_eq!(text.len(), changed.len());
                assert_ne!(text, changed);
                fs::write(log, changed).unwrap();
            }
            other => panic!("asked for {other:?}"),
        }
    }
}
