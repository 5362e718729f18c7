//! The page: who sees it, what its forms do, and what other sites cannot do with it.

use crate::client::{Door, Reply, Stream, last_reply};
use crate::{PASSWORD, TOKEN, basic, bearer, proxy};
use std::io::{Read as _, Write as _};
use testkit::{Options, Proxy, wait_until};

const HTML: &str = "Accept: text/html,application/xhtml+xml";
const HERE: &str = "Sec-Fetch-Site: same-origin";

fn clear() -> (Proxy, Door) {
    proxy("tls = \"off\"", Options::default())
}

fn encoded(text: &str) -> String {
    let bytes = text.bytes();
    bytes.map(|byte| format!("%{byte:02X}")).collect()
}

/// Sends a form.
fn post(door: &Door, path: &str, lines: &[&str], fields: &[(&str, &str)]) -> Reply {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    let body = fields.join("&");
    let mut stream = door.open().unwrap();
    let head: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n{head}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    last_reply(&mut *stream)
}

fn log_in(door: &Door, user: &str, password: &str) -> Reply {
    let fields = [("user", user), ("password", password)];
    post(door, "/login", &[HERE], &fields)
}

/// The header that a browser sends back.
fn cookie(reply: &Reply) -> String {
    // `Reply` has its head in small letters, and a cookie has both: it is read anew.
    let set = reply.whole.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("set-cookie").then_some(value)
    });
    let pair = set.unwrap().split(';').next().unwrap();
    format!("Cookie: {pair}")
}

fn logged_in(door: &Door, user: &str) -> String {
    let reply = log_in(door, user, PASSWORD);
    assert_eq!(reply.status, 303, "{}", reply.body);
    cookie(&reply)
}

fn csrf(page: &str) -> &str {
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap();
    rest.split('"').next().unwrap()
}

#[test]
fn a_browser_is_sent_to_the_form_and_gets_the_page_by_it() {
    let (proxy, door) = clear();
    let reply = door.get("/", &[HTML]);
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, Some("/login"))
    );
    let form = door.get("/login", &[HTML]);
    assert_eq!(form.status, 200);
    assert!(form.body.contains("type=\"password\""), "{}", form.body);

    let wrong = log_in(&door, "vera", "wrong");
    assert_eq!(wrong.status, 403);
    assert!(wrong.body.contains("The user or the password is wrong."));
    assert_eq!(log_in(&door, "nobody", PASSWORD).status, 403);
    proxy.wait_for_log("event=\"admin_refused\"");

    let reply = log_in(&door, "vera", PASSWORD);
    assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
    let set = reply.header("set-cookie").unwrap();
    assert!(
        set.ends_with("; path=/; httponly; samesite=strict"),
        "{set}"
    );
    proxy.wait_for_log("event=\"admin_login\"");
    let page = door.get("/", &[HTML, &cookie(&reply)]);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("vera (viewer)"), "{}", page.body);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert_eq!(page.header("x-frame-options"), Some("deny"));
    // Nothing in it that the policy would have to allow.
    assert!(!page.body.contains("style=") && !page.body.contains("onclick"));
    for path in ["/page.js", "/page.css", "/icon.svg"] {
        assert_eq!(door.get(path, &[]).status, 200, "{path}");
    }
}

#[test]
fn over_tls_the_cookie_is_secure_and_a_certificate_needs_no_password() {
    let (_proxy, door) = proxy("", Options::default());
    let set = log_in(&door, "vera", PASSWORD);
    let set = set.header("set-cookie").unwrap();
    assert!(set.starts_with("__host-pgtenant="), "{set}");
    assert!(set.ends_with("; secure"), "{set}");
    let page = door.showing("otto").get("/", &[HTML]);
    assert!(page.body.contains("otto (operator)"), "{}", page.body);
    assert!(!page.body.contains("Log out"));
    // A password that needs a certificate beside it.
    assert_eq!(log_in(&door, "zoe", PASSWORD).status, 403);
    let cookie = cookie(&log_in(&door.showing("zoe"), "zoe", PASSWORD));
    assert_eq!(door.showing("zoe").get("/", &[HTML, &cookie]).status, 200);
    assert_eq!(door.get("/", &[HTML, &cookie]).status, 303);
}

#[test]
fn the_page_is_for_administrators_alone() {
    let (_proxy, door) = proxy(
        "tls = \"off\"\npublic = [\"/livez\", \"/readyz\", \"/metrics\"]",
        Options::default(),
    );
    let token = bearer(TOKEN);
    for path in ["/", "/events"] {
        assert_eq!(door.get(path, &[HTML, &token]).status, 403, "{path}");
    }
    assert_eq!(door.get("/events", &[]).status, 401);
    assert_eq!(post(&door, "/act", &[HERE], &[]).status, 401);
    let forged = "Cookie: pgtenant=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(door.get("/", &[HTML, forged]).status, 303);
    // Whoever asks for text gets what there is, as before.
    let start = door.get("/", &[&token]);
    assert!(start.body.contains("/metrics"), "{}", start.body);
}

