//! What a profile says of the time, the place and the statements of its logins.

use crate::{BI, bi, options, start, try_bi, with_login};
use testkit::{INNOVATE, Options, Proxy, Raw, site, wait_until};

fn tenant() -> String {
    format!("[[tenants]]\nid = \"{INNOVATE}\"\n")
}

/// Adds `line` behind `head`.
fn add(text: &str, head: &str, line: &str) -> String {
    assert!(text.contains(head), "{head}");
    text.replacen(head, &format!("{head}{line}\n"), 1)
}

#[test]
fn transactions_only_read_and_the_client_cannot_change_that() {
    let proxy = start("read_only = true");
    let mut client = bi(&proxy);
    assert_eq!(client.value("SHOW transaction_read_only"), "on");
    let write = "UPDATE users SET email = email";
    assert_eq!(client.error(write).code(), "25006");
    for sql in [
        "SET default_transaction_read_only = off",
        "BEGIN READ WRITE",
        "SELECT set_config('transaction_read_only', 'off', false)",
    ] {
        let refused = client.query(sql);
        assert!(!refused.errors().is_empty(), "{sql}");
        client.query("ROLLBACK");
    }
    client.run_ok("RESET ALL");
    assert_eq!(client.error(write).code(), "25006");
    // Its tenant's other logins write.
    proxy.raw("innovate").run_ok(write);
    // A reload takes it away, and gives it back, while the session goes on.
    proxy.reload(|text| text.replace("read_only = true", "read_only = false"));
    client.run_ok(write);
    proxy.reload(|text| text.replace("read_only = false", "read_only = true"));
    assert_eq!(client.error(write).code(), "25006");
    // A login can lose its profile, too.
    proxy.reload(|text| text.replace("profile = \"bi\"\n", ""));
    client.run_ok(write);
}

#[test]
fn the_strictest_limit_of_time_counts() {
    let proxy = start("statement_timeout = \"30s\"\nidle_in_transaction_timeout = \"20s\"");
    let mut client = bi(&proxy);
    let mut shows = |expected: &str| {
        assert_eq!(client.value("SHOW statement_timeout"), expected);
        assert_eq!(
            client.value("SHOW idle_in_transaction_session_timeout"),
            "20s"
        );
    };
    shows("30s");
    proxy.reload(|text| add(&text, &tenant(), "statement_timeout = \"10s\""));
    shows("10s");
    let login = format!("[[logins]]\nuser = {BI:?}\n");
    proxy.reload(|text| add(&text, &login, "statement_timeout = \"5s\""));
    shows("5s");
    let line = "statement_timeout = \"30s\"";
    proxy.reload(|text| text.replace(line, "statement_timeout = \"2s\""));
    shows("2s");
    assert_eq!(proxy.raw("innovate").value("SHOW statement_timeout"), "10s");
}

#[test]
fn sessions_end_by_the_limits_of_their_profile() {
    let proxy = start("transaction_timeout = \"500ms\"\nclient_idle_timeout = \"1s\"");
    let mut app = proxy.raw("innovate");
    app.run_ok("BEGIN");
    let (mut open, mut idle) = (bi(&proxy), bi(&proxy));
    open.run_ok("BEGIN");
    assert_eq!(open.until_closed().error().code(), "25P04");
    assert_eq!(idle.until_closed().error().code(), "57P05");
    app.run_ok("COMMIT");
}

#[test]
fn a_login_comes_from_the_networks_of_both() {
    let proxy = start("allowed = [\"127.0.0.0/8\"]");
    let mut client = bi(&proxy);
    proxy.reload(|text| text.replace("127.0.0.0/8", "10.0.0.0/8"));
    // Without a word of what was wrong.
    assert_eq!(try_bi(&proxy).err().unwrap().code(), "28P01");
    let error = client.refusal();
    assert!(
        error.message().contains("address is not allowed"),
        "{error:?}"
    );
    proxy.raw("innovate").run_ok("SELECT 1");
    proxy.reload(|text| {
        let text = text.replace("10.0.0.0/8", "127.0.0.0/8");
        add(&text, &tenant(), "allowed = [\"10.0.0.0/8\"]")
    });
    assert_eq!(try_bi(&proxy).err().unwrap().code(), "28P01");
}

