//! Guessing is slow, and nobody else is disturbed by it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use std::fmt::Write as _;
use testkit::{
    Fields, Options, PLAIN, Proxy, Raw, SSL_REQUEST, Tls, V3_0, initial_response, message, packet,
    site, startup, wait_until,
};

/// Three may fail; then nobody tries again while a test runs.
const STRICT: &str = "free = 3\ndelay = \"1h\"\nlongest_delay = \"1h\"\nforget_after = \"2h\"";

fn proxy(throttle: &str, more: String) -> Proxy {
    Proxy::start(&Options {
        throttle: throttle.to_owned(),
        more,
        ..Options::default()
    })
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    In,
    /// The password was looked at, as far as the client can tell.
    Refused,
    /// It was not even asked for.
    Unseen,
}

/// Tries to log in from an address of this machine.
fn attempt(proxy: &Proxy, address: &str, user: &str, password: &str) -> Outcome {
    let mut conn = Raw::open_from(address, proxy.port);
    conn.send(&startup(V3_0, &[("user", user)]));
    let Ok(scram) = challenge(&mut conn, password) else {
        return Outcome::Unseen;
    };
    match prove(&mut conn, &scram) {
        Ok(()) => Outcome::In,
        Err(error) => {
            assert_wrong(&error, user);
            Outcome::Refused
        }
    }
}

/// Goes through SCRAM as far as the proof.
fn challenge(conn: &mut Raw, password: &str) -> Result<ScramSha256, Fields> {
    conn.offer()?;
    let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    conn.send(&initial_response(PLAIN, scram.message()));
    scram.update(&conn.sasl(11)?).unwrap();
    Ok(scram)
}

fn prove(conn: &mut Raw, scram: &ScramSha256) -> Result<(), Fields> {
    conn.send(&message(b'p', scram.message()));
    conn.sasl(12).map(|_| ())
}

#[track_caller]
fn assert_wrong(error: &Fields, user: &str) {
    assert_eq!((error.severity(), error.code()), ("FATAL", "28P01"));
    let message = format!("password authentication failed for user \"{user}\"");
    assert_eq!(error.message(), message);
}

/// How many refusals the log has for this reason.
fn logged(proxy: &Proxy, reason: &str) -> usize {
    let log = proxy.log();
    let lines = log.lines().filter(|line| line.contains("login_refused"));
    lines.filter(|line| line.contains(reason)).count()
}

#[test]
fn guessing_from_one_address_is_slowed() {
    let proxy = proxy(STRICT, String::new());
    let outcomes: Vec<_> = (0..10)
        .map(|n| attempt(&proxy, "127.0.0.2", "innovate", &format!("guess{n}")))
        .collect();
    assert_eq!(outcomes[..3], [Outcome::Refused; 3]);
    assert_eq!(outcomes[3..], [Outcome::Unseen; 7]);
    // Not even the right one is tried, or any other login.
    let password = &proxy.password;
    assert_eq!(
        attempt(&proxy, "127.0.0.2", "innovate", password),
        Outcome::Unseen
    );
    assert_eq!(
        attempt(&proxy, "127.0.0.2", "synergy", password),
        Outcome::Unseen
    );
    // It looks like a wrong password.
    let mut conn = Raw::open_from("127.0.0.2", proxy.port);
    conn.send(&startup(V3_0, &[("user", "innovate")]));
    assert_wrong(&conn.refusal(), "innovate");
    wait_until("all are logged", || logged(&proxy, "throttled") == 10);
    assert_eq!(logged(&proxy, "wrong password"), 3);
    proxy.wait_for_log("login \"innovate\": throttled: too many logins failed from this address");

    // Another address and another login are not disturbed.
    assert_eq!(
        attempt(&proxy, "127.0.0.3", "synergy", password),
        Outcome::In
    );
}

#[test]
fn what_has_failed_is_known_after_a_reload() {
    let proxy = proxy(STRICT, String::new());
    for _ in 0..3 {
        let outcome = attempt(&proxy, "127.0.0.2", "innovate", "guess");
        assert_eq!(outcome, Outcome::Refused);
    }
    let again = || attempt(&proxy, "127.0.0.2", "innovate", &proxy.password);
    assert_eq!(again(), Outcome::Unseen);
    proxy.reload(|config| config);
    assert_eq!(again(), Outcome::Unseen);
    // Other settings hold at once.
    proxy.reload(|config| config.replace("free = 3", "free = 4"));
    assert_eq!(again(), Outcome::In);
}

