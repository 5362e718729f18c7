//! `[profiles.NAME]` and the keys that name one, as the configuration reads them.

use pgtenant::audit::Statements;
use pgtenant::config::load_with;
use pgtenant::tenant::{MostResult, ProfileName};
use std::time::Duration;
use testkit::{INNOVATE, SCRAM, SYNERGY};

fn text(profile: &str, login: &str, more: &str) -> String {
    format!(
        r#"
[tls]
mode = "off"
[servers.main]
host = "127.0.0.1"
tls = "off"
user = "wellness_app"
[servers.copy]
host = "127.0.0.2"
tls = "off"
user = "wellness_app"
replica_of = "main"
[servers.other]
host = "127.0.0.3"
tls = "off"
user = "wellness_app"
[isolation.wellness]
kind = "setting"
server = "main"
database = "wellness_corp_db"
setting = "session.current_organization_id"
[[tenants]]
id = "{INNOVATE}"
[[tenants]]
id = "{SYNERGY}"
[profiles.bi]
{profile}
[[logins]]
user = "innovate"
tenant = "{INNOVATE}"
scram = "{SCRAM}"
{login}
{more}
"#
    )
}

fn load(text: &str) -> Result<pgtenant::config::Settings, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgtenant.toml");
    std::fs::write(&file, text).unwrap();
    let loaded = load_with(&file, []);
    loaded.map_err(|problems| {
        let all = problems.to_string();
        all.lines().map(str::to_owned).collect()
    })
}

#[track_caller]
fn assert_says(text: &str, expected: &[&str]) {
    let lines = load(text).unwrap_err();
    for said in expected {
        assert!(
            lines.iter().any(|line| line.contains(said)),
            "{said}: {lines:#?}"
        );
    }
}

#[test]
fn every_key_is_read_and_comes_to_the_login() {
    let lines = "read_only = true\nmasked = false\nserver = \"copy\"\nstatement_timeout = \"30s\"\n\
        idle_in_transaction_timeout = \"10s\"\ntransaction_timeout = \"1min\"\n\
        client_idle_timeout = \"1h\"\nmax_clients = 20\npool_size = 2\nmax_rows = 5\n\
        max_result_bytes = \"1MiB\"\nallowed = [\"10.0.5.0/24\"]\naudit = \"all\"";
    let settings = load(&text(lines, "profile = \"bi\"", "")).unwrap();
    let login = settings.directory.find("innovate").unwrap();
    let profile = login.principal.limits.profile.clone().unwrap();
    assert_eq!(profile, settings.profiles[&ProfileName::new("bi")]);
    assert!(profile.read_only && !profile.masked);
    let limits = &profile.limits;
    assert_eq!((limits.max_clients, limits.pool_size), (Some(20), Some(2)));
    let most = MostResult {
        rows: Some(5),
        bytes: Some(1 << 20),
    };
    assert_eq!(profile.most_result, most);
    assert_eq!(limits.audit, Some(Statements::All));
    assert_eq!(limits.allowed.networks.len(), 1);
    let timeouts = login.principal.limits.timeouts();
    let second = Duration::from_secs(1);
    assert_eq!(timeouts.statement_timeout, Some(30 * second));
    assert_eq!(timeouts.idle_in_transaction_timeout, Some(10 * second));
    assert_eq!(timeouts.transaction_timeout, Some(60 * second));
    assert_eq!(timeouts.client_idle_timeout, Some(3600 * second));
    // Its statements run there.
    let server = &login.principal.tenant.placement.endpoint.server;
    assert_eq!(server.as_str(), "copy");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let lines = "masked = 1\nread_onli = true\nserver = \"copi\"\nmax_rows = 0\n\
        max_result_bytes = 5\npool_size = 0\nstatement_timeout = \"1ms\"\nallowed = \"x\"\n\
        audit = \"some\"";
    let more = "[profiles.empty]\n[[logins]]\nuser = \"b\"\ntenant = \"22222222-2222-2222-2222-222222222222\"\n\
        scram = \"x\"\nprofile = \"ib\"";
    let expected = [
        "profiles.bi.masked",
        "profiles.bi.read_onli: unknown key; did you mean `read_only`?",
        "profiles.bi.server = \"copi\": no section [servers.NAME] has this name; did you mean `copy`?",
        "profiles.bi.max_rows = 0",
        "profiles.bi.max_result_bytes = 5",
        "profiles.bi.pool_size = 0",
        "profiles.bi.statement_timeout = \"1ms\"",
        "profiles.bi.allowed",
        "profiles.bi.audit = \"some\": must be one of",
        "logins[1].profile: no section [profiles.NAME] has the name \"ib\"; did you mean `bi`?",
        "logins[1].scram",
    ];
    assert_says(&text(lines, "profile = \"bi\"", more), &expected);
}

#[test]
fn a_profile_s_server_must_have_the_tenant_s_data() {
    let other = text("server = \"other\"", "profile = \"bi\"", "");
    assert_says(
        &other,
        &["logins[0].profile = \"bi\": the server \"other\" is not known to be a replica"],
    );
    // What the login says itself holds.
    let own = text(
        "server = \"other\"",
        "profile = \"bi\"\nserver = \"copy\"",
        "",
    );
    let settings = load(&own).unwrap();
    let login = settings.directory.find("innovate").unwrap();
    let server = &login.principal.tenant.placement.endpoint.server;
    assert_eq!(server.as_str(), "copy");
}

#[test]
fn tokens_may_name_listed_profiles_alone() {
    let issuer = |lines: &str| {
        let more = format!(
            "[jwt.people]\nissuer = \"https://issuer.example\"\naudience = \"pgtenant\"\n\
             jwks_file = \"none\"\n{lines}"
        );
        text("", "", &more)
    };
    assert_says(
        &issuer("profiles = [\"bi\"]"),
        &["jwt.people.profiles: has no meaning without profile_claim"],
    );
    assert_says(
        &issuer("profile_claim = \"p\""),
        &["jwt.people.profiles: is missing"],
    );
    assert_says(
        &issuer("profile_claim = \"p.\"\nprofiles = [\"bi\", \"ib\"]\nprofile = \"b\""),
        &[
            "jwt.people.profile_claim = \"p.\": must be the name of a claim",
            "jwt.people.profiles: no section [profiles.NAME] has the name \"ib\"; did you mean `bi`?",
            "jwt.people.profile: no section [profiles.NAME] has the name \"b\"",
        ],
    );
}
