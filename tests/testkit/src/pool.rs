//! Asks whether a pool can give out all of its server connections.

use crate::{PATIENCE, Proxy, Raw};
use std::time::Duration;

/// How long a pool may take until a connection that nobody uses is had again.
/// `pool.wait_timeout` should be shorter, so that the proxy itself says what is
/// wrong.
pub const SOON: Duration = Duration::from_secs(15);

/// `pool.wait_timeout` for tests that ask for the whole pool.
pub const WAIT_TIMEOUT: &str = "5s";

/// Whether the client gets an answer, or its connection is closed, within [`SOON`].
pub fn answers_soon(client: &Raw) -> bool {
    client.stream.set_read_timeout(Some(SOON)).unwrap();
    let peeked = client.stream.peek(&mut [0]);
    client.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    peeked.is_ok()
}

/// Opens `size` clients that each hold a transaction at the same time, and says
/// why that is not possible.
pub fn missing(proxy: &Proxy, login: &str, size: usize) -> Option<String> {
    let mut clients: Vec<_> = (0..size).map(|_| proxy.raw(login)).collect();
    for client in &mut clients {
        client.send_query("BEGIN");
    }
    for (number, client) in clients.iter_mut().enumerate() {
        if !answers_soon(client) {
            return Some(format!("client {number} of {size} gets no answer"));
        }
        match client.try_ready() {
            None => return Some(format!("client {number} of {size} is closed")),
            Some(answer) if !answer.errors().is_empty() => {
                return Some(format!(
                    "client {number} of {size}: {:?}",
                    answer.errors()[0]
                ));
            }
            Some(_) => {}
        }
    }
    for client in &mut clients {
        client.run_ok("COMMIT");
    }
    None
}

/// Asserts that `size` clients can each hold a transaction at the same time.
#[track_caller]
pub fn assert_whole(what: &str, proxy: &Proxy, login: &str, size: usize) {
    if let Some(why) = missing(proxy, login, size) {
        panic!("{what}: {why}");
    }
}
