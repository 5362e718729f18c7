//! Where tenants and logins come from: files, a folder of files, a database.
//!
//! The configuration reads the files; here is which they were, and noticing that
//! they have changed.

mod file;
mod folder;
pub(super) mod sql;
mod watch;

pub use file::Files;
pub(crate) use folder::files_of;
pub(crate) use sql::{Connected, Connecting, Location, SqlDatabase, SqlSource, load};
pub use sql::{LoadError, Queries};
pub use watch::Watch;