#[test]
fn many_attempts_at_once_get_no_more_verdicts() {
    let proxy = proxy(STRICT, String::new());
    let mut waiting: Vec<_> = (0..20)
        .map(|n| {
            let mut conn = Raw::open_from("127.0.0.2", proxy.port);
            conn.send(&startup(V3_0, &[("user", "innovate")]));
            let scram = challenge(&mut conn, &format!("guess{n}")).unwrap();
            (conn, scram)
        })
        .collect();
    for (conn, scram) in &mut waiting {
        assert_wrong(&prove(conn, scram).unwrap_err(), "innovate");
    }
    wait_until("all are logged", || {
        logged(&proxy, "login \"innovate\"") == 20
    });
    assert_eq!(logged(&proxy, "wrong password"), 3);
    assert_eq!(logged(&proxy, "throttled"), 17);
}

#[test]
fn an_application_is_not_locked_out_by_who_guesses_its_password_elsewhere() {
    let proxy = proxy(STRICT, String::new());
    let password = &proxy.password;
    assert_eq!(
        attempt(&proxy, "127.0.0.9", "innovate", password),
        Outcome::In
    );
    for n in 2..=4 {
        let address = format!("127.0.0.{n}");
        assert_eq!(
            attempt(&proxy, &address, "innovate", "guess"),
            Outcome::Refused
        );
    }
    // From new addresses the login is slowed, and no other one.
    assert_eq!(
        attempt(&proxy, "127.0.0.5", "innovate", password),
        Outcome::Unseen
    );
    assert_eq!(
        attempt(&proxy, "127.0.0.5", "synergy", password),
        Outcome::In
    );
    proxy.wait_for_log("throttled: too many logins failed for this login;");
    // From where it has succeeded it still does.
    assert_eq!(
        attempt(&proxy, "127.0.0.9", "innovate", password),
        Outcome::In
    );
    // Who guesses there gets no further.
    let outcomes: Vec<_> = (0..5)
        .map(|_| attempt(&proxy, "127.0.0.9", "innovate", "guess"))
        .collect();
    assert_eq!(outcomes[..3], [Outcome::Refused; 3]);
    assert_eq!(outcomes[3..], [Outcome::Unseen; 2]);
    proxy.wait_for_log("for this login from this address");
    // And does not disturb other logins there.
    assert_eq!(
        attempt(&proxy, "127.0.0.9", "synergy", password),
        Outcome::In
    );
}

#[test]
fn the_delay_passes_and_a_success_makes_all_free_again() {
    let quick = "free = 2\ndelay = \"1ms\"\nlongest_delay = \"2ms\"";
    let proxy = proxy(quick, String::new());
    let mut refused = 0;
    wait_until("the password was looked at ten times", || {
        let outcome = attempt(&proxy, "127.0.0.2", "innovate", "guess");
        refused += usize::from(outcome == Outcome::Refused);
        refused == 10
    });
    wait_until("the delay has passed", || {
        attempt(&proxy, "127.0.0.2", "innovate", &proxy.password) == Outcome::In
    });
}

#[test]
fn users_that_do_not_exist_are_slowed_like_those_that_do() {
    let proxy = proxy(STRICT, String::new());
    let sequence = |address: &str, user: &str| -> Vec<_> {
        let outcomes = (0..6).map(|_| attempt(&proxy, address, user, "guess"));
        outcomes.collect()
    };
    assert_eq!(
        sequence("127.0.0.2", "innovate"),
        sequence("127.0.0.3", "nobody")
    );
    let elsewhere = |user| attempt(&proxy, "127.0.0.4", user, "guess");
    assert_eq!(elsewhere("innovate"), elsewhere("nobody"));
}

