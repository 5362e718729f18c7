//! What a client is told when its session ends in the midst of a message: whole
//! messages, then nothing, or a whole ErrorResponse; never an error within data.

use crate::{superuser, with_bulk};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use testkit::{Options, Raw, site};

/// Statements whose answers are large messages of nothing but `x`, and the type
/// of these.
const LARGE: [(&str, u8); 3] = [
    (
        "SELECT repeat('x', 10000000) FROM generate_series(1, 3)",
        b'D',
    ),
    (
        "COPY (SELECT repeat('x', 10000000) FROM generate_series(1, 3)) TO STDOUT",
        b'd',
    ),
    (
        "SELECT repeat('x', 1000) FROM generate_series(1, 100000)",
        b'D',
    ),
];

/// Reads until half a message of this type has come.
fn read_some(client: &mut Raw, seen: &mut Vec<u8>, tag: u8) {
    let mut chunk = vec![0; 16 << 10];
    while seen.len() < 200_000 {
        let n = client.stream.read(&mut chunk).unwrap();
        assert!(n > 0, "closed too early");
        seen.extend_from_slice(&chunk[..n]);
    }
    assert!(seen.contains(&tag));
}

/// Reads to the end, and returns the code of the error that stands there.
///
/// # Panics
/// When something stands within a message that is not its own.
fn ending(client: &mut Raw, mut seen: Vec<u8>) -> Option<String> {
    let mut chunk = vec![0; 64 << 10];
    loop {
        match client.stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => seen.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("neither data nor an end: {error}"),
        }
    }
    let mut rest = &seen[..];
    let mut code = None;
    while !rest.is_empty() {
        let tag = rest[0];
        let len = rest.get(1..5).map(|len| {
            let len = u32::from_be_bytes(len.try_into().unwrap());
            1 + usize::try_from(len).unwrap()
        });
        let whole = len.and_then(|len| rest.get(..len));
        let body = whole.unwrap_or(rest);
        // Its columns' count and length stand first.
        let head = if tag == b'D' { 11 } else { 5 };
        if matches!(tag, b'D' | b'd') {
            let data = body.get(head..).unwrap_or_default();
            let strange = data.iter().position(|byte| !matches!(byte, b'x' | b'\n'));
            if let Some(at) = strange {
                let tail = &data[at..data.len().min(at + 100)];
                panic!("within data: {:?}", String::from_utf8_lossy(tail));
            }
        }
        let Some(whole) = whole else {
            assert!(
                matches!(tag, b'D' | b'd'),
                "unfinished: {:?}",
                &rest[..rest.len().min(100)]
            );
            break;
        };
        if tag == b'E' {
            let fields = String::from_utf8_lossy(&whole[5..]).into_owned();
            code = fields
                .split('\0')
                .find_map(|f| f.strip_prefix('C'))
                .map(str::to_owned);
        }
        rest = &rest[whole.len()..];
    }
    code
}

#[test]
fn suspension_at_once_says_nothing_within_a_message() {
    for (sql, tag) in LARGE {
        let proxy = with_bulk(Options {
            more: "[directory]\nend_sessions = \"at-once\"\n".to_owned(),
            ..Options::default()
        });
        let mut client = proxy.raw("innovate");
        let mut seen = Vec::new();
        client.send_query(sql);
        read_some(&mut client, &mut seen, tag);
        let head = "[[tenants]]\nid = \"11111111-1111-1111-1111-111111111111\"\n";
        proxy.reload(|text| text.replace(head, &format!("{head}state = \"suspended\"\n")));
        let code = ending(&mut client, seen);
        assert!(matches!(code.as_deref(), None | Some("57P01")), "{code:?}");
    }
}

#[test]
fn the_end_of_the_proxy_says_nothing_within_a_message() {
    for (sql, tag) in LARGE {
        let proxy = with_bulk(Options {
            drain_timeout: "1s",
            ..Options::default()
        });
        let mut client = proxy.raw("innovate");
        let mut seen = Vec::new();
        client.send_query(sql);
        read_some(&mut client, &mut seen, tag);
        proxy.terminate();
        proxy.wait_for_log("draining");
        proxy.terminate();
        let code = ending(&mut client, seen);
        assert!(matches!(code.as_deref(), None | Some("57P01")), "{code:?}");
    }
}

#[test]
fn the_end_of_the_server_process_says_nothing_within_a_message() {
    for (sql, tag) in LARGE {
        let proxy = with_bulk(Options::default());
        let mut client = proxy.raw("innovate");
        let mut seen = Vec::new();
        client.send_query(sql);
        read_some(&mut client, &mut seen, tag);
        let ended = superuser(&proxy.database("innovate")).value(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = current_database() AND usename = 'wellness_app' AND application_name <> 'pgtenant'",
        );
        assert_eq!(ended, "1");
        ending(&mut client, seen);
    }
}

#[test]
fn the_end_of_the_network_says_nothing_within_a_message() {
    for (sql, tag) in LARGE {
        for more in [0, 1, 100_003, 3_000_000] {
            let proxy = with_bulk(Options::default());
            let cutter = Cutter::start(site().cluster.port());
            let (from, to) = (site().cluster.port(), cutter.port);
            proxy.reload(|text| {
                text.replace(&format!("port = {from}\n"), &format!("port = {to}\n"))
            });
            let mut client = proxy.raw("innovate");
            let mut seen = Vec::new();
            client.send_query(sql);
            read_some(&mut client, &mut seen, tag);
            cutter.cut_after(more);
            ending(&mut client, seen);
            // And the next client is served.
            proxy.raw("innovate").run_ok("SELECT 1");
        }
    }
}

/// Passes bytes between the proxy and the server until it is told to cut.
struct Cutter {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: u16,
    /// Bytes that the server may still send; negative is any number.
    left: AtomicI64,
    open: Mutex<Vec<TcpStream>>,
}

impl Cutter {
    fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            upstream,
            left: AtomicI64::new(-1),
            open: Mutex::default(),
        });
        let here = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, shared) = (client.unwrap(), shared.clone());
                thread::spawn(move || serve(&client, &shared));
            }
        });
        Self { port, shared: here }
    }

    /// Cuts the connections that there are when the server has sent so many
    /// bytes more. Later ones are let alone.
    fn cut_after(&self, bytes: i64) {
        self.shared.left.store(bytes, Ordering::SeqCst);
        if bytes == 0 {
            self.shared.cut();
        }
    }
}

impl Shared {
    fn cut(&self) {
        self.left.store(-1, Ordering::SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn serve(client: &TcpStream, shared: &Shared) {
    let server = TcpStream::connect(("127.0.0.1", shared.upstream)).unwrap();
    let both = [client, &server].map(|stream| stream.try_clone().unwrap());
    shared.open.lock().unwrap().extend(both);
    thread::scope(|scope| {
        scope.spawn(|| pass(client, &server, |_| true));
        pass(&server, client, |n| {
            let n = i64::try_from(n).unwrap();
            let left = shared.left.load(Ordering::SeqCst);
            if left < 0 {
                return true;
            }
            if left <= n {
                shared.cut();
                return false;
            }
            shared.left.store(left - n, Ordering::SeqCst);
            true
        });
    });
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, mut may: impl FnMut(usize) -> bool) {
    let mut chunk = vec![0; 16 << 10];
    while let Ok(n @ 1..) = from.read(&mut chunk) {
        if !may(n) || to.write_all(&chunk[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
