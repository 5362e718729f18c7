//! How many clients and server connections a login may have, and who of a tenant's logins
//! is next.

use crate::{bi, options, start, try_bi};
use pgtenant::directory::Verifier;
use testkit::{Options, Proxy, Raw, answers_soon, site, wait_until};

fn start_with(profile: &str, options: impl FnOnce(Options) -> Options) -> Proxy {
    Proxy::start(&options(crate::options(profile)))
}

#[test]
fn a_login_has_as_many_clients_as_its_profile_says() {
    let proxy = start("max_clients = 2");
    let (mut first, _second) = (bi(&proxy), bi(&proxy));
    let error = try_bi(&proxy).err().unwrap();
    assert_eq!((error.severity(), error.code()), ("FATAL", "53300"));
    assert!(error.message().contains("this login"), "{error:?}");
    assert!(error.hint().contains("max_clients"), "{error:?}");
    let others: Vec<_> = (0..4).map(|_| proxy.raw("innovate")).collect();
    // Those that came before count, whatever held then.
    proxy.reload(|text| text.replace("max_clients = 2", "max_clients = 1"));
    drop(first);
    wait_until("it has left", || {
        proxy.log().matches("event=\"logout\"").count() == 1
    });
    assert!(try_bi(&proxy).is_err());
    proxy.reload(|text| text.replace("max_clients = 1", "max_clients = 3"));
    first = bi(&proxy);
    first.run_ok("SELECT 1");
    drop(others);
}

#[test]
fn a_login_uses_no_more_connections_than_its_profile_says() {
    for workers in [1, 2] {
        let proxy = start_with("pool_size = 2", |options| Options {
            workers,
            size: 6,
            ..options
        });
        let mut clients: Vec<_> = (0..5).map(|_| bi(&proxy)).collect();
        for client in &mut clients[..2] {
            client.run_ok("BEGIN");
        }
        for client in &mut clients[2..] {
            client.send_query("BEGIN");
            assert!(client.is_quiet());
        }
        // Its tenant's others have the rest, however many of it wait.
        let mut others: Vec<_> = (0..4).map(|_| proxy.raw("innovate")).collect();
        for _ in 0..5 {
            for other in &mut others {
                other.run_ok("BEGIN");
            }
            for other in &mut others {
                other.run_ok("COMMIT");
            }
        }
        // One after another gets those of its login.
        for at in 0..3 {
            clients[at].run_ok("COMMIT");
            assert!(answers_soon(&clients[at + 2]), "{at}");
            clients[at + 2].until_ready().ok();
            assert!(clients[at + 3..].iter().all(Raw::is_quiet));
        }
        for client in &mut clients[3..] {
            client.run_ok("COMMIT");
        }
        // One that is lost is made up for.
        clients[0].run_ok("BEGIN");
        clients[1].run_ok("BEGIN");
        clients[2].send_query("SELECT 1");
        assert!(clients[2].is_quiet());
        drop(clients.remove(0));
        clients[1].until_ready().ok();
    }
}

#[test]
fn who_waits_for_one_that_is_not_kept_gets_another() {
    let verifier = Verifier::derive("a password");
    let proxy = start_with("pool_size = 1", |options| Options {
        more: options.more
            + &format!("[[admins]]\nuser = \"ops\"\nrole = \"operator\"\nscram = {verifier:?}\n"),
        ..options
    });
    let console = [("user", "ops"), ("database", "pgtenant")];
    let mut admin = Raw::log_in(proxy.port, "a password", &console).unwrap();
    let [mut first, mut second] = [(); 2].map(|()| bi(&proxy));
    first.run_ok("BEGIN");
    second.send_query("SELECT 1");
    assert!(second.is_quiet());
    // It is closed once it is given back.
    admin.run_ok("RECONNECT");
    first.run_ok("COMMIT");
    second.until_ready().ok();
}

