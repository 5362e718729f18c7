//! What a session of a tenant's own role is, and what it reaches.

use crate::place::*;
use testkit::{INNOVATE, Raw, SYNERGY, wait_until};

/// Whose rows are seen.
const WHOSE: &str = "SELECT DISTINCT organization_id FROM users";
const WHO: &str = "SELECT session_user || ' ' || current_user";

fn run(client: &mut Raw, sql: &str) -> String {
    client.value(&format!("SELECT run({})", quoted(sql)))
}

fn ask(client: &mut Raw, sql: &str) -> String {
    client.value(&format!("SELECT ask({})", quoted(sql)))
}

#[test]
fn every_reset_returns_to_the_tenant() {
    on_each_version(|place| {
        let proxy = place.proxy();
        for (id, login, role) in TENANTS {
            let mut client = place.client(&proxy, login);
            assert_eq!(client.value(WHO), format!("{role} {role}"));
            assert_eq!(client.run_ok(WHOSE).column(), [id]);
            // Of code that nobody sees, within its own statement.
            for reset in [
                "RESET ALL",
                "RESET session.current_organization_id",
                "SET session.current_organization_id TO DEFAULT",
                "RESET SESSION AUTHORIZATION",
                "SET SESSION AUTHORIZATION DEFAULT",
            ] {
                assert_eq!(run(&mut client, reset), id, "{reset}");
            }
            for reset in [
                "RESET ALL",
                "DISCARD ALL",
                "RESET SESSION AUTHORIZATION",
                "RESET ROLE",
            ] {
                client.run_ok(reset);
                assert_eq!(client.run_ok(WHOSE).column(), [id], "{reset}");
                assert_eq!(client.value(WHO), format!("{role} {role}"), "{reset}");
            }
            // The guard's rules are those of the kind.
            for sql in [
                format!("SET {SETTING} = '{SYNERGY}'"),
                format!("SET {SETTING} TO DEFAULT"),
                format!("ALTER ROLE {role} SET {SETTING} = '{SYNERGY}'"),
                format!("SET ROLE {APP_ROLE}"),
                "EXPLAIN ANALYZE SELECT * FROM users".to_owned(),
                "SELECT lo_create(0)".to_owned(),
            ] {
                assert_eq!(client.error(&sql).code(), "42501", "{sql}");
            }
        }
    });
}

#[test]
fn a_tenant_cannot_store_another_one_for_its_role() {
    on_each_version(|place| {
        let proxy = place.proxy();
        let mut client = place.client(&proxy, "innovate");
        for sql in [
            format!("ALTER ROLE CURRENT_USER SET {SETTING} = '{SYNERGY}'"),
            format!("ALTER ROLE CURRENT_USER RESET {SETTING}"),
        ] {
            let error = client.error(&format!("SELECT run({})", quoted(&sql)));
            assert_eq!(error.code(), "42501", "{sql}");
        }
        run(&mut client, "ALTER ROLE CURRENT_USER RESET ALL");
        let stored = "SELECT rolconfig[1] FROM pg_roles WHERE rolname = 'innovate_own'";
        assert_eq!(place.sql(stored), format!("{SETTING}={INNOVATE}"));
    });
}

#[test]
fn the_role_that_hidden_code_takes_is_given_back() {
    on_each_version(|place| {
        let proxy = place.proxy();
        let mut client = place.client(&proxy, "innovate");
        client.run_ok("BEGIN");
        let backend = client.backend();
        let take = format!("SELECT run('SET ROLE {APP_ROLE}')");
        if place.major >= 16 {
            // Membership is for rights alone there.
            assert_eq!(client.error(&take).code(), "42501");
            client.run_ok("ROLLBACK");
        } else {
            client.run_ok(&take);
            assert_eq!(client.value("SELECT current_user"), APP_ROLE);
            client.run_ok("COMMIT");
        }
        client.run_ok("BEGIN");
        assert_eq!(client.backend(), backend, "it is the same session");
        assert_eq!(client.value(WHO), "innovate_own innovate_own");
        assert_eq!(client.run_ok(WHOSE).column(), [INNOVATE]);
        client.run_ok("COMMIT");
    });
}

