//! Tokens that hold, as passwords.

use crate::client::{asked, email, keys_of, log_in, options, proxy, refused, send_password};
use crate::issuer::{ISSUER, Signer, claims, claims_with, rsa};
use postgres_protocol::authentication::sasl::ChannelBinding;
use serde_json::json;
use testkit::{INNOVATE, Options, PLAIN, Proxy, Raw, SYNERGY, Tls, V3_0, site, startup};

#[test]
fn the_token_tells_tenant_and_user() {
    let signer = rsa();
    let proxy = proxy(&keys_of(&[&signer]), "");
    // Innovate's tokens by any user name: what counts is the token.
    for user in ["ann", "x", "postgres", "wellness_app"] {
        let token = signer.token(&claims("ann", INNOVATE));
        let mut conn = log_in(&proxy, user, &token).unwrap();
        assert_eq!(email(&mut conn), "alice@innovate.example");
    }
    let token = signer.token(&claims("bob", SYNERGY));
    let mut conn = log_in(&proxy, "ann", &token).unwrap();
    assert_eq!(email(&mut conn), "bob@synergy.example");
    let line = proxy.wait_for_log("login=bob");
    assert!(line.contains(&format!("tenant={SYNERGY}")), "{line}");
    assert!(line.contains("method=\"jwt\""), "{line}");
}

#[test]
fn each_algorithm_is_verified() {
    let (rsa, ec256, ec384) = (rsa(), Signer::ec256("e2"), Signer::ec384("e3"));
    let ed = Signer::ed("ed");
    let all = "algorithms = [\"RS256\", \"RS384\", \"RS512\", \"PS256\", \"PS384\", \"PS512\", \
               \"ES256\", \"ES384\", \"EdDSA\"]";
    let keys = keys_of(&[&rsa, &ec256, &ec384, &ed]);
    let proxy = proxy(&format!("{all}\n{keys}"), "");
    let signers = [
        (
            &rsa,
            &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..],
        ),
        (&ec256, &["ES256"]),
        (&ec384, &["ES384"]),
        (&ed, &["EdDSA"]),
    ];
    for (signer, algorithms) in signers {
        for algorithm in algorithms {
            // With and without the key's name.
            for header in [
                json!({"alg": algorithm, "kid": signer.id}),
                json!({"alg": algorithm}),
            ] {
                let token = signer.token_with(&header, &claims("ann", INNOVATE));
                let mut conn = log_in(&proxy, "ann", &token).unwrap();
                assert_eq!(email(&mut conn), "alice@innovate.example", "{algorithm}");
            }
        }
    }
}

#[test]
fn keys_may_be_in_pem() {
    for signer in [
        rsa(),
        Signer::ec256("a"),
        Signer::ec384("b"),
        Signer::ed("c"),
    ] {
        // Two at a time, as while keys are changed.
        let other = Signer::ec256("other");
        let path = site().write_new(".pem", &(other.pem() + &signer.pem()));
        let algorithm = signer.algorithm();
        let proxy = proxy(
            &format!("key_file = {path:?}\nalgorithms = [\"{algorithm}\", \"ES256\"]"),
            "",
        );
        for signer in [&signer, &other] {
            let token = signer.token(&claims("ann", INNOVATE));
            let mut conn = log_in(&proxy, "ann", &token).unwrap();
            assert_eq!(email(&mut conn), "alice@innovate.example", "{algorithm}");
        }
    }
}

#[test]
fn a_secret_may_be_shared() {
    let secret = "0123456789abcdef0123456789abcdef";
    let path = site().write_new(".secret", &format!("{secret}\n"));
    let proxy = proxy(&format!("key_file = {path:?}\nalgorithms = \"HS256\""), "");
    let token = Signer::secret(secret.as_bytes()).token(&claims("ann", INNOVATE));
    let mut conn = log_in(&proxy, "ann", &token).unwrap();
    assert_eq!(email(&mut conn), "alice@innovate.example");
    let other = Signer::secret(&[7; 32]).token(&claims("ann", INNOVATE));
    refused(
        &proxy,
        log_in(&proxy, "ann", &other),
        "ann",
        "signature does not verify",
    );
}

