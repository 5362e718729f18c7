//! Code that changes settings, with the seal and without.

use super::lab::Lab;

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
    // The configuration has none.
    assert_eq!(report.list(), ["PGT313 table public.entries"]);

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
