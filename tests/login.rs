//! From the first byte to the first query: TLS, the startup packet, SCRAM.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use pgtenant::directory::Verifier;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use std::process::{Command, Output};
use testkit::{
    Fields, GSSENC_REQUEST, Options, PLAIN, PLUS, Proxy, Raw, SSL_REQUEST, Tls, V3_0, V3_2,
    announced, initial_response, message, packet, startup,
};

fn require() -> Options {
    Options {
        tls: "require",
        ..Options::default()
    }
}

/// The startup parameters of a login that holds.
const INNOVATE: &[(&str, &str)] = &[("user", "innovate"), ("database", "wellness_corp_db")];

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [INNOVATE, more].concat()
}

/// Asserts that the connection is the tenant's.
#[track_caller]
fn serves(conn: &mut Raw) {
    assert_eq!(
        conn.value("SELECT email FROM users"),
        "alice@innovate.example"
    );
}

// ---------------------------------------------------------------------------- TLS

#[test]
fn tls_begins_by_an_ssl_request() {
    let proxy = Proxy::start(&require());
    let password = &proxy.password;
    for tls in [Tls::V1_2, Tls::V1_3, Tls::Alpn("postgresql")] {
        let mut conn = Raw::secured(proxy.port, tls);
        conn.enter(V3_0, password, INNOVATE).unwrap();
        serves(&mut conn);
    }
}

#[test]
fn tls_begins_at_once_where_the_protocol_is_named() {
    let proxy = Proxy::start(&require());
    let password = &proxy.password;
    let mut conn = Raw::open(proxy.port)
        .start_tls(Tls::Alpn("postgresql"))
        .unwrap();
    conn.enter(V3_0, password, INNOVATE).unwrap();
    serves(&mut conn);

    for tls in [Tls::V1_2, Tls::V1_3] {
        let mut conn = Raw::open(proxy.port).start_tls(tls).unwrap();
        let error = conn.refusal();
        assert_eq!(error.code(), "08P01");
        assert!(error.message().contains("ALPN"), "{error:?}");
    }
    assert!(refuses_tls(Raw::open(proxy.port), Tls::Alpn("http/1.1")));
    let mut conn = Raw::open(proxy.port);
    conn.send(&packet(SSL_REQUEST, b""));
    assert_eq!(conn.byte(), Some(b'S'));
    assert!(refuses_tls(conn, Tls::Alpn("http/1.1")));
}

/// Whether no TLS comes about, now or at the first byte.
fn refuses_tls(conn: Raw, tls: Tls) -> bool {
    match conn.start_tls(tls) {
        Ok(mut conn) => conn.try_read().is_none(),
        Err(_) => true,
    }
}

#[test]
fn gssapi_is_not_offered_and_tls_may_follow() {
    let proxy = Proxy::start(&require());
    let mut conn = Raw::open(proxy.port);
    conn.send(&packet(GSSENC_REQUEST, b""));
    assert_eq!(conn.byte(), Some(b'N'));
    conn.send(&packet(SSL_REQUEST, b""));
    assert_eq!(conn.byte(), Some(b'S'));
    let mut conn = conn.start_tls(Tls::V1_3).unwrap();
    conn.enter(V3_0, &proxy.password, INNOVATE).unwrap();
    serves(&mut conn);
}

#[test]
fn negotiation_has_an_end() {
    let proxy = Proxy::start(&require());
    let mut conn = Raw::open(proxy.port);
    for _ in 0..3 {
        conn.send(&packet(GSSENC_REQUEST, b""));
        assert_eq!(conn.byte(), Some(b'N'));
    }
    assert_eq!(conn.refusal().code(), "08P01");
    for request in [SSL_REQUEST, GSSENC_REQUEST] {
        let mut conn = Raw::secured(proxy.port, Tls::V1_3);
        conn.send(&packet(request, b""));
        assert_eq!(conn.refusal().code(), "08P01");
    }
}

#[test]
fn clear_text_is_refused_where_tls_is_required() {
    let proxy = Proxy::start(&require());
    let mut conn = Raw::open(proxy.port);
    conn.send(&startup(V3_0, INNOVATE));
    let error = conn.refusal();
    assert_eq!((error.severity(), error.code()), ("FATAL", "28000"));
    assert!(error.hint().contains("sslmode"), "{error:?}");

    let output = psql(&proxy, "sslmode=disable", "SELECT 1");
    assert!(stderr(&output).contains("sslmode=require"), "{output:?}");
}

#[test]
fn both_are_served_where_tls_is_allowed() {
    let proxy = Proxy::start(&Options {
        tls: "allow",
        ..Options::default()
    });
    for mode in ["disable", "prefer", "require", "verify-full"] {
        let output = psql(&proxy, &format!("sslmode={mode}"), "SELECT 42");
        assert_eq!(stdout(&output), "42", "{mode}: {output:?}");
    }
}

