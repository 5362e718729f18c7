//! `pgtenant provision` against a real server, and the proxy in front of what it
//! has made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use pgtenant::tenant::TenantRole;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use testkit::{Options, Proxy, Raw, configuration, site, stderr, stdout};

/// A schema with everything that can be copied.
const TEMPLATE: &str = include_str!("data/template.sql");

/// A database of its own for a test, and the configuration of its tenants, which
/// are of the isolation `made`.
struct Place {
    database: String,
    options: Options,
    config: PathBuf,
}

impl Place {
    /// With tenants of these schemas. Roles are common to all databases: no two
    /// tests may have the same.
    fn new(schemas: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let database = format!("made_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        site().sql("postgres", &format!("CREATE DATABASE {database}"));
        let sql = format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC");
        site().sql("postgres", &sql);
        let mut more = format!(
            "[isolation.made]\nkind = \"schema\"\nserver = \"main\"\ndatabase = \"{database}\"\n\
             search_path = [\"{{schema}}\"]\nrole = \"{{schema}}_app\"\nrole_key_file = {:?}\n",
            site().file("role.key")
        );
        for (i, schema) in schemas.iter().enumerate() {
            more.push_str(&tenant(&database, i, "made", "schema", schema));
        }
        Self::with(database, more)
    }

    fn with(database: String, more: String) -> Self {
        let options = Options {
            more,
            ..Options::default()
        };
        let config = site().write_new(".toml", &configuration(site(), &options));
        Self {
            database,
            options,
            config,
        }
    }

    fn sql(&self, sql: &str) -> String {
        site().sql(&self.database, sql)
    }

    /// Runs the program as the superuser.
    fn provision(&self, arguments: &[&str]) -> Output {
        self.provision_at(&site().cluster.superuser_url(&self.database), arguments)
    }

    fn provision_at(&self, url: &str, arguments: &[&str]) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_pgtenant"))
            .args(["provision", "--url", url, "--config"])
            .arg(&self.config)
            .args(arguments)
            .output()
            .unwrap();
        let text = format!("{}{}", stdout(&output), stderr(&output));
        for secret in [&*site().role_key, site().cluster.superuser_password()] {
            assert!(!text.contains(secret), "{text}");
        }
        output
    }

    /// The same, which must succeed: what it prints.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.provision(arguments);
        let (out, err) = (stdout(&output), stderr(&output));
        assert_eq!(output.status.code(), Some(0), "{out}{err}");
        out
    }

    /// The same, which must fail: what it prints.
    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.provision(arguments);
        let text = stdout(&output) + &stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        text
    }

    /// Logs in through a proxy as the tenant with this number.
    fn log_in(&self, proxy: &Proxy, tenant: usize) -> Raw {
        let user = login(&self.database, tenant);
        let parameters = [("user", &*user), ("database", &*self.database)];
        Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap()
    }

    /// What pg_dump knows of a schema, line by line, without the schema's name.
    /// The order of dumped objects and lines of columns' defaults differ.
    fn dump(&self, schema: &str) -> Vec<String> {
        let output = Command::new(site().cluster.client_program("pg_dump"))
            .args(["--schema-only", "--no-privileges", "-n", schema, "-d"])
            .arg(site().cluster.superuser_url(&self.database))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let text = stdout(&output).replace(schema, "SCHEMA");
        let restrict = |line: &&str| !line.starts_with("\\");
        let mut lines: Vec<_> = text.lines().filter(restrict).map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// All that there is: what a failure must not change.
    fn state(&self) -> String {
        self.sql(
            "SELECT nspname, nspacl FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1;
             SELECT oid::regclass, relacl FROM pg_class
                 WHERE relnamespace::regnamespace::text !~ '^pg_|^information_schema' ORDER BY 1;
             SELECT rolname, rolcanlogin, md5(rolpassword) FROM pg_authid
                 WHERE rolname ~ '_app$' AND rolname ~ current_database() ORDER BY 1",
        )
    }
}

/// The sections of a tenant and its login.
fn tenant(database: &str, number: usize, isolation: &str, key: &str, value: &str) -> String {
    let mut text = String::new();
    let id = format!("{database}-{number}");
    let user = login(database, number);
    let verifier = &site().login_verifier;
    write!(
        text,
        "[[tenants]]\nid = {id:?}\nname = \"Company {number}\"\nisolation = {isolation:?}\n\
         {key} = {}\n[[logins]]\nuser = {user:?}\ntenant = {id:?}\nscram = {verifier:?}\n",
        toml(value)
    )
    .unwrap();
    text
}

