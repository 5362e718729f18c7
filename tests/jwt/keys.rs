//! Keys that are fetched: rotation, floods, and addresses that fail.

use crate::client::{email, log_in, options, proxy, refused};
use crate::issuer::{Signer, attacker, claims, jwks, rsa};
use crate::publisher::{Publisher, closed_port};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use testkit::{INNOVATE, Options, Proxy, site, wait_until};

fn lines(publisher: &Publisher, more: &str) -> String {
    format!(
        "algorithms = [\"RS256\", \"ES256\"]\njwks_url = {:?}\n{more}",
        publisher.url()
    )
}

fn token(signer: &Signer) -> String {
    signer.token(&claims("ann", INNOVATE))
}

#[track_caller]
fn accepted(proxy: &Proxy, signer: &Signer) {
    let mut conn = log_in(proxy, "ann", &token(signer)).unwrap();
    assert_eq!(email(&mut conn), "alice@innovate.example");
}

#[test]
fn keys_are_rotated_without_a_failed_login() {
    let (first, second, third) = (rsa(), Signer::ec256("2"), Signer::ec256("3"));
    let publisher = Publisher::plain(&jwks(&[&first]));
    let proxy = proxy(&lines(&publisher, "refresh_floor = \"1s\""), "");
    accepted(&proxy, &first);
    // New keys are used as soon as they are published, also shortly after the
    // last request: the login waits.
    publisher.publish(&jwks(&[&first, &second]));
    accepted(&proxy, &second);
    publisher.publish(&jwks(&[&second, &third]));
    accepted(&proxy, &third);
    accepted(&proxy, &second);
    assert_eq!(publisher.requests(), 3);
    // One that is published no more is used no more.
    let gone = "no key is known for the token: kid \"rsa\"";
    refused(&proxy, log_in(&proxy, "eve", &token(&first)), "eve", gone);
    let request = publisher.last();
    assert!(
        request.starts_with("GET /keys?of=issuer HTTP/1.1\r\n"),
        "{request}"
    );
    let host = format!("host: 127.0.0.1:{}\r\n", publisher.port);
    assert!(request.to_lowercase().contains(&host), "{request}");
}