#[test]
fn clear_text_is_all_there_is_where_tls_is_off() {
    let proxy = Proxy::start(&Options {
        tls: "off",
        ..Options::default()
    });
    for mode in ["disable", "prefer"] {
        let output = psql(&proxy, &format!("sslmode={mode}"), "SELECT 42");
        assert_eq!(stdout(&output), "42", "{mode}: {output:?}");
    }
    let output = psql(&proxy, "sslmode=require", "SELECT 42");
    assert!(
        stderr(&output).contains("server does not support SSL"),
        "{output:?}"
    );
    // TLS from the first byte reads as a packet of absurd length.
    let mut conn = Raw::open(proxy.port);
    conn.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert_eq!(conn.refusal().code(), "08P01");
}

#[test]
fn clear_text_behind_an_ssl_request_is_never_taken_into_tls() {
    let proxy = Proxy::start(&require());
    let ssl = packet(SSL_REQUEST, b"");
    for behind in [
        startup(V3_0, INNOVATE),
        b"\0".to_vec(),
        b"\x16\x03\x01".to_vec(),
        vec![0; 70_000],
    ] {
        // In one segment.
        let mut conn = Raw::open(proxy.port);
        let _ = conn.try_send(&[&ssl[..], &behind].concat());
        let error = conn.refusal();
        assert_eq!(error.code(), "08P01");
        assert!(
            error
                .message()
                .contains("unencrypted data after SSL request"),
            "{error:?}"
        );
    }
    // In a segment of its own, it is taken for TLS and is none.
    let mut conn = Raw::open(proxy.port);
    conn.send(&ssl);
    assert_eq!(conn.byte(), Some(b'S'));
    conn.send(&startup(V3_0, INNOVATE));
    let said: Vec<u8> = std::iter::from_fn(|| conn.byte()).collect();
    assert!(said.is_empty() || said[0] == 0x15, "{said:?}");
}

#[test]
fn what_is_sent_ahead_of_the_login_is_refused() {
    let proxy = Proxy::start(&Options::default());
    let mut conn = Raw::open(proxy.port);
    let ahead = message(b'Q', b"SELECT 1\0");
    conn.send(&[startup(V3_0, INNOVATE), ahead].concat());
    assert_eq!(conn.refusal().code(), "08P01");
}

// ----------------------------------------------------------------- protocol version

#[test]
fn the_protocol_is_negotiated() {
    let proxy = Proxy::start(&Options::default());
    let password = &proxy.password;
    for (minor, options, negotiated) in [
        (0, &[][..], None),
        (2, &[][..], None),
        (99, &[][..], Some((2, vec![]))),
        (0, &[("_pq_.x", "1")][..], Some((0, vec!["_pq_.x"]))),
        (
            2,
            &[("_pq_.x", "1"), ("_pq_.y", "")][..],
            Some((2, vec!["_pq_.x", "_pq_.y"])),
        ),
        (9999, &[("_pq_.x", "1")][..], Some((2, vec!["_pq_.x"]))),
    ] {
        let parameters = with(options);
        let mut conn = Raw::open(proxy.port);
        conn.send(&startup(V3_0 | minor, &parameters));
        let (_, before) = conn.offer().unwrap();
        let expected = negotiated.map(|(minor, names)| {
            let mut body = (V3_0 | minor).to_be_bytes().to_vec();
            body.extend(u32::try_from(names.len()).unwrap().to_be_bytes());
            for name in names {
                body.extend(name.as_bytes());
                body.push(0);
            }
            body
        });
        let bodies: Vec<_> = before.iter().map(|m| (m.tag, m.body.clone())).collect();
        let expected: Vec<_> = expected.into_iter().map(|body| (b'v', body)).collect();
        assert_eq!(bodies, expected, "3.{minor} {options:?}");

        let mut conn = Raw::open(proxy.port);
        conn.enter(V3_0 | minor, password, &parameters).unwrap();
        serves(&mut conn);
    }
}

#[test]
fn protocol_2_is_refused_with_its_name() {
    let proxy = Proxy::start(&Options::default());
    let mut conn = Raw::open(proxy.port);
    conn.send(&packet(2 << 16, &[0; 288]));
    let error = conn.refusal();
    assert_eq!((error.severity(), error.code()), ("FATAL", "0A000"));
    assert!(error.message().contains("2.0"), "{error:?}");
}

