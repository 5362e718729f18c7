//! Unix-domain sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use pgtenant::throwaway::wellness::SETTING_DATABASE;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;
use testkit::{
    Options, Plain, Programs, Proxy, Raw, configuration, program, site, stderr, stdout, wait_until,
};

// ------------------------------------------------------------------- towards the server

/// A server, and the configuration of a proxy that reaches it through its socket.
fn local() -> Option<(Plain, String)> {
    let plain = Plain::start(&Programs::find(15)?, &[]);
    let port = plain.cluster.port();
    let text = plain.configuration(SETTING_DATABASE, port, "wait_timeout = \"1s\"", "");
    let folder = plain.cluster.socket_dir().unwrap();
    let text = text.replace(
        "host = \"127.0.0.1\"\n",
        &format!("host = {:?}\n", folder.to_str().unwrap()),
    );
    Some((plain, text))
}

fn client(proxy: &Proxy) -> Raw {
    let parameters = [("user", "innovate"), ("database", SETTING_DATABASE)];
    Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap()
}

#[test]
fn a_server_is_reached_through_its_socket() {
    let Some((plain, text)) = local() else {
        return;
    };
    // TLS is verified by default elsewhere, and there is none here.
    for text in [text.replace("tls = \"off\"\n", ""), text] {
        let proxy = plain.proxy_by(&text);
        let mut client = client(&proxy);
        let email = client.value("SELECT email FROM users");
        assert_eq!(email, "alice@innovate.example");
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE client_port = -1 \
                   AND usename = 'wellness_app'";
        let reached = plain.cluster.psql("postgres", sql).unwrap();
        assert_ne!(reached.trim(), "0");
        // A request to cancel takes the same way.
        client.send_query("SELECT pg_sleep(600)");
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        wait_until("the statement runs", || {
            plain.cluster.psql("postgres", sql).unwrap().trim() == "1"
        });
        client.cancel();
        assert_eq!(client.until_ready().error().code(), "57014");
        assert_eq!(client.value("SELECT 1"), "1");
        let check = Command::new(program())
            .args(["check", "--config"])
            .arg(&proxy.config)
            .output();
        let report = stdout(&check.unwrap());
        let looked = format!("looked at database {SETTING_DATABASE} of main");
        assert!(report.contains(&looked), "{report}");
    }
}

#[test]
fn a_server_s_socket_that_is_away_is_waited_for() {
    let Some((mut plain, text)) = local() else {
        return;
    };
    let proxy = plain.proxy_by(&text);
    let mut before = client(&proxy);
    before.run_ok("SELECT 1");
    plain.cluster.stop_fast().unwrap();
    let error = before.error("SELECT 1");
    assert!(["57P01", "57P03"].contains(&error.code()), "{error:?}");
    plain.cluster.start_again().unwrap();
    wait_until("it is reached again", || {
        let parameters = [("user", "innovate"), ("database", SETTING_DATABASE)];
        let client = Raw::log_in(proxy.port, &proxy.password, &parameters);
        client.is_ok_and(|mut client| client.query("SELECT 1").messages.len() > 2)
    });
}

// --------------------------------------------------------------------- towards clients

