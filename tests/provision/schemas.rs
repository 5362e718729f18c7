//! Copying a schema.

use crate::place::*;

#[test]
fn a_tenant_is_made_from_a_schema_and_reaches_its_own_tables_alone() {
    let place = Place::new(&["one_north", "one_south"]);
    place.sql(TEMPLATE);
    let arguments = ["--template=schema:tmpl", "--isolation=made", "--all"];
    let text = place.done(&arguments);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("Company 0 (made_"), "{text}");
    assert!(
        text.contains("created schema \"one_north\", created role"),
        "{text}"
    );

    let before = place.state();
    let again = place.done(&arguments);
    assert_eq!(again.matches(": up to date").count(), 2, "{again}");
    assert_eq!(place.state(), before);

    let template = place.dump("tmpl");
    assert!(template.len() > 100, "{template:?}");
    assert_eq!(place.dump("one_north"), template);

    let proxy = Proxy::start(&place.options);
    let mut north = place.log_in(&proxy, 0);
    north.run_ok("INSERT INTO employees (email, salary) VALUES ('n@x', 5)");
    assert_eq!(
        north.value("SELECT current_schema() || current_user"),
        "one_northone_north_app"
    );
    assert_eq!(north.value("SELECT count(*) FROM staff"), "1");
    assert_eq!(north.value("SELECT ticket FROM employees"), "100");
    let mut south = place.log_in(&proxy, 1);
    assert_eq!(south.value("SELECT count(*) FROM employees"), "0");
    // A sequence of its own.
    south.run_ok("INSERT INTO employees (email, salary) VALUES ('s@x', 5)");
    assert_eq!(south.value("SELECT ticket FROM employees"), "100");
    for schema in ["one_north", "tmpl", "pgtenant_provision"] {
        let table = if schema == "pgtenant_provision" {
            "provisioned"
        } else {
            "employees"
        };
        let error = south.error(&format!("SELECT * FROM {schema}.{table}"));
        assert_eq!(error.code(), "42501", "{schema}: {error:?}");
    }
    // Tables that the owner makes later are the tenant's too.
    place.sql("CREATE TABLE one_south.later (a int)");
    assert_eq!(south.value("SELECT count(*) FROM later"), "0");
    let error = south.error("CREATE TABLE mine (a int)");
    assert_eq!(error.code(), "42501", "{error:?}");
}

#[test]
fn hostile_names_are_names_and_nothing_more() {
    let long = "x".repeat(59);
    let names = [
        "a\"b; DROP SCHEMA victim CASCADE; --",
        "c'd'; DROP SCHEMA victim CASCADE; --",
        "Größe ✓ 株式会社",
        "e\\f $1 %I $$",
        &long,
    ];
    let place = Place::new(&names);
    place.sql(TEMPLATE);
    place.sql("CREATE SCHEMA victim; CREATE TABLE victim.safe (a int)");
    let files = Files::new(&[("1.sql", "CREATE TABLE more (a int)")]);
    let template = files.template();
    let arguments = [
        "--template=schema:tmpl",
        &template,
        "--isolation=made",
        "--all",
    ];
    let text = place.done(&arguments);
    assert_eq!(
        text.matches("created schema").count(),
        names.len(),
        "{text}"
    );
    assert_eq!(text.lines().count(), names.len(), "{text}");
    let again = place.done(&arguments);
    assert_eq!(
        again.matches(": up to date").count(),
        names.len(),
        "{again}"
    );
    assert_eq!(place.sql("SELECT count(*) FROM victim.safe"), "0");
    let proxy = Proxy::start(&place.options);
    for (i, name) in names.iter().enumerate() {
        let mut raw = place.log_in(&proxy, i);
        assert_eq!(raw.value("SELECT current_schema()"), *name);
        assert_eq!(raw.value("SELECT current_user"), format!("{name}_app"));
        assert_eq!(raw.value("SELECT count(*) FROM employees, more"), "0");
    }
}