#[test]
fn cancellation_keys_are_as_long_as_the_protocol_lets_them_be() {
    let proxy = Proxy::start(&Options::default());
    let password = &proxy.password;
    for (version, len) in [(V3_0, 4), (V3_2, 32), (V3_0 | 99, 32)] {
        let mut conn = Raw::open(proxy.port);
        conn.enter(version, password, INNOVATE).unwrap();
        assert_eq!(conn.secret.len(), len);
        assert!(conn.pid > 0 && conn.pid <= i32::MAX as u32);
        // It is a key that works, and no other does.
        conn.send(&message(b'Q', b"SELECT pg_sleep(60)\0"));
        let mut wrong = conn.secret.clone();
        wrong[len - 1] ^= 1;
        testkit::cancel(proxy.port, conn.pid, &wrong);
        testkit::cancel(
            proxy.port,
            conn.pid,
            &conn.secret[..len / 2].repeat(4)[..len.max(4)],
        );
        proxy.wait_for_log("cancel_refused");
        let mut watcher = proxy.raw("synergy");
        testkit::wait_until("the statement runs", || {
            // Nothing but looking tells; synergy only keeps the proxy busy.
            watcher.value("SELECT 1");
            testkit::site().sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%' AND state = 'active'") == "1"
        });
        testkit::cancel(proxy.port, conn.pid, &conn.secret);
        assert_eq!(error(&mut conn).code(), "57014");
        serves(&mut conn);
    }
}

// -------------------------------------------------------------------------- SCRAM

#[test]
fn both_mechanisms_are_offered_over_tls_and_one_in_clear_text() {
    let proxy = Proxy::start(&Options::default());
    let mut conn = Raw::open(proxy.port);
    conn.send(&startup(V3_0, INNOVATE));
    assert_eq!(conn.offer().unwrap().0, [PLAIN]);
    let mut conn = Raw::secured(proxy.port, Tls::V1_3);
    conn.send(&startup(V3_0, INNOVATE));
    assert_eq!(conn.offer().unwrap().0, [PLUS, PLAIN]);
}

#[test]
fn a_login_may_be_bound_to_its_channel() {
    let proxy = Proxy::start(&require());
    let output = psql(
        &proxy,
        "sslmode=verify-full channel_binding=require",
        "SELECT 42",
    );
    assert_eq!(stdout(&output), "42", "{output:?}");

    let password = &proxy.password;
    for tls in [Tls::V1_2, Tls::V1_3] {
        let mut conn = Raw::secured(proxy.port, tls);
        let right = conn.end_point();
        assert!(bound(&mut conn, password, right.clone()).is_ok());
        serves(&mut conn);
        let mut wrong = right.clone();
        wrong[0] ^= 1;
        for wrong in [wrong, right[..31].to_vec(), Vec::new()] {
            let mut conn = Raw::secured(proxy.port, tls);
            let error = bound(&mut conn, password, wrong).unwrap_err();
            assert_eq!((error.severity(), error.code()), ("FATAL", "28P01"));
        }
    }
}

fn bound(conn: &mut Raw, password: &str, end_point: Vec<u8>) -> Result<(), Fields> {
    conn.send(&startup(V3_0, INNOVATE));
    conn.log_in_by(
        password,
        PLUS,
        ChannelBinding::tls_server_end_point(end_point),
    )
}

#[test]
fn a_channel_binding_that_was_taken_away_on_the_way_is_noticed() {
    let proxy = Proxy::start(&require());
    let password = &proxy.password;
    // "The client could, but was told that the server cannot."
    let mut conn = Raw::secured(proxy.port, Tls::V1_3);
    conn.send(&startup(V3_0, INNOVATE));
    let error = conn
        .log_in_by(password, PLAIN, ChannelBinding::unrequested())
        .unwrap_err();
    assert_eq!((error.severity(), error.code()), ("FATAL", "28P01"));
    // "The client cannot" is taken at its word.
    let mut conn = Raw::secured(proxy.port, Tls::V1_3);
    conn.enter(V3_0, password, INNOVATE).unwrap();
    serves(&mut conn);
    // In clear text the first is the truth.
    let proxy = Proxy::start(&Options {
        tls: "off",
        ..Options::default()
    });
    let mut conn = Raw::open(proxy.port);
    conn.send(&startup(V3_0, INNOVATE));
    conn.log_in_by(password, PLAIN, ChannelBinding::unrequested())
        .unwrap();
    serves(&mut conn);
}

