//! Server connections that are open before somebody needs them (`pool.min_idle`).

#![allow(clippy::unwrap_used, clippy::panic)]

use pgtenant::throwaway::wellness::APP_ROLE;
use std::collections::BTreeSet;
use testkit::{Options, Proxy, Raw, Site, configuration, site, wait_until};

/// The configuration with `lines` in `[pool]`.
fn with(text: &str, lines: &str) -> String {
    text.replace("[pool]\n", &format!("[pool]\n{lines}\n"))
}

fn start(site: &Site, options: &Options, lines: &str) -> Proxy {
    let text = with(&configuration(site, options), lines);
    let mut proxy = Proxy::run(&site.write_new(".toml", &text));
    proxy.password.clone_from(&site.login_password);
    proxy
}

fn log_in(proxy: &Proxy, login: &str, database: &str) -> Raw {
    let parameters = [("user", login), ("database", database)];
    Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap()
}

/// The process ids of the server connections for clients.
fn backends(site: &Site, database: &str) -> BTreeSet<String> {
    let sql = format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = '{database}' \
         AND application_name <> 'pgtenant' AND usename <> 'postgres'"
    );
    let pids = site.sql("postgres", &sql);
    pids.lines().map(str::to_owned).collect()
}

fn wait_for(site: &Site, database: &str, count: usize) -> BTreeSet<String> {
    wait_until(&format!("{count} are open"), || {
        backends(site, database).len() == count
    });
    backends(site, database)
}

fn quick(database: &str) -> Options {
    Options {
        database: database.to_owned(),
        idle_timeout: "100ms",
        ..Options::default()
    }
}

#[test]
fn so_many_are_open_while_there_are_clients() {
    let database = site().fresh_database();
    let proxy = start(site(), &quick(&database), "min_idle = 4");
    assert_eq!(backends(site(), &database).len(), 0, "without clients");
    let mut client = log_in(&proxy, "innovate", &database);
    let ready = wait_for(site(), &database, 4);
    // They are what clients get, whosever these are.
    let mut others: Vec<_> = ["synergy", "innovate", "synergy"]
        .iter()
        .map(|login| log_in(&proxy, login, &database))
        .collect();
    client.run_ok("BEGIN");
    for other in &mut others {
        other.run_ok("BEGIN");
        assert!(ready.contains(&other.backend()));
    }
    // Those in use count; more are opened as they are needed, and closed again.
    assert_eq!(backends(site(), &database), ready);
    let mut more = [(); 2].map(|()| log_in(&proxy, "innovate", &database));
    for client in &mut more {
        client.run_ok("BEGIN");
    }
    assert_eq!(backends(site(), &database).len(), 6);
    for client in more.iter_mut().chain(&mut others).chain([&mut client]) {
        client.run_ok("COMMIT");
    }
    wait_for(site(), &database, 4);
    // And all, once the last client has left.
    drop((more, others, client));
    wait_for(site(), &database, 0);
}

#[test]
fn those_that_go_are_replaced() {
    let database = site().fresh_database();
    let proxy = start(site(), &quick(&database), "min_idle = 3");
    let mut client = log_in(&proxy, "innovate", &database);
    let first = wait_for(site(), &database, 3);
    // By the server.
    let pids: Vec<_> = first.iter().cloned().collect();
    let ended = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM unnest(ARRAY[{}]) AS pid",
        pids.join(", ")
    );
    assert_eq!(site().sql("postgres", &ended), "3");
    let is_new = |before: &BTreeSet<String>| {
        let now = backends(site(), &database);
        now.len() == 3 && now.is_disjoint(before)
    };
    wait_until("others are there", || is_new(&first));
    // By an administrator.
    let second = backends(site(), &database);
    proxy.hang_up("logins=");
    wait_until("others are there again", || is_new(&second));
    client.run_ok("SELECT 1");
}

#[test]
fn a_reload_changes_how_many() {
    let database = site().fresh_database();
    let proxy = start(site(), &quick(&database), "min_idle = 0");
    let mut client = log_in(&proxy, "innovate", &database);
    client.run_ok("SELECT 1");
    wait_for(site(), &database, 0);
    proxy.reload(|text| text.replace("min_idle = 0", "min_idle = 3"));
    wait_for(site(), &database, 3);
    proxy.reload(|text| text.replace("min_idle = 3", "min_idle = 1"));
    wait_for(site(), &database, 1);
    client.run_ok("SELECT 1");
}

#[test]
fn tenants_that_do_not_share_have_some_each() {
    let database = site().fresh_database();
    let proxy = start(
        site(),
        &Options {
            share: "tenant",
            ..quick(&database)
        },
        "min_idle = 4",
    );
    let mut innovate = log_in(&proxy, "innovate", &database);
    wait_for(site(), &database, 4);
    let mut synergy = log_in(&proxy, "synergy", &database);
    // Those of one are no use to the other, and do not keep it from having one.
    for _ in 0..3 {
        synergy.run_ok("SELECT 1");
        innovate.run_ok("SELECT 1");
    }
    proxy.hang_up("logins=");
    wait_for(site(), &database, 4);
    let ready = backends(site(), &database);
    for client in [&mut innovate, &mut synergy] {
        assert!(ready.contains(&client.backend()));
    }
}

#[test]
fn they_take_nothing_from_other_databases() {
    // Its own: `max_connections` is about all databases.
    let site = Site::start();
    let text = with(
        &configuration(&site, &quick("wellness_corp_db")),
        "min_idle = 3",
    );
    let before = "[servers.main]\n";
    let text = text.replace(before, &format!("{before}max_connections = 4\n"));
    let mut proxy = Proxy::run(&site.write_new(".toml", &text));
    proxy.password.clone_from(&site.login_password);
    let mut first = log_in(&proxy, "umbrella", "wellness_umbrella");
    wait_for(&site, "wellness_umbrella", 3);
    // One more may be opened, and is.
    let mut second = log_in(&proxy, "initech", "wellness_initech");
    let own = wait_for(&site, "wellness_initech", 1);
    let ready = wait_for(&site, "wellness_umbrella", 3);
    for _ in 0..20 {
        first.run_ok("SELECT 1");
        second.run_ok("SELECT 1");
    }
    assert_eq!(backends(&site, "wellness_initech"), own);
    assert_eq!(backends(&site, "wellness_umbrella"), ready);
    // Who needs one gets it nevertheless.
    second.run_ok("BEGIN");
    let mut third = log_in(&proxy, "initech", "wellness_initech");
    third.run_ok("BEGIN");
    assert_eq!(backends(&site, "wellness_initech").len(), 2);
    wait_for(&site, "wellness_umbrella", 2);
}

#[test]
fn a_server_that_refuses_them_sees_few_attempts() {
    let site = Site::start();
    let database = site.fresh_database();
    let proxy = start(&site, &quick(&database), "min_idle = 8");
    let mut client = log_in(&proxy, "innovate", &database);
    let first = wait_for(&site, &database, 8);
    site.sql("postgres", &format!("ALTER ROLE {APP_ROLE} NOLOGIN"));
    let pids: Vec<_> = first.into_iter().collect();
    let ended = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM unnest(ARRAY[{}]) AS pid",
        pids.join(", ")
    );
    site.sql("postgres", &ended);
    let failed = "cannot open a server connection";
    proxy.wait_for_log(failed);
    wait_until("all are gone", || backends(&site, &database).is_empty());
    site.sql("postgres", &format!("ALTER ROLE {APP_ROLE} LOGIN"));
    wait_for(&site, &database, 8);
    assert!(proxy.log().matches(failed).count() <= 2, "one at a time");
    client.run_ok("SELECT 1");
}
