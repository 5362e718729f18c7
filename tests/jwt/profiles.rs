//! The profile that a token names.

use crate::client::{email, keys_of, log_in, proxy, refused};
use crate::issuer::{Signer, claims_with, rsa};
use serde_json::{Value, json};
use testkit::{INNOVATE, Proxy, Raw, site};

const PROFILES: &str = "[profiles.bi]\nread_only = true\n[profiles.app]\n[profiles.secret]\n";
const NAMING: &str = "profile_claim = \"wellness.profile\"\nprofiles = [\"bi\", \"app\"]\n";
const WRITE: &str = "UPDATE users SET email = email";

fn start(signer: &Signer, keys: &str, more: &str) -> Proxy {
    let keys = format!("{}\n{keys}", keys_of(&[signer]));
    proxy(&keys, &format!("{PROFILES}{more}"))
}

fn naming(signer: &Signer, profile: impl Into<Value>) -> String {
    signer.token(&claims_with(
        &json!({"wellness": {"profile": profile.into()}}),
    ))
}

#[track_caller]
fn assert_reads_only(client: &mut Raw) {
    assert_eq!(client.error(WRITE).code(), "25006");
    assert_eq!(email(client), "alice@innovate.example");
}

#[test]
fn a_token_has_the_profile_that_it_names_if_it_may() {
    let signer = rsa();
    let proxy = start(&signer, NAMING, "");
    assert_reads_only(&mut log_in(&proxy, "ann", &naming(&signer, "bi")).unwrap());
    log_in(&proxy, "ann", &naming(&signer, "app"))
        .unwrap()
        .run_ok(WRITE);
    let nothing = signer.token(&claims_with(&json!({})));
    let refusals = [
        (
            "a",
            naming(&signer, "secret"),
            "the profile \"secret\", which is not in",
        ),
        (
            "b",
            naming(&signer, "none"),
            "the profile \"none\", which is not in",
        ),
        ("c", naming(&signer, ""), "wellness.profile is not text"),
        (
            "d",
            naming(&signer, json!(["bi"])),
            "wellness.profile is not text",
        ),
        (
            "e",
            naming(&signer, Value::Null),
            "wellness.profile is not text",
        ),
        ("f", nothing, "the token names no profile"),
    ];
    for (user, token, reason) in refusals {
        refused(&proxy, log_in(&proxy, user, &token), user, reason);
    }
}

#[test]
fn tokens_that_name_none_have_the_default() {
    let signer = rsa();
    let nothing = signer.token(&claims_with(&json!({})));
    let named = start(&signer, &format!("{NAMING}profile = \"bi\""), "");
    assert_reads_only(&mut log_in(&named, "ann", &nothing).unwrap());
    log_in(&named, "ann", &naming(&signer, "app"))
        .unwrap()
        .run_ok(WRITE);
    // Without a claim all have it.
    let all = start(&signer, "profile = \"bi\"", "");
    assert_reads_only(&mut log_in(&all, "ann", &nothing).unwrap());
    assert_reads_only(&mut log_in(&all, "ann", &naming(&signer, "app")).unwrap());
}

#[test]
fn a_login_of_its_own_and_its_token_must_agree() {
    let signer = rsa();
    let login = |user: &str, more: &str| {
        format!("[[logins]]\nuser = {user:?}\ntenant = {INNOVATE:?}\nmethods = \"jwt\"\n{more}\n")
    };
    let more = login("free", "") + &login("bound", "profile = \"bi\"");
    let proxy = start(&signer, NAMING, &more);
    let token = |user: &str, profile: Option<&str>| {
        let mut claims = claims_with(&json!({"sub": user}));
        if let Some(profile) = profile {
            claims["wellness"] = json!({"profile": profile});
        }
        signer.token(&claims)
    };
    let log_in = |user: &str, profile| log_in(&proxy, user, &token(user, profile));
    // What the token takes away stays away.
    assert_reads_only(&mut log_in("free", Some("bi")).unwrap());
    log_in("free", Some("app")).unwrap().run_ok(WRITE);
    assert_reads_only(&mut log_in("bound", Some("bi")).unwrap());
    assert_reads_only(&mut log_in("bound", None).unwrap());
    let reason = "the token names the profile \"app\", the login has \"bi\"";
    refused(&proxy, log_in("bound", Some("app")), "bound", reason);
    refused(
        &proxy,
        log_in("free", None),
        "free",
        "the token names no profile",
    );
}

#[test]
fn a_reload_changes_profiles_of_tokens_that_are_there() {
    let signer = rsa();
    let proxy = start(&signer, NAMING, "");
    let mut app = log_in(&proxy, "ann", &naming(&signer, "app")).unwrap();
    let mut bi = log_in(&proxy, "bob", &naming(&signer, "bi")).unwrap();
    app.run_ok(WRITE);
    proxy.reload(|text| text.replace("[profiles.app]", "[profiles.app]\nread_only = true"));
    assert_reads_only(&mut app);
    proxy.reload(|text| text.replace("[profiles.app]\nread_only = true", "[profiles.app]"));
    app.run_ok(WRITE);
    // The list does not have it any more.
    proxy.reload(|text| text.replace("[\"bi\", \"app\"]", "[\"bi\"]"));
    assert_eq!(app.refusal().code(), "57P01");
    assert_reads_only(&mut bi);
    // Nobody vouches for it any more.
    proxy.reload(|text| text.replace("https://issuer.example", "https://other.example"));
    assert_eq!(bi.refusal().code(), "57P01");
}

#[test]
fn sessions_without_a_profile_end_where_their_issuer_wants_one() {
    let signer = rsa();
    let proxy = start(&signer, "", "");
    let nothing = signer.token(&claims_with(&json!({})));
    let mut client = log_in(&proxy, "ann", &nothing).unwrap();
    let mut named = log_in(&proxy, "bob", &naming(&signer, "bi")).unwrap();
    client.run_ok(WRITE);
    proxy.reload(|text| text.replace("jwks_file", "profile = \"bi\"\njwks_file"));
    assert_reads_only(&mut client);
    proxy.reload(|text| text.replace("profile = \"bi\"\njwks_file", &format!("{NAMING}jwks_file")));
    for client in [&mut client, &mut named] {
        // Which profile the token named was not asked when it came.
        assert_eq!(client.refusal().code(), "57P01");
    }
}

#[test]
fn a_profile_s_server_must_have_the_tenant_s_data() {
    let signer = rsa();
    let other = format!(
        "[profiles.far]\nserver = \"other\"\n[servers.other]\nhost = \"127.0.0.9\"\ntls = \"off\"\n\
         user = \"wellness_app\"\npassword_file = {:?}\n",
        site().file("app.password")
    );
    let proxy = start(&signer, "profile = \"far\"", &other);
    let nothing = signer.token(&claims_with(&json!({})));
    let reason = "the server \"other\", which is not known to be a replica";
    refused(&proxy, log_in(&proxy, "ann", &nothing), "ann", reason);
}