#[test]
fn an_operator_ends_and_pauses_what_the_console_would() {
    let (proxy, door) = clear();
    let cookie = logged_in(&door, "olga");
    let mut client = proxy.raw("innovate");
    let page = door.get("/", &[HTML, &cookie]);
    let (_, rest) = page.body.split_once("value=\"kill_client\"").unwrap();
    let (_, rest) = rest.split_once("name=\"target\" value=\"").unwrap();
    let session = rest.split('"').next().unwrap();
    let act = |action: &str, target: &str| {
        let fields = [
            ("csrf", csrf(&page.body)),
            ("action", action),
            ("target", target),
            ("section", "sessions"),
        ];
        post(&door, "/act?q=acme", &[HERE, &cookie], &fields)
    };
    let reply = act("kill_client", session);
    let location = "/?q=acme&done=kill_client#sessions";
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, Some(location))
    );
    assert_eq!(client.refusal().code(), "57P01");
    let done = door.get("/?done=kill_client", &[HTML, &cookie]);
    assert!(done.body.contains("The session is being ended."));
    wait_until("the session is gone", || {
        let page = door.get("/", &[HTML, &cookie]);
        page.body.contains("0 of 0 sessions")
    });

    let tenant = "11111111-1111-1111-1111-111111111111";
    assert_eq!(act("pause_tenant", tenant).status, 303);
    let page_now = door.get("/?q=innovate", &[HTML, &cookie]).body;
    assert!(page_now.contains("paused") && page_now.contains("resume_tenant"));
    let twice = act("pause_tenant", tenant);
    assert_eq!(twice.status, 409);
    assert!(
        twice.body.contains("Not done: already paused"),
        "{}",
        twice.body
    );
    assert_eq!(act("resume_tenant", tenant).status, 303);
    assert_eq!(act("kill_client", "1; SHUTDOWN").status, 409);
    assert_eq!(act("kill_tenant", "x\" ; SHUTDOWN").status, 409);
    assert_eq!(act("shutdown", "").status, 400);
    let commands = || proxy.log().matches("event=\"admin_command\"").count();
    wait_until("each command is in the log", || commands() >= 6);
    assert_eq!(commands(), 6);
}

#[test]
fn a_viewer_steers_nothing() {
    let (proxy, door) = clear();
    let cookie = logged_in(&door, "vera");
    let _client = proxy.raw("innovate");
    let page = door.get("/", &[HTML, &cookie]).body;
    assert!(!page.contains("kill_client") && !page.contains("pause_tenant"));
    let fields = [
        ("csrf", csrf(&page)),
        ("action", "kill_tenant"),
        ("target", "11111111-1111-1111-1111-111111111111"),
    ];
    let reply = post(&door, "/act", &[HERE, &cookie], &fields);
    assert_eq!(reply.status, 409);
    assert!(
        reply.body.contains("the role operator is needed"),
        "{}",
        reply.body
    );
    assert!(reply.body.contains("1 of 1 sessions"), "{}", reply.body);
}

#[test]
fn a_form_of_another_site_does_nothing() {
    let (proxy, door) = clear();
    let (cookie, other) = (logged_in(&door, "olga"), logged_in(&door, "olga"));
    let page = door.get("/", &[HTML, &cookie]).body;
    let fields = |csrf: &'static str| [("csrf", csrf), ("action", "pause_tenant"), ("target", "x")];
    let own = [
        ("csrf", csrf(&page)),
        ("action", "pause_tenant"),
        ("target", "x"),
    ];
    for (lines, fields) in [
        (&[&cookie, "Sec-Fetch-Site: cross-site"][..], own),
        (&[&cookie, "Sec-Fetch-Site: same-site"], own),
        (&[&cookie, "Origin: http://evil.example"], own),
        (&[&cookie, "Origin: null"], own),
        (&[&cookie, HERE], fields("")),
        (&[&cookie, HERE], fields("AAAA")),
        // Of another browser, or of one who sends the password each time.
        (&[&other, HERE], own),
        (&[&basic("olga", PASSWORD), HERE], own),
    ] {
        for path in ["/act", "/logout"] {
            assert_eq!(
                post(&door, path, lines, &fields).status,
                403,
                "{path} {lines:?}"
            );
        }
    }
    let login = [("user", "olga"), ("password", PASSWORD)];
    let reply = post(&door, "/login", &["Sec-Fetch-Site: cross-site"], &login);
    assert_eq!(reply.status, 403);
    assert_eq!(reply.header("set-cookie"), None);
    assert_eq!(door.get("/act", &[&cookie]).status, 405);
    assert_eq!(door.get("/logout", &[&cookie]).status, 405);
    assert!(!proxy.log().contains("admin_command"));
    // The same, sent by the page itself.
    let reply = post(&door, "/act", &[&cookie, "Origin: http://proxy"], &own);
    assert_eq!(reply.status, 409);
    assert!(reply.body.contains("no such tenant"), "{}", reply.body);
}

