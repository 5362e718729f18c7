//! Who gets in, by what proof, and what a reload changes of that.

use crate::client::{Door, last_reply, reply};
use crate::{PASSWORD, TOKEN, basic, bearer, proxy};
use std::io::{Read as _, Write as _};
use testkit::{Options, Raw, site, wait_until};

/// What is served to nobody without a proof.
const CLOSED: [&str; 4] = ["/", "/metrics", "/nothing", "/livez/"];

#[test]
fn nothing_but_what_is_public_is_served_without_a_proof() {
    let (_proxy, door) = proxy("", Options::default());
    for path in ["/livez", "/readyz", "/livez?verbose"] {
        assert_eq!(door.get(path, &[]).status, 200, "{path}");
    }
    for path in CLOSED {
        let reply = door.get(path, &[]);
        assert_eq!(reply.status, 401, "{path}");
        assert!(!reply.body.contains("pgtenant_"), "{reply:?}");
        let challenges: Vec<_> = reply.head.matches("www-authenticate: ").collect();
        assert_eq!(challenges.len(), 2, "{reply:?}");
    }
    // A proof that is wrong is told of also where none is needed.
    for path in ["/livez", "/metrics"] {
        for proof in [
            bearer("another-token-of-24-char"),
            bearer(&TOKEN[1..]),
            bearer(""),
            basic("vera", "password"),
            basic("nobody", PASSWORD),
            basic("otto", PASSWORD),
            basic("zoe", PASSWORD),
            basic("innovate", &site().login_password),
            "Authorization: Digest nonsense".to_owned(),
        ] {
            assert_eq!(door.get(path, &[&proof]).status, 401, "{path} {proof}");
        }
    }
}

#[test]
fn each_proof_lets_in() {
    let (_proxy, door) = proxy("", Options::default());
    let metrics = |door: &Door, lines: &[&str]| {
        let reply = door.get("/metrics", lines);
        assert_eq!(
            reply.status == 200,
            reply.body.contains("pgtenant_build_info")
        );
        reply.status
    };
    assert_eq!(metrics(&door, &[&bearer(TOKEN)]), 200);
    assert_eq!(metrics(&door, &[&basic("vera", PASSWORD)]), 200);
    assert_eq!(metrics(&door.showing("otto"), &[]), 200);
    assert_eq!(
        metrics(&door.showing("zoe"), &[&basic("zoe", PASSWORD)]),
        200
    );
    // Half a proof, and those of others.
    assert_eq!(metrics(&door.showing("zoe"), &[]), 401);
    assert_eq!(
        metrics(&door.showing("otto"), &[&basic("zoe", PASSWORD)]),
        401
    );
    assert_eq!(metrics(&door.showing("vera"), &[]), 401);
    assert_eq!(metrics(&door.showing("innovate"), &[]), 401);
}

#[test]
fn the_address_is_in_tls_by_default_and_speaks_http_there_alone() {
    let (proxy, door) = proxy("", Options::default());
    assert!(proxy.wait_for_log("serving HTTP").contains("https://"));
    // Clear text gets nothing of HTTP.
    let mut clear = std::net::TcpStream::connect(("127.0.0.1", door.port)).unwrap();
    clear
        .write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut bytes = Vec::new();
    let _ = clear.read_to_end(&mut bytes);
    assert!(
        !String::from_utf8_lossy(&bytes).contains("HTTP"),
        "{bytes:?}"
    );
    // The protocol of PostgreSQL is spoken elsewhere.
    assert!(
        Raw::open(door.port)
            .start_tls(testkit::Tls::Alpn("postgresql"))
            .is_err()
    );
    let (_proxy, door) = self::proxy("tls = \"off\"", Options::default());
    assert_eq!(door.get("/livez", &[]).status, 200);
}

#[test]
fn metrics_can_be_public_and_come_in_the_format_that_is_asked_for() {
    let (_proxy, door) = proxy("public = [\"/metrics\"]", Options::default());
    let plain = door.get("/metrics", &[]);
    assert_eq!(plain.status, 200);
    assert_eq!(
        plain.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let open = door.get(
        "/metrics",
        &["Accept: application/openmetrics-text; version=1.0.0"],
    );
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.body.ends_with("\n# EOF\n"), "{}", open.body);
    assert!(!plain.body.contains("# EOF"), "{}", plain.body);
    let head = door.ask("HEAD", "/metrics", &[]);
    assert_eq!((head.status, &*head.body), (200, ""));
    assert_eq!(door.ask("POST", "/metrics", &[]).status, 405);
    // The list says all that is public.
    assert_eq!(door.get("/livez", &[]).status, 401);
}

