//! What the statements that pass do to the session.

use crate::{SETTING, guard};
use pgtenant::guard::{
    Effects, Guard, Mode, Options, Permission, Policy, Returned, SqlName, TouchedSettings,
};

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
    "SHOW ALL",
    "SHOW search_path",
    "SELECT name, setting FROM pg_settings",
    "SELECT pg_advisory_xact_lock(1)",
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
    "EXPLAIN (ANALYZE, BUFFERS) SELECT 1",
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
    "CREATE VIEW v AS SELECT 1",
    "ALTER TABLE t ATTACH PARTITION p FOR VALUES FROM (1) TO (MAXVALUE)",
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
    "EXPLAIN ANALYZE INSERT INTO t SELECT 1",
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
        assert_eq!(verdict.effects, writes, "{sql}");
    }
}

#[test]
fn harmless_statements_pass_without_effects() {
    let guard = guard(SETTING);
    for sql in HARMLESS {
        let verdict = guard.inspect(sql.as_bytes());
        assert_eq!(verdict.refusal, None, "{sql}");
        assert_eq!(verdict.effects, Effects::default(), "{sql}");
    }
}

fn named(names: &[&str]) -> Effects {
    let names = names.iter().map(|name| (*name).into()).collect();
    Effects {
        settings: TouchedSettings::Named(names),
        ..Effects::default()
    }
}

#[test]
fn the_first_statement_of_pg_dump_passes() {
    let sql = "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings \
               WHERE name = 'restrict_nonsystem_relation_kind'";
    let verdict = guard(SETTING).inspect(sql.as_bytes());
    assert_eq!(verdict.refusal, None);
    let expected = Effects {
        doubtful: true,
        ..named(&["restrict_nonsystem_relation_kind"])
    };
    assert_eq!(verdict.effects, expected);
}

fn returned(names: &[&str], name: &str, alone: bool) -> Effects {
    Effects {
        defaults: vec![Returned {
            name: name.into(),
            local: false,
            alone,
        }],
        ..named(names)
    }
}

#[test]
fn effects_tell_what_outlives_the_transaction() {
    let none = Effects::default;
    let resets = Effects {
        resets: true,
        ..none()
    };
    let cleans = Effects {
        drops_temporary: true,
        ..resets.clone()
    };
    let discards = Effects {
        drops_prepared: true,
        drops_temporary: true,
        clears_residue: true,
        sql_names: vec![SqlName::DeallocateAll],
        ..resets.clone()
    };
    let drops = Effects {
        drops_prepared: true,
        sql_names: vec![SqlName::DeallocateAll],
        ..none()
    };
    let residue = Effects {
        residue: true,
        ..none()
    };
    let temporary = |name: &str| Effects {
        temporary: vec![name.into()],
        ..residue.clone()
    };
    let seeds = Effects {
        seeds: true,
        ..none()
    };
    let doubtful = Effects {
        doubtful: true,
        ..none()
    };
    let local = Effects {
        sets_local: true,
        ..none()
    };
    let cases = [
        ("SET statement_timeout = 5", named(&["statement_timeout"])),
        (
            "SET DateStyle = ISO, MDY; SET App.X = ''; RESET app.x",
            returned(&["datestyle", "app.x"], "app.x", false),
        ),
        ("RESET app.x; SET app.x = '1'", named(&["app.x"])),
        (
            "SET TimeZone TO DEFAULT",
            returned(&["timezone"], "timezone", true),
        ),
        ("SET LOCAL work_mem = '64MB'", local.clone()),
        ("SET LOCAL search_path = a, b", local.clone()),
        ("SELECT set_config('app.user', $1, true)", local.clone()),
        (
            "SET LOCAL work_mem TO DEFAULT",
            Effects {
                defaults: vec![Returned {
                    name: "work_mem".into(),
                    local: true,
                    alone: true,
                }],
                ..local
            },
        ),
        ("SET TIME ZONE 'UTC'", named(&["timezone"])),
        (
            "SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE",
            named(&["timezone"]),
        ),
        ("SET NAMES 'utf-8'", named(&["client_encoding"])),
        ("SET search_path = a, b", named(&["search_path"])),
        ("SET search_path = pg_catalog, a", named(&["search_path"])),
        (
            "SET search_path = pg_catalog, a, pg_temp",
            named(&["search_path"]),
        ),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE",
            named(&[
                "default_transaction_read_only",
                "default_transaction_isolation",
            ]),
        ),
        (
            "SELECT set_config('TimeZone', 'UTC', false)",
            named(&["timezone"]),
        ),
        ("SELECT set_config('a.b', $1, $2)", named(&["a.b"])),
        (
            "SELECT set_config('search_path', '', false)",
            named(&["search_path"]),
        ),
        ("RESET work_mem", returned(&["work_mem"], "work_mem", true)),
        // Names of old, which PostgreSQL still takes.
        (
            "SET sort_mem = 64; SELECT set_config('Vacuum_Mem', '64MB', false)",
            named(&["work_mem", "maintenance_work_mem"]),
        ),
        ("RESET ALL", resets.clone()),
        (
            "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;",
            resets.clone(),
        ),
        ("SET SESSION AUTHORIZATION DEFAULT", resets.clone()),
        ("RESET SESSION AUTHORIZATION", resets.clone()),
        // Npgsql cleans a connection that has prepared statements so.
        (
            "SET SESSION AUTHORIZATION DEFAULT;RESET ALL;CLOSE ALL;UNLISTEN *;SELECT pg_advisory_unlock_all();DISCARD SEQUENCES;DISCARD TEMP",
            cleans,
        ),
        (
            "DISCARD TEMP",
            Effects {
                drops_temporary: true,
                ..none()
            },
        ),
        ("DISCARD ALL", discards),
        ("DEALLOCATE ALL", drops),
        (
            "DEALLOCATE p",
            Effects {
                deallocates: Some("p".into()),
                sql_names: vec![SqlName::Deallocate("p".into())],
                ..none()
            },
        ),
        (
            "DEALLOCATE PREPARE \"P q\"",
            Effects {
                deallocates: Some("P q".into()),
                sql_names: vec![SqlName::Deallocate("P q".into())],
                ..none()
            },
        ),
        ("CREATE TEMP TABLE t (a int)", temporary("t")),
        ("CREATE TABLE pg_temp.t (a int)", temporary("t")),
        ("CREATE TEMP TABLE \"T u\" AS SELECT 1", temporary("T u")),
        ("SELECT 1 INTO TEMP t", temporary("t")),
        ("CREATE TEMP SEQUENCE s", temporary("s")),
        (
            "CREATE MATERIALIZED VIEW pg_temp.m AS SELECT 1",
            temporary("m"),
        ),
        (
            "CREATE STATISTICS pg_temp.s ON a, b FROM t",
            residue.clone(),
        ),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", residue.clone()),
        (
            "PREPARE p AS SELECT 1",
            Effects {
                sql_names: vec![SqlName::Prepare("p".into())],
                ..residue.clone()
            },
        ),
        (
            "SELECT pg_try_advisory_lock(1)",
            Effects {
                locks: true,
                ..none()
            },
        ),
        ("SELECT setseed(0.5)", seeds.clone()),
        ("SET seed = 0.5", seeds),
        ("SELECT app.f(1)", doubtful.clone()),
        ("SELECT f(1)", doubtful.clone()),
        ("SELECT pg_temp.lower('A')", doubtful.clone()),
        ("SELECT 1 OPERATOR(app.+) 2", doubtful.clone()),
        ("SELECT 1 <===> 2", doubtful.clone()),
        ("CALL p()", doubtful.clone()),
        (
            "EXECUTE p",
            Effects {
                sql_names: vec![SqlName::Execute("p".into())],
                ..doubtful.clone()
            },
        ),
        ("CREATE TABLE t (a int DEFAULT f())", doubtful),
    ];
    let guard = guard(SETTING);
    for (sql, effects) in cases {
        let verdict = guard.inspect(sql.as_bytes());
        assert_eq!(verdict.refusal, None, "{sql}");
        assert_eq!(verdict.effects, effects, "{sql}");
    }
}

