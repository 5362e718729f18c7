//! Malformed input at every stage: it gets an error or an orderly close, harms
//! nobody else, and the session survives where the protocol says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use socket2::SockRef;
use std::io::Write as _;
use std::thread;
use std::time::Duration;
use testkit::{
    CANCEL_REQUEST, GSSENC_REQUEST, Options, PLAIN, Pipeline, Proxy, Random, Raw, SSL_REQUEST, Tls,
    V3_0, announced, initial_response, message, packet, startup,
};

/// A message in a protocol that is not broken by it: what it is, its bytes, and
/// the SQLSTATE of the answer.
type Case = (&'static str, Vec<u8>, &'static str);

// ---------------------------------------------------------------- first packets

#[test]
fn a_first_packet_that_does_not_fit_is_refused_in_clear_text_and_in_tls() {
    let proxy = Proxy::start(&Options::default());
    for (name, bytes, code) in first_packets() {
        for tls in [None, Some(Tls::V1_2), Some(Tls::V1_3)] {
            let mut conn = match tls {
                None => Raw::open(proxy.port),
                Some(tls) => Raw::secured(proxy.port, tls),
            };
            conn.send(&bytes);
            let error = conn.refusal();
            assert_eq!(error.code(), code, "{name}, {tls:?}: {error:?}");
            assert_eq!(error.severity(), "FATAL", "{name}");
        }
    }
    serves_others(&proxy);
}

fn first_packets() -> Vec<Case> {
    let with_len = |len: u32, rest: &[u8]| [&len.to_be_bytes()[..], rest].concat();
    vec![
        ("length 0", with_len(0, b"\0\x03\0\0"), "08P01"),
        ("length 3", with_len(3, b"\0\x03\0\0"), "08P01"),
        ("length 4", with_len(4, b"\0\x03\0\0"), "08P01"),
        ("length 7", with_len(7, b"\0\x03\0\0"), "08P01"),
        ("length 10,001", with_len(10_001, b"\0\x03\0\0"), "08P01"),
        ("a negative length", with_len(u32::MAX, b""), "08P01"),
        ("a Query", message(b'Q', b"SELECT 1\0"), "08P01"),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "08P01"),
        ("no parameters at all", packet(V3_0, b""), "08P01"),
        ("a name without a value", packet(V3_0, b"user\0"), "08P01"),
        ("no last terminator", packet(V3_0, b"user\0a\0"), "08P01"),
        (
            "no terminator in the value",
            packet(V3_0, b"user\0a"),
            "08P01",
        ),
        (
            "bytes behind the end",
            packet(V3_0, b"user\0a\0\0x"),
            "08P01",
        ),
        ("an empty name", packet(V3_0, b"\0a\0\0"), "08P01"),
        (
            "invalid UTF-8 in a name",
            packet(V3_0, b"us\xffer\0a\0\0"),
            "08P01",
        ),
        (
            "invalid UTF-8 in a value",
            packet(V3_0, b"user\0\xc3\0\0"),
            "08P01",
        ),
        (
            "a parameter twice",
            packet(V3_0, b"user\0a\0user\0b\0\0"),
            "08P01",
        ),
        (
            "an SSLRequest with a body",
            packet(SSL_REQUEST, b"x"),
            "08P01",
        ),
        (
            "a GSSENCRequest with a body",
            packet(GSSENC_REQUEST, b"x"),
            "08P01",
        ),
        (
            "a CancelRequest that is short",
            packet(CANCEL_REQUEST, b"1234567"),
            "08P01",
        ),
        (
            "a CancelRequest that is long",
            packet(CANCEL_REQUEST, &[0; 261]),
            "08P01",
        ),
        ("protocol 2.0", packet(2 << 16, &[0; 288]), "0A000"),
        ("protocol 4.0", startup(4 << 16, &[("user", "a")]), "0A000"),
        ("protocol 1234.1", packet((1234 << 16) | 1, b""), "0A000"),
    ]
}

#[test]
fn a_first_packet_that_never_ends_is_closed_without_a_word() {
    let proxy = Proxy::start(&Options::default());
    let whole = startup(V3_0, &[("user", "innovate")]);
    for len in [0, 1, 3, 4, 7, whole.len() - 1] {
        let mut conn = Raw::open(proxy.port);
        conn.send(&whole[..len]);
        conn.finish_sending();
        assert_eq!(conn.try_read(), None, "{len}");
    }
    serves_others(&proxy);
}

