//! The statements that were refused, as they are shown.

use super::{cell, operator, proxy};
use testkit::{Options, Pipeline};

#[test]
fn a_refused_statement_is_shown_without_its_literals() {
    let proxy = proxy(Options::default());
    let mut client = proxy.raw("innovate");
    let mut admin = operator(&proxy);
    let shape = |admin: &mut _, user| cell(admin, "SHOW REFUSALS", "shape", &[("user", user)]);
    client.error("SELECT set_config('role', 'hunter2', false) -- hunter2");
    assert_eq!(
        shape(&mut admin, "innovate"),
        "SELECT set_config(?, ?, false)"
    );
    // Refused with its values, and shown without them.
    let mut other = proxy.raw("synergy");
    let pipeline = Pipeline::new()
        .parse("", "SELECT set_config($1, $2, false)")
        .bind("", "", &["role", "hunter2"])
        .execute("", 0)
        .sync();
    assert_eq!(other.run(&pipeline).error().code(), "42501");
    assert_eq!(
        shape(&mut admin, "synergy"),
        "SELECT set_config($1, $2, false)"
    );
}

#[test]
fn a_hostile_text_harms_no_terminal_and_fills_no_memory() {
    let proxy = proxy(Options::default());
    let mut client = proxy.raw_with("innovate", &[("application_name", "a\u{1b}]0;b\u{7}")]);
    let mut admin = operator(&proxy);
    client.error("SET ROLE \"\u{1b}[2J\n\u{202e}x\u{85}\"");
    client.error(&format!("SET ROLE \"{}\"", "ä".repeat(4000)));
    let rows = admin.run_ok("SHOW REFUSALS").rows();
    assert_eq!(
        rows[1][7].as_deref(),
        Some("SET ROLE \"\\u{1b}[2J\\n\\u{202e}x\\u{85}\"")
    );
    let long = rows[0][7].clone().unwrap();
    assert!(long.len() < 520 && long.ends_with("ä…"), "{long}");
    for word in ["REFUSALS", "CLIENTS", "SOCKETS", "PINS", "LOGINS"] {
        let rows = admin.run_ok(&format!("SHOW {word}")).rows();
        let texts = rows.into_iter().flatten().flatten();
        for text in texts {
            assert!(!text.contains(char::is_control), "{word}: {text:?}");
        }
    }
}
