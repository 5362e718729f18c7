//! Logins whose sessions are on a replica: `[[logins]] server` and `servers.NAME.replica_of`.

use super::{POOL, Pair, port_of};
use pgtenant::throwaway::wellness::{self, SCHEMA_DATABASE, SETTING_DATABASE};
use pgtenant::throwaway::{Cluster, random_hex};
use std::process::Command;
use std::thread;
use testkit::{
    INNOVATE, Plain, Programs, Proxy, Raw, SYNERGY, program, stdout, succeeds, wait_until,
    write_private,
};

/// A section of a server at these ports of this machine.
pub(super) fn section(name: &str, ports: &[u16], lines: &str) -> String {
    let hosts: Vec<_> = ports
        .iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    format!(
        "[servers.{name}]\nhosts = {hosts:?}\ntls = \"off\"\nuser = \"wellness_app\"\n\
         password = \"a password\"\n{lines}\n"
    )
}

/// A login like one of those that are there.
pub(super) fn login(text: &str, user: &str, tenant: &str, server: &str) -> String {
    let scram = text.lines().find(|line| line.starts_with("scram = "));
    let scram = scram.unwrap();
    format!("[[logins]]\nuser = {user:?}\ntenant = {tenant:?}\nserver = {server:?}\n{scram}\n")
}

/// The configuration with a second server, `replica`, and a login of each tenant for it.
pub(super) fn with_replica(plain: &Plain, pool: &str, ports: &[u16], lines: &str) -> String {
    let primary = plain.cluster.port();
    let text = plain.configuration(SETTING_DATABASE, primary, pool, "");
    let replica = section("replica", ports, lines);
    let logins = [("innovate_bi", INNOVATE), ("synergy_bi", SYNERGY)];
    let logins = logins.map(|(user, tenant)| login(&text, user, tenant, "replica"));
    format!("{text}{}{}{replica}", logins[0], logins[1])
}

/// Waits until the standby has replayed all that the primary has written.
pub(super) fn caught_up(primary: &Plain, standby: &Cluster) {
    let sql = "SELECT pg_current_wal_insert_lsn()";
    let there = primary.cluster.psql("postgres", sql).unwrap();
    let sql = format!("SELECT pg_last_wal_replay_lsn() >= '{}'", there.trim());
    wait_until("the standby has caught up", || {
        standby.psql("postgres", &sql).unwrap().trim() == "t"
    });
}

fn emails(client: &mut Raw) -> Vec<String> {
    client.run_ok("SELECT email FROM users ORDER BY 1").column()
}

fn admin(proxy: &Proxy) -> Raw {
    let parameters = [("user", "ops"), ("database", "pgtenant")];
    Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap()
}

/// The cells of each row of what the console shows, as one text.
fn shown(admin: &mut Raw, what: &str) -> Vec<String> {
    let rows = admin.run_ok(&format!("SHOW {what}")).rows();
    let text = |row: Vec<Option<String>>| row.into_iter().flatten().collect::<Vec<_>>().join(" ");
    rows.into_iter().map(text).collect()
}

