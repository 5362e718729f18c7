//! Tokens that must not be accepted: all are told the same, and the log has the
//! true reason.

use crate::client::{asked, keys_of, log_in, proxy, refused, send_password};
use crate::issuer::{
    ISSUER, Signer, attacker, base64, claims, claims_with, claims_without, jwks, now, rsa,
};
use crate::publisher::Publisher;
use serde_json::{Value, json};
use testkit::{INNOVATE, SYNERGY, announced, site};

/// A token that is the issuer's but for its header.
fn headed(more: &Value) -> String {
    let signer = rsa();
    let mut header = json!({"alg": "RS256", "kid": signer.id});
    for (name, value) in more.as_object().unwrap() {
        header[name] = value.clone();
    }
    signer.token_with(&header, &claims("ann", INNOVATE))
}

#[test]
fn what_the_claims_say_counts() {
    let signer = rsa();
    let proxy = proxy(&keys_of(&[&signer]), "");
    let with = |more| signer.token(&claims_with(&more));
    let without = |name| signer.token(&claims_without(name));
    for (token, reason) in [
        (with(json!({"exp": now() - 31})), "the token has expired"),
        (with(json!({"exp": 1})), "the token has expired"),
        (with(json!({"nbf": now() + 90})), "not valid yet"),
        (
            with(json!({"nbf": "1"})),
            "no claim nbf, or one of the wrong type",
        ),
        (without("exp"), "no claim exp, or"),
        (with(json!({"exp": "9999999999"})), "no claim exp, or"),
        (with(json!({"exp": -1})), "no claim exp, or"),
        (with(json!({"exp": null})), "no claim exp, or"),
        (without("aud"), "no claim aud, or"),
        (with(json!({"aud": "others"})), "for another audience"),
        (with(json!({"aud": ["x", "y"]})), "for another audience"),
        (with(json!({"aud": []})), "for another audience"),
        (with(json!({"aud": {"pgtenant": 1}})), "no claim aud, or"),
        (without("iss"), "no claim iss, or"),
        (
            with(json!({"iss": "https://evil.example"})),
            "issuer \"https://evil.example",
        ),
        (
            with(json!({"iss": ISSUER.to_uppercase()})),
            "issuer \"HTTPS://ISSUER",
        ),
        (with(json!({"iss": [ISSUER]})), "claim iss is not text"),
        (without("sub"), "the token has no claim sub"),
        (
            with(json!({"sub": ""})),
            "claim sub is not text that can be used",
        ),
        (
            with(json!({"sub": "a\nb"})),
            "claim sub is not text that can be used",
        ),
        (
            with(json!({"sub": 7})),
            "claim sub is not text that can be used",
        ),
        (without("org_id"), "the token has no claim org_id"),
    ] {
        refused(&proxy, log_in(&proxy, "eve", &token), "eve", reason);
    }
    // The clocks may differ a little.
    for more in [json!({"exp": now() - 5}), json!({"nbf": now() + 5})] {
        assert!(log_in(&proxy, "ann", &with(more)).is_ok());
    }
}

