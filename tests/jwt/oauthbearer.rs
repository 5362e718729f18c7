//! OAUTHBEARER, message by message.

use crate::client::{email, keys_of, proxy, refused};
use crate::issuer::{Signer, attacker, claims, claims_with, rsa};
use serde_json::{Value, json};
use testkit::{
    Fields, INNOVATE, PLAIN, PLUS, Proxy, Raw, Tls, V3_0, initial_response, message, startup,
};

const NAME: &str = "OAUTHBEARER";

const LISTED: &str = "[[logins]]\nuser = \"bearer\"\ntenant = \"11111111-1111-1111-1111-111111111111\"\nmethods = [\"oauthbearer\"]\n";

fn asking(signer: &Signer, more: &str) -> Proxy {
    let lines = format!("ask = \"oauthbearer\"\n{}", keys_of(&[signer]));
    proxy(&lines, more)
}

/// Comes over TLS; the mechanisms that are offered.
fn offered(proxy: &Proxy, user: &str) -> (Raw, Vec<String>) {
    let mut conn = Raw::secured(proxy.port, Tls::V1_3);
    conn.send(&startup(V3_0, &[("user", user)]));
    let (names, _) = conn.offer().unwrap();
    (conn, names)
}

fn first(token: &str) -> Vec<u8> {
    format!("n,,\x01auth=Bearer {token}\x01\x01").into_bytes()
}

/// Sends this as the first message and ends the exchange as the protocol wants
/// it: what is told of the failure, and the error.
fn failing(conn: &mut Raw, first: &[u8]) -> (Value, Fields) {
    conn.send(&initial_response(NAME, first));
    let told = conn.sasl(11).unwrap();
    conn.send(&message(b'p', b"\x01"));
    (serde_json::from_slice(&told).unwrap(), conn.refusal())
}

#[test]
fn a_token_that_holds_lets_in() {
    let signer = rsa();
    let proxy = asking(&signer, LISTED);
    let token = signer.token(&claims("ann", INNOVATE));
    for user in ["ann", "somebody", "bearer"] {
        let (mut conn, names) = offered(&proxy, user);
        assert_eq!(names, [NAME]);
        conn.send(&initial_response(NAME, &first(&token)));
        conn.finish_login().unwrap();
        assert_eq!(email(&mut conn), "alice@innovate.example");
    }
    proxy.wait_for_log("login=ann");
    proxy.wait_for_log("login=bearer");
}

#[test]
fn the_first_message_may_come_after_the_choice() {
    let signer = rsa();
    let proxy = asking(&signer, "");
    let (mut conn, _) = offered(&proxy, "ann");
    let mut choice = NAME.as_bytes().to_vec();
    choice.extend_from_slice(b"\0\xff\xff\xff\xff");
    conn.send(&message(b'p', &choice));
    assert_eq!(conn.sasl(11).unwrap(), b"");
    let token = signer.token(&claims("ann", INNOVATE));
    conn.send(&message(b'p', &first(&token)));
    conn.finish_login().unwrap();
    assert_eq!(email(&mut conn), "alice@innovate.example");
}

#[test]
fn long_tokens_are_taken() {
    let signer = rsa();
    let proxy = asking(&signer, "");
    let token = signer.token(&claims_with(&json!({"groups": "g".repeat(40 << 10)})));
    assert!(token.len() > 50 << 10);
    let (mut conn, _) = offered(&proxy, "ann");
    conn.send(&initial_response(NAME, &first(&token)));
    conn.finish_login().unwrap();
    assert_eq!(email(&mut conn), "alice@innovate.example");
}

#[test]
fn a_client_without_a_token_is_told_where_to_get_one() {
    let signer = rsa();
    let more = format!("scope = \"openid org\"\n{LISTED}");
    let proxy = asking(&signer, &more);
    let (mut conn, _) = offered(&proxy, "ann");
    let (told, error) = failing(&mut conn, b"n,,\x01auth=\x01\x01");
    assert_eq!(
        told,
        json!({
            "status": "invalid_token",
            "scope": "openid org",
            "openid-configuration": "https://issuer.example/.well-known/openid-configuration",
        })
    );
    assert_eq!((error.severity(), error.code()), ("FATAL", "28P01"));
    proxy.wait_for_log("the client asks where tokens are to be had");
}