#[test]
fn mechanism_and_data_must_agree() {
    let proxy = Proxy::start(&require());
    for (mechanism, data) in [
        (PLUS, "n,,n=,r=abcdefghijkl"),
        (PLUS, "y,,n=,r=abcdefghijkl"),
        (PLAIN, "p=tls-server-end-point,,n=,r=abcdefghijkl"),
        ("PLAIN", "n,,n=,r=abcdefghijkl"),
        ("", "n,,n=,r=abcdefghijkl"),
    ] {
        let mut conn = Raw::secured(proxy.port, Tls::V1_3);
        conn.send(&startup(V3_0, INNOVATE));
        conn.offer().unwrap();
        conn.send(&initial_response(mechanism, data.as_bytes()));
        assert_eq!(conn.refusal().code(), "08P01", "{mechanism} {data}");
    }
    let mut conn = Raw::secured(proxy.port, Tls::V1_3);
    conn.send(&startup(V3_0, INNOVATE));
    conn.offer().unwrap();
    conn.send(&initial_response(PLUS, b"p=tls-unique,,n=,r=abcdefghijkl"));
    assert_eq!(conn.refusal().code(), "28P01");
}

#[test]
fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let proxy = Proxy::start(&Options::default());
    let attempt = |user: &str| {
        let mut conn = Raw::open(proxy.port);
        conn.send(&startup(V3_0, &[("user", user)]));
        let (offer, _) = conn.offer().unwrap();
        let mut scram = ScramSha256::new(b"wrong", ChannelBinding::unsupported());
        conn.send(&initial_response(PLAIN, scram.message()));
        let challenge = conn.sasl(11).unwrap();
        scram.update(&challenge).unwrap();
        let challenge = String::from_utf8(challenge).unwrap();
        let parts: Vec<String> = challenge.split(',').map(str::to_owned).collect();
        conn.send(&message(b'p', scram.message()));
        let error = conn.refusal();
        (offer, parts, error)
    };
    let (offer, known, error) = attempt("innovate");
    assert_eq!(error.code(), "28P01");
    assert_eq!(
        error.message(),
        "password authentication failed for user \"innovate\""
    );
    let mut salts = vec![known[1].clone()];
    for user in ["nobody", "nobody2", "Innovate", "innovate "] {
        let (other_offer, parts, other) = attempt(user);
        assert_eq!(other_offer, offer);
        assert_eq!(parts.len(), known.len());
        assert_eq!(parts[0].len(), known[0].len(), "the nonce");
        assert_eq!(parts[1].len(), known[1].len(), "the salt");
        assert_eq!(parts[2], known[2], "the iterations");
        assert_eq!(other.message(), error.message().replace("innovate", user));
        let others = |error: &Fields| {
            let mut all = error.all.clone();
            all.remove("M");
            all
        };
        assert_eq!(others(&other), others(&error));
        // The same at every attempt, as with a user that exists.
        let (_, again, _) = attempt(user);
        assert_eq!(again[1], parts[1]);
        assert_ne!(again[0], parts[0], "the nonce");
        assert!(!salts.contains(&parts[1]));
        salts.push(parts[1].clone());
    }
    // Even he who knows the password of somebody is not let in as nobody.
    let mut conn = Raw::open(proxy.port);
    let error = conn
        .enter(V3_0, &proxy.password, &[("user", "nobody")])
        .unwrap_err();
    assert_eq!(error.code(), "28P01");
}

#[test]
fn a_user_must_be_named() {
    let proxy = Proxy::start(&Options::default());
    for parameters in [
        &[("user", "")][..],
        &[("database", "wellness_corp_db")],
        &[],
        &[("User", "innovate")],
    ] {
        let mut conn = Raw::open(proxy.port);
        conn.send(&startup(V3_0, parameters));
        let error = conn.refusal();
        assert_eq!(
            (error.severity(), error.code()),
            ("FATAL", "28000"),
            "{parameters:?}"
        );
    }
    let mut conn = Raw::open(proxy.port);
    conn.send(&startup(V3_0, &with(&[("user", "synergy")])));
    assert_eq!(conn.refusal().code(), "08P01");
}

#[test]
fn the_name_within_scram_does_not_count() {
    let proxy = Proxy::start(&Options::default());
    // libpq and others leave it empty; a different one changes nothing.
    let mut conn = Raw::open(proxy.port);
    conn.send(&startup(V3_0, &[("user", "nobody")]));
    conn.offer().unwrap();
    conn.send(&initial_response(PLAIN, b"n,,n=innovate,r=abcdefghijkl"));
    conn.sasl(11).unwrap();
    conn.send(&message(b'p', b"c=biws,r=abcdefghijkl,p=AAAA"));
    let error = conn.refusal();
    assert!(error.message().contains("nobody"), "{error:?}");
}

// --------------------------------------------------------------- startup parameters

