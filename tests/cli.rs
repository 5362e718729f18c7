//! The program's commands that need no server, and its exit codes.

#![allow(clippy::unwrap_used)]

use pgtenant::directory::Verifier;
use std::process::{Command, Output};
use testkit::{fed, stderr, stdout};

fn pgtenant(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgtenant"));
    fed(command.args(arguments), input)
}

#[test]
fn the_rules_are_listed_with_what_opens_them() {
    let output = pgtenant(&["rules"], "");
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    for rule in pgtenant::guard::rules() {
        assert!(
            text.contains(&format!("{} ({})", rule.name, rule.sqlstate)),
            "{rule:?}"
        );
    }
    let page = include_str!("../docs/rules.md");
    for rule in pgtenant::guard::rules() {
        let row = format!("| `{}` | {} |", rule.name, rule.catches);
        assert!(page.contains(&row), "docs/rules.md lacks {row}");
    }
    assert!(text.contains("guard.opaque = \"allow\""));
    assert!(text.contains("guard.channels = \"allow\""));
}

#[test]
fn help_names_every_command_and_every_exit_code() {
    let output = pgtenant(&["--help"], "");
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    for word in [
        "run",
        "demo",
        "check",
        "provision",
        "verifier",
        "Exit codes",
        "  0  ",
        "  3  ",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

/// The commands that `--help` lists.
fn commands() -> Vec<String> {
    let help = stdout(&pgtenant(&["--help"], ""));
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let names = list
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let names = names.filter(|name| *name != "help").map(str::to_owned);
    let names: Vec<_> = names.collect();
    assert!(names.iter().any(|name| name == "run"), "{help}");
    names
}

#[test]
fn completions_know_every_command_in_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = pgtenant(&["completions", shell], "");
        assert_eq!(output.status.code(), Some(0));
        let script = stdout(&output);
        for command in commands() {
            assert!(script.contains(&command), "{shell} lacks {command}");
        }
    }
    assert_eq!(pgtenant(&["completions", "csh"], "").status.code(), Some(2));
}

#[test]
fn bash_completes_a_command() {
    let script = stdout(&pgtenant(&["completions", "bash"], ""));
    let ask = "COMP_WORDS=(pgtenant verif); COMP_CWORD=1\n\
               _pgtenant pgtenant verif pgtenant; echo \"${COMPREPLY[@]}\"\n";
    let mut bash = Command::new("bash");
    let output = fed(&mut bash, &format!("{script}\n{ask}"));
    assert_eq!(stdout(&output).trim(), "verifier", "{}", stderr(&output));
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("man1");
    let output = pgtenant(&["man", folder.to_str().unwrap()], "");
    assert_eq!(output.status.code(), Some(0));
    for command in commands() {
        let page = folder.join(format!("pgtenant-{command}.1"));
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
    }
    let main = std::fs::read_to_string(folder.join("pgtenant.1")).unwrap();
    assert!(main.contains("Exit codes"));
    assert!(!folder.join("pgtenant-help.1").exists());
}

#[test]
fn the_version_is_the_packages() {
    let text = stdout(&pgtenant(&["--version"], ""));
    assert_eq!(text, concat!("pgtenant ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    for arguments in [
        &["frobnicate"][..],
        &["run"],
        &["demo", "--port", "70000"],
        &[],
    ] {
        assert_eq!(
            pgtenant(arguments, "").status.code(),
            Some(2),
            "{arguments:?}"
        );
    }
}

#[test]
fn verifier_prints_a_verifier_of_the_line_that_it_reads() {
    let output = pgtenant(&["verifier"], "correct horse\r\nanother line\n");
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    text.trim_end().parse::<Verifier>().unwrap();
    assert!(!text.contains("horse"));
    // The salt is fresh each time.
    assert_ne!(text, stdout(&pgtenant(&["verifier"], "correct horse\n")));
}

#[test]
fn verifier_refuses_an_empty_password() {
    for input in ["", "\n", "\r\n"] {
        let output = pgtenant(&["verifier"], input);
        assert_eq!(output.status.code(), Some(2), "{input:?}");
        assert!(stdout(&output).is_empty());
        assert!(stderr(&output).contains("the password is empty"));
    }
}

#[test]
fn check_reports_a_missing_file_as_a_configuration_error() {
    let output = pgtenant(&["check", "--config", "/no/such/pgtenant.toml"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("/no/such/pgtenant.toml"));
}

#[test]
fn check_reports_all_problems_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pgtenant.toml");
    std::fs::write(&file, "[pool]\nsize = \"many\"\nshrae = \"tenant\"\n").unwrap();
    let output = pgtenant(&["check", "--config", file.to_str().unwrap()], "");
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("pool.size"), "{text}");
    assert!(text.contains("pool.shrae"), "{text}");
    assert!(stdout(&output).is_empty());
}

#[test]
fn run_refuses_a_configuration_that_check_refuses() {
    let output = pgtenant(&["run", "--config", "/no/such/pgtenant.toml"], "");
    assert_eq!(output.status.code(), Some(2));
}