#[test]
fn what_is_no_sasl_message_ends_the_login() {
    let proxy = Proxy::start(&Options::default());
    let first: &[u8] = b"n,,n=,r=abcdefghijkl";
    for (name, bytes) in [
        ("a Query", message(b'Q', b"SELECT 1\0")),
        ("a startup packet", startup(V3_0, &[("user", "innovate")])),
        ("length 0", announced(b'p', 0, b"")),
        ("length 3", announced(b'p', 3, b"")),
        ("a length of 100 MB", announced(b'p', 100 << 20, b"")),
        ("a negative length", announced(b'p', u32::MAX, b"")),
        ("an empty body", message(b'p', b"")),
        ("a clear-text password", message(b'p', b"secret\0")),
        (
            "an unknown mechanism",
            initial_response("SCRAM-SHA-1", first),
        ),
        (
            "channel binding in clear text",
            initial_response(
                "SCRAM-SHA-256-PLUS",
                b"p=tls-server-end-point,,n=,r=abcdefghijkl",
            ),
        ),
        (
            "another data length",
            message(b'p', b"SCRAM-SHA-256\0\0\0\0\x05n,,"),
        ),
        ("no data", message(b'p', b"SCRAM-SHA-256\0\xff\xff\xff\xff")),
        (
            "bytes behind the data",
            message(b'p', b"SCRAM-SHA-256\0\0\0\0\x03n,,x"),
        ),
    ] {
        let mut conn = Raw::open(proxy.port);
        conn.send(&startup(V3_0, &[("user", "innovate")]));
        conn.offer().unwrap();
        conn.send(&bytes);
        let error = conn.refusal();
        assert_eq!(
            (error.severity(), error.code()),
            ("FATAL", "08P01"),
            "{name}: {error:?}"
        );
    }
    for data in [
        &b""[..],
        b"n",
        b"n,",
        b"n,,",
        b"n,a=root,n=,r=x",
        b"n,,m=1,n=,r=x",
        b"n,,n=",
        b"n,,r=x",
        b"n,,n=,r=\xff",
        b"\0\0\0",
    ] {
        let mut conn = Raw::open(proxy.port);
        conn.send(&startup(V3_0, &[("user", "innovate")]));
        conn.offer().unwrap();
        conn.send(&initial_response(PLAIN, data));
        let error = conn.refusal();
        assert_eq!(
            (error.severity(), error.code()),
            ("FATAL", "28P01"),
            "{data:?}: {error:?}"
        );
    }
    for data in [
        &b""[..],
        b"c=biws",
        b"c=biws,r=x,p=AAAA",
        b"r=x,p=",
        b",,,,",
        b"c=biws,r=x,p=!",
        b"\xff\xff",
    ] {
        let mut conn = Raw::open(proxy.port);
        conn.send(&startup(V3_0, &[("user", "innovate")]));
        conn.offer().unwrap();
        conn.send(&initial_response(PLAIN, first));
        conn.sasl(11).unwrap();
        conn.send(&message(b'p', data));
        let error = conn.refusal();
        assert_eq!(
            (error.severity(), error.code()),
            ("FATAL", "28P01"),
            "{data:?}: {error:?}"
        );
    }
    serves_others(&proxy);
}

#[test]
fn garbage_instead_of_a_tls_handshake_is_closed() {
    let proxy = Proxy::start(&Options::default());
    for garbage in [
        &b"\x16\x03\x01\x00\x05hello"[..],
        b"\x16\x03\x01\xff\xff",
        b"\x16\xff\xff\xff\xff\xff\xff\xff",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"GET / HTTP/1.1\r\n\r\n",
        &startup(V3_0, &[("user", "innovate")]),
    ] {
        let mut conn = Raw::open(proxy.port);
        conn.send(&packet(SSL_REQUEST, b""));
        assert_eq!(conn.byte(), Some(b'S'));
        conn.send(garbage);
        conn.finish_sending();
        // At most an alert, and never an answer in clear text.
        let said = rest(&mut conn);
        assert!(said.is_empty() || said[0] == 0x15, "{garbage:?}: {said:?}");
    }
    serves_others(&proxy);
}

/// All bytes up to the end of the stream.
fn rest(conn: &mut Raw) -> Vec<u8> {
    std::iter::from_fn(|| conn.byte()).collect()
}

// -------------------------------------------------------------- logged-in clients

/// Messages after which the place of the next one is unknown.
fn broken_frames() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("an unknown type", message(b'z', b"")),
        ("type 0", message(0, b"")),
        ("a type of the server's", message(b'Z', b"I")),
        ("a password", message(b'p', b"secret\0")),
        ("a startup packet", startup(V3_0, &[("user", "innovate")])),
        ("an SSLRequest", packet(SSL_REQUEST, b"")),
        ("a Query of length 0", announced(b'Q', 0, b"")),
        ("a Query of length 3", announced(b'Q', 3, b"")),
        ("a Query of length 4", announced(b'Q', 4, b"")),
        ("a Query of negative length", announced(b'Q', u32::MAX, b"")),
        ("a Query over 1 GB", announced(b'Q', 0x4000_0000, b"")),
        ("a Parse of length 7", announced(b'P', 7, b"")),
        ("a Bind of length 3", announced(b'B', 3, b"")),
        (
            "a Bind of negative length",
            announced(b'B', 0x8000_0000, b""),
        ),
        ("a Sync with a body", message(b'S', b"x")),
        ("a Flush with a body", message(b'H', b"x")),
        ("a Terminate with a body", message(b'X', b"x")),
        ("a CopyDone with a body", message(b'c', b"x")),
        ("a CopyData over 1 GB", announced(b'd', 0x4000_0000, b"")),
        ("a CopyFail without a reason", announced(b'f', 4, b"")),
        ("an Execute over 10,000 bytes", announced(b'E', 10_001, b"")),
        ("a Describe of length 4", announced(b'D', 4, b"")),
        ("a Close of length 0", announced(b'C', 0, b"")),
    ]
}