/// A proxy that listens in a folder, with these lines of `[listen]`.
fn listening(folder: &Path, lines: &str, options: Options) -> Proxy {
    let verifier = &site().login_verifier;
    let proxy = Proxy::start(&Options {
        listen: format!("unix = {folder:?}\n{lines}\n{}", options.listen),
        more: format!(
            "[[admins]]\nuser = \"ops\"\nscram = {verifier:?}\n{}",
            options.more
        ),
        ..options
    });
    proxy.wait_for_log("listening socket=");
    proxy
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn path(folder: &TempDir, proxy: &Proxy) -> PathBuf {
    folder.path().join(format!(".s.PGSQL.{}", proxy.port))
}

/// psql through the socket.
fn psql(folder: &TempDir, proxy: &Proxy, user: &str, database: &str, sql: &str) -> Command {
    let mut command = Command::new(site().cluster.client_program("psql"));
    command
        .args(["-X", "-A", "-t", "-v", "VERBOSITY=verbose", "-c", sql])
        .args(["-U", user, "-d", database])
        .arg("-h")
        .arg(folder.path())
        .args(["-p", &proxy.port.to_string()])
        .env("PGPASSWORD", &proxy.password)
        .stdin(Stdio::null());
    command
}

fn run(folder: &TempDir, proxy: &Proxy, user: &str, sql: &str) -> Output {
    let database = match user {
        "ops" => "pgtenant",
        _ => SETTING_DATABASE,
    };
    psql(folder, proxy, user, database, sql).output().unwrap()
}

#[test]
fn clients_of_this_machine_log_in_through_the_socket() {
    let folder = folder();
    // Which is about the network.
    let proxy = listening(
        folder.path(),
        "unix_mode = \"0707\"",
        Options {
            tls: "require",
            workers: 2,
            ..Options::default()
        },
    );
    let mode = fs::metadata(path(&folder, &proxy)).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o707);
    for _ in 0..4 {
        let output = run(&folder, &proxy, "innovate", "SELECT email FROM users");
        assert_eq!(
            stdout(&output).trim(),
            "alice@innovate.example",
            "{output:?}"
        );
    }
    let line = proxy.wait_for_log("event=\"login\"");
    assert!(line.contains("client=local"), "{line}");
    // TLS is not there to be had.
    let output = psql(&folder, &proxy, "innovate", SETTING_DATABASE, "SELECT 1")
        .env("PGSSLMODE", "require")
        .output();
    // libpq does not even ask.
    assert_eq!(stdout(&output.unwrap()).trim(), "1");
    let output = psql(&folder, &proxy, "innovate", SETTING_DATABASE, "SELECT 1")
        .env("PGPASSWORD", "wrong")
        .output()
        .unwrap();
    assert!(
        stderr(&output).contains("password authentication failed"),
        "{output:?}"
    );
    let mut sleeping = psql(
        &folder,
        &proxy,
        "innovate",
        SETTING_DATABASE,
        "SELECT pg_sleep(600)",
    )
    .stderr(Stdio::piped())
    .stdout(Stdio::null())
    .spawn()
    .unwrap();
    let shown = "SHOW CLIENTS";
    wait_until("it is there", || {
        let output = run(&folder, &proxy, "ops", shown);
        let lines = stdout(&output);
        lines
            .lines()
            .any(|line| line.contains("|innovate|") && line.contains("|unix|"))
    });
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    wait_until("the statement runs", || site().sql("postgres", sql) != "0");
    let interrupted = Command::new("kill")
        .args(["-s", "INT", &sleeping.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    assert!(!sleeping.wait().unwrap().success());
}

#[test]
fn a_tenant_s_clients_come_through_the_socket_where_that_is_named() {
    let folder = folder();
    let tenant = |n: u8, allowed: &str| {
        let id = format!("{n}{n}{n}{n}{n}{n}{n}{n}-7777-7777-7777-777777777777");
        format!(
            "[[tenants]]\nid = \"{id}\"\nisolation = \"setting\"\nallowed = {allowed}\n\
             [[logins]]\nuser = \"gated{n}\"\ntenant = \"{id}\"\nscram = {:?}\n",
            site().login_verifier
        )
    };
    let proxy = listening(
        folder.path(),
        "",
        Options {
            more: tenant(3, "\"local\"")
                + &tenant(4, "[\"local\", \"127.0.0.1\"]")
                + &tenant(5, "[\"127.0.0.0/8\", \"0.0.0.0/0\", \"::/0\"]"),
            ..Options::default()
        },
    );
    for (user, by_socket, by_network) in [
        ("gated3", true, false),
        ("gated4", true, true),
        ("gated5", false, true),
    ] {
        let output = run(&folder, &proxy, user, "SELECT 1");
        assert_eq!(output.status.success(), by_socket, "{user}: {output:?}");
        let parameters = [("user", user), ("database", SETTING_DATABASE)];
        let client = Raw::log_in(proxy.port, &proxy.password, &parameters);
        assert_eq!(client.is_ok(), by_network, "{user}");
    }
    proxy.wait_for_log("address not allowed");
}

#[test]
fn guessing_through_the_socket_is_slowed_as_from_one_address() {
    let folder = folder();
    let proxy = listening(
        folder.path(),
        "",
        Options {
            throttle: "free = 2\ndelay = \"1h\"\nlongest_delay = \"1h\"\nforget_after = \"2h\""
                .to_owned(),
            ..Options::default()
        },
    );
    for _ in 0..3 {
        let mut guess = psql(&folder, &proxy, "innovate", SETTING_DATABASE, "SELECT 1");
        let output = guess.env("PGPASSWORD", "wrong").output().unwrap();
        assert!(!output.status.success());
    }
    assert!(!run(&folder, &proxy, "synergy", "SELECT 1").status.success());
    proxy.wait_for_log("too many logins failed from this address");
    let parameters = [("user", "synergy"), ("database", SETTING_DATABASE)];
    Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap();
}

#[test]
fn only_the_system_s_users_that_are_named_may_connect() {
    let folder = folder();
    let id = |who: &str| {
        let output = Command::new("id").args(["-u", who]).output().unwrap();
        stdout(&output).trim().to_owned()
    };
    let own = Command::new("id").arg("-un").output().unwrap();
    let own = stdout(&own).trim().to_owned();
    let proxy = listening(
        folder.path(),
        "unix_users = [\"nobody\"]",
        Options::default(),
    );
    let output = run(&folder, &proxy, "innovate", "SELECT 1");
    assert!(
        stderr(&output).contains("this user of the system may not connect"),
        "{output:?}"
    );
    let line = proxy.wait_for_log("not in listen.unix_users");
    assert!(line.contains("client=local"), "{line}");
    for named in [own.clone(), id(&own)] {
        proxy.reload(|text| {
            let (before, after) = text.split_once("unix_users = [").unwrap();
            let (_, after) = after.split_once(']').unwrap();
            format!("{before}unix_users = [\"nobody\", {named:?}]{after}")
        });
        let output = run(&folder, &proxy, "innovate", "SELECT 1");
        assert_eq!(stdout(&output).trim(), "1", "{output:?}");
        proxy.reload(|text| text.replace(&format!(", {named:?}]"), "]"));
        let output = run(&folder, &proxy, "innovate", "SELECT 1");
        assert!(!output.status.success(), "{output:?}");
    }
}

/// The configuration of a proxy that listens on this port, and in this folder.
fn at(folder: &TempDir, port: u16) -> PathBuf {
    let options = Options {
        listen: format!("unix = {:?}", folder.path()),
        ..Options::default()
    };
    let text = configuration(site(), &options);
    let text = text.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    site().write_new(".toml", &text)
}

/// Why a proxy does not start.
fn complaint(config: &Path) -> String {
    let output = Command::new(program())
        .args(["run", "--config"])
        .arg(config)
        .output()
        .unwrap();
    assert!(!output.status.success());
    stderr(&output)
}

#[test]
fn a_socket_that_was_left_is_replaced_and_no_other() {
    let folder = folder();
    let mut proxy = listening(folder.path(), "", Options::default());
    let (socket, port) = (path(&folder, &proxy), proxy.port);
    let config = at(&folder, port);
    // Killed, it leaves its socket behind.
    proxy.signal("KILL");
    proxy.wait();
    assert!(socket.exists());
    let mut proxy = Proxy::run(&config);
    proxy.password.clone_from(&site().login_password);
    let output = run(&folder, &proxy, "innovate", "SELECT 1");
    assert_eq!(stdout(&output).trim(), "1", "{output:?}");
    // Another proxy with the same socket, at another address.
    let text = fs::read_to_string(&config).unwrap();
    let other = site().write_new(".toml", &text.replace("127.0.0.1:", "127.0.0.2:"));
    let said = complaint(&other);
    assert!(said.contains("another proxy listens there"), "{said}");
    proxy.terminate();
    proxy.wait();
    assert!(!socket.exists());

    // What is another program's.
    let listener = UnixListener::bind(&socket).unwrap();
    let said = complaint(&config);
    assert!(said.contains("somebody listens there"), "{said}");
    drop(listener);
    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "precious").unwrap();
    let said = complaint(&config);
    assert!(
        said.contains("something else than a socket is there"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}