#[test]
fn the_tenant_must_be_one() {
    let signer = rsa();
    let listed =
        format!("[[logins]]\nuser = \"dashboard\"\ntenant = \"{INNOVATE}\"\nmethods = [\"jwt\"]\n");
    let proxy = proxy(&keys_of(&[&signer]), &listed);
    let deleted = "99999999-9999-9999-9999-999999999999";
    for (tenant, reason) in [
        (json!(deleted), "no tenant has the token's id \"99999999"),
        (json!("innovate"), "no tenant has the token's id \"innovate"),
        (json!(""), "claim org_id is not text"),
        (json!([INNOVATE]), "claim org_id is not text"),
        (json!({"id": INNOVATE}), "claim org_id is not text"),
        (json!(11), "no tenant has the token's id \"11\""),
        (json!(11.0), "claim org_id is not text"),
        (json!(1e30), "claim org_id is not text"),
        (json!(null), "claim org_id is not text"),
        (json!(true), "claim org_id is not text"),
        (json!("x".repeat(300)), "claim org_id is not text"),
        (
            json!(format!("{INNOVATE}\u{0}")),
            "claim org_id is not text",
        ),
    ] {
        let token = signer.token(&claims_with(&json!({ "org_id": tenant })));
        refused(&proxy, log_in(&proxy, "eve", &token), "eve", reason);
    }
    // A login of the directory is of its tenant.
    let token = signer.token(&claims("ann", SYNERGY));
    let reason = format!("the token is for tenant \"{SYNERGY}");
    refused(
        &proxy,
        log_in(&proxy, "dashboard", &token),
        "dashboard",
        &reason,
    );
    let token = signer.token(&claims("ann", deleted));
    let reason = "the login is of";
    refused(
        &proxy,
        log_in(&proxy, "dashboard", &token),
        "dashboard",
        reason,
    );
}

#[test]
fn what_is_not_a_token_is_refused() {
    let signer = rsa();
    let proxy = proxy(&keys_of(&[&signer]), "");
    let good = signer.token(&claims("ann", INNOVATE));
    let parts: Vec<_> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!()
    };
    let no_token = "what was sent is not a signed JWT";
    for (text, reason) in [
        (String::new(), no_token),
        ("hunter2".to_owned(), no_token),
        ("..".to_owned(), no_token),
        (format!("{header}.{payload}"), no_token),
        (format!("{header}.{payload}."), "signature does not verify"),
        (format!("{good}.{payload}"), no_token),
        (format!("{good}="), no_token),
        (format!(" {good}"), no_token),
        (format!("{good}\n"), no_token),
        (format!("Bearer {good}"), no_token),
        (
            format!("{header}.{}.{signature}", base64(b"[]")),
            "payload is not a JSON object",
        ),
        (
            format!("{}.{payload}.{signature}", base64(b"x")),
            "header is not a JSON object",
        ),
        (
            format!("{header}.{payload}.{}", base64(b"x")),
            "signature does not verify",
        ),
        (
            format!("{header}.{payload}.{}", base64(&[0; 256])),
            "signature does not verify",
        ),
    ] {
        refused(&proxy, log_in(&proxy, "eve", &text), "eve", reason);
    }
    // The last bits of base64 are not free either.
    let mut conn = asked(&proxy, "eve").unwrap();
    conn.send(&testkit::message(b'p', good.as_bytes()));
    assert_eq!(conn.refusal().code(), "28P01");
    let mut conn = asked(&proxy, "eve").unwrap();
    send_password(&mut conn, &format!("{good}\0"));
    assert_eq!(conn.refusal().code(), "28P01");
}