#[test]
fn keys_are_rotated_while_many_log_in() {
    let current = Mutex::new(Signer::ec256("0"));
    let publisher = Publisher::plain(&jwks(&[&current.lock().unwrap()]));
    let proxy = Proxy::start(&Options {
        workers: 2,
        ..options(&lines(&publisher, "refresh_floor = \"1s\""), "")
    });
    let over = AtomicBool::new(false);
    let logins = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let signer = current.lock().unwrap().clone();
                    accepted(&proxy, &signer);
                    logins.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Each key is signed with as soon as it is published; the former ones stay,
        // for logins that are on their way.
        let mut all = vec![current.lock().unwrap().clone()];
        for n in 1..=4 {
            all.push(Signer::ec256(&n.to_string()));
            publisher.publish(&jwks(&all.iter().collect::<Vec<_>>()));
            *current.lock().unwrap() = all[n].clone();
            let enough = logins.load(Ordering::Relaxed) + 20;
            wait_until("others have logged in", || {
                logins.load(Ordering::Relaxed) >= enough
            });
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(!proxy.log().contains("login_refused"));
}

#[test]
fn a_login_that_cannot_wait_still_has_the_keys_fetched() {
    let (first, second) = (rsa(), Signer::ec256("2"));
    let publisher = Publisher::plain(&jwks(&[&first]));
    let proxy = Proxy::start(&Options {
        login_timeout: "1s",
        ..options(&lines(&publisher, "refresh_floor = \"3s\""), "")
    });
    accepted(&proxy, &first);
    publisher.publish(&jwks(&[&first, &second]));
    let reason = "no key is known for the token: kid \"2\"";
    refused(
        &proxy,
        log_in(&proxy, "eve", &token(&second)),
        "eve",
        reason,
    );
    publisher.wait_for_requests(2);
    wait_until("the key is known", || {
        log_in(&proxy, "ann", &token(&second)).is_ok()
    });
    assert_eq!(publisher.requests(), 2);
}

#[test]
fn tokens_without_kid_survive_a_rotation_too() {
    let (first, second) = (Signer::ec256("1"), Signer::ec256("2"));
    let without = |signer: &Signer| {
        let header = serde_json::json!({"alg": "ES256"});
        signer.token_with(&header, &claims("ann", INNOVATE))
    };
    let publisher = Publisher::plain(&jwks(&[&first]));
    let proxy = proxy(&lines(&publisher, "refresh_floor = \"1s\""), "");
    assert!(log_in(&proxy, "ann", &without(&first)).is_ok());
    publisher.publish(&jwks(&[&first, &second]));
    assert!(log_in(&proxy, "ann", &without(&second)).is_ok());
    assert!(log_in(&proxy, "ann", &without(&first)).is_ok());
}

#[test]
fn keys_are_fetched_in_time_without_being_asked_for() {
    let (first, second) = (rsa(), Signer::ec256("2"));
    let publisher = Publisher::plain(&jwks(&[&first]));
    let more = "refresh = \"1s\"\nrefresh_floor = \"1s\"";
    let proxy = proxy(&lines(&publisher, more), "");
    publisher.wait_for_requests(1);
    publisher.publish(&jwks(&[&second]));
    // With the third the second is over.
    publisher.wait_for_requests(3);
    // A key that is gone verifies nothing, though nobody has asked for another.
    let gone = "no key is known for the token: kid \"rsa\"";
    refused(&proxy, log_in(&proxy, "eve", &token(&first)), "eve", gone);
    accepted(&proxy, &second);
}

#[test]
fn a_flood_of_unknown_keys_makes_no_flood_of_requests() {
    let signer = rsa();
    let publisher = Publisher::plain(&jwks(&[&signer]));
    let more = "refresh_floor = \"1h\"";
    let proxy = proxy(&lines(&publisher, more), "");
    accepted(&proxy, &signer);
    thread::scope(|scope| {
        for part in 0..4 {
            let (proxy, own) = (&proxy, attacker());
            scope.spawn(move || {
                for n in 0..25 {
                    let token = token(&own.called(&format!("{part}-{n}")));
                    let error = log_in(proxy, "eve", &token).map(drop).unwrap_err();
                    assert_eq!(error.code(), "28P01");
                }
            });
        }
        // Those whose key is known notice nothing.
        for _ in 0..5 {
            accepted(&proxy, &signer);
        }
    });
    assert_eq!(publisher.requests(), 1);
}

#[test]
fn logins_that_need_newer_keys_share_a_request() {
    let (first, second) = (rsa(), Signer::ec256("2"));
    let publisher = Publisher::plain(&jwks(&[&first]));
    let proxy = Proxy::start(&Options {
        workers: 2,
        ..options(&lines(&publisher, "refresh_floor = \"1s\""), "")
    });
    accepted(&proxy, &first);
    publisher.publish(&jwks(&[&first, &second]));
    let all = Barrier::new(16);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                all.wait();
                accepted(&proxy, &second);
            });
        }
    });
    // A second one, if a login came while the first was answered.
    let requests = publisher.requests();
    assert!((2..=3).contains(&requests), "{requests}");
}

#[test]
fn a_slow_issuer_keeps_nobody_whose_key_is_known() {
    let (first, second) = (rsa(), Signer::ec256("2"));
    let publisher = Publisher::plain(&jwks(&[&first]));
    let proxy = proxy(&lines(&publisher, "refresh_floor = \"1s\""), "");
    accepted(&proxy, &first);
    publisher.publish(&jwks(&[&first, &second]));
    publisher.hold(true);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| accepted(&proxy, &second));
        publisher.wait_for_requests(2);
        for _ in 0..5 {
            accepted(&proxy, &first);
        }
        assert!(!waiting.is_finished());
        publisher.hold(false);
    });
}

#[test]
fn a_client_that_leaves_takes_no_request_with_it() {
    let (first, second) = (rsa(), Signer::ec256("2"));
    let publisher = Publisher::plain(&jwks(&[&first]));
    let proxy = proxy(&lines(&publisher, "refresh_floor = \"1s\""), "");
    accepted(&proxy, &first);
    publisher.publish(&jwks(&[&first, &second]));
    publisher.hold(true);
    let mut conn = crate::client::asked(&proxy, "eve").unwrap();
    crate::client::send_password(&mut conn, &token(&attacker().called("x")));
    publisher.wait_for_requests(2);
    drop(conn);
    publisher.hold(false);
    accepted(&proxy, &second);
}