#[test]
fn users_that_do_not_exist_look_like_most_that_do() {
    // Of another shape than PostgreSQL's default, and the most.
    let mut more = String::new();
    for n in 0..10 {
        let (salt, key) = (STANDARD.encode([n; 40]), STANDARD.encode([n; 32]));
        let _ = write!(
            more,
            "[[logins]]\nuser = \"user{n}\"\ntenant = \"11111111-1111-1111-1111-111111111111\"\n\
             scram = \"SCRAM-SHA-256$10000:{salt}${key}:{key}\"\n"
        );
    }
    let start = || {
        let options = Options {
            tls: "require",
            more: more.clone(),
            ..Options::default()
        };
        Proxy::start(&options)
    };
    // The mechanisms, the salt and the iterations.
    let look = |proxy: &Proxy, user: &str| {
        let mut conn = Raw::secured(proxy.port, Tls::V1_3);
        conn.send(&startup(V3_0, &[("user", user)]));
        let (mechanisms, _) = conn.offer().unwrap();
        conn.send(&initial_response(PLAIN, b"n,,n=,r=abcdefghijkl"));
        let challenge = String::from_utf8(conn.sasl(11).unwrap()).unwrap();
        let mut parts = challenge.split(',').skip(1).map(str::to_owned);
        let salt = parts.next().unwrap().split_off(2);
        (
            mechanisms,
            STANDARD.decode(salt).unwrap(),
            parts.next().unwrap(),
        )
    };
    let proxy = start();
    let (mechanisms, salt, iterations) = look(&proxy, "user0");
    assert_eq!((salt.len(), &*iterations), (40, "i=10000"));
    let mut salts = Vec::new();
    for user in ["nobody", "nobody2", "User0"] {
        let (same, salt, as_many) = look(&proxy, user);
        assert_eq!((same, as_many), (mechanisms.clone(), iterations.clone()));
        assert_eq!(salt.len(), 40);
        assert!(!salts.contains(&salt));
        // Random as a salt is: not one block again and again.
        assert_ne!(salt[..8], salt[32..]);
        salts.push(salt);
    }
    // After a restart it is the same, as with users that exist.
    drop(proxy);
    let proxy = start();
    assert_eq!(look(&proxy, "nobody").1, salts[0]);
    assert_eq!(look(&proxy, "nobody2").1, salts[1]);
}

// --------------------------------------------------------------- address and standing

#[test]
fn a_tenant_s_clients_come_from_where_they_may_and_nobody_else_learns_anything() {
    let verifier = &site().login_verifier;
    let more = format!(
        "[[tenants]]\nid = \"77777777-7777-7777-7777-777777777777\"\nisolation = \"setting\"\n\
         allowed = [\"127.0.0.5\", \"127.1.0.0/16\"]\n\
         [[logins]]\nuser = \"gated\"\ntenant = \"77777777-7777-7777-7777-777777777777\"\n\
         scram = {verifier:?}\n"
    );
    let proxy = proxy(STRICT, more);
    let password = &proxy.password;
    for allowed in ["127.0.0.5", "127.1.2.3"] {
        assert_eq!(attempt(&proxy, allowed, "gated", password), Outcome::In);
    }
    // The right password is refused as a wrong one is, and counts as one.
    let outcomes: Vec<_> = (0..4)
        .map(|_| attempt(&proxy, "127.0.0.6", "gated", password))
        .collect();
    assert_eq!(outcomes[..3], [Outcome::Refused; 3]);
    assert_eq!(outcomes[3], Outcome::Unseen);
    proxy.wait_for_log("login \"gated\": address not allowed");
    assert_eq!(attempt(&proxy, "127.0.0.5", "gated", password), Outcome::In);
}

#[test]
fn a_suspended_tenant_s_clients_are_told_once_they_have_proved_who_they_are() {
    let verifier = &site().login_verifier;
    let more = format!(
        "[[tenants]]\nid = \"88888888-8888-8888-8888-888888888888\"\nisolation = \"setting\"\n\
         state = \"suspended\"\n\
         [[logins]]\nuser = \"late\"\ntenant = \"88888888-8888-8888-8888-888888888888\"\n\
         scram = {verifier:?}\n"
    );
    let proxy = proxy(STRICT, more);
    let log_in = |password: &str| {
        let mut conn = Raw::open(proxy.port);
        conn.enter(V3_0, password, &[("user", "late")]).unwrap_err()
    };
    // It does not count as a failure.
    for _ in 0..5 {
        let error = log_in(&proxy.password);
        assert_eq!((error.severity(), error.code()), ("FATAL", "28000"));
        assert_eq!(error.message(), "the tenant is suspended");
    }
    assert_wrong(&log_in("wrong"), "late");
    proxy.wait_for_log("tenant 88888888-8888-8888-8888-888888888888 is suspended");
}

