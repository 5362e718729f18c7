//! `pgtenant mask` itself: again, back, and where it cannot.

use crate::lab::{Lab, mask, rows, servers, succeeded, table};
use std::process::{Command, Stdio};
use testkit::{fed, stderr};

fn tables() -> String {
    table("people", "name text, email text") + &table("visits", "person text")
}

fn lab(server: &'static crate::lab::Server) -> Lab {
    let masks = [
        mask("people", "email", "with = \"email\""),
        mask("visits", "person", "with = \"hash\""),
    ];
    let lab = Lab::new(server, &tables()).with(&masks);
    lab.sql("INSERT INTO people VALUES ('a', 'Ada', 'ada@example'); INSERT INTO visits VALUES ('a', 'Ada')");
    lab
}

/// All that the command could leave: roles, schemas, rights, stored settings.
fn traces(lab: &Lab) -> String {
    let sql = format!(
        "SELECT (SELECT count(*) FROM pg_roles WHERE rolname ~ '^{0}'),
            (SELECT string_agg(nspname || coalesce(nspacl::text, ''), ' ' ORDER BY 1) FROM pg_namespace WHERE nspname !~ '^pg_t'),
            (SELECT string_agg(relname || coalesce(relacl::text, ''), ' ' ORDER BY 1) FROM pg_class
                WHERE relnamespace = 'public'::regnamespace),
            (SELECT coalesce(datacl::text, '') FROM pg_database WHERE datname = current_database()),
            (SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase
                WHERE datname = current_database()),
            (SELECT count(*) FROM pg_proc WHERE proname ~ 'pgtenant'),
            (SELECT count(*) FROM pg_auth_members WHERE roleid = 'wellness_app'::regrole
                AND pg_get_userbyid(member) ~ '^{0}')",
        lab.role
    );
    lab.sql(&sql)
}

#[test]
fn undo_leaves_nothing() {
    for server in servers() {
        let lab = lab(server);
        let before = traces(&lab);
        lab.apply();
        assert_ne!(traces(&lab), before);
        let said = succeeded(&lab.run(&["--undo"]));
        assert!(
            said.contains("dropped schema masked") && said.contains("dropped role"),
            "{said}"
        );
        // An empty list of rights stands for the usual ones.
        let usual = |text: String| text.replace("{=Tc/postgres,postgres=CTc/postgres}", "");
        assert_eq!(usual(traces(&lab)), usual(before));
        // Where there is nothing, nothing is done.
        assert_eq!(succeeded(&lab.run(&["--undo"])).lines().count(), 1);
    }
}

#[test]
fn it_can_be_repeated_after_the_tables_have_changed() {
    for server in servers() {
        let mut lab = lab(server);
        lab.apply();
        let hash = rows(&mut lab.direct(), "SELECT person FROM visits");
        let first = lab.apply();
        assert!(!first.contains("created"), "{first}");
        lab.sql("ALTER TABLE people ADD phone text DEFAULT '555'");
        let columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'people'";
        // What is new is shown once it has been looked at.
        assert_eq!(rows(&mut lab.direct(), columns), ["3"]);
        lab.masks += &mask("people", "phone", "with = \"null\"");
        lab.apply();
        assert_eq!(
            rows(&mut lab.direct(), "SELECT name, phone FROM people"),
            ["Ada|NULL"]
        );
        assert_eq!(rows(&mut lab.direct(), "SELECT person FROM visits"), hash);
        lab.sql("DROP TABLE people CASCADE; CREATE TABLE later (x text); GRANT SELECT ON later TO wellness_app");
        // A mask of a table that is gone may be one with a slip of the pen.
        let said = lab.fails();
        assert!(
            said.contains("people.email (email): there is no such table"),
            "{said}"
        );
        lab.masks = mask("visits", "person", "with = \"hash\"");
        let said = lab.apply();
        assert!(said.contains("public.later: nothing is masked"), "{said}");
        assert_eq!(rows(&mut lab.direct(), "SELECT person FROM visits"), hash);
    }
}

#[test]
fn the_printed_script_does_the_same() {
    for server in servers() {
        let lab = lab(server);
        let before = traces(&lab);
        let psql = |script: &str| {
            let mut command = Command::new(server.cluster.client_program("psql"));
            command.args(["-qX", &server.cluster.superuser_url("postgres")]);
            let output = fed(command.stdin(Stdio::piped()), script);
            assert!(output.status.success(), "{}", stderr(&output));
        };
        let script = succeeded(&lab.run(&["--print"]));
        psql(&script);
        psql(&script);
        assert_eq!(
            rows(&mut lab.direct(), "SELECT email FROM people"),
            ["a***@example"]
        );
        let printed = traces(&lab);
        lab.apply();
        assert_eq!(traces(&lab), printed);
        psql(&succeeded(&lab.run(&["--undo", "--print"])));
        let usual = |text: String| text.replace("{=Tc/postgres,postgres=CTc/postgres}", "");
        assert_eq!(usual(traces(&lab)), usual(before));
    }
}

#[test]
fn what_is_wrong_is_listed_and_nothing_is_changed() {
    for server in servers() {
        let mut lab = lab(server);
        lab.sql("CREATE TABLE hidden (x text); CREATE TABLE parts (note text) PARTITION BY LIST (note);
            CREATE TABLE part PARTITION OF parts DEFAULT; GRANT SELECT ON parts, part TO wellness_app");
        let before = traces(&lab);
        lab.masks = [
            mask("peeple", "name", "with = \"null\""),
            mask("people", "nam", "with = \"null\""),
            mask("hidden", "x", "with = \"null\""),
            mask("people", "name", "with = \"year\""),
            mask("people", "email->'x'", "with = \"null\""),
            mask("part", "note", "with = \"null\""),
        ]
        .concat();
        let said = lab.fails();
        for text in [
            "peeple.name (null): there is no such table that role wellness_app may read",
            "hidden.x (null): there is no such table",
            "people.nam (null): public.people has no such column",
            "people.name (year): does not fit public.people.name of type text",
            "people.email->'x' (null): only a column of type jsonb has a path",
            "part.note (null): it is a part of public.parts",
        ] {
            assert!(said.contains(text), "{text}: {said}");
        }
        for (expression, text) in [
            ("length(name)::numeric + 1 > 0", "gives the type"),
            ("nosuch(name)", "function nosuch(text) does not exist"),
            ("nosuch || name", "column \"nosuch\" does not exist"),
        ] {
            lab.masks = mask("visits", "person", "with = \"null\"")
                + &mask("people", "name", &format!("expression = {expression:?}"));
            if text != "gives the type" {
                let said = lab.fails();
                assert!(said.contains(text), "{text}: {said}");
            }
        }
        assert_eq!(traces(&lab), before);
        // A right that would show the table as it is.
        lab.masks = mask("people", "name", "with = \"null\"");
        lab.sql("GRANT SELECT ON people TO PUBLIC; GRANT SELECT (person) ON visits TO PUBLIC");
        let said = lab.fails();
        assert!(
            said.contains("may read public.people, by a grant to PUBLIC")
                && said.contains("may read public.visits, by a grant of columns"),
            "{said}"
        );
    }
}