#[test]
fn a_reload_gives_those_who_wait_more_connections() {
    let proxy = start("pool_size = 1");
    let mut clients = [(); 3].map(|()| bi(&proxy));
    clients[0].run_ok("BEGIN");
    for client in &mut clients[1..] {
        client.send_query("BEGIN");
        assert!(client.is_quiet());
    }
    proxy.reload(|text| text.replace("pool_size = 1", "pool_size = 2"));
    let [_, second, third] = &mut clients;
    second.until_ready().ok();
    assert!(third.is_quiet());
    proxy.reload(|text| text.replace("pool_size = 2", ""));
    third.until_ready().ok();
}

#[test]
fn those_of_a_login_that_wait_do_not_crowd_others_out() {
    let proxy = start_with("pool_size = 1", |options| Options {
        waiting_per_tenant: Some(2),
        size: 2,
        ..options
    });
    let mut clients = [(); 4].map(|()| bi(&proxy));
    clients[0].run_ok("BEGIN");
    for client in &mut clients[1..3] {
        client.send_query("SELECT 1");
        assert!(client.is_quiet());
    }
    assert_eq!(clients[3].error("SELECT 1").code(), "53300");
    let mut others = [(); 3].map(|()| proxy.raw("innovate"));
    others[0].run_ok("BEGIN");
    for other in &mut others[1..] {
        other.send_query("SELECT 1");
        assert!(other.is_quiet());
    }
    others[0].run_ok("COMMIT");
    for other in &mut others[1..] {
        other.until_ready().ok();
    }
    clients[0].run_ok("COMMIT");
    for client in &mut clients[1..3] {
        client.until_ready().ok();
    }
}

#[test]
fn the_logins_of_a_tenant_are_served_in_turn() {
    let database = site().fresh_database();
    site().sql(
        &database,
        "CREATE TABLE served (n serial, who text); GRANT ALL ON served, served_n_seq TO wellness_app",
    );
    let proxy = start_with("", |options| Options {
        database: database.clone(),
        size: 1,
        ..options
    });
    let mut holder = proxy.raw("innovate");
    holder.run_ok("BEGIN");
    let mut flood: Vec<_> = (0..6).map(|_| bi(&proxy)).collect();
    for client in &mut flood {
        client.send_query("INSERT INTO served (who) VALUES ('bi')");
        assert!(client.is_quiet());
    }
    let mut quiet = [(); 2].map(|()| proxy.raw("innovate"));
    for client in &mut quiet {
        client.send_query("INSERT INTO served (who) VALUES ('app')");
        assert!(client.is_quiet());
    }
    holder.run_ok("COMMIT");
    for client in flood.iter_mut().chain(&mut quiet) {
        client.until_ready().ok();
    }
    let order = site().sql(
        &database,
        "SELECT string_agg(who, ' ' ORDER BY n) FROM served",
    );
    assert_eq!(order, "bi app bi app bi bi bi bi");
}

#[test]
fn what_a_client_holds_for_nothing_is_taken_for_its_own_login() {
    let proxy = start_with("pool_size = 1", |options| Options {
        reclaim_after: "100ms",
        reclaim_own_after: Some("300ms"),
        ..options
    });
    let (mut app, mut idle, mut waits) = (proxy.raw("innovate"), bi(&proxy), bi(&proxy));
    app.run_ok("BEGIN");
    idle.run_ok("BEGIN");
    waits.run_ok("SELECT 1");
    assert_eq!(idle.until_closed().error().code(), "25P03");
    // It would not have helped.
    app.run_ok("COMMIT");
}

#[test]
fn a_login_that_is_busy_all_the_time_never_exceeds_its_quota() {
    let proxy = start_with("pool_size = 2", |options| Options {
        workers: 2,
        ..options
    });
    let most = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND query LIKE '%counted%' AND state = 'active'";
    let clients = (0..8).map(|_| {
        let mut client = bi(&proxy);
        std::thread::spawn(move || {
            for _ in 0..200 {
                client.run_ok("SELECT 'counted' FROM users");
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    let database = proxy.database("innovate");
    while !clients.iter().all(std::thread::JoinHandle::is_finished) {
        let now: usize = site().sql(&database, most).parse().unwrap();
        // The one that asks is one of them.
        assert!(now <= 3, "{now}");
    }
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
    let _ = options("");
}
