//! Several ways to keep tenants apart, behind one proxy: what a client may do in each,
//! because it reaches nothing but its own tenant there.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub)]

mod paths;
mod place;
mod reach;
