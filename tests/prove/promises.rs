//! The promises are those of SECURITY.md.

use pgtenant::ops::prove::PROMISES;

const SECURITY: &str = include_str!("../../SECURITY.md");

#[test]
fn every_promise_has_its_place_in_security_md_and_the_other_way_round() {
    let mut written: Vec<&str> = SECURITY
        .split("**")
        .skip(1)
        .step_by(2)
        .filter(|bold| {
            let mut letters = bold.chars();
            matches!(letters.next(), Some('P' | 'D'))
                && !letters.as_str().is_empty()
                && letters.all(|letter| letter.is_ascii_digit())
        })
        .collect();
    written.sort_unstable();
    let mut known: Vec<&str> = PROMISES.iter().map(|promise| promise.id).collect();
    known.sort_unstable();
    assert_eq!(written, known);
}
