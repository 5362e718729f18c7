//! Relations that are known to be plain tables, and all others.

use crate::{SETTING, guard, refused};
use pgtenant::guard::{Effects, Guard};
use std::sync::Arc;

fn tells(guard: &Guard, names: &[&str]) {
    let names = names.iter().map(|name| Box::from(*name)).collect();
    guard.set_plain_relations(Arc::new(names));
}

fn is_doubtful(guard: &Guard, sql: &str) -> bool {
    let verdict = guard.inspect(sql.as_bytes());
    assert_eq!(verdict.refusal, None, "{sql}");
    let harmless = guard.is_harmless(&verdict);
    assert_eq!(harmless, verdict.effects == Effects::default(), "{sql}");
    verdict.effects.doubtful
}

#[test]
fn a_relation_that_is_not_known_as_a_plain_table_makes_a_statement_doubtful() {
    let guard = guard(SETTING);
    tells(&guard, &["users", "t", "日本", "İller", "É"]);
    for sql in [
        "SELECT * FROM v",
        "TABLE v",
        "SELECT * FROM users, v",
        "SELECT * FROM public.v",
        "SELECT * FROM db.public.v",
        "SELECT * FROM \"Users\"",
        "SELECT (SELECT a FROM v) FROM users",
        "SELECT * FROM users WHERE EXISTS (TABLE v)",
        "SELECT a FROM users UNION SELECT a FROM v",
        "SELECT * FROM users JOIN LATERAL (SELECT * FROM v) x ON true",
        "SELECT * FROM v TABLESAMPLE system (1)",
        "SELECT * FROM pg_temp.users",
        "SELECT * FROM public.pg_class",
        "SELECT * FROM pg_evil",
        "INSERT INTO v VALUES (1)",
        "INSERT INTO users SELECT * FROM v",
        "UPDATE v SET a = 1",
        "UPDATE users SET a = v.a FROM v",
        "DELETE FROM users USING v",
        "MERGE INTO users USING v ON true WHEN MATCHED THEN DELETE",
        "COPY v FROM STDIN",
        "COPY (SELECT * FROM v) TO STDOUT",
        "COPY v TO STDOUT",
        "DECLARE c CURSOR FOR SELECT * FROM v",
        "PREPARE p AS SELECT * FROM v",
        "CREATE TABLE x AS SELECT * FROM v",
        "EXPLAIN SELECT * FROM v",
        "SELECT 1; SELECT * FROM v; SELECT * FROM users",
        "SELECT * FROM users FOR UPDATE; TABLE v",
        // Some servers fold these to another name.
        "SELECT * FROM İller",
        "SELECT * FROM É",
        // A query of that name, where it is not visible.
        "SELECT * FROM v, (WITH v AS (SELECT 1) TABLE v) x",
        "WITH v AS (SELECT * FROM v) SELECT * FROM v",
        "WITH a AS (SELECT * FROM v), v AS (SELECT 1) SELECT * FROM a",
        "WITH v AS (SELECT 1) SELECT * FROM public.v",
        "WITH v AS (SELECT 1) INSERT INTO v SELECT 1",
        "WITH v AS (SELECT 1) DELETE FROM v",
        "WITH v AS (SELECT 1) SELECT 1; SELECT * FROM v",
        "WITH \"É\" AS (SELECT 1) SELECT * FROM É",
        "SELECT (WITH v AS (SELECT 1) SELECT 1 FROM v) FROM v",
        "WITH a AS (WITH v AS (SELECT 1) TABLE v) SELECT * FROM v",
    ] {
        assert!(is_doubtful(&guard, sql), "{sql}");
    }
}

