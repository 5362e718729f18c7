//! The profile that an entry of `[[certificates]]` gives.

use super::{CA, client, client_for, dsn, trusting};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Output, Stdio};
use testkit::{INNOVATE, Options, Proxy, SYNERGY, site, stderr, stdout, wait_until};

fn start() -> Proxy {
    let entries = format!(
        "[profiles.bi]\nread_only = true\n[profiles.other]\n\
         [[certificates]]\nmatch = \"CN=reports\"\ntenant = {INNOVATE:?}\nprofile = \"bi\"\n\
         [[certificates]]\nmatch = \"CN=ingest\"\ntenant = {INNOVATE:?}\n\
         [[certificates]]\nmatch = \"URI:spiffe://bi.example/{{tenant}}/{{login}}\"\nprofile = \"bi\"\n\
         [[certificates]]\nmatch = \"URI:spiffe://app.example/{{tenant}}\"\nprofile = \"other\"\n"
    );
    Proxy::start(&Options {
        tls: "require",
        tls_keys: trusting(&CA.certificate()),
        more: entries,
        ..Options::default()
    })
}

fn run(dsn: &str, sql: &str) -> Output {
    let mut psql = Command::new(site().cluster.client_program("psql"));
    psql.args(["-X", "-A", "-t", "-w", "-c", sql, "-d", dsn]);
    psql.env_remove("PGPASSWORD").output().unwrap()
}

const READS: &str = "SHOW transaction_read_only";

#[test]
fn a_certificate_has_the_profile_of_its_entry() {
    let proxy = start();
    let reports = dsn(&proxy, "anybody", None, Some(&client("reports")));
    assert_eq!(stdout(&run(&reports, READS)).trim(), "on");
    assert!(stderr(&run(&reports, "UPDATE users SET email = email")).contains("read-only"));
    let ingest = dsn(&proxy, "anybody", None, Some(&client("ingest")));
    assert_eq!(stdout(&run(&ingest, READS)).trim(), "off");
    let uri = format!("URI:spiffe://bi.example/{SYNERGY}/tool");
    let tool = dsn(&proxy, "tool", None, Some(&client_for("tool", &uri)));
    assert_eq!(stdout(&run(&tool, READS)).trim(), "on");
}

#[test]
fn a_reload_changes_the_profile_of_who_is_there() {
    let proxy = start();
    let reports = dsn(&proxy, "anybody", None, Some(&client("reports")));
    let mut psql = Command::new(site().cluster.client_program("psql"));
    psql.args(["-X", "-A", "-t", "-w", "-d", &reports]);
    psql.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut psql = psql.spawn().unwrap();
    let (mut input, output) = (psql.stdin.take().unwrap(), psql.stdout.take().unwrap());
    let mut lines = BufReader::new(output).lines();
    let mut reads = || {
        writeln!(input, "{READS};").unwrap();
        lines.next().unwrap().unwrap()
    };
    assert_eq!(reads(), "on");
    let entry = format!("tenant = {INNOVATE:?}\n");
    let profile = "profile = \"bi\"\n";
    proxy.reload(|text| text.replacen(&format!("{entry}{profile}"), &entry, 1));
    assert_eq!(reads(), "off");
    proxy.reload(|text| {
        let name = "match = \"CN=reports\"\n";
        text.replace(name, &format!("{name}{profile}"))
    });
    assert_eq!(reads(), "on");
    drop(input);
    assert!(psql.wait().unwrap().success());
}

#[test]
fn names_that_lead_to_different_profiles_are_refused() {
    let proxy = start();
    let both = format!("URI:spiffe://bi.example/{SYNERGY}/tool,URI:spiffe://app.example/{SYNERGY}");
    let both = dsn(&proxy, "tool", None, Some(&client_for("both", &both)));
    assert!(!run(&both, READS).status.success());
    wait_until("the log says why", || {
        proxy
            .log()
            .contains("entries of [[certificates]] with different profiles")
    });
}