#[test]
fn a_broken_frame_ends_the_session_with_a_protocol_error_at_every_stage() {
    let proxy = Proxy::start(&with_database());
    for (name, bytes) in broken_frames() {
        for stage in [
            Stage::Idle,
            Stage::Transaction,
            Stage::Pipeline,
            Stage::Copy,
        ] {
            let mut raw = stage.enter(&proxy);
            raw.send(&bytes);
            let answer = raw.until_closed();
            let error = answer
                .errors()
                .pop()
                .unwrap_or_else(|| panic!("{name}, {stage:?}: {answer:?}"));
            assert_eq!(
                (error.severity(), error.code()),
                ("FATAL", "08P01"),
                "{name}, {stage:?}: {error:?}"
            );
        }
    }
    serves_others(&proxy);
    assert_eq!(
        proxy
            .raw("innovate")
            .value("SELECT count(*) FROM wellness_entries WHERE entry_type = 'malformed'"),
        "0"
    );
}

#[test]
fn a_message_that_never_ends_is_closed_and_undone() {
    let proxy = Proxy::start(&with_database());
    for (name, bytes) in [
        ("a type", b"Q".to_vec()),
        ("half a length", b"Q\0\0".to_vec()),
        ("half a Query", announced(b'Q', 100, b"SELECT 1")),
        ("half a Parse", announced(b'P', 100, b"s\0SELECT")),
        ("half a Bind", announced(b'B', 100, b"\0")),
        (
            "half a Bind behind its names",
            announced(b'B', 100, b"\0\0\0\0"),
        ),
        ("half a CopyData", announced(b'd', 100, b"x")),
        ("half a Describe", announced(b'D', 100, b"S")),
    ] {
        for stage in [
            Stage::Idle,
            Stage::Transaction,
            Stage::Pipeline,
            Stage::Copy,
        ] {
            let mut raw = stage.enter(&proxy);
            raw.send(&bytes);
            raw.stream.shutdown(std::net::Shutdown::Write).unwrap();
            let answer = raw.until_closed();
            assert!(
                answer.of(b'C').all(|m| !m.body.starts_with(b"COPY")),
                "{name}, {stage:?}: {answer:?}"
            );
        }
    }
    serves_others(&proxy);
    assert_eq!(
        proxy
            .raw("innovate")
            .value("SELECT count(*) FROM wellness_entries WHERE entry_type = 'malformed'"),
        "0"
    );
}

/// Where in a session the malformed message comes.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Idle,
    Transaction,
    Pipeline,
    Copy,
}

impl Stage {
    fn enter(self, proxy: &Proxy) -> Raw {
        let mut raw = proxy.raw("innovate");
        match self {
            Self::Idle => {}
            Self::Transaction => {
                raw.run_ok("BEGIN");
                raw.run_ok(INSERT);
            }
            Self::Pipeline => {
                let pipeline = Pipeline::new().statement(INSERT).flush();
                raw.send(pipeline.bytes());
                raw.until(b'C').ok();
            }
            Self::Copy => {
                raw.send_query(COPY);
                raw.until(b'G').ok();
                raw.send(Pipeline::new().copy_data(ROW).bytes());
            }
        }
        raw
    }
}

const INSERT: &str = "INSERT INTO wellness_entries (user_id, organization_id, entry_type, value) \
    SELECT id, organization_id, 'malformed', 1 FROM users";
const COPY: &str = "COPY organizations (name) FROM STDIN";
const ROW: &[u8] = b"malformed\n";

fn with_database() -> Options {
    let database = testkit::site().fresh_database();
    let grant = "GRANT INSERT ON organizations TO wellness_app";
    testkit::site().sql(&database, grant);
    Options {
        database,
        ..Options::default()
    }
}

/// Messages of the simple protocol that do not fit: each is answered with an
/// error and ReadyForQuery.
fn bad_queries() -> Vec<Case> {
    let long = |end: &[u8]| [&vec![b' '; 40_000][..], end].concat();
    vec![
        ("no terminator", message(b'Q', b"SELECT 1"), "08P01"),
        (
            "a NUL inside",
            message(b'Q', b"SELECT 1\0; SELECT 2\0"),
            "08P01",
        ),
        ("two terminators", message(b'Q', b"SELECT 1\0\0"), "08P01"),
        (
            "a long one without a terminator",
            message(b'Q', &long(b"")),
            "08P01",
        ),
        (
            "a long one with a NUL inside",
            message(b'Q', &long(b"\0SELECT 1\0")),
            "08P01",
        ),
        ("invalid UTF-8", message(b'Q', b"SELECT '\xff'\0"), "22021"),
        (
            "half a character",
            message(b'Q', b"SELECT '\xe2\x82'\0"),
            "22021",
        ),
        (
            "a long one with invalid UTF-8",
            message(b'Q', &long(b"\xff\0")),
            "22021",
        ),
        ("bad SQL", message(b'Q', b"SELEC 1\0"), "42601"),
        (
            "a FunctionCall",
            message(b'F', b"\0\0\x08\x1e\0\0\0\0\0\0"),
            "42501",
        ),
        ("an empty FunctionCall", message(b'F', b""), "08P01"),
    ]
}

