//! Masking in the other kinds of tenancy, and with a seal.

use crate::lab::{
    Lab, PASSWORD, ROLE_KEY, Server, mask, number, refused, rows, run, servers, succeeded, table,
};
use pgtenant::directory::Verifier;
use pgtenant::throwaway::random_hex;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use testkit::{Proxy, Raw, clear_text, stdout, write_private};

/// A configuration with these sections; a tenant's clients are `app_ID` and `bi_ID`.
fn config(server: &Server, sections: &str, tenants: &[(&str, &str)]) -> PathBuf {
    let verifier = Verifier::derive(PASSWORD);
    let mut text = clear_text(server.cluster.port(), "wellness_app", PASSWORD);
    text.push_str(sections);
    text.push_str("\n[profiles.bi]\nmasked = true\n");
    for (id, own) in tenants {
        let _ = write!(
            text,
            "[[tenants]]\nid = {id:?}\n{own}\n\
             [[logins]]\nuser = \"app_{id}\"\ntenant = {id:?}\nscram = {verifier:?}\n\
             [[logins]]\nuser = \"bi_{id}\"\ntenant = {id:?}\nscram = {verifier:?}\nprofile = \"bi\"\n"
        );
    }
    let path = server
        .cluster
        .directory()
        .join(format!("{}.toml", number()));
    write_private(&path, &text);
    path
}

fn file(server: &Server, name: &str, text: &str) -> PathBuf {
    let path = server.cluster.directory().join(name);
    write_private(&path, text);
    path
}

fn client(proxy: &Proxy, user: &str, database: &str) -> Raw {
    let parameters = [("user", user), ("database", database)];
    Raw::log_in(proxy.port, PASSWORD, &parameters).unwrap()
}

#[test]
fn a_schema_and_a_role_for_each_tenant() {
    for server in servers() {
        let key = file(server, "role.key", ROLE_KEY);
        let sections = format!(
            "[isolation.own]\nkind = \"schema\"\nserver = \"main\"\ndatabase = \"wellness_schemas\"\n\
             search_path = [\"{{schema}}\"]\nrole = \"{{schema}}_app\"\nrole_key_file = {key:?}\n\
             masked_role = \"{{schema}}_masked\"\n{}{}",
            mask("employee_logs", "note", "with = \"partial(3)\""),
            mask("employee_logs", "employee_email", "with = \"hash\""),
        );
        let tenants = [
            ("acme", "schema = \"acme_health\""),
            ("globex", "schema = \"globex\""),
        ];
        let config = config(server, &sections, &tenants);
        let said = succeeded(&run(&server.cluster, &config, &["--apply"]));
        assert!(
            said.contains("tenant acme:") && said.contains("tenant globex:"),
            "{said}"
        );
        succeeded(&run(&server.cluster, &config, &["--apply"]));
        let proxy = Proxy::run(&config);
        let database = "wellness_schemas";
        let note = "SELECT note FROM employee_logs ORDER BY note LIMIT 1";
        let mut acme = client(&proxy, "bi_acme", database);
        let mut globex = client(&proxy, "bi_globex", database);
        assert_eq!(rows(&mut acme, note), ["Bac***"]);
        assert_eq!(rows(&mut globex, note), ["Str***"]);
        let user = "SELECT current_user";
        assert_eq!(rows(&mut acme, user), ["acme_health_masked"]);
        assert_eq!(
            rows(&mut client(&proxy, "app_acme", database), user),
            ["acme_health_app"]
        );
        assert_eq!(
            rows(&mut client(&proxy, "app_acme", database), note),
            ["Back pain is better"]
        );
        for sql in [
            "SELECT * FROM acme_health.employee_logs",
            "SELECT * FROM globex.employee_logs",
            "SELECT * FROM globex_masked.employee_logs",
            "SELECT * FROM acme_health_masked.pgtenant_mask_secret",
            "SELECT * FROM public.companies",
        ] {
            assert_eq!(refused(&mut acme, sql), "42501", "{sql}");
        }
        acme.run_ok("SET search_path = acme_health, globex_masked, globex");
        assert_eq!(refused(&mut acme, note), "42P01");
        acme.run_ok("RESET search_path");
        assert_eq!(rows(&mut acme, note), ["Bac***"]);
        drop((acme, globex, proxy));
        succeeded(&run(&server.cluster, &config, &["--undo"]));
        let left = "SELECT count(*) FROM pg_roles WHERE rolname ~ '_masked'";
        assert_eq!(server.sql("postgres", left), "0");
    }
}

