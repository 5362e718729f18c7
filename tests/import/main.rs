//! `pgtenant import`: what becomes of a PgBouncer's configuration.
//!
//! Each `*.ini` of this folder, with the user list `*.txt` beside it if there is one,
//! becomes the `*.toml` beside it. `PGTENANT_WRITE_EXPECTED=1` writes those anew.
#![allow(clippy::unwrap_used, clippy::panic)]

mod errors;
mod property;
mod served;

use pgtenant::config::{Problem, load_with};
use pgtenant::directory::Verifier;
use pgtenant::import::{self, Imported, KEYS};
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::{fed, stderr, stdout};

/// Passwords in the files, none of which may ever be printed.
const PASSWORDS: [&str; 7] = [
    "hunter2-in-ini",
    "plain-password-of-job",
    "plain-password-of-stats",
    "silopass",
    "password=foo",
    "s a secret",
    "hidden-bind-password",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import")
}

fn samples() -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder()).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|ext| ext == "ini"))
        .collect();
    files.sort();
    assert!(files.len() >= 20);
    files
}

fn imported(ini: &Path) -> Imported {
    let users = ini.with_extension("txt");
    let users = users.exists().then_some(users);
    import::pgbouncer(ini, users.as_deref()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The text with every verifier replaced that is not in the user list: its salt is
/// another one each time.
fn settled(ini: &Path, toml: &str) -> String {
    let users = std::fs::read_to_string(ini.with_extension("txt")).unwrap_or_default();
    let mut settled = String::new();
    for line in toml.lines() {
        let verifier = line
            .split('"')
            .find(|part| part.parse::<Verifier>().is_ok());
        match verifier.filter(|verifier| !users.contains(*verifier)) {
            Some(verifier) => settled.push_str(&line.replace(verifier, "(a verifier)")),
            None => settled.push_str(line),
        }
        settled.push('\n');
    }
    settled
}

/// What does not load of it.
fn problems(toml: &str) -> Vec<Problem> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgtenant.toml");
    std::fs::write(&file, toml).unwrap();
    match load_with(&file, []) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().cloned().collect(),
    }
}

/// Every problem must be one that the text itself names.
fn assert_told(imported: &Imported, ini: &str) {
    for problem in problems(&imported.toml) {
        let key = problem.key.clone().unwrap_or_default();
        let is_marked = imported.decisions.contains(&key) || imported.files.contains(&key);
        assert!(is_marked, "{problem}\n{ini}\n{}", imported.toml);
    }
    for (word, keys) in [("DECIDE", &imported.decisions), ("FILE", &imported.files)] {
        for key in keys {
            let mark = format!("# {word} {key}:");
            assert!(imported.toml.contains(&mark), "{mark}\n{}", imported.toml);
        }
    }
}

#[test]
fn each_sample_becomes_what_is_expected() {
    let write = std::env::var_os("PGTENANT_WRITE_EXPECTED").is_some();
    for ini in samples() {
        let toml = settled(&ini, &imported(&ini).toml);
        let expected = ini.with_extension("toml");
        if write {
            std::fs::write(&expected, &toml).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        assert!(toml == expected, "{} became\n{toml}", ini.display());
    }
}

#[test]
fn what_does_not_load_is_named_in_the_text() {
    for ini in samples() {
        let text = std::fs::read_to_string(&ini).unwrap();
        assert_told(&imported(&ini), &text);
    }
}

#[test]
fn nothing_is_dropped_without_a_word() {
    for ini in samples() {
        let toml = imported(&ini).toml;
        for line in std::fs::read_to_string(&ini).unwrap().lines() {
            let line = line.trim();
            let Some((key, _)) = line.split_once('=') else {
                continue;
            };
            let key = key.rsplit(']').next().unwrap_or(key).trim();
            if !line.starts_with([';', '#', '%']) {
                let key = key.trim_matches('"');
                assert!(toml.contains(key), "{}: {key}\n{toml}", ini.display());
            }
        }
    }
}

#[test]
fn no_password_is_printed() {
    for ini in samples() {
        let toml = imported(&ini).toml;
        for password in PASSWORDS {
            assert!(!toml.contains(password), "{}: {password}", ini.display());
        }
    }
}

#[test]
fn a_plain_password_becomes_its_verifier() {
    let toml = imported(&folder().join("one_app.ini")).toml;
    let (_, job) = toml.split_once("user = \"shop_job\"").unwrap();
    let (_, job) = job.split_once("scram = \"").unwrap();
    let (verifier, _) = job.split_once('"').unwrap();
    let verifier: Verifier = verifier.parse().unwrap();
    assert!(verifier.is_of("plain-password-of-job"));
}

#[test]
fn every_key_of_pgbouncer_is_known() {
    let toml = imported(&folder().join("everything.ini")).toml;
    assert!(!toml.contains("has no such key"), "{toml}");
    let ini = std::fs::read_to_string(folder().join("everything.ini")).unwrap();
    for key in KEYS.iter().filter(|key| key.section == "pgbouncer") {
        let is_there = ini
            .lines()
            .any(|line| line.starts_with(&format!("{} =", key.name)));
        assert!(is_there || key.name == "service_name", "{}", key.name);
    }
}

#[test]
fn the_manual_has_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migrating.md");
    let manual = std::fs::read_to_string(&path).unwrap();
    let rows = |section: &str| {
        let keys = KEYS.iter().filter(|key| key.section == section);
        let rows = keys.map(|key| {
            let counterpart = match key.counterpart {
                "" => "–".to_owned(),
                key => format!("`{key}`"),
            };
            format!("| `{}` | {counterpart} | {} |\n", key.name, key.note)
        });
        rows.collect::<String>()
    };
    let (begin, end) = ("<!-- keys -->\n", "<!-- end of keys -->");
    let (before, rest) = manual.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let mut text = before.to_owned() + begin;
    for section in ["pgbouncer", "databases", "users", "peers"] {
        let head = "| pgbouncer.ini | pgtenant.toml | |\n|---|---|---|\n";
        text.push_str(&format!("\n### `[{section}]`\n\n{head}{}", rows(section)));
    }
    text = text + "\n" + end + after;
    if std::env::var_os("PGTENANT_WRITE_EXPECTED").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap() == text,
        "run with PGTENANT_WRITE_EXPECTED=1"
    );
}

#[test]
fn the_command_prints_the_configuration_and_what_is_left() {
    let ini = folder().join("silos.ini");
    let users = folder().join("silos.txt");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgtenant"));
    let output = fed(command.arg("import").args([&ini, &users]), "");
    assert_eq!(output.status.code(), Some(0));
    let expected = settled(&ini, &imported(&ini).toml);
    assert_eq!(settled(&ini, &stdout(&output)), expected);
    assert!(stderr(&output).contains("left to decide: 4"));
}