#[test]
fn who_logs_out_or_is_removed_is_out() {
    let (proxy, door) = clear();
    let (one, two) = (logged_in(&door, "vera"), logged_in(&door, "vera"));
    let page = door.get("/", &[HTML, &one]).body;
    let reply = post(&door, "/logout", &[HERE, &one], &[("csrf", csrf(&page))]);
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, Some("/login"))
    );
    assert!(reply.header("set-cookie").unwrap().contains("max-age=0"));
    assert_eq!(door.get("/", &[HTML, &one]).status, 303);
    assert_eq!(door.get("/", &[HTML, &two]).status, 200);

    let mut feed = door.open().unwrap();
    let head = format!("GET /events HTTP/1.1\r\nHost: proxy\r\n{two}\r\n\r\n");
    feed.write_all(head.as_bytes()).unwrap();
    read_past(&mut *feed, "event: findings");
    proxy.reload(|text| text.replace("user = \"vera\"", "user = \"verena\""));
    proxy.wait_for_log("reloaded");
    // It ends, and does not wait for its client to go.
    while feed.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
    wait_until("the cookie holds no longer", || {
        door.get("/", &[HTML, &two]).status == 303
    });
}

/// Reads until a text has come.
fn read_past(stream: &mut dyn Stream, text: &str) -> String {
    let (mut all, mut some) = (Vec::new(), [0; 4096]);
    loop {
        let n = stream.read(&mut some).unwrap();
        assert!(n > 0, "ended: {}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&some[..n]);
        let shown = String::from_utf8_lossy(&all);
        if shown.contains(text) {
            return shown.into_owned();
        }
    }
}

#[test]
fn what_a_client_writes_ends_no_event_and_no_element() {
    let (proxy, door) = clear();
    let hostile = "\n\nevent: overview\ndata: \"<script>alert(1)</script>\"\n\n";
    let _client = proxy.raw_with("innovate", &[("application_name", hostile)]);
    let cookie = logged_in(&door, "vera");
    let mut feed = door.open().unwrap();
    let head = format!("GET /events HTTP/1.1\r\nHost: proxy\r\n{cookie}\r\n\r\n");
    feed.write_all(head.as_bytes()).unwrap();
    let events = read_past(&mut *feed, "event: findings");
    let overviews = events
        .lines()
        .filter(|line| line.starts_with("event: overview"));
    assert_eq!(overviews.count(), 1);
    assert!(
        events.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
        "{events}"
    );
    assert!(!events.contains("<script>"), "{events}");
    let query = encoded("\"><script>alert(2)</script>");
    let page = door.get(&format!("/?q={query}"), &[HTML, &cookie]).body;
    assert!(page.contains("&lt;script&gt;alert(2)"), "{page}");
    assert_eq!(page.matches("<script").count(), 1);
}

#[test]
fn so_many_pages_are_refreshed_and_no_more() {
    let (_proxy, door) = clear();
    let cookie = logged_in(&door, "vera");
    let head = format!("GET /events HTTP/1.1\r\nHost: proxy\r\n{cookie}\r\n\r\n");
    let mut feeds: Vec<_> = (0..32)
        .map(|_| {
            let mut feed = door.open().unwrap();
            feed.write_all(head.as_bytes()).unwrap();
            read_past(&mut *feed, "retry:");
            feed
        })
        .collect();
    assert_eq!(door.get("/events", &[&cookie]).status, 503);
    feeds.pop();
    wait_until("the place is given back", || {
        let mut feed = door.open().unwrap();
        feed.write_all(head.as_bytes()).unwrap();
        let mut first = [0; 12];
        feed.read_exact(&mut first).unwrap();
        &first == b"HTTP/1.1 200"
    });
}

#[test]
fn guessing_by_the_form_is_slowed() {
    let throttle = "free = 3\ndelay = \"1h\"\nlongest_delay = \"1h\"\nforget_after = \"2h\"";
    let options = Options {
        throttle: throttle.to_owned(),
        ..Options::default()
    };
    let (_proxy, door) = proxy("tls = \"off\"", options);
    for _ in 0..3 {
        assert_eq!(log_in(&door, "vera", "wrong").status, 403);
    }
    let reply = log_in(&door, "vera", PASSWORD);
    assert_eq!(reply.status, 429);
    assert!(reply.body.contains("try again later"), "{}", reply.body);
}

#[test]
fn a_form_that_is_too_long_is_not_taken_in() {
    let (_proxy, door) = clear();
    let long = "x".repeat(10_000);
    let reply = post(&door, "/login", &[HERE], &[("user", &long)]);
    assert_eq!(reply.status, 400);
}
