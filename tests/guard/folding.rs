//! Names as servers with an encoding of one byte fold them (LATIN5: İ is i).

use crate::{SETTING, guard, refused};
use pgtenant::guard::Effects;

#[test]
fn a_letter_that_some_servers_fold_hides_no_name() {
    let guard = guard(SETTING);
    for (sql, rule) in [
        (
            "SELECT SET_CONFİG('session.current_organization_id', 'x', false)",
            "tenant-setting",
        ),
        ("SELECT pg_catalog.set_confİg('role', 'x', true)", "role"),
        ("SELECT (x).set_confİg FROM t", "computed-setting"),
        ("SELECT SET_CONFİG($1, 'x', false)", "computed-setting"),
        (
            "SET session.current_organİzation_İd = 'x'",
            "tenant-setting",
        ),
        (
            "SET LOCAL session.\"current_organization_İd\" = 'x'",
            "tenant-setting",
        ),
        ("RESET SESSİON.current_organization_id", "tenant-setting"),
        ("SET session_authorİzation = 'x'", "role"),
        ("SET clİent_encoding = 'SJIS'", "client-encoding"),
        ("SET row_securİty = off", "isolation-setting"),
        ("SET standard_conformİng_strings = off", "string-syntax"),
        ("TABLE PG_STAT_ACTİVİTY", "other-sessions"),
        (
            "SELECT * FROM pg_catalog.pg_stat_get_actİvİty(NULL)",
            "other-sessions",
        ),
        ("UPDATE pg_settİngs SET setting = 'x'", "pg-settings"),
        ("CREATE VIEW v AS TABLE PG_SETTİNGS", "pg-settings"),
        ("SELECT pg_termİnate_backend(1)", "other-sessions"),
        ("SELECT pg_notİfy('a', 'b')", "notify"),
        ("SELECT bİnary_upgrade_x()", "server-control"),
        ("SELECT lo_İmport('x')", "server-files"),
        ("SELECT pg_read_fİle('x')", "server-files"),
        ("SELECT * FROM dblİnk('', '') AS t(a int)", "text-as-sql"),
    ] {
        assert_eq!(refused(&guard, sql), Some(rule), "{sql}");
    }
}

#[test]
fn other_names_and_literals_hold_any_letter() {
    let guard = guard(SETTING);
    for sql in [
        "SELECT 'SET_CONFİG', \"İsim\", é FROM \"İller\" AS ÜRÜN WHERE ad = 'İzmir'",
        "SELECT $$İ$$, E'\\u0130', U&'\\0130' -- İ",
        "SELECT 1 /* İ */ AS lİke",
        "SELECT İLLER.AD FROM İLLER",
    ] {
        let verdict = guard.inspect(sql.as_bytes());
        assert_eq!(verdict.refusal, None, "{sql}");
        assert_eq!(verdict.effects, Effects::default(), "{sql}");
    }
    // The server sets these, and no other.
    for sql in [
        "SET app.x = 'İ'",
        "SELECT set_config('app.İd', 'x', false)",
        "INSERT INTO İller (ad) VALUES ('İ')",
        "CREATE TABLE İller (ad text)",
    ] {
        assert_eq!(refused(&guard, sql), None, "{sql}");
    }
}

#[test]
fn a_function_that_may_be_another_one_is_not_thought_postgresqls() {
    let guard = guard(SETTING);
    let verdict = guard.inspect("SELECT sİn(1)".as_bytes());
    assert!(verdict.refusal.is_none() && verdict.effects.doubtful);
}

#[test]
fn a_temporary_relation_is_known_by_both_names() {
    let guard = guard(SETTING);
    let verdict = guard.inspect("CREATE TEMP TABLE İller (a int)".as_bytes());
    let names: Vec<_> = verdict.effects.temporary.iter().map(|n| &**n).collect();
    assert_eq!(names, ["İller", "iller"]);
}
