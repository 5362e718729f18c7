//! A copy is one by its meaning, and uses nothing of the template.

use crate::place::*;

const COPY: [&str; 2] = ["--template=schema:tmpl", "Company 0"];

#[test]
fn a_copy_that_reaches_into_the_template_is_taken_back() {
    for site in servers() {
        let place = Place::on(site, &["reach"]);
        // Something that nobody sees in the statements.
        place.sql(
            "CREATE SCHEMA tmpl; CREATE TABLE tmpl.secret (a int); CREATE TABLE tmpl.orders (a int);
             CREATE FUNCTION public.add() RETURNS event_trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF (SELECT max(object_identity) FROM pg_event_trigger_ddl_commands())
                    ~ '[.]orders$' THEN
                     CREATE VIEW leak AS SELECT * FROM tmpl.secret;
                 END IF;
             END $$;
             CREATE EVENT TRIGGER add ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
                 EXECUTE FUNCTION public.add()",
        );
        let before = place.state();
        let text = place.fails(&COPY);
        assert!(
            text.contains("reach out of its schema")
                && text.contains("leak needs table tmpl.secret"),
            "{text}"
        );
        // The trigger is not put in place for companies to find out.
        place.sql("CREATE TABLE public.companies (schema_name text)");
        let text = place.fails(&[
            "--template=schema:tmpl",
            "--isolation=made",
            "--trigger",
            "--directory-table=public.companies",
            "--schema-column=schema_name",
        ]);
        assert!(text.contains("leak needs table tmpl.secret"), "{text}");
        place.sql("DROP TABLE public.companies");
        assert_eq!(place.state(), before);
    }
}

#[test]
fn a_schema_that_uses_the_template_does_not_pass_for_its_copy() {
    for site in servers() {
        let place = Place::on(site, &["uses"]);
        place.sql("CREATE SCHEMA tmpl; CREATE TABLE tmpl.a (a int)");
        place.sql("CREATE VIEW tmpl.v AS SELECT a FROM tmpl.a");
        place.sql(
            "CREATE SCHEMA uses; CREATE TABLE uses.a (a int);
             CREATE VIEW uses.v AS SELECT a FROM tmpl.a",
        );
        let before = place.state();
        let text = place.fails(&COPY);
        assert!(
            text.contains("that use the template \"tmpl\"")
                && text.contains("v needs table tmpl.a"),
            "{text}"
        );
        assert_eq!(place.state(), before);
        place.sql("CREATE OR REPLACE VIEW uses.v AS SELECT a FROM uses.a");
        place.done(&COPY);
    }
}

#[test]
fn schemas_are_compared_by_meaning() {
    let table = |check: &str| {
        format!(
            "CREATE TABLE t (a varchar(5) CONSTRAINT known CHECK (a IN ({check})),
                 b boolean GENERATED ALWAYS AS (a IN ({check})) STORED);
             CREATE INDEX i ON t (a) WHERE a IN ({check})"
        )
    };
    for site in servers() {
        let names = ["meaning_a", "meaning_b", "meaning_c"];
        let place = Place::on(site, &names);
        place.sql(&format!(
            "CREATE SCHEMA tmpl; SET search_path = tmpl; {}",
            table("'x', 'y'")
        ));
        for (schema, check) in names.iter().zip(["'x', 'y'", "'x', 'y', 'z'"]) {
            place.sql(&format!(
                "CREATE SCHEMA {schema}; SET search_path = {schema}; {}",
                table(check)
            ));
        }
        // Made by hand as the template was; with another condition; copied.
        place.done(&COPY);
        let text = place.fails(&["--template=schema:tmpl", "Company 1"]);
        assert!(text.contains("differs from the template"), "{text}");
        place.done(&["--template=schema:tmpl", "Company 2"]);
        place.sql("DELETE FROM pgtenant_provision.provisioned");
        let again = place.done(&["--template=schema:tmpl", "Company 2"]);
        assert!(again.ends_with(": up to date\n"), "{again}");
        place.sql("ALTER TABLE meaning_c.t DROP CONSTRAINT known");
        place.sql("DELETE FROM pgtenant_provision.provisioned");
        let text = place.fails(&["--template=schema:tmpl", "Company 2"]);
        assert!(
            text.contains("which has: ALTER TABLE t ADD CONSTRAINT known"),
            "{text}"
        );
    }
}

#[test]
fn all_that_cannot_be_copied_is_named_with_a_cure() {
    let place = Place::new(&["cures"]);
    place.sql(
        "CREATE SCHEMA tmpl; SET search_path = tmpl;
         CREATE EXTENSION hstore; CREATE EXTENSION citext;
         CREATE TABLE t (a hstore, b citext);
         CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS $$
             SELECT count(*) FROM pg_tables WHERE schemaname = 'tmpl' $$;
         CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING",
    );
    let text = place.fails(&COPY);
    for part in [
        "ALTER EXTENSION hstore SET SCHEMA public",
        "ALTER EXTENSION citext SET SCHEMA public",
        "function f(): it names the schema tmpl",
        "rule r on t",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Not each of the extensions' functions.
    assert!(text.len() < 1500, "{text}");
    place.sql("DROP FUNCTION tmpl.f; DROP RULE r ON tmpl.t");
    place.sql("ALTER EXTENSION hstore SET SCHEMA public; ALTER EXTENSION citext SET SCHEMA public");
    place.done(&COPY);
    let sql = "SET search_path = cures, public; INSERT INTO t VALUES ('a=>1', 'B');
               SELECT a -> 'a' FROM t WHERE b = 'b'";
    assert_eq!(place.sql(sql), "1");
}
