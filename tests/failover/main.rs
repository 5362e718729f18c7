//! A server of several hosts: the primary is found, and found again after another one
//! was promoted. And what is read on its standbys.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lag;
mod replicas;

use pgtenant::throwaway::Cluster;
use pgtenant::throwaway::wellness::SETTING_DATABASE;
use std::collections::HashSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use testkit::{Plain, Programs, Proxy, Raw, change_names, pass_on, wait_until, with_names};

const POOL: &str = "size = 4\nwait_timeout = \"60s\"";

/// A primary and its standby.
struct Pair {
    plain: Plain,
    standby: Cluster,
}

impl Pair {
    fn start() -> Self {
        let programs = Programs::find(15).unwrap();
        let plain = Plain::start(&programs, &[]);
        let mut owner = plain.superuser();
        owner.run_ok("CREATE TABLE ledger (n bigint); GRANT ALL ON ledger TO PUBLIC");
        let standby = plain.cluster.standby().unwrap();
        Self { plain, standby }
    }

    fn ports(&self) -> [u16; 2] {
        [self.plain.cluster.port(), self.standby.port()]
    }

    /// A proxy whose server has these hosts.
    fn proxy(&self, ports: &[u16], lines: &str) -> Proxy {
        let text = self.plain.configuration(SETTING_DATABASE, 1, POOL, "");
        let hosts: Vec<_> = ports
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        let before = "host = \"127.0.0.1\"\nport = 1\n";
        assert!(text.contains(before));
        self.plain
            .proxy_by(&text.replace(before, &format!("hosts = {hosts:?}\n{lines}\n")))
    }

    fn client(&self, proxy: &Proxy) -> Raw {
        self.plain.client(proxy, "innovate")
    }
}

/// Where the client's statements run.
fn port_of(client: &mut Raw) -> u16 {
    client
        .value("SELECT setting FROM pg_settings WHERE name = 'port'")
        .parse()
        .unwrap()
}

#[test]
fn the_host_is_found_that_target_asks_for() {
    let pair = Pair::start();
    let [primary, standby] = pair.ports();
    for (ports, lines, expected) in [
        ([standby, primary], "", primary),
        ([standby, primary], "target = \"primary\"", primary),
        ([primary, standby], "target = \"replica\"", standby),
        ([standby, primary], "target = \"any\"", standby),
        ([primary, standby], "target = \"any\"", primary),
    ] {
        let proxy = pair.proxy(&ports, lines);
        let mut client = pair.client(&proxy);
        assert_eq!(port_of(&mut client), expected, "{ports:?} {lines}");
        if expected == standby {
            assert_eq!(
                client.error("INSERT INTO ledger VALUES (1)").code(),
                "25006"
            );
        }
    }
}

#[test]
fn who_asks_for_a_primary_where_there_is_none_waits_for_one() {
    let pair = Pair::start();
    let [primary, standby] = pair.ports();
    let proxy = pair.proxy(&[standby], "target = \"primary\"");
    let told = thread::scope(|scope| {
        let login = scope.spawn(|| port_of(&mut pair.client(&proxy)));
        proxy.wait_for_log("the host is a standby");
        pair.standby.promote().unwrap();
        login.join().unwrap()
    });
    assert_eq!(told, standby);
    assert_ne!(told, primary);
}

/// Inserts numbers of its own until it is told to stop: those that were confirmed.
fn write(proxy: &Proxy, numbers: &AtomicU64, stop: &AtomicBool) -> Vec<u64> {
    let mut confirmed = Vec::new();
    let mut client = None;
    while !stop.load(Ordering::Relaxed) {
        let parameters = [("user", "innovate"), ("database", SETTING_DATABASE)];
        let mut own = match client.take() {
            Some(own) => own,
            None => match Raw::log_in(proxy.port, &proxy.password, &parameters) {
                Ok(own) => own,
                Err(_) => continue,
            },
        };
        let n = numbers.fetch_add(1, Ordering::Relaxed);
        own.send_query(&format!("INSERT INTO ledger VALUES ({n})"));
        // Without an answer nobody knows; with an error it is not there.
        if let Some(answer) = own.try_ready() {
            if answer.errors().is_empty() {
                confirmed.push(n);
            }
            client = Some(own);
        }
    }
    confirmed
}

