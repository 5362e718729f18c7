//! Roles that nothing keeps from the rows of other tenants.

#![allow(clippy::unwrap_used)]

use pgtenant::throwaway::wellness::SETTING_DATABASE;
use std::thread;
use testkit::{INNOVATE, Options, Plain, Programs, Proxy, Raw, Site, wait_until};

const WHOSE: &str = "SELECT DISTINCT organization_id FROM users";

fn log_in(proxy: &Proxy, login: &str) -> Result<Raw, String> {
    let database = proxy.database(login);
    let parameters = [("user", login), ("database", &*database)];
    Raw::log_in(proxy.port, &proxy.password, &parameters)
        .map_err(|error| format!("{} {}", error.code(), error.message()))
}

/// With an isolation `elsewhere` on the server `second`, as this role.
fn with_another(site: &Site, role: &str) -> Options {
    let more = format!(
        "[servers.second]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"require\"\n\
         user = {role:?}\npassword = {role:?}\n\
         [isolation.elsewhere]\nkind = \"setting\"\nserver = \"second\"\n\
         database = \"postgres\"\nsetting = \"app.tenant\"\n",
        site.cluster.port(),
    );
    Options {
        more,
        ..Options::default()
    }
}

#[test]
fn tenants_are_not_served_over_a_role_that_row_level_security_does_not_bind() {
    let site = Site::start();
    let database = site.fresh_database();
    let options = Options {
        database: database.clone(),
        ..Options::default()
    };
    let owner = "CREATE ROLE owning; GRANT owning TO wellness_app; \
                 ALTER TABLE users OWNER TO owning";
    let cases = [
        (
            "ALTER ROLE wellness_app SUPERUSER",
            "ALTER ROLE wellness_app NOSUPERUSER",
            "superuser",
        ),
        (
            "ALTER ROLE wellness_app BYPASSRLS",
            "ALTER ROLE wellness_app NOBYPASSRLS",
            "BYPASSRLS",
        ),
        (
            "ALTER TABLE users OWNER TO wellness_app",
            "ALTER TABLE users OWNER TO postgres; GRANT SELECT ON users TO wellness_app",
            "the owner of public.users",
        ),
        // By membership.
        (
            owner,
            "ALTER TABLE users FORCE ROW LEVEL SECURITY",
            "the owner of public.users",
        ),
    ];
    for (spoil, mend, why) in cases {
        // It runs before, and after.
        let running = Proxy::start_before(&site, &options);
        let mut client = running.raw("innovate");
        assert_eq!(client.run_ok(WHOSE).column(), [INNOVATE]);
        site.sql(&database, spoil);
        let line = running.wait_for_log("the tenants of the isolation are not served");
        assert!(line.contains("ERROR") && line.contains(why), "{line}");
        let end = client.until_closed().errors().pop().unwrap();
        assert_eq!((end.code(), end.severity()), ("57P01", "FATAL"));
        let new = Proxy::start_before(&site, &options);
        for proxy in [&running, &new] {
            let error = log_in(proxy, "innovate").err().unwrap();
            assert!(error.starts_with("28000 "), "{error}");
            assert!(
                !error.contains("wellness_app") && !error.contains("users"),
                "{error}"
            );
        }
        // Unless somebody says that it may be so.
        let allowed = Proxy::start_before(
            &site,
            &Options {
                isolation: "allow_unprotected_role = true".to_owned(),
                ..options.clone()
            },
        );
        assert!(log_in(&allowed, "innovate").is_ok());
        site.sql(&database, mend);
        wait_until("the tenants are served", || {
            log_in(&running, "innovate").is_ok()
        });
        assert_eq!(running.raw("innovate").run_ok(WHOSE).column(), [INNOVATE]);
    }
}

#[test]
fn a_superuser_serves_no_tenant_of_any_kind() {
    let site = Site::start();
    site.sql(
        "postgres",
        "ALTER ROLE wellness_app SUPERUSER; ALTER ROLE acme_health_app SUPERUSER",
    );
    let proxy = Proxy::start_before(&site, &Options::default());
    for login in ["innovate", "acme", "umbrella"] {
        let error = log_in(&proxy, login).err().unwrap();
        assert!(error.starts_with("28000 "), "{login}: {error}");
        proxy.wait_for_log("ALTER ROLE");
    }
    // One that is bound is served.
    assert_eq!(proxy.raw("globex").value("SELECT 1"), "1");
}

#[test]
fn the_log_tells_of_the_isolations_alone_that_have_tenants_over_the_role() {
    let site = Site::start();
    site.sql(
        "postgres",
        "CREATE ROLE above SUPERUSER LOGIN PASSWORD 'above'",
    );
    let proxy = Proxy::start_before(&site, &with_another(&site, "above"));
    let refused = "the tenants of the isolation are not served";
    let line = proxy.wait_for_log(refused);
    assert!(line.contains("isolation=elsewhere server=second"), "{line}");
    // The same reading has judged all isolations.
    proxy.wait_for_log("known server=second");
    let lines = |log: &str| log.lines().filter(|line| line.contains(refused)).count();
    assert_eq!(lines(&proxy.log()), 1, "{}", proxy.log());
    // A tenant that is moved there counts; it cannot log in.
    assert_eq!(proxy.raw("innovate").run_ok(WHOSE).column(), [INNOVATE]);
    proxy.reload(|text| {
        let tenant = format!("[[tenants]]\nid = {INNOVATE:?}\n");
        let moved = "server = \"second\"\n";
        text.replace(&tenant, &format!("{tenant}{moved}"))
    });
    let error = log_in(&proxy, "innovate").err().unwrap();
    assert!(error.starts_with("28000 "), "{error}");
}

#[test]
fn what_a_server_says_that_ends_the_session_meanwhile_is_told() {
    let plain = Plain::start(&Programs::find(15).unwrap(), &[]);
    let (mut owner, mut other) = (plain.superuser(), plain.superuser());
    owner.run_ok("BEGIN; LOCK pg_policy IN ACCESS EXCLUSIVE MODE");
    let text = plain.configuration(SETTING_DATABASE, plain.cluster.port(), "", "");
    let proxy = plain.proxy_by(&text);
    thread::scope(|scope| {
        let client = scope.spawn(|| plain.client(&proxy, "innovate"));
        wait_until("the role is looked at and the session is ended", || {
            let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                       WHERE query LIKE 'SET LOCAL %; SELECT r.rolsuper%' \
                       AND wait_event_type = 'Lock'";
            other.value(sql) != "0"
        });
        let line = proxy.wait_for_log("cannot open a server connection");
        assert!(line.contains("57P01"), "{line}");
        owner.run_ok("COMMIT");
        assert_eq!(client.join().unwrap().value("SELECT 1"), "1");
    });
}

#[test]
fn the_catalog_s_reader_tries_a_role_seldom_that_the_server_refuses() {
    let site = Site::start();
    site.sql(
        "postgres",
        "ALTER ROLE wellness_app NOLOGIN; \
         CREATE ROLE limited LOGIN PASSWORD 'limited' CONNECTION LIMIT 0",
    );
    let _proxy = Proxy::start_before(&site, &with_another(&site, "limited"));
    let tries = |what: &str| {
        let log = std::fs::read_to_string(site.cluster.log_path()).unwrap();
        log.matches(what).count()
    };
    wait_until("the server that is full has been tried often", || {
        tries("too many connections for role \"limited\"") >= 5
    });
    let refused = tries("role \"wellness_app\" is not permitted to log in");
    assert!((1..=2).contains(&refused), "{refused}");
}
