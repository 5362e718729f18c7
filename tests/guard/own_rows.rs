//! Views of all sessions, which the server is asked for one's own rows alone.

use crate::{SETTING, guard, guard_with, options, refused};
use pgtenant::guard::{Guard, Mode, Options, Own, Permission, Policy};

/// The query that stands in the place of a view with a row for each process.
fn own(view: &str) -> String {
    format!(
        "(SELECT * FROM pg_catalog.{view} WHERE pid OPERATOR(pg_catalog.=) \
         pg_catalog.pg_backend_pid() OFFSET 0)"
    )
}

fn sent(guard: &Guard, sql: &str) -> Option<String> {
    let verdict = guard.inspect(sql.as_bytes());
    assert_eq!(verdict.refusal, None, "{sql}");
    verdict
        .instead
        .as_ref()
        .map(|instead| instead.text.to_string())
}

#[test]
fn the_server_is_sent_a_query_in_the_place_of_each_view() {
    let guard = guard(SETTING);
    let [ssl, activity] = ["pg_stat_ssl", "pg_stat_activity"].map(own);
    for (sql, expected) in [
        ("SELECT ssl FROM pg_stat_ssl", format!("SELECT ssl FROM {ssl} AS pg_stat_ssl")),
        (
            "select a.* , S.ssl from PG_STAT_ACTIVITY a join pg_catalog . \"pg_stat_ssl\" s using(pid);",
            format!("select a.* , S.ssl from {activity} a join {ssl} s using(pid);"),
        ),
        (
            "SELECT (SELECT count(*) FROM pg_stat_ssl) FROM t; SELECT 1",
            format!("SELECT (SELECT count(*) FROM {ssl} AS pg_stat_ssl) FROM t; SELECT 1"),
        ),
        (
            "WITH a AS (SELECT * FROM pg_stat_ssl) SELECT a.pid, $1 FROM a WHERE 'é' > $2",
            format!("WITH a AS (SELECT * FROM {ssl} AS pg_stat_ssl) SELECT a.pid, $1 FROM a WHERE 'é' > $2"),
        ),
        (
            "EXPLAIN SELECT pg_catalog.pg_stat_ssl.pid FROM pg_catalog.pg_stat_ssl",
            format!("EXPLAIN SELECT pg_stat_ssl.pid FROM {ssl} AS pg_stat_ssl"),
        ),
        (
            "PREPARE p AS SELECT pg_stat_ssl FROM pg_stat_ssl",
            format!("PREPARE p AS SELECT pg_stat_ssl FROM {ssl} AS pg_stat_ssl"),
        ),
        (
            "DECLARE c CURSOR FOR SELECT * FROM pg_stat_ssl AS s(a, b)",
            format!("DECLARE c CURSOR FOR SELECT * FROM {ssl} AS s(a, b)"),
        ),
        (
            "COPY (SELECT * FROM pg_stat_ssl) TO STDOUT",
            format!("COPY (SELECT * FROM {ssl} AS pg_stat_ssl) TO STDOUT"),
        ),
        (
            "UPDATE t SET a = ssl FROM pg_stat_ssl",
            format!("UPDATE t SET a = ssl FROM {ssl} AS pg_stat_ssl"),
        ),
        (
            "MERGE INTO t USING pg_stat_ssl s ON s.pid = t.a WHEN MATCHED THEN DELETE",
            format!("MERGE INTO t USING {ssl} s ON s.pid = t.a WHEN MATCHED THEN DELETE"),
        ),
        (
            "SELECT * FROM pg_stat_replication",
            "SELECT * FROM (SELECT * FROM pg_catalog.pg_stat_replication WHERE false OFFSET 0) AS pg_stat_replication".to_owned(),
        ),
        (
            "SELECT pg_blocking_pids(pid), pg_catalog.pg_blocking_pids ( 1 + 2 ) FROM t",
            "SELECT pg_catalog.pg_blocking_pids(0 OPERATOR(pg_catalog.&) pid), pg_catalog.pg_blocking_pids(0 OPERATOR(pg_catalog.&)  1 + 2 ) FROM t".to_owned(),
        ),
    ] {
        assert_eq!(sent(&guard, sql).as_deref(), Some(&*expected), "{sql}");
        // From the cache, too; and what is sent is what passes.
        assert_eq!(sent(&guard, sql).as_deref(), Some(&*expected), "{sql}");
        assert_eq!(sent(&guard, &expected), None, "{expected}");
    }
}

