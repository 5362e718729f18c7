//! Queries of our own: what `check`, `harden` and `provision` ask and change.
//!
//! They go through tokio-postgres over connections of their own, secured as the
//! data path's are. Nothing of a client passes here.

pub mod check;
mod database;
mod error;
mod harden;
mod stream;
mod url;

pub use database::Database;
pub use error::{MaintenanceError, explain};
pub use harden::{Hardening, Undoing};
pub use url::{Url, UrlError};
