//! Roles and their passwords, and what the command line must say.

use crate::place::*;

#[test]
fn a_role_that_may_more_is_not_made_a_tenants() {
    for (schema, attributes, reason) in [
        ("eight_a", "SUPERUSER", "has one of SUPERUSER"),
        ("eight_b", "BYPASSRLS", "has one of SUPERUSER"),
        (
            "eight_c",
            "IN ROLE wellness_app",
            "is a member of role \"wellness_app\"",
        ),
    ] {
        let place = Place::new(&[schema]);
        place.sql(&format!("CREATE ROLE {schema}_app LOGIN {attributes}"));
        let before = place.state();
        let text = place.fails(&["Company 0"]);
        assert!(text.contains(reason), "{text}");
        assert_eq!(place.state(), before);
    }
    let place = Place::new(&["eight_d", "eight_e"]);
    place.sql("CREATE SCHEMA eight_e; GRANT USAGE ON SCHEMA eight_e TO PUBLIC");
    let text = place.fails(&["Company 0"]);
    assert!(
        text.contains("role \"eight_d_app\" could use schema \"eight_e\""),
        "{text}"
    );
    // The second closes its own schema.
    place.done(&["Company 1"]);
    place.done(&["Company 0"]);
}

#[test]
fn a_role_gets_its_derived_password_again() {
    let place = Place::new(&["nine"]);
    place.done(&["Company 0"]);
    place.sql("ALTER ROLE nine_app PASSWORD 'another'");
    let text = place.done(&["Company 0"]);
    assert!(
        text.contains("set the password of role \"nine_app\""),
        "{text}"
    );
    assert!(place.done(&["Company 0"]).contains(": up to date"));
    let proxy = Proxy::start(&place.options);
    place.log_in(&proxy, 0);
}

#[test]
fn what_is_asked_for_must_make_sense() {
    let place = Place::new(&["fifteen"]);
    for (arguments, reason) in [
        (
            &["Nobody"][..],
            "no tenant has the id or the name \"Nobody\"",
        ),
        (
            &["--all", "--isolation=none"],
            "there is no section of this name",
        ),
        (&["--template=table:x", "--all"], "must be schema:NAME"),
        (
            &["--template=schema:a", "--template=schema:b", "--all"],
            "is given twice",
        ),
        (&["--template=dir:/no/such/dir", "--all"], "/no/such/dir"),
        (&[], "Usage"),
        (&["--trigger"], "--directory-table"),
    ] {
        let output = place.provision(arguments);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(reason), "{arguments:?}: {text}");
    }
    let text = place.fails(&["Innovate Inc."]);
    assert!(text.contains("one set of tables for all tenants"), "{text}");
    let wrong = place.provision_at("postgres://postgres:hunter2@127.0.0.1:1/x", &["Company 0"]);
    let text = stdout(&wrong) + &stderr(&wrong);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        text.contains("cannot connect to 127.0.0.1:1") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn queries_of_our_own_are_not_compiled() {
    for site in servers() {
        let place = Place::on(site, &["compiled"]);
        place.sql(&format!("ALTER DATABASE {} SET jit = on", place.database));
        place.sql(
            "CREATE SCHEMA tmpl; CREATE TABLE tmpl.t (a int);
             CREATE FUNCTION public.look() RETURNS event_trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF current_setting('jit') <> 'off' THEN
                     RAISE 'it would be compiled';
                 END IF;
             END $$;
             CREATE EVENT TRIGGER look ON ddl_command_start EXECUTE FUNCTION public.look()",
        );
        place.done(&["--template=schema:tmpl", "Company 0"]);
    }
}
