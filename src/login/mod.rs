//! From a new TCP connection to an authenticated client.
//!
//! Each step is a type that consumes the one before: [`Arrived`] →
//! [`Introduced`] → [`Authenticated`]. None can be left out, and a connection
//! that failed a step is gone with it.

mod arrive;
mod authenticate;
mod fetch;
mod jwks;
mod oauthbearer;
mod parameters;
mod sasl;
mod scram;
mod tokens;
mod wire;

pub use arrive::{Arrival, Arrived, Failed, Introduced};
pub(crate) use authenticate::parameter;
pub use authenticate::{Authenticated, Authenticator};
pub use parameters::settings_of;
pub use wire::{LoginError, Wire};