#[test]
fn a_token_that_does_not_hold_is_refused_as_others_are() {
    let signer = rsa();
    let proxy = asking(&signer, LISTED);
    for (token, reason) in [
        (
            attacker().token(&claims("ann", INNOVATE)),
            "signature does not verify",
        ),
        (
            signer.token(&claims_with(&json!({"exp": 1}))),
            "the token has expired",
        ),
        (
            signer.token(&claims_with(&json!({"org_id": "x"}))),
            "the token is for tenant",
        ),
        ("abc".to_owned(), "is not a signed JWT"),
        ("a b".to_owned(), "is not a bearer token"),
    ] {
        let (mut conn, _) = offered(&proxy, "bearer");
        let (told, error) = failing(&mut conn, &first(&token));
        assert_eq!(told["status"], "invalid_token");
        refused(&proxy, Err(error), "bearer", reason);
    }
    let (mut conn, _) = offered(&proxy, "ann");
    let (_, error) = failing(&mut conn, b"n,,\x01auth=Basic YTpi\x01\x01");
    refused(&proxy, Err(error), "ann", "is not a bearer token");
    // Whatever a client says at the end, or that it says nothing.
    let (mut conn, _) = offered(&proxy, "ann");
    conn.send(&initial_response(NAME, &first("abc")));
    conn.sasl(11).unwrap();
    conn.send(&message(b'p', b"please"));
    assert_eq!(conn.refusal().code(), "28P01");
    let (mut conn, _) = offered(&proxy, "ann");
    conn.send(&initial_response(NAME, &first("abc")));
    conn.sasl(11).unwrap();
    conn.send(&message(b'Q', b"SELECT 1\0"));
    assert_eq!(conn.refusal().code(), "28P01");
}

#[test]
fn what_is_malformed_breaks_the_protocol() {
    let signer = rsa();
    let proxy = asking(&signer, "");
    let token = signer.token(&claims("ann", INNOVATE));
    for text in [
        String::new(),
        token.clone(),
        format!("n,,auth=Bearer {token}\x01\x01"),
        format!("n,,\x01auth=Bearer {token}\x01"),
        format!("n,a=admin,\x01auth=Bearer {token}\x01\x01"),
        format!("p=tls-server-end-point,,\x01auth=Bearer {token}\x01\x01"),
        format!("n,,\x01auth=Bearer {token}\x01auth=Bearer {token}\x01\x01"),
    ] {
        let (mut conn, _) = offered(&proxy, "ann");
        conn.send(&initial_response(NAME, text.as_bytes()));
        let error = conn.refusal();
        assert_eq!(error.code(), "08P01", "{text}");
        assert!(!error.message().contains(&token));
    }
    // What was not offered cannot be chosen.
    let (mut conn, _) = offered(&proxy, "ann");
    conn.send(&initial_response(PLAIN, b"n,,n=,r=abc"));
    assert_eq!(conn.refusal().code(), "08P01");
    let (mut conn, names) = offered(&proxy, "innovate");
    assert!(!names.contains(&NAME.to_owned()), "{names:?}");
    conn.send(&initial_response(NAME, &first(&token)));
    assert_eq!(conn.refusal().code(), "08P01");
}

#[test]
fn password_and_token_may_both_be_offered() {
    let signer = rsa();
    let verifier = &testkit::site().login_verifier;
    let both = format!(
        "[[logins]]\nuser = \"both\"\ntenant = \"{INNOVATE}\"\n\
         methods = [\"scram\", \"oauthbearer\"]\nscram = \"{verifier}\"\n"
    );
    let proxy = proxy(&keys_of(&[&signer]), &both);
    let (mut conn, names) = offered(&proxy, "both");
    assert_eq!(names, [PLUS, PLAIN, NAME]);
    let token = signer.token(&claims("ann", INNOVATE));
    conn.send(&initial_response(NAME, &first(&token)));
    conn.finish_login().unwrap();
    assert_eq!(email(&mut conn), "alice@innovate.example");

    let both = [("user", "both"), ("database", "wellness_corp_db")];
    let mut conn = Raw::secured(proxy.port, Tls::V1_3);
    conn.enter(V3_0, &proxy.password, &both).unwrap();
    assert_eq!(email(&mut conn), "alice@innovate.example");
    // Without TLS the password alone.
    let mut conn = Raw::open(proxy.port);
    conn.send(&startup(V3_0, &both));
    assert_eq!(conn.offer().unwrap().0, [PLAIN]);
}