#[test]
fn a_login_for_the_replica_reads_there_and_is_its_tenant_s_alone() {
    let pair = Pair::start();
    let [primary, standby] = pair.ports();
    let pool = "size = 1\nsize_per_tenant = 1\nwait_timeout = \"60s\"";
    let text = with_replica(&pair.plain, pool, &[standby], "replica_of = \"main\"");
    let scram = text.lines().find(|line| line.starts_with("scram")).unwrap();
    let text = format!("{text}[[admins]]\nuser = \"ops\"\nrole = \"operator\"\n{scram}\n");
    caught_up(&pair.plain, &pair.standby);
    let proxy = pair.plain.proxy_by(&text);
    let mut app = pair.plain.client(&proxy, "innovate");
    // All that the pool of the primary has.
    app.run_ok("BEGIN; INSERT INTO ledger VALUES (1)");
    let [mut one, mut other] =
        ["innovate_bi", "synergy_bi"].map(|user| pair.plain.client(&proxy, user));
    for turn in 0..3 {
        // The only connection there goes from tenant to tenant.
        assert_eq!(emails(&mut one), ["alice@innovate.example"], "{turn}");
        assert_eq!(emails(&mut other), ["bob@synergy.example"], "{turn}");
        one.run_ok("SET TimeZone = 'Asia/Tokyo'");
        assert_eq!(other.value("SHOW TimeZone"), app_zone(&mut other));
    }
    assert_eq!(port_of(&mut one), standby);
    assert_eq!(one.value("SELECT pg_is_in_recovery()"), "t");
    assert_eq!(one.error("INSERT INTO ledger VALUES (2)").code(), "25006");
    let forged = format!("SET session.current_organization_id = '{SYNERGY}'");
    assert_eq!(one.error(&forged).code(), "42501");
    assert_eq!(emails(&mut one), ["alice@innovate.example"]);

    let mut ops = admin(&proxy);
    let ports = [primary, standby].map(|port| port.to_string());
    let databases = shown(&mut ops, "DATABASES");
    let of = |port: &str| databases.iter().filter(|row| row.contains(port)).count();
    assert_eq!([of(&ports[0]), of(&ports[1])], [1, 1], "{databases:?}");
    let pools = shown(&mut ops, "POOLS");
    let idle = |user: &str| {
        let row = pools.iter().find(|row| row.contains(&format!(" {user} ")));
        row.unwrap().split(' ').nth(9).unwrap().to_owned()
    };
    // `one` has used the replica's connection last, and the primary's is in use.
    assert_eq!(
        [idle("innovate"), idle("innovate_bi")],
        ["0", "1"],
        "{pools:?}"
    );
    let logins = shown(&mut ops, "LOGINS");
    let has = |row: &str| logins.iter().any(|shown| shown.ends_with(row));
    assert!(has("scram 1 main") && has("scram 1 replica"), "{logins:?}");
    app.run_ok("COMMIT");
    assert_eq!(port_of(&mut app), primary);
}

/// What the session has when nothing is set.
fn app_zone(client: &mut Raw) -> String {
    client.value("SELECT reset_val FROM pg_settings WHERE name = 'TimeZone'")
}

/// The databases and roles of a standby are those of its primary.
#[test]
fn tenants_of_every_kind_are_found_on_the_replica() {
    let programs = Programs::find(15).unwrap();
    let plain = Plain::start(&programs, &[]);
    let key = random_hex(32).unwrap();
    wellness::load_schema(&plain.cluster, key.as_bytes()).unwrap();
    wellness::load_database(&plain.cluster).unwrap();
    let standby = plain.cluster.standby().unwrap();
    caught_up(&plain, &standby);
    let file = plain.cluster.directory().join("role.key");
    write_private(&file, &key);
    let mut text = with_replica(&plain, POOL, &[standby.port()], "replica_of = \"main\"");
    text += &format!(
        "[isolation.schema]\nkind = \"schema\"\nserver = \"main\"\ndatabase = {SCHEMA_DATABASE:?}\n\
         search_path = [\"{{schema}}\"]\nrole = \"{{schema}}_app\"\nrole_key_file = {file:?}\n\
         [isolation.database]\nkind = \"database\"\nserver = \"main\"\ndatabase = \"{{database}}\"\n"
    );
    for company in wellness::COMPANIES {
        let (kind, id) = (company.layout.kind(), company.id);
        let value = match company.layout {
            wellness::Layout::Setting => continue,
            wellness::Layout::Schema(schema) => format!("schema = {schema:?}"),
            wellness::Layout::Database(database) => format!("database = {database:?}"),
        };
        text += &format!("[[tenants]]\nid = {id:?}\nisolation = {kind:?}\n{value}\n");
        text += &login(&text, &format!("{}_bi", company.login), id, "replica");
        text += &login(&text, company.login, id, "main");
    }
    let proxy = plain.proxy_by(&text);
    for company in wellness::COMPANIES {
        let database = company.layout.database();
        let log_in = |user: &str| plain.client_of(database, &proxy, user);
        let mut app = log_in(company.login);
        let mut bi = log_in(&format!("{}_bi", company.login));
        assert_eq!(port_of(&mut bi), standby.port());
        let table = match company.layout {
            wellness::Layout::Schema(_) => "employee_logs",
            _ => "wellness_entries",
        };
        let sql = format!("SELECT t::text FROM {table} t ORDER BY 1");
        let rows = bi.run_ok(&sql).column();
        assert!(!rows.is_empty(), "{company:?}");
        assert_eq!(rows, app.run_ok(&sql).column(), "{company:?}");
    }
}

