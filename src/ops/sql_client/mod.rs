//! Queries of our own. They go through tokio-postgres over connections of their
//! own, secured as the data path's are.

mod account;
mod database;
mod error;
mod stream;
mod url;

pub use account::{Account, AccountError};
pub use database::Database;
pub use error::SqlClientError;
pub use url::{Url, UrlError};
