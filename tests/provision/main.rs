//! `pgtenant provision` against a real server, and the proxy in front of what it
//! has made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod copies;
mod databases;
mod files;
mod place;
mod remove;
mod roles;
mod schemas;
mod traits;
mod trigger;
