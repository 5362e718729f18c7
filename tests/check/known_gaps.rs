//! Databases with known gaps, and one without.

use super::lab::{A, Application, KEY, Lab, Report, run};
use pgtenant::throwaway::wellness::{self, SCHEMA_DATABASE, SETTING, SETTING_DATABASE};
use testkit::stdout;

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

    let application = Application {
        tenant: (SETTING, A),
        statements: &[
            (
                "SELECT count(*), count(DISTINCT organization_id) FROM wellness_entries",
                "5|1\n",
            ),
            ("SELECT count(*) FROM gaps.part", "5\n"),
        ],
    };
    let fixed = lab.fix(&configuration, "tenantlab", Some(&application));
    // What has no SQL.
    assert_eq!(
        fixed.list(),
        [
            "PGT409 trigger prefs_apply on app.prefs",
            "PGT502 constraint audit_log_pkey on public.audit_log",
            "PGT502 constraint big_pkey on gaps.big"
        ]
    );
    assert_eq!(fixed.status, Some(5));
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
         [[tenants]]\nid = \"11111111-1111-1111-1111-111111111111\"\nisolation = \"rows\"\n\
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

    let application = Application {
        tenant: (SETTING, "11111111-1111-1111-1111-111111111111"),
        statements: &[
            ("SELECT count(*) FROM wellness_entries", "10\n"),
            (
                "SELECT count(*) FROM users JOIN wellness_entries ON user_id = users.id",
                "10\n",
            ),
        ],
    };
    let clean = lab.fix(&configuration, SETTING_DATABASE, Some(&application));
    assert_eq!(clean.list(), Vec::<String>::new());
    assert_eq!(clean.status, Some(0));
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
        "PGT103 role wellness_app",
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
    lab.fix(&configuration, "tenantlab", None);
    let keys = "SELECT pg_get_constraintdef(oid) FROM pg_constraint \
                WHERE conrelid = 'wellness_entries'::regclass AND conname ~ 'seen_by'; \
                SELECT indexdef FROM pg_indexes WHERE indexname = 'notes_once'";
    assert_eq!(
        lab.sql("tenantlab_copy", keys),
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
    lab.fix(&configuration, "tenantlab", None);
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
    // Meant to be shared, or forgotten: only people can tell.
    assert_eq!(report.list(), ["PGT209 table public.countries"]);
    assert_eq!(report.status, Some(0));
}
