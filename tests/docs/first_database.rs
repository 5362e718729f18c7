//! docs/first-database.md does what it says: its commands run in their order, in one
//! shell, against a real server, and show what the page shows.
//!
//! Blocks of `sh` are run. A block of `text` is what the one before shows: `…` in it is
//! any text, and a line of its own any lines. Other blocks are for the reader alone.

use super::blocks::blocks;
use pgtenant::throwaway::{CertifiedKey, Cluster, ClusterOptions, TlsOptions};
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use testkit::{PATIENCE, Programs, program, succeeds};

const PAGE: &str = include_str!("../../docs/first-database.md");

/// A block that is run, and what it shows.
struct Step {
    line: usize,
    commands: String,
    shown: String,
}

/// The steps of the page, with these ports in the place of its own.
fn steps(server: u16, proxy: u16) -> Vec<Step> {
    let (server, proxy) = (server.to_string(), proxy.to_string());
    let ports = |text: &str| text.replace("5432", &server).replace("6432", &proxy);
    let mut steps: Vec<Step> = Vec::new();
    let mut shown = 0;
    for block in blocks(PAGE) {
        match &*block.language {
            "sh" => steps.push(Step {
                line: block.line,
                commands: ports(&block.text),
                shown: String::new(),
            }),
            "text" => {
                steps.last_mut().unwrap().shown = ports(&block.text);
                shown += 1;
            }
            _ => {}
        }
    }
    assert!(steps.len() > 10 && shown > 7, "{} {shown}", steps.len());
    steps
}

/// Whether `text` is what `pattern` says.
fn fits(pattern: &[&str], text: &[&str]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((&"…", rest)), None) => fits(rest, text),
        (Some((&"…", rest)), Some((_, fewer))) => fits(rest, text) || fits(pattern, fewer),
        (Some((line, rest)), Some((seen, fewer))) => line_fits(line, seen) && fits(rest, fewer),
        _ => false,
    }
}

fn line_fits(pattern: &str, line: &str) -> bool {
    let (first, parts) = match pattern.split_once('…') {
        None => return pattern == line,
        Some((first, rest)) => (first, rest.split('…').collect::<Vec<_>>()),
    };
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let (last, between) = parts.split_last().unwrap();
    for part in between {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The lines, without spaces at their ends and empty ones at the end.
fn lines(text: &str) -> Vec<&str> {
    text.trim_end().lines().map(str::trim_end).collect()
}

/// The shell, and what it has started: nothing of it outlives a test.
struct Shell(Child);

impl Drop for Shell {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.0.wait();
    }
}

/// A server with a certificate as PostgreSQL's manual makes it.
fn server(programs: &Programs) -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("openssl")
        .args(["req", "-new", "-x509", "-days", "365", "-nodes", "-text"])
        .args(["-out", "server.crt", "-keyout", "server.key"])
        .args(["-subj", "/CN=localhost"])
        .current_dir(folder.path())
        .output();
    succeeds("openssl", &made.unwrap());
    let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
    let options = ClusterOptions {
        bin_dir: Some(programs.folder.clone()),
        tls: Some(TlsOptions {
            server: CertifiedKey {
                certificate_pem: read("server.crt"),
                key_pem: read("server.key"),
            },
            client_ca_pem: None,
        }),
        ..ClusterOptions::default()
    };
    Cluster::start(&options).unwrap()
}

/// Runs the steps in one shell, each with a file for what it shows.
fn run(steps: &[Step], cluster: &Cluster, folder: &Path) {
    let mut script = String::new();
    for (number, step) in steps.iter().enumerate() {
        let commands = &step.commands;
        let _ = writeln!(script, "{{\n{commands}}} > shown.{number} 2>&1");
    }
    fs::write(folder.join("script"), script).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let programs = [program(), cluster.client_program("psql")];
    let folders = programs.iter().filter_map(|program| program.parent());
    let folders = folders.map(Path::to_owned);
    let path = std::env::join_paths(folders.chain(std::env::split_paths(&path))).unwrap();
    let shell = Command::new("bash")
        .arg("script")
        .current_dir(folder)
        .env("PATH", path)
        .env("PGPASSWORD", cluster.superuser_password())
        .stdin(Stdio::null())
        .process_group(0)
        .spawn();
    let mut shell = Shell(shell.unwrap());
    // A step that does not end shows less than the page, and fails by that.
    let deadline = Instant::now() + 2 * PATIENCE;
    while shell.0.try_wait().unwrap().is_none() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
}

fn page_runs_on(major: u32) {
    let Some(programs) = Programs::find(major) else {
        return;
    };
    let cluster = server(&programs);
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let steps = steps(cluster.port(), port);
    run(&steps, &cluster, folder.path());
    for (number, step) in steps.iter().enumerate() {
        let file = folder.path().join(format!("shown.{number}"));
        let shown = fs::read_to_string(file).unwrap_or_default();
        assert!(
            fits(&lines(&step.shown), &lines(&shown)),
            "docs/first-database.md, line {}:\n{}\nshows\n{shown}\nand not\n{}",
            step.line,
            step.commands,
            step.shown
        );
    }
}

#[test]
fn the_first_database_is_protected_on_postgresql_15() {
    page_runs_on(15);
}

#[test]
fn the_first_database_is_protected_on_postgresql_18() {
    page_runs_on(18);
}

#[test]
fn what_is_left_out_fits_and_what_differs_does_not() {
    let fits = |pattern, text| fits(&lines(pattern), &lines(text));
    assert!(fits("a\n…\nd", "a\nb\nc\nd"));
    assert!(fits("(PostgreSQL …)", "(PostgreSQL 15.20)"));
    assert!(fits("… a … b", "1 a 2 b"));
    assert!(!fits("a\n…\nd", "a\nb\nc"));
    assert!(!fits("a\nb", "a"));
    assert!(!fits("a … c", "a b d"));
}
