//! Relations that are known to be plain tables, and all others.

use crate::{SETTING, guard, options, refused};
use pgtenant::guard::{Effects, Guard, Permission, PlainRelations, Policy};
use std::sync::Arc;

/// A guard of a database of which nothing is known yet.
fn guard_of_database() -> Guard {
    let options = options(Permission::Reject, Permission::Reject);
    Guard::of_database(Policy::new(options, [SETTING]), Arc::default())
}

fn relations(guard: &Guard) -> &Arc<PlainRelations> {
    guard.relations().unwrap()
}

fn tells(guard: &Guard, names: &[&str]) -> bool {
    let names = names.iter().map(|name| Box::from(*name)).collect();
    let relations = relations(guard);
    relations.publish(relations.mark(), names)
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
    let guard = guard_of_database();
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
    let guard = guard_of_database();
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
fn until_they_are_told_every_relation_is_doubtful_but_those_of_postgresql() {
    let guard = guard_of_database();
    assert!(is_doubtful(&guard, "SELECT * FROM t"));
    assert!(!is_doubtful(&guard, "SELECT relname FROM pg_class"));
    tells(&guard, &["t"]);
    assert!(!is_doubtful(&guard, "SELECT * FROM t"));
    relations(&guard).forget();
    assert!(is_doubtful(&guard, "SELECT * FROM t"));
}

#[test]
fn where_relations_do_not_matter_none_is_doubtful() {
    let guard = guard(SETTING);
    assert!(!is_doubtful(&guard, "SELECT * FROM v"));
    assert_eq!(guard.as_of(), 0);
}

#[test]
fn all_guards_of_a_database_go_by_what_one_of_them_is_told() {
    let guard = guard_of_database();
    let options = options(Permission::Reject, Permission::Reject);
    let policy = Policy::new(options, [SETTING]);
    let other = Guard::of_database(policy.clone(), relations(&guard).clone());
    assert!(is_doubtful(&other, "SELECT * FROM t"));
    tells(&guard, &["t"]);
    let later = Guard::of_database(policy, relations(&guard).clone());
    for guard in [&guard, &other, &later] {
        assert!(!is_doubtful(guard, "SELECT * FROM t"));
        assert_eq!(guard.as_of(), later.as_of());
    }
}

#[test]
fn while_a_transaction_may_change_what_names_mean_every_relation_is_doubtful() {
    let guard = guard_of_database();
    tells(&guard, &["t"]);
    let before = guard.as_of();
    let unsettled = relations(&guard).unsettle();
    assert!(is_doubtful(&guard, "SELECT * FROM t"));
    assert_ne!(guard.as_of(), before);
    assert!(!tells(&guard, &["t"]));
    drop(unsettled);
    assert!(is_doubtful(&guard, "SELECT * FROM t"));
    assert!(tells(&guard, &["t"]));
    assert!(!is_doubtful(&guard, "SELECT * FROM t"));
}

#[test]
fn what_may_put_code_behind_a_name_says_so() {
    let guard = guard(SETTING);
    let redefines = |sql: &str| guard.inspect(sql.as_bytes()).effects.redefines;
    for sql in [
        "CREATE VIEW v AS SELECT 1",
        "CREATE OR REPLACE VIEW v AS SELECT 1",
        "CREATE RECURSIVE VIEW v (n) AS SELECT 1",
        "CREATE MATERIALIZED VIEW v AS SELECT 1",
        "CREATE SCHEMA s CREATE VIEW v AS SELECT 1",
        "ALTER TABLE t RENAME TO u",
        "ALTER VIEW v RENAME TO t",
        "ALTER MATERIALIZED VIEW v RENAME TO t",
        "ALTER INDEX v RENAME TO t",
        "ALTER FOREIGN TABLE f RENAME TO t",
        "ALTER TABLE t ATTACH PARTITION p DEFAULT",
        "ALTER TABLE p INHERIT t",
        // Those that pass where refusals are only reported.
        "CREATE RULE r AS ON INSERT TO t DO ALSO SELECT 1",
        "CREATE FOREIGN TABLE t (a int) SERVER s",
        "no SQL",
        "SELECT 1; ALTER TABLE t RENAME TO u; SELECT 1",
    ] {
        assert!(redefines(sql), "{sql}");
    }
    for sql in [
        "SELECT 1",
        "DROP TABLE t",
        "DROP VIEW v",
        "CREATE TABLE t (a int)",
        "CREATE TEMP TABLE t AS SELECT 1",
        "SELECT 1 INTO t",
        "ALTER TABLE t RENAME a TO b",
        "ALTER TABLE t ADD a int",
        "ALTER TABLE t SET SCHEMA s",
        "INSERT INTO t VALUES (1)",
        "TRUNCATE t",
    ] {
        assert!(!redefines(sql), "{sql}");
    }
}

#[test]
fn other_tables_change_what_is_said_of_known_texts_and_shapes() {
    let guard = guard_of_database();
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
    let guard = guard_of_database();
    tells(&guard, &["t"]);
    let first = guard.inspect(b"UPDATE t SET a = 1");
    tells(&guard, &["t"]);
    assert!(Arc::ptr_eq(&first, &guard.inspect(b"UPDATE t SET a = 1")));
    tells(&guard, &["t", "u"]);
    assert!(!Arc::ptr_eq(&first, &guard.inspect(b"UPDATE t SET a = 1")));
}

#[test]
fn many_queries_of_one_statement_are_told_in_time() {
    let guard = guard_of_database();
    tells(&guard, &[]);
    let queries: Vec<_> = (0..20_000).map(|n| format!("q{n} AS (TABLE q0)")).collect();
    let sql = format!("WITH RECURSIVE {} SELECT 1", queries.join(", "));
    let begun = std::time::Instant::now();
    let _ = refused(&guard, &sql);
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}