fn login(database: &str, number: usize) -> String {
    format!("{database}_login_{number}")
}

fn toml(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A directory of SQL files, as an argument.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let files_ = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            files_.write(name, text);
        }
        files_
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn template(&self) -> String {
        format!("--template=dir:{}", self.0.path().display())
    }
}

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
fn a_failure_in_the_midst_leaves_nothing() {
    let place = Place::new(&["two_broken"]);
    let files = Files::new(&[
        ("001.sql", "CREATE TABLE good (a int);"),
        (
            "002.sql",
            "CREATE TABLE fine (a int);\n\nSELECT * FROM missing;\n",
        ),
    ]);
    let before = place.state();
    let text = place.fails(&[&files.template(), "Company 0"]);
    assert!(
        text.contains("FAILED: file 002.sql, line 3: relation \"missing\""),
        "{text}"
    );
    assert_eq!(place.state(), before);
    assert_eq!(
        place.sql("SELECT count(*) FROM pg_roles WHERE rolname ~ '^two_broken'"),
        "0"
    );
    // When it is put right, all is made.
    files.write("002.sql", "CREATE TABLE fine (a int)");
    let text = place.done(&[&files.template(), "Company 0"]);
    assert!(text.contains("applied 2 files"), "{text}");
}

#[test]
fn one_tenant_that_fails_does_not_keep_the_others() {
    let place = Place::new(&["three_a", "three_b", "three_c"]);
    place.sql("CREATE ROLE stranger_three; CREATE SCHEMA three_b AUTHORIZATION stranger_three");
    let files = Files::new(&[("1.sql", "CREATE TABLE t (a int)")]);
    let arguments = [&*files.template(), "--all", "--isolation", "made"];
    let text = place.fails(&arguments);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[0].contains("created schema \"three_a\""), "{text}");
    assert!(
        lines[1].contains("FAILED: schema \"three_b\" belongs to role"),
        "{text}"
    );
    assert!(lines[2].contains("created schema \"three_c\""), "{text}");
    assert!(lines[3].contains("1 of 3 tenants failed"), "{text}");
    assert_eq!(
        place.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'three_b_app'"),
        "0"
    );
    place.sql("DROP SCHEMA three_b");
    let text = place.done(&arguments);
    assert_eq!(text.matches(": up to date").count(), 2, "{text}");
}

#[test]
fn files_are_run_once_in_order_and_must_not_change() {
    let place = Place::new(&["four_a", "four_b"]);
    let files = Files::new(&[
        (
            "010.sql",
            "CREATE TABLE t (a int); INSERT INTO t VALUES (1) -- the end",
        ),
        ("020.sql", "INSERT INTO t VALUES (2)"),
        ("notes.txt", "not SQL"),
    ]);
    let arguments = [&*files.template(), "--all", "--isolation", "made"];
    place.done(&[arguments[0], "Company 0"]);
    files.write("030.sql", "INSERT INTO t SELECT max(a) + 1 FROM t");
    let text = place.done(&arguments);
    assert!(
        text.contains("Company 0") && text.contains(": applied 1 file\n"),
        "{text}"
    );
    assert!(text.contains("applied 3 files"), "{text}");
    for schema in ["four_a", "four_b"] {
        let sql = format!("SELECT string_agg(a::text, ',' ORDER BY a) FROM {schema}.t");
        assert_eq!(place.sql(&sql), "1,2,3");
    }
    let before = place.state();
    files.write("020.sql", "INSERT INTO t VALUES (22)");
    files.write("040.sql", "INSERT INTO t VALUES (4)");
    let text = place.fails(&arguments);
    assert_eq!(
        text.matches("FAILED: file 020.sql has changed").count(),
        2,
        "{text}"
    );
    files.write("020.sql", "INSERT INTO t VALUES (2)");
    files.write("015.sql", "INSERT INTO t VALUES (15)");
    let text = place.fails(&arguments);
    assert_eq!(
        text.matches("file 015.sql comes before 030.sql").count(),
        2,
        "{text}"
    );
    assert_eq!(place.state(), before);
}