#[test]
fn report_mode_still_names_the_rule_and_the_effects() {
    let options = Options {
        mode: Mode::Report,
        opaque: Permission::Reject,
        channels: Permission::Reject,
    };
    let guard = Guard::new(Policy::new(options, [SETTING]));
    let verdict = guard.inspect(b"SET session.current_organization_id = 'x'");
    assert!(verdict.refusal.is_some() && verdict.effects.doubtful);
    assert_eq!(verdict.effects.settings, named(&[SETTING]).settings);
    let unread = guard.inspect(b"FROBNICATE");
    assert_eq!(unread.effects.settings, TouchedSettings::Any);
}

#[test]
fn what_the_options_let_through_keeps_its_effects() {
    let options = Options {
        mode: Mode::Enforce,
        opaque: Permission::Allow,
        channels: Permission::Allow,
    };
    let guard = Guard::new(Policy::new(options, [SETTING]));
    let locks = Effects {
        locks: true,
        ..Effects::default()
    };
    let doubtful = Effects {
        doubtful: true,
        ..Effects::default()
    };
    let both = Effects {
        residue: true,
        doubtful: true,
        ..Effects::default()
    };
    let view = Effects {
        temporary: vec!["v".into()],
        ..both.clone()
    };
    let cases = [
        ("LISTEN a", &locks),
        ("SELECT pg_advisory_lock(1)", &locks),
        ("SELECT (1::bigint).pg_advisory_lock_shared", &locks),
        ("NOTIFY a", &Effects::default()),
        ("SELECT query FROM pg_stat_activity", &Effects::default()),
        ("DO $$BEGIN END$$", &doubtful),
        ("SELECT query_to_xml('x', true, false, '')", &doubtful),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1",
            &doubtful,
        ),
        (
            "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql RETURN 1",
            &both,
        ),
        ("CREATE DOMAIN pg_temp.d AS text", &both),
        ("CREATE TYPE pg_temp.e AS ENUM ('a')", &both),
        (
            "CREATE AGGREGATE pg_temp.a(int) (sfunc = f, stype = int)",
            &both,
        ),
        ("CREATE TEMP VIEW v AS SELECT 1", &view),
    ];
    for (sql, effects) in cases {
        let verdict = guard.inspect(sql.as_bytes());
        assert_eq!(verdict.refusal, None, "{sql}");
        assert_eq!(verdict.effects, *effects, "{sql}");
    }
}

#[test]
fn a_guard_can_be_shared() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&guard(SETTING));
}