#[test]
fn settings_reach_the_session_in_every_spelling() {
    let proxy = Proxy::start(&Options::default());
    let password = &proxy.password;
    for (parameters, show, expected) in [
        (
            &[("application_name", "my app")][..],
            "application_name",
            "my app",
        ),
        (&[("DateStyle", "german")], "datestyle", "German, DMY"),
        (&[("TimeZone", "Asia/Tokyo")], "timezone", "Asia/Tokyo"),
        (&[("timezone", "Asia/Tokyo")], "timezone", "Asia/Tokyo"),
        (&[("options", "-c work_mem=5MB")], "work_mem", "5MB"),
        (&[("options", "-cwork_mem=5MB")], "work_mem", "5MB"),
        (&[("options", "--work_mem=5MB")], "work_mem", "5MB"),
        (&[("options", "--work-mem=5MB")], "work_mem", "5MB"),
        (&[("options", "-c WORK_MEM=5MB")], "work_mem", "5MB"),
        (
            &[("options", " \t-c  application_name=a\\ b\\\\ ")],
            "application_name",
            "a b\\",
        ),
        (&[("options", "-c a.b=1 -c work_mem=5MB")], "a.b", "1"),
        (
            &[("options", "-c work_mem=5MB -c work_mem=6MB")],
            "work_mem",
            "6MB",
        ),
        (&[("app.login", "17")], "app.login", "17"),
        (&[("client_encoding", "utf-8")], "client_encoding", "UTF8"),
        (&[("client_encoding", "'UTF8'")], "client_encoding", "UTF8"),
        // psql's in the C locale: it asks for no conversion.
        (
            &[("client_encoding", "SQL_ASCII")],
            "client_encoding",
            "UTF8",
        ),
        (
            &[("standard_conforming_strings", "on")],
            "standard_conforming_strings",
            "on",
        ),
    ] {
        let mut conn = Raw::open(proxy.port);
        let logged_in = conn.enter(V3_0, password, &with(parameters));
        assert_eq!(logged_in, Ok(()), "{parameters:?}");
        assert_eq!(
            conn.value(&format!("SHOW {show}")),
            expected,
            "{parameters:?}"
        );
        if let Some((_, reported)) = conn
            .parameters
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(show))
        {
            assert_eq!(reported, expected, "{parameters:?}");
        }
        serves(&mut conn);
    }
}

#[test]
fn a_parameter_of_its_own_wins_over_options_as_in_postgresql() {
    let proxy = Proxy::start(&Options::default());
    let own = ("application_name", "own");
    let options = ("options", "-c application_name=options");
    for parameters in [[own, options], [options, own]] {
        let mut conn = Raw::open(proxy.port);
        conn.enter(V3_0, &proxy.password, &with(&parameters))
            .unwrap();
        assert_eq!(conn.value("SHOW application_name"), "own", "{parameters:?}");
    }
}

#[test]
fn what_carries_the_tenant_is_refused_at_startup_in_every_spelling() {
    let proxy = Proxy::start(&Options::default());
    let synergy = "22222222-2222-2222-2222-222222222222";
    let name = "session.current_organization_id";
    let upper = name.to_uppercase();
    let dashes = name.replace('_', "-");
    let escaped: String = name.chars().flat_map(|c| ['\\', c]).collect();
    let mut refused: Vec<(String, String)> = Vec::new();
    for name in [name, &upper, "Session.Current_Organization_ID"] {
        refused.push((name.to_owned(), synergy.to_owned()));
    }
    for option in [
        format!("-c {name}={synergy}"),
        format!("-c{name}={synergy}"),
        format!("--{name}={synergy}"),
        format!("--{dashes}={synergy}"),
        format!("-c {dashes}={synergy}"),
        format!("-c {upper}={synergy}"),
        format!("\\-\\c {escaped}={synergy}"),
        format!("-c\t{name}={synergy}"),
        format!("-c work_mem=5MB\n-c\u{b}{name}={synergy}"),
        format!("-c {name}="),
        "-c role=postgres".to_owned(),
        "-c session_authorization=postgres".to_owned(),
        "-c row_security=off".to_owned(),
        "-c session_replication_role=replica".to_owned(),
        "-c standard_conforming_strings=off".to_owned(),
        "-c client_encoding=SJIS".to_owned(),
        "-c session_preload_libraries=x".to_owned(),
        "-c local_preload_libraries=x".to_owned(),
        "-c search_path=evil,pg_catalog".to_owned(),
        "-C data_directory".to_owned(),
        "-d 5".to_owned(),
        "-O".to_owned(),
        "-c".to_owned(),
        "-c work_mem".to_owned(),
        "-f".to_owned(),
        "work_mem=5MB".to_owned(),
    ] {
        refused.push(("options".to_owned(), option));
    }
    for (name, value) in [
        ("role", "postgres"),
        ("ROLE", "postgres"),
        ("session_authorization", "postgres"),
        ("is_superuser", "on"),
        ("row_security", "off"),
        ("session_replication_role", "replica"),
        ("standard_conforming_strings", "off"),
        ("client_encoding", "LATIN1"),
        ("client_encoding", "SJIS"),
        ("client_encoding", ""),
        ("Client_Encoding", "GBK"),
        ("replication", "true"),
        ("replication", "database"),
        ("replication", "on"),
        ("replication", "1"),
        ("Replication", "true"),
        ("superuser_reserved_connections", "0"),
        ("log_statement", "none"),
        ("unknown", "1"),
        ("", ""),
    ] {
        if !name.is_empty() {
            refused.push((name.to_owned(), value.to_owned()));
        }
    }
    for (name, value) in &refused {
        let mut conn = Raw::open(proxy.port);
        let logged_in = conn.enter(V3_0, &proxy.password, &with(&[(name, value)]));
        let error = logged_in.expect_err(&format!("{name} = {value:?}"));
        assert_eq!(error.severity(), "FATAL", "{name} = {value:?}: {error:?}");
        assert!(
            ["42501", "0A000", "08P01", "22023"].contains(&error.code()),
            "{name} = {value:?}: {error:?}"
        );
        assert!(!error.message().is_empty());
    }
    // In the schema kind what would hide the tenant's objects, too.
    for parameter in [
        ("search_path", "pg_temp"),
        ("options", "-c search_path=pg_temp"),
        ("options", "--search-path=pg_temp"),
    ] {
        let parameters = [
            ("user", "acme"),
            ("database", "wellness_schemas"),
            parameter,
        ];
        let mut conn = Raw::open(proxy.port);
        let error = conn.enter(V3_0, &proxy.password, &parameters).unwrap_err();
        assert_eq!(error.severity(), "FATAL", "{error:?}");
    }
}

