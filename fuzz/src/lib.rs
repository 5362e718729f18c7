//! What must hold for any bytes: one function for each fuzz target, which panics
//! where it does not hold. `tests/fuzz.rs` of the package runs the same functions
//! on seeds and on bytes at random.

mod guard;
pub mod sql;
mod wire;

pub use guard::{guard, statements};
pub use wire::{backend, frontend, startup};
