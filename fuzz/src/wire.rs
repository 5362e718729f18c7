//! The wire: what must hold for the bytes of any client and any server.

use bytes::BytesMut;
use pgtenant::guard::{Guard, Mode, Options, Permission, Policy};
use pgtenant::protocol::frontend::{self, Kind, Target};
use pgtenant::protocol::startup::{self, Packet};
use pgtenant::protocol::{ClientError, backend as server, options};
use pgtenant::session::Scan;
use pgtenant::transport::Buffer;

/// The first packet of a connection: what is taken is the whole packet, each
/// byte of it accounted for.
pub fn startup(data: &[u8]) {
    let taken = match startup::packet_len(data) {
        Ok(Some(len)) if len <= data.len() => &data[..len],
        // It says so from the length word alone.
        Ok(Some(_)) | Err(_) => {
            assert_eq!(startup::packet_len(&data[..4]), startup::packet_len(data));
            return assert!(startup::decode(data).is_err());
        }
        Ok(None) => return assert!(data.len() < 4 && startup::decode(data).is_err()),
    };
    let Ok(packet) = startup::decode(taken) else {
        return;
    };
    assert_eq!(encoded(&packet), taken);
    for other in [&taken[..taken.len() - 1], &[taken, b"\0"].concat()] {
        assert!(startup::decode(other).is_err());
    }
    if let Packet::Startup(startup) = &packet {
        for (at, (name, value)) in startup.parameters.iter().enumerate() {
            assert!(startup.parameters[..at].iter().all(|(n, _)| n != name));
            assert!(!name.is_empty() && !name.contains('\0') && !value.contains('\0'));
            options_come_back(value);
        }
    }
}

fn encoded(packet: &Packet) -> Vec<u8> {
    let mut body = Vec::new();
    let code: u32 = match packet {
        Packet::SslRequest => (1234 << 16) | 5679,
        Packet::GssEncRequest => (1234 << 16) | 5680,
        Packet::Cancel(request) => {
            body.extend(request.pid.to_be_bytes());
            body.extend(&request.secret);
            (1234 << 16) | 5678
        }
        Packet::Startup(startup) => {
            for (name, value) in &startup.parameters {
                for text in [name, value] {
                    body.extend(text.as_bytes());
                    body.push(0);
                }
            }
            body.push(0);
            (3 << 16) | u32::from(startup.minor)
        }
    };
    let len = u32::try_from(body.len() + 8).unwrap();
    [&len.to_be_bytes()[..], &code.to_be_bytes(), &body].concat()
}

/// What `options` sets, written down again, sets the same.
fn options_come_back(text: &str) {
    let Ok(settings) = options::decode(text) else {
        return;
    };
    let escaped = |text: &str| text.chars().flat_map(|c| ['\\', c]).collect::<String>();
    let again: String = settings
        .iter()
        .map(|(name, value)| format!("-c {}={} ", escaped(name), escaped(value)))
        .collect();
    assert_eq!(options::decode(&again).as_ref(), Ok(&settings));
    let guard = guard();
    for (name, value) in &settings {
        assert!(!name.is_empty() && !name.contains(['=', '-']));
        let refusal = guard.startup_setting(name, value, None);
        let carries = ["a.tenant", "role"].contains(&&*name.to_ascii_lowercase());
        assert!(refusal.is_some() || !carries, "{name}");
    }
}

fn guard() -> Guard {
    let options = Options {
        mode: Mode::Enforce,
        opaque: Permission::Reject,
        channels: Permission::Reject,
    };
    let mut policy = Policy::new(options, ["a.tenant"]);
    policy.cache_size = 0;
    Guard::new(policy)
}

/// What a client sends once it is logged in. The first two bytes choose how the
/// rest is cut into pieces.
pub fn frontend(data: &[u8]) {
    let [seed, step, stream @ ..] = data else {
        return;
    };
    let frames = frames(stream, |bytes| {
        let header = frontend::header(bytes).map_err(drop)?;
        Ok(header.map(|header| (header.kind, frontend::HEADER + header.body)))
    });
    for (kind, start, end) in &frames {
        decode(*kind, &stream[*start..*end][frontend::HEADER..]);
    }
    let ends: Vec<(usize, usize)> = frames
        .iter()
        .map(|(_, start, end)| (*start, *end))
        .collect();
    in_pieces(stream, &ends, *seed, *step);
}

