//! The guard: which statements pass, and what they do to the session.

use pgtenant::guard::{Effects, Guard, Mode, Options, Permission, Policy, TouchedSettings, rules};

const SETTING: &str = "session.current_organization_id";

fn guard(protected: &str) -> Guard {
    guard_with(protected, Permission::Reject, Permission::Reject)
}

fn guard_with(protected: &str, opaque: Permission, channels: Permission) -> Guard {
    let mode = Mode::Enforce;
    let options = Options {
        mode,
        opaque,
        channels,
    };
    Guard::new(Policy::new(options, [protected]))
}

fn refused(guard: &Guard, sql: &str) -> Option<&'static str> {
    let verdict = guard.inspect(sql.as_bytes());
    verdict.refusal.as_ref().map(|refusal| refusal.rule)
}

/// Statements that each rule refuses.
const REFUSED: &[(&str, &[&str])] = &[
    (
        "syntax",
        &[
            "SELEC 1",
            "SELECT 1; SELECT FROM WHERE",
            "SELECT $1$ $1$",
            "SET CATALOG 'x'",
            "\u{feff}SELECT 1",
        ],
    ),
    (
        "tenant-setting",
        &[
            "SET session.current_organization_id = 'x'",
            "SET LOCAL session.current_organization_id = 'x'",
            "SET \"Session.Current_Organization_ID\" TO 'x'",
            "SET session.current_organization_id TO DEFAULT",
            "SET session.current_organization_id FROM CURRENT",
            "RESET session.current_organization_id",
            "SELECT set_config('session.current_organization_id', 'x', true)",
            "SELECT set_config(E'SESSION\\x2ecurrent_organization_id'::text, $1, $2)",
            "EXPLAIN ANALYZE SELECT set_config('session.current_organization_id', 'x', true)",
            "SELECT 1; SELECT 2; RESET session.current_organization_id",
            "WITH x AS (INSERT INTO t VALUES (1) RETURNING set_config('session.current_organization_id', 'x', true)) SELECT 1",
            "COPY (SELECT set_config('session.current_organization_id', 'x', true)) TO STDOUT",
            "COPY t FROM STDIN WHERE set_config('session.current_organization_id', 'x', true) = ''",
            "CALL p(set_config('session.current_organization_id', 'x', true))",
            "EXECUTE p(set_config('session.current_organization_id', 'x', true))",
            "SELECT * FROM JSON_TABLE(jsonb '1', '$' COLUMNS (a int PATH '$' DEFAULT length(set_config('session.current_organization_id', 'x', true)) ON EMPTY)) t",
            "SELECT JSON_ARRAYAGG(1 ORDER BY set_config('session.current_organization_id', 'x', true))",
            "MERGE INTO t USING s ON true WHEN MATCHED AND set_config('session.current_organization_id', 'x', true) = '' THEN DO NOTHING",
        ],
    ),
    (
        "role",
        &[
            "SET ROLE postgres",
            "SET ROLE NONE",
            "RESET ROLE",
            "SET LOCAL ROLE x",
            "SET \"Role\" = x",
            "SET SESSION AUTHORIZATION postgres",
            "SET SESSION AUTHORIZATION DEFAULT",
            "RESET SESSION AUTHORIZATION",
            "SELECT set_config('ROLE', 'x', true)",
        ],
    ),
    (
        "isolation-setting",
        &[
            "SET row_security = off",
            "SET session_replication_role = replica",
            "SET local_preload_libraries = 'x'",
        ],
    ),
    (
        "client-encoding",
        &[
            "SET client_encoding = 'SJIS'",
            "SET NAMES 'LATIN1'",
            "SET LOCAL client_encoding TO GBK",
            "SELECT set_config('client_encoding', 'BIG5', false)",
        ],
    ),
    (
        "string-syntax",
        &[
            "SET standard_conforming_strings = off",
            "SET standard_conforming_strings TO 0",
            "SELECT set_config('standard_conforming_strings', 'of', true)",
        ],
    ),
    (
        "search-path",
        &[
            "SET search_path = evil, pg_catalog",
            "SET search_path = pg_temp, public",
            "SELECT set_config('search_path', 'evil, \"pg_catalog\"', false)",
            "SET LOCAL search_path = a, b, pg_catalog",
        ],
    ),
    (
        "computed-setting",
        &[
            "SELECT set_config($1, 'x', false)",
            "SELECT set_config('a.b' || '', 'x', false)",
            "SELECT set_config(name, setting, false) FROM pg_settings",
            "SELECT set_config('session.current_org'::char(3), 'x', false)",
            "SELECT set_config(VARIADIC ARRAY['a.b', 'x', 'f'])",
            "SELECT set_config('a.b')",
            "SELECT set_config(setting_name => 'a.b', new_value => '', is_local => false)",
            "SELECT set_config('client_encoding', $1, false)",
            "SELECT set_config('search_path', x, false) FROM t",
            "SELECT (x).set_config FROM t",
            "SELECT x.set_config FROM t x",
        ],
    ),
    (
        "deferred-setting",
        &[
            "PREPARE p AS SELECT set_config('a.b', 'x', false)",
            "DECLARE c CURSOR FOR SELECT set_config('a.b', 'x', false)",
            "CREATE VIEW v AS SELECT set_config('a.b', 'x', false)",
            "CREATE TABLE t (a text DEFAULT set_config('a.b', 'x', false))",
            "CREATE TABLE t (a text, CHECK (set_config('a.b', a, false) = ''))",
            "CREATE TABLE t (a text) PARTITION BY RANGE (set_config('a.b', a, false))",
            "CREATE TABLE t PARTITION OF p FOR VALUES IN (set_config('a.b', 'x', false))",
            "CREATE INDEX ON t (set_config('a.b', a, false))",
            "CREATE INDEX ON t (a) WHERE set_config('a.b', a, false) = ''",
            "CREATE STATISTICS s ON (set_config('a.b', a, false)), b FROM t",
            "ALTER TABLE t ALTER a SET DEFAULT set_config('a.b', 'x', false)",
            "ALTER TABLE t ALTER a TYPE text USING set_config('a.b', a, false)",
            "ALTER TABLE t ADD b text GENERATED ALWAYS AS (set_config('a.b', 'x', false)) STORED",
            "CREATE SCHEMA s CREATE VIEW v AS SELECT set_config('a.b', 'x', false)",
            "CREATE MATERIALIZED VIEW v AS SELECT set_config('a.b', 'x', false)",
        ],
    ),
    (
        "pg-settings",
        &[
            "UPDATE pg_settings SET setting = 'x' WHERE name = 'a.b'",
            "UPDATE pg_catalog.pg_settings p SET setting = 'x'",
            "WITH x AS (UPDATE pg_settings SET setting = 'x' RETURNING 1) SELECT 1",
            "MERGE INTO pg_settings USING s ON true WHEN MATCHED THEN UPDATE SET setting = ''",
            "INSERT INTO pg_settings SELECT 1",
            "DELETE FROM pg_settings",
            "COPY pg_settings FROM STDIN",
            "CREATE VIEW v AS SELECT * FROM pg_settings",
        ],
    ),
    (
        "reset-not-last",
        &[
            "RESET ALL; SELECT 1",
            "DISCARD ALL; SELECT 1",
            "SELECT 1; RESET ALL; SELECT 1",
        ],
    ),
    (
        "stored-setting",
        &[
            "ALTER ROLE x SET search_path = y",
            "ALTER USER x RESET ALL",
            "ALTER DATABASE d SET a.b = ''",
            "ALTER SYSTEM SET work_mem = '1MB'",
            "ALTER SYSTEM RESET ALL",
        ],
    ),
    (
        "row-level-policies",
        &[
            "CREATE POLICY p ON t",
            "ALTER POLICY p ON t USING (true)",
            "DROP POLICY p ON t",
            "ALTER TABLE t DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE t ADD a int, NO FORCE ROW LEVEL SECURITY",
            "ALTER TABLE t OWNER TO x",
            "ALTER FUNCTION f() OWNER TO x",
        ],
    ),
    (
        "roles",
        &[
            "CREATE ROLE x",
            "ALTER ROLE CURRENT_USER PASSWORD 'x'",
            "DROP ROLE x",
            "GRANT a TO b",
            "REVOKE a FROM b",
            "REASSIGN OWNED BY a TO b",
            "DROP OWNED BY a",
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
        ],
    ),
    (
        "database-wide",
        &[
            "CREATE DATABASE d",
            "DROP DATABASE d",
            "CREATE TABLESPACE t LOCATION '/x'",
            "CREATE SERVER s FOREIGN DATA WRAPPER f",
            "IMPORT FOREIGN SCHEMA a FROM SERVER s INTO b",
            "CREATE PUBLICATION p FOR ALL TABLES",
            "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p",
            "SECURITY LABEL ON ROLE x IS 'y'",
            "GRANT SET ON PARAMETER work_mem TO x",
            "DROP EXTENSION e",
            "CREATE USER MAPPING FOR x SERVER s",
        ],
    ),
    (
        "server-files",
        &[
            "COPY t TO '/tmp/x'",
            "COPY t FROM PROGRAM 'x'",
            "COPY (SELECT 1) TO PROGRAM 'x'",
            "LOAD 'x'",
            "SELECT pg_read_file('x')",
            "SELECT pg_catalog.pg_ls_dir('.')",
            "SELECT lo_import('x')",
            "SELECT ('x'::text).pg_read_file",
        ],
    ),
    (
        "server-control",
        &[
            "SELECT pg_reload_conf()",
            "SELECT pg_switch_wal()",
            "CHECKPOINT",
        ],
    ),
    (
        "two-phase",
        &[
            "PREPARE TRANSACTION 'x'",
            "COMMIT PREPARED 'x'",
            "ROLLBACK PREPARED 'x'",
        ],
    ),
    (
        "opaque-code",
        &[
            "DO $$BEGIN END$$",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1",
            "CREATE PROCEDURE f() LANGUAGE sql AS ''",
            "ALTER FUNCTION f() SET search_path = x",
            "CREATE AGGREGATE a(int) (sfunc = f, stype = int)",
            "CREATE OPERATOR @@@@ (leftarg = int, function = f)",
            "CREATE CAST (a AS b) WITHOUT FUNCTION",
            "CREATE DOMAIN d AS text CHECK (true)",
            "ALTER DOMAIN d ADD CHECK (true)",
            "CREATE TRIGGER t BEFORE INSERT ON t EXECUTE FUNCTION f()",
            "CREATE RULE r AS ON INSERT TO t DO ALSO NOTHING",
            "CREATE EXTENSION x",
            "CREATE LANGUAGE x",
            "CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION f()",
            "CREATE TEMP VIEW v AS SELECT 1",
            "CREATE VIEW pg_temp.v AS SELECT 1",
            "CREATE TYPE pg_temp.uuid AS (a int)",
            "CREATE TYPE pg_temp.e AS ENUM ('a')",
            "CREATE TYPE t (input = f, output = g)",
        ],
    ),
    (
        "text-as-sql",
        &[
            "SELECT query_to_xml($1, true, false, '')",
            "SELECT * FROM ts_stat('x')",
            "SELECT ('x'::text).ts_stat",
            "SELECT (($1)::text).\"ts_stat\"",
            "SELECT x.ts_stat FROM t x",
            "SELECT ts_rewrite('a', 'b')",
            "SELECT table_to_xml('t', true, false, '')",
            "SELECT * FROM dblink('', '') AS t(a int)",
            "SELECT * FROM ext.crosstab3('x')",
            "SELECT cron.schedule('* * * * *', 'x')",
            "SELECT (ARRAY['x'])[1].ts_stat",
        ],
    ),
    (
        "notify",
        &["LISTEN a", "NOTIFY a, 'b'", "SELECT pg_notify('a', 'b')"],
    ),
    (
        "large-objects",
        &[
            "SELECT lo_get(1)",
            "SELECT (oid).lo_get FROM t",
            "SELECT * FROM pg_largeobject_metadata",
            "SELECT * FROM pg_catalog.pg_largeobject",
        ],
    ),
    (
        "advisory-locks",
        &[
            "SELECT pg_advisory_lock(1)",
            "SELECT (1::bigint).pg_advisory_lock",
        ],
    ),
    (
        "other-sessions",
        &[
            "SELECT query FROM pg_stat_activity",
            "SELECT pg_terminate_backend(1)",
            "SELECT * FROM pg_locks",
            "SELECT (pid).pg_cancel_backend FROM t",
            "SELECT * FROM pg_stat_get_activity(NULL)",
            "SELECT * FROM pg_stat_statements",
        ],
    ),
    ("table-locks", &["LOCK TABLE t", "LOCK t IN SHARE MODE"]),
    ("nesting", &[]),
];

