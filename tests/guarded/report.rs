//! What a guard that only reports lets pass, and what it says of it.

use std::process::Command;
use testkit::{Options, Pipeline, Proxy, SYNERGY, configuration, site};

fn report_only() -> Options {
    Options {
        size: 1,
        guard: "report",
        ..Options::default()
    }
}

#[test]
fn what_would_be_refused_passes_and_is_logged_by_its_rule() {
    let proxy = Proxy::start(&report_only());
    let said = proxy.wait_for_log("guard.mode = \"report\"");
    assert!(
        said.contains("WARN") && said.contains("NOT refused"),
        "{said}"
    );
    let mut client = proxy.raw("innovate");
    let set = format!("SET session.current_organization_id = '{SYNERGY}'; SELECT email FROM users");
    assert_eq!(client.run_ok(&set).column(), ["bob@synergy.example"]);
    let said = proxy.wait_for_log("statement_would_be_refused");
    assert!(said.contains("rule=\"tenant-setting\""), "{said}");
    // The next transaction is the tenant's own again.
    assert_eq!(
        client.value("SELECT email FROM users"),
        "alice@innovate.example"
    );
    let values = ["role", "wellness_app"];
    let bound = Pipeline::new()
        .parse("", "SELECT set_config($1, $2, true)")
        .bind("", "", &values)
        .execute("", 0)
        .sync();
    client.run(&bound).ok();
    proxy.wait_for_log("rule=\"role\"");
    client.run_ok("SELECT pg_cancel_backend(0)");
    proxy.wait_for_log("rule=\"other-sessions\"");
    let pid = client.pid.to_string();
    assert_ne!(client.value("SELECT pg_backend_pid()"), pid);
}

#[test]
fn check_warns_of_a_guard_that_only_reports() {
    let config = site().write_new(".toml", &configuration(site(), &report_only()));
    let output = Command::new(env!("CARGO_BIN_EXE_pgtenant"))
        .args(["check", "--offline", "--config"])
        .arg(config)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("PGT001"), "{said}");
    assert_eq!(output.status.code(), Some(5), "{said}");
}

#[test]
fn each_refusal_names_its_rule_in_both_protocols() {
    let proxy = Proxy::start(&Options {
        size: 1,
        ..Options::default()
    });
    let mut client = proxy.raw("innovate");
    let long = format!("SELECT '{}'", "x".repeat(9 << 20));
    for (sql, rule) in [
        ("SET ROLE postgres", "role"),
        ("SELEC 1", "syntax"),
        ("SELECT '\u{fffd}' FROM; x", "syntax"),
        ("LISTEN a", "notify"),
        ("DO $$BEGIN END$$", "opaque-code"),
        ("SELECT set_config($1, $2, false)", "computed-setting"),
        (&*long, "statement-length"),
    ] {
        for (protocol, answer) in [
            ("simple", client.query(sql)),
            ("extended", client.extended(sql)),
        ] {
            if protocol == "extended" && rule == "computed-setting" {
                // There it is the values that decide: two were expected.
                continue;
            }
            let error = answer.errors()[0].clone();
            let detail = error.all.get("D").unwrap();
            assert!(
                detail.contains(&format!("rule {rule}")),
                "{sql:.40} {protocol}: {detail}"
            );
            assert!(!error.hint().is_empty(), "{rule}");
        }
        proxy.wait_for_log(&format!("rule=\"{rule}\""));
    }
}