/// The whole messages at the front of `stream`: no byte is skipped, and none
/// counts twice. A header is the same however much follows it.
fn frames<K: Copy + PartialEq + std::fmt::Debug>(
    stream: &[u8],
    header: impl Fn(&[u8]) -> Result<Option<(K, usize)>, ()>,
) -> Vec<(K, usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let rest = &stream[at..];
        let whole = header(rest);
        for end in 0..rest.len().min(frontend::HEADER) {
            let part = header(&rest[..end]);
            assert!(part == Ok(None) || part == whole, "{part:?} {whole:?}");
        }
        assert_eq!(header(&rest[..rest.len().min(frontend::HEADER)]), whole);
        match whole {
            Ok(Some((kind, len))) if len <= rest.len() => {
                let announced = u32::from_be_bytes(rest[1..5].try_into().unwrap());
                assert_eq!(len, 1 + announced as usize);
                found.push((kind, at, at + len));
                at += len;
            }
            _ => return found,
        }
    }
}

/// What is read of a body, written down again, is the body.
fn decode(kind: Kind, body: &[u8]) {
    let nul: &[u8] = b"\0";
    match kind {
        Kind::Query => {
            if let Ok(sql) = frontend::query(body) {
                assert!(!sql.contains(&0));
                assert_eq!([sql, nul].concat(), body);
            }
        }
        Kind::Parse => {
            if let Ok(parse) = frontend::parse(body) {
                assert!(!parse.sql.contains(&0) && !parse.name.contains(&0));
                assert_eq!([parse.name, nul, parse.tail].concat(), body);
                let types = &parse.tail[parse.sql.len()..];
                assert!(parse.tail.starts_with(parse.sql) && types[0] == 0);
                let count = u16::from_be_bytes([types[1], types[2]]);
                assert_eq!(types.len(), 3 + 4 * usize::from(count));
            }
        }
        Kind::Bind => {
            let head = frontend::bind_head(body);
            if let Some(head) = head {
                assert_eq!(
                    [head.portal, nul, head.statement, nul].concat(),
                    &body[..head.len]
                );
            }
            for end in 0..body.len().min(64) {
                let part = frontend::bind_head(&body[..end]);
                assert!(part.is_none() || part == head);
            }
        }
        Kind::Describe | Kind::Close => match frontend::target(body) {
            Ok(Target::Statement(name)) => assert_eq!([b"S", name, nul].concat(), body),
            Ok(Target::Portal(name)) => assert_eq!([b"P", name, nul].concat(), body),
            Err(_) => {}
        },
        Kind::Execute if frontend::execute(body).is_ok() => {
            assert_eq!(body[body.len() - 5], 0);
            assert!(!body[..body.len() - 5].contains(&0));
        }
        _ => {}
    }
}

