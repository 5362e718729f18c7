//! What commands do.

use super::{cell, count_clients, operator, port, proxy, proxy_before, try_admin};
use pgtenant::throwaway::wellness::APP_ROLE;
use std::process::Command;
use testkit::{
    Fields, INNOVATE, Options, Proxy, Raw, SYNERGY, Site, site, stdout, succeeds, wait_until,
};

/// A login of another database.
const OTHER: &str = "globex";

fn ended(client: &mut Raw) -> String {
    client.until_closed().error().code().to_owned()
}

/// What a login is refused with.
fn refused(proxy: &Proxy, login: &str) -> Fields {
    let database = proxy.database(login);
    let parameters = [("user", login), ("database", &*database)];
    Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap_err()
}

/// How many clients wait.
fn waiting(admin: &mut Raw) -> usize {
    let answer = admin.run_ok("SHOW CLIENTS");
    let states = answer.rows().into_iter().map(|row| row[4].clone().unwrap());
    states.filter(|state| state == "waiting").count()
}

/// Whether all clients of the login wait.
fn all_wait(admin: &mut Raw, login: &str) -> bool {
    let answer = admin.run_ok("SHOW CLIENTS");
    let mut rows = answer.rows().into_iter();
    rows.all(|row| row[1].as_deref() != Some(login) || row[4].as_deref() == Some("waiting"))
}

#[test]
fn a_pause_loses_no_transaction_of_pgbench() {
    let proxy = proxy(Options {
        size: 4,
        wait_timeout: "1s",
        reclaim_after: "50ms",
        database: site().fresh_database(),
        ..Options::default()
    });
    let script = site().write_new(
        ".sql",
        "BEGIN;\nINSERT INTO wellness_entries (user_id, organization_id, entry_type, value) \
         SELECT id, organization_id, 'paused', 1 FROM users;\nSELECT 1;\nCOMMIT;\n",
    );
    let url = proxy.url("innovate");
    let run = std::thread::spawn(move || {
        let pgbench = site().cluster.client_program("pgbench");
        let arguments = [
            "-n",
            "-c",
            "8",
            "-t",
            "150",
            "-f",
            script.to_str().unwrap(),
            &url,
        ];
        Command::new(pgbench).args(arguments).output().unwrap()
    });
    let mut admin = operator(&proxy);
    let database = proxy.database("innovate");
    let begun = "SELECT count(*) > 5 FROM wellness_entries WHERE entry_type = 'paused'";
    wait_until("it runs", || site().sql(&database, begun) == "t");
    for _ in 0..3 {
        admin.run_ok("PAUSE");
        // No transaction is open, and nobody is served.
        let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                    AND usename = 'wellness_app' AND state <> 'idle'";
        assert_eq!(site().sql(&database, open), "0");
        assert_eq!(admin.error("PAUSE").message(), "already paused");
        wait_until("all wait that are left", || {
            all_wait(&mut admin, "innovate")
        });
        admin.run_ok("RESUME");
    }
    let output = run.join().unwrap();
    succeeds("pgbench", &output);
    assert!(stdout(&output).contains("1200/1200"), "{}", stdout(&output));
    let count = "SELECT count(*) FROM wellness_entries WHERE entry_type = 'paused'";
    assert_eq!(site().sql(&database, count), "1200");
    assert_eq!(admin.error("RESUME").message(), "not paused");
}

