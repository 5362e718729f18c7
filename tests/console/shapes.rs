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