#[test]
fn writes_go_on_at_the_new_primary_and_none_is_lost_or_done_twice() {
    let mut pair = Pair::start();
    let [primary, standby] = pair.ports();
    let proxy = pair.proxy(&[primary, standby], "");
    let mut watcher = pair.client(&proxy);
    assert_eq!(port_of(&mut watcher), primary);
    let (numbers, stop) = (AtomicU64::new(1), AtomicBool::new(false));
    let confirmed: Vec<u64> = thread::scope(|scope| {
        let writers: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| write(&proxy, &numbers, &stop)))
            .collect();
        wait_until("they write", || numbers.load(Ordering::Relaxed) > 200);
        // The standby has everything that was confirmed once this returns.
        pair.plain.cluster.stop_fast().unwrap();
        pair.standby.promote().unwrap();
        let before = count(&pair.standby);
        wait_until("they write to the new one", || {
            count(&pair.standby) > before + 200
        });
        // The old one comes back, and says that it is a primary, too.
        pair.plain.cluster.start_again().unwrap();
        proxy.signal("HUP");
        proxy.wait_for_log("reloaded");
        let before = count(&pair.standby);
        wait_until("they still write there", || {
            count(&pair.standby) > before + 200
        });
        stop.store(true, Ordering::Relaxed);
        writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect()
    });
    let there: Vec<u64> = rows(&pair.standby);
    let known: HashSet<u64> = there.iter().copied().collect();
    assert_eq!(there.len(), known.len(), "some were done twice");
    let lost: Vec<_> = confirmed.iter().filter(|n| !known.contains(n)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let of_old: HashSet<u64> = rows(&pair.plain.cluster).into_iter().collect();
    let stray: Vec<_> = of_old.difference(&known).collect();
    assert!(stray.is_empty(), "written to the old primary: {stray:?}");
    assert_eq!(port_of(&mut pair.client(&proxy)), standby);
}

