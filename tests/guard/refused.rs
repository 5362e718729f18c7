//! Each rule and the statements that it refuses.

use crate::always::ALWAYS;
use crate::opened::OPENED;
use crate::{SETTING, guard, guard_with, options, refused};
use pgtenant::guard::{Guard, Own, Permission, Policy, rules};

/// Statements that each rule refuses.
fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rules = ALWAYS.iter().chain(OPENED);
    rules.flat_map(|(rule, statements)| statements.iter().map(|sql| (*rule, *sql)))
}

#[test]
fn each_rule_refuses_its_statements() {
    let guard = guard(SETTING);
    for (rule, sql) in statements() {
        assert_eq!(refused(&guard, sql), Some(rule), "{sql}");
    }
}

#[test]
fn every_rule_is_documented_and_named_once() {
    let mut names: Vec<_> = rules().iter().map(|rule| rule.name).collect();
    for rule in rules() {
        assert_eq!(rule.sqlstate.len(), 5, "{}", rule.name);
        assert!(
            !rule.catches.is_empty() && !rule.why.is_empty(),
            "{}",
            rule.name
        );
        assert!(rule.hint.ends_with('.'), "{}", rule.name);
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rules().len());
    /// These are no matter of the statement, and have tests of their own.
    const OTHERS: &[&str] = &[
        "text-encoding",
        "statement-length",
        "nesting",
        "fast-path",
        "internal",
        "read-only",
        "tenant-limit",
    ];
    for name in names {
        let listed = statements().any(|(rule, _)| rule == name);
        assert_ne!(listed, OTHERS.contains(&name), "{name}");
    }
}

#[test]
fn what_the_options_open_passes() {
    let open = guard_with(SETTING, Permission::Allow, Permission::Allow);
    for (rule, sql) in statements() {
        let opened = rules()
            .iter()
            .any(|r| r.name == rule && r.opened_by.is_some());
        assert_eq!(refused(&open, sql).is_none(), opened, "{sql}");
    }
    for hidden in [
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET session.current_organization_id = 'x' AS ''",
        "EXPLAIN ANALYZE SELECT set_config('session.current_organization_id', 'x', true)",
    ] {
        assert_eq!(refused(&open, hidden), Some("tenant-setting"), "{hidden}");
    }
}

/// What a tenant has for itself, and the rules of which nothing reaches further.
#[test]
fn what_reaches_nothing_but_the_tenants_own_passes_in_its_layout() {
    const OF_A_ROLE: &[&str] = &["hidden-code", "statistics", "table-locks"];
    const OF_A_DATABASE: &[&str] = &["notify", "large-objects", "advisory-locks"];
    for (own, passing) in [
        (Own::Rows, vec![]),
        (Own::Schema, vec!["explain-analyze"]),
        (Own::Role, [&["explain-analyze"], OF_A_ROLE].concat()),
        (
            Own::Database,
            [&["explain-analyze"], OF_A_ROLE, OF_A_DATABASE].concat(),
        ),
    ] {
        let judging = |permission| {
            let mut policy = Policy::new(options(permission, permission), [SETTING]);
            policy.own = own;
            Guard::new(policy)
        };
        let (own_alone, none) = (judging(Permission::Own), judging(Permission::Reject));
        for (rule, sql) in statements() {
            let passes = refused(&own_alone, sql).is_none();
            assert_eq!(passes, passing.contains(&rule), "{own:?}: {sql}");
            let passes = refused(&none, sql).is_none();
            assert_eq!(
                passes,
                rule == "explain-analyze" && passing.contains(&rule),
                "{own:?}: {sql}"
            );
        }
        for sql in [
            "CREATE DOMAIN pg_temp.uuid AS text",
            "CREATE DOMAIN d AS text CHECK (set_config('role', VALUE, false) IS NULL)",
            "CREATE TEMP VIEW v AS SELECT set_config('a.b', 'x', false)",
            "CREATE TEMP VIEW v AS TABLE pg_settings",
            "CREATE TEMP VIEW v AS TABLE pg_stat_activity",
        ] {
            assert!(refused(&own_alone, sql).is_some(), "{own:?}: {sql}");
        }
    }
}

#[test]
fn explain_analyze_passes_where_tenants_share_no_table() {
    let options = guard(SETTING).options();
    let mut policy = Policy::new(options, ["search_path"]);
    policy.own = Own::Schema;
    assert_eq!(
        refused(&Guard::new(policy), "EXPLAIN ANALYZE SELECT 1"),
        None
    );
}

