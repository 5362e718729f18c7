//! Statements that pass and leave nothing, or nothing but rows.

use crate::{SETTING, but_draws, guard};
use pgtenant::guard::Effects;

/// Statements of drivers and applications that pass and leave nothing.
const HARMLESS: &[&str] = &[
    "",
    ";",
    "-- ping",
    "SELECT 1",
    "SELECT now(), lower(a), count(*) FROM t GROUP BY 2",
    "TABLE t",
    "SELECT a.b, (c).d, e[1].f FROM t",
    "SELECT 'SET ROLE x; RESET ALL'",
    "BEGIN ISOLATION LEVEL SERIALIZABLE",
    "COMMIT",
    "ROLLBACK TO SAVEPOINT a",
    "SET LOCAL statement_timeout = 5",
    "SAVEPOINT a",
    "SET TRANSACTION READ ONLY",
    "SET ROLE NONE",
    "SET LOCAL ROLE 'none'",
    "RESET ROLE",
    "SET role TO DEFAULT",
    "SELECT set_config('role', 'none', false)",
    "SHOW ALL",
    "SHOW search_path",
    "SELECT name, setting FROM pg_settings",
    "SELECT pg_advisory_unlock_all()",
    "UNLISTEN *",
    "CLOSE ALL",
    "FETCH 10 FROM c",
    "DECLARE c CURSOR FOR SELECT 1",
    "COPY (SELECT 1) TO STDOUT (FORMAT csv)",
    "CREATE TABLE t (LIKE s INCLUDING ALL)",
    "DROP TABLE t",
    "CREATE TABLE t (a int PRIMARY KEY DEFAULT nextval('s'), b uuid DEFAULT gen_random_uuid() CHECK (b IS NOT NULL))",
    "ALTER TABLE t ADD COLUMN a int DEFAULT 1 NOT NULL, DROP b",
    "CREATE INDEX CONCURRENTLY i ON t (lower(a))",
    "CREATE TEMP TABLE x ON COMMIT DROP AS SELECT 1",
    "ANALYZE t",
    "EXPLAIN (COSTS, VERBOSE) SELECT 1",
    "EXPLAIN (ANALYZE off) SELECT 1",
    "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()",
    "SELECT * FROM pg_stat_activity WHERE pid = pg_backend_pid()",
    "SELECT pg_advisory_unlock(1)",
    "SELECT name, statement FROM pg_cursors",
    "SELECT relname, n_live_tup FROM pg_stat_user_tables",
    "SELECT pg_current_snapshot(), txid_current(), pg_snapshot_xmin(pg_current_snapshot())",
    "SELECT stxname FROM pg_statistic_ext",
    "LOCK TABLE t IN ROW EXCLUSIVE MODE",
    "SELECT * FROM t FOR UPDATE SKIP LOCKED",
    "GRANT SELECT ON t TO x",
    "CREATE SCHEMA s CREATE TABLE t (a int)",
    "CREATE TYPE mood AS ENUM ('sad')",
    "COMMENT ON TABLE t IS 'x'",
    "SELECT ts_rewrite('a'::tsquery, 'b'::tsquery, 'c'::tsquery)",
    "DISCARD PLANS",
    "DISCARD SEQUENCES",
    "SELECT * FROM a JOIN b USING (c) CROSS JOIN LATERAL unnest(d) WITH ORDINALITY AS e(f, g)",
    "SELECT sum(a) FILTER (WHERE b) OVER (PARTITION BY c ORDER BY d ROWS 1 PRECEDING) FROM t TABLESAMPLE system (1)",
    "SELECT a BETWEEN 1 AND 2, b ILIKE 'x', c IN (1, 2), d = ANY ($1), e IS DISTINCT FROM f, g -> 'h' #>> '{i}'",
    "SELECT EXTRACT(year FROM a), POSITION('a' IN b), TRIM(c), SUBSTRING(d FROM 1), OVERLAY(e PLACING f FROM 1)",
    "SELECT XMLELEMENT(NAME a, b), JSON_OBJECT('a': 1), JSON_VALUE(a, '$.b' RETURNING int), CAST(a AS numeric(1, 2))",
    "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t) SEARCH DEPTH FIRST BY n SET o CYCLE n SET c USING p SELECT * FROM t",
    "SELECT lo.lo_revenue, lo.lo_orderkey FROM lineorder lo",
    "SELECT information_schema._pg_expandarray(i.indkey) FROM pg_catalog.pg_index i",
    "SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relname OPERATOR(pg_catalog.~) '^(t)$' COLLATE pg_catalog.default",
    "SELECT gss_authenticated FROM pg_catalog.pg_stat_gssapi WHERE pid = pg_backend_pid()",
    "REINDEX TABLE t",
    "VACUUM (ANALYZE) t",
    "CREATE SEQUENCE s",
    "SET CONSTRAINTS ALL DEFERRED",
];

/// Statements that may fire triggers, and leave nothing else.
const WRITING: &[&str] = &[
    "INSERT INTO t VALUES ($1, DEFAULT) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING *",
    "UPDATE t SET (a, b) = (1, 2) WHERE CURRENT OF c",
    "DELETE FROM t USING s WHERE t.a = s.a",
    "COPY t FROM STDIN",
    "TRUNCATE t",
    "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = 1 WHEN NOT MATCHED THEN INSERT VALUES (1) RETURNING merge_action()",
    "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
    "EXPLAIN INSERT INTO t SELECT 1",
    "SELECT 1; UPDATE t SET a = 1",
];

#[test]
fn statements_that_write_rows_say_so() {
    let guard = guard(SETTING);
    let writes = Effects {
        writes: true,
        ..Effects::default()
    };
    for sql in WRITING {
        let verdict = guard.inspect(sql.as_bytes());
        assert_eq!(verdict.refusal, None, "{sql}");
        let expected = Effects {
            copies_in: sql.contains("FROM STDIN"),
            ..writes.clone()
        };
        assert_eq!(but_draws(&verdict.effects), expected, "{sql}");
    }
}

#[test]
fn statements_that_give_names_to_other_relations_say_so() {
    let guard = guard(SETTING);
    let redefines = Effects {
        redefines: true,
        ..Effects::default()
    };
    for sql in [
        "CREATE VIEW v AS SELECT 1",
        "ALTER TABLE t ATTACH PARTITION p FOR VALUES FROM (1) TO (MAXVALUE)",
        "ALTER TABLE t RENAME TO u",
    ] {
        let verdict = guard.inspect(sql.as_bytes());
        assert_eq!(verdict.refusal, None, "{sql}");
        assert_eq!(but_draws(&verdict.effects), redefines, "{sql}");
    }
}

#[test]
fn harmless_statements_pass_without_effects() {
    let guard = guard(SETTING);
    for sql in HARMLESS {
        let verdict = guard.inspect(sql.as_bytes());
        assert_eq!(verdict.refusal, None, "{sql}");
        assert_eq!(but_draws(&verdict.effects), Effects::default(), "{sql}");
    }
}
