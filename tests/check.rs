//! What `pgtenant check` finds in databases with known gaps, and that its SQL
//! closes them.

#![allow(clippy::unwrap_used, clippy::panic)]

use pgtenant::tenant::Verifier;
use pgtenant::throwaway::wellness::{self, SCHEMA_DATABASE, SETTING, SETTING_DATABASE};
use pgtenant::throwaway::{Cluster, ClusterOptions};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use testkit::stdout;

const APP: &str = "wellness_app";
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A server with the roles of the examples; each test makes databases of its own.
struct Lab {
    cluster: Cluster,
}

/// Two databases of tenants with known gaps, those of the escape corpus: tenantlab
/// (a setting; what is meant to be found lies in the schemas app and gaps) and
/// schemalab (a schema a tenant).
fn gaps() -> String {
    let seed = include_str!("escapes/seed.sql").lines();
    // Marks for the corpus's own runner.
    let sql = seed.filter(|line| !["\\data", "\\enddata"].contains(line));
    sql.map(|line| format!("{line}\n")).collect()
}

impl Lab {
    fn start() -> Self {
        let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
        let lab = Self { cluster };
        lab.write("app.password", "app");
        lab.write("role.key", KEY);
        lab
    }

    fn with_gaps() -> Self {
        let lab = Self::start();
        lab.sql("postgres", &gaps());
        lab
    }