/// Messages of the extended protocol that do not fit.
fn bad_messages() -> Vec<Case> {
    let long = |end: &[u8]| [b"\0", &vec![b' '; 40_000][..], end].concat();
    let bind = |rest: &[u8]| message(b'B', &[b"\0known\0", rest].concat());
    vec![
        (
            "a Parse without terminators",
            message(b'P', b"abcd"),
            "08P01",
        ),
        (
            "a Parse without types",
            message(b'P', b"\0SELECT 1\0"),
            "08P01",
        ),
        (
            "a Parse that lies of its types",
            message(b'P', b"\0SELECT 1\0\0\x02\0\0\0\x17"),
            "08P01",
        ),
        (
            "a Parse with types to spare",
            message(b'P', b"\0SELECT 1\0\0\0\0\0\0\x17"),
            "08P01",
        ),
        (
            "a Parse with a NUL inside",
            message(b'P', b"\0SELECT 1\0SELECT 2\0\0\0"),
            "08P01",
        ),
        (
            "a long Parse without a terminator",
            message(b'P', &long(b"")),
            "08P01",
        ),
        (
            "a Parse in invalid UTF-8",
            message(b'P', b"\0SELECT '\xff'\0\0\0"),
            "22021",
        ),
        (
            "a Parse of two statements",
            message(b'P', b"\0SELECT 1; SELECT 2\0\0\0"),
            "42601",
        ),
        (
            "a Bind without terminators",
            message(b'B', b"abcd"),
            "08P01",
        ),
        ("an empty Bind", message(b'B', b""), "08P01"),
        (
            "a Bind of nothing known",
            message(b'B', b"\0unknown\0\0\0\0\0\0\0"),
            "26000",
        ),
        ("a Bind without counts", bind(b""), "08P01"),
        (
            "a Bind with too many formats",
            bind(b"\x7f\xff\0\0"),
            "08P01",
        ),
        (
            "a Bind with too many parameters",
            bind(b"\0\0\x7f\xff\0\0"),
            "08P01",
        ),
        (
            "a Bind with a long parameter",
            bind(b"\0\0\0\x01\x7f\xff\xff\xff\0\0"),
            "08P01",
        ),
        (
            "a Bind with a negative length",
            bind(b"\0\0\0\x01\xff\xff\xff\xfe\0\0"),
            "08P01",
        ),
        (
            "a Bind with bytes behind its end",
            bind(b"\0\0\0\x01\0\0\0\x011\0\0more"),
            "08P01",
        ),
        (
            "a Bind with too few parameters",
            bind(b"\0\0\0\0\0\0"),
            "08P01",
        ),
        ("a Describe of another kind", message(b'D', b"X\0"), "08P01"),
        (
            "a Describe without a terminator",
            message(b'D', b"Sx"),
            "08P01",
        ),
        (
            "a Describe with two names",
            message(b'D', b"Sx\0y\0"),
            "08P01",
        ),
        (
            "a Describe of nothing known",
            message(b'D', b"Sunknown\0"),
            "26000",
        ),
        ("a Close of another kind", message(b'C', b"X\0"), "08P01"),
        (
            "a Close without a terminator",
            message(b'C', b"Sx"),
            "08P01",
        ),
        (
            "an Execute with half a limit",
            message(b'E', b"x\0\0\0\0"),
            "08P01",
        ),
        (
            "an Execute with bytes behind it",
            message(b'E', b"\0\0\0\0\0\0"),
            "08P01",
        ),
        (
            "an Execute without a terminator",
            message(b'E', b"abcde"),
            "08P01",
        ),
        (
            "an Execute of nothing known",
            message(b'E', b"unknown\0\0\0\0\0"),
            "34000",
        ),
    ]
}

#[test]
fn a_message_whose_body_does_not_fit_is_an_error_that_the_session_survives() {
    let proxy = Proxy::start(&Options::default());
    let mut raw = proxy.raw("innovate");
    raw.run(&Pipeline::new().parse("known", "SELECT $1::int").sync())
        .ok();
    for (name, bytes, code) in bad_queries() {
        raw.send(&bytes);
        let answer = raw.until_ready();
        assert_eq!(
            (answer.error().code(), answer.status()),
            (code, 'I'),
            "{name}"
        );
        raw.run_ok("BEGIN");
        raw.send(&bytes);
        let answer = raw.until_ready();
        assert_eq!(
            (answer.error().code(), answer.status()),
            (code, 'E'),
            "{name}"
        );
        assert_eq!(raw.run_ok("ROLLBACK").status(), 'I', "{name}");
        assert_eq!(raw.value("SELECT 41 + 1"), "42", "{name}");
    }
    for (name, bytes, code) in bad_messages() {
        let sync = Pipeline::new().sync();
        // Alone, and what follows is skipped.
        raw.send(&bytes);
        raw.send(Pipeline::new().statement("SELECT 1").sync().bytes());
        let answer = raw.until_ready();
        assert_eq!(
            (answer.error().code(), answer.status(), &*answer.tags()),
            (code, 'I', "EZ"),
            "{name}"
        );
        // In the midst of a pipeline.
        raw.send(Pipeline::new().statement("SELECT 7").bytes());
        raw.send(&bytes);
        raw.send(Pipeline::new().statement("SELECT 8").sync().bytes());
        let answer = raw.until_ready();
        assert_eq!(
            (answer.error().code(), answer.status(), &*answer.tags()),
            (code, 'I', "12TDCEZ"),
            "{name}"
        );
        assert_eq!(answer.value(), "7", "{name}");
        // In a transaction.
        raw.run_ok("BEGIN");
        raw.send(&bytes);
        let answer = raw.run(&sync);
        assert_eq!(
            (answer.error().code(), answer.status(), &*answer.tags()),
            (code, 'E', "EZ"),
            "{name}"
        );
        assert_eq!(raw.run_ok("ROLLBACK").status(), 'I', "{name}");
        assert_eq!(
            raw.run(&Pipeline::new().prepared("known", &["42"]).sync())
                .ok()
                .value(),
            "42",
            "{name}"
        );
    }
    serves_others(&proxy);
}