fn rows(cluster: &Cluster) -> Vec<u64> {
    let text = cluster
        .psql(SETTING_DATABASE, "SELECT n FROM ledger")
        .unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

fn count(cluster: &Cluster) -> u64 {
    let text = cluster.psql(SETTING_DATABASE, "SELECT count(*) FROM ledger");
    text.unwrap().trim().parse().unwrap()
}

#[test]
fn a_primary_that_was_replaced_and_does_not_know_it_is_left() {
    let pair = Pair::start();
    let [primary, standby] = pair.ports();
    let proxy = pair.proxy(&[primary, standby], "");
    let (mut idle, mut within) = (pair.client(&proxy), pair.client(&proxy));
    assert_eq!(port_of(&mut idle), primary);
    within.run_ok("BEGIN; INSERT INTO ledger VALUES (1)");
    // The old one goes on, as if the network had split.
    pair.standby.promote().unwrap();
    proxy.wait_for_log("another host was promoted");
    let refusal = within.refusal();
    assert_eq!(refusal.code(), "57P01");
    assert!(refusal.message().contains("no longer the primary"));
    wait_until("the idle client is at the new one", || {
        port_of(&mut idle) == standby
    });
    proxy.reload(|text| text.replace("size = 4", "size = 5"));
    for _ in 0..3 {
        assert_eq!(port_of(&mut pair.client(&proxy)), standby);
    }
    assert_eq!(count(&pair.plain.cluster), 0);
}

/// It takes connections and says nothing.
#[test]
fn a_silent_host_holds_up_no_look_at_the_others() {
    let pair = Pair::start();
    let [primary, standby] = pair.ports();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let proxy = pair.proxy(&[primary, standby, port], "connect_timeout = \"10min\"");
    let mut client = pair.client(&proxy);
    client.run_ok("BEGIN; INSERT INTO ledger VALUES (1)");
    // It has been asked.
    let _asked = silent.accept().unwrap();
    pair.standby.promote().unwrap();
    assert_eq!(client.refusal().code(), "57P01");
    assert_eq!(port_of(&mut pair.client(&proxy)), standby);
}

/// An address is not judged by who was there once.
#[test]
fn an_address_where_the_primary_is_again_serves_like_any() {
    let mut pair = Pair::start();
    let [primary, standby] = pair.ports();
    let proxy = pair.proxy(&[primary, standby], "");
    let mut client = pair.client(&proxy);
    assert_eq!(port_of(&mut client), primary);
    pair.standby.promote().unwrap();
    proxy.wait_for_log("another host was promoted");
    wait_until("the client is at the new one", || {
        port_of(&mut client) == standby
    });
    // One that follows the new primary takes the address of the old one, and its place.
    pair.plain.cluster.stop_fast().unwrap();
    let third = pair.standby.standby().unwrap();
    pass_on(SocketAddr::from(([127, 0, 0, 1], primary)), third.port());
    pair.standby.stop_fast().unwrap();
    third.promote().unwrap();
    assert_eq!(port_of(&mut client), third.port());
    let backend = client.value("SELECT pg_backend_pid()");
    // Longer than it takes to look at the addresses twice.
    client.run_ok("BEGIN; SELECT pg_sleep(3); INSERT INTO ledger VALUES (1); COMMIT");
    assert_eq!(client.value("SELECT pg_backend_pid()"), backend);
    assert_eq!(count(&third), 1);
}

const NAME: &str = "db.test";

#[test]
fn a_name_that_leads_elsewhere_is_followed_and_nobody_notices() {
    let pair = Pair::start();
    let [primary, standby] = pair.ports();
    let names = pair.plain.cluster.directory().join("names");
    fs::write(&names, format!("127.0.0.1 {NAME}\n")).unwrap();
    pass_on(SocketAddr::from(([127, 0, 0, 2], primary)), standby);
    let text = pair
        .plain
        .configuration(SETTING_DATABASE, primary, POOL, "");
    let text = text.replace("host = \"127.0.0.1\"", &format!("host = {NAME:?}"));
    let proxy = pair.plain.proxy_as(Some(with_names(&names)), &text);
    let (mut idle, mut within) = (pair.client(&proxy), pair.client(&proxy));
    assert_eq!(port_of(&mut idle), primary);
    within.run_ok("BEGIN");
    assert_eq!(port_of(&mut within), primary);
    change_names(&names, &format!("127.0.0.2 {NAME}\n"));
    wait_until("the idle client is elsewhere", || {
        port_of(&mut idle) == standby
    });
    proxy.wait_for_log("leaving addresses");
    // Who is in a transaction stays until its end.
    assert_eq!(port_of(&mut within), primary);
    within.run_ok("COMMIT");
    assert_eq!(port_of(&mut within), standby);
}

/// Nobody is told of a restart who was in no transaction.
#[test]
fn a_short_outage_makes_clients_wait_and_fails_nobody() {
    let mut pair = Pair::start();
    let primary = pair.plain.cluster.port();
    let proxy = pair.proxy(&[primary], "connect_timeout = \"200ms\"");
    let mut clients: Vec<_> = (0..6).map(|_| pair.client(&proxy)).collect();
    for client in &mut clients {
        assert_eq!(port_of(client), primary);
    }
    for crash in [false, true] {
        match crash {
            false => pair.plain.cluster.stop_fast().unwrap(),
            true => pair.plain.cluster.stop_immediate().unwrap(),
        }
        for client in &mut clients {
            client.send_query("SELECT setting FROM pg_settings WHERE name = 'port'");
        }
        // One comes while nobody can be asked.
        let parameters = [("user", "synergy"), ("database", SETTING_DATABASE)];
        thread::scope(|scope| {
            let login = scope.spawn(|| Raw::log_in(proxy.port, &proxy.password, &parameters));
            proxy.wait_for_log("cannot open a server connection");
            pair.plain.cluster.start_again().unwrap();
            let mut late = login.join().unwrap().unwrap();
            assert_eq!(port_of(&mut late), primary);
        });
        for client in &mut clients {
            assert_eq!(client.until_ready().ok().value(), primary.to_string());
        }
    }
}
