//! The trigger on the table of companies.

use crate::place::*;

const COMPANIES: &str = "CREATE TABLE public.companies (name text, schema_name text)";

fn trigger(more: &[&'static str]) -> Vec<&'static str> {
    let mut arguments = vec![
        "--template=schema:tmpl",
        "--trigger",
        "--isolation=made",
        "--directory-table=public.companies",
        "--schema-column=schema_name",
    ];
    arguments.extend(more);
    arguments
}

#[test]
fn a_company_that_joins_gets_its_schema_by_itself() {
    let place = Place::new(&["twelve"]);
    place.sql(TEMPLATE);
    place.sql(COMPANIES);
    let text = place.done(&trigger(&[]));
    assert!(
        text.contains("installed the trigger on public.companies"),
        "{text}"
    );
    assert_eq!(place.done(&trigger(&[])), "trigger: up to date\n");

    // Who adds a company needs no other right, and cannot mislead the trigger.
    place.sql(
        "CREATE ROLE clerk_twelve; GRANT USAGE ON SCHEMA public TO clerk_twelve;
         GRANT INSERT ON companies TO clerk_twelve",
    );
    place.sql(
        "SET ROLE clerk_twelve; SET transform_null_equals = on; SET quote_all_identifiers = on;
         SET search_path = nowhere;
         INSERT INTO public.companies VALUES ('Twelve', 'twelve')",
    );
    assert_eq!(
        place.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'twelve_app'"),
        "f"
    );
    // What is left is the password.
    let text = place.done(&["--template=schema:tmpl", "Company 0"]);
    assert!(
        text.ends_with(": set the password of role \"twelve_app\"\n"),
        "{text}"
    );
    let proxy = Proxy::start(&place.options);
    let mut raw = place.log_in(&proxy, 0);
    raw.run_ok("INSERT INTO employees (email, salary) VALUES ('t@x', 5)");
    assert_eq!(raw.value("SELECT ticket FROM employees"), "100");
    assert_eq!(raw.error("SELECT * FROM tmpl.employees").code(), "42501");
    assert_eq!(raw.error("SELECT * FROM public.companies").code(), "42501");
}

#[test]
fn the_trigger_takes_no_company_for_sql() {
    let place = Place::new(&["thirteen"]);
    place.sql(TEMPLATE);
    place.sql(COMPANIES);
    place.sql("CREATE TABLE public.victim (a int)");
    place.done(&trigger(&[]));
    let joins = |name: &str| {
        let name = name.replace('\'', "''");
        let sql = format!("INSERT INTO public.companies VALUES ('x', '{name}')");
        site().cluster.psql(&place.database, &sql)
    };
    let long = "y".repeat(59);
    for name in [
        "p\"; DROP TABLE public.victim; --",
        "p'; DROP TABLE public.victim; --",
        "p$function$; DROP TABLE public.victim; --",
        "Größe ✗ 株式会社",
        "%I %s \\ ",
        &long,
    ] {
        joins(name).unwrap();
        let sql = format!("SELECT count(*) FROM {}.employees", quote(name));
        assert_eq!(place.sql(&sql), "0");
    }
    assert_eq!(place.sql("SELECT count(*) FROM public.victim"), "0");
    let before = place.state();
    let too_long = "z".repeat(60);
    for (name, reason) in [
        ("pg_evil", "cannot be the name"),
        ("information_schema", "cannot be the name"),
        ("public", "cannot be the name"),
        ("pgtenant", "cannot be the name"),
        ("pgtenant_provision", "cannot be the name"),
        ("tmpl", "cannot be the name"),
        ("$user", "cannot be the name"),
        ("line\nend", "cannot be the name"),
        ("", "names no schema"),
        (&too_long, "too long"),
        // Its role would be one that is there.
        ("wellness", "role \"wellness_app\" already exists"),
        (&long, "already exists"),
    ] {
        let error = joins(name).unwrap_err().to_string();
        assert!(error.contains(reason), "{name}: {error}");
    }
    assert_eq!(place.state(), before);
    // Nobody can put the function to another table.
    place.sql(
        "CREATE ROLE thief_thirteen; GRANT USAGE ON SCHEMA pgtenant_provision TO thief_thirteen",
    );
    let sql = "SET ROLE thief_thirteen; SELECT * FROM pgtenant_provision.schema_statements('tmpl', 'tmpl')";
    let error = site().cluster.psql(&place.database, sql).unwrap_err();
    assert!(error.to_string().contains("permission denied"), "{error}");
}

#[test]
fn the_trigger_needs_a_table_that_it_can_use() {
    let place = Place::new(&["fourteen"]);
    place.sql("CREATE SCHEMA tmpl; CREATE TABLE public.other (schema_name int)");
    let text = place.fails(&trigger(&[]));
    assert!(
        text.contains("there is no table public.companies"),
        "{text}"
    );
    place.sql("CREATE TABLE public.companies (schema_name int)");
    let text = place.fails(&trigger(&[]));
    assert!(
        text.contains("has no column \"schema_name\" of type text"),
        "{text}"
    );
    assert_eq!(
        place.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'pgtenant_provision'"),
        "0"
    );
}