/// What seals a tenant's context reads, and writes nothing.
#[test]
fn a_seal_holds_on_the_replica() {
    for seal in ["carrier", "token"] {
        let pair = Pair::start();
        let [_, standby] = pair.ports();
        let folder = pair.plain.cluster.directory();
        let key_file = folder.join("seal.key");
        write_private(&key_file, &random_hex(32).unwrap());
        let pool = "size = 1\nsize_per_tenant = 1";
        let text = with_replica(&pair.plain, pool, &[standby], "replica_of = \"main\"");
        let setting = "kind = \"setting\"\n";
        let sealed = format!("{setting}seal = {seal:?}\nseal_key_file = {key_file:?}\n");
        let text = text.replace(setting, &sealed);
        let config = folder.join("sealed.toml");
        write_private(&config, &text);
        let output = Command::new(program())
            .args(["harden", "--isolation", "setting", "--apply"])
            .arg(pair.plain.cluster.superuser_url("postgres"))
            .arg("--config")
            .arg(&config)
            .output()
            .unwrap();
        succeeds("harden", &output);
        caught_up(&pair.plain, &pair.standby);
        let proxy = pair.plain.proxy_by(&text);
        let users = ["innovate_bi", "synergy_bi"];
        let [mut one, mut other] = users.map(|user| pair.plain.client(&proxy, user));
        for _ in 0..2 {
            assert_eq!(emails(&mut one), ["alice@innovate.example"], "{seal}");
            assert_eq!(emails(&mut other), ["bob@synergy.example"], "{seal}");
        }
        assert_eq!(port_of(&mut one), standby);
    }
}

/// A request to cancel goes where the statement runs.
#[test]
fn what_runs_on_the_replica_is_cancelled_there() {
    let pair = Pair::start();
    let [_, standby] = pair.ports();
    let text = with_replica(&pair.plain, POOL, &[standby], "replica_of = \"main\"");
    let proxy = pair.plain.proxy_by(&text);
    let mut client = pair.plain.client(&proxy, "innovate_bi");
    client.send_query("SELECT pg_sleep(600)");
    let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' \
        AND state = 'active'";
    wait_until("it runs on the standby", || {
        pair.standby.psql("postgres", sleeps).unwrap().trim() == "1"
    });
    client.cancel();
    assert_eq!(client.until_ready().error().code(), "57014");
}

/// Its databases, roles and values could be anybody's.
#[test]
fn a_standby_of_another_cluster_is_refused() {
    let (pair, other) = (Pair::start(), Pair::start());
    let [_, standby] = pair.ports();
    let [stranger, strangers] = other.ports();
    let short = "size = 4\nwait_timeout = \"2s\"";
    let log_in = |proxy: &Proxy| {
        let parameters = [("user", "innovate_bi"), ("database", SETTING_DATABASE)];
        Raw::log_in(proxy.port, &proxy.password, &parameters)
    };
    for port in [strangers, stranger] {
        let text = with_replica(&pair.plain, short, &[port], "replica_of = \"main\"");
        let proxy = pair.plain.proxy_by(&text);
        assert_eq!(log_in(&proxy).unwrap_err().code(), "57P03");
        let said = match port == stranger {
            true => "the host is a primary",
            false => "the host is of another cluster",
        };
        proxy.wait_for_log(said);
    }
    // Beside it one that is right is found.
    let text = with_replica(
        &pair.plain,
        POOL,
        &[strangers, standby],
        "replica_of = \"main\"",
    );
    let proxy = pair.plain.proxy_by(&text);
    assert_eq!(port_of(&mut log_in(&proxy).unwrap()), standby);
}

