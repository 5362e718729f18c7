//! `pgtenant provision` where tenants share tables.

use crate::place::*;
use testkit::{INNOVATE, stderr, stdout};

/// What there is of a tenant's role.
const ROLE: &str = "SELECT r.rolcanlogin, r.rolsuper, r.rolbypassrls, r.rolcreaterole,
        pg_has_role(r.oid, 'wellness_app', 'USAGE'), r.rolconfig
    FROM pg_roles r WHERE r.rolname = 'innovate_own'";
const STATE: &str = "SELECT * FROM pg_authid ORDER BY oid;
    SELECT * FROM pg_auth_members ORDER BY 1, 2; SELECT * FROM pg_db_role_setting";

#[test]
fn roles_are_made_once_and_removed() {
    on_each_version(|place| {
        let text = place.own();
        let before = place.sql(STATE);
        let print = place.provision(&text, None, &["--all", "--print"]);
        let script = stdout(&print);
        assert!(
            script.contains("GRANT \"wellness_app\" TO \"innovate_own\""),
            "{script}"
        );
        assert_eq!(place.sql(STATE), before);
        let printed = place.provisioned(&text);
        assert!(
            printed.contains(
                "created role \"innovate_own\", a member of \"wellness_app\", stored the tenant"
            ),
            "{printed}"
        );
        assert_eq!(
            place.sql(ROLE),
            format!("t|f|f|f|t|{{{SETTING}={INNOVATE}}}")
        );
        let made = place.sql(STATE);
        let printed = place.provisioned(&text);
        assert_eq!(printed.matches(": up to date").count(), 2, "{printed}");
        assert_eq!(place.sql(STATE), made);
        // What is missing is made.
        place.sql(
            "REVOKE wellness_app FROM innovate_own; ALTER ROLE innovate_own NOINHERIT PASSWORD \
             'another'; ALTER ROLE innovate_own RESET ALL",
        );
        let printed = place.provisioned(&text);
        for done in [
            "set the password of",
            "made role \"innovate_own\" a member",
            "stored the",
        ] {
            assert!(printed.contains(done), "{printed}");
        }
        assert_eq!(
            place.sql(ROLE),
            format!("t|f|f|f|t|{{{SETTING}={INNOVATE}}}")
        );
        let remove = ["--remove", "--yes", INNOVATE];
        let output = place.provision(&text, None, &remove);
        assert!(stdout(&output).contains("it is not suspended"));
        let suspended = text.replace(
            "role = \"innovate_own\"",
            "role = \"innovate_own\"\nstate = \"suspended\"",
        );
        let proxy = place.plain.proxy_by(&text);
        let client = place.client(&proxy, "innovate");
        let output = place.provision(&suspended, None, &remove);
        assert!(
            stdout(&output).contains("has 1 connection"),
            "{}",
            stdout(&output)
        );
        drop((client, proxy));
        place.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'innovate_own'");
        let output = place.provision(&suspended, None, &remove);
        let printed = stdout(&output);
        assert!(
            printed.contains("removed role \"innovate_own\"") && !printed.contains("pg_dump"),
            "{printed}{}",
            stderr(&output)
        );
        assert_eq!(place.sql(ROLE), "");
        assert_eq!(
            place.sql(&format!(
                "SELECT count(*) > 0 FROM users WHERE organization_id = '{INNOVATE}'"
            )),
            "t"
        );
    });
}

#[test]
fn what_is_in_the_way_is_told_and_nothing_is_changed() {
    on_each_version(|place| {
        let text = place.own();
        place.sql("CREATE ROLE others; CREATE ROLE mighty SUPERUSER");
        for (make, undo, text, reason) in [
            (
                "CREATE ROLE innovate_own IN ROLE others",
                "DROP ROLE innovate_own",
                text.clone(),
                "is a member of role \"others\"",
            ),
            (
                "CREATE ROLE innovate_own BYPASSRLS",
                "DROP ROLE innovate_own",
                text.clone(),
                "has one of SUPERUSER",
            ),
            (
                "CREATE ROLE innovate_own IN ROLE wellness_app; ALTER ROLE innovate_own SET session.current_organization_id = 'x'",
                "DROP ROLE innovate_own",
                text.clone(),
                "has another tenant stored",
            ),
            (
                "SELECT 1",
                "SELECT 1",
                place.own_with("role_group = \"nobody\""),
                "role \"nobody\", of which the tenants' roles are to be members (role_group), does not exist",
            ),
            (
                "SELECT 1",
                "SELECT 1",
                place.own_with("role_group = \"mighty\""),
                "role \"mighty\" has one of SUPERUSER",
            ),
        ] {
            place.sql(make);
            let before = place.sql(STATE);
            let output = place.provision(&text, None, &[INNOVATE]);
            let printed = stdout(&output);
            assert_eq!(output.status.code(), Some(1), "{printed}");
            assert!(printed.contains(reason), "{reason}: {printed}");
            assert_eq!(place.sql(STATE), before);
            place.sql(undo);
        }
    });
}

#[test]
fn who_may_make_roles_need_not_be_a_superuser() {
    on_each_version(|place| {
        let text = place.own();
        place.sql("CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'maker'");
        let port = place.plain.cluster.port();
        let url = format!("postgres://maker:maker@127.0.0.1:{port}/postgres");
        let make = || {
            let output = place.provision(&text, Some(&url), &["--all"]);
            (output.status.code(), stdout(&output) + &stderr(&output))
        };
        if place.major >= 16 {
            let (code, printed) = make();
            assert_eq!(code, Some(1));
            assert!(printed.contains("WITH ADMIN OPTION"), "{printed}");
            place.sql("GRANT wellness_app TO maker WITH ADMIN OPTION");
        }
        for _ in 0..2 {
            let (code, printed) = make();
            assert_eq!(code, Some(0), "{printed}");
            assert!(
                printed.contains(
                    "GRANT SET ON PARAMETER \"session\".\"current_organization_id\" TO \"maker\""
                ),
                "{printed}"
            );
        }
        // The proxy states the tenant.
        let proxy = place.plain.proxy_by(&text);
        let mut client = place.client(&proxy, "innovate");
        assert_eq!(client.value("SELECT run('RESET ALL')"), INNOVATE);
        place.sql("GRANT SET ON PARAMETER \"session\".\"current_organization_id\" TO \"maker\"");
        let (_, printed) = make();
        assert!(
            printed.contains("stored the tenant for role \"innovate_own\""),
            "{printed}"
        );
        let (_, printed) = make();
        assert_eq!(printed.matches(": up to date").count(), 2, "{printed}");
    });
}
