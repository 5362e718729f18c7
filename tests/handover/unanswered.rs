//! An answer that is awaited and does not come: the server is asked whether it works
//! at it.

use crate::{LOOK, NOTHING, Place};
use std::io::Write as _;
use testkit::{Pipeline, answers_soon};

/// The proxy asks often.
const OFTEN: &str = "check_after = \"100ms\"";

/// What the proxy asks the server.
const INQUIRY: &str = "wait_event = 'ClientRead'";

#[test]
fn a_session_whose_answer_does_not_come_is_ended() {
    for major in [15, 18] {
        let Some(place) = Place::start(major, OFTEN, "") else {
            continue;
        };
        let p = Pipeline::new;
        let pipelines = [
            p().query("SELECT 'lost'"),
            p().statement("SELECT 'lost'").sync(),
            p().query("BEGIN; SELECT 'lost'"),
            p().statement("SELECT 'lost'").flush(),
        ];
        for lost in pipelines {
            let mut a = place.client("innovate");
            place.relay.hold_answer_to("'lost'");
            a.send(lost.bytes());
            place.relay.wait_until_held();
            assert!(answers_soon(&a), "the session hangs");
            let error = a.until(b'E').error();
            assert_eq!(error.code(), "XX000", "{error:?}");
            assert_eq!(error.severity(), "FATAL", "{error:?}");
            place.relay.release();
            assert_eq!(place.client("synergy").value(LOOK), NOTHING);
        }
    }
}

/// What the client sends ahead is no sign of life of the server.
#[test]
fn a_client_that_goes_on_sending_does_not_hide_a_lost_answer() {
    for major in [15, 18] {
        let Some(place) = Place::start(major, OFTEN, "") else {
            continue;
        };
        let mut a = place.client("innovate");
        place.relay.hold_answer_to("'lost'");
        // Nothing is sent behind it before it is answered.
        a.send_query("PREPARE p AS SELECT 'lost'");
        place.relay.wait_until_held();
        let mut sender = a.stream.try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            let next = Pipeline::new().query(&"x".repeat(1000));
            // Its pace is what is tested: more often than the proxy looks.
            for byte in next.bytes() {
                if sender.write_all(&[*byte]).is_err() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        assert!(answers_soon(&a), "the session hangs");
        assert_eq!(a.until(b'E').error().code(), "XX000");
        place.relay.release();
        drop(a);
        sending.join().unwrap();
    }
}

#[test]
fn a_session_whose_statement_runs_or_waits_goes_on() {
    for major in [15, 18] {
        let Some(place) = Place::start(major, &format!("{OFTEN}\nsize_per_tenant = 1"), "") else {
            continue;
        };
        let mut admin = place.plain.superuser();
        let mut a = place.client("innovate");
        for messages in [
            Pipeline::new().query("SELECT count(*) FROM users"),
            Pipeline::new()
                .statement("SELECT count(*) FROM users")
                .sync(),
            Pipeline::new()
                .statement("SELECT count(*) FROM users")
                .flush(),
        ] {
            admin.run_ok("BEGIN; LOCK TABLE users");
            place.relay.forget();
            a.send(messages.bytes());
            place.relay.wait_for("the server is asked twice", |passed| {
                passed.iter().filter(|passed| passed.asks(INQUIRY)).count() >= 2
            });
            admin.run_ok("ROLLBACK");
            a.until(b'C');
            a.send(Pipeline::new().sync().bytes());
            a.until_ready();
        }
    }
}