#[test]
fn statements_are_recorded_as_the_profile_says() {
    let file = site().file("profile-audit.jsonl");
    let audit = format!("[audit]\nfile = {file:?}\nstatements = \"none\"\n");
    let proxy = Proxy::start(&Options {
        more: format!("{}{audit}", with_login("audit = \"all\"")),
        ..Options::default()
    });
    proxy.raw("innovate").run_ok("SELECT 101 AS app");
    bi(&proxy).run_ok("SELECT 102 AS bi");
    let recorded = || std::fs::read_to_string(&file).unwrap_or_default();
    wait_until("it is recorded", || recorded().contains("AS bi"));
    assert!(!recorded().contains("AS app"));
    // What the login says itself comes first.
    let login = format!("[[logins]]\nuser = {BI:?}\n");
    proxy.reload(|text| add(&text, &login, "audit = \"none\""));
    bi(&proxy).run_ok("SELECT 103 AS silent");
    proxy.reload(|text| text.replace("audit = \"none\"\n", ""));
    bi(&proxy).run_ok("SELECT 104 AS again");
    wait_until("it is recorded", || recorded().contains("AS again"));
    assert!(!recorded().contains("AS silent"));
}

#[test]
fn statements_run_on_the_profile_s_server() {
    let port = site().cluster.port();
    let ca = site().ca_file();
    // No replica: it is enough that it is looked for there.
    let copy = format!(
        "[servers.copy]\nhost = \"localhost\"\nport = {port}\ntls = \"verify-full\"\nca = {ca:?}\n\
         user = \"wellness_app\"\npassword_file = {:?}\nreplica_of = \"main\"\n",
        site().file("app.password")
    );
    let proxy = Proxy::start(&Options {
        more: format!("{}{copy}", with_login("server = \"copy\"")),
        wait_timeout: "500ms",
        connect_timeout: "500ms",
        ..Options::default()
    });
    proxy.raw("innovate").run_ok("SELECT 1");
    let error = try_bi(&proxy).err().unwrap();
    assert_eq!(error.code(), "57P03");
    proxy.wait_for_log(
        "server=copy database=wellness_corp_db user=\"wellness_app\" error=the host is a primary",
    );
    proxy.reload(|text| text.replace("server = \"copy\"\n", ""));
    bi(&proxy).run_ok("SELECT 1");
}

#[test]
fn a_profile_that_is_gone_keeps_the_configuration_as_it_was() {
    let proxy = start("read_only = true");
    let mut client = bi(&proxy);
    let text = std::fs::read_to_string(&proxy.config).unwrap();
    let text = text.replace("[profiles.bi]", "[profiles.other]");
    std::fs::write(&proxy.config, text).unwrap();
    proxy.wait_for_log("no section [profiles.NAME] has the name");
    assert_eq!(
        client.error("UPDATE users SET email = email").code(),
        "25006"
    );
    bi(&proxy).run_ok("SELECT 1");
}

#[test]
fn the_console_shows_profiles() {
    let verifier = &site().login_verifier;
    let admins = format!("[[admins]]\nuser = \"ops\"\nrole = \"viewer\"\nscram = {verifier:?}\n");
    let mut options = options("read_only = true");
    options.more += &admins;
    let proxy = Proxy::start(&options);
    let (_bi, _app) = (bi(&proxy), proxy.raw("innovate"));
    let parameters = [("user", "ops"), ("database", "pgtenant")];
    let mut console = Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap();
    let rows = console.query("SHOW LOGINS").rows();
    let profile = |login: &str| {
        let row = rows.iter().find(|row| row[0].as_deref() == Some(login));
        row.unwrap().last().unwrap().clone()
    };
    assert_eq!(profile(BI).as_deref(), Some("bi"));
    assert_eq!(profile("innovate"), None);
}
