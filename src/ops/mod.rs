//! What talks SQL of our own: what `check`, `harden`, `mask` and `provision` ask and
//! change, and the way to the database of the tenant directory; and `prove`, which asks as
//! a client.
//! Nothing of a client passes here.

pub mod check;
pub mod directory;
mod harden;
pub mod mask;
pub mod prove;
pub mod provision;
pub mod sql_client;

pub use harden::{Hardening, Undoing, Unseal};
