//! Frames and messages of the PostgreSQL frontend/backend protocol, version 3
//! (PostgreSQL documentation, "Frontend/Backend Protocol"). Pure: bytes in,
//! values out, no I/O.
//!
//! Decoding is strict: a message is taken only with an exact length, a known
//! type and its terminators in place. What does not fit is an error, never a
//! guess.

pub mod backend;
pub mod error;
mod explain;
pub mod frontend;
pub mod options;
pub mod proxied;
pub mod startup;

pub use error::{ClientError, Severity};
pub use explain::explain;

/// Reads a big-endian `u32` at `at`.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let number = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*number))
}

/// Splits a NUL-terminated text off the front: the text without its NUL, and
/// what follows.
fn split_cstr(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if let [0, rest @ ..] = bytes {
        // As most names are.
        return Some((&[], rest));
    }
    let end = memchr::memchr(0, bytes)?;
    let (text, rest) = bytes.split_at_checked(end)?;
    Some((text, rest.get(1..)?))
}