#[test]
fn files_that_would_break_the_transaction_are_refused_before_anything_is_done() {
    let place = Place::new(&["five"]);
    for (text, reason) in [
        ("CREATE TABLE t (a int); COMMIT;", "BEGIN, COMMIT"),
        ("CREATE TABEL t (a int)", "syntax error"),
        ("COPY t FROM stdin", "COPY"),
        ("\\i other.sql", "syntax error"),
    ] {
        let files = Files::new(&[("1.sql", text)]);
        let output = place.provision(&[&files.template(), "Company 0"]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        let error = stderr(&output);
        assert!(error.contains("1.sql") && error.contains(reason), "{error}");
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
    let sql =
        "SET ROLE thief_thirteen; SELECT * FROM pgtenant_provision.template_statements('tmpl')";
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

/// A place with tenants of kind `database`.
fn silo(names: &[&str]) -> Place {
    let place = Place::new(&[]);
    let mut more = String::from(
        "[isolation.silo]\nkind = \"database\"\nserver = \"main\"\ndatabase = \"{database}\"\n",
    );
    for (i, name) in names.iter().enumerate() {
        more.push_str(&tenant(&place.database, i, "silo", "database", name));
    }
    Place::with(place.database, more)
}

#[test]
fn a_database_is_made_closed_and_filled() {
    let names = ["silo \"a\"; DROP", "silo_b"];
    let place = silo(&names);
    let files = Files::new(&[("1.sql", "CREATE TABLE t (a int); INSERT INTO t VALUES (7)")]);
    let arguments = [&*files.template(), "--isolation=silo", "--all"];
    let printed = place.done(&[arguments[0], arguments[1], arguments[2], "--print"]);
    assert!(
        printed.contains("CREATE DATABASE \"silo \"\"a\"\"; DROP\""),
        "{printed}"
    );
    let exist = "SELECT count(*) FROM pg_database WHERE datname ~ '^silo'";
    assert_eq!(place.sql(exist), "0");
    let text = place.done(&arguments);
    assert_eq!(text.matches("created database").count(), 2, "{text}");
    assert_eq!(text.matches("applied 1 file").count(), 2, "{text}");
    let again = place.done(&arguments);
    assert_eq!(again.matches(": up to date").count(), 2, "{again}");
    files.write("2.sql", "UPDATE t SET a = 8");
    assert_eq!(
        place.done(&arguments).matches(": applied 1 file").count(),
        2
    );
    let acl = "SELECT datacl FROM pg_database WHERE datname = 'silo_b'";
    assert_eq!(
        place.sql(acl),
        "{postgres=CTc/postgres,wellness_app=c/postgres}"
    );
    let proxy = Proxy::start(&place.options);
    for (i, name) in names.iter().enumerate() {
        let user = login(&place.database, i);
        let parameters = [("user", &*user), ("database", *name)];
        let mut raw = Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap();
        assert_eq!(
            raw.value("SELECT a || current_database() FROM t"),
            format!("8{name}")
        );
    }
}

#[test]
fn a_database_that_fails_is_removed_and_one_that_was_there_is_not() {
    let place = silo(&["fail_a", "fail_b"]);
    site().sql("postgres", "CREATE DATABASE fail_b");
    let files = Files::new(&[("1.sql", "CREATE TABLE t (a int); SELECT 1 / 0")]);
    let text = place.fails(&[&files.template(), "--isolation=silo", "--all"]);
    assert_eq!(
        text.matches("FAILED: file 1.sql: division by zero").count(),
        2,
        "{text}"
    );
    let exist = "SELECT string_agg(datname, ',') FROM pg_database WHERE datname ~ '^fail_'";
    assert_eq!(place.sql(exist), "fail_b");
    assert_eq!(
        site().sql("fail_b", "SELECT to_regclass('public.t') IS NULL"),
        "t"
    );
}

#[test]
fn a_database_is_copied_from_another() {
    let place = silo(&["copy_a"]);
    site().sql("postgres", "CREATE DATABASE copy_template");
    site().sql(
        "copy_template",
        "CREATE TABLE t (a int); GRANT SELECT ON t TO wellness_app",
    );
    let arguments = [
        "--template=database:copy_template",
        "--isolation=silo",
        "--all",
    ];
    let text = place.done(&arguments);
    assert!(text.contains("created database \"copy_a\""), "{text}");
    assert!(place.done(&arguments).contains(": up to date"));
    let user = login(&place.database, 0);
    let proxy = Proxy::start(&place.options);
    let parameters = [("user", &*user), ("database", "copy_a")];
    let mut raw = Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap();
    assert_eq!(raw.value("SELECT count(*) FROM t"), "0");
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