#[test]
fn a_paused_tenant_waits_for_longer_than_others_may_and_then_goes_on() {
    let proxy = proxy(Options {
        wait_timeout: "300ms",
        ..Options::default()
    });
    let mut admin = operator(&proxy);
    let mut paused = proxy.raw("innovate");
    let mut other = proxy.raw("synergy");
    // Its idle connection is not taken past the pause either.
    assert_eq!(paused.value("SELECT 1"), "1");
    paused.run_ok("BEGIN");
    paused.run_ok("SELECT 1");
    admin.send_query(&format!("PAUSE TENANT \"{INNOVATE}\""));
    let mut looking = operator(&proxy);
    // The command waits for what is open.
    let is_paused = |proxy: &Proxy, admin: &mut Raw| {
        let mut probe = proxy.raw("innovate");
        probe.send_query("SELECT 2");
        wait_until("it waits", || waiting(admin) == 1);
        probe
    };
    let mut probe = is_paused(&proxy, &mut looking);
    assert!(!admin.has_answer());
    paused.run_ok("COMMIT");
    admin.until_ready().ok();
    paused.send_query("SELECT 1");
    wait_until("both wait", || waiting(&mut looking) == 2);
    let since = std::time::Instant::now();
    wait_until("a wait would have been over", || {
        assert_eq!(other.value("SELECT 1"), "1");
        since.elapsed().as_millis() > 900
    });
    assert_eq!(waiting(&mut looking), 2);
    admin.run_ok(&format!("RESUME TENANT \"{INNOVATE}\""));
    assert_eq!(paused.until_ready().ok().value(), "1");
    assert_eq!(probe.until_ready().ok().value(), "2");
}

#[test]
fn signals_pause_and_resume() {
    let proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    let paused = |admin: &mut Raw| cell(admin, "SHOW STATE", "value", &[("key", "paused")]);
    assert_eq!(paused(&mut admin), "no");
    // What is told at login must be known: nobody could be asked.
    drop(proxy.raw("innovate"));
    proxy.signal("USR1");
    wait_until("it is paused", || paused(&mut admin) == "yes");
    let mut client = proxy.raw("innovate");
    client.send_query("SELECT 1");
    wait_until("it waits", || waiting(&mut admin) == 1);
    proxy.signal("USR2");
    wait_until("it is not", || paused(&mut admin) == "no");
    assert_eq!(client.until_ready().ok().value(), "1");
}

#[test]
fn clients_and_tenants_are_ended_and_nobody_else() {
    let proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    let mut first = proxy.raw("innovate");
    let mut second = proxy.raw("innovate");
    let mut other = proxy.raw("synergy");
    first.run_ok("BEGIN");
    first.run_ok("SELECT 1");
    admin.run_ok(&format!("KILL_CLIENT {}", first.pid));
    assert_eq!(count_clients(&mut admin), 2);
    assert_eq!(ended(&mut first), "57P01");
    assert_eq!(second.value("SELECT 1"), "1");
    admin.run_ok(&format!("KILL_TENANT {INNOVATE}"));
    assert_eq!(count_clients(&mut admin), 1);
    assert_eq!(ended(&mut second), "57P01");
    assert_eq!(other.value("SELECT 1"), "1");
    // A database is paused, too.
    let database = proxy.database("synergy");
    admin.run_ok(&format!("KILL {database}"));
    assert_eq!(ended(&mut other), "57P01");
    admin.run_ok(&format!("RESUME {database}"));
    assert_eq!(proxy.raw("synergy").value("SELECT 1"), "1");
}

#[test]
fn a_disabled_tenant_s_clients_go_on_and_no_new_ones_come() {
    let proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    let mut client = proxy.raw("innovate");
    admin.run_ok(&format!("DISABLE TENANT {INNOVATE}"));
    assert_eq!(refused(&proxy, "innovate").code(), "57P03");
    assert_eq!(client.value("SELECT 1"), "1");
    assert_eq!(proxy.raw("synergy").value("SELECT 1"), "1");
    admin.run_ok(&format!("ENABLE TENANT {INNOVATE}"));
    assert_eq!(proxy.raw("innovate").value("SELECT 1"), "1");
    assert_eq!(
        admin.error("DISABLE TENANT nobody").message(),
        "no such tenant"
    );
}