#[test]
fn keys_are_kept_while_the_issuer_fails() {
    let (first, second) = (rsa(), Signer::ec256("2"));
    let good = jwks(&[&first]);
    let publisher = Publisher::plain(&good);
    let proxy = proxy(&lines(&publisher, "refresh_floor = \"1s\""), "");
    accepted(&proxy, &first);
    let giant = format!("{{\"keys\": [], \"x\": \"{}\"}}", "y".repeat(600 << 10));
    let mut many = String::new();
    for n in 0..101 {
        let _ = write!(many, "{}{}", if n > 0 { "," } else { "" }, first.jwk());
    }
    for (status, body, reason) in [
        (
            "500 Internal Server Error",
            &good[..],
            "the answer is 500 Internal Server Error",
        ),
        ("302 Found", &good, "the answer is 302 Found"),
        ("200 OK", "", "the answer is not a JWK set"),
        ("200 OK", "<html>", "the answer is not a JWK set"),
        (
            "200 OK",
            "{\"keys\": []}",
            "the answer has no key that can be used",
        ),
        (
            "200 OK",
            "{\"keys\": [], \"keys\": []}",
            "the answer is not a JWK set",
        ),
        ("200 OK", &giant, "length limit exceeded"),
        (
            "200 OK",
            &format!("{{\"keys\": [{many}]}}"),
            "the answer has more than 100 keys",
        ),
    ] {
        publisher.answer_with(status);
        publisher.publish(body);
        let user = format!("eve{}", publisher.requests());
        let outcome = log_in(&proxy, &user, &token(&second));
        refused(&proxy, outcome, &user, reason);
        accepted(&proxy, &first);
    }
    let requests = publisher.requests();
    publisher.answer_with("200 OK");
    publisher.publish(&jwks(&[&second]));
    accepted(&proxy, &second);
    assert_eq!(
        publisher.requests(),
        requests + 1,
        "no redirection was followed"
    );
}

#[test]
fn an_issuer_that_is_not_there_refuses_nobody_else() {
    let url = format!("jwks_url = \"http://localhost:{}/keys\"", closed_port());
    let proxy = proxy(&format!("{url}\nrefresh_floor = \"1s\""), "");
    refused(
        &proxy,
        log_in(&proxy, "ann", &token(&rsa())),
        "ann",
        "could not be fetched: cannot connect to localhost",
    );
    assert_eq!(
        proxy.raw("innovate").value("SELECT email FROM users"),
        "alice@innovate.example"
    );
}

#[test]
fn an_issuer_that_does_not_answer_is_given_up() {
    let publisher = Publisher::plain("{}");
    publisher.hold(true);
    let more = "refresh_floor = \"1s\"\nfetch_timeout = \"1s\"";
    let proxy = proxy(&lines(&publisher, more), "");
    let outcome = log_in(&proxy, "ann", &token(&rsa()));
    refused(
        &proxy,
        outcome,
        "ann",
        "could not be fetched: it took too long",
    );
    publisher.hold(false);
}

#[test]
fn the_issuer_s_certificate_is_verified() {
    let signer = rsa();
    let publisher = Publisher::secured(&jwks(&[&signer]));
    let url = |host: &str| format!("jwks_url = \"https://{host}:{}/keys\"", publisher.port);
    let own = format!("ca = {:?}", site().ca_file());
    {
        let proxy = proxy(&format!("{}\n{own}", url("localhost")), "");
        accepted(&proxy, &signer);
    }
    let requests = publisher.requests();
    // Another authority's; and made for another name.
    let other = pgtenant::throwaway::Authority::new("another CA").unwrap();
    let other = site().write_new(".crt", &other.certificate_pem());
    let other = format!("ca = {other:?}");
    for lines in [
        format!("{}\n{other}", url("localhost")),
        format!("{}\n{own}", url("127.0.0.1")),
    ] {
        let proxy = proxy(&format!("{lines}\nrefresh_floor = \"1s\""), "");
        let outcome = log_in(&proxy, "ann", &token(&signer));
        refused(
            &proxy,
            outcome,
            "ann",
            "could not be fetched: TLS: invalid peer certificate",
        );
    }
    assert_eq!(publisher.requests(), requests);
}

/// Settings with a section whose keys are at `path` of the publisher.
fn settings(publisher: &Publisher, path: &str) -> pgtenant::config::Settings {
    let url = publisher.url().replace("/keys?of=issuer", path);
    let lines = format!("jwks_url = {url:?}");
    let text = testkit::configuration(site(), &options(&lines, ""));
    pgtenant::config::load(&site().write_new(".toml", &text)).unwrap()
}

#[tokio::test]
async fn keys_outlive_a_change_of_other_settings() {
    use pgtenant::login::Authenticator;
    let publisher = Publisher::plain(&jwks(&[&rsa()]));
    let wait_for_requests = async |count| {
        while publisher.requests() < count {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let first = Authenticator::new(&settings(&publisher, "/a"), None).unwrap();
    wait_for_requests(1).await;
    let second = Authenticator::new(&settings(&publisher, "/a"), Some(&first)).unwrap();
    drop(first);
    // Another address is another issuer's affair.
    let third = Authenticator::new(&settings(&publisher, "/b"), Some(&second)).unwrap();
    wait_for_requests(2).await;
    assert!(
        publisher.last().starts_with("GET /b "),
        "{}",
        publisher.last()
    );
    drop((second, third));
    assert_eq!(publisher.requests(), 2);
}