#[test]
fn plain_tables_and_parts_of_the_statement_do_not() {
    let guard = guard(SETTING);
    tells(&guard, &["users", "t", "日本"]);
    for sql in [
        "SELECT 1",
        "SELECT * FROM users u JOIN public.t USING (a) FOR UPDATE OF u",
        "SELECT * FROM 日本",
        "SELECT * FROM USERS",
        "SELECT relname FROM pg_class c, pg_catalog.pg_attribute, information_schema.tables",
        "SELECT name FROM pg_settings",
        "INSERT INTO users AS u SELECT * FROM t ON CONFLICT (a) DO UPDATE SET a = excluded.a",
        "UPDATE users SET a = 1 FROM t",
        "DELETE FROM users USING t",
        "MERGE INTO users u USING t ON true WHEN MATCHED THEN DELETE",
        "COPY users FROM STDIN",
        "SELECT * FROM generate_series(1, 2) v",
        "SELECT * FROM (SELECT 1) v",
        "SELECT v.a FROM users v",
        "SELECT * INTO x FROM users",
        "CREATE TABLE x AS SELECT * FROM users",
        "CREATE INDEX ON v (a)",
        "DROP VIEW v",
        "ALTER TABLE v ADD a int",
        "WITH v AS (SELECT 1) SELECT * FROM v",
        "WITH v AS (SELECT 1), w AS (SELECT * FROM v) SELECT * FROM w, (SELECT * FROM v) x",
        "WITH RECURSIVE v(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM v) TABLE v",
        "WITH RECURSIVE a AS (TABLE v), v AS (SELECT 1) SELECT * FROM a",
        "WITH v AS (DELETE FROM users RETURNING *) INSERT INTO t SELECT * FROM v",
        "WITH v AS (SELECT 1) SELECT (SELECT 1 FROM v) UNION SELECT 1 FROM v",
        "WITH v AS (SELECT 1) SELECT * FROM (WITH w AS (TABLE v) SELECT * FROM w, v) x",
        "WITH v AS (SELECT 1) UPDATE users SET a = (SELECT 1 FROM v)",
    ] {
        assert!(!is_doubtful(&guard, sql), "{sql}");
    }
}

#[test]
fn until_they_are_told_no_relation_is_doubtful() {
    let guard = guard(SETTING);
    assert!(!is_doubtful(&guard, "SELECT * FROM v"));
    tells(&guard, &[]);
    assert!(is_doubtful(&guard, "SELECT * FROM v"));
}

#[test]
fn other_tables_change_what_is_said_of_known_texts_and_shapes() {
    let guard = guard(SETTING);
    tells(&guard, &["v"]);
    let texts = [
        "SELECT * FROM v",
        "SELECT * FROM v WHERE a = 1",
        "TABLE v -- x",
    ];
    for plain in [true, false, true] {
        tells(&guard, if plain { &["v"] } else { &["w"] });
        for sql in texts {
            assert_eq!(is_doubtful(&guard, sql), !plain, "{sql}");
            assert_eq!(is_doubtful(&guard, sql), !plain, "{sql}");
        }
        assert_eq!(is_doubtful(&guard, "SELECT * FROM v WHERE a = 2"), !plain);
    }
}

#[test]
fn what_is_known_already_keeps_the_verdicts() {
    let guard = guard(SETTING);
    tells(&guard, &["t"]);
    let first = guard.inspect(b"UPDATE t SET a = 1");
    tells(&guard, &["t"]);
    assert!(Arc::ptr_eq(&first, &guard.inspect(b"UPDATE t SET a = 1")));
    tells(&guard, &["t", "u"]);
    assert!(!Arc::ptr_eq(&first, &guard.inspect(b"UPDATE t SET a = 1")));
}

#[test]
fn many_queries_of_one_statement_are_told_in_time() {
    let guard = guard(SETTING);
    tells(&guard, &[]);
    let queries: Vec<_> = (0..20_000).map(|n| format!("q{n} AS (TABLE q0)")).collect();
    let sql = format!("WITH RECURSIVE {} SELECT 1", queries.join(", "));
    let begun = std::time::Instant::now();
    let _ = refused(&guard, &sql);
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}