#[test]
fn server_connections_are_replaced_and_the_configuration_is_read_again() {
    let proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN");
    let before = client.backend();
    admin.run_ok("RECONNECT");
    admin.send_query("WAIT_CLOSE");
    let mut other = proxy.raw("synergy");
    assert_ne!(other.backend(), before);
    assert!(!admin.has_answer());
    client.run_ok("COMMIT");
    admin.until_ready().ok();
    assert_ne!(client.backend(), before);
    let text = std::fs::read_to_string(&proxy.config).unwrap();
    let text = text.replace("max_clients = 1000", "max_clients = 999");
    std::fs::write(&proxy.config, text).unwrap();
    admin.run_ok("RELOAD");
    let so = [("key", "max_client_conn")];
    assert_eq!(cell(&mut admin, "SHOW CONFIG", "value", &so), "999");
}

#[test]
fn a_server_s_password_that_changes_refuses_new_connections_until_a_reload() {
    let site = Site::start();
    let proxy = proxy_before(&site, Options::default());
    let mut admin = operator(&proxy);
    let mut client = proxy.raw("innovate");
    let before = client.backend();
    let alter = format!("ALTER ROLE {APP_ROLE} PASSWORD 'another'");
    site.sql("postgres", &alter);
    // The connection that is there goes on.
    client.run_ok("BEGIN");
    assert_eq!(client.backend(), before);
    // Nobody gets a new one.
    let mut other = proxy.raw("synergy");
    assert_eq!(other.error("SELECT 1").code(), "08001");
    client.run_ok("COMMIT");
    assert_eq!(client.backend(), before);
    admin.run_ok("RECONNECT");
    assert_eq!(client.error("SELECT 1").code(), "08001");
    assert_eq!(refused(&proxy, "innovate").code(), "08001");
    // The configuration is the same: the file that it names is not.
    std::fs::write(site.file("app.password"), "another").unwrap();
    admin.run_ok("RELOAD");
    let after = client.backend();
    assert_ne!(after, before);
    admin.run_ok("RECONNECT");
    assert_ne!(client.backend(), after);
    assert_eq!(proxy.raw("synergy").value("SELECT 1"), "1");
}

#[test]
fn the_server_connections_of_one_database_are_replaced() {
    let proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    let mut renewed = proxy.raw("innovate");
    let mut other = proxy.raw(OTHER);
    renewed.run_ok("BEGIN");
    let before = (renewed.backend(), other.backend());
    admin.run_ok(&format!("RECONNECT {}", proxy.database("innovate")));
    admin.run_ok(&format!("WAIT_CLOSE {}", proxy.database(OTHER)));
    admin.send_query(&format!("WAIT_CLOSE {}", proxy.database("innovate")));
    // Another administrator's answer comes after whatever was to be done at once.
    operator(&proxy).run_ok("SHOW STATE");
    assert!(!admin.has_answer());
    renewed.run_ok("COMMIT");
    admin.until_ready().ok();
    assert_ne!(renewed.backend(), before.0);
    assert_eq!(other.backend(), before.1);
    let error = admin.error("RECONNECT nothing_of_the_kind");
    assert_eq!(error.message(), "no such database: nothing_of_the_kind");
    admin.error(&format!("RECONNECT TENANT \"{INNOVATE}\""));
}

#[test]
fn everybody_is_ended_and_nobody_served_until_it_is_resumed() {
    let proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    let mut clients = ["innovate", "synergy", OTHER].map(|login| proxy.raw(login));
    clients[0].run_ok("BEGIN");
    clients[0].run_ok("SELECT 1");
    admin.run_ok("KILL");
    assert_eq!(count_clients(&mut admin), 0);
    for client in &mut clients {
        assert_eq!(ended(client), "57P01");
    }
    let mut late = proxy.raw("innovate");
    late.send_query("SELECT 1");
    wait_until("it waits", || waiting(&mut admin) == 1);
    admin.run_ok("RESUME");
    assert_eq!(late.until_ready().ok().value(), "1");
}