// --------------------------------------------------------------------------- crowds

#[test]
fn logins_in_progress_of_one_address_are_limited() {
    let proxy = proxy("per_address = 2", String::new());
    let mut silent = [Raw::open(proxy.port), Raw::open(proxy.port)];
    // They are there once they have been answered.
    for conn in &mut silent {
        conn.send(&packet(SSL_REQUEST, b""));
        assert_eq!(conn.byte(), Some(b'S'));
    }
    // Told at once, before anything is read or any TLS.
    let error = Raw::open(proxy.port).refusal();
    assert_eq!((error.severity(), error.code()), ("FATAL", "53300"));
    assert!(error.hint().contains("throttle.per_address"), "{error:?}");
    let mut conn = Raw::open(proxy.port);
    conn.send(&packet(SSL_REQUEST, b""));
    assert_eq!(conn.refusal().code(), "53300");
    proxy.wait_for_log("too many logins of this address are in progress");
    // Other addresses are not disturbed.
    let password = &proxy.password;
    assert_eq!(
        attempt(&proxy, "127.0.0.2", "innovate", password),
        Outcome::In
    );
    // Who is in is not in progress any more.
    drop(silent);
    let mut clients = Vec::new();
    wait_until("four have logged in", || {
        let mut conn = Raw::open(proxy.port);
        conn.send(&startup(V3_0, &[("user", "innovate")]));
        let in_now = conn
            .log_in_by(password, PLAIN, ChannelBinding::unsupported())
            .is_ok();
        if in_now {
            clients.push(conn);
        }
        clients.len() == 4
    });
}

#[test]
fn clients_beyond_the_limit_get_no_handshake_but_for_a_few() {
    let proxy = Proxy::start(&Options {
        tls: "require",
        max_clients: 1,
        ..Options::default()
    });
    let mut first = Raw::secured(proxy.port, Tls::V1_3);
    first
        .enter(V3_0, &proxy.password, &[("user", "innovate")])
        .unwrap();
    // A few get as far as TLS, where they may ask to cancel something.
    let mut few: Vec<_> = (0..16)
        .map(|_| {
            let mut conn = Raw::open(proxy.port);
            conn.send(&packet(SSL_REQUEST, b""));
            assert_eq!(conn.byte(), Some(b'S'));
            conn
        })
        .collect();
    // One more is told so in place of the answer.
    let mut conn = Raw::open(proxy.port);
    conn.send(&packet(SSL_REQUEST, b""));
    assert_eq!(conn.refusal().code(), "53300");
    // An error would not be understood here.
    assert!(
        Raw::open(proxy.port)
            .start_tls(Tls::Alpn("postgresql"))
            .is_err()
    );

    let mut secured = few.remove(0).start_tls(Tls::V1_3).unwrap();
    secured.send(&startup(V3_0, &[("user", "innovate")]));
    let error = secured.refusal();
    assert_eq!((error.severity(), error.code()), ("FATAL", "53300"));
    assert!(error.hint().contains("listen.max_clients"), "{error:?}");
    first.send(&message(b'Q', b"SELECT pg_sleep(600)\0"));
    let mut answer = None;
    for conn in few {
        let body = [&first.pid.to_be_bytes()[..], &first.secret].concat();
        let mut conn = conn.start_tls(Tls::V1_3).unwrap();
        conn.send(&packet(testkit::CANCEL_REQUEST, &body));
        assert_eq!(conn.try_read(), None);
        // The statement may not have begun when the first request came.
        if !first.is_quiet() {
            answer = Some(first.until_ready().messages);
            break;
        }
    }
    let answer = answer.expect("no request to cancel has struck");
    let error = answer.iter().find(|message| message.tag == b'E').unwrap();
    assert_eq!(error.fields().code(), "57014");
}
