//! No text makes it panic, and whatever comes out loads as far as it says.

use super::assert_told;
use pgtenant::import::{self, KEYS};
use proptest::prelude::*;
use proptest::sample::select;

/// A line of PgBouncer's own making, with values that fit more or less.
fn line() -> impl Strategy<Value = String> {
    let of = |section: &'static str| {
        let keys = KEYS.iter().filter(move |key| key.section == section);
        select(keys.map(|key| key.name).collect::<Vec<_>>())
    };
    let value = prop_oneof![
        4 => (0..100_000_u32).prop_map(|n| n.to_string()),
        2 => select(vec!["0", "-1", "1.5", "1e9", "md5", "cert", "require", "verify-full", "*",
            "session", "transaction", "10.0.0.1, ::1", "/tmp", "a,b", "'it''s'", "{x}", "\"q\"",
            "localhost", "pgbouncer", "ÄÖ", "\u{b}x", "\\"]).prop_map(str::to_owned),
        1 => "[ -~]{0,20}",
    ];
    let pairs = prop::collection::vec((of("databases"), value.clone()), 0..5);
    let pairs = pairs.prop_map(|pairs| {
        let pairs: Vec<_> = pairs.into_iter().map(|(k, v)| format!("{k}={v}")).collect();
        pairs.join(" ")
    });
    let name = select(vec![
        "a",
        "b",
        "*",
        "\"c d\"",
        "\"{e}\"",
        "\"f\"\"g\"",
        "h.i",
        "pg-1",
    ]);
    prop_oneof![
        3 => (of("pgbouncer"), value).prop_map(|(key, v)| format!("[pgbouncer]\n{key} = {v}")),
        3 => (name, pairs).prop_map(|(name, pairs)| format!("[databases]\n{name} = {pairs}")),
        1 => "[ -~]{0,30}",
    ]
}

fn user() -> impl Strategy<Value = String> {
    let name = select(vec!["a", "b_app", "c\"\"d", "ÄÖ", "*", "\\"]);
    let secret = select(vec!["", "md5", "pw", "SCRAM-SHA-256$", "x\"\"y"]);
    (name, secret).prop_map(|(name, secret)| format!("\"{name}\" \"{secret}\""))
}

/// Imports the texts, and looks at what came out.
fn import(ini: &[u8], users: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgbouncer.ini");
    let list = folder.path().join("userlist.txt");
    std::fs::write(&file, ini).unwrap();
    std::fs::write(&list, users).unwrap();
    match import::pgbouncer(&file, Some(&list)) {
        Ok(imported) => assert_told(&imported, &String::from_utf8_lossy(ini)),
        Err(problems) => assert!(!problems.is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn bytes_do_not_panic(
        ini in proptest::collection::vec(any::<u8>(), 0..200),
        users in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        import(&ini, &users);
    }

    #[test]
    fn what_comes_out_loads_as_far_as_it_says(
        lines in proptest::collection::vec(line(), 0..12),
        users in proptest::collection::vec(user(), 0..3),
    ) {
        import(lines.join("\n").as_bytes(), users.join("\n").as_bytes());
    }
}
