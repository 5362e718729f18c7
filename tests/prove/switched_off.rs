//! With a protection switched off, `prove` fails and names what is broken.

use super::lab::{Lab, Proved, own_database};
use pgtenant::throwaway::random_hex;
use std::process::Command;
use testkit::{INNOVATE, Options, Programs, Proxy, SYNERGY, Site, site};

#[test]
fn a_guard_that_only_reports() {
    let lab = Lab::start(&Options {
        guard: "report",
        ..own_database()
    });
    let proved = lab.prove(&[]);
    proved.breaks(&[
        "set",
        "set-unicode",
        "set-config-same-query",
        "set-config-bound",
        "set-behind-flush",
        "prepare",
        "copy-rows",
        "do",
        "listen",
        "explain-analyze",
        "row-security",
        "sessions-queries-function",
    ]);
    // What does not rest on the guard holds.
    for id in [
        "fast-path",
        "rows:public.users",
        "update:public.users",
        "role-superuser",
        "cancel-with-own-secret",
    ] {
        assert_eq!(proved.of(id).0, "held", "{id}: {:?}", proved.of(id));
    }
}

#[test]
fn channels_that_are_open() {
    let lab = Lab::start(&Options {
        channels: "allow",
        ..own_database()
    });
    lab.prove(&[]).breaks(&[
        "listen",
        "notify",
        "large-object",
        "advisory-lock",
        "lock-table",
        "explain-analyze",
        "statistics",
        "sessions-queries",
        "sessions-processes",
        "sessions-locks",
        "advisory-lock-seen",
        "notification",
        "cancel-of-process",
        "end-of-process",
    ]);
}

#[test]
fn code_that_nobody_sees_into() {
    let lab = Lab::start(&Options {
        opaque: "allow",
        ..own_database()
    });
    let proved = lab.prove(&[]);
    proved.breaks(&[
        "do",
        "function-sql",
        "aggregate",
        "query-to-xml",
        "attribute-notation",
    ]);
    assert_eq!(proved.of("set").0, "held");
}

#[test]
fn tables_that_do_not_keep_tenants_apart() {
    for (sql, broken) in [
        (
            "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
            &["rows:public.users"][..],
        ),
        (
            "CREATE POLICY all_rows ON users FOR SELECT USING (true)",
            &["rows:public.users"],
        ),
        (
            "CREATE TABLE notes (organization_id uuid, note text); \
             INSERT INTO notes SELECT id, name FROM organizations; \
             GRANT SELECT ON notes TO wellness_app",
            &["rows:public.notes"],
        ),
        (
            "CREATE TABLE badges (id int PRIMARY KEY, user_id uuid REFERENCES users (id)); \
             INSERT INTO badges SELECT 1, id FROM users LIMIT 1; \
             GRANT SELECT ON badges TO wellness_app",
            &["rows:public.badges"],
        ),
        (
            "CREATE VIEW everybody AS SELECT * FROM users; GRANT SELECT ON everybody TO wellness_app",
            &["rows:public.everybody"],
        ),
        (
            "DROP POLICY tenant_isolation_policy ON users; CREATE POLICY p ON users \
             USING (organization_id = current_setting('session.current_organization_id')::uuid) \
             WITH CHECK (true)",
            // Moved rows must satisfy USING too, since the UPDATE reads them.
            &["insert:public.users"],
        ),
    ] {
        let options = own_database();
        let database = options.database.clone();
        let lab = Lab::start(&options);
        lab.site.sql(&database, sql);
        lab.prove(&[]).breaks_alone(broken);
    }
}

#[test]
fn writes_that_reach_the_others_rows() {
    let options = own_database();
    let lab = Lab::start(&options);
    lab.site.sql(
        &options.database,
        "DROP POLICY tenant_isolation_policy ON users; \
         CREATE POLICY s ON users FOR SELECT USING (organization_id = current_setting('session.current_organization_id')::uuid); \
         CREATE POLICY w ON users FOR INSERT WITH CHECK (true)",
    );
    // No policy for UPDATE or DELETE: nobody's rows are reached, and that shows nothing.
    let proved = lab.prove(&[]);
    proved.breaks_alone(&["insert:public.users"]);
    assert_eq!(proved.of("update:public.users").0, "not tested");
}

#[test]
fn a_table_that_is_meant_for_all_can_be_named() {
    let options = own_database();
    let lab = Lab::start(&options);
    lab.site.sql(
        &options.database,
        "CREATE TABLE notes (organization_id uuid, note text); \
         INSERT INTO notes SELECT id, name FROM organizations; \
         GRANT SELECT ON notes TO wellness_app; \
         CREATE TABLE countries (code text); INSERT INTO countries VALUES ('de'); \
         GRANT SELECT ON countries TO wellness_app",
    );
    lab.prove(&[]).breaks_alone(&["rows:public.notes"]);
    let proved = lab.prove(&["--shared", "public.notes"]);
    assert_eq!(proved.status, Some(0), "{}", proved.text);
    assert_eq!(proved.of("rows:public.notes").0, "not applicable");
    // Never counted as held.
    assert_eq!(proved.of("rows:public.countries").0, "not applicable");
}