#[test]
fn what_cannot_be_copied_is_refused_by_its_name() {
    let place = Place::new(&["six"]);
    for (sql, reason) in [
        (
            "CREATE TABLE p (a int) PARTITION BY LIST (a)",
            "p: a partitioned table",
        ),
        (
            "CREATE TABLE a (a int); CREATE TABLE b () INHERITS (a)",
            "an inheritance",
        ),
        (
            "CREATE TYPE r AS RANGE (subtype = int)",
            "r: this kind of type",
        ),
        (
            "CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int)",
            "function total(integer): an aggregate",
        ),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
            "function f(): SECURITY DEFINER",
        ),
        (
            "CREATE TABLE t (a int); CREATE FUNCTION f() RETURNS bigint LANGUAGE sql
                 AS 'SELECT count(*) FROM six_template . t'",
            "function f(): it names the schema",
        ),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = six_template
                 AS 'SELECT 1'",
            "function f(): it names the schema",
        ),
        (
            "CREATE SEQUENCE s; CREATE TABLE t (a int DEFAULT nextval('six_template.s'::text))",
            "it names the schema in a text",
        ),
        (
            "CREATE TABLE t (a int); CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING",
            "rule r on t",
        ),
        (
            "CREATE TABLE pg_class (a int)",
            "has the name of something in pg_catalog",
        ),
        (
            "CREATE OPERATOR ~~~ (function = int4pl, leftarg = int, rightarg = int)",
            "operator",
        ),
        (
            "GRANT CREATE ON SCHEMA six_template TO PUBLIC",
            "PUBLIC may create objects in it",
        ),
        (
            "CREATE TABLE t (a int); ALTER TABLE t OWNER TO wellness_app",
            "t belongs to",
        ),
    ] {
        place.sql("DROP SCHEMA IF EXISTS six_template CASCADE; CREATE SCHEMA six_template");
        place.sql(&format!("SET search_path = six_template; {sql}"));
        let before = place.state();
        let text = place.fails(&["--template=schema:six_template", "Company 0"]);
        assert!(
            text.contains("schema \"six_template\" cannot be a template"),
            "{text}"
        );
        assert!(text.contains(reason), "{sql}: {text}");
        assert_eq!(place.state(), before);
    }
    let text = place.fails(&["--template=schema:nowhere", "Company 0"]);
    assert!(text.contains("there is no such schema"), "{text}");
}

#[test]
fn a_template_that_changed_is_told() {
    let place = Place::new(&["seven"]);
    place.sql("CREATE SCHEMA tmpl; CREATE TABLE tmpl.a (a int)");
    let arguments = ["--template=schema:tmpl", "Company 0"];
    place.done(&arguments);
    // What the tenant has of its own does not matter.
    place.sql("CREATE TABLE seven.own (a int)");
    assert!(place.done(&arguments).contains(": up to date"));
    place.sql("CREATE TABLE tmpl.b (b int)");
    let text = place.fails(&arguments);
    assert!(text.contains("CREATE TABLE b (b integer)"), "{text}");
    place.sql("CREATE TABLE seven.b (b int)");
    assert!(place.done(&arguments).contains(": up to date"));
}

#[test]
fn print_shows_sql_that_does_it_and_changes_nothing() {
    let place = Place::new(&["ten"]);
    place.sql(TEMPLATE);
    let files = Files::new(&[("1.sql", "CREATE TABLE more (a int) -- no semicolon")]);
    let arguments = [
        "--template=schema:tmpl",
        &files.template(),
        "Company 0",
        "--print",
    ];
    let before = place.state();
    let sql = place.done(&arguments);
    assert_eq!(place.state(), before);
    let role = TenantRole::derive(site().role_key.as_bytes(), "ten_app");
    assert!(
        !sql.contains(&*role.password) && sql.contains("SCRAM-SHA-256$"),
        "{sql}"
    );
    place.sql(&sql);
    let text = place.done(&arguments[..3]);
    assert!(text.contains(": up to date"), "{text}");
    assert_eq!(place.done(&arguments).lines().count(), 1);
    let proxy = Proxy::start(&place.options);
    let mut raw = place.log_in(&proxy, 0);
    assert_eq!(raw.value("SELECT count(*) FROM employees, more"), "0");
}

#[test]
fn an_owner_without_superuser_can_do_it() {
    let place = Place::new(&["eleven_a", "eleven_b"]);
    let Place { database, .. } = &place;
    place.sql("CREATE ROLE eleven_owner LOGIN CREATEROLE PASSWORD 'owner password'");
    place.sql(&format!("ALTER DATABASE {database} OWNER TO eleven_owner"));
    place.sql(&format!("SET ROLE eleven_owner; {TEMPLATE}"));
    let url = format!(
        "postgres://eleven_owner:owner%20password@127.0.0.1:{}/{database}",
        site().cluster.port()
    );
    let arguments = ["--template=schema:tmpl", "--isolation=made", "--all"];
    let first = place.provision_at(&url, &arguments);
    assert_eq!(
        first.status.code(),
        Some(0),
        "{}{}",
        stdout(&first),
        stderr(&first)
    );
    let again = stdout(&place.provision_at(&url, &arguments));
    assert_eq!(again.matches(": up to date").count(), 2, "{again}");
    let proxy = Proxy::start(&place.options);
    let mut raw = place.log_in(&proxy, 1);
    assert_eq!(raw.value("SELECT count(*) FROM employees"), "0");
    assert!(!stdout(&first).contains("owner password"));
}