#[test]
fn each_rule_refuses_its_statements() {
    let guard = guard(SETTING);
    for (rule, statements) in REFUSED {
        for sql in *statements {
            assert_eq!(refused(&guard, sql), Some(*rule), "{sql}");
        }
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
    for (rule, _) in REFUSED {
        assert!(names.contains(rule), "{rule}");
    }
}

#[test]
fn what_the_options_open_passes() {
    let open = guard_with(SETTING, Permission::Allow, Permission::Allow);
    for (rule, statements) in REFUSED {
        let opened = rules()
            .iter()
            .any(|r| r.name == *rule && r.opened_by.is_some());
        for sql in *statements {
            assert_eq!(refused(&open, sql).is_none(), opened, "{sql}");
        }
    }
    let hidden = "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET session.current_organization_id = 'x' AS ''";
    assert_eq!(refused(&open, hidden), Some("tenant-setting"));
}

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
    "INSERT INTO t VALUES ($1, DEFAULT) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING *",
    "UPDATE t SET (a, b) = (1, 2) WHERE CURRENT OF c",
    "DELETE FROM t USING s WHERE t.a = s.a",
    "BEGIN ISOLATION LEVEL SERIALIZABLE",
    "COMMIT",
    "ROLLBACK TO SAVEPOINT a",
    "SAVEPOINT a",
    "SET LOCAL work_mem = '64MB'",
    "SET TRANSACTION READ ONLY",
    "SET LOCAL search_path = a, b",
    "SELECT set_config('app.user', $1, true)",
    "SHOW ALL",
    "SHOW search_path",
    "SELECT name, setting FROM pg_settings",
    "SELECT pg_advisory_xact_lock(1)",
    "SELECT pg_advisory_unlock_all()",
    "UNLISTEN *",
    "CLOSE ALL",
    "FETCH 10 FROM c",
    "DECLARE c CURSOR FOR SELECT 1",
    "COPY t FROM STDIN",
    "COPY (SELECT 1) TO STDOUT (FORMAT csv)",
    "CREATE TABLE t (LIKE s INCLUDING ALL)",
    "DROP TABLE t",
    "CREATE TABLE t (a int PRIMARY KEY DEFAULT nextval('s'), b uuid DEFAULT gen_random_uuid() CHECK (b IS NOT NULL))",
    "ALTER TABLE t ADD COLUMN a int DEFAULT 1 NOT NULL, DROP b",
    "CREATE INDEX CONCURRENTLY i ON t (lower(a))",
    "CREATE TEMP TABLE x ON COMMIT DROP AS SELECT 1",
    "TRUNCATE t",
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
    "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = 1 WHEN NOT MATCHED THEN INSERT VALUES (1) RETURNING merge_action()",
    "REINDEX TABLE t",
    "VACUUM (ANALYZE) t",
    "CREATE SEQUENCE s",
    "CREATE VIEW v AS SELECT 1",
    "ALTER TABLE t ATTACH PARTITION p FOR VALUES FROM (1) TO (MAXVALUE)",
    "SET CONSTRAINTS ALL DEFERRED",
];

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
fn effects_tell_what_outlives_the_transaction() {
    let none = Effects::default;
    let resets = Effects {
        resets: true,
        ..none()
    };
    let discards = Effects {
        drops_prepared: true,
        clears_residue: true,
        ..resets.clone()
    };
    let drops = Effects {
        drops_prepared: true,
        ..none()
    };
    let residue = Effects {
        residue: true,
        ..none()
    };
    let doubtful = Effects {
        doubtful: true,
        ..none()
    };
    let cases = [
        ("SET statement_timeout = 5", named(&["statement_timeout"])),
        (
            "SET DateStyle = ISO, MDY; SET App.X = ''; RESET app.x",
            named(&["datestyle", "app.x"]),
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
        ("RESET work_mem", named(&["work_mem"])),
        ("RESET ALL", resets.clone()),
        (
            "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;",
            resets,
        ),
        ("DISCARD ALL", discards),
        ("DEALLOCATE ALL", drops),
        (
            "DEALLOCATE p",
            Effects {
                deallocates: Some("p".into()),
                ..none()
            },
        ),
        (
            "DEALLOCATE PREPARE \"P q\"",
            Effects {
                deallocates: Some("P q".into()),
                ..none()
            },
        ),
        ("CREATE TEMP TABLE t (a int)", residue.clone()),
        ("CREATE TABLE pg_temp.t (a int)", residue.clone()),
        ("CREATE TEMP TABLE t AS SELECT 1", residue.clone()),
        ("SELECT 1 INTO TEMP t", residue.clone()),
        ("CREATE TEMP SEQUENCE s", residue.clone()),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", residue.clone()),
        ("PREPARE p AS SELECT 1", residue.clone()),
        ("SELECT pg_try_advisory_lock(1)", residue.clone()),
        ("SELECT setseed(0.5)", residue.clone()),
        ("SET seed = 0.5", residue),
        ("SELECT app.f(1)", doubtful.clone()),
        ("SELECT f(1)", doubtful.clone()),
        ("SELECT pg_temp.lower('A')", doubtful.clone()),
        ("SELECT 1 OPERATOR(app.+) 2", doubtful.clone()),
        ("SELECT 1 <===> 2", doubtful.clone()),
        ("CALL p()", doubtful.clone()),
        ("EXECUTE p", doubtful.clone()),
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
fn a_protected_search_path_cannot_be_changed_in_any_spelling() {
    let guard = guard("search_path");
    for sql in [
        "SET search_path = a",
        "SET LOCAL SEARCH_PATH TO a",
        "SET SCHEMA 'a'",
        "RESET search_path",
        "SELECT set_config('Search_Path', '', false)",
        "SET search_path TO DEFAULT",
        "WITH x AS MATERIALIZED (SELECT set_config('search_path', 'a', true)) SELECT * FROM x",
    ] {
        assert_eq!(refused(&guard, sql), Some("tenant-setting"), "{sql}");
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
        ("local_preload_libraries", "x", Some("isolation-setting")),
        ("application_name", "role", None),
        ("statement_timeout", "5s", None),
    ];
    for (name, value, rule) in cases {
        let refusal = guard.startup_setting(name, value);
        assert_eq!(refusal.map(|refusal| refusal.rule), rule, "{name}={value}");
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

mod corpus {
    //! The escape corpus: statements that try to leave the tenant, and those
    //! that a naive guard breaks.

    use super::{SETTING, guard};
    use pgtenant::guard::Verdict;
    use serde_json::Value;
    use std::sync::Arc;

    /// What passes and is stopped elsewhere.
    const ELSEWHERE: &[(&str, &[&str])] = &[
        (
            "the role of the schema kind: a name that is qualified needs no search_path",
            &[
                "sp-fqn",
                "sp-fqn-quoted",
                "sp-fqn-db",
                "sp-fqn-case",
                "sp-table",
                "sp-cte",
                "sp-sub",
                "sp-ctas",
                "sp-prepare",
                "sp-cursor",
                "sp-like",
                "sp-delete",
                "sp-resetall",
            ],
        ),
        (
            "the session refuses every FunctionCall message",
            &["fp-set_config-tx", "fp-lo_get"],
        ),
    ];

    /// What a strict policy refuses though it is harmless: `opaque = "reject"`.
    const STRICT: &[&str] = &["tx-call-commit-proc", "tx-do-commit-batch"];

    #[test]
    fn every_attack_is_refused_in_one_of_its_statements() {
        let elsewhere: Vec<&str> = ELSEWHERE
            .iter()
            .flat_map(|(_, ids)| *ids)
            .copied()
            .collect();
        let mut wrong = Vec::new();
        for case in cases().iter().filter(|case| case["expected"] == "reject") {
            let refused = case.refused().is_some();
            if refused == elsewhere.contains(&case.id()) {
                wrong.push(case.id().to_owned());
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn every_benign_statement_passes() {
        for case in cases().iter().filter(|case| case["expected"] == "allowed") {
            if case["undecidable"] != true && !STRICT.contains(&case.id()) {
                assert_eq!(case.refused(), None, "{}", case.id());
            }
        }
    }

    #[test]
    fn what_is_left_behind_is_reported_or_refused() {
        /// These leave nothing that the guard could see: a sequence's last
        /// value, an open transaction or portal, a statement's name.
        const UNSEEN: &[&str] = &[
            "res-currval",
            "res-portal",
            "res-terminate-midquery",
            "proto-parse-name-collide",
        ];
        for case in cases().iter().filter(|case| case["tier"] == "pool") {
            let seen = case
                .verdicts()
                .iter()
                .any(|verdict| verdict.refusal.is_some() || verdict.effects != Default::default());
            assert_eq!(seen, !UNSEEN.contains(&case.id()), "{}", case.id());
        }
    }

    #[test]
    fn startup_settings_that_carry_the_tenant_are_refused() {
        let guard = guard(SETTING);
        for case in cases().iter().filter(|case| case["startup"].is_array()) {
            for pair in case["startup"].as_array().unwrap() {
                let (name, value) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
                let refused = guard.startup_setting(name, value).is_some();
                let carries = [
                    SETTING,
                    "role",
                    "session_authorization",
                    "standard_conforming_strings",
                ];
                assert_eq!(
                    refused,
                    carries.contains(&&*name.to_lowercase()),
                    "{name}={value}"
                );
            }
        }
    }

    struct Case(Value);

    impl std::ops::Deref for Case {
        type Target = Value;

        fn deref(&self) -> &Value {
            &self.0
        }
    }

    impl Case {
        fn id(&self) -> &str {
            self["id"].as_str().unwrap()
        }

        fn verdicts(&self) -> Vec<Arc<Verdict>> {
            let protected = if self["mode"] == "schema" {
                "search_path"
            } else {
                SETTING
            };
            let guard = guard(protected);
            statements(self)
                .iter()
                .map(|sql| guard.inspect(sql))
                .collect()
        }

        /// The rule that refuses one of its statements.
        fn refused(&self) -> Option<&'static str> {
            self.verdicts()
                .iter()
                .find_map(|v| v.refusal.as_ref().map(|r| r.rule))
        }
    }

    fn cases() -> Vec<Case> {
        let lines = include_str!("data/escapes.jsonl").lines();
        lines
            .map(|line| Case(serde_json::from_str(line).unwrap()))
            .collect()
    }

    /// The query strings of a case, from all its clients.
    fn statements(case: &Value) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        for list in [&case["sql"], &case["steps"]] {
            for item in list.as_array().into_iter().flatten() {
                collect(item, &mut found);
            }
        }
        found
    }

    fn collect(item: &Value, found: &mut Vec<Vec<u8>>) {
        if let Some(text) = item.as_str().or(item["q"].as_str()) {
            found.push(expand(text).into_bytes());
        } else if let Some(hex) = item["hex"].as_str() {
            found.push(unhex(hex));
        }
        match &item["sql"] {
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            Value::String(_) => collect(&item["sql"], found),
            _ => {}
        }
        for message in item["msgs"].as_array().into_iter().flatten() {
            match (
                message[0].as_str(),
                message[1].as_str(),
                message[2].as_str(),
            ) {
                (Some("Q"), Some(text), _) | (Some("P"), _, Some(text)) => {
                    found.push(expand(text).into_bytes());
                }
                _ => {}
            }
        }
    }

    /// `@REP:3:x@` stands for `xxx`.
    fn expand(text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("@REP:") {
            let (count, after) = after.split_once(':').unwrap();
            let (part, after) = after.split_once('@').unwrap();
            out += before;
            out += &part.repeat(count.parse().unwrap());
            rest = after;
        }
        out + rest
    }

    fn unhex(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    }
}

mod limits {
    //! Hostile sizes, on the 2 MiB stack of a spawned thread.

    use super::{SETTING, guard, refused};

    /// Runs on a thread with Rust's default stack.
    fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        thread.spawn(work).unwrap().join().unwrap();
    }

    fn nested(open: &str, middle: &str, close: &str, depth: usize) -> String {
        format!("{}{middle}{}", open.repeat(depth), close.repeat(depth))
    }

    #[test]
    fn long_texts_are_refused_before_they_are_parsed() {
        let guard = guard(SETTING);
        let at_limit = format!("SELECT '{}'", "x".repeat((1 << 20) - 9));
        assert_eq!(at_limit.len(), 1 << 20);
        assert_eq!(refused(&guard, &at_limit), None);
        assert_eq!(refused(&guard, &(at_limit + " ")), Some("statement-length"));
    }

    #[test]
    fn comments_may_nest_to_a_limit() {
        let guard = guard(SETTING);
        let comment = |depth| nested("/*", "x", "*/", depth) + "SELECT 1";
        assert_eq!(refused(&guard, &comment(32)), None);
        assert_eq!(refused(&guard, &comment(33)), Some("nesting"));
        assert_eq!(refused(&guard, &comment(100_000)), Some("nesting"));
        assert_eq!(
            refused(&guard, &format!("SELECT {}", "/*".repeat(100_000))),
            Some("nesting")
        );
        let flat = "/* a */".repeat(10_000) + "SELECT 1";
        assert_eq!(refused(&guard, &flat), None);
        let types = format!("SELECT 1 WHERE a IN ('x'{})", ", 'image/*'".repeat(1000));
        assert_eq!(refused(&guard, &types), None);
        for hidden in [
            "$a$ /* $a$",
            "'/*'",
            "e'\\'/*'",
            "\"/*\"",
            "-- /*\n",
            "a$b$ ",
        ] {
            let sql = format!("SELECT 1 {}, 1 /* */", hidden.repeat(40));
            assert_ne!(refused(&guard, &sql), Some("nesting"), "{hidden}");
        }
        let after_name = format!("SELECT a$b$ {}", "/*".repeat(1000));
        assert_eq!(refused(&guard, &after_name), Some("nesting"));
    }

    #[test]
    fn deep_trees_do_not_overflow_the_stack() {
        on_a_small_stack(|| {
            let guard = guard(SETTING);
            let call = "set_config('session.current_organization_id','x',true)";
            let deep = [
                nested("(", call, ")", 2_000),
                nested("lower(", call, ")", 2_000),
                nested("(SELECT ", call, ")", 2_000),
                nested("- ", call, "", 2_000),
                nested("NOT ", call, "", 4_000),
                nested("CASE WHEN true THEN ", call, " END", 1_000),
                nested("ARRAY[", call, "]", 1_500),
                format!("1{}, {call}", "+1".repeat(200_000)),
                format!("1{} || {call}", " OR a".repeat(100_000)),
                format!("{call}{}", "::text".repeat(100_000)),
                format!("({call}){}", ".a".repeat(100_000)),
                format!("{call}{}", " IS NULL".repeat(50_000)),
                format!("{call}{}", " COLLATE \"C\"".repeat(50_000)),
            ];
            for expression in deep {
                let sql = format!("SELECT {expression}");
                assert_eq!(refused(&guard, &sql), Some("tenant-setting"), "{:.60}", sql);
            }
            let queries = [
                format!("SELECT {call}{}", " UNION ALL SELECT 1".repeat(40_000)),
                format!(
                    "SELECT 1 FROM a{} WHERE {call} = ''",
                    " JOIN b ON true".repeat(40_000)
                ),
                format!("SELECT {call};{}", "SELECT 1;".repeat(100_000)),
                format!("VALUES ({call}){}", ",(1)".repeat(200_000)),
            ];
            for sql in queries {
                assert_eq!(refused(&guard, &sql), Some("tenant-setting"), "{:.60}", sql);
            }
        });
    }

    #[test]
    fn nesting_beyond_the_parser_is_refused() {
        on_a_small_stack(|| {
            let guard = guard(SETTING);
            for (open, close) in [
                ("(", ")"),
                ("f(", ")"),
                ("(SELECT ", ")"),
                ("- ", ""),
                ("CASE WHEN ", " END"),
            ] {
                let depth = (1 << 20) / (open.len() + close.len()) - 10;
                let sql = format!("SELECT {}", nested(open, "1", close, depth));
                assert_eq!(refused(&guard, &sql), Some("syntax"), "{open}");
            }
        });
    }
}

mod soup {
    //! Whatever the text, the guard answers.

    use super::{SETTING, guard, refused};
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
}

mod regress {
    //! PostgreSQL's own regression tests: files in `tests/data/regress`, and all
    //! of them when PGTENANT_REGRESS_DIR names their folder.

    use super::{SETTING, guard};
    use pgtenant::guard::Guard;
    use std::path::{Path, PathBuf};

    #[test]
    fn the_guard_answers_on_every_statement() {
        let guard = guard(SETTING);
        let mut counts = (0, 0);
        for file in files() {
            let text = std::fs::read(&file).unwrap();
            answers(&guard, &text, &file);
            let text = String::from_utf8_lossy(&text);
            for statement in text.split_inclusive(";\n") {
                counts.0 += 1;
                counts.1 += usize::from(answers(&guard, statement.as_bytes(), &file));
            }
        }
        assert!(counts.0 > 1000 && counts.1 > counts.0 / 2, "{counts:?}");
        println!("{} of {} statements pass", counts.1, counts.0);
    }

    fn answers(guard: &Guard, sql: &[u8], file: &Path) -> bool {
        let verdict = guard.inspect(sql);
        let rule = verdict.refusal.as_ref().map(|refusal| refusal.rule);
        let text = String::from_utf8_lossy(sql);
        let known = text.contains("FOREIGN TABLE");
        let wrong =
            matches!(rule, Some("internal")) || (rule == Some("unknown-statement") && !known);
        assert!(!wrong, "{}: {text}", file.display());
        rule.is_none()
    }

    fn files() -> Vec<PathBuf> {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/regress");
        let folder = std::env::var_os("PGTENANT_REGRESS_DIR").map_or(ours, PathBuf::from);
        let entries = std::fs::read_dir(folder).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.extension().is_some_and(|e| e == "sql"))
            .collect()
    }
}

#[test]
#[ignore = "prints times; run it optimized"]
fn speed() {
    let guard = guard(SETTING);
    let orm = format!(
        "SELECT {} FROM \"public\".\"wellness_entries\" t0 INNER JOIN \"users\" t1 ON t1.id = t0.user_id WHERE t0.id = $1 AND lower(t1.email) = $2 ORDER BY t0.created_at DESC LIMIT 10",
        (0..30)
            .map(|i| format!("\"t0\".\"column_{i}\" AS \"c{i}\""))
            .collect::<Vec<_>>()
            .join(", ")
    );
    for sql in [
        "SELECT abalance FROM pgbench_accounts WHERE aid = 12345",
        "SELECT lower(a), b FROM t WHERE c = $1 AND d > 5",
        &orm,
    ] {
        let n = 200_000;
        let time = |work: &mut dyn FnMut(usize)| {
            let start = std::time::Instant::now();
            for i in 0..n {
                work(i);
            }
            start.elapsed().as_nanos() as f64 / n as f64
        };
        let parse = time(&mut |_| {
            std::hint::black_box(pg_raw_parse::parse(sql).unwrap());
        });
        let texts: Vec<String> = (0..n).map(|i| format!("{sql} -- {i}")).collect();
        let miss = time(&mut |i| {
            std::hint::black_box(guard.inspect(texts[i].as_bytes()));
        });
        let hit = time(&mut |_| {
            std::hint::black_box(guard.inspect(sql.as_bytes()));
        });
        println!(
            "{} bytes: parse {parse:.0} ns, miss {miss:.0} ns, hit {hit:.0} ns",
            sql.len()
        );
    }
}

#[test]
#[ignore = "prints times; run it optimized"]
fn hostile_speed() {
    let guard = guard(SETTING);
    let mib = 1 << 20;
    let fill = |part: &str| part.repeat(mib / part.len());
    let mut cases: Vec<(String, String)> = Vec::new();
    for part in [
        "/* */ ",
        "/*/*/**/*/*/ ",
        "'a' ",
        "'/*' ",
        "$a$x$a$ ",
        "$a$",
        "(",
        "a,",
        "1+",
        "select 1;",
        "U&'\\0041' ",
        "E'\\n' ",
        "\"/*\" ",
        "a$b$ /* */ ",
        "-- /*\n",
        ";",
        "/",
        "*/",
        "''",
        "$1",
        "1.",
        ".a",
        "::int",
        "[1]",
        "$a /* */",
        "not ",
        "- ",
        "@-",
        "/*-- \n*/",
    ] {
        cases.push((part.to_owned(), fill(part)));
        cases.push((
            format!("SELECT {part}"),
            format!("SELECT {}", fill(part)).chars().take(mib).collect(),
        ));
    }
    cases.push((
        "depth 32".into(),
        fill(&format!("{}{} ", "/*".repeat(32), "*/".repeat(32))),
    ));
    cases.push((
        "tags".into(),
        (0..200_000)
            .map(|i| {
                format!(
                    "${}$ ",
                    (0..4)
                        .map(|k| char::from(b'a' + ((i / 26usize.pow(k)) % 26) as u8))
                        .collect::<String>()
                )
            })
            .collect::<String>()
            + &"/**/ ".repeat(10),
    ));
    cases.push((
        "string".into(),
        format!("SELECT '{}'", "/*".repeat(500_000)),
    ));
    cases.push((
        "quotes".into(),
        format!("SELECT '{}'", "''".repeat(500_000)),
    ));
    cases.push((
        "open comment".into(),
        format!("SELECT /*{}", "x".repeat(1_000_000)),
    ));
    cases.push((
        "settings".into(),
        (0..30_000)
            .map(|i| format!("SET a.b{i} = 1;"))
            .collect::<String>(),
    ));
    let mut times: Vec<(u128, String, Option<&str>)> = cases
        .iter()
        .map(|(name, sql)| {
            let sql = &sql.as_bytes()[..sql.len().min(mib)];
            let start = std::time::Instant::now();
            let verdict = guard.inspect(sql);
            (
                start.elapsed().as_millis(),
                name.clone(),
                verdict.refusal.as_ref().map(|r| r.rule),
            )
        })
        .collect();
    times.sort_by_key(|t| std::cmp::Reverse(t.0));
    for t in times.iter().take(25) {
        println!("HH {} ms {:?} {:?}", t.0, t.1, t.2);
    }
}
