//! What the fuzz targets assert, on their seeds and on bytes at random: the
//! same functions, with any compiler and in little time. `fuzz/run` searches
//! further.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]
#![allow(dead_code, unreachable_pub)]

#[path = "../fuzz/src/guard.rs"]
mod guard;
#[path = "../fuzz/src/sql.rs"]
mod sql;
#[path = "../fuzz/src/wire.rs"]
mod wire;

use proptest::collection::vec;
use proptest::prelude::*;
use std::path::Path;

/// Every seed, as it is and cut short.
fn on_seeds(target: &str, body: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let mut tried = 0;
    for entry in std::fs::read_dir(seeds.join(target)).unwrap() {
        let seed = std::fs::read(entry.unwrap().path()).unwrap();
        body(&seed);
        for end in (0..seed.len()).step_by(1 + seed.len() / 8) {
            body(&seed[..end]);
        }
        tried += 1;
    }
    assert!(tried > 0, "no seeds for {target}");
}

#[test]
fn what_holds_for_any_text_holds_for_the_seeds() {
    on_seeds("guard", guard::guard);
}

#[test]
fn what_holds_for_any_bytes_holds_for_the_seeds() {
    on_seeds("startup", wire::startup);
    on_seeds("frontend", wire::frontend);
    on_seeds("backend", wire::backend);
}

/// Messages with a right length word, of any type and body.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let tag = proptest::sample::select(b"BCdcfDEHFPQSXTZKRpAGt".as_slice());
    let message = (
        tag,
        vec(prop_oneof![Just(0), any::<u8>(), b'a'..b'd'], 0..40),
    );
    (
        any::<[u8; 2]>(),
        vec(message, 0..12),
        vec(any::<u8>(), 0..8),
    )
        .prop_map(|(head, messages, rest)| {
            let mut bytes = head.to_vec();
            for (tag, body) in messages {
                bytes.push(tag);
                bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
                bytes.extend(body);
            }
            bytes.extend(rest);
            bytes
        })
}

/// First packets with a right length word.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![
        (0..4_u32).prop_map(|minor| (3 << 16) | minor),
        (5678..5681_u32).prop_map(|code| (1234 << 16) | code),
        any::<u32>(),
    ];
    let byte = prop_oneof![Just(0), b'a'..b'd', b' '..b'>', any::<u8>()];
    (code, vec(byte, 0..60)).prop_map(|(code, body)| {
        let mut bytes = u32::try_from(body.len() + 8)
            .unwrap()
            .to_be_bytes()
            .to_vec();
        bytes.extend(code.to_be_bytes());
        bytes.extend(body);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn of_any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        guard::guard(&bytes);
        wire::startup(&bytes);
        wire::frontend(&bytes);
        wire::backend(&bytes);
    }

    #[test]
    fn of_any_statement(bytes in vec(any::<u8>(), 0..200)) {
        guard::statements(&bytes);
    }

    #[test]
    fn of_any_messages(bytes in messages()) {
        wire::frontend(&bytes);
        wire::backend(&bytes);
    }

    #[test]
    fn of_any_first_packet(bytes in packets()) {
        wire::startup(&bytes);
    }
}
