//! PostgreSQL's own regression tests: files in `tests/data/regress`, and all
//! of them when PGTENANT_REGRESS_DIR names their folder.

use crate::{SETTING, guard, guard_with, refused};
use pgtenant::guard::{Guard, Permission};
use std::path::{Path, PathBuf};

#[test]
fn the_guard_answers_on_every_statement() {
    let guard = guard(SETTING);
    let mut counts = (0, 0);
    for file in files() {
        let text = std::fs::read(&file).unwrap();
        answers(&guard, &text, &file);
        let text = String::from_utf8_lossy(&text);
        for statement in text.split_inclusive(";\n") {
            counts.0 += 1;
            counts.1 += usize::from(answers(&guard, statement.as_bytes(), &file));
        }
    }
    assert!(counts.0 > 1000 && counts.1 > counts.0 / 2, "{counts:?}");
    println!("{} of {} statements pass", counts.1, counts.0);
}

/// A literal stands where an expression may stand, or it does not parse.
#[test]
fn a_call_in_place_of_any_literal_is_refused() {
    const CALL: &str = "set_config('session.current_organization_id', 'x', true)";
    let guard = guard_with(SETTING, Permission::Allow, Permission::Allow);
    let mut tried = 0;
    for file in files() {
        let text = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&text);
        for statement in text.split_inclusive(";\n") {
            // What passes as it is, or is refused as opaque.
            if refused(&guard, statement) == Some("syntax") {
                continue;
            }
            for (start, literal) in literals(statement) {
                let (before, after) = (&statement[..start], &statement[start + literal.len()..]);
                let with = |part| format!("{before}{part}{after}");
                // Within a comment or a text anything parses; in a list of
                // storage parameters, or before a string, a call reads as a type.
                let is_type = is_parameter(before) || after.trim_start().starts_with('\'');
                if refused(&guard, &with(")(")) == Some("syntax") && !is_type {
                    tried += 1;
                    assert_ne!(refused(&guard, &with(CALL)), None, "{}", with(CALL));
                }
            }
        }
    }
    assert!(tried > 1000, "{tried}");
    println!("{tried} literals replaced");
}

fn is_parameter(before: &str) -> bool {
    let before = before.trim_end().to_uppercase();
    before.ends_with('=') && (before.contains("CREATE") || before.contains("ALTER"))
}

/// Strings and numbers, roughly: none with a prefix or with quotes inside.
pub(crate) fn literals(statement: &str) -> Vec<(usize, &str)> {
    let bytes = statement.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let word = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_' || **b >= 0x80;
        let length = match byte {
            b'\'' => statement[at + 1..].find('\'').map_or(1, |end| end + 2),
            b'0'..=b'9' => bytes[at..]
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .count(),
            b if word(&b) => {
                at += bytes[at..].iter().take_while(word).count();
                at += usize::from(bytes.get(at) == Some(&b'\''));
                continue;
            }
            _ => 0,
        };
        if bytes.get(at + length) == Some(&b'\'') && length > 0 {
            at += length + 1;
            continue;
        }
        if length > 0 {
            found.push((at, &statement[at..at + length]));
        }
        at += length.max(1);
    }
    found
}

fn answers(guard: &Guard, sql: &[u8], file: &Path) -> bool {
    let verdict = guard.inspect(sql);
    let rule = verdict.refusal.as_ref().map(|refusal| refusal.rule);
    let text = String::from_utf8_lossy(sql);
    let known = text.to_uppercase().contains("FOREIGN TABLE");
    let wrong = matches!(rule, Some("internal")) || (rule == Some("unknown-statement") && !known);
    assert!(!wrong, "{}: {text}", file.display());
    rule.is_none()
}

pub(crate) fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(testkit::regress_folder()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|e| e == "sql"))
        .collect()
}
