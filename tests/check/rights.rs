//! Rights that come by other ways than a grant to the role itself.

use super::lab::{A, Application, Lab, SETTING, on_each_version};

const SCHEMA: &str = "
    CREATE ROLE owner_of_all; CREATE ROLE crew; CREATE ROLE readers; CREATE ROLE grantor;
    CREATE ROLE bystander; GRANT crew TO wellness_app; GRANT readers TO crew;
    GRANT crew TO bystander; GRANT pg_monitor TO crew; GRANT owner_of_all TO crew;
    CREATE SCHEMA data AUTHORIZATION owner_of_all;
    SET ROLE owner_of_all;
    CREATE TABLE data.entries (id uuid PRIMARY KEY, organization_id uuid NOT NULL, n serial);
    CREATE INDEX ON data.entries (organization_id);
    CREATE POLICY org ON data.entries USING (organization_id =
        (SELECT current_setting('session.current_organization_id'))::uuid);
    ALTER TABLE data.entries ENABLE ROW LEVEL SECURITY;
    RESET ROLE;
    CREATE TABLE own (id uuid PRIMARY KEY, organization_id uuid NOT NULL, n serial);
    CREATE INDEX ON own (organization_id);
    CREATE POLICY org ON own USING (organization_id =
        (SELECT current_setting('session.current_organization_id'))::uuid);
    ALTER TABLE own ENABLE ROW LEVEL SECURITY;
    ALTER TABLE own OWNER TO wellness_app;
    CREATE TABLE shared (code text PRIMARY KEY);
    GRANT SELECT ON shared TO wellness_app;
    CREATE TABLE logs (id uuid PRIMARY KEY, organization_id uuid NOT NULL);
    CREATE INDEX ON logs (organization_id);
    CREATE POLICY org ON logs USING (organization_id =
        (SELECT current_setting('session.current_organization_id'))::uuid);
    ALTER TABLE logs ENABLE ROW LEVEL SECURITY;
    GRANT SELECT, INSERT ON logs TO wellness_app;
    GRANT TRUNCATE, TRIGGER ON logs TO readers;
    GRANT TRUNCATE ON logs TO grantor WITH GRANT OPTION;
    SET ROLE grantor; GRANT TRUNCATE ON logs TO wellness_app; RESET ROLE;
    CREATE MATERIALIZED VIEW totals AS SELECT organization_id, count(*) FROM logs GROUP BY 1;
    GRANT SELECT (count) ON totals TO readers;
    CREATE FUNCTION run(t text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE t; END';
    REVOKE EXECUTE ON FUNCTION run FROM PUBLIC; GRANT EXECUTE ON FUNCTION run TO readers;
    GRANT CREATE ON SCHEMA public TO crew;
    GRANT CREATE, TEMPORARY ON DATABASE grouped TO readers;
    INSERT INTO own VALUES (gen_random_uuid(), 'aaaaaaaa-0000-4000-8000-000000000001');
    INSERT INTO data.entries VALUES (gen_random_uuid(), 'aaaaaaaa-0000-4000-8000-000000000001');";

#[test]
fn a_right_is_taken_from_where_it_comes_from() {
    on_each_version(|lab| {
        lab.database("grouped", SCHEMA);
        let configuration = lab.setting("grouped");
        let report = lab.check(&configuration);
        report.assert_complete();
        report.assert_has(&[
            "PGT103 role wellness_app",
            "PGT103 table public.own",
            "PGT105 role wellness_app",
            "PGT206 table public.logs",
            "PGT207 table public.logs",
            "PGT403 materialized view public.totals",
            "PGT408 function public.run(text)",
            "PGT601 database grouped",
            "PGT602 database grouped",
            "PGT602 schema public",
        ]);
        let truncate = report.one("PGT206", "table public.logs");
        assert_eq!(
            truncate["fix"],
            "SET ROLE grantor; REVOKE TRUNCATE ON public.logs FROM wellness_app; RESET ROLE; \
             REVOKE TRUNCATE ON public.logs FROM readers;"
        );
        let detail = truncate["detail"].as_str().unwrap();
        assert!(
            detail.contains("through readers: its other members lose it too"),
            "{detail}"
        );
        let application = Application {
            tenant: (SETTING, A),
            statements: &[
                ("SELECT count(*) FROM own", "1\n"),
                ("SELECT count(*) FROM data.entries", "1\n"),
                (
                    "INSERT INTO own VALUES (gen_random_uuid(), 'aaaaaaaa-0000-4000-8000-000000000001') RETURNING n > 0",
                    "t\n",
                ),
                (
                    "INSERT INTO data.entries VALUES (gen_random_uuid(), 'aaaaaaaa-0000-4000-8000-000000000001') RETURNING n > 0",
                    "t\n",
                ),
                ("SELECT count(*) FROM shared", "0\n"),
            ],
        };
        let fixed = lab.fix(&configuration, "grouped", Some(&application));
        assert_eq!(fixed.list(), ["PGT209 table public.shared"]);
    });
}

#[test]
fn no_statement_is_printed_where_none_helps() {
    let lab = Lab::start();
    lab.database(
        "predefined",
        "GRANT pg_read_all_data TO wellness_app;
         CREATE EXTENSION pg_stat_statements;
         REVOKE ALL ON pg_stat_statements FROM PUBLIC;",
    );
    let report = lab.check(&lab.setting("predefined"));
    let view = report.one("PGT412", "view public.pg_stat_statements");
    assert!(view["fix"].is_null(), "{view}");
    assert!(
        view["detail"].as_str().unwrap().contains("PGT105"),
        "{view}"
    );
    let fixed = lab.fix(&lab.setting("predefined"), "predefined", None);
    assert!(fixed.of_check("PGT412").is_empty());
}