/// Forwards the frames as a session does, with `stream` coming in pieces and
/// leaving in pieces: what is to pass passes, in order, and nothing else.
fn in_pieces(stream: &[u8], frames: &[(usize, usize)], seed: u8, step: u8) {
    let passes = |frame: usize| (usize::from(seed) >> (frame % 8)) & 1 == 0;
    let expected: Vec<u8> = frames
        .iter()
        .enumerate()
        .filter(|(frame, _)| passes(*frame))
        .flat_map(|(_, (start, end))| &stream[*start..*end])
        .copied()
        .collect();
    let last = frames.last().map_or(0, |(_, end)| *end);

    let (mut input, mut scan) = (Buffer::new(), Scan::default());
    let (mut staged, mut sent) = (BytesMut::new(), Vec::new());
    let mut frame = 0;
    for (turn, piece) in stream[..last].chunks(usize::from(step) + 1).enumerate() {
        let mut piece = piece;
        while !piece.is_empty() {
            let room = input.room();
            let n = piece.len().min(room.len());
            room[..n].copy_from_slice(&piece[..n]);
            input.filled(n);
            piece = &piece[n..];
        }
        while scan.advance(&mut input, &mut staged) {
            let Some((start, end)) = frames.get(frame) else {
                break;
            };
            let unseen = scan.unseen(&input);
            if unseen.len() < frontend::HEADER {
                break;
            }
            assert_eq!(
                unseen[..frontend::HEADER],
                stream[*start..][..frontend::HEADER]
            );
            if passes(frame) {
                scan.pass(&input, end - start);
            } else {
                scan.drop_next(&mut input, &mut staged, end - start);
            }
            frame += 1;
        }
        if turn % 3 == usize::from(seed) % 3 {
            sent.extend_from_slice(&staged.split());
            let n = scan.approved(&input).len().div_ceil(2);
            sent.extend_from_slice(&scan.approved(&input)[..n]);
            scan.sent(&mut input, n);
        }
    }
    assert_eq!(frame, frames.len());
    assert!(!scan.is_within());
    sent.extend_from_slice(&staged);
    sent.extend_from_slice(scan.approved(&input));
    assert_eq!(sent, expected);
    assert!(scan.unseen(&input).is_empty());
}

/// What a server sends.
pub fn backend(data: &[u8]) {
    let [seed, step, stream @ ..] = data else {
        return;
    };
    let frames = frames(stream, |bytes| {
        let header = server::header(bytes).map_err(drop)?;
        Ok(header.map(|header| (header.tag, server::HEADER + header.body)))
    });
    for (tag, start, end) in &frames {
        let message = &stream[*start..*end];
        let mut again = Vec::new();
        server::message(&mut again, *tag, &message[server::HEADER..]);
        assert_eq!(again, message);
        decode_answer(&message[server::HEADER..]);
    }
    let ends: Vec<(usize, usize)> = frames
        .iter()
        .map(|(_, start, end)| (*start, *end))
        .collect();
    in_pieces(stream, &ends, *seed, *step);
    decode_answer(stream);
    an_error_comes_back(stream);
}

/// Every decoder on every body: a server may send anything.
fn decode_answer(body: &[u8]) {
    let mut again = Vec::new();
    if let Some(values) = server::data_row(body) {
        again.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
        for value in values {
            let len = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
            again.extend(len.to_be_bytes());
            again.extend(value.unwrap_or_default());
        }
        assert_eq!(again, body);
    }
    if let Some((name, value)) = server::parameter_status(body) {
        again.clear();
        server::write_parameter_status(&mut again, name, value);
        assert!(body.starts_with(&again[server::HEADER..]));
    }
    if let Some((pid, secret)) = server::backend_key_data(body) {
        again.clear();
        server::write_backend_key_data(&mut again, pid, secret);
        assert_eq!(again[server::HEADER..], *body);
    }
    if let Ok(status) = server::TransactionStatus::decode(body) {
        again.clear();
        server::ready_for_query(&mut again, status);
        assert_eq!(again[server::HEADER..], *body);
    }
    let report = server::report(body);
    // A byte that is no UTF-8 becomes a character of three.
    for text in [&report.severity, &report.sqlstate, &report.message] {
        assert!(text.len() <= 3 * body.len() && !text.contains('\0'));
    }
}

/// An error of ours is one whole message, whatever text it quotes.
fn an_error_comes_back(text: &[u8]) {
    let text = String::from_utf8_lossy(text).into_owned();
    let error = ClientError::error("42501", text.clone())
        .detail(text.clone())
        .hint(text.clone());
    let mut out = Vec::new();
    error.encode(&mut out);
    let header = server::header(&out).unwrap().unwrap();
    assert_eq!(
        (header.tag, server::HEADER + header.body),
        (b'E', out.len())
    );
    let report = server::report(&out[server::HEADER..]);
    assert_eq!((&*report.severity, &*report.sqlstate), ("ERROR", "42501"));
    assert_eq!(report.message, text.replace('\0', ""));
}
