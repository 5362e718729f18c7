//! Several replicas behind a balancer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peers;
mod proxied;
