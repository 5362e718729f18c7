//! From a new TCP connection to an authenticated client.
//!
//! Each step is a type that consumes the one before: [`Arrived`] →
//! [`Introduced`] → [`Authenticated`]. None can be left out, and a connection
//! that failed a step is gone with it.

mod admin;
mod arrive;
mod authenticate;
mod certificate;
mod fetch;
mod jwks;
mod oauthbearer;
mod parameters;
mod request;
mod sasl;
mod scram;
mod source;
mod throttle;
mod tokens;
mod wire;

pub use admin::AuthenticatedAdmin;
pub(crate) use admin::admin_verifier;
pub use arrive::{Arrival, Arrived, Failed, Introduced};
pub(crate) use authenticate::parameter;
pub use authenticate::{Authenticated, Authenticator, NotVouched, Peer, Proven};
pub(crate) use certificate::Certificate;
pub use parameters::settings_of;
pub(crate) use throttle::Who;
pub use throttle::{InProgress, Throttle};
pub use wire::{LoginError, Wire};
