//! Whether a client can tell the proxy from a direct connection: PostgreSQL's
//! regression SQL through psql, and the protocol byte by byte, both ways.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]
#![allow(missing_docs, unreachable_pub)]

mod compare;
mod differences;
mod place;
mod protocol;
mod regress;
mod relay;
