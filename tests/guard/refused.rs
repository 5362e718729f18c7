//! Each rule and the statements that it refuses.

use crate::{SETTING, guard, guard_with, refused};
use pgtenant::guard::{Permission, rules};

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
        "name-encoding",
        &[
            "SET app.İd = '1'",
            "RESET app.é",
            "SET LOCAL \"app.É\" = 1",
            "PREPARE İx AS SELECT 1",
            "EXECUTE é",
            "EXPLAIN EXECUTE é",
            "DEALLOCATE \"İ\"",
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
            "SET LOCAL SESSION AUTHORIZATION DEFAULT",
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
            // The first schema that exists counts.
            "SET search_path = nosuch, pg_temp, public",
            "SET search_path TO \"$user\", pg_temp, public",
            "SET search_path = nosuch, pg_temp",
            "SET LOCAL search_path = a, pg_temp_3",
            "SET SESSION search_path = a, \"pg_temp\", b",
            "BEGIN; SET LOCAL search_path = public, PG_TEMP; CREATE TABLE t (a int); COMMIT",
            "SELECT set_config('search_path', 'nosuch, pg_temp', false)",
            "SELECT set_config('search_path', 'nosuch,PG_Temp ,public', true)",
            "SELECT set_config('search_path', '\"$user\", \"pg_temp\"', true)",
            "SELECT set_config('search_path', 'pg_temp_12', true)",
        ],
    ),
    (
        "computed-setting",
        &[
            "SELECT set_config($1, 'x', false)",
            "SELECT set_config('a.b' || '', 'x', false)",
            "SELECT set_config(name, setting, false) FROM pg_settings",
            // Not quite what pg_dump says.
            "SELECT set_config(name, 'view', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
            "SELECT set_config(name, 'view, foreign-table', true) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
            "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = 'role'",
            "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings",
            "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name > 'restrict_nonsystem_relation_kind'",
            "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE setting = 'restrict_nonsystem_relation_kind'",
            "SELECT set_config(setting, 'view, foreign-table', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
            "SELECT set_config(name, 'view, foreign-table', false) FROM t WHERE name = 'restrict_nonsystem_relation_kind'",
            "SELECT set_config(name, 'view, foreign-table', false) FROM public.pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
            "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings t(a, name) WHERE name = 'restrict_nonsystem_relation_kind'",
            "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings, t WHERE name = 'restrict_nonsystem_relation_kind'",
            "WITH pg_settings AS (SELECT 'role' AS name) SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
            "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind' GROUP BY name",
            "SELECT set_config(name, 'view, foreign-table', false), 1 FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
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
            "SET SESSION AUTHORIZATION DEFAULT; SELECT 1",
            "RESET ALL; CLOSE ALL; SELECT a FROM t",
            "RESET ALL; SELECT pg_advisory_unlock_all() FROM t",
            "RESET ALL; SELECT pg_advisory_unlock_all() WHERE true",
            "RESET ALL; SELECT pg_advisory_unlock_all(), 1",
            "RESET ALL; SELECT app.pg_advisory_unlock_all()",
            "RESET ALL; SELECT pg_advisory_unlock_all() FILTER (WHERE true)",
            "RESET ALL; SELECT pg_advisory_unlock_all((SELECT 1))",
            "RESET ALL; SELECT pg_advisory_unlock_all() ORDER BY 1",
            "RESET ALL; SET a.b = 1",
            "RESET ALL; COMMIT",
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
        "seal",
        &[
            "SELECT pgtenant.bind('v1.carrier')",
            "SELECT pgtenant.bind_token('', 'x') FROM t",
            "SELECT * FROM pgtenant.verify('')",
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
    (
        "unknown-statement",
        &["CREATE FOREIGN TABLE t (a int) SERVER s"],
    ),
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
        let listed = REFUSED.iter().any(|(rule, _)| *rule == name);
        assert_ne!(listed, OTHERS.contains(&name), "{name}");
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
        let refusal = guard.startup_setting(name, value);
        assert_eq!(refusal.map(|refusal| refusal.rule), rule, "{name}={value}");
    }
}