#[test]
fn replication_that_is_not_wanted_is_no_reason_to_refuse() {
    let proxy = Proxy::start(&Options::default());
    for value in ["false", "off", "no", "0", "FALSE"] {
        let mut conn = Raw::open(proxy.port);
        conn.enter(V3_0, &proxy.password, &with(&[("replication", value)]))
            .unwrap();
        serves(&mut conn);
    }
}

#[test]
fn a_database_of_somebody_else_is_refused_by_name() {
    let proxy = Proxy::start(&Options::default());
    for database in ["postgres", "wellness_umbrella", "WELLNESS_CORP_DB"] {
        let mut conn = Raw::open(proxy.port);
        let parameters = [("user", "innovate"), ("database", database)];
        let error = conn.enter(V3_0, &proxy.password, &parameters).unwrap_err();
        assert_eq!((error.severity(), error.code()), ("FATAL", "3D000"));
        assert!(error.message().contains(database), "{error:?}");
        // Not before the password has been proven.
        let mut conn = Raw::open(proxy.port);
        let error = conn.enter(V3_0, "wrong", &parameters).unwrap_err();
        assert_eq!(error.code(), "28P01");
    }
}

#[test]
fn a_database_may_be_asked_for_by_its_aliases() {
    let proxy = Proxy::start(&Options::default());
    let enter = |login: &str, database: &str| {
        let mut conn = Raw::open(proxy.port);
        let parameters = [("user", login), ("database", database)];
        let entered = conn.enter(V3_0, &proxy.password, &parameters);
        entered.map(|()| conn.value("SELECT current_database()"))
    };
    assert_eq!(enter("initech", "app").unwrap_err().code(), "3D000");
    proxy.reload(|text| {
        let plain = "database = \"{database}\"\n";
        assert!(text.contains(plain));
        let alias = "database_alias = [\"app\", \"{database}_old\"]\n";
        text.replace(plain, &format!("{plain}{alias}"))
    });
    // The tenant is the login's, by whichever name.
    for login in ["initech", "umbrella"] {
        let own = format!("wellness_{login}");
        for name in [&own, "app", &format!("{own}_old"), ""] {
            assert_eq!(enter(login, name).unwrap(), own, "{login} {name:?}");
        }
    }
    // Aliases of another tenant, and of another isolation, are none.
    for (login, name) in [
        ("initech", "wellness_umbrella_old"),
        ("initech", "wellness_umbrella"),
        ("initech", "APP"),
        ("innovate", "app"),
    ] {
        let error = enter(login, name).unwrap_err();
        assert_eq!(error.code(), "3D000", "{login} {name}");
    }
    let hint = enter("initech", "elsewhere").unwrap_err();
    assert!(hint.hint().contains("\"app\"") && hint.hint().contains("database_alias"));
}