#[test]
fn a_name_may_not_stand_twice() {
    let signer = rsa();
    let proxy = proxy(&keys_of(&[&signer]), "");
    let claims = claims("ann", INNOVATE).to_string();
    let header = r#"{"alg":"RS256","kid":"rsa"}"#;
    let twice = |text: &str, more: &str| text.replacen('{', &format!("{{{more},"), 1);
    let tenant = format!("\"org_id\":\"{SYNERGY}\"");
    let escaped = format!("\"org\\u005fid\":\"{SYNERGY}\"");
    for (header, claims, reason) in [
        (
            header.into(),
            twice(&claims, &tenant),
            "twice in the token's payload",
        ),
        (
            header.into(),
            twice(&claims, &escaped),
            "twice in the token's payload",
        ),
        (
            header.into(),
            twice(&claims, "\"exp\":9999999999"),
            "twice in the token's payload",
        ),
        (
            header.into(),
            twice(&claims, r#""x":{"y":1,"y":2}"#),
            "twice in the token's payload",
        ),
        (
            twice(header, r#""alg":"none""#),
            claims.clone(),
            "twice in the token's header",
        ),
        (
            twice(header, r#""kid":"x""#),
            claims.clone(),
            "twice in the token's header",
        ),
    ] {
        let token = signer.token_of(&header, &claims);
        refused(&proxy, log_in(&proxy, "eve", &token), "eve", reason);
    }
}

#[test]
fn algorithms_are_not_the_token_s_choice() {
    let signer = rsa();
    let ec = Signer::ec256("ec");
    let lines = format!(
        "algorithms = [\"RS256\", \"ES256\"]\n{}",
        keys_of(&[&signer, &ec])
    );
    let proxy = proxy(&lines, "");
    let innovate = claims("ann", INNOVATE);
    let none = |alg: &str| {
        let header = base64(json!({ "alg": alg, "kid": "rsa" }).to_string().as_bytes());
        format!("{header}.{}.", base64(innovate.to_string().as_bytes()))
    };
    let hs = |secret: &[u8], kid: &str| {
        let header = json!({"alg": "HS256", "kid": kid});
        Signer::secret(secret).token_with(&header, &innovate)
    };
    // Signed with the public key as if it were a secret, in each of its forms.
    let public = signer.bare_jwk()["n"].as_str().unwrap().to_owned();
    for (token, reason) in [
        (none("none"), "algorithm \"none\" is not accepted"),
        (none("None"), "algorithm \"None\" is not accepted"),
        (none("nOnE"), "algorithm \"nOnE\" is not accepted"),
        (none("RS256"), "signature does not verify"),
        (
            hs(signer.pem().as_bytes(), "rsa"),
            "algorithm \"HS256\" is not",
        ),
        (hs(&signer.der(), "rsa"), "algorithm \"HS256\" is not"),
        (hs(public.as_bytes(), "rsa"), "algorithm \"HS256\" is not"),
        (hs(ec.pem().as_bytes(), "ec"), "algorithm \"HS256\" is not"),
        (hs(b"", "rsa"), "algorithm \"HS256\" is not"),
        (
            headed(&json!({"alg": "RS384"})),
            "algorithm \"RS384\" is not",
        ),
        (
            headed(&json!({"alg": "RS255"})),
            "algorithm \"RS255\" is not",
        ),
        (headed(&json!({"alg": null})), "header's alg is not text"),
        (
            headed(&json!({"alg": ["RS256"]})),
            "header's alg is not text",
        ),
        // The key of another algorithm.
        (
            headed(&json!({"kid": "ec"})),
            "no key is known for the token: kid \"ec",
        ),
        (
            headed(&json!({"alg": "ES256"})),
            "no key is known for the token: kid \"rsa",
        ),
    ] {
        refused(&proxy, log_in(&proxy, "eve", &token), "eve", reason);
    }
}

#[test]
fn keys_are_not_the_token_s_choice() {
    let publisher = Publisher::plain(&jwks(&[&attacker()]));
    let signer = rsa();
    let proxy = proxy(&keys_of(&[&signer]), "");
    let own = attacker();
    let url = publisher.url();
    for more in [
        json!({}),
        json!({"jwk": own.jwk()}),
        json!({"jwk": own.bare_jwk()}),
        json!({"jku": url}),
        json!({"x5u": url, "x5t": "AAAA"}),
        json!({"x5c": [base64(&own.der())]}),
    ] {
        for kid in [Some("rsa"), None] {
            let mut header = json!({"alg": "RS256"});
            header["kid"] = json!(kid);
            if kid.is_none() {
                header.as_object_mut().unwrap().remove("kid");
            }
            for (name, value) in more.as_object().unwrap() {
                header[name] = value.clone();
            }
            let token = own.token_with(&header, &claims("ann", INNOVATE));
            let outcome = log_in(&proxy, "eve", &token);
            refused(&proxy, outcome, "eve", "signature does not verify");
        }
    }
    for (kid, reason) in [
        (json!("../../../dev/null"), "kid \"../../../dev/null"),
        (json!("' OR 1=1"), "kid \"' OR 1=1"),
        (json!(url), "kid \"http://"),
        (json!("k".repeat(200)), "kkk\"…"),
        (json!(1), "header's kid is not text"),
    ] {
        let header = json!({"alg": "RS256", "kid": kid});
        let token = own.token_with(&header, &claims("ann", INNOVATE));
        refused(&proxy, log_in(&proxy, "eve", &token), "eve", reason);
    }
    assert_eq!(publisher.requests(), 0, "nobody asks the attacker for keys");
    // What a good token says beside its kid is not read.
    let token = headed(&json!({"jku": url, "jwk": own.jwk()}));
    assert!(log_in(&proxy, "ann", &token).is_ok());
}

#[test]
fn the_header_is_understood_or_refused() {
    let signer = rsa();
    let proxy = proxy(&keys_of(&[&signer]), "");
    for (more, reason) in [
        (json!({"crit": ["exp"]}), "asks for extensions"),
        (json!({"crit": []}), "asks for extensions"),
        (
            json!({"crit": ["b64"], "b64": false}),
            "asks for extensions",
        ),
        (
            json!({"typ": "dpop+jwt"}),
            "type \"dpop+jwt\" are not for logging in",
        ),
        (json!({"typ": "logout+jwt"}), "type \"logout+jwt\" are not"),
        (json!({"typ": 1}), "header's typ is not text"),
    ] {
        refused(&proxy, log_in(&proxy, "eve", &headed(&more)), "eve", reason);
    }
    for kind in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        assert!(log_in(&proxy, "ann", &headed(&json!({ "typ": kind }))).is_ok());
    }
}

#[test]
fn keys_of_other_uses_are_not_used() {
    let signer = rsa();
    let other_curve = Signer::ec256("broken");
    let mut encrypting = signer.called("enc").jwk();
    encrypting["use"] = json!("enc");
    let mut wrapping = signer.called("wrap").bare_jwk();
    wrapping["kid"] = json!("wrap");
    wrapping["key_ops"] = json!(["wrapKey"]);
    let mut other = signer.called("other").jwk();
    other["alg"] = json!("RS512");
    let mut broken = other_curve.jwk();
    broken["x"] = json!(base64(&[1; 32]));
    let shared = Signer::secret(&[1; 32]).jwk();
    let keys = json!({"keys": [signer.jwk(), encrypting, wrapping, other, broken, shared, 7]});
    let path = site().write_new(".jwks", &keys.to_string());
    let proxy = proxy(&format!("jwks_file = {path:?}"), "");
    let token = |signer: &Signer| signer.token(&claims("ann", INNOVATE));
    assert!(log_in(&proxy, "ann", &token(&signer)).is_ok());
    for kid in ["enc", "wrap", "other"] {
        let reason = format!("no key is known for the token: kid \"{kid}");
        let token = token(&signer.called(kid));
        refused(&proxy, log_in(&proxy, "eve", &token), "eve", &reason);
    }
}

#[test]
fn giant_tokens_are_refused() {
    let signer = rsa();
    let proxy = proxy(&keys_of(&[&signer]), "");
    let long = format!("{}.{}.x", "a".repeat(40_000), "b".repeat(25_500));
    assert!(long.len() < (64 << 10) + 1024);
    let longer = "the token is longer than 64 KiB";
    let mut conn = asked(&proxy, "eve").unwrap();
    send_password(&mut conn, &format!("{long}{}", "c".repeat(100)));
    let outcome = conn.finish_login().map(|()| conn);
    refused(&proxy, outcome, "eve", longer);
    // Of one that is announced as longer still, nothing is read.
    for length in [(66 << 10) + 8, 1 << 20, u32::MAX] {
        let mut conn = asked(&proxy, "mallory").unwrap();
        conn.send(&announced(b'p', length, b"eyJ"));
        let outcome = conn.finish_login().map(|()| conn);
        refused(&proxy, outcome, "mallory", longer);
    }
    let mut conn = asked(&proxy, "eve").unwrap();
    conn.send(&announced(b'p', 3, b""));
    assert_eq!(conn.refusal().code(), "08P01");
}
