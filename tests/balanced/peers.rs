//! Requests to cancel that come to another replica than the one that has the session.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use testkit::{
    Balancer, CANCEL_REQUEST, Options, Proxy, Raw, Tls, V3_0, V3_2, configuration, packet, site,
    wait_until,
};

const INNOVATE: &[(&str, &str)] = &[("user", "innovate"), ("database", "wellness_corp_db")];

/// An address that nobody listens on now.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn key_file(text: &str) -> String {
    format!("{:?}", site().write_new(".key", text))
}

fn key() -> String {
    key_file(&"k".repeat(40))
}

/// `[[peers]]`, numbered from 1 on.
fn list(addresses: &[String]) -> String {
    let numbered = addresses.iter().zip(1..);
    numbered
        .map(|(address, id)| format!("[[peers]]\nid = {id}\naddress = {address:?}\n"))
        .collect()
}

/// The replica of this number.
fn replica(id: usize, addresses: &[String], key: &str, options: Options) -> Proxy {
    let own = &addresses[id - 1];
    let admins = format!(
        "[admin]\naddress = \"127.0.0.1:0\"\ntls = \"off\"\npublic = [\"/metrics\"]\n\
         [[admins]]\nuser = \"ops\"\nscram = {:?}\nrole = \"operator\"\n",
        site().login_verifier
    );
    Proxy::start(&Options {
        listen: format!(
            "peer_id = {id}\npeer_address = {own:?}\npeer_key_file = {key}\n{}",
            options.listen
        ),
        more: list(addresses) + &admins + &options.more,
        ..options
    })
}

fn two(options: &Options) -> [Proxy; 2] {
    let (addresses, key) = ([free(), free()], key());
    [1, 2].map(|id| replica(id, &addresses, &key, options.clone()))
}

/// Has a statement run that only a request to cancel ends.
fn sleep(client: &mut Raw, mark: &str) {
    client.send_query(&format!("SELECT pg_sleep(600) /* {mark} */"));
    wait_until_sleeping(mark);
}

fn wait_until_sleeping(mark: &str) {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%/* {mark} */%' \
         AND wait_event = 'PgSleep'"
    );
    wait_until("the statement runs", || site().sql("postgres", &sql) != "0");
}

fn ask(conn: &mut Raw, pid: u32, secret: &[u8]) {
    let body = [&pid.to_be_bytes()[..], secret].concat();
    conn.send(&packet(CANCEL_REQUEST, &body));
}

fn ways(port: u16) -> [Raw; 3] {
    [
        Raw::open(port),
        Raw::secured(port, Tls::V1_2),
        Raw::secured(port, Tls::V1_3),
    ]
}

fn client(proxy: &Proxy, version: u32) -> Raw {
    let mut client = Raw::open(proxy.port);
    client.enter(version, &proxy.password, INNOVATE).unwrap();
    client
}

#[test]
fn a_request_reaches_the_session_on_whichever_replica_it_is() {
    for tls in ["allow", "off"] {
        let [one, two] = two(&Options {
            tls,
            ..Options::default()
        });
        for (version, secret) in [(V3_0, 4), (V3_2, 32)] {
            for (here, there, id) in [(&one, &two, 1), (&two, &one, 2)] {
                let mut client = client(here, version);
                assert_eq!(client.secret.len(), secret);
                assert_eq!(client.pid >> 24, id);
                let ways = match tls {
                    "off" => vec![Raw::open(there.port)],
                    _ => ways(there.port).into(),
                };
                for mut conn in ways {
                    sleep(&mut client, "whichever");
                    ask(&mut conn, client.pid, &client.secret);
                    // Closed properly, and not before the server has the request.
                    assert!(conn.ends_well());
                    assert_eq!(client.until_ready().error().code(), "57014");
                    assert_eq!(client.value("SELECT 1"), "1");
                }
            }
        }
        one.wait_for_log("outcome=\"delivered\"");
    }
}

#[test]
fn a_client_that_waits_for_the_end_of_its_request_is_not_struck_afterwards() {
    let [one, two] = two(&Options::default());
    let mut client = client(&one, V3_0);
    for _ in 0..50 {
        client.run_ok("BEGIN");
        client.run_ok("SELECT 1");
        let mut conn = Raw::open(two.port);
        ask(&mut conn, client.pid, &client.secret);
        assert!(conn.ends_well());
        client.run_ok("SELECT pg_sleep(0.02)");
        client.run_ok("COMMIT");
    }
}

