//! A role for each tenant in kind `setting`: the real program, before PostgreSQL 15 and 18.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checked;
mod configuration;
mod moved;
mod place;
mod provisioned;
mod refused;
mod sealed;
mod sessions;
