//! Logins that may see masked data alone: `pgtenant mask` against real servers, and the
//! proxy in front of what it has made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod check;
mod command;
mod configuration;
mod kinds;
mod lab;
mod logins;
mod reach;
mod relations;
mod types;