#[test]
fn a_value_that_the_server_refuses_is_told_in_its_words() {
    let proxy = Proxy::start(&Options::default());
    for (name, value, part) in [
        ("TimeZone", "Nowhere/At_All", "Nowhere/At_All"),
        ("work_mem", "a lot", "work_mem"),
        ("statement_timeout", "-5", "statement_timeout"),
        ("DateStyle", "martian", "DateStyle"),
    ] {
        let mut conn = Raw::open(proxy.port);
        let error = conn
            .enter(V3_0, &proxy.password, &with(&[(name, value)]))
            .unwrap_err();
        assert_eq!(
            (error.severity(), error.code()),
            ("FATAL", "22023"),
            "{error:?}"
        );
        assert!(error.message().contains(part), "{error:?}");
    }
    serves(&mut logged_in(&proxy));
}

fn logged_in(proxy: &Proxy) -> Raw {
    let mut conn = Raw::open(proxy.port);
    conn.enter(V3_0, &proxy.password, INNOVATE).unwrap();
    conn
}

// ------------------------------------------------------------------------- limits

#[test]
fn there_are_no_more_clients_than_allowed() {
    let proxy = Proxy::start(&Options {
        max_clients: 2,
        ..Options::default()
    });
    let first = logged_in(&proxy);
    let mut second = logged_in(&proxy);
    let mut third = Raw::open(proxy.port);
    third.send(&startup(V3_0, INNOVATE));
    let refused = third.refusal();
    assert_eq!((refused.severity(), refused.code()), ("FATAL", "53300"));
    assert!(refused.hint().contains("max_clients"), "{refused:?}");
    // A request to cancel always gets in.
    second.send(&message(b'Q', b"SELECT pg_sleep(60)\0"));
    testkit::wait_until("the statement runs", || {
        testkit::site().sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%' AND state = 'active'") != "0"
    });
    testkit::cancel(proxy.port, second.pid, &second.secret);
    assert_eq!(error(&mut second).code(), "57014");
    drop(first);
    testkit::wait_until("a place is free", || {
        let mut conn = Raw::open(proxy.port);
        conn.enter(V3_0, &proxy.password, INNOVATE).is_ok()
    });
    serves(&mut second);
}

/// Begins a login.
type Start<'a> = Box<dyn Fn() -> Raw + 'a>;

#[test]
fn a_login_that_takes_too_long_is_ended_wherever_it_stops() {
    let proxy = Proxy::start(&Options {
        login_timeout: "1s",
        ..Options::default()
    });
    let halves: Vec<(&str, Start<'_>)> = vec![
        ("silence", Box::new(|| Raw::open(proxy.port))),
        (
            "half a packet",
            Box::new(|| {
                let mut conn = Raw::open(proxy.port);
                conn.send(&startup(V3_0, INNOVATE)[..10]);
                conn
            }),
        ),
        (
            "no handshake",
            Box::new(|| {
                let mut conn = Raw::open(proxy.port);
                conn.send(&packet(SSL_REQUEST, b""));
                assert_eq!(conn.byte(), Some(b'S'));
                conn
            }),
        ),
        (
            "half a handshake",
            Box::new(|| {
                let mut conn = Raw::open(proxy.port);
                conn.send(b"\x16\x03\x01\x02\x00\x01");
                conn
            }),
        ),
        (
            "nothing in TLS",
            Box::new(|| Raw::secured(proxy.port, Tls::V1_3)),
        ),
        (
            "no response",
            Box::new(|| {
                let mut conn = Raw::open(proxy.port);
                conn.send(&startup(V3_0, INNOVATE));
                conn.offer().unwrap();
                conn
            }),
        ),
        (
            "half a response",
            Box::new(|| {
                let mut conn = Raw::open(proxy.port);
                conn.send(&startup(V3_0, INNOVATE));
                conn.offer().unwrap();
                conn.send(&announced(b'p', 50, b"SCRAM"));
                conn
            }),
        ),
        (
            "no proof",
            Box::new(|| {
                let mut conn = Raw::open(proxy.port);
                conn.send(&startup(V3_0, INNOVATE));
                conn.offer().unwrap();
                conn.send(&initial_response(PLAIN, b"n,,n=,r=abcdefghijkl"));
                conn.sasl(11).unwrap();
                conn
            }),
        ),
    ];
    // All at once: they wait for the same second.
    let started: Vec<_> = halves
        .iter()
        .map(|(name, start)| (*name, start()))
        .collect();
    let mut established = logged_in(&proxy);
    for (name, mut conn) in started {
        let said = conn.until_closed().messages;
        for message in &said {
            assert_eq!(message.fields().code(), "57014", "{name}");
        }
    }
    // It is over for logins alone.
    serves(&mut established);
}

// ------------------------------------------------------------------------ secrets

