//! The command: its arguments, its report and its exit codes.

use super::lab::{Lab, Report, SETTING, run};
use pgtenant::directory::Verifier;
use testkit::stdout;

#[test]
fn gaps_of_the_configuration_are_found_without_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pgtenant.toml");
    let text = "[listen]\naddress = \"0.0.0.0:6432\"\nmax_clients = 100\n[tls]\nmode = \"off\"\n\
         [servers.clear]\nhost = \"db.example.com\"\ntls = \"off\"\nuser = \"app\"\n\
         [servers.blind]\nhost = \"db2.example.com\"\ntls = \"require\"\nuser = \"app\"\n\
         [servers.here]\nhost = \"localhost\"\ntls = \"off\"\nuser = \"app\"\n\
         [isolation.schemas]\nkind = \"schema\"\nserver = \"clear\"\ndatabase = \"d\"\n\
         search_path = [\"{schema}\"]\n\
         [isolation.databases]\nkind = \"database\"\nserver = \"here\"\ndatabase = \"{database}\"\n\
         [guard]\nmode = \"report\"\nopaque = \"allow\"\nchannels = \"allow\"\n\
         [[tenants]]\nid = \"a\"\nisolation = \"schemas\"\nschema = \"a\"\n";
    std::fs::write(&file, text).unwrap();
    let report = Report::of(&run(&[
        "--config",
        file.to_str().unwrap(),
        "--offline",
        "--json",
    ]));
    assert_eq!(
        report.list(),
        [
            "PGT001 guard.mode",
            "PGT002 guard.opaque",
            "PGT003 servers.clear.tls",
            "PGT005 isolation.schemas",
            "PGT004 servers.blind.tls",
            "PGT006 guard.channels",
            "PGT007 tls.mode",
            "PGT008 guard.opaque",
        ]
    );
    assert_eq!(report.status, Some(5));
}

#[test]
fn a_database_that_cannot_be_looked_at_is_not_in_order() {
    let lab = Lab::start();
    let configuration = lab.setting("nowhere");
    let output = run(&["--config", configuration.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(text.contains("NOT CHECKED"), "{text}");
    assert!(text.contains("nowhere"), "{text}");
    assert!(!text.contains("password=app"), "{text}");
}

#[test]
fn a_wrong_url_is_refused_and_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pgtenant.toml");
    let verifier = Verifier::derive("x");
    let text = format!(
        "[tls]\nmode = \"off\"\n[servers.main]\nhost = \"localhost\"\ntls = \"off\"\nuser = \"app\"\n\
         [isolation.rows]\nkind = \"setting\"\nserver = \"main\"\ndatabase = \"d\"\n\
         setting = \"{SETTING}\"\n[[tenants]]\nid = \"a\"\n\
         [[logins]]\nuser = \"u\"\ntenant = \"a\"\nscram = \"{verifier}\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let config = file.to_str().unwrap();
    let output = run(&["--config", config, "--url", "postgres://o:hunter2@h/d?x=1"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("--url"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn every_check_can_be_listed_and_explained() {
    let output = run(&["--list"]);
    assert_eq!(output.status.code(), Some(0));
    let list = stdout(&output);
    assert!(list.lines().count() > 40, "{list}");
    for line in list.lines() {
        let id = line.split_whitespace().next().unwrap();
        let output = run(&["--explain", id]);
        assert_eq!(output.status.code(), Some(0), "{id}");
        let text = stdout(&output);
        assert!(text.starts_with(id) && text.lines().count() > 2, "{text}");
        assert!(
            text.lines().skip(1).all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }
    assert_eq!(run(&["--explain", "PGT999"]).status.code(), Some(2));
}

#[test]
fn the_report_for_people_is_grouped_and_has_no_escape_sequences() {
    let lab = Lab::with_gaps();
    lab.sql(
        "tenantlab",
        "CREATE TABLE gaps.\"odd\u{1b}[31m\" (organization_id uuid); \
         GRANT SELECT ON gaps.\"odd\u{1b}[31m\" TO wellness_app;",
    );
    let output = run(&["--config", lab.setting("tenantlab").to_str().unwrap()]);
    let text = stdout(&output);
    let position = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word}: {text}"));
    assert!(position("ERRORS") < position("PGT201"));
    assert!(position("PGT410") < position("WARNINGS"));
    assert!(position("WARNINGS") < position("NOTICES"));
    assert!(text.contains("ALTER VIEW gaps.v_entries SET (security_invoker = true);"));
    assert!(text.contains("odd\\u{1b}[31m"), "{text}");
    assert!(!text.contains('\u{1b}'));
}
