//! The PROXY protocol: whose connection it is that a balancer passes on.

use std::net::Ipv4Addr;
use testkit::{
    Balancer, Options, Proxy, Raw, SSL_REQUEST, Tls, V3_0, packet, site, startup, wait_until,
};

const INNOVATE: &[(&str, &str)] = &[("user", "innovate"), ("database", "wellness_corp_db")];
const GATED: &[(&str, &str)] = &[("user", "gated")];

/// Behind balancers at 127.0.0.1, with a tenant whose clients come from 127.0.0.9
/// alone.
fn proxy(options: Options) -> Proxy {
    let more = format!(
        "[[tenants]]\nid = \"77777777-7777-7777-7777-777777777777\"\nisolation = \"setting\"\n\
         allowed = [\"127.0.0.9\", \"192.0.2.0/24\"]\n\
         [[logins]]\nuser = \"gated\"\ntenant = \"77777777-7777-7777-7777-777777777777\"\n\
         scram = {:?}\n\
         [[admins]]\nuser = \"ops\"\nscram = {0:?}\nrole = \"operator\"\n",
        site().login_verifier
    );
    Proxy::start(&Options {
        listen: "proxy_protocol = [\"127.0.0.1\", \"2001:db8::/32\"]".to_owned(),
        more,
        ..options
    })
}

fn v1(address: &str) -> Vec<u8> {
    format!("PROXY TCP4 {address} 127.0.0.1 7777 5432\r\n").into_bytes()
}

fn v2(version_command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([version_command, family]);
    header.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    header.extend(body);
    header
}

fn v2_of(address: &str, more: &[u8]) -> Vec<u8> {
    let address = address.parse::<Ipv4Addr>().unwrap().octets();
    let body = [&address[..], &[127, 0, 0, 1, 0x1e, 0x61, 0x15, 0x38], more].concat();
    v2(0x21, 0x11, &body)
}

/// A connection that begins with these bytes.
fn begun(proxy: &Proxy, bytes: &[u8]) -> Raw {
    let mut conn = Raw::open(proxy.port);
    conn.send(bytes);
    conn
}

fn warnings(proxy: &Proxy) -> usize {
    proxy.log().matches(" WARN ").count()
}

#[test]
fn behind_haproxy_a_client_is_known_by_its_own_address() {
    let proxy = proxy(Options::default());
    let password = &proxy.password;
    for version in ["send-proxy", "send-proxy-v2"] {
        let balancer = Balancer::start(&[proxy.port], version);
        let mut client = Raw::open_from("127.0.0.9", balancer.port);
        client.enter(V3_0, password, GATED).unwrap();
        proxy.wait_for_log("event=\"login\"");
        let mut console = Raw::open_from("127.0.0.8", balancer.port);
        let ops = [("user", "ops"), ("database", "pgtenant")];
        console.enter(V3_0, password, &ops).unwrap();
        let shown = console.query("SHOW CLIENTS").rows();
        let gated = shown
            .iter()
            .find(|row| row.contains(&Some("gated".to_owned())))
            .unwrap();
        assert!(gated.contains(&Some("127.0.0.9".to_owned())), "{gated:?}");
        assert_eq!(client.value("SELECT 1"), "1");
        // Where the tenant's clients may not come from.
        let mut client = Raw::open_from("127.0.0.8", balancer.port);
        let error = client.enter(V3_0, password, GATED).unwrap_err();
        assert_eq!(error.code(), "28P01");
    }
    wait_until("both are told of twice", || {
        let log = proxy.log();
        let logins = log.lines().filter(|line| line.contains("event=\"login\""));
        let refused = log.matches("address not allowed").count();
        (
            logins.filter(|line| line.contains("127.0.0.9:")).count(),
            refused,
        ) == (2, 2)
    });
    let log = proxy.log();
    assert!(!log.contains("client=127.0.0.1:"), "{log}");
}

