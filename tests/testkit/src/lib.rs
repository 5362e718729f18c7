//! What the tests of the running proxy share: a PostgreSQL server with the
//! WellnessCorp data ([`Site`]), the real program in front of it ([`Proxy`]),
//! and a client that speaks the protocol message by message ([`Raw`]).
//!
//! One server serves all tests of a binary ([`site`]). It is stopped when the
//! test process ends: a static is never dropped, but the watcher process that
//! every throwaway server has notices. A test that changes data or looks at all
//! sessions of its database takes a database of its own
//! ([`Site::fresh_database`]).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stderr)]

mod answer;
mod balancer;
mod between;
mod log;
mod login;
mod message;
mod names;
mod options;
mod output;
mod packets;
mod pipeline;
mod plain;
pub mod pool;
mod programs;
mod proxy;
mod random;
mod raw;
mod relay;
mod site;
mod tls;

pub use answer::Answer;
pub use balancer::Balancer;
pub use between::{Between, Passed};
pub use message::{Fields, Message, texts};
pub use names::{change_names, pass_on, with_names};
pub use options::{Options, configuration};
pub use output::{fed, stderr, stdout, succeeds};
pub use packets::{
    CANCEL_REQUEST, GSSENC_REQUEST, PLAIN, PLUS, SSL_REQUEST, V3_0, V3_2, announced,
    initial_response, message, packet, startup,
};
pub use pipeline::Pipeline;
pub use plain::{Plain, clear_text, with_workers};
pub use pool::{SOON, answers_soon, assert_whole, missing};
pub use programs::{Programs, program, python, regress_folder, root};
pub use proxy::Proxy;
pub use random::Random;
pub use raw::{Raw, cancel};
pub use relay::Relay;
pub use site::{INNOVATE, SCRAM, SYNERGY, Site, site, write_private};
pub use tls::Tls;

use std::thread;
use std::time::{Duration, Instant};

/// Most time for anything to happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for a state of another process of which nothing tells but looking.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