#[test]
fn a_server_connection_serves_one_tenant_for_its_life() {
    on_each_version(|place| {
        let text = place
            .own()
            .replace("size = 4\nsize_per_tenant = 3", "size = 1");
        place.provisioned(&text);
        let proxy = place.plain.proxy_by(&text);
        let mut clients = TENANTS.map(|(_, login, _)| place.client(&proxy, login));
        let mut backends = Vec::new();
        for _ in 0..3 {
            for (client, (id, _, role)) in clients.iter_mut().zip(TENANTS) {
                assert_eq!(client.value(WHO), format!("{role} {role}"));
                assert_eq!(client.run_ok(WHOSE).column(), [id]);
                backends.push((role, client.backend()));
            }
        }
        for (role, backend) in &backends {
            let others = backends.iter().filter(|(other, _)| other != role);
            assert!(others.clone().all(|(_, other)| other != backend));
        }
    });
}

/// What one tenant leaves that another one looks for, by code of the database's own.
struct Left {
    queries: String,
    statistics: String,
}

fn look(proxy: &testkit::Proxy, place: &Place) -> Left {
    let mut innovate = place.client(proxy, "innovate");
    let mut synergy = place.client(proxy, "synergy");
    innovate.run_ok(
        "CREATE TEMPORARY TABLE salaries AS SELECT 'a salary' AS amount FROM generate_series(1, 9)",
    );
    innovate.run_ok("ANALYZE salaries");
    innovate.run_ok("SELECT 'a secret'");
    let queries = ask(
        &mut synergy,
        "SELECT string_agg(query, ';') FROM pg_stat_activity
         WHERE pid <> pg_backend_pid() AND datname = current_database()",
    );
    let statistics = ask(
        &mut synergy,
        "SELECT coalesce(string_agg(most_common_vals::text, ';'), '-') FROM pg_stats
         WHERE tablename = 'salaries'",
    );
    Left {
        queries,
        statistics,
    }
}

#[test]
fn postgresql_closes_other_tenants_sessions() {
    on_each_version(|place| {
        let shared = look(&place.plain.proxy_by(&place.shared()), place);
        assert!(shared.queries.contains("a secret"), "{}", shared.queries);
        assert!(
            shared.statistics.contains("a salary"),
            "{}",
            shared.statistics
        );
        let proxy = place.proxy();
        let own = look(&proxy, place);
        assert!(
            own.queries.contains("<insufficient privilege>"),
            "{}",
            own.queries
        );
        assert!(!own.queries.contains("a secret"), "{}", own.queries);
        assert_eq!(own.statistics, "-");
    });
}

#[test]
fn another_tenants_session_and_large_objects_are_out_of_reach() {
    on_each_version(|place| {
        let proxy = place.proxy();
        let mut innovate = place.client(&proxy, "innovate");
        let mut synergy = place.client(&proxy, "synergy");
        innovate.run_ok("CREATE TEMPORARY TABLE keeps (a int)");
        let backend =
            place.sql("SELECT pid FROM pg_stat_activity WHERE usename = 'innovate_own' LIMIT 1");
        for function in ["pg_cancel_backend", "pg_terminate_backend"] {
            let sql = format!("SELECT ask('SELECT {function}({backend})')");
            assert_eq!(synergy.error(&sql).code(), "42501");
        }
        let object = ask(&mut innovate, "SELECT lo_from_bytea(0, 'theirs')");
        assert_eq!(
            ask(&mut innovate, &format!("SELECT lo_get({object})")),
            "\\x746865697273"
        );
        let sql = format!("SELECT ask('SELECT lo_get({object})')");
        assert_eq!(synergy.error(&sql).code(), "42501");
        // The session is still there.
        assert_eq!(innovate.value("SELECT count(*) FROM keeps"), "0");
    });
}

#[test]
fn connections_that_are_ready_are_the_tenants() {
    on_each_version(|place| {
        let text = place
            .own()
            .replace("size = 4\n", "size = 4\nmin_idle = 2\n");
        place.provisioned(&text);
        let proxy = place.plain.proxy_by(&text);
        let mut client = place.client(&proxy, "synergy");
        wait_until("one is ready", || {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'synergy_own'";
            place.sql(sql).parse::<u32>().unwrap() >= 2
        });
        assert_eq!(client.run_ok(WHOSE).column(), [SYNERGY]);
        assert_eq!(
            place.client(&proxy, "innovate").run_ok(WHOSE).column(),
            [INNOVATE]
        );
    });
}
