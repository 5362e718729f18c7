//! What can go wrong with queries of our own, told to people.

use crate::protocol::explain;
use crate::server::ConnectError;

/// Why a query of our own was not answered.
#[derive(Debug, thiserror::Error)]
pub enum SqlClientError {
    /// The server cannot be reached, or TLS cannot be established as asked.
    #[error("cannot connect to {place}: {source}{}", also(.hint.as_deref()))]
    Connect {
        /// Host and port.
        place: String,
        /// Why.
        source: ConnectError,
        /// What helps, where something is known.
        hint: Option<String>,
    },
    /// The server does not let the role in.
    #[error("cannot log in to database \"{database}\" of {place} as \"{user}\": {}{}", explain(.source), also(.hint.as_deref()))]
    Login {
        /// Host and port.
        place: String,
        /// The database.
        database: String,
        /// The role.
        user: String,
        /// Why.
        source: tokio_postgres::Error,
        /// What helps, where something is known.
        hint: Option<String>,
    },
    /// A statement failed.
    #[error("{}", explain(.0))]
    Query(#[from] tokio_postgres::Error),
}

fn also(hint: Option<&str>) -> String {
    hint.map(|hint| format!("; hint: {hint}"))
        .unwrap_or_default()
}
