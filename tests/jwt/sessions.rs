//! Sessions of tokens while they run: until the token expires, and while the
//! configuration changes.

use crate::client::{email, keys_of, log_in, proxy, refused};
use crate::issuer::{Signer, claims, claims_with, jwks, now, rsa};
use crate::publisher::Publisher;
use serde_json::json;
use testkit::{INNOVATE, Raw, SYNERGY, Tls, V3_0, message, site, startup};

#[test]
fn a_session_ends_with_its_token_where_it_should() {
    let signer = rsa();
    let keys = keys_of(&[&signer]);
    let ending = proxy(&format!("{keys}\nleeway = \"0s\"\nend_expired = true"), "");
    let staying = proxy(&format!("{keys}\nleeway = \"0s\""), "");
    let soon = signer.token(&claims_with(&json!({"exp": now() + 2})));
    let mut idle = log_in(&ending, "ann", &soon).unwrap();
    let mut busy = log_in(&ending, "ann", &soon).unwrap();
    let mut kept = log_in(&staying, "ann", &soon).unwrap();
    let later = signer.token(&claims("ann", INNOVATE));
    let mut fresh = log_in(&ending, "ann", &later).unwrap();
    busy.run_ok("BEGIN");
    busy.run_ok("SELECT 1");

    let error = idle.refusal();
    assert_eq!((error.severity(), error.code()), ("FATAL", "57P01"));
    assert!(error.message().contains("has expired"), "{error:?}");
    assert!(error.hint().contains("Connect again"), "{error:?}");
    ending.wait_for_log("the credential has expired");
    // What runs may end.
    assert_eq!(email(&mut busy), "alice@innovate.example");
    busy.send(&message(b'Q', b"COMMIT\0"));
    let messages = busy.until_closed().messages;
    let tags: Vec<_> = messages.iter().map(|m| char::from(m.tag)).collect();
    assert!(tags.contains(&'C') && tags.last() == Some(&'E'), "{tags:?}");
    // It could not log in now.
    let outcome = log_in(&ending, "ann", &soon);
    refused(&ending, outcome, "ann", "the token has expired");
    for conn in [&mut kept, &mut fresh] {
        assert_eq!(email(conn), "alice@innovate.example");
    }
}

#[test]
fn a_reload_reads_the_key_files_again() {
    let (first, second) = (rsa(), Signer::ec256("2"));
    let path = site().write_new(".jwks", &jwks(&[&first]));
    let proxy = proxy(&format!("jwks_file = {path:?}"), "");
    let token = |signer: &Signer| signer.token(&claims("ann", INNOVATE));
    let mut before = log_in(&proxy, "ann", &token(&first)).unwrap();
    std::fs::write(&path, jwks(&[&second])).unwrap();
    assert!(log_in(&proxy, "ann", &token(&first)).is_ok());
    // Not yet said what the new one signs with.
    proxy.hang_up("no key in the file fits the algorithm RS256");
    assert!(log_in(&proxy, "ann", &token(&first)).is_ok());
    proxy.reload(|text| text.replace("jwks_file", "algorithms = \"ES256\"\njwks_file"));
    assert!(log_in(&proxy, "ann", &token(&second)).is_ok());
    let outcome = log_in(&proxy, "eve", &token(&first));
    refused(
        &proxy,
        outcome,
        "eve",
        "algorithm \"RS256\" is not accepted",
    );
    // Who is in, is in.
    assert_eq!(email(&mut before), "alice@innovate.example");
    // Nobody is asked for a token any more.
    proxy.reload(|text| {
        let (rest, _) = text.split_once("[jwt.test]").unwrap();
        rest.to_owned()
    });
    let mut conn = Raw::secured(proxy.port, Tls::V1_3);
    conn.send(&startup(V3_0, &[("user", "ann")]));
    assert!(conn.offer().is_ok());
    assert_eq!(email(&mut before), "alice@innovate.example");
}

#[test]
fn a_reload_keeps_the_keys_that_were_fetched() {
    let signer = rsa();
    let publisher = Publisher::plain(&jwks(&[&signer]));
    let lines = format!("jwks_url = {:?}\nrefresh_floor = \"1h\"", publisher.url());
    let proxy = proxy(&lines, "");
    let token = signer.token(&claims("ann", INNOVATE));
    assert!(log_in(&proxy, "ann", &token).is_ok());
    publisher.answer_with("500 Internal Server Error");
    // Another key of the section has changed; the address has not.
    proxy.reload(|text| text.replace("jwks_url", "user_must_match = true\njwks_url"));
    assert!(log_in(&proxy, "ann", &token).is_ok());
    refused(
        &proxy,
        log_in(&proxy, "eve", &token),
        "eve",
        "is that of user",
    );
    assert_eq!(publisher.requests(), 1);
}

#[test]
fn a_tenant_s_state_holds_for_tokens_too() {
    let signer = rsa();
    let proxy = proxy(&keys_of(&[&signer]), "");
    let token = |tenant| signer.token(&claims("ann", tenant));
    let mut innovate = log_in(&proxy, "ann", &token(INNOVATE)).unwrap();
    let mut synergy = log_in(&proxy, "ann", &token(SYNERGY)).unwrap();
    let head = format!("[[tenants]]\nid = \"{INNOVATE}\"\n");
    proxy.reload(|text| text.replace(&head, &format!("{head}state = \"suspended\"\n")));
    let error = innovate.refusal();
    assert_eq!(error.code(), "57P01");
    assert!(error.message().contains("suspended"), "{error:?}");
    let outcome = log_in(&proxy, "ann", &token(INNOVATE));
    let error = outcome
        .map(|mut conn| conn.refusal())
        .unwrap_or_else(|error| error);
    assert!(error.message().contains("suspended"), "{error:?}");
    assert_eq!(email(&mut synergy), "bob@synergy.example");
    // A tenant that is gone takes its sessions along.
    proxy.reload(|text| text.replace(SYNERGY, "99999999-9999-9999-9999-999999999999"));
    assert_eq!(synergy.refusal().code(), "57P01");
    let outcome = log_in(&proxy, "eve", &token(SYNERGY));
    refused(&proxy, outcome, "eve", "no tenant has the token's id");
}
