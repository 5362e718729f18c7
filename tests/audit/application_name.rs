//! PostgreSQL's own log tells clients apart.

use testkit::{INNOVATE, Options, Proxy, Raw, SYNERGY, site, wait_until};

const PREFIX: &str = "ALTER SYSTEM SET log_line_prefix = '<%a> '";
const STATEMENTS: &str = "ALTER SYSTEM SET log_statement = 'all'";

/// The lines of PostgreSQL's log that have this text, once there is one.
fn lines(text: &str) -> Vec<String> {
    let path = site().cluster.log_path();
    let mut found = Vec::new();
    wait_until("PostgreSQL's log has it", || {
        let log = std::fs::read_to_string(&path).unwrap();
        let lines = log.lines().filter(|line| line.contains(text));
        found = lines.map(str::to_owned).collect();
        !found.is_empty()
    });
    found
}

#[test]
fn postgresql_s_log_names_application_tenant_and_login() {
    for sql in [PREFIX, STATEMENTS, "SELECT pg_reload_conf()"] {
        site().sql("postgres", sql);
    }
    wait_until("the settings hold", || {
        site().sql("postgres", "SHOW log_statement") == "all"
    });
    let proxy = Proxy::start(&Options::default());
    proxy.reload(|text| {
        let name = "application_name = \"{app} {tenant} {login}\"";
        let changed = text.replacen("[servers.main]\n", &format!("[servers.main]\n{name}\n"), 1);
        assert_ne!(changed, text);
        changed
    });
    let log_in =
        |login: &str, app: &str| -> Raw { proxy.raw_with(login, &[("application_name", app)]) };
    let mut one = log_in("innovate", "billing");
    let mut other = log_in("synergy", "reports");
    one.run_ok("SELECT 'mark 1'");
    one.run_ok("SELECT 'mark 2'");
    other.run_ok("SELECT 'mark 3'");
    let shown = one.value("SHOW application_name");
    assert_eq!(shown, format!("billing {INNOVATE} innovate"));
    for (mark, name) in [
        (1, &shown),
        (2, &shown),
        (3, &format!("reports {SYNERGY} synergy")),
    ] {
        let found = lines(&format!("SELECT 'mark {mark}'"));
        assert!(found[0].starts_with(&format!("<{name}> ")), "{found:?}");
    }
    // Where nothing changes nothing is set: between the two there is nothing.
    let of_one = lines(&format!("<{shown}> "));
    let at = of_one
        .iter()
        .position(|line| line.contains("mark 1"))
        .unwrap();
    assert!(of_one[at + 1].contains("mark 2"), "{of_one:#?}");
    // Its own holds once it sets it.
    one.run_ok("SET application_name = 'mine'");
    assert_eq!(one.value("SHOW application_name"), "mine");
    one.run_ok("RESET application_name");
    assert_eq!(one.value("SHOW application_name"), shown);
}
