//! What the process says of itself.
//!
//! Events go through `tracing`. Those of target `pgtenant::audit` are for the
//! security team and have stable fields: `event`, `login`, `tenant`, `client`
//! (address), `rule`, `sqlstate`, `reason`.

mod client;
mod harmless;
mod log;

pub use client::ClientSpan;
pub use harmless::harmless;
pub use log::{RunningLog, start as start_log};
