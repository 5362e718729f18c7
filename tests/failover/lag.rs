//! A replica that lags too much is not read: `servers.NAME.lag_limit`.

use super::replicas::{caught_up, with_replica};
use super::{Pair, port_of};
use pgtenant::throwaway::Cluster;
use pgtenant::throwaway::wellness::SETTING_DATABASE;
use testkit::{Fields, Proxy, Raw, wait_until};

const POOL: &str = "size = 4\nwait_timeout = \"60s\"";
const LINES: &str = "replica_of = \"main\"\nlag_limit = \"1s\"";

/// Since the last transaction that the standby has replayed.
const IS_OLD: &str = "SELECT clock_timestamp() - pg_last_xact_replay_timestamp() > '1500ms'";

fn log_in(proxy: &Proxy) -> Result<Raw, Fields> {
    let parameters = [("user", "innovate_bi"), ("database", SETTING_DATABASE)];
    Raw::log_in(proxy.port, &proxy.password, &parameters)
}

fn wait_until_old(standby: &Cluster) {
    wait_until("what was replayed last is old", || {
        standby.psql("postgres", IS_OLD).unwrap().trim() == "t"
    });
}

fn write(pair: &Pair) {
    let sql = "INSERT INTO ledger VALUES (1)";
    pair.plain.cluster.psql(SETTING_DATABASE, sql).unwrap();
}

/// What is written, and replayed.
fn write_to_all(pair: &Pair) {
    write(pair);
    caught_up(&pair.plain, &pair.standby);
}

/// Replays nothing more, and has received something.
fn hold_up(pair: &Pair, standby: &Cluster) {
    standby
        .psql("postgres", "SELECT pg_wal_replay_pause()")
        .unwrap();
    write(pair);
    let behind = "SELECT pg_get_wal_replay_pause_state() = 'paused' \
        AND pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()";
    wait_until("it is behind", || {
        standby.psql("postgres", behind).unwrap().trim() == "t"
    });
    wait_until_old(standby);
}

/// The client is told once no replica is fit: its connection is left before.
fn refused(client: &mut Raw) -> Fields {
    let mut refusal = None;
    wait_until("no replica is fit", || {
        refusal = client.query("SELECT 1").errors().pop();
        refusal.is_some()
    });
    let refusal = refusal.unwrap();
    assert_eq!(refusal.code(), "57P03");
    refusal
}

fn resume(standby: &Cluster) {
    standby
        .psql("postgres", "SELECT pg_wal_replay_resume()")
        .unwrap();
}

#[test]
fn a_replica_that_lags_is_left_for_another() {
    let pair = Pair::start();
    let [primary, first] = pair.ports();
    let second = pair.plain.cluster.standby().unwrap();
    write_to_all(&pair);
    caught_up(&pair.plain, &second);
    // That the primary is in the list changes nothing.
    let ports = [primary, first, second.port()];
    let text = with_replica(&pair.plain, POOL, &ports, LINES);
    let proxy = pair.plain.proxy_by(&text);
    let mut client = log_in(&proxy).unwrap();
    let mut within = log_in(&proxy).unwrap();
    within.run_ok("BEGIN");
    assert_eq!([port_of(&mut client), port_of(&mut within)], [first, first]);
    hold_up(&pair, &pair.standby);
    let said = proxy.wait_for_log("the host is not fit to be read, and is left");
    assert!(
        said.contains("lags by") && said.contains("and may by 1s"),
        "{said}"
    );
    wait_until("the client is at the other", || {
        port_of(&mut client) == second.port()
    });
    // Who is in a transaction stays until its end.
    assert_eq!(port_of(&mut within), first);
    within.run_ok("COMMIT");
    assert_eq!(port_of(&mut within), second.port());
    // And back, once it is the other one that lags.
    resume(&pair.standby);
    proxy.wait_for_log("the replica is fit to be read again");
    hold_up(&pair, &second);
    wait_until("the client is at the first again", || {
        port_of(&mut client) == first
    });
}

#[test]
fn where_every_replica_lags_the_client_is_told_by_how_much() {
    let pair = Pair::start();
    let [primary, standby] = pair.ports();
    write_to_all(&pair);
    let pool = "size = 4\nwait_timeout = \"2s\"";
    let text = with_replica(&pair.plain, pool, &[primary, standby], LINES);
    let proxy = pair.plain.proxy_by(&text);
    let mut client = log_in(&proxy).unwrap();
    assert_eq!(port_of(&mut client), standby);
    hold_up(&pair, &pair.standby);
    let refusal = refused(&mut client);
    let said = refusal.message();
    assert!(
        said.starts_with("no replica is fit to be read: it lags by "),
        "{said}"
    );
    assert!(said.ends_with(" s, and may by 1s"), "{said}");
    // Tried again and again, and told of once.
    proxy.wait_for_log("cannot open a server connection");
    let log = proxy.log();
    let told = log.matches("cannot open a server connection").count();
    assert_eq!(told, 1, "{log}");
    resume(&pair.standby);
    proxy.wait_for_log("the replica is fit to be read again");
    assert_eq!(port_of(&mut client), standby);
}

/// The last transaction is old, and there is none that has not been replayed.
#[test]
fn a_standby_of_an_idle_primary_does_not_lag() {
    let pair = Pair::start();
    let [_, standby] = pair.ports();
    write_to_all(&pair);
    let text = with_replica(&pair.plain, POOL, &[standby], LINES);
    wait_until_old(&pair.standby);
    let proxy = pair.plain.proxy_by(&text);
    let mut client = log_in(&proxy).unwrap();
    let backend = client.value("SELECT pg_backend_pid()");
    // Longer than it takes to ask twice.
    client.run_ok("SELECT pg_sleep(3)");
    assert_eq!(client.value("SELECT pg_backend_pid()"), backend);
    assert_eq!(port_of(&mut client), standby);
}

/// It has replayed all that it has received, and nobody knows what there is beside.
#[test]
fn a_standby_that_is_cut_off_lags_since_then() {
    let mut pair = Pair::start();
    let [_, standby] = pair.ports();
    write_to_all(&pair);
    wait_until_old(&pair.standby);
    let pool = "size = 4\nwait_timeout = \"2s\"";
    let text = with_replica(&pair.plain, pool, &[standby], LINES);
    let proxy = pair.plain.proxy_by(&text);
    let mut client = log_in(&proxy).unwrap();
    assert_eq!(port_of(&mut client), standby);
    pair.plain.cluster.stop_immediate().unwrap();
    let refusal = refused(&mut client);
    let said = refusal.message();
    assert!(said.contains("lags by"), "{said}");
    pair.plain.cluster.start_again().unwrap();
    proxy.wait_for_log("the replica is fit to be read again");
    assert_eq!(port_of(&mut client), standby);
}

/// Nobody writes to it by the way of readers.
#[test]
fn a_replica_that_is_promoted_is_left() {
    let pair = Pair::start();
    let [_, first] = pair.ports();
    let second = pair.plain.cluster.standby().unwrap();
    let text = with_replica(&pair.plain, POOL, &[first, second.port()], LINES);
    let proxy = pair.plain.proxy_by(&text);
    let mut client = log_in(&proxy).unwrap();
    assert_eq!(port_of(&mut client), first);
    pair.standby.promote().unwrap();
    wait_until("the client is at the other", || {
        port_of(&mut client) == second.port()
    });
}
