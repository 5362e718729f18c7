//! A throwaway PostgreSQL server, for the demo and for tests.
//!
//! [`Cluster::start`] finds the server programs, makes a new data directory,
//! starts a server on a free port of 127.0.0.1 and waits until it takes
//! connections. Dropping the [`Cluster`] stops it and removes the directory. If
//! this process dies without dropping it, a small watcher process does the same.
//!
//! Everything here blocks: call it before the asynchronous runtime starts, or
//! from `spawn_blocking`. The server runs without `fsync`: its data is worth
//! nothing.

mod account;
mod authority;
mod cluster;
mod directory;
mod error;
mod options;
mod process;
mod programs;
mod random;
mod watcher;
pub mod wellness;

pub use authority::{Authority, CertifiedKey};
pub use cluster::Cluster;
pub use error::ClusterError;
pub use options::{ClusterOptions, PasswordEncryption, TlsOptions};
pub use random::random_hex;
