//! What `pgtenant check` finds in databases with known gaps, and that its SQL
//! closes them.

#![allow(clippy::unwrap_used, clippy::panic)]

mod command;
mod known_gaps;
mod lab;
mod layouts;
mod rights;
mod schemas;
mod sealed;
mod surroundings;
