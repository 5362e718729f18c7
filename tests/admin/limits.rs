//! Clients of the admin address that mean no good.

use crate::client::{Door, last_reply, reply};
use crate::{TOKEN, bearer, proxy};
use std::io::{Read as _, Write as _};
use testkit::{Options, wait_until};

fn clear() -> (testkit::Proxy, Door) {
    proxy("tls = \"off\"", Options::default())
}

#[test]
fn a_head_that_is_too_long_or_no_http_is_refused() {
    let (proxy, door) = clear();
    let long = "x".repeat(20_000);
    let many: String = (0..100).map(|n| format!("H{n}: x\r\n")).collect();
    for request in [
        format!("GET /livez HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"),
        format!("GET /livez HTTP/1.1\r\nHost: x\r\n{many}\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        "GET /livez\r\n\r\n".to_owned(),
        "\0\0\0\u{8}\u{4}\u{d2}\u{16}\u{2f}".to_owned(),
    ] {
        let mut stream = door.open().unwrap();
        // It may be closed before all is sent.
        let _ = stream.write_all(request.as_bytes());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 4"),
            "{request:.40}: {text}"
        );
    }
    assert_eq!(door.get("/livez", &[]).status, 200);
    drop(proxy);
}

#[test]
fn a_body_that_nobody_reads_is_not_taken_in() {
    let (_proxy, door) = clear();
    let mut stream = door.open().unwrap();
    let head = format!(
        "POST /metrics HTTP/1.1\r\nHost: x\r\n{}\r\nContent-Length: 1000000000000\r\n\r\n",
        bearer(TOKEN)
    );
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(last_reply(&mut *stream).status, 405);
}

#[test]
fn one_address_has_only_so_many_connections_and_they_are_given_back() {
    let (_proxy, door) = clear();
    let mut held = Vec::new();
    // Those beyond are closed without an answer.
    for _ in 0..100 {
        let mut stream = door.open().unwrap();
        let request = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut first = [0];
        if stream.write_all(request).is_ok() && stream.read_exact(&mut first).is_ok() {
            held.push(stream);
        }
    }
    assert_eq!(held.len(), 64);
    drop(held);
    wait_until("there is a place again", || {
        let mut stream = door.open().unwrap();
        let request = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut first = [0];
        stream.write_all(request).is_ok() && stream.read_exact(&mut first).is_ok()
    });
}

#[test]
fn a_client_that_does_not_finish_its_head_is_let_go() {
    let (proxy, door) = clear();
    let mut slow = door.open().unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\n").unwrap();
    // Others are served meanwhile, clients of the proxy too.
    assert_eq!(door.get("/livez", &[]).status, 200);
    proxy.raw("innovate").run_ok("SELECT 1");
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
}

#[test]
fn many_requests_go_over_one_connection() {
    let (_proxy, door) = proxy("", Options::default());
    let mut stream = door.open().unwrap();
    for _ in 0..20 {
        let request = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(reply(&mut *stream).status, 200);
    }
}
