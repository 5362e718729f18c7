//! The kinds schema and database.

use super::lab::{Lab, run};
use testkit::stdout;

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
    for finding in report.findings().iter().take(2) {
        let fix = finding["fix"].as_str().unwrap();
        assert!(fix.contains("pgtenant provision"), "{fix}");
    }
    let fixed = lab.fix(&configuration, "schemalab", None);
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
        lab.fix(&configuration, "silo_a", None).list(),
        Vec::<String>::new()
    );
    // The tenants' role was not shut out.
    let own = run(&["--config", configuration.to_str().unwrap()]);
    assert_eq!(own.status.code(), Some(0), "{}", stdout(&own));
}
