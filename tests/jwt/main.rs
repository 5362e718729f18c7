//! Logging in with tokens, as the password and by OAUTHBEARER. The issuer is of
//! the tests: real keys, and a server that publishes them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stderr)]

mod client;
mod configuration;
mod drivers;
mod issuer;
mod keys;
mod logins;
mod oauthbearer;
mod profiles;
mod publisher;
mod refused;
mod sessions;
