//! From a new TCP connection to an authenticated client.

mod verifier;

pub use verifier::{Verifier, VerifierError};
