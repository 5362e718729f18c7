//! What can go wrong, told to people.

use crate::ops::sql_client::SqlClientError;
use crate::protocol::explain;

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// What is asked for, or what is there already, is in the way.
    #[error("{0}")]
    Refused(String),
    /// The connection or a query failed.
    #[error(transparent)]
    Maintenance(#[from] SqlClientError),
    /// A step of the script failed.
    #[error("{what}: {}", explain(.source))]
    Step {
        /// Which one.
        what: String,
        /// What PostgreSQL said.
        source: tokio_postgres::Error,
    },
}

impl From<tokio_postgres::Error> for ProvisionError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Maintenance(error.into())
    }
}

/// A refusal.
pub(super) fn refuse<T>(reason: impl Into<String>) -> Result<T, ProvisionError> {
    Err(ProvisionError::Refused(reason.into()))
}