#[test]
fn long_tokens_are_taken() {
    let signer = rsa();
    let proxy = proxy(&keys_of(&[&signer]), "");
    for length in [16 << 10, 32 << 10, 64 << 10] {
        let mut claims = claims("ann", INNOVATE);
        let token = |claims: &_| signer.token(claims);
        claims["groups"] = json!("");
        let missing = length - token(&claims).len();
        claims["groups"] = json!("g".repeat(missing * 3 / 4));
        let token = token(&claims);
        assert!(token.len() > length - 8 && token.len() <= length);
        let mut conn = log_in(&proxy, "ann", &token).unwrap();
        assert_eq!(email(&mut conn), "alice@innovate.example");
    }
}

#[test]
fn claims_are_found_by_their_paths() {
    let signer = rsa();
    let innovate = |more| signer.token(&claims_with(&more));
    for (lines, token) in [
        (
            "tenant_claim = \"realm_access.org\"\nuser_claim = \"email\"",
            innovate(json!({"org_id": SYNERGY, "realm_access": {"org": INNOVATE}, "email": "ann"})),
        ),
        (
            "tenant_claim = \"https://example.com/org.id\"",
            innovate(json!({"org_id": SYNERGY, "https://example.com/org.id": INNOVATE})),
        ),
        (
            "tenant_claim = [\"a.b\"]",
            innovate(json!({"org_id": SYNERGY, "a": {"b": SYNERGY}, "a.b": INNOVATE})),
        ),
        (
            "tenant_claim = [\"a.b\", \"c\"]",
            innovate(json!({"org_id": SYNERGY, "a.b": {"c": INNOVATE}})),
        ),
    ] {
        let proxy = proxy(&format!("{}\n{lines}", keys_of(&[&signer])), "");
        let mut conn = log_in(&proxy, "x", &token).unwrap();
        assert_eq!(email(&mut conn), "alice@innovate.example", "{lines}");
        proxy.wait_for_log("login=ann");
    }
}

#[test]
fn a_uuid_is_the_same_tenant_in_each_spelling() {
    let signer = rsa();
    let proxy = proxy(&keys_of(&[&signer]), "");
    for spelling in [
        INNOVATE.replace('-', ""),
        format!("{{{INNOVATE}}}"),
        format!("urn:uuid:{INNOVATE}"),
    ] {
        let token = signer.token(&claims("ann", &spelling));
        let mut conn = log_in(&proxy, "ann", &token).unwrap();
        assert_eq!(email(&mut conn), "alice@innovate.example", "{spelling}");
    }
}

#[test]
fn each_issuer_has_rules_of_its_own() {
    let (first, second) = (rsa(), Signer::ec256("k"));
    let more = format!(
        "[jwt.other]\nissuer = \"https://other.example/\"\naudience = [\"a\", \"b\"]\n\
         algorithms = \"ES256\"\ntenant_claim = \"org\"\n{}",
        keys_of(&[&second])
    );
    let proxy = proxy(&keys_of(&[&first]), &more);
    let token = first.token(&claims("ann", INNOVATE));
    assert_eq!(
        email(&mut log_in(&proxy, "ann", &token).unwrap()),
        "alice@innovate.example"
    );
    let others = |audience| {
        claims_with(&json!({
            "iss": "https://other.example/", "aud": audience, "org": INNOVATE, "org_id": SYNERGY,
        }))
    };
    for audience in [json!("a"), json!("b"), json!(["x", "b"])] {
        let token = second.token(&others(audience));
        let mut conn = log_in(&proxy, "ann", &token).unwrap();
        assert_eq!(email(&mut conn), "alice@innovate.example");
    }
    // Neither speaks for the other.
    for (token, reason) in [
        (
            second.token(&claims("eve1", INNOVATE)),
            "algorithm \"ES256\" is not accepted",
        ),
        (
            first.token(&others(json!("a"))),
            "algorithm \"RS256\" is not accepted",
        ),
    ] {
        refused(&proxy, log_in(&proxy, "eve", &token), "eve", reason);
    }
}

const LISTED: &str = "[[logins]]\nuser = \"dashboard\"\ntenant = \"11111111-1111-1111-1111-111111111111\"\nmethods = [\"jwt\"]\n";

#[test]
fn a_login_of_the_directory_may_ask_for_a_token() {
    let signer = rsa();
    let proxy = proxy(&keys_of(&[&signer]), LISTED);
    let token = signer.token(&claims("ann", INNOVATE));
    let mut conn = log_in(&proxy, "dashboard", &token).unwrap();
    assert_eq!(email(&mut conn), "alice@innovate.example");
    proxy.wait_for_log("login=dashboard");
    // A login with a password is asked for that, and its name is nobody else's.
    let mut conn = Raw::secured(proxy.port, Tls::V1_3);
    let innovate = [("user", "innovate"), ("database", "wellness_corp_db")];
    conn.enter(V3_0, &proxy.password, &innovate).unwrap();
    for name in ["innovate", "dashboard"] {
        let token = signer.token(&claims(name, INNOVATE));
        let reason = format!("{name}\" has a login of its own");
        refused(&proxy, log_in(&proxy, "x", &token), "x", &reason);
    }
}

