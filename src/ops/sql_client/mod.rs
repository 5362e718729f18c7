//! Queries of our own. They go through tokio-postgres over connections of their
//! own, secured as the data path's are.

mod database;
mod error;
mod stream;
mod url;

pub use database::Database;
pub use error::SqlClientError;
pub use url::{Url, UrlError};
