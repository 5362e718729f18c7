//! Watching the running process, and steering it.

pub mod client;
pub mod http;
pub mod page;