#[test]
fn a_schema_for_each_tenant_and_one_role() {
    for server in servers() {
        let number = number();
        let database = format!("schemas_{number}");
        server.sql("postgres", &format!("CREATE DATABASE {database}"));
        for schema in ["one", "two"] {
            server.sql(
                &database,
                &format!(
                    "CREATE SCHEMA {schema}; CREATE TABLE {schema}.notes (note text);
                     INSERT INTO {schema}.notes VALUES ('{schema} secret');
                     GRANT USAGE ON SCHEMA {schema} TO wellness_app; GRANT SELECT ON {schema}.notes TO wellness_app"
                ),
            );
        }
        let password = file(server, "bi.password", PASSWORD);
        let sections = format!(
            "[isolation.own]\nkind = \"schema\"\nserver = \"main\"\ndatabase = {database:?}\n\
             search_path = [\"{{schema}}\"]\nmasked_user = \"bi_{number}\"\n\
             masked_password_file = {password:?}\n{}",
            mask("notes", "note", "with = \"partial(3)\""),
        );
        let tenants = [("1", "schema = \"one\""), ("2", "schema = \"two\"")];
        let config = config(server, &sections, &tenants);
        succeeded(&run(&server.cluster, &config, &["--apply"]));
        let proxy = Proxy::run(&config);
        for _ in 0..2 {
            for (user, wanted) in [
                ("bi_1", "one***"),
                ("bi_2", "two***"),
                ("app_1", "one secret"),
                ("app_2", "two secret"),
            ] {
                let mut client = client(&proxy, user, &database);
                assert_eq!(
                    rows(&mut client, "SELECT note FROM notes"),
                    [wanted],
                    "{user}"
                );
            }
        }
        let mut bi = client(&proxy, "bi_1", &database);
        assert_eq!(refused(&mut bi, "SELECT note FROM one.notes"), "42501");
        assert_eq!(refused(&mut bi, "SET search_path = two_masked"), "42501");
        drop((bi, proxy));
        succeeded(&run(&server.cluster, &config, &["--undo"]));
        let left = format!("SELECT count(*) FROM pg_roles WHERE rolname ~ '^bi_{number}(_|$)'");
        assert_eq!(server.sql("postgres", &left), "0");
    }
}

#[test]
fn names_of_schemas_and_roles_may_have_any_letters() {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    for server in servers() {
        let number = number();
        let database = format!("letters_{number}");
        server.sql("postgres", &format!("CREATE DATABASE {database}"));
        let schema = "O'Brien \"50%\" $pgtenant$ @app@";
        let own = quoted(schema);
        server.sql(
            &database,
            &format!(
                "CREATE SCHEMA {own}; CREATE TABLE {own}.\"No't%e\" (note text);
                 INSERT INTO {own}.\"No't%e\" VALUES ('a secret');
                 GRANT USAGE ON SCHEMA {own} TO wellness_app;
                 GRANT SELECT ON {own}.\"No't%e\" TO wellness_app"
            ),
        );
        let password = file(server, "bi.password", PASSWORD);
        let role = format!("Bi's \"%I\" $pgtenant$ {number}");
        let sections = format!(
            "[isolation.own]\nkind = \"schema\"\nserver = \"main\"\ndatabase = {database:?}\n\
             search_path = [\"{{schema}}\"]\nmasked_user = {role:?}\n\
             masked_password_file = {password:?}\n{}",
            mask("\"No't%e\"", "note", "with = \"constant('$pgtenant$')\""),
        );
        let config = config(server, &sections, &[("1", &format!("schema = {schema:?}"))]);
        for _ in 0..2 {
            succeeded(&run(&server.cluster, &config, &["--apply"]));
        }
        let proxy = Proxy::run(&config);
        let mut bi = client(&proxy, "bi_1", &database);
        let note = "SELECT note FROM \"No't%e\"";
        assert_eq!(rows(&mut bi, note), ["$pgtenant$"]);
        let mut app = client(&proxy, "app_1", &database);
        assert_eq!(rows(&mut app, note), ["a secret"]);
        drop((bi, app, proxy));
        succeeded(&run(&server.cluster, &config, &["--undo"]));
        let left = format!("SELECT count(*) FROM pg_roles WHERE rolname ~ '^Bi.*{number}(_|$)'");
        assert_eq!(server.sql("postgres", &left), "0");
    }
}