#[test]
fn names_beyond_all_measure_are_refused_and_the_session_goes_on() {
    let proxy = Proxy::start(&Options::default());
    let mut raw = proxy.raw("innovate");
    let name = "n".repeat(1 << 20);
    let answer = raw.run(&Pipeline::new().bind(&name, "", &[]).sync());
    assert!(
        ["54000", "26000"].contains(&answer.error().code()),
        "{answer:?}"
    );
    let answer = raw.run(&Pipeline::new().bind("", &name, &[]).sync());
    assert!(
        ["54000", "26000"].contains(&answer.error().code()),
        "{answer:?}"
    );
    // Nothing of a name that has no end is kept: its session is told at once.
    raw.send(&announced(b'B', 500 << 20, &[b'n'; 100_000]));
    assert_eq!(raw.until(b'E').error().code(), "54000");
    assert_eq!(proxy.raw("innovate").value("SELECT 1"), "1");
    serves_others(&proxy);
}

#[test]
fn a_huge_query_is_refused_before_it_is_there_and_the_session_goes_on() {
    const SIZE: u32 = 100 << 20;
    let proxy = Proxy::start(&Options::default());
    let mut raw = proxy.raw("innovate");
    let before = proxy.peak_memory();
    for (tag, status) in [(b'Q', 'I'), (b'P', 'I'), (b'Q', 'E'), (b'P', 'E')] {
        if status == 'E' {
            raw.run_ok("BEGIN");
        }
        raw.send(&announced(tag, SIZE + 4, b""));
        assert_eq!(raw.until(b'E').error().code(), "54000");
        for _ in 0..SIZE >> 20 {
            raw.send(&[b' '; 1 << 20]);
        }
        let answer = if tag == b'P' {
            raw.run(&Pipeline::new().sync())
        } else {
            raw.until_ready()
        };
        assert_eq!(answer.status(), status);
        if status == 'E' {
            raw.run_ok("ROLLBACK");
        }
        assert_eq!(raw.value("SELECT 1"), "1");
    }
    assert_grew_by_at_most(&proxy, before, 16 << 10);
}

#[test]
fn copied_data_without_end_takes_no_memory() {
    const SENT: usize = 32 << 20;
    let proxy = Proxy::start(&with_database());
    let mut raw = proxy.raw("innovate");
    let mut idle = proxy.raw("innovate");
    serves_others(&proxy);
    let before = proxy.peak_memory();
    raw.send_query(COPY);
    raw.until(b'G').ok();
    for raw in [&mut raw, &mut idle] {
        raw.send(&announced(b'd', 0x3fff_fffe, b""));
        for _ in 0..SENT >> 20 {
            raw.send(&[b'x'; 1 << 20]);
        }
    }
    assert_grew_by_at_most(&proxy, before, 16 << 10);
    serves_others(&proxy);
    drop((raw, idle));
    let mut after = proxy.raw("innovate");
    assert_eq!(
        after.value("SELECT count(*) FROM organizations WHERE name LIKE 'xx%'"),
        "0"
    );
}

// ----------------------------------------------------------------------- COPY in

#[test]
fn a_sync_within_copied_data_never_leaves_an_answer_over() {
    let proxy = Proxy::start(&Options {
        size: 1,
        ..with_database()
    });
    for attempt in 0..50 {
        let mut raw = proxy.raw("innovate");
        // Whether the server ignores the Sync or answers it depends on where it
        // notices that the row is no row.
        let pipeline = Pipeline::new()
            .query("COPY organizations (id) FROM STDIN")
            .copy_data(b"no uuid\n")
            .sync();
        raw.send(pipeline.bytes());
        if attempt % 2 == 0 {
            // It may be too late for it.
            let _ = raw.stream.write_all(Pipeline::new().sync().bytes());
        }
        let errors = raw.until(b'E').errors();
        assert!(["22P02", "08006"].contains(&errors[0].code()), "{errors:?}");
        // The connection is somebody else's now, and says what it is asked.
        let mut next = proxy.raw("innovate");
        for n in 0..5 {
            let n = (attempt * 10 + n).to_string();
            let answer = next.query(&format!("SELECT {n}"));
            assert_eq!((&*answer.tags(), answer.column()), ("TDCZ", vec![n]));
        }
    }
    serves_others(&proxy);
}