/// The role there may be another one.
#[test]
fn check_looks_at_the_replica_and_at_no_other_cluster() {
    let (pair, other) = (Pair::start(), Pair::start());
    caught_up(&pair.plain, &pair.standby);
    let check = |standby: &Cluster| {
        let text = with_replica(
            &pair.plain,
            POOL,
            &[standby.port()],
            "replica_of = \"main\"",
        );
        let file = pair.plain.cluster.directory().join("check.toml");
        write_private(&file, &text);
        let output = Command::new(program())
            .args(["check", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let words = stdout(&output);
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let looked = "database wellness_corp_db of replica";
    let said = check(&pair.standby);
    assert!(said.contains(looked), "{said}");
    assert!(!said.contains("of another cluster"), "{said}");
    let said = check(&other.standby);
    assert!(said.contains("the host is of another cluster"), "{said}");
}

#[test]
fn the_replica_is_read_while_the_primary_is_away() {
    let mut pair = Pair::start();
    let [_, standby] = pair.ports();
    let text = with_replica(&pair.plain, POOL, &[standby], "replica_of = \"main\"");
    let proxy = pair.plain.proxy_by(&text);
    let mut client = pair.plain.client(&proxy, "innovate_bi");
    assert_eq!(port_of(&mut client), standby);
    pair.plain.cluster.stop_immediate().unwrap();
    // One more connection is opened.
    client.run_ok("BEGIN");
    let mut second = pair.plain.client(&proxy, "synergy_bi");
    assert_eq!(emails(&mut second), ["bob@synergy.example"]);
    assert_eq!(emails(&mut client), ["alice@innovate.example"]);
    // A proxy that has never seen the primary does not guess.
    let fresh = pair.plain.proxy_by(&text);
    let parameters = [("user", "innovate_bi"), ("database", SETTING_DATABASE)];
    thread::scope(|scope| {
        let login = scope.spawn(|| Raw::log_in(fresh.port, &fresh.password, &parameters));
        fresh.wait_for_log("it is not known whether the host is a replica");
        pair.plain.cluster.start_again().unwrap();
        assert_eq!(port_of(&mut login.join().unwrap().unwrap()), standby);
    });
}

#[test]
fn a_session_follows_its_login_to_another_server() {
    let pair = Pair::start();
    let [primary, standby] = pair.ports();
    let text = with_replica(
        &pair.plain,
        POOL,
        &[primary, standby],
        "target = \"replica\"",
    );
    // The hosts are those of the tenant's server.
    let main = format!("host = \"127.0.0.1\"\nport = {primary}\n");
    let hosts = format!("hosts = [\"127.0.0.1:{primary}\", \"127.0.0.1:{standby}\"]\n");
    let text = text.replace(&main, &hosts);
    let proxy = pair.plain.proxy_by(&text);
    let mut client = pair.plain.client(&proxy, "innovate_bi");
    client.run_ok("SET TimeZone = 'Asia/Tokyo'");
    assert_eq!(port_of(&mut client), standby);
    proxy.reload(|text| text.replace("server = \"replica\"\n", ""));
    wait_until("it is on the primary", || port_of(&mut client) == primary);
    client.run_ok("INSERT INTO ledger VALUES (1)");
    assert_eq!(client.value("SHOW TimeZone"), "Asia/Tokyo");
    assert_eq!(emails(&mut client), ["alice@innovate.example"]);
}