#[test]
fn a_database_for_each_tenant() {
    for server in servers() {
        let number = number();
        let password = file(server, "bi.password", PASSWORD);
        let sections = format!(
            "[isolation.own]\nkind = \"database\"\nserver = \"main\"\ndatabase = \"{{database}}\"\n\
             masked_user = \"bi_{number}\"\nmasked_password_file = {password:?}\n\
             masked_schema = \"shown\"\n{}",
            mask("users", "email", "with = \"email\""),
        );
        let tenants = [
            ("initech", "database = \"wellness_initech\""),
            ("umbrella", "database = \"wellness_umbrella\""),
        ];
        let config = config(server, &sections, &tenants);
        succeeded(&run(&server.cluster, &config, &["--apply"]));
        let proxy = Proxy::run(&config);
        for (id, database) in [
            ("initech", "wellness_initech"),
            ("umbrella", "wellness_umbrella"),
        ] {
            let mut bi = client(&proxy, &format!("bi_{id}"), database);
            let email = rows(&mut bi, "SELECT email FROM users");
            assert_eq!(email, [format!("g***@{id}.example")]);
            assert_eq!(refused(&mut bi, "SELECT * FROM public.users"), "42501");
            let mut app = client(&proxy, &format!("app_{id}"), database);
            assert_eq!(
                rows(&mut app, "SELECT email FROM users"),
                [format!("grace@{id}.example")]
            );
        }
        drop(proxy);
        succeeded(&run(&server.cluster, &config, &["--undo"]));
        let left = format!("SELECT count(*) FROM pg_roles WHERE rolname ~ '^bi_{number}(_|$)'");
        assert_eq!(server.sql("postgres", &left), "0");
    }
}

#[test]
fn a_masked_login_is_sealed_as_the_others_are() {
    for server in servers() {
        for seal in ["carrier", "token"] {
            let masks = [mask("people", "name", "with = \"partial(1)\"")];
            let tables = table("people", "name text")
                + "INSERT INTO people VALUES ('a', 'Ada'), ('b', 'Bob');
                   CREATE FUNCTION change() RETURNS text LANGUAGE sql
                       AS $$ SELECT set_config('app.tenant', 'b', false) $$;";
            let mut lab = Lab::new(server, &tables).with(&masks);
            let key = lab.write("seal.key", &random_hex(32).unwrap());
            lab.isolation = format!("seal = {seal:?}\nseal_key_file = {key:?}\nopaque = \"allow\"");
            let said = lab.fails();
            assert!(said.contains("Run pgtenant harden first"), "{said}");
            let output = Command::new(env!("CARGO_BIN_EXE_pgtenant"))
                .arg("harden")
                .arg("--config")
                .arg(lab.config())
                .args(["--apply", &server.cluster.superuser_url("postgres")])
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", stdout(&output));
            lab.apply();
            let proxy = lab.proxy();
            let mut bi = lab.client(&proxy, "bi_a");
            assert_eq!(rows(&mut bi, "SELECT name FROM people"), ["A***"]);
            // Code of the database's own changes the setting: no row is another tenant's.
            bi.run_ok("BEGIN");
            assert_eq!(rows(&mut bi, "SELECT change()"), ["b"]);
            assert!(rows(&mut bi, "SELECT name FROM people").is_empty());
            bi.run_ok("ROLLBACK");
            assert_eq!(rows(&mut bi, "SELECT name FROM people"), ["A***"]);
            drop((bi, proxy));
            succeeded(&lab.run(&["--undo"]));
            let left = format!(
                "SELECT count(*) FROM pg_roles WHERE rolname ~ '^{}(_|$)'",
                lab.role
            );
            assert_eq!(lab.sql(&left), "0");
        }
    }
}