#[test]
fn failures_count_for_the_client_and_not_for_the_balancer() {
    let throttle = "free = 2\ndelay = \"1h\"\nlongest_delay = \"1h\"\nforget_after = \"2h\"";
    let proxy = proxy(Options {
        throttle: throttle.to_owned(),
        ..Options::default()
    });
    let attempt = |address: &str, user: &str, password: &str| {
        let mut conn = begun(&proxy, &v2_of(address, b""));
        conn.enter(V3_0, password, &[("user", user)])
    };
    for _ in 0..3 {
        attempt("192.0.2.1", "innovate", "wrong").unwrap_err();
    }
    attempt("192.0.2.1", "synergy", &proxy.password).unwrap_err();
    proxy.wait_for_log("too many logins failed from this address");
    attempt("192.0.2.2", "synergy", &proxy.password).unwrap();
}

#[test]
fn logins_in_progress_count_for_the_client_and_not_for_the_balancer() {
    let proxy = proxy(Options {
        throttle: "per_address = 2".to_owned(),
        ..Options::default()
    });
    let of = |address: &str| {
        let mut conn = begun(&proxy, &v1(address));
        conn.send(&startup(V3_0, INNOVATE));
        conn
    };
    let mut waiting = [of("192.0.2.1"), of("192.0.2.1")];
    for conn in &mut waiting {
        conn.offer().unwrap();
    }
    let error = of("192.0.2.1").offer().unwrap_err();
    assert_eq!(error.code(), "53300");
    assert!(error.hint().contains("throttle.per_address"), "{error:?}");
    let line = proxy.wait_for_log("too many logins of this address");
    assert!(line.contains("client=192.0.2.1:7777"), "{line}");
    let others: Vec<_> = ["192.0.2.2", "192.0.2.2", "192.0.2.3"].map(of).into();
    for mut conn in others {
        conn.offer().unwrap();
    }
}

#[test]
fn nothing_behind_a_header_is_lost_however_it_arrives() {
    let proxy = proxy(Options::default());
    let password = &proxy.password;
    let more = [&[4, 0, 200][..], &[0; 200]].concat();
    for header in [
        v1("192.0.2.1"),
        v2_of("192.0.2.1", b""),
        v2_of("192.0.2.1", &more),
    ] {
        let whole = [&header[..], &startup(V3_0, GATED)].concat();
        // All at once.
        let mut conn = begun(&proxy, &whole);
        conn.authenticate(password).unwrap();
        conn.finish_login().unwrap();
        // In two parts, wherever they are parted; the first is read by itself.
        for parted in [
            1,
            12,
            15,
            16,
            header.len() - 1,
            header.len(),
            header.len() + 1,
        ] {
            let mut conn = begun(&proxy, &whole[..parted]);
            // What the proxy has read is gone from its socket's queue.
            wait_until("the first part is read", || unread(&conn) == 0);
            conn.send(&whole[parted..]);
            conn.authenticate(password).unwrap();
            conn.finish_login().unwrap();
            assert_eq!(conn.value("SELECT 1"), "1");
        }
        // And TLS behind it.
        let mut conn = begun(&proxy, &header);
        conn.send(&packet(SSL_REQUEST, b""));
        assert_eq!(conn.byte(), Some(b'S'));
        let mut conn = conn.start_tls(Tls::V1_3).unwrap();
        conn.enter(V3_0, password, GATED).unwrap();
        let mut conn = begun(&proxy, &header)
            .start_tls(Tls::Alpn("postgresql"))
            .unwrap();
        conn.enter(V3_0, password, GATED).unwrap();
    }
}

/// How many bytes the other side of the connection, on this machine, has not read.
fn unread(conn: &Raw) -> usize {
    let own = conn.stream.local_addr().unwrap().port();
    let to = format!(":{own:04X} ");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let line = table.lines().find(|line| {
        let mut words = line.split_whitespace().skip(2);
        words
            .next()
            .is_some_and(|remote| format!("{remote} ").ends_with(&to))
    });
    let queues = line.unwrap().split_whitespace().nth(4).unwrap();
    let (_, received) = queues.split_once(':').unwrap();
    usize::from_str_radix(received, 16).unwrap()
}