    fn sql(&self, database: &str, sql: &str) -> String {
        self.cluster.psql(database, sql).unwrap()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.cluster.directory().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A configuration with this server and what is given.
    fn configuration(&self, rest: &str) -> PathBuf {
        let port = self.cluster.port();
        let text = format!(
            "[tls]\nmode = \"off\"\n[servers.main]\nhost = \"127.0.0.1\"\nport = {port}\n\
             tls = \"off\"\nuser = \"{APP}\"\npassword_file = \"app.password\"\n{rest}"
        );
        let name = format!(
            "{:016x}.toml",
            text.bytes().fold(7_u64, |hash, byte| {
                hash.wrapping_mul(31).wrapping_add(u64::from(byte))
            })
        );
        self.write(&name, &text)
    }

    /// A configuration of the setting kind.
    fn setting(&self, database: &str) -> PathBuf {
        self.configuration(&format!(
            "[isolation.rows]\nkind = \"setting\"\nserver = \"main\"\ndatabase = \"{database}\"\n\
             setting = \"{SETTING}\"\n[[tenants]]\nid = \"a\"\n[[tenants]]\nid = \"b\"\n"
        ))
    }

    fn superuser(&self) -> String {
        self.cluster.superuser_url("postgres")
    }

    /// Checks as the superuser.
    fn check(&self, configuration: &Path) -> Report {
        Report::of(&run(&[
            "--config",
            configuration.to_str().unwrap(),
            "--json",
            "--url",
            &self.superuser(),
        ]))
    }

    /// Runs the SQL of all findings in the order of the report, and asserts that
    /// none of what it fixes is found any more; again, until there is no SQL left.
    fn fix(&self, configuration: &Path, database: &str) -> Report {
        let mut report = self.check(configuration);
        for _ in 0..3 {
            let mut fixed = Vec::new();
            for finding in report.findings() {
                let Some(fix) = finding["fix"].as_str() else {
                    continue;
                };
                self.cluster
                    .psql(database, fix)
                    .unwrap_or_else(|error| panic!("{finding:#}: {error}"));
                fixed.push((finding["id"].clone(), finding["object"].clone()));
            }
            if fixed.is_empty() {
                return report;
            }
            report = self.check(configuration);
            for finding in report.findings() {
                let key = (finding["id"].clone(), finding["object"].clone());
                assert!(!fixed.contains(&key), "still: {finding:#}");
            }
        }
        panic!("each fix makes another one needed: {:#?}", report.list());
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pgtenant"))
        .arg("check")
        .args(arguments)
        .env_remove("PGPASSWORD")
        .output()
        .unwrap()
}

/// A report as programs get it.
struct Report {
    json: Value,
    status: Option<i32>,
}

impl Report {
    fn of(output: &Output) -> Self {
        let json = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let report = Self {
            json,
            status: output.status.code(),
        };
        assert_eq!(report.json["version"], 1);
        report
    }

    fn findings(&self) -> &[Value] {
        self.json["findings"].as_array().unwrap()
    }

    fn of_check(&self, id: &str) -> Vec<Value> {
        let findings = self.findings().iter().cloned();
        findings.filter(|finding| finding["id"] == id).collect()
    }

    /// `PGT201 table public.users`, in the order of the report.
    fn list(&self) -> Vec<String> {
        let name = |finding: &Value| {
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            format!("{} {}", text("id"), text("object"))
        };
        self.findings().iter().map(name).collect()
    }

    fn assert_has(&self, expected: &[&str]) {
        let found = self.list();
        for one in expected {
            assert!(
                found.iter().any(|found| found == one),
                "{one} is not in {found:#?}"
            );
        }
    }

    fn assert_complete(&self) {
        assert_eq!(self.json["failures"], serde_json::json!([]));
    }
}

/// The gaps of [`gaps`], errors and warnings.
const GAPS: &[&str] = &[
    "PGT201 table app.prefs",
    "PGT201 table gaps.no_rls",
    "PGT202 table gaps.policy_but_disabled",
    "PGT204 table gaps.child",
    "PGT204 table gaps.part0",
    "PGT204 table gaps.part1",
    "PGT206 table gaps.no_rls",
    "PGT206 table gaps.nullok",
    "PGT301 policy p2 on gaps.or_policy",
    "PGT302 policy p1 on gaps.nullok",
    "PGT303 policy ins on gaps.select_only_policy",
    "PGT401 view app.set_pref_view",
    "PGT401 view gaps.tenant_view",
    "PGT401 view gaps.v_entries",
    "PGT403 materialized view gaps.mv_entries",
    "PGT404 view app.set_pref_view",
    "PGT405 function gaps.sd_mutable_path()",
    "PGT405 function gaps.sd_notes()",
    "PGT408 function app.run_report(text)",
    "PGT408 function app.set_pref(text,text)",
    "PGT408 function app.set_pref_proc(text,text)",
    "PGT409 trigger prefs_apply on app.prefs",
    "PGT410 extension dblink",
    "PGT410 extension tablefunc",
    "PGT207 table gaps.no_rls",
    "PGT207 table gaps.nullok",
    "PGT402 view gaps.tenant_view",
    "PGT407 function gaps.sd_mutable_path()",
    "PGT407 function gaps.sd_notes()",
    "PGT412 view public.pg_stat_statements",
    "PGT501 constraint big_code_key on gaps.big",
    "PGT501 constraint users_email_key on public.users",
    "PGT503 constraint wellness_entries_user_id_fkey on public.wellness_entries",
    "PGT601 database tenantlab",
];

#[test]
fn every_known_gap_is_found_and_its_sql_closes_it() {
    let lab = Lab::with_gaps();
    let configuration = lab.setting("tenantlab");
    let report = lab.check(&configuration);
    report.assert_complete();
    let list = report.list();
    let severe = report
        .findings()
        .iter()
        .filter(|finding| finding["severity"] != "notice");
    assert_eq!(list[..severe.count()], *GAPS);
    report.assert_has(&[
        "PGT208 table gaps.big",
        "PGT305 policy org on public.users",
        "PGT502 constraint audit_log_pkey on public.audit_log",
    ]);
    assert_eq!(report.status, Some(5));
    // The proxy's own user sees the same, and twice is once.
    let config = configuration.to_str().unwrap();
    let own = run(&["--config", config, "--json"]);
    assert_eq!(Report::of(&own).list(), list);
    assert_eq!(stdout(&own), stdout(&run(&["--config", config, "--json"])));

    let fixed = lab.fix(&configuration, "tenantlab");
    // What has no SQL: a primary key of guessable values.
    assert_eq!(
        fixed.list(),
        [
            "PGT502 constraint audit_log_pkey on public.audit_log",
            "PGT502 constraint big_pkey on gaps.big"
        ]
    );
    assert_eq!(fixed.status, Some(0));
    // The application still works, and sees its own.
    let rows = lab.sql(
        "tenantlab",
        "SET ROLE wellness_app; SET session.current_organization_id = \
         'aaaaaaaa-0000-4000-8000-000000000001'; \
         SELECT count(*), count(DISTINCT organization_id) FROM wellness_entries; \
         SELECT count(*) FROM gaps.part; SELECT count(*) FROM gaps.or_policy;",
    );
    assert_eq!(rows, "5|1\n5\n5\n");
}

#[test]
fn wellness_corp_as_it_stands_has_few_gaps_and_none_once_they_are_closed() {
    let lab = Lab::start();
    wellness::load(&lab.cluster, "app", KEY.as_bytes()).unwrap();
    let configuration = lab.configuration(&format!(
        "[isolation.rows]\nkind = \"setting\"\nserver = \"main\"\n\
         database = \"{SETTING_DATABASE}\"\nsetting = \"{SETTING}\"\n\
         [isolation.schemas]\nkind = \"schema\"\nserver = \"main\"\n\
         database = \"{SCHEMA_DATABASE}\"\nsearch_path = [\"{{schema}}\"]\n\
         role = \"{{schema}}_app\"\nrole_key_file = \"role.key\"\n\
         [isolation.silo]\nkind = \"database\"\nserver = \"main\"\ndatabase = \"{{database}}\"\n\
         [[tenants]]\nid = \"a\"\nisolation = \"rows\"\n\
         [[tenants]]\nid = \"c\"\nisolation = \"schemas\"\nschema = \"acme_health\"\n\
         [[tenants]]\nid = \"d\"\nisolation = \"schemas\"\nschema = \"globex\"\n\
         [[tenants]]\nid = \"e\"\nisolation = \"silo\"\ndatabase = \"wellness_initech\"\n"
    ));
    // As the proxy logs in: its user, and a tenant's own role.
    let output = run(&["--config", configuration.to_str().unwrap(), "--json"]);
    let report = Report::of(&output);
    report.assert_complete();
    assert_eq!(
        report.list(),
        [
            "PGT203 table public.organizations",
            "PGT503 constraint wellness_entries_user_id_fkey on public.wellness_entries",
            "PGT601 database wellness_corp_db",
            "PGT208 table public.wellness_entries",
            "PGT305 policy tenant_isolation_policy on public.users",
            "PGT305 policy tenant_isolation_policy on public.wellness_entries",
        ]
    );
    let users: Vec<_> = report.json["checked"].as_array().unwrap().iter().collect();
    assert_eq!(users.len(), 3);
    assert!(
        users
            .iter()
            .any(|checked| checked["user"] == "acme_health_app")
    );

    let clean = lab.fix(&configuration, SETTING_DATABASE);
    assert_eq!(clean.list(), Vec::<String>::new());
    assert_eq!(clean.status, Some(0));
    let rows = lab.sql(
        SETTING_DATABASE,
        "SET ROLE wellness_app; SET session.current_organization_id = \
         '11111111-1111-1111-1111-111111111111'; \
         SELECT name FROM organizations; SELECT count(*) FROM wellness_entries;",
    );
    assert_eq!(rows, "Innovate Inc.\n10\n");
}

#[test]
fn what_a_role_must_not_be_is_found_and_taken_away() {
    let lab = Lab::with_gaps();
    lab.sql(
        "tenantlab",
        "CREATE ROLE carer BYPASSRLS; GRANT carer TO wellness_app;
         GRANT pg_read_all_data, wellness_owner TO wellness_app;
         ALTER ROLE wellness_app CREATEROLE CREATEDB;
         ALTER ROLE wellness_app IN DATABASE tenantlab
             SET session.current_organization_id = 'aaaaaaaa-0000-4000-8000-000000000001';
         ALTER DATABASE tenantlab SET session.current_organization_id = 'x';
         GRANT CREATE ON SCHEMA app TO PUBLIC; GRANT CREATE ON DATABASE tenantlab TO wellness_app;
         CREATE EXTENSION postgres_fdw; CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw;
         GRANT USAGE ON FOREIGN SERVER elsewhere TO wellness_app;
         CREATE FOREIGN TABLE gaps.remote (note text) SERVER elsewhere;
         GRANT SELECT ON gaps.remote TO wellness_app;
         CREATE FUNCTION app.helper() RETURNS int LANGUAGE sql SECURITY DEFINER
             SET search_path = pg_catalog AS 'SELECT 1';
         CREATE TABLE app.shared (organization_id uuid PRIMARY KEY, note text);
         ALTER TABLE app.shared ENABLE ROW LEVEL SECURITY;
         CREATE POLICY org ON app.shared USING (organization_id IS NULL OR organization_id =
             (SELECT current_setting('session.current_organization_id'))::uuid);
         GRANT SELECT ON app.shared TO wellness_app;
         CREATE OPERATOR app.<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = app.set_pref);
         CREATE AGGREGATE app.setting (text, boolean) (SFUNC = set_config, STYPE = text);
         CREATE FUNCTION app.as_other() RETURNS bigint LANGUAGE sql
             SET session.current_organization_id = 'bbbbbbbb-0000-4000-8000-000000000002'
             AS 'SELECT count(*) FROM public.users';
         CREATE TABLE app.by_list (organization_id text, note text);
         ALTER TABLE app.by_list ENABLE ROW LEVEL SECURITY;
         CREATE POLICY org ON app.by_list USING (organization_id IN
             (SELECT current_setting('session.current_organization_id')));
         CREATE TABLE app.by_text (organization_id text, note text);
         GRANT SELECT ON app.by_list, app.by_text TO wellness_app;
         CREATE UNIQUE INDEX notes_once ON wellness_entries (lower(note)) WHERE note <> '';
         ALTER TABLE wellness_entries ADD COLUMN seen_by uuid REFERENCES users ON DELETE SET NULL
             DEFERRABLE;
         CREATE FUNCTION app.never(value text) RETURNS boolean LANGUAGE plpgsql
             AS $$ BEGIN RAISE EXCEPTION 'ran'; END $$;
         CREATE DOMAIN app.word AS text CHECK (app.never(value));
         CREATE TABLE app.words (organization_id uuid, word app.word);
         ALTER TABLE app.words ENABLE ROW LEVEL SECURITY;
         CREATE POLICY org ON app.words USING
             (coalesce(current_setting('session.current_organization_id', true), '') = '' OR
              organization_id = current_setting('session.current_organization_id')::uuid);
         GRANT SELECT ON app.words TO wellness_app;",
    );
    let configuration = lab.setting("tenantlab");
    let report = lab.check(&configuration);
    report.assert_complete();
    report.assert_has(&[
        "PGT103 table public.users",
        "PGT104 role wellness_app",
        "PGT105 role wellness_app",
        "PGT106 role wellness_app",
        "PGT107 role wellness_app",
        "PGT107 database tenantlab",
        "PGT201 table app.by_text",
        "PGT205 foreign table gaps.remote",
        "PGT302 policy org on app.words",
        "PGT304 policy org on app.shared",
        "PGT406 function app.helper()",
        "PGT408 function app.as_other()",
        "PGT413 operator app.<<<(text,text)",
        "PGT413 aggregate app.setting(text,boolean)",
        "PGT411 foreign server elsewhere",
        "PGT501 index public.notes_once",
        "PGT503 constraint wellness_entries_seen_by_fkey on public.wellness_entries",
        "PGT602 schema app",
        "PGT602 database tenantlab",
    ]);
    let log = std::fs::read_to_string(lab.cluster.log_path()).unwrap();
    assert!(!log.contains("ERROR:  ran"), "{log}");
    lab.fix(&configuration, "tenantlab");
    let keys = "SELECT pg_get_constraintdef(oid) FROM pg_constraint \
                WHERE conrelid = 'wellness_entries'::regclass AND conname ~ 'seen_by'; \
                SELECT indexdef FROM pg_indexes WHERE indexname = 'notes_once'";
    assert_eq!(
        lab.sql("tenantlab", keys),
        "FOREIGN KEY (organization_id, seen_by) REFERENCES users(organization_id, id) \
         ON DELETE SET NULL (seen_by) DEFERRABLE\n\
         CREATE UNIQUE INDEX notes_once ON public.wellness_entries USING btree \
         (organization_id, lower(note)) WHERE (note <> ''::text)\n"
    );

    lab.sql("postgres", "ALTER ROLE wellness_app BYPASSRLS");
    assert_eq!(lab.check(&configuration).of_check("PGT102").len(), 1);
    // Of a superuser, everything else would be said too: one word is enough.
    lab.sql("postgres", "ALTER ROLE wellness_app SUPERUSER");
    let report = lab.check(&configuration);
    assert_eq!(report.list()[..1], ["PGT101 role wellness_app"]);
    lab.fix(&configuration, "postgres");
    assert!(lab.check(&configuration).of_check("PGT101").is_empty());
}

#[test]
fn what_is_right_is_not_reported() {
    let lab = Lab::start();
    lab.sql(
        "postgres",
        "CREATE ROLE wellness_app LOGIN PASSWORD 'app';
         CREATE DATABASE good;",
    );
    lab.sql(
        "good",
        "REVOKE ALL ON DATABASE good FROM PUBLIC; GRANT CONNECT ON DATABASE good TO wellness_app;
         GRANT USAGE ON SCHEMA public TO wellness_app;
         CREATE FUNCTION tenant() RETURNS uuid LANGUAGE sql STABLE
             AS $$ SELECT current_setting('session.current_organization_id')::uuid $$;
         -- Restrictive: what the permissive one lets through does not matter.
         CREATE TABLE walled (id uuid PRIMARY KEY, organization_id uuid NOT NULL);
         CREATE POLICY everything ON walled USING (true) WITH CHECK (true);
         CREATE POLICY wall ON walled AS RESTRICTIVE USING (organization_id = (SELECT tenant()));
         -- Bound through another table.
         CREATE TABLE notes (id uuid PRIMARY KEY, walled_id uuid REFERENCES walled, note text);
         CREATE POLICY through ON notes USING (walled_id IN (SELECT id FROM walled));
         -- A policy that is empty where there is no tenant.
         CREATE TABLE entries (id uuid PRIMARY KEY, organization_id uuid NOT NULL, code int,
             UNIQUE (organization_id, code));
         CREATE POLICY org ON entries USING (organization_id =
             nullif((SELECT current_setting('session.current_organization_id', true)), '')::uuid);
         CREATE TABLE countries (code text PRIMARY KEY);
         ALTER TABLE walled ENABLE ROW LEVEL SECURITY;
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         ALTER TABLE entries ENABLE ROW LEVEL SECURITY;
         CREATE INDEX ON walled (organization_id);
         CREATE VIEW numbers WITH (security_invoker) AS SELECT code FROM entries;
         CREATE FUNCTION add(a int, b int) RETURNS int LANGUAGE plpgsql
             AS $$ BEGIN RETURN a + b; END $$;
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO wellness_app;",
    );
    let report = lab.check(&lab.setting("good"));
    report.assert_complete();
    assert_eq!(report.list(), Vec::<String>::new());
    assert_eq!(report.status, Some(0));
}

#[test]
fn code_that_changes_settings_matters_only_where_a_table_is_not_sealed() {
    let lab = Lab::start();
    lab.sql(
        "postgres",
        "CREATE ROLE wellness_app LOGIN PASSWORD 'app'; CREATE ROLE pgtenant_seal;
         CREATE DATABASE sealed;",
    );
    lab.sql(
        "sealed",
        "REVOKE ALL ON DATABASE sealed FROM PUBLIC; GRANT USAGE ON SCHEMA public TO wellness_app;
         CREATE SCHEMA pgtenant AUTHORIZATION pgtenant_seal;
         GRANT USAGE ON SCHEMA pgtenant TO PUBLIC;
         CREATE FUNCTION pgtenant.tenant(setting text) RETURNS text LANGUAGE plpgsql
             SECURITY DEFINER AS $$ BEGIN RETURN NULL; END $$;
         CREATE FUNCTION set_pref(k text, v text) RETURNS text LANGUAGE sql
             AS 'SELECT set_config(k, v, false)';
         CREATE TABLE entries (id uuid PRIMARY KEY, tenant_id text NOT NULL);
         CREATE INDEX ON entries (tenant_id);
         ALTER TABLE entries ENABLE ROW LEVEL SECURITY;
         CREATE POLICY org ON entries USING
             (tenant_id = (SELECT current_setting('session.current_organization_id')));
         CREATE POLICY pgtenant_seal ON entries AS RESTRICTIVE USING (tenant_id =
             (SELECT pgtenant.tenant('session.current_organization_id')));
         GRANT SELECT, INSERT ON entries TO wellness_app;",
    );
    let configuration = lab.setting("sealed");
    let report = lab.check(&configuration);
    report.assert_complete();
    assert_eq!(report.list(), Vec::<String>::new());

    lab.sql("sealed", "DROP POLICY pgtenant_seal ON entries");
    let report = lab.check(&configuration);
    assert_eq!(
        report.list(),
        ["PGT408 function public.set_pref(text,text)"]
    );
    // Where the configuration seals the setting, an unsealed table is a gap.
    let text = std::fs::read_to_string(&configuration).unwrap();
    let sealed = text.replace(
        "kind = \"setting\"",
        "kind = \"setting\"\nseal = \"carrier\"\nseal_key_file = \"role.key\"",
    );
    let report = lab.check(&lab.write("sealed.toml", &sealed));
    report.assert_complete();
    report.assert_has(&["PGT306 table public.entries"]);
}

#[test]
fn a_tenants_role_that_reaches_another_tenants_schema_is_found() {
    let lab = Lab::with_gaps();
    lab.sql(
        "schemalab",
        "GRANT USAGE ON SCHEMA tenant_b TO tenant_a_app; GRANT USAGE ON SCHEMA tenant_a TO PUBLIC;
         GRANT tenant_a_app TO tenant_b_app; CREATE SCHEMA shared; \
         GRANT CREATE ON SCHEMA shared TO tenant_a_app;",
    );
    let configuration = lab.configuration(
        "[isolation.schemas]\nkind = \"schema\"\nserver = \"main\"\ndatabase = \"schemalab\"\n\
         search_path = [\"{schema}\", \"shared\"]\nrole = \"{schema}_app\"\n\
         role_key_file = \"role.key\"\n\
         [[tenants]]\nid = \"a\"\nschema = \"tenant_a\"\n\
         [[tenants]]\nid = \"b\"\nschema = \"tenant_b\"\n\
         [[tenants]]\nid = \"c\"\nschema = \"tenant_c\"\n",
    );
    let report = lab.check(&configuration);
    report.assert_complete();
    assert_eq!(
        report.list(),
        [
            "PGT100 role tenant_c_app",
            "PGT701 schema tenant_c",
            "PGT702 schema tenant_b",
            "PGT703 schema tenant_a",
            "PGT704 role tenant_b_app",
            "PGT602 schema shared",
            "PGT602 schema shared",
        ]
    );
    let fixed = lab.fix(&configuration, "schemalab");
    assert_eq!(
        fixed.list(),
        ["PGT100 role tenant_c_app", "PGT701 schema tenant_c"]
    );
}

#[test]
fn a_tenants_database_that_everybody_may_connect_to_is_found() {
    let lab = Lab::start();
    lab.sql(
        "postgres",
        "CREATE ROLE wellness_app LOGIN PASSWORD 'app'; CREATE DATABASE silo_a;",
    );
    let configuration = lab.configuration(
        "[isolation.silo]\nkind = \"database\"\nserver = \"main\"\ndatabase = \"silo_{id}\"\n\
         [[tenants]]\nid = \"a\"\n",
    );
    let report = lab.check(&configuration);
    assert_eq!(report.list(), ["PGT605 database silo_a"]);
    assert_eq!(report.status, Some(4));
    assert_eq!(
        lab.fix(&configuration, "silo_a").list(),
        Vec::<String>::new()
    );
    // The tenants' role was not shut out.
    let own = run(&["--config", configuration.to_str().unwrap()]);
    assert_eq!(own.status.code(), Some(0), "{}", stdout(&own));
}

#[test]
fn gaps_of_the_configuration_are_found_without_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pgtenant.toml");
    let text = "[listen]\naddress = \"0.0.0.0:6432\"\n[tls]\nmode = \"off\"\n\
         [servers.clear]\nhost = \"db.example.com\"\ntls = \"off\"\nuser = \"app\"\n\
         [servers.blind]\nhost = \"db2.example.com\"\ntls = \"require\"\nuser = \"app\"\n\
         [servers.here]\nhost = \"localhost\"\ntls = \"off\"\nuser = \"app\"\n\
         [isolation.schemas]\nkind = \"schema\"\nserver = \"clear\"\ndatabase = \"d\"\n\
         search_path = [\"{schema}\"]\n\
         [isolation.databases]\nkind = \"database\"\nserver = \"here\"\ndatabase = \"{database}\"\n\
         [guard]\nmode = \"report\"\nopaque = \"allow\"\nchannels = \"allow\"\n\
         [[tenants]]\nid = \"a\"\nisolation = \"schemas\"\nschema = \"a\"\n";
    std::fs::write(&file, text).unwrap();
    let report = Report::of(&run(&[
        "--config",
        file.to_str().unwrap(),
        "--offline",
        "--json",
    ]));
    assert_eq!(
        report.list(),
        [
            "PGT001 guard.mode",
            "PGT002 guard.opaque",
            "PGT003 servers.clear.tls",
            "PGT005 isolation.schemas",
            "PGT004 servers.blind.tls",
            "PGT006 guard.channels",
            "PGT007 tls.mode",
            "PGT008 guard.opaque",
        ]
    );
    assert_eq!(report.status, Some(5));
}

