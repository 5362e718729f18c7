//! What `pgtenant check` finds of tenants' roles.

use crate::place::*;
use serde_json::Value;
use testkit::{SYNERGY, stdout};

/// The findings about tenants' roles: id, object and SQL.
fn found(place: &Place, text: &str) -> Vec<(String, String, String)> {
    let url = place.plain.cluster.superuser_url("postgres");
    let output = place.command(text, &["check", "--json", "--url", &url]);
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert!(
        report["failures"].as_array().is_none_or(Vec::is_empty),
        "{report:#}"
    );
    let findings = report["findings"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = findings
        .iter()
        .map(|one| (text(&one["id"]), text(&one["object"]), text(&one["fix"])));
    all.filter(|(id, object, _)| {
        id.starts_with("PGT8")
            || id.starts_with("PGT1")
            || object.contains("_own")
            || id == "PGT011"
    })
    .collect()
}

fn ids(found: &[(String, String, String)]) -> Vec<String> {
    found
        .iter()
        .map(|(id, object, _)| format!("{id} {object}"))
        .collect()
}

#[test]
fn a_role_for_each_tenant_is_recommended_where_they_share_one_without_a_seal() {
    on_each_version(|place| {
        assert_eq!(
            ids(&found(place, &place.shared())),
            ["PGT011 isolation.setting"]
        );
    });
}

#[test]
fn what_is_wrong_with_tenants_roles_is_found_and_mended() {
    on_each_version(|place| {
        let text = place.own();
        let shared = "PGT808 role wellness_app";
        let missing = [
            "PGT100 role innovate_own",
            "PGT100 role synergy_own",
            shared,
        ];
        assert_eq!(ids(&found(place, &text)), missing);
        place.provisioned(&text);
        assert_eq!(ids(&found(place, &text)), [shared]);
        place.sql(&format!(
            "CREATE ROLE others; GRANT others TO innovate_own;
             ALTER ROLE innovate_own CREATEDB;
             ALTER ROLE innovate_own SET {SETTING} = '{SYNERGY}';
             ALTER ROLE synergy_own RESET ALL;
             REVOKE wellness_app FROM synergy_own;
             ALTER ROLE synergy_own BYPASSRLS;
             CREATE TABLE own (a int); ALTER TABLE own OWNER TO innovate_own;
             GRANT SELECT ON own TO synergy_own;
             GRANT SET ON PARAMETER session.current_organization_id TO wellness_app",
        ));
        let spoilt = found(place, &text);
        let mut expected = [
            "PGT102 role synergy_own",
            "PGT106 role innovate_own",
            "PGT801 role innovate_own",
            "PGT802 role synergy_own",
            "PGT803 role innovate_own",
            "PGT804 role synergy_own",
            "PGT805 role innovate_own",
            "PGT806 role synergy_own",
            shared,
            "PGT809 role wellness_app",
        ];
        expected.sort_unstable();
        let mut told = ids(&spoilt);
        told.sort_unstable();
        assert_eq!(told, expected);
        for (_, _, fix) in spoilt.iter().filter(|(_, _, fix)| !fix.starts_with("--")) {
            place.sql(fix);
        }
        place.sql("REVOKE SELECT ON own FROM synergy_own");
        assert_eq!(ids(&found(place, &text)), [shared]);
        place.sql("ALTER ROLE innovate_own PASSWORD 'a password that somebody knows'");
        assert_eq!(
            ids(&found(place, &text)),
            ["PGT807 role innovate_own", shared]
        );
        place.provisioned(&text);
        // What the proxy itself logs in as needs no rights.
        place
            .sql("CREATE ROLE reader LOGIN PASSWORD 'a password'; ALTER ROLE wellness_app NOLOGIN");
        let text = place.own_with("role_group = \"wellness_app\"");
        let text = text.replace("user = \"wellness_app\"", "user = \"reader\"");
        place.sql(&format!("GRANT CONNECT ON DATABASE {DATABASE} TO reader"));
        assert!(found(place, &text).is_empty());
        let proxy = place.plain.proxy_by(&text);
        let mut client = place.client(&proxy, "synergy");
        assert_eq!(client.value("SELECT session_user"), "synergy_own");
        proxy.wait_for_log("the plain tables of the database are known");
    });
}
