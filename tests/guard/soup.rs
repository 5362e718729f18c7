//! Whatever the text, the guard answers.

use crate::{SETTING, guard, refused};
use proptest::prelude::*;

const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "SET",
    "LOCAL",
    "RESET",
    "ALL",
    "set_config",
    "(",
    ")",
    ",",
    ";",
    ".",
    "*",
    "'a'",
    "$1",
    "$$",
    "$a$",
    "E'\\",
    "U&\"\\0041\"",
    "\"x\"",
    "1",
    "1.5e3",
    "+",
    "=",
    "::",
    "text",
    "[",
    "]",
    "/*",
    "*/",
    "--",
    "\n",
    "CREATE",
    "TABLE",
    "TEMP",
    "VIEW",
    "FUNCTION",
    "AS",
    "DO",
    "BEGIN",
    "COPY",
    "TO",
    "STDOUT",
    "PROGRAM",
    "WITH",
    "RECURSIVE",
    "INSERT",
    "INTO",
    "VALUES",
    "UPDATE",
    "DELETE",
    "MERGE",
    "USING",
    "ON",
    "MATCHED",
    "THEN",
    "DISCARD",
    "DEALLOCATE",
    "PREPARE",
    "EXECUTE",
    "EXPLAIN",
    "ANALYZE",
    "ALTER",
    "ROLE",
    "POLICY",
    "GRANT",
    "role",
    "search_path",
    "pg_settings",
    "CASE",
    "WHEN",
    "END",
    "NOT",
    "NULL",
    "IN",
    "JSON_TABLE",
    "XMLTABLE",
    "COLUMNS",
    "PASSING",
    "OVER",
    "PARTITION",
    "BY",
    "ORDER",
    "DEFAULT",
    "CHECK",
];

proptest! {
    #[test]
    fn bytes_never_panic(sql in proptest::collection::vec(any::<u8>(), 0..200)) {
        let verdict = guard(SETTING).inspect(&sql);
        prop_assert_ne!(verdict.refusal.as_ref().map(|r| r.rule), Some("internal"));
    }

    #[test]
    fn words_never_panic(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..25)) {
        let sql = words.join(" ");
        prop_assert_ne!(refused(&guard(SETTING), &sql), Some("internal"));
    }

    #[test]
    fn names_in_any_case_and_quoting_are_found(upper in any::<u64>(), quoted in any::<bool>()) {
        let name: String = SETTING
            .chars()
            .enumerate()
            .map(|(at, c)| if upper >> (at % 64) & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .collect();
        let name = if quoted { format!("\"{name}\"") } else { name };
        let guard = guard(SETTING);
        prop_assert_eq!(refused(&guard, &format!("SET {name} = 'x'")), Some("tenant-setting"));
        prop_assert_eq!(refused(&guard, &format!("RESET {name}")), Some("tenant-setting"));
    }
}