#[test]
fn the_user_name_counts_where_it_must_match() {
    let signer = rsa();
    let lines = format!("{}\nuser_must_match = true", keys_of(&[&signer]));
    let proxy = proxy(&lines, LISTED);
    let token = signer.token(&claims("ann", INNOVATE));
    assert!(log_in(&proxy, "ann", &token).is_ok());
    for user in ["bob", "dashboard"] {
        refused(
            &proxy,
            log_in(&proxy, user, &token),
            user,
            "is that of user",
        );
    }
    let token = signer.token(&claims("dashboard", INNOVATE));
    assert!(log_in(&proxy, "dashboard", &token).is_ok());
}

#[test]
fn nobody_is_asked_for_a_token_where_none_is_accepted() {
    let proxy = Proxy::start(&Options::default());
    let mut conn = Raw::secured(proxy.port, Tls::V1_3);
    conn.send(&startup(V3_0, &[("user", "ann")]));
    let (offered, _) = conn.offer().unwrap();
    assert!(offered.contains(&PLAIN.to_owned()), "{offered:?}");
    assert!(!offered.contains(&"OAUTHBEARER".to_owned()), "{offered:?}");
    let mut conn = Raw::secured(proxy.port, Tls::V1_3);
    conn.send(&startup(V3_0, &[("user", "ann")]));
    let error = conn.log_in_by("x", PLAIN, ChannelBinding::unsupported());
    assert_eq!(error.unwrap_err().code(), "28P01");
}

#[test]
fn a_token_is_not_asked_for_without_tls() {
    let signer = rsa();
    let bearer = "[[logins]]\nuser = \"bearer\"\ntenant = \"11111111-1111-1111-1111-111111111111\"\nmethods = [\"oauthbearer\"]\n";
    let proxy = proxy(&keys_of(&[&signer]), &format!("{LISTED}{bearer}"));
    for user in ["ann", "dashboard", "bearer"] {
        let mut conn = Raw::open(proxy.port);
        conn.send(&startup(V3_0, &[("user", user)]));
        let messages = conn.until_closed().messages;
        assert_eq!(messages.len(), 1, "nothing is asked: {messages:?}");
        let error = messages[0].fields();
        assert_eq!((error.severity(), error.code()), ("FATAL", "28000"));
        assert!(error.message().contains("TLS"), "{error:?}");
        assert!(error.hint().contains("sslmode"), "{error:?}");
    }
    proxy.wait_for_log("a token is not asked for without TLS");
    // Others may come as before.
    assert_eq!(
        proxy.raw("innovate").value("SELECT email FROM users"),
        "alice@innovate.example"
    );
}

#[test]
fn a_client_that_says_nothing_is_not_waited_for() {
    let signer = rsa();
    let proxy = Proxy::start(&Options {
        login_timeout: "1s",
        ..options(&keys_of(&[&signer]), "")
    });
    let mut conn = asked(&proxy, "ann").unwrap();
    assert_eq!(conn.refusal().code(), "57014");
    // Nor for one that sends half of a token.
    let mut conn = asked(&proxy, "ann").unwrap();
    conn.send(b"p\0\0\x10\0eyJ");
    assert_eq!(conn.refusal().code(), "57014");
}

#[test]
fn the_token_is_in_no_log() {
    let signer = rsa();
    let proxy = Proxy::start(&Options {
        log: "trace",
        ..options(&keys_of(&[&signer]), "")
    });
    let good = signer.token(&claims("ann", INNOVATE));
    log_in(&proxy, "ann", &good).unwrap();
    let bad = signer.token(&claims_with(&json!({"iss": format!("{ISSUER}/x")})));
    refused(
        &proxy,
        log_in(&proxy, "ann", &bad),
        "ann",
        "has the token's issuer",
    );
    let mut conn = asked(&proxy, "ann").unwrap();
    send_password(&mut conn, "hunter2");
    assert_eq!(conn.refusal().code(), "28P01");
    let log = proxy.log();
    for token in [&good, &bad] {
        for part in token.split('.') {
            assert!(!log.contains(part), "{part}");
        }
    }
    assert!(!log.contains("hunter2"));
}