/// Without the barrier a condition of the statement around it would be evaluated on
/// the rows of all sessions.
#[test]
fn a_query_that_only_looks_like_it_gets_one_in_its_place() {
    let guard = guard(SETTING);
    for (sql, barriers) in [
        (
            "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
            1,
        ),
        (
            "SELECT 1 FROM (SELECT * FROM pg_stat_activity WHERE pid = pg_backend_pid()) a \
             WHERE set_config('a.b', a.query, false) IS NOT NULL",
            1,
        ),
        (&own("pg_stat_ssl").replace("OFFSET 0", "OFFSET 1"), 1),
        (&own("pg_stat_ssl").replace(" OFFSET 0", ""), 1),
        // The same but for a literal.
        (
            &own("pg_locks").replace(" OFFSET", " AND mode OPERATOR(pg_catalog.<>) 'a' OFFSET"),
            2,
        ),
    ] {
        let sent = sent(&guard, sql).unwrap();
        assert_eq!(sent.matches(" OFFSET 0)").count(), barriers, "{sent}");
    }
}

#[test]
fn a_verdict_on_a_query_for_ones_own_rows_holds_for_its_literals_alone() {
    let guard = guard(SETTING);
    let locks = own("pg_locks");
    let own = locks.replace(
        " OFFSET",
        " AND mode OPERATOR(pg_catalog.<>) 'SIReadLock' OFFSET",
    );
    assert_eq!(sent(&guard, &own), None);
    for (literal, other) in [("OFFSET 0", "OFFSET 1"), ("'SIReadLock'", "'x'")] {
        assert!(
            sent(&guard, &own.replace(literal, other)).is_some(),
            "{literal}"
        );
    }
    let blocking = "SELECT pg_catalog.pg_blocking_pids(0 OPERATOR(pg_catalog.&) 1)";
    assert_eq!(sent(&guard, blocking), None);
    let other = blocking.replace("(0 ", "(7 ");
    assert_eq!(refused(&guard, &other), Some("other-sessions"), "{other}");
}

#[test]
fn what_is_refused_for_something_else_is_refused_for_that() {
    let guard = guard(SETTING);
    for (sql, rule) in [
        (
            "SELECT pg_cancel_backend(pid) FROM pg_locks",
            "other-sessions",
        ),
        (
            "SELECT set_config('role', mode, true) FROM pg_locks",
            "role",
        ),
        (
            "SELECT query_to_xml(mode, true, true, '') FROM pg_locks",
            "text-as-sql",
        ),
        (
            "SELECT set_config($1, mode, true) FROM pg_locks",
            "computed-setting",
        ),
        ("EXPLAIN ANALYZE SELECT * FROM pg_locks", "explain-analyze"),
        ("SELECT * FROM pg_locks; DO ''", "opaque-code"),
    ] {
        let verdict = guard.inspect(sql.as_bytes());
        let found = verdict.refusal.as_ref().map(|refusal| refusal.rule);
        assert_eq!(found, Some(rule), "{sql}");
        assert_eq!(
            (&verdict.instead, &*verdict.at_bind),
            (&None, &[][..]),
            "{sql}"
        );
    }
    // Where tenants have tables of their own: it counts the rows of others.
    let mut policy = Policy::new(
        options(Permission::Reject, Permission::Reject),
        ["search_path"],
    );
    policy.own = Own::Role;
    let guard = Guard::new(policy);
    assert_eq!(refused(&guard, "EXPLAIN ANALYZE SELECT 1"), None);
    for sql in [
        "EXPLAIN ANALYZE SELECT * FROM pg_locks",
        "EXPLAIN (ANALYZE) SELECT 1, (SELECT pid FROM pg_stat_ssl)",
    ] {
        assert_eq!(refused(&guard, sql), Some("other-sessions"), "{sql}");
    }
}

#[test]
fn the_text_is_the_clients_own_where_channels_are_open_or_refusals_only_reported() {
    let report = Options {
        mode: Mode::Report,
        ..options(Permission::Reject, Permission::Reject)
    };
    let open = guard_with(SETTING, Permission::Reject, Permission::Allow);
    for guard in [open, Guard::new(Policy::new(report, [SETTING]))] {
        for sql in ["SELECT * FROM pg_locks", "SELECT pg_blocking_pids(1)"] {
            assert_eq!(sent(&guard, sql), None, "{sql}");
        }
    }
}

#[test]
fn no_text_becomes_longer_than_one_may_be() {
    let mut policy = Policy::new(options(Permission::Reject, Permission::Reject), [SETTING]);
    policy.max_length = 100;
    let guard = Guard::new(policy);
    assert_eq!(
        refused(&guard, "SELECT * FROM pg_locks"),
        Some("other-sessions")
    );
}
