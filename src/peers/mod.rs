//! Other replicas of the proxy. A request to cancel may come to any of them: it is passed
//! on to the one that has the session, and to no other; that one only looks among its
//! own sessions, so that no request goes in a circle.
//!
//! The replicas prove to each other that they have the same key (`exchange`). Over TLS
//! the proof is bound to the TLS session: whoever stands between has two sessions, and
//! gets no proof that fits both. So no certificate needs to be verified.

mod bond;
mod channel;
mod exchange;
mod forward;
mod receive;

pub use forward::{Forwarded, PeerView, Peers};
pub use receive::Receiver;

use std::io;
use std::time::Duration;

/// The most time to reach a replica, and for it to prove what it is.
const REACH: Duration = Duration::from_secs(5);
/// The most time for it to carry a request out.
const CARRY_OUT: Duration = Duration::from_secs(30);

/// Why a replica does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It cannot be reached, or the connection broke.
    #[error("cannot reach it: {0}")]
    Unreachable(#[from] io::Error),
    /// It took too long.
    #[error("it did not answer in time")]
    Timeout,
    /// Too many requests wait for it.
    #[error("too many requests wait for it")]
    Busy,
    /// What it says is not what a replica says that has the key.
    #[error("it does not prove that it has the key of listen.peer_key_file")]
    Unproven,
    /// It speaks otherwise.
    #[error("it does not speak as a replica: listen.peer_address is for replicas alone")]
    Stranger,
    /// It means another replica.
    #[error("it asks for the replica {asked}, and listen.peer_id here is {own}")]
    Misled {
        /// The number that it asks for.
        asked: u8,
        /// The number of this one.
        own: u8,
    },
    /// The system has no randomness, or no TLS.
    #[error("the cryptography failed")]
    Cryptography,
}