#[test]
fn a_connection_of_the_balancer_s_own_has_its_own_address() {
    let proxy = proxy(Options::default());
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        v2(0x20, 0, b""),
        v2(0x20, 0x11, b"ignored"),
        v2(0x21, 0, b""),
    ] {
        let mut conn = begun(&proxy, &header);
        conn.enter(V3_0, &proxy.password, INNOVATE).unwrap();
        let mut conn = begun(&proxy, &header);
        let error = conn.enter(V3_0, &proxy.password, GATED).unwrap_err();
        assert_eq!(error.code(), "28P01");
    }
    proxy.wait_for_log("address not allowed");
}

#[test]
fn a_balancer_s_connection_without_a_proper_header_is_refused() {
    let proxy = proxy(Options::default());
    let long = vec![0; 5000];
    for (what, bytes) in [
        ("missing", startup(V3_0, INNOVATE)),
        ("missing", packet(SSL_REQUEST, b"")),
        ("missing", b"\x16\x03\x01\x02\x00\x01".to_vec()),
        ("malformed", b"PROXY TCP4 192.0.2.1\r\n".to_vec()),
        ("malformed", v2(0x21, 0x11, b"short")),
        ("too long", b"PROXY ".repeat(50)),
        ("too long", v2(0x21, 0x11, &long)),
        ("not of a TCP connection", v2(0x21, 0x12, &[0; 12])),
    ] {
        let refused = warnings(&proxy);
        let error = begun(&proxy, &bytes).refusal();
        assert_eq!(error.code(), "08P01");
        assert!(error.message().contains(what), "{what}: {error:?}");
        assert!(error.hint().contains("listen.proxy_protocol"), "{error:?}");
        wait_until("it is logged", || warnings(&proxy) > refused);
    }
}

#[test]
fn a_header_is_understood_from_nobody_else_and_asked_for_by_a_reload() {
    let proxy = proxy(Options::default());
    let from = |address: &str, bytes: &[u8]| {
        let mut conn = Raw::open_from(address, proxy.port);
        conn.send(bytes);
        conn
    };
    for header in [v1("192.0.2.1"), v2_of("192.0.2.1", b"")] {
        let error = from("127.0.0.2", &header).refusal();
        assert_eq!(error.message(), "invalid length of startup packet");
        // One that is sent twice is no startup packet either.
        let error = from("127.0.0.1", &header.repeat(2)).refusal();
        assert_eq!(error.message(), "invalid length of startup packet");
    }
    let mut conn = from("127.0.0.2", b"");
    conn.enter(V3_0, &proxy.password, INNOVATE).unwrap();
    proxy.reload(|text| text.replace("[\"127.0.0.1\", ", "[\"127.0.0.2\", "));
    let mut conn = from("127.0.0.2", &v1("192.0.2.1"));
    conn.enter(V3_0, &proxy.password, GATED).unwrap();
    let mut conn = from("127.0.0.1", b"");
    conn.enter(V3_0, &proxy.password, INNOVATE).unwrap();
}

#[test]
fn a_header_that_does_not_come_in_time_is_not_waited_for() {
    let proxy = proxy(Options {
        login_timeout: "1s",
        ..Options::default()
    });
    for begin in [&b""[..], b"PROXY TCP4 ", &v2_of("192.0.2.1", b"")[..20]] {
        let error = begun(&proxy, begin).refusal();
        assert_eq!(error.code(), "57014");
    }
}

#[test]
fn a_balancer_that_looks_whether_the_port_is_open_is_no_warning() {
    let proxy = proxy(Options {
        log: "debug",
        ..Options::default()
    });
    let seen = || proxy.log().matches("login_refused").count();
    for bytes in [&b""[..], b"PROXY UNKNOWN\r\n", &v2(0x20, 0, b"")] {
        let before = seen();
        let conn = begun(&proxy, bytes);
        conn.finish_sending();
        wait_until("it is noticed", || seen() > before);
    }
    assert_eq!(warnings(&proxy), 0);
}
