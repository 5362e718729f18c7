//! The prepared statements that SQL names.

use crate::{SETTING, guard};
use pgtenant::guard::SqlName::{self, Deallocate, DeallocateAll, Execute, Prepare};

fn names(sql: &str) -> Vec<SqlName> {
    let guard = guard(SETTING);
    let verdict = guard.inspect(sql.as_bytes());
    assert_eq!(verdict.refusal, None, "{sql}");
    assert!(
        verdict.effects.sql_names.is_empty() || !guard.is_harmless(&verdict),
        "{sql}"
    );
    verdict.effects.sql_names.clone()
}

#[test]
fn every_name_is_told_in_the_order_of_the_string() {
    let name = Box::<str>::from;
    let cases = [
        ("SELECT 1", vec![]),
        ("PREPARE p AS SELECT 1", vec![Prepare(name("p"))]),
        ("PREPARE p (int) AS DELETE FROM t", vec![Prepare(name("p"))]),
        ("EXECUTE P(1)", vec![Execute(name("p"))]),
        ("EXECUTE \"P q\"", vec![Execute(name("P q"))]),
        ("EXECUTE U&\"\\0050\"", vec![Execute(name("P"))]),
        ("DEALLOCATE p", vec![Deallocate(name("p"))]),
        ("DEALLOCATE PREPARE p", vec![Deallocate(name("p"))]),
        (
            "DEALLOCATE pgtenant_1",
            vec![Deallocate(name("pgtenant_1"))],
        ),
        ("DEALLOCATE \"all\"", vec![Deallocate(name("all"))]),
        ("DEALLOCATE ALL", vec![DeallocateAll]),
        ("DISCARD ALL", vec![DeallocateAll]),
        ("DISCARD PLANS", vec![]),
        ("RESET ALL", vec![]),
        (
            "PREPARE a AS SELECT 1; EXECUTE a; SELECT 1; DEALLOCATE a; EXECUTE b; DEALLOCATE ALL",
            vec![
                Prepare(name("a")),
                Execute(name("a")),
                Deallocate(name("a")),
                Execute(name("b")),
                DeallocateAll,
            ],
        ),
    ];
    for (sql, expected) in cases {
        assert_eq!(names(sql), expected, "{sql}");
    }
}

#[test]
fn an_execute_within_another_statement_is_told() {
    for sql in [
        "EXPLAIN EXECUTE p",
        "EXPLAIN (COSTS off) EXECUTE p(1)",
        "CREATE TABLE t AS EXECUTE p",
        "CREATE TEMP TABLE t AS EXECUTE p(2)",
        "CREATE TABLE IF NOT EXISTS t AS EXECUTE p WITH NO DATA",
        "EXPLAIN CREATE TABLE t AS EXECUTE p",
    ] {
        assert_eq!(names(sql), [Execute("p".into())], "{sql}");
    }
}

#[test]
fn a_name_is_as_long_as_the_server_takes_it() {
    let long = "a".repeat(70);
    let expected = Box::from(&long[..63]);
    assert_eq!(names(&format!("EXECUTE {long}")), [Execute(expected)]);
}

#[test]
fn names_are_those_of_the_very_text() {
    let guard = guard(SETTING);
    for name in ["p", "q"] {
        let verdict = guard.inspect(format!("EXECUTE {name}(1, 'x')").as_bytes());
        assert_eq!(verdict.effects.sql_names, [Execute(name.into())]);
    }
}
