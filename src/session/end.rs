//! Why a session is over, and what its client is told.

use super::engine::Fault;
use super::orders::Ending;
use crate::protocol::ClientError;
use crate::protocol::backend::TransactionStatus;
use std::io;

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
pub enum End {
    /// The client said goodbye.
    #[error("the client has left")]
    Terminated,
    /// The client's connection broke, or closed without a goodbye.
    #[error("the client is gone: {0}")]
    ClientGone(io::Error),
    /// The server's connection broke, or the server ended it.
    #[error("the server connection is gone: {0}")]
    ServerGone(io::Error),
    /// The server ended its session, and its words have been passed on.
    #[error("the server has ended the session")]
    ServerEnded,
    /// The proxy stops.
    #[error("the proxy stops")]
    Stopped,
    /// It is not over, and goes on with this worker.
    #[error("the session goes on with worker {0}")]
    Moves(usize),
    /// It was told to.
    #[error("{0}")]
    Ordered(Ending),
    /// It had to be ended, for this reason; the client has been told.
    #[error("{0}")]
    Failed(ClientError),
}

impl End {
    /// What the client is told, if anything.
    pub(super) fn to_client(&self) -> Option<ClientError> {
        Some(match self {
            Self::Terminated | Self::ClientGone(_) | Self::ServerEnded | Self::Moves(_) => {
                return None;
            }
            Self::Failed(error) => error.clone(),
            Self::Stopped => ClientError::fatal(
                "57P01",
                "terminating connection because pgtenant is shutting down",
            )
            .hint("Connect again."),
            Self::Ordered(ending) => ending.to_client(),
            // Its last answer may have been lost, and not its work.
            Self::ServerGone(_) => ClientError::fatal(
                "08006",
                "the connection to the database server was lost",
            )
            .hint(
                "What was not answered may have been carried out or not; connect again and look.",
            ),
        })
    }

    /// The server reads statements otherwise than the guard.
    pub(super) fn misread(setting: &str) -> Self {
        let message = format!("terminating connection: code in the database has changed {setting}");
        Self::Failed(ClientError::fatal("42501", message).hint(
            "pgtenant can judge statements only in UTF8 and with standard_conforming_strings on.",
        ))
    }

    /// The server's session is not as its statements must have left it.
    pub(super) fn left_open() -> Self {
        let message = "an answer that leaves a transaction open where none was begun";
        Self::ServerGone(io::Error::other(message))
    }

    /// Others need its server connection.
    pub(super) fn for_others(status: TransactionStatus, idle: bool) -> Self {
        let (sqlstate, doing) = match (status, idle) {
            (TransactionStatus::Idle, true) => ("57P05", "held its server connection for locks"),
            (TransactionStatus::Idle, false) => (
                "57P05",
                "held its server connection in the midst of a message or pipeline",
            ),
            _ => ("25P03", "was idle in a transaction"),
        };
        let message = format!("terminating connection: it {doing} while other clients waited");
        Self::Failed(ClientError::fatal(sqlstate, message).hint(
            "End transactions and drop session objects when they are no longer used (pool.reclaim_after, pool.reclaim_own_after).",
        ))
    }
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        match fault {
            // Its bytes cannot be told apart any more.
            Fault::Client(error) => Self::Failed(ClientError::protocol(error.to_string())),
            Fault::Told(error) => Self::Failed(error),
            Fault::Server(what) => {
                let message = format!("the server sent {what}");
                Self::ServerGone(io::Error::other(message))
            }
        }
    }
}
