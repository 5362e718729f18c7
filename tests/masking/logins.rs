//! Masked logins at the proxy.

use crate::lab::{Lab, Server, mask, refused, rows, servers, table};

fn lab(server: &'static Server) -> Lab {
    let masks = [mask("people", "name", "with = \"partial(1)\"")];
    let lab = Lab::new(server, &table("people", "name text")).with(&masks);
    lab.sql("INSERT INTO people VALUES ('a', 'Ada'), ('b', 'Bob')");
    lab
}

#[test]
fn a_masked_login_sees_its_tenants_rows_masked_and_others_see_them_as_they_are() {
    for server in servers() {
        let lab = lab(server);
        lab.apply();
        let proxy = lab.proxy();
        let names = "SELECT name FROM people";
        for _ in 0..3 {
            for (login, wanted) in [
                ("app_a", "Ada"),
                ("bi_a", "A***"),
                ("app_b", "Bob"),
                ("bi_b", "B***"),
            ] {
                let mut client = lab.client(&proxy, login);
                assert_eq!(rows(&mut client, names), [wanted], "{login}");
                let is_bi = login.starts_with("bi");
                let user = rows(&mut client, "SELECT current_user");
                assert_eq!(user == [lab.role.clone()], is_bi, "{login}");
            }
        }
        let mut bi = lab.client(&proxy, "bi_a");
        assert_eq!(refused(&mut bi, "SELECT * FROM public.people"), "42501");
        assert_eq!(refused(&mut bi, "SET app.tenant = 'b'"), "42501");
        assert_eq!(
            refused(&mut bi, "INSERT INTO people (tenant) VALUES ('a')"),
            "42501"
        );
        bi.run_ok("SET search_path = public");
        assert_eq!(refused(&mut bi, names), "42501");
        bi.run_ok("RESET ALL");
        assert_eq!(rows(&mut bi, names), ["A***"]);
        let mut app = lab.client(&proxy, "app_a");
        assert_eq!(refused(&mut app, "SELECT * FROM masked.people"), "42501");
    }
}

#[test]
fn a_role_that_may_read_more_serves_nobody() {
    for server in servers() {
        let lab = lab(server);
        let proxy = lab.proxy();
        let unfit = |why: &str| {
            let mut lines = proxy.log();
            let error = match lab.try_client(&proxy, "bi_a") {
                Ok(mut client) => client.query("SELECT name FROM people").error(),
                Err(error) => error,
            };
            assert_eq!(
                (error.severity(), error.code()),
                ("FATAL", "28000"),
                "{why}: {error:?}"
            );
            lines.clear();
            proxy.wait_for_log(why);
        };
        let mut app = lab.client(&proxy, "app_a");
        app.run_ok("SELECT 1");
        lab.apply();
        let role = &lab.role;
        for (grant, revoke, why) in [
            (
                format!("GRANT SELECT ON people TO {role}"),
                format!("REVOKE SELECT ON people FROM {role}"),
                "it may read public.people, by a grant to it",
            ),
            (
                "GRANT SELECT (name) ON people TO PUBLIC".to_owned(),
                "REVOKE SELECT (name) ON people FROM PUBLIC".to_owned(),
                "it may read public.people, by a grant of columns",
            ),
            (
                format!("GRANT wellness_app TO {role}"),
                format!("REVOKE wellness_app FROM {role}"),
                "it is a member of role wellness_app",
            ),
            (
                format!("ALTER ROLE {role}_owner BYPASSRLS"),
                format!("ALTER ROLE {role}_owner NOBYPASSRLS"),
                "is not bound by row-level security",
            ),
            (
                format!("ALTER ROLE {role}_owner LOGIN"),
                format!("ALTER ROLE {role}_owner NOLOGIN"),
                "somebody can log in as the owner",
            ),
            (
                format!(
                    "CREATE ROLE {role}_tables; ALTER TABLE people OWNER TO {role}_tables; GRANT {role}_tables TO {role}_owner"
                ),
                format!(
                    "REVOKE {role}_tables FROM {role}_owner; ALTER TABLE people OWNER TO postgres; DROP ROLE {role}_tables"
                ),
                "has the rights of the owner of public.people",
            ),
            (
                format!("ALTER ROLE {role} CREATEROLE"),
                format!("ALTER ROLE {role} NOCREATEROLE"),
                "attributes of an administrator",
            ),
        ] {
            lab.sql(&grant);
            unfit(why);
            lab.sql(&revoke);
        }
        let mut bi = lab.client(&proxy, "bi_a");
        assert_eq!(rows(&mut bi, "SELECT name FROM people"), ["A***"]);
        assert_eq!(rows(&mut app, "SELECT name FROM people"), ["Ada"]);
    }
}

/// The application's statements name tables; the views of the same names are in a schema
/// that it may not use.
#[test]
fn masked_views_do_not_make_the_applications_tables_doubtful() {
    for server in servers() {
        let lab = lab(server);
        lab.apply();
        let proxy = lab.proxy();
        proxy.wait_for_log("the plain tables of the database are known");
        let log = proxy.log();
        assert!(log.contains("tables=1"), "{log}");
    }
}

#[test]
fn a_login_becomes_masked_by_a_reload_and_its_session_follows() {
    for server in servers() {
        let lab = lab(server);
        lab.apply();
        let proxy = lab.proxy();
        let mut bi = lab.client(&proxy, "bi_a");
        let names = "SELECT name FROM people";
        assert_eq!(rows(&mut bi, names), ["A***"]);
        proxy.reload(|text| text.replace("masked = true", "masked = false"));
        assert_eq!(rows(&mut lab.client(&proxy, "bi_a"), names), ["Ada"]);
        let mut session = lab.client(&proxy, "bi_a");
        assert_eq!(rows(&mut session, names), ["Ada"]);
        proxy.reload(|text| text.replace("masked = false", "masked = true"));
        assert_eq!(rows(&mut session, names), ["A***"]);
        assert_eq!(rows(&mut lab.client(&proxy, "bi_a"), names), ["A***"]);
    }
}