#[test]
fn roles_that_nothing_binds() {
    let site = Site::start();
    let options = Options {
        isolation: "allow_unprotected_role = true".to_owned(),
        ..Options::default()
    };
    let proxy = Proxy::start_before(&site, &options);
    let (one, two) = (proxy.url("innovate"), proxy.url("synergy"));
    let prove = || Proved::by(&["--login", &one, "--other", &two]);
    let alter = |sql: &str| {
        site.sql(&options.database, sql);
    };
    alter("ALTER TABLE users OWNER TO wellness_app");
    prove().breaks(&["role-owner", "rows:public.users"]);
    alter("ALTER TABLE users OWNER TO CURRENT_USER; GRANT ALL ON users TO wellness_app");
    alter("ALTER ROLE wellness_app BYPASSRLS");
    prove().breaks(&[
        "role-bypassrls",
        "rows:public.users",
        "rows:public.wellness_entries",
    ]);
    alter("ALTER ROLE wellness_app NOBYPASSRLS SUPERUSER");
    prove().breaks(&["role-superuser", "rows:public.users"]);
    alter(
        "ALTER ROLE wellness_app NOSUPERUSER; CREATE ROLE boss BYPASSRLS; GRANT boss TO wellness_app",
    );
    prove().breaks(&["role-member"]);
}

#[test]
fn clients_in_clear_text() {
    let lab = Lab::start(&Options {
        tls: "allow",
        ..own_database()
    });
    lab.prove(&[]).breaks_alone(&["clear-text-refused"]);
    let lab = Lab::start(&Options {
        tls: "off",
        ..own_database()
    });
    let (one, two) = (lab.proxy.url("innovate"), lab.proxy.url("synergy"));
    let proved = Proved::by(&["--login", &one, "--other", &two]);
    proved.breaks_alone(&["tls-offered", "clear-text-refused"]);
    assert_eq!(proved.of("tls-certificate").0, "not tested");
}

#[test]
fn a_certificate_for_another_name() {
    let lab = Lab::start(&own_database());
    let url = |login: &str| lab.url(login).replace("verify-full", "verify-ca");
    let proved = Proved::by(&["--login", &url("innovate"), "--other", &url("synergy")]);
    assert_eq!(proved.of("tls-certificate").0, "not tested");
    assert_eq!(proved.status, Some(0));
}

#[test]
fn a_server_whose_certificate_is_not_verified() {
    let lab = Lab::start(&own_database());
    let text = std::fs::read_to_string(lab.config()).unwrap();
    let other = site().write_new(
        ".toml",
        &text
            .replace("tls = \"verify-full\"", "tls = \"require\"")
            .replace("ca = ", "# ca = "),
    );
    lab.prove(&["--config", other.to_str().unwrap()])
        .breaks_alone(&["server-verified"]);
}

