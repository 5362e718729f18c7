//! Idle server connections that are lost without a word.

use crate::{LOOK, NOTHING, Place};
use std::thread;
use std::time::Duration;
use testkit::{Passed, answers_soon};

#[test]
fn connections_that_were_silent_for_long_are_checked_before_they_are_used() {
    for major in [15, 18] {
        let pool = "check_after = \"100ms\"\nsize = 3";
        let Some(place) = Place::start_with(major, pool, "") else {
            continue;
        };
        let mut clients = ["innovate", "synergy", "synergy"].map(|login| place.client(login));
        // Each has a connection.
        for client in &mut clients {
            client.run_ok("BEGIN");
        }
        for client in &mut clients {
            client.run_ok("COMMIT");
        }
        // Until they have been seen idle, which nothing tells.
        thread::sleep(Duration::from_millis(700));
        place.relay.lose_all();
        place.relay.forget();
        let [_, b, c] = &mut clients;
        for client in [b, c] {
            client.send_query(LOOK);
            assert!(answers_soon(client), "it waits for a lost connection");
            assert_eq!(client.until_ready().ok().column(), [NOTHING]);
        }
        let passed = place.relay.passed();
        let checked = |p: &&Passed| p.up && p.message.tag == b'Q' && p.message.body == [0];
        let checks: Vec<_> = passed.iter().filter(checked).collect();
        // The first that is lost gives the others away.
        assert_eq!(checks.len(), 1, "{passed:#?}");
        let asked = passed.iter().find(|p| p.asks("of_b")).unwrap();
        assert!(asked.connection > 2, "{passed:#?}");
    }
}
