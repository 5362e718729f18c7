//! `pgtenant prove`: that it holds where everything is in order, and that it names what is
//! not.

#![allow(clippy::unwrap_used, clippy::panic)]

mod command;
mod demo;
mod lab;
mod masked;
mod promises;
mod switched_off;
mod traces;