#[test]
fn guessing_a_password_is_slowed_as_at_a_login() {
    let throttle = "free = 3\ndelay = \"1h\"\nlongest_delay = \"1h\"\nforget_after = \"2h\"";
    let (proxy, door) = proxy(
        "",
        Options {
            throttle: throttle.to_owned(),
            ..Options::default()
        },
    );
    for _ in 0..3 {
        assert_eq!(door.get("/metrics", &[&basic("vera", "guess")]).status, 401);
    }
    for password in ["guess", PASSWORD] {
        let reply = door.get("/metrics", &[&basic("vera", password)]);
        assert_eq!(reply.status, 429);
        let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((3000..=3601).contains(&seconds), "{seconds}");
    }
    // It is one and the same throttle.
    let parameters = [
        ("user", "innovate"),
        ("database", &*proxy.database("innovate")),
    ];
    let client = Raw::log_in(proxy.port, &proxy.password, &parameters);
    assert_eq!(client.err().unwrap().code(), "28P01");
    // Those who do not guess are let in.
    assert_eq!(door.get("/metrics", &[&bearer(TOKEN)]).status, 200);
    assert_eq!(door.showing("otto").get("/metrics", &[]).status, 200);
    let refused = proxy.wait_for_log("event=\"admin_refused\"");
    assert!(
        refused.contains("vera") && !refused.contains("guess"),
        "{refused}"
    );
}

/// The certificate that the admin address shows.
fn shown(door: &Door) -> Vec<u8> {
    let raw = Raw::open(door.port).start_tls(testkit::Tls::Alpn("http/1.1"));
    raw.unwrap().certificate.unwrap()
}

#[test]
fn a_reload_changes_who_gets_in_and_the_certificate() {
    let (proxy, door) = proxy("", Options::default());
    let before = shown(&door);
    let mut kept = door.open().unwrap();
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n",
        bearer(TOKEN)
    );
    kept.write_all(request.as_bytes()).unwrap();
    assert_eq!(reply(&mut *kept).status, 200);

    // One that has asked nothing yet.
    let mut early = door.open().unwrap();

    let token = site().write_new(".token", "the-token-of-another-day");
    let renewed = site()
        .authority
        .server(&["localhost", "127.0.0.1"])
        .unwrap();
    let certificate = site().write_new(".crt", &renewed.certificate_pem);
    let key = site().write_new(".key", &renewed.key_pem);
    proxy.reload(|text| {
        let lines = text.lines().map(|line| {
            let (name, _) = line.split_once(" = ").unwrap_or((line, ""));
            match name {
                "token_file" => format!("token_file = {token:?}"),
                "certificate" => format!("certificate = {certificate:?}"),
                "key" => format!("key = {key:?}"),
                "user" if line.contains("vera") => "user = \"wanda\"".to_owned(),
                _ => line.to_owned(),
            }
        });
        lines.collect::<Vec<_>>().join("\n") + "\n"
    });
    assert_eq!(door.get("/metrics", &[&bearer(TOKEN)]).status, 401);
    assert_eq!(
        door.get("/metrics", &[&bearer("the-token-of-another-day")])
            .status,
        200
    );
    assert_eq!(
        door.get("/metrics", &[&basic("vera", PASSWORD)]).status,
        401
    );
    assert_eq!(
        door.get("/metrics", &[&basic("wanda", PASSWORD)]).status,
        200
    );
    assert_ne!(shown(&door), before);
    let first = request.replace(TOKEN, "the-token-of-another-day");
    early.write_all(first.as_bytes()).unwrap();
    let answer = last_reply(&mut *early);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), Some("close"));
    // A connection of before is closed: it does not go by what was.
    let _ = kept.write_all(request.as_bytes());
    let mut rest = Vec::new();
    let _ = kept.read_to_end(&mut rest);
    assert_eq!(rest, b"");
}

#[test]
fn another_address_waits_for_a_restart_and_the_old_one_stays() {
    let (proxy, door) = proxy("public = [\"/livez\", \"/metrics\"]", Options::default());
    let text = std::fs::read_to_string(&proxy.config).unwrap();
    let line = "address = \"127.0.0.1:0\"\ntoken_file";
    assert!(text.contains(line));
    let changed = text.replace(
        line,
        "address = [\"127.0.0.1:0\", \"127.0.0.2:0\"]\ntoken_file",
    );
    std::fs::write(&proxy.config, changed).unwrap();
    proxy.signal("HUP");
    proxy.wait_for_log("key=\"admin.address\"");
    assert_eq!(door.get("/livez", &[]).status, 200);
    // Without the section, too.
    let keys = ["public", "token_file"];
    let gone = text.replace(line, "token_file");
    let gone = gone
        .lines()
        .filter(|line| !keys.iter().any(|key| line.starts_with(key)));
    let gone = gone.collect::<Vec<_>>().join("\n");
    proxy.reload(|_| gone);
    wait_until("the old address serves", || {
        door.get("/metrics", &[]).status == 200
    });
}
