//! Who gets in, and what a console does not let itself be told.

use super::{count_clients, operator, port, proxy, try_admin};
use testkit::{Options, Pipeline, Raw, wait_until};

#[test]
fn administrators_and_tenants_are_kept_apart() {
    let proxy = proxy(Options::default());
    for database in ["pgtenant", "pgbouncer"] {
        let mut admin = try_admin(&proxy, proxy.port, "ops", database).unwrap();
        assert_eq!(admin.parameters["DateStyle"], "ISO, MDY");
        assert_eq!(admin.value("SHOW VERSION"), "PgBouncer 1.23.1 (pgtenant)");
    }
    // An administrator is no tenant's login, and a tenant's no administrator.
    let database = proxy.database("innovate");
    let refused = try_admin(&proxy, proxy.port, "ops", &database).unwrap_err();
    assert_eq!(refused.code(), "28P01");
    let refused = try_admin(&proxy, proxy.port, "innovate", "pgtenant").unwrap_err();
    assert_eq!(refused.code(), "3D000");
    let refused = try_admin(&proxy, port(&proxy), "innovate", "pgtenant").unwrap_err();
    assert_eq!(refused.code(), "28P01");
    // On its own address there is nothing else.
    let refused = try_admin(&proxy, port(&proxy), "ops", &database).unwrap_err();
    assert_eq!(refused.code(), "3D000");
    let parameters = [("user", "ops"), ("database", "pgtenant")];
    let wrong = Raw::log_in(port(&proxy), "wrong", &parameters).unwrap_err();
    let nobody = try_admin(&proxy, port(&proxy), "nobody", "pgtenant").unwrap_err();
    assert_eq!((wrong.code(), nobody.code()), ("28P01", "28P01"));
    assert!(proxy.wait_for_log("admin_login").contains("ops"));
}

#[test]
fn a_tenant_whose_database_is_called_so_is_let_in() {
    let proxy = proxy(Options {
        isolation: "database_alias = \"pgbouncer\"".to_owned(),
        ..Options::default()
    });
    let mut client = try_admin(&proxy, proxy.port, "innovate", "pgbouncer").unwrap();
    assert_eq!(client.value("SELECT 1"), "1");
    let mut admin = try_admin(&proxy, proxy.port, "ops", "pgbouncer").unwrap();
    assert_eq!(count_clients(&mut admin), 1);
}

#[test]
fn its_own_address_stays_reachable_when_there_are_too_many_and_while_draining() {
    let mut proxy = proxy(Options {
        max_clients: 1,
        ..Options::default()
    });
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN");
    client.run_ok("SELECT 1");
    let refused = try_admin(&proxy, proxy.port, "ops", "pgtenant").unwrap_err();
    assert_eq!(refused.code(), "53300");
    let mut admin = operator(&proxy);
    assert_eq!(count_clients(&mut admin), 1);
    proxy.terminate();
    proxy.wait_for_log("draining");
    let mut late = operator(&proxy);
    assert_eq!(count_clients(&mut late), 1);
    // Administrators who do nothing are not waited for.
    client.send_query("COMMIT");
    client.until_closed();
    assert!(proxy.wait().success());
}

#[test]
fn what_is_no_command_is_refused_and_what_is_no_message_ends_it() {
    let proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    for sql in [
        "BEGIN",
        "SELECT 1 AS x",
        "SHOW NOTHING",
        "KILL_CLIENT x",
        "PAUSE pgbouncer",
    ] {
        assert_eq!(admin.error(sql).severity(), "ERROR", "{sql}");
    }
    assert_eq!(admin.error("KILL_CLIENT 1").message(), "client not found");
    assert_eq!(
        admin.run_ok("SET extra_float_digits = 3").commands(),
        ["SET"]
    );
    let answer = admin.run(&Pipeline::new().parse("", "SHOW NOTHING WHATEVER").sync());
    assert_eq!(answer.error().code(), "08P01");
    let answer = admin.run(
        &Pipeline::new()
            .bind("", "missing", &[])
            .execute("", 0)
            .sync(),
    );
    assert_eq!(answer.errors().len(), 1);
    // A message that would be large is not waited for.
    admin.send(b"Q\x10\0\0\0");
    assert_eq!(admin.until_closed().error().code(), "08P01");
    let mut admin = operator(&proxy);
    admin.send(b"z\0\0\0\x04");
    assert_eq!(admin.until_closed().error().code(), "08P01");
    // One that stalls in the midst of a message holds nobody up.
    let mut stalled = operator(&proxy);
    stalled.send(b"Q\0\0\0\x20SHOW");
    assert_eq!(
        operator(&proxy).value("SHOW VERSION"),
        "PgBouncer 1.23.1 (pgtenant)"
    );
}

#[test]
fn a_viewer_sees_everything_and_changes_nothing() {
    let proxy = proxy(Options::default());
    let mut client = proxy.raw("innovate");
    let mut viewer = try_admin(&proxy, port(&proxy), "eyes", "pgtenant").unwrap();
    let id = viewer.run_ok("SHOW CLIENTS").rows()[0][14].clone().unwrap();
    assert_eq!(id, client.pid.to_string());
    for command in [
        "PAUSE".to_owned(),
        "RELOAD".to_owned(),
        "SHUTDOWN".to_owned(),
        format!("KILL_CLIENT {id}"),
        "KILL_TENANT x".to_owned(),
        "RECONNECT".to_owned(),
    ] {
        let error = viewer.error(&command);
        assert_eq!(error.message(), "admin access needed", "{command}");
        let told = |line: &str| {
            line.contains("admin_command")
                && line.contains(&command)
                && line.contains("admin access needed")
        };
        wait_until("it is told of", || proxy.log().lines().any(told));
    }
    assert_eq!(client.value("SELECT 1"), "1");
}

#[test]
fn a_removed_administrator_s_session_ends() {
    let proxy = proxy(Options::default());
    let mut viewer = try_admin(&proxy, port(&proxy), "eyes", "pgtenant").unwrap();
    let mut admin = operator(&proxy);
    proxy.reload(|text| {
        let text = text.replace("user = \"eyes\"", "user = \"others\"");
        text.replace("role = \"operator\"", "role = \"viewer\"")
    });
    viewer.send_query("SHOW VERSION");
    assert_eq!(viewer.until_closed().error().code(), "57P01");
    assert_eq!(admin.error("RELOAD").message(), "admin access needed");
}