#[test]
fn other_messages_within_copied_data_end_it() {
    let proxy = Proxy::start(&with_database());
    for (name, bytes) in [
        ("a Query", message(b'Q', b"SELECT 1\0")),
        ("a refused Query", message(b'Q', b"SET ROLE postgres\0")),
        ("a Parse", message(b'P', b"\0SELECT 1\0\0\0")),
        ("a FunctionCall", message(b'F', b"\0\0\x08\x1e\0\0\0\0\0\0")),
        ("an Execute", message(b'E', b"\0\0\0\0\0")),
    ] {
        let mut raw = Stage::Copy.enter(&proxy);
        raw.send(&bytes);
        raw.send(Pipeline::new().copy_done().bytes());
        // PostgreSQL ends the session: it has lost its place in the stream.
        let answer = raw.until_closed();
        assert!(
            answer.errors().iter().any(|error| error.code() == "08P01"),
            "{name}: {answer:?}"
        );
        assert!(answer.of(b'C').next().is_none(), "{name}: {answer:?}");
    }
    let mut raw = proxy.raw("innovate");
    assert_eq!(
        raw.value("SELECT count(*) FROM organizations WHERE name = 'malformed'"),
        "0"
    );
    serves_others(&proxy);
}

#[test]
fn copy_messages_out_of_place_are_ignored() {
    let proxy = Proxy::start(&Options::default());
    let mut raw = proxy.raw("innovate");
    let stray = Pipeline::new()
        .copy_data(b"x")
        .copy_done()
        .copy_fail("no")
        .flush();
    raw.send(stray.bytes());
    assert_eq!(raw.value("SELECT 1"), "1");
    raw.run_ok("BEGIN");
    raw.send(stray.bytes());
    assert_eq!(raw.value("SELECT 2"), "2");
    let answer = raw.run(
        &Pipeline::new()
            .statement("SELECT 3")
            .copy_done()
            .copy_data(b"x")
            .sync(),
    );
    assert_eq!(
        (&*answer.tags(), answer.value()),
        ("12TDCZ", "3".to_owned())
    );
    raw.run_ok("COMMIT");
    serves_others(&proxy);
}

#[test]
fn a_pipeline_without_its_sync_keeps_its_connection_and_its_transaction() {
    let proxy = Proxy::start(&Options {
        size: 1,
        wait_timeout: "200ms",
        ..with_database()
    });
    let count = "SELECT count(*) FROM wellness_entries WHERE entry_type = 'malformed'";
    let mut raw = proxy.raw("innovate");
    let mut other = proxy.raw("innovate");
    // What ran is not committed, and nobody else runs in it.
    raw.send(Pipeline::new().statement(INSERT).flush().bytes());
    raw.until(b'C').ok();
    assert_eq!(other.error(count).code(), "53300");
    assert_eq!(
        raw.run(&Pipeline::new().statement(count).sync())
            .ok()
            .value(),
        "1"
    );
    assert_eq!(other.value(count), "1");
    // What failed is skipped up to its Sync, and nobody else is.
    for more in [
        Pipeline::new(),
        Pipeline::new().statement(INSERT),
        Pipeline::new().query("SELECT 1"),
        Pipeline::new().bind("", "unknown", &[]),
    ] {
        raw.send(
            Pipeline::new()
                .statement(INSERT)
                .statement("SELECT 1/0")
                .flush()
                .bytes(),
        );
        raw.until(b'E');
        assert_eq!(other.error(count).code(), "53300");
        raw.send(more.bytes());
        assert_eq!(raw.run(&Pipeline::new().sync()).tags(), "Z");
        assert_eq!(other.value(count), "1");
    }
}

#[test]
fn a_query_within_a_pipeline_runs_unless_the_pipeline_has_failed() {
    let proxy = Proxy::start(&Options::default());
    let mut raw = proxy.raw("innovate");
    for open in [false, true] {
        if open {
            raw.run_ok("BEGIN");
        }
        let mixed = Pipeline::new().statement("SELECT 1").query("SELECT 2");
        assert_eq!(raw.run(&mixed).ok().column(), ["1", "2"]);
        assert_eq!(raw.run(&Pipeline::new().sync()).tags(), "Z");
        // After a failure the server answers nothing before the Sync.
        let failing = Pipeline::new().parse("", "SELECT 1/0").bind("", "", &[]);
        for (between, code) in [
            (Pipeline::new(), "22012"),
            (Pipeline::new().describe_statement("unknown"), "22012"),
        ] {
            let skipped = Pipeline::new().query("SELECT 3").query("SET ROLE a").sync();
            let bytes = [failing.bytes(), between.bytes(), skipped.bytes()].concat();
            raw.send(&bytes);
            let answer = raw.until_ready();
            assert_eq!((answer.error().code(), &*answer.tags()), (code, "1EZ"));
            assert_eq!(answer.status(), if open { 'E' } else { 'I' });
            raw.run_ok("ROLLBACK");
            assert_eq!(raw.value("SELECT 4"), "4");
            if open {
                raw.run_ok("BEGIN");
            }
        }
    }
}

// ------------------------------------------------------------------------- floods

