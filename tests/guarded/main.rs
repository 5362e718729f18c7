//! The guard within a session: what is decided when values are bound, what the
//! proxy answers itself, and statements that are made to hurt.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]
#![allow(clippy::type_complexity)]

mod bombs;
mod bound;
mod large_objects;
mod left_portal;
mod one_namespace;
mod own_session;
mod report;
mod stateful;