#[test]
fn no_secret_reaches_the_log() {
    let site = testkit::site();
    let verifier = Verifier::derive("tr0ub4dor&3");
    let more = format!(
        "[[logins]]\nuser = \"odd\"\ntenant = \"11111111-1111-1111-1111-111111111111\"\nscram = {verifier:?}\n"
    );
    let proxy = Proxy::start(&Options {
        log: "trace",
        more,
        ..Options::default()
    });
    let mut secrets = vec![
        site.login_password.clone(),
        site.app_password.clone(),
        site.role_key.clone(),
        "tr0ub4dor&3".to_owned(),
        "wr0ng-pa55w0rd".to_owned(),
        verifier.clone(),
        site.login_verifier.clone(),
    ];
    // The parts of verifiers, salts aside.
    for verifier in [&verifier, &site.login_verifier] {
        let keys = verifier.rsplit('$').next().unwrap();
        secrets.extend(keys.split(':').map(str::to_owned));
    }
    serves(&mut logged_in(&proxy));
    proxy.raw("acme").value("SELECT 1");
    proxy.raw("initech").value("SELECT 1");
    let mut conn = Raw::open(proxy.port);
    conn.enter(V3_0, "tr0ub4dor&3", &[("user", "odd")]).unwrap();
    let mut conn = Raw::open(proxy.port);
    conn.enter(V3_0, "wr0ng-pa55w0rd", INNOVATE).unwrap_err();
    // A proof in a message that does not fit.
    for spoil in [
        |text: String| text.replacen("c=", "x=", 1),
        |text: String| text.replacen("r=", "x=", 1),
        |text: String| text.replacen(",p=", ";p=", 1),
        |text: String| text.replacen(",r=", ",r=x", 1),
        |text: String| text + "!",
    ] {
        let mut conn = Raw::open(proxy.port);
        conn.send(&startup(V3_0, INNOVATE));
        conn.offer().unwrap();
        let mut scram = ScramSha256::new(
            site.login_password.as_bytes(),
            ChannelBinding::unsupported(),
        );
        conn.send(&initial_response(PLAIN, scram.message()));
        scram.update(&conn.sasl(11).unwrap()).unwrap();
        let proof = String::from_utf8(scram.message().to_vec()).unwrap();
        secrets.push(proof.split_once("p=").unwrap().1.to_owned());
        conn.send(&message(b'p', spoil(proof).as_bytes()));
        assert_eq!(conn.refusal().code(), "28P01");
    }
    // A client that takes the proxy for one that asks for clear text.
    let mut conn = Raw::open(proxy.port);
    conn.send(&startup(V3_0, INNOVATE));
    conn.offer().unwrap();
    conn.send(&message(
        b'p',
        format!("{}\0", site.login_password).as_bytes(),
    ));
    conn.refusal();
    proxy.wait_for_log("malformed SASL");
    let log = proxy.log();
    for secret in &secrets {
        assert!(!log.contains(&**secret), "{secret} is in the log");
    }
}

#[test]
fn a_client_cannot_write_lines_of_its_own_into_the_log() {
    let proxy = Proxy::start(&Options::default());
    for user in [
        "x\n2026-01-01T00:00:00Z  INFO forged: event=\"login\"",
        "x\r\nforged",
        "x\x1b[2Jforged",
    ] {
        let mut conn = Raw::open(proxy.port);
        conn.enter(V3_0, "wrong", &[("user", user)]).unwrap_err();
        let mut conn = Raw::open(proxy.port);
        let logged_in = conn.enter(
            V3_0,
            &proxy.password,
            &[("user", "innovate"), ("database", user)],
        );
        logged_in.unwrap_err();
    }
    let mut conn = Raw::open(proxy.port);
    conn.enter(V3_0, "wrong", &[("user", "last")]).unwrap_err();
    proxy.wait_for_log("login \"last\"");
    for line in proxy.log().lines() {
        assert!(
            line.starts_with("20") && !line.starts_with("2026-01-01T00:00:00Z"),
            "{line:?}"
        );
        assert!(!line.contains('\x1b') && !line.contains('\r'), "{line:?}");
    }
}

// ------------------------------------------------------------------------ helpers

/// The error that a statement ends with.
fn error(conn: &mut Raw) -> Fields {
    let messages = conn.until_ready().messages;
    let found = messages.iter().find(|message| message.tag == b'E');
    found
        .unwrap_or_else(|| panic!("an error was expected: {messages:?}"))
        .fields()
}

/// Runs psql with more of a connection string.
fn psql(proxy: &Proxy, more: &str, sql: &str) -> Output {
    Command::new(testkit::site().cluster.client_program("psql"))
        .args(["-X", "-A", "-t", "-c", sql, "-d"])
        .arg(format!(
            "host=127.0.0.1 port={} user=innovate dbname=wellness_corp_db password={} sslrootcert={} connect_timeout=10 {more}",
            proxy.port,
            proxy.password,
            testkit::site().ca_file().display(),
        ))
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