#[test]
fn a_flood_of_syncs_and_flushes_is_answered_one_by_one() {
    const COUNT: usize = 100_000;
    let proxy = Proxy::start(&Options::default());
    let flood = Pipeline::new().sync().flush();
    for open in [false, true] {
        let mut raw = proxy.raw("innovate");
        if open {
            raw.run_ok("BEGIN");
        }
        let mut writer = raw.stream.try_clone().unwrap();
        let bytes = flood.bytes().repeat(COUNT);
        let writing = thread::spawn(move || writer.write_all(&bytes).unwrap());
        for _ in 0..COUNT {
            assert_eq!(raw.read().tag, b'Z');
        }
        writing.join().unwrap();
        assert_eq!(raw.value("SELECT 1"), "1");
    }
    serves_others(&proxy);
}

#[test]
fn a_flood_of_prepared_statements_without_a_sync_ends_in_an_error() {
    let proxy = Proxy::start(&Options::default());
    let mut raw = proxy.raw("innovate");
    let mut flood = Pipeline::new();
    for n in 0..20_000 {
        flood = flood.parse(&format!("s{n}"), &format!("SELECT {n}"));
    }
    let before = proxy.peak_memory();
    let mut writer = raw.stream.try_clone().unwrap();
    let bytes = flood.sync().bytes().to_vec();
    let writing = thread::spawn(move || writer.write_all(&bytes).unwrap());
    let answer = raw.until_ready();
    writing.join().unwrap();
    assert_eq!(answer.error().code(), "54000");
    assert_eq!(answer.of(b'1').count(), 10_000);
    assert_grew_by_at_most(&proxy, before, 32 << 10);
    assert_eq!(raw.value("SELECT 1"), "1");
}

#[test]
fn what_follows_a_failure_is_skipped_without_being_kept() {
    let proxy = Proxy::start(&Options::default());
    for open in [false, true] {
        let mut raw = proxy.raw("innovate");
        if open {
            raw.run_ok("BEGIN");
        }
        raw.send(Pipeline::new().bind("", "unknown", &[]).flush().bytes());
        raw.until(b'E');
        let before = proxy.peak_memory();
        let flood = Pipeline::new()
            .execute("", 0)
            .bind("", "unknown", &[])
            .bytes()
            .repeat(10_000);
        for _ in 0..100 {
            raw.send(&flood);
        }
        let answer = raw.run(&Pipeline::new().sync());
        assert_eq!(answer.tags(), "Z");
        assert_grew_by_at_most(&proxy, before, 16 << 10);
        raw.run_ok("ROLLBACK");
        assert_eq!(raw.value("SELECT 1"), "1");
    }
}

#[test]
fn a_client_that_sends_and_never_reads_is_not_taken_from_without_end() {
    let proxy = Proxy::start(&Options::default());
    const LARGE: &str = "SELECT repeat('x', 10000)";
    let prepare = Pipeline::new().parse("s", LARGE).sync();
    for (name, start, flood) in [
        ("Sync", "SELECT 1", Pipeline::new().sync()),
        ("Sync in a transaction", "BEGIN", Pipeline::new().sync()),
        (
            "refused queries",
            "SELECT 1",
            Pipeline::new().query("SET ROLE a"),
        ),
        (
            "refused queries in a transaction",
            "BEGIN",
            Pipeline::new().query("SET ROLE a"),
        ),
        (
            "Parse and Close",
            "BEGIN",
            Pipeline::new().close_statement("s").parse("s", ""),
        ),
        ("Execute", "BEGIN", Pipeline::new().prepared("s", &[])),
        ("queries", "BEGIN", Pipeline::new().query(LARGE)),
    ] {
        let mut raw = proxy.raw("innovate");
        raw.run_ok(start);
        raw.run(&prepare).ok();
        let before = proxy.peak_memory();
        raw.stream
            .set_write_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        // The less the kernel keeps, the sooner the proxy has to.
        SockRef::from(&raw.stream)
            .set_recv_buffer_size(4096)
            .unwrap();
        let chunk = flood.bytes().repeat((256 << 10) / flood.bytes().len());
        // Until nothing more is taken.
        let taken = (0..48)
            .take_while(|_| raw.stream.write_all(&chunk).is_ok())
            .count();
        let grown = proxy.peak_memory() - before;
        assert!(
            grown < 32 << 10,
            "{name}: {grown} kB for {taken} times 256 kB"
        );
        serves_others(&proxy);
    }
}

#[test]
fn a_thousand_half_open_connections_keep_nobody_out() {
    let proxy = Proxy::start(&Options {
        max_clients: 2000,
        ..Options::default()
    });
    let mut open = Vec::new();
    for n in 0..1000 {
        let mut conn = Raw::open(proxy.port);
        match n % 4 {
            0 => {}
            1 => conn.send(b"\0\0"),
            2 => {
                conn.send(&packet(SSL_REQUEST, b""));
                assert_eq!(conn.byte(), Some(b'S'));
                conn.send(b"\x16\x03\x01");
            }
            _ => {
                conn.send(&startup(V3_0, &[("user", "innovate")]));
                conn.offer().unwrap();
            }
        }
        open.push(conn);
    }
    serves_others(&proxy);
    // 40 kB each, with what an allocator keeps.
    assert!(
        proxy.peak_memory() < 100 << 10,
        "{} kB",
        proxy.peak_memory()
    );
}