/// A sealed database, and a proxy that lets code pass.
fn sealed() -> (Lab, Options) {
    let key = site().write_new(".key", &format!("{}\n", random_hex(32).unwrap()));
    let options = Options {
        opaque: "allow",
        isolation: format!("seal = \"carrier\"\nseal_key_file = {key:?}"),
        ..own_database()
    };
    let config = site().write_new(".toml", &testkit::configuration(site(), &options));
    let output = Command::new(env!("CARGO_BIN_EXE_pgtenant"))
        .args(["harden", "--isolation", "setting", "--config"])
        .arg(&config)
        .args(["--apply", &site().cluster.superuser_url("postgres")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    (Lab::start(&options), options)
}

#[test]
fn a_seal_that_was_promised() {
    let (lab, options) = sealed();
    let config = lab.config();
    let config = config.to_str().unwrap();
    let proved = lab.prove(&["--config", config]);
    assert_eq!(proved.status, Some(0), "{}", proved.text);
    assert_eq!(proved.of("seal:public.users").0, "held");
    let (result, said) = proved.of("do");
    assert_eq!(result, "held");
    assert!(said.contains("the seal has kept"), "{said}");
    lab.site.sql(
        &options.database,
        "DROP POLICY pgtenant_seal ON wellness_entries",
    );
    lab.prove(&["--config", config])
        .breaks(&["seal:public.wellness_entries"]);
    lab.site
        .sql(&options.database, "DROP POLICY pgtenant_seal ON users");
    lab.prove(&["--config", config]).breaks(&[
        "seal:public.users",
        "seal:public.wellness_entries",
        "do",
    ]);
    // Without the configuration nobody has promised anything.
    assert_eq!(lab.prove(&[]).of("seal").0, "not applicable");
}

#[test]
fn a_path_past_the_proxy() {
    let lab = Lab::start(&own_database());
    let url = |password: &str, port: u16| {
        format!(
            "postgres://wellness_app:{password}@127.0.0.1:{port}/{}?sslmode=require",
            lab.proxy
                .url("innovate")
                .rsplit('/')
                .next()
                .unwrap()
                .split('?')
                .next()
                .unwrap()
        )
    };
    let port = lab.site.cluster.port();
    let direct = |url: &str| lab.prove(&["--direct", url]);
    let proved = direct(&url(&lab.site.app_password, port));
    proved.breaks_alone(&["direct-access"]);
    let proved = direct(&url("wrong", port));
    assert_eq!(proved.of("direct-access").0, "not tested");
    // A port at which nobody listens, and a role that may not log in.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = free.local_addr().unwrap().port();
    drop(free);
    assert_eq!(direct(&url("wrong", closed)).of("direct-access").0, "held");
    lab.site
        .sql("postgres", "CREATE ROLE shut_out NOLOGIN PASSWORD 'x'");
    let shut = url("x", port).replace("wellness_app", "shut_out");
    assert_eq!(direct(&shut).of("direct-access").0, "held");
}

#[test]
fn a_plain_path_is_no_proxy() {
    for major in [15, 18] {
        let Some(programs) = Programs::find(major) else {
            continue;
        };
        let site = Site::start_on(&programs);
        for (name, id) in [("plain_innovate", INNOVATE), ("plain_synergy", SYNERGY)] {
            site.sql(
                "wellness_corp_db",
                &format!(
                    "CREATE ROLE {name} LOGIN PASSWORD '{name}' IN ROLE wellness_app; \
                     ALTER ROLE {name} SET session.current_organization_id = '{id}'"
                ),
            );
        }
        let url = |name: &str| {
            format!(
                "postgres://{name}:{name}@127.0.0.1:{}/wellness_corp_db?sslmode=require",
                site.cluster.port()
            )
        };
        let (one, two) = (url("plain_innovate"), url("plain_synergy"));
        let proved = Proved::by(&["--login", &one, "--other", &two]);
        proved.breaks(&[
            "set",
            "set-local",
            "set-config",
            "set-config-same-query",
            "set-config-bound",
            "prepare",
            "prepare-arguments",
            "cursor",
            "copy-rows",
            "do",
            "function-sql",
            "aggregate",
            "fast-path",
            "attribute-notation",
            "startup-options",
            "startup-parameter",
            "string-syntax",
            "listen",
            "not-sql",
        ]);
        for id in [
            "rows:public.users",
            "update:public.users",
            "insert:public.users",
        ] {
            assert_eq!(proved.of(id).0, "held", "{id}");
        }
    }
}

#[test]
fn a_schema_that_the_other_role_may_read() {
    let site = Site::start();
    let proxy = Proxy::start_before(&site, &Options::default());
    let (one, two) = (proxy.url("acme"), proxy.url("globex"));
    let prove = || Proved::by(&["--login", &one, "--other", &two]);
    prove().breaks_alone(&["clear-text-refused"]);
    site.sql(
        "wellness_schemas",
        "GRANT USAGE ON SCHEMA globex TO acme_health_app; GRANT SELECT ON globex.employee_logs TO acme_health_app",
    );
    prove().breaks(&["rows:globex.employee_logs", "qualified", "copied"]);
}

#[test]
fn a_schema_for_each_tenant_and_one_role_for_all() {
    let site = Site::start();
    let tenants = ["north", "south"].map(|schema| {
        format!(
            "[[tenants]]\nid = \"{schema}\"\nisolation = \"one_role\"\nschema = \"{schema}\"\n\
             [[logins]]\nuser = \"at_{schema}\"\ntenant = \"{schema}\"\nscram = \"{}\"\n",
            site.login_verifier
        )
    });
    let options = Options {
        more: format!(
            "[isolation.one_role]\nkind = \"schema\"\nserver = \"main\"\n\
             database = \"wellness_schemas\"\nsearch_path = [\"{{schema}}\"]\n{}",
            tenants.concat()
        ),
        ..Options::default()
    };
    for schema in ["north", "south"] {
        site.sql(
            "wellness_schemas",
            &format!(
                "GRANT CONNECT ON DATABASE wellness_schemas TO wellness_app; \
                 CREATE SCHEMA {schema}; CREATE TABLE {schema}.notes (note text); \
                 INSERT INTO {schema}.notes VALUES ('of the {schema}'); \
                 GRANT USAGE ON SCHEMA {schema} TO wellness_app; \
                 GRANT SELECT ON {schema}.notes TO wellness_app"
            ),
        );
    }
    let proxy = Proxy::start_before(&site, &options);
    let url = |login: &str| {
        format!(
            "postgres://{login}:{}@127.0.0.1:{}/wellness_schemas?sslmode=require",
            proxy.password, proxy.port
        )
    };
    let (one, two) = (url("at_north"), url("at_south"));
    Proved::by(&["--login", &one, "--other", &two]).breaks(&[
        "rows:north.notes",
        "rows:south.notes",
        "qualified",
        "copied",
    ]);
}