#[test]
fn a_database_that_cannot_be_looked_at_is_not_in_order() {
    let lab = Lab::start();
    let configuration = lab.setting("nowhere");
    let output = run(&["--config", configuration.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(text.contains("NOT CHECKED"), "{text}");
    assert!(text.contains("nowhere"), "{text}");
    assert!(!text.contains("password=app"), "{text}");
}

#[test]
fn a_wrong_url_is_refused_and_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pgtenant.toml");
    let verifier = Verifier::derive("x");
    let text = format!(
        "[tls]\nmode = \"off\"\n[servers.main]\nhost = \"localhost\"\ntls = \"off\"\nuser = \"app\"\n\
         [isolation.rows]\nkind = \"setting\"\nserver = \"main\"\ndatabase = \"d\"\n\
         setting = \"{SETTING}\"\n[[tenants]]\nid = \"a\"\n\
         [[logins]]\nuser = \"u\"\ntenant = \"a\"\nscram = \"{verifier}\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let config = file.to_str().unwrap();
    let output = run(&["--config", config, "--url", "postgres://o:hunter2@h/d?x=1"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("--url"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn every_check_can_be_listed_and_explained() {
    let output = run(&["--list"]);
    assert_eq!(output.status.code(), Some(0));
    let list = stdout(&output);
    assert!(list.lines().count() > 40, "{list}");
    for line in list.lines() {
        let id = line.split_whitespace().next().unwrap();
        let output = run(&["--explain", id]);
        assert_eq!(output.status.code(), Some(0), "{id}");
        let text = stdout(&output);
        assert!(text.starts_with(id) && text.lines().count() > 2, "{text}");
        assert!(
            text.lines().skip(1).all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }
    assert_eq!(run(&["--explain", "PGT999"]).status.code(), Some(2));
}

#[test]
fn the_report_for_people_is_grouped_and_has_no_escape_sequences() {
    let lab = Lab::with_gaps();
    lab.sql(
        "tenantlab",
        "CREATE TABLE gaps.\"odd\u{1b}[31m\" (organization_id uuid); \
         GRANT SELECT ON gaps.\"odd\u{1b}[31m\" TO wellness_app;",
    );
    let output = run(&["--config", lab.setting("tenantlab").to_str().unwrap()]);
    let text = stdout(&output);
    let position = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word}: {text}"));
    assert!(position("ERRORS") < position("PGT201"));
    assert!(position("PGT410") < position("WARNINGS"));
    assert!(position("WARNINGS") < position("NOTICES"));
    assert!(text.contains("ALTER VIEW gaps.v_entries SET (security_invoker = true);"));
    assert!(text.contains("odd\\u{1b}[31m"), "{text}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn a_policy_with_code_of_ones_own_is_not_run() {
    let lab = Lab::with_gaps();
    lab.sql(
        "tenantlab",
        "CREATE FUNCTION gaps.mark() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
             BEGIN RAISE EXCEPTION 'ran'; END $$;
             CREATE TABLE gaps.own_code (organization_id uuid);
             ALTER TABLE gaps.own_code ENABLE ROW LEVEL SECURITY;
             CREATE POLICY org ON gaps.own_code USING (gaps.mark() OR
                 coalesce(current_setting('session.current_organization_id', true), '') = '' OR
                 organization_id = current_setting('session.current_organization_id')::uuid);
             GRANT SELECT ON gaps.own_code TO wellness_app;",
    );
    let report = lab.check(&lab.setting("tenantlab"));
    report.assert_complete();
    let found = report.of_check("PGT302");
    let own = found
        .iter()
        .find(|f| f["object"] == "policy org on gaps.own_code")
        .unwrap();
    assert!(
        own["detail"].as_str().unwrap().contains("not tried"),
        "{own}"
    );
    let log = std::fs::read_to_string(lab.cluster.log_path()).unwrap();
    assert!(!log.contains("ERROR:  ran"), "{log}");
}