#[test]
fn a_protected_search_path_is_changed_to_the_tenants_own_list_alone() {
    let guard = guard("search_path");
    for sql in [
        "SET search_path = a",
        "SET LOCAL SEARCH_PATH TO a",
        "SET SCHEMA 'a'",
        "SELECT set_config('Search_Path', '', false)",
        "SET search_path = 'a', pg_catalog",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = pg_catalog AS ''",
        "WITH x AS MATERIALIZED (SELECT set_config('search_path', 'a', true)) SELECT * FROM x",
    ] {
        let verdict = guard.inspect(sql.as_bytes());
        let rule = verdict.refusal.as_ref().map(|refusal| refusal.rule);
        let other = if sql.starts_with("CREATE") {
            "opaque-code"
        } else {
            "tenant-setting"
        };
        assert_eq!(rule, Some(other), "{sql}");
        let own = verdict.for_path(Some("\"a\""));
        let is_own = sql.contains("'a'") || sql.ends_with(['A', 'a']);
        assert_eq!(
            own.is_some(),
            is_own && !sql.contains("pg_catalog"),
            "{sql}"
        );
        assert!(own.is_none_or(|own| own.refusal.is_none()), "{sql}");
        assert!(verdict.for_path(Some("b")).is_none() && verdict.for_path(None).is_none());
    }
    for sql in [
        "RESET search_path",
        "SET search_path TO DEFAULT",
        "SET LOCAL search_path = PG_Catalog",
        "SELECT set_config('search_path', '\"pg_catalog\"', true)",
    ] {
        assert_eq!(refused(&guard, sql), None, "{sql}");
    }
    assert_eq!(
        refused(&guard, "SET session.current_organization_id = 'x'"),
        None
    );
}

#[test]
fn a_typing_mistake_reads_as_from_postgresql() {
    let verdict = guard(SETTING).inspect(b"SELEC 1");
    let refusal = verdict.refusal.as_ref().unwrap();
    assert_eq!(refusal.sqlstate, "42601");
    assert_eq!(refusal.message, "syntax error at or near \"SELEC\"");
    assert!(refusal.hint.contains("could not parse"));
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let guard = guard(SETTING);
    for sql in [
        &b"SELECT '\xff'"[..],
        b"SELECT 1\0; SET ROLE x",
        b"\xc0\x80",
        b"\xed\xa0\x80",
    ] {
        let verdict = guard.inspect(sql);
        assert_eq!(
            verdict.refusal.as_ref().map(|r| (r.rule, r.sqlstate)),
            Some(("text-encoding", "22021"))
        );
    }
}

#[test]
fn escapes_that_are_no_text_are_refused_or_pass_without_a_panic() {
    let guard = guard(SETTING);
    for sql in [
        r"SELECT E'\xff'",
        r"SELECT E'\377'",
        r#"SELECT U&"\00e9\d83d\de00""#,
        r"SELECT U&'\d83d'",
        r"SET a.b = E'\xff'",
        r"SELECT E'\000'",
    ] {
        assert_ne!(refused(&guard, sql), Some("internal"), "{sql}");
    }
    let long = format!("SELECT 1 AS \"{}\"", "é".repeat(62));
    assert_eq!(refused(&guard, &long), None);
    let odd = format!("SELECT 1 AS \"a{}\"", "é".repeat(62));
    assert_eq!(refused(&guard, &odd), None);
}

#[test]
fn startup_settings_are_judged_like_set() {
    let guard = guard(SETTING);
    let cases = [
        (SETTING, "x", Some("tenant-setting")),
        (
            "Session.Current-Organization-ID",
            "x",
            Some("tenant-setting"),
        ),
        ("role", "x", Some("role")),
        ("session_authorization", "x", Some("role")),
        ("client_encoding", "'utf-8'", None),
        ("client_encoding", "UNICODE", None),
        ("client_encoding", "SJIS", Some("client-encoding")),
        ("standard_conforming_strings", "off", Some("string-syntax")),
        ("standard-conforming-strings", "on", None),
        ("search_path", "evil,pg_catalog", Some("search-path")),
        ("search_path", "\"$user\", public", None),
        (
            "search_path",
            "nosuch, pg_temp, public",
            Some("search-path"),
        ),
        ("search_path", "\"$user\",pg_temp", Some("search-path")),
        ("search-path", "a, PG_TEMP_1", Some("search-path")),
        ("search_path", "pg_catalog, pg_temp", None),
        ("local_preload_libraries", "x", Some("isolation-setting")),
        ("application_name", "role", None),
        ("statement_timeout", "5s", None),
    ];
    for (name, value, rule) in cases {
        let refusal = guard.startup_setting(name, value, None);
        assert_eq!(refusal.map(|refusal| refusal.rule), rule, "{name}={value}");
    }
}