#[test]
fn a_suspension_waits_for_transactions_and_is_shown_until_it_is_resumed() {
    let proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    let mut looking = operator(&proxy);
    let mut client = proxy.raw("innovate");
    let state = |admin: &mut Raw, key: &str| cell(admin, "SHOW STATE", "value", &[("key", key)]);
    client.run_ok("BEGIN");
    client.run_ok("SELECT 1");
    admin.send_query("SUSPEND");
    wait_until("it is suspended", || {
        state(&mut looking, "suspended") == "yes"
    });
    assert_eq!(state(&mut looking, "paused"), "no");
    assert_eq!(state(&mut looking, "active"), "no");
    assert!(!admin.has_answer());
    client.run_ok("COMMIT");
    assert_eq!(admin.until_ready().ok().commands(), ["SUSPEND"]);
    client.send_query("SELECT 2");
    wait_until("it waits", || waiting(&mut looking) == 1);
    admin.error("PAUSE");
    admin.run_ok("RESUME");
    assert_eq!(client.until_ready().ok().value(), "2");
    admin.run_ok("PAUSE");
    assert_eq!(state(&mut looking, "paused"), "yes");
}

#[test]
fn who_waits_and_who_keeps_a_connection_is_shown() {
    let proxy = proxy(Options {
        size: 1,
        ..Options::default()
    });
    let mut admin = operator(&proxy);
    let mut holder = proxy.raw_with("innovate", &[("application_name", "holder")]);
    let mut waiter = proxy.raw("synergy");
    holder.run_ok("BEGIN");
    let backend = holder.backend();
    waiter.send_query("SELECT 1");
    wait_until("it waits", || waiting(&mut admin) == 1);
    let so = [("user", "innovate")];
    assert_eq!(
        cell(&mut admin, "SHOW CLIENTS", "application_name", &so),
        "holder"
    );
    assert_eq!(cell(&mut admin, "SHOW CLIENTS", "remote_pid", &so), backend);
    assert_eq!(cell(&mut admin, "SHOW PINS", "reason", &so), "transaction");
    assert_eq!(cell(&mut admin, "SHOW PINS", "tenant", &so), INNOVATE);
    let link = cell(
        &mut admin,
        "SHOW SERVERS",
        "link",
        &[("remote_pid", &backend)],
    );
    assert_eq!(link, holder.pid.to_string());
    let so = [("user", "synergy")];
    assert_eq!(cell(&mut admin, "SHOW POOLS", "cl_waiting", &so), "1");
    let so = [("tenant", SYNERGY)];
    assert_eq!(cell(&mut admin, "SHOW TENANTS", "waiting", &so), "1");
    holder.run_ok("COMMIT");
    waiter.until_ready().ok();
    let so = [("list", "used_servers")];
    wait_until("nobody uses one", || {
        cell(&mut admin, "SHOW LISTS", "items", &so) == "0"
    });
}

#[test]
fn administrators_are_shown_among_the_clients() {
    let proxy = proxy(Options::default());
    let mut admin = operator(&proxy);
    let client = proxy.raw("innovate");
    let eyes = try_admin(&proxy, port(&proxy), "eyes", "pgbouncer").unwrap();
    let so = [("user", "eyes")];
    for (column, value) in [("database", "pgbouncer"), ("state", "active"), ("link", "")] {
        assert_eq!(cell(&mut admin, "SHOW CLIENTS", column, &so), value);
    }
    let so = [("database", "pgtenant"), ("user", "ops")];
    let local = cell(&mut admin, "SHOW CLIENTS", "local_port", &so);
    assert_eq!(local, port(&proxy).to_string());
    let ptr = cell(&mut admin, "SHOW CLIENTS", "ptr", &so);
    // Nothing of a tenant's has to do with it.
    admin.error(&format!("KILL_CLIENT {ptr}"));
    assert_eq!(count_clients(&mut admin), 1);
    assert_eq!(
        cell(
            &mut admin,
            "SHOW LISTS",
            "items",
            &[("list", "used_clients")]
        ),
        "3"
    );
    drop((client, eyes));
    wait_until("they are gone", || {
        admin.run_ok("SHOW CLIENTS").rows().len() == 1
    });
}
