//! A verdict that holds for other literals too: what was inspected before must
//! not change what is said of the next text.

use crate::corpus::corpus_statements;
use crate::regress::{files, literals};
use crate::{SETTING, guard_with, refused};
use pgtenant::guard::{Guard, Mode, Options, Permission, Policy};

/// What a literal is replaced by.
const STRINGS: &[&str] = &[
    "'session.current_organization_id'",
    "'set_config(''role'', ''x'', false)'",
    "''",
    "'role'",
    "'none'",
    "'client_encoding'",
    "'view, foreign-table'",
    "'SJIS'",
    "'off'",
    "'; SET ROLE x; --'",
    "'/*'",
];
const NUMBERS: &[&str] = &["0", "1", "25", "99999999", "2147483648", "007"];

#[test]
fn other_literals_get_the_verdict_that_they_get_alone() {
    for permission in [Permission::Reject, Permission::Allow] {
        let memory = guard_with(SETTING, permission, permission);
        let alone = without_memory(permission);
        let mut tried = 0;
        for (at, statement) in statements().enumerate() {
            let _ = memory.inspect(statement.as_bytes());
            for (turn, changed) in changed(&statement, at).into_iter().enumerate() {
                let expected = alone.inspect(changed.as_bytes());
                let found = memory.inspect(changed.as_bytes());
                // The server refuses it in the same words.
                let is_syntax = expected.refusal.as_ref().map(|r| r.rule) == Some("syntax");
                assert!(
                    found == expected || is_syntax,
                    "{turn}: {statement}\n{changed}\n{found:?}\n{expected:?}"
                );
                tried += 1;
            }
        }
        assert!(tried > 5_000, "{tried}");
    }
}

#[test]
fn a_known_shape_is_not_parsed_again() {
    let guard = guard_with(SETTING, Permission::Reject, Permission::Reject);
    let first = guard.inspect(b"UPDATE t SET a = 'x' WHERE id = 1");
    let second = guard.inspect(b"UPDATE t SET a = 'it''s' WHERE id = 222");
    // Effects as these are made anew for each text that is parsed.
    assert!(first.effects.writes && std::sync::Arc::ptr_eq(&first, &second));
}

#[test]
fn what_rests_on_a_literal_holds_for_the_very_text_alone() {
    const TENANT: &str = "22222222-2222-2222-2222-222222222222";
    let guard = guard_with(SETTING, Permission::Reject, Permission::Reject);
    for (passes, does_not) in [
        (
            "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings \
             WHERE name = 'restrict_nonsystem_relation_kind'",
            format!(
                "SELECT set_config(name, '{TENANT}', false) FROM pg_settings WHERE name = '{SETTING}'"
            ),
        ),
        (
            "SELECT set_config('lock_timeout', '5s', false)",
            format!("SELECT set_config('{SETTING}', '{TENANT}', false)"),
        ),
        (
            "SELECT 1, (SELECT set_config('work_mem', '64kB', true))",
            format!("SELECT 1, (SELECT set_config('{SETTING}', '{TENANT}', true))"),
        ),
        ("SET row_security = 1", "SET row_security = 0".to_owned()),
    ] {
        assert_eq!(refused(&guard, passes), None, "{passes}");
        assert_ne!(refused(&guard, &does_not), None, "{does_not}");
    }
}

fn statements() -> impl Iterator<Item = String> {
    let regress = files().into_iter().flat_map(|file| {
        let text = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
        let statements: Vec<_> = text.split_inclusive(";\n").map(str::to_owned).collect();
        statements
    });
    let corpus = corpus_statements().into_iter();
    let corpus = corpus.filter_map(|sql| String::from_utf8(sql).ok());
    let dump = "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'";
    [dump.to_owned()].into_iter().chain(corpus).chain(regress)
}

/// The statement with all literals replaced, and with each alone.
fn changed(statement: &str, seed: usize) -> Vec<String> {
    let places = literals(statement);
    let other = |turn: usize, literal: &str| match literal.starts_with('\'') {
        true => STRINGS[(seed + turn) % STRINGS.len()],
        false => NUMBERS[(seed + turn) % NUMBERS.len()],
    };
    let replaced = |chosen: &dyn Fn(usize) -> bool| {
        let mut text = String::new();
        let mut end = 0;
        for (turn, (start, literal)) in places.iter().enumerate().filter(|(turn, _)| chosen(*turn))
        {
            text += &statement[end..*start];
            text += other(turn, literal);
            end = start + literal.len();
        }
        text + &statement[end..]
    };
    let each = (0..places.len().min(8)).map(|one| replaced(&|turn| turn == one));
    each.chain([replaced(&|_| true)]).collect()
}

fn without_memory(permission: Permission) -> Guard {
    let options = Options {
        mode: Mode::Enforce,
        opaque: permission,
        channels: permission,
    };
    let mut policy = Policy::new(options, [SETTING]);
    policy.cache_size = 0;
    Guard::new(policy)
}