#[test]
fn bytes_that_come_one_by_one_are_understood() {
    let proxy = Proxy::start(&Options::default());
    let mut conn = Raw::open(proxy.port);
    for byte in startup(V3_0, &[("user", "innovate")]) {
        conn.send(&[byte]);
    }
    conn.offer().unwrap();
    let mut raw = proxy.raw("innovate");
    let pipeline = Pipeline::new()
        .parse("s", "SELECT $1::text")
        .bind("", "s", &["slow"])
        .execute("", 0)
        .sync()
        .query("SELECT 2");
    for byte in pipeline.bytes() {
        raw.send(&[*byte]);
    }
    assert_eq!(raw.until_ready().value(), "slow");
    assert_eq!(raw.until_ready().value(), "2");
}

// --------------------------------------------------------------------------- fuzz

/// Random changes to a valid session: whatever becomes of it, the proxy lives,
/// and no row of another tenant's is seen.
#[test]
fn three_thousand_mutations_of_a_session_harm_nobody() {
    const THREADS: u64 = 6;
    const EACH: u64 = 500;
    let proxy = Proxy::start(&Options {
        size: 4,
        ..with_database()
    });
    let session = valid_session();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (proxy, session) = (&proxy, &session);
            scope.spawn(move || {
                for n in 0..EACH {
                    let seed = thread * EACH + n + 1;
                    let said = run_mutated(proxy, session, seed);
                    let found = said.windows(7).any(|w| w.eq_ignore_ascii_case(b"synergy"));
                    assert!(!found, "seed {seed}: {}", String::from_utf8_lossy(&said));
                }
            });
        }
    });
    serves_others(&proxy);
    let mut raw = proxy.raw("innovate");
    assert_eq!(
        raw.run_ok("SELECT email FROM users").column(),
        ["alice@innovate.example"]
    );
}

fn valid_session() -> Vec<u8> {
    let sql = "SELECT email, organization_id FROM users";
    let pipeline = Pipeline::new()
        .query(sql)
        .parse("s1", "SELECT email FROM users WHERE email <> $1")
        .describe_statement("s1")
        .bind("p1", "s1", &["nobody"])
        .describe("p1")
        .execute("p1", 1)
        .execute("p1", 0)
        .close("p1")
        .sync()
        .query("BEGIN")
        .statement("SET LOCAL statement_timeout = '10s'")
        .sync()
        .query("COPY organizations (name) FROM STDIN")
        .copy_data(b"fuzz\n")
        .copy_done()
        .query("ROLLBACK")
        .query("SET application_name = 'fuzz'")
        .statement("DISCARD ALL")
        .sync()
        .query(sql)
        .terminate();
    pipeline.bytes().to_vec()
}

/// Sends the session with some of its bytes changed; all that was answered.
fn run_mutated(proxy: &Proxy, session: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = session.to_vec();
    for _ in 0..=random.below(4) {
        mutate(&mut bytes, &mut random);
    }
    let mut raw = proxy.raw("innovate");
    let mut writer = raw.stream.try_clone().unwrap();
    let writing = thread::spawn(move || {
        // It may be closed before all is sent.
        let _ = writer.write_all(&bytes);
        let _ = writer.shutdown(std::net::Shutdown::Write);
    });
    let said = raw.until_closed();
    writing.join().unwrap();
    said.messages
        .into_iter()
        .flat_map(|message| message.body)
        .collect()
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    const LENGTHS: [u32; 8] = [0, 3, 4, 5, 0x7fff_ffff, 0x8000_0000, u32::MAX, 70_000];
    let at = random.below(bytes.len());
    let len = 1 + random.below(40);
    let end = (at + len).min(bytes.len());
    match random.below(8) {
        0 => bytes[at] = random.number().to_be_bytes()[0],
        1 => bytes[at] ^= 1 << random.below(8),
        2 => drop(bytes.drain(at..end)),
        3 => {
            let piece = bytes[at..end].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, piece);
        }
        4 => bytes[at] = *b"QPBEDCSHXdcfFpZ\0".get(random.below(16)).unwrap(),
        5 if at + 4 <= bytes.len() => {
            let length = LENGTHS[random.below(LENGTHS.len())];
            bytes[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
        6 => bytes.truncate(at.max(1)),
        _ => {
            let to = random.below(bytes.len());
            bytes.swap(at, to);
        }
    }
    if bytes.is_empty() {
        bytes.push(0);
    }
}

// ------------------------------------------------------------------------ helpers

/// Asserts that the proxy serves another tenant, and with its rows.
#[track_caller]
fn serves_others(proxy: &Proxy) {
    let mut other = proxy.raw("synergy");
    assert_eq!(
        other.run_ok("SELECT email FROM users").column(),
        ["bob@synergy.example"]
    );
}

/// Asserts how much memory, in kB, the proxy took at most since `before`.
#[track_caller]
fn assert_grew_by_at_most(proxy: &Proxy, before: usize, most: usize) {
    let grown = proxy.peak_memory() - before;
    assert!(grown <= most, "it grew by {grown} kB");
}