#[test]
fn psql_is_interrupted_behind_a_balancer() {
    let [one, two] = two(&Options {
        listen: "proxy_protocol = \"127.0.0.1\"".to_owned(),
        ..Options::default()
    });
    // Each connection goes to the replica after that of the one before.
    let balancer = Balancer::start(&[one.port, two.port], "send-proxy-v2");
    for mode in ["disable", "require"] {
        let mark = format!("psql {mode}");
        let psql = Command::new(site().cluster.client_program("psql"))
            .args(["-X", "-v", "VERBOSITY=verbose", "-c"])
            .arg(format!("SELECT pg_sleep(600) /* {mark} */"))
            .arg(format!(
                "postgresql://innovate:{}@127.0.0.1:{}/wellness_corp_db?sslmode={mode}",
                one.password, balancer.port
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_until_sleeping(&mark);
        let interrupted = Command::new("kill")
            .args(["-s", "INT", &psql.id().to_string()])
            .status();
        assert!(interrupted.unwrap().success());
        let output = psql.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("57014"), "{error}");
    }
    let passed_on = |proxy: &Proxy| proxy.log().matches("passed a cancel request on").count();
    wait_until("both are logged", || passed_on(&one) + passed_on(&two) == 2);
}

#[test]
fn a_wrong_key_strikes_nobody_and_is_counted() {
    let [one, two] = two(&Options::default());
    for version in [V3_0, V3_2] {
        let mut client = client(&one, version);
        sleep(&mut client, "wrong key");
        let wrong: Vec<_> = client.secret.iter().map(|byte| byte ^ 1).collect();
        for (pid, secret) in [
            (client.pid, &wrong),
            (client.pid, &client.secret.repeat(2)),
            (client.pid ^ 1, &client.secret),
            // A replica that there is not.
            (client.pid ^ (4 << 24), &client.secret),
        ] {
            let mut conn = Raw::open(two.port);
            ask(&mut conn, pid, secret);
            assert!(conn.ends_well());
        }
        assert!(client.is_quiet());
        // The right one, to the end: both replicas have dealt with all others.
        let mut conn = Raw::open(two.port);
        ask(&mut conn, client.pid, &client.secret);
        assert!(conn.ends_well());
        assert_eq!(client.until_ready().error().code(), "57014");
    }
    let metrics = metrics(&two);
    for (outcome, count) in [("delivered", 2), ("refused", 6), ("failed", 0)] {
        let line =
            format!("pgtenant_peer_cancels_total{{peer=\"1\",outcome={outcome:?}}} {count}.0");
        assert!(metrics.lines().any(|one| one == line), "{line}: {metrics}");
    }
    one.wait_for_log("cancel_refused");
    let mut console = Raw::open(two.port);
    let ops = [("user", "ops"), ("database", "pgtenant")];
    console.enter(V3_0, &two.password, &ops).unwrap();
    let peers = console.query("SHOW PEERS").rows();
    assert_eq!(peers.len(), 1);
    assert_eq!(peers[0][0].as_deref(), Some("1"));
    let pools = console.query("SHOW PEER_POOLS").rows();
    assert_eq!(pools[0][1].as_deref(), Some("0"));
}

fn metrics(proxy: &Proxy) -> String {
    let line = proxy.wait_for_log("serving HTTP");
    let (_, rest) = line.split_once("//127.0.0.1:").unwrap();
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    let port = digits.parse::<u16>().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_replica_that_is_away_costs_the_others_nothing() {
    // One does not listen, the other one takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let addresses = [
        free(),
        free(),
        free(),
        silent.local_addr().unwrap().to_string(),
    ];
    let key = key();
    let [one, two] = [1, 2].map(|id| replica(id, &addresses, &key, Options::default()));
    let mut to_silent: Vec<_> = (0..140)
        .map(|_| {
            let mut conn = Raw::open(two.port);
            ask(&mut conn, 4 << 24 | 1, b"1234");
            conn
        })
        .collect();
    two.wait_for_log("too many requests wait for it");
    let mut conn = Raw::open(two.port);
    ask(&mut conn, 3 << 24 | 1, b"1234");
    assert!(conn.ends_well());
    let line = two.wait_for_log("peer=3");
    assert!(line.contains("cannot pass a cancel request on"), "{line}");
    let mut client = client(&one, V3_0);
    sleep(&mut client, "away");
    let mut conn = Raw::open(two.port);
    ask(&mut conn, client.pid, &client.secret);
    assert!(conn.ends_well());
    assert_eq!(client.until_ready().error().code(), "57014");
    for conn in &mut to_silent {
        assert!(conn.ends_well());
    }
    two.wait_for_log("it did not answer in time");
}

#[test]
fn only_a_replica_with_the_key_is_believed_and_obeyed() {
    let (addresses, key) = ([free(), free()], key());
    let one = replica(1, &addresses, &key, Options::default());
    let other = key_file(&"x".repeat(40));
    let two = replica(2, &addresses, &other, Options::default());
    let mut client = client(&one, V3_0);
    sleep(&mut client, "key");
    let mut conn = Raw::open(two.port);
    ask(&mut conn, client.pid, &client.secret);
    assert!(conn.ends_well());
    two.wait_for_log("it does not prove that it has the key");
    assert!(client.is_quiet());
    // Nor is a client's own request taken there.
    for bytes in [
        packet(
            CANCEL_REQUEST,
            &[&client.pid.to_be_bytes()[..], &client.secret].concat(),
        ),
        b"PGTPEER1".to_vec(),
        vec![0x16; 100],
    ] {
        let mut stream = TcpStream::connect(&addresses[0]).unwrap();
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(client.is_quiet());
    // With the right key, by a reload alone.
    two.reload(|text| text.replace(&other, &key));
    let mut conn = Raw::open(two.port);
    ask(&mut conn, client.pid, &client.secret);
    assert!(conn.ends_well());
    assert_eq!(client.until_ready().error().code(), "57014");
}

#[test]
fn replicas_come_and_go_by_a_reload_and_a_number_stays_until_a_restart() {
    let (addresses, key) = ([free(), free()], key());
    let one = replica(1, &addresses, &key, Options::default());
    let alone = [free(), addresses[1].clone()];
    let two = replica(2, &alone, &key, Options::default());
    let mut client = client(&one, V3_0);
    sleep(&mut client, "reload");
    let mut conn = Raw::open(two.port);
    ask(&mut conn, client.pid, &client.secret);
    assert!(conn.ends_well());
    two.wait_for_log("cannot pass a cancel request on");
    two.reload(|text| {
        text.replace(&alone[0], &addresses[0])
            .replace("peer_id = 2", "peer_id = 9")
    });
    let line = two.wait_for_log("listen.peer_id");
    assert!(line.contains("restart"), "{line}");
    let mut conn = Raw::open(two.port);
    ask(&mut conn, client.pid, &client.secret);
    assert!(conn.ends_well());
    assert_eq!(client.until_ready().error().code(), "57014");
    let mut own = Raw::open(two.port);
    own.enter(V3_0, &two.password, INNOVATE).unwrap();
    assert_eq!(own.pid >> 24, 2);
    // One that is not named any more is not asked.
    two.reload(|text| text.replace("id = 1\n", "id = 3\n"));
    sleep(&mut client, "gone");
    let mut conn = Raw::open(two.port);
    ask(&mut conn, client.pid, &client.secret);
    assert!(conn.ends_well());
    assert!(client.is_quiet());
}

#[test]
fn one_that_is_called_by_another_s_number_says_so() {
    let (addresses, key) = ([free(), free()], key());
    let one = replica(1, &addresses, &key, Options::default());
    let crossed = [free(), free(), addresses[0].clone()];
    let two = replica(2, &crossed, &key, Options::default());
    let mut conn = Raw::open(two.port);
    ask(&mut conn, 3 << 24 | 1, b"1234");
    assert!(conn.ends_well());
    let line = one.wait_for_log("it asks for the replica 3");
    assert!(line.contains("listen.peer_id here is 1"), "{line}");
}

#[test]
fn a_request_reaches_the_process_that_drains_through_the_one_that_takes_its_place() {
    let (addresses, key) = ([free(), free()], key());
    let shared = free();
    let port = shared.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    // The same address for clients, and another number for each.
    let start = |id: usize| {
        let options = Options {
            listen: format!(
                "reuse_port = true\npeer_id = {id}\npeer_address = {:?}\npeer_key_file = {key}",
                addresses[id - 1]
            ),
            more: list(&addresses),
            ..Options::default()
        };
        let text = configuration(site(), &options);
        let text = text.replacen("127.0.0.1:0", &shared, 1);
        let mut proxy = Proxy::run(&site().write_new(".toml", &text));
        proxy.password.clone_from(&site().login_password);
        assert_eq!(proxy.port, port);
        proxy
    };
    let mut one = start(1);
    let mut client = client(&one, V3_0);
    sleep(&mut client, "draining");
    let two = start(2);
    one.terminate();
    one.wait_for_log("draining");
    let mut conn = Raw::open(port);
    ask(&mut conn, client.pid, &client.secret);
    assert!(conn.ends_well());
    assert_eq!(client.until_ready().error().code(), "57014");
    two.wait_for_log("outcome=\"delivered\"");
    assert!(one.wait().success());
}
