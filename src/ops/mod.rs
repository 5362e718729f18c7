//! What talks SQL of our own: what `check`, `harden` and `provision` ask and change.
//! Nothing of a client passes here.

pub mod check;
mod harden;
pub mod provision;
pub mod sql_client;

pub use harden::{Hardening, Undoing, Unseal};
