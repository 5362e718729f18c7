//! What one tenant can see and leave behind: nothing of another's.

mod common;

use common::{Options, Proxy};

#[test]
fn each_kind_shows_exactly_ones_own_rows() {
    let proxy = Proxy::start(&Options::default());
    for (login, sql, expected) in OWN_ROWS {
        assert_eq!(proxy.raw(login).run_ok(sql).column(), *expected, "{login}");
    }
}

/// What each tenant's tables say of whose they are.
const OWN_ROWS: &[(&str, &str, &[&str])] = &[
    (
        "innovate",
        "SELECT email FROM users",
        &["alice@innovate.example"],
    ),
    (
        "synergy",
        "SELECT email FROM users",
        &["bob@synergy.example"],
    ),
    (
        "acme",
        "SELECT DISTINCT employee_email FROM employee_logs ORDER BY 1",
        &["carol@acme-health.example", "dan@acme-health.example"],
    ),
    (
        "globex",
        "SELECT DISTINCT employee_email FROM employee_logs ORDER BY 1",
        &["erin@globex.example", "frank@globex.example"],
    ),
    (
        "initech",
        "SELECT email FROM users",
        &["grace@initech.example"],
    ),
    (
        "umbrella",
        "SELECT email FROM users",
        &["grace@umbrella.example"],
    ),
];

#[tokio::test]
async fn a_driver_and_psql_see_the_same() {
    let proxy = Proxy::start(&Options::default());
    let client = proxy.connect("synergy").await;
    let row = client
        .query_one("SELECT email FROM users", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "bob@synergy.example");
    let output = proxy.psql("synergy", &["SELECT email FROM users"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "bob@synergy.example\n"
    );
}
