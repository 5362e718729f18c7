//! The database of `[directory.sql]`: what is asked, and of whom.
//!
//! How one gets to the database is handed in as an [`SqlDatabase`].

mod follow;
mod load;
mod values;

pub(in crate::directory) use follow::{Answers, Assignment, Freshness, follow};
pub use load::LoadError;
pub(crate) use load::load;

use std::error::Error;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_postgres::Client;

/// A database that has tenants and logins, and what is asked of it.
#[derive(Debug, Clone)]
pub(crate) struct SqlSource {
    /// The database.
    pub(crate) database: Arc<dyn SqlDatabase>,
    /// What is asked.
    pub(crate) queries: Queries,
}

/// What is asked of the database, and when.
#[derive(Debug, Clone)]
pub struct Queries {
    /// The query for tenants.
    pub tenants: Option<Arc<str>>,
    /// The query for logins.
    pub logins: Option<Arc<str>>,
    /// The channel of notifications that something has changed.
    pub channel: Option<Arc<str>>,
    /// How often the queries run without one.
    pub refresh: Duration,
    /// How long the last content holds while the database cannot be reached.
    pub stale: Duration,
    /// The most rows of a query.
    pub most: usize,
}

/// The way to a database.
pub(crate) trait SqlDatabase: Debug + Send + Sync {
    /// Connects and logs in, within [`Self::connect_timeout`].
    fn connect(&self) -> Connecting<'_>;

    /// Most time for connecting and logging in.
    fn connect_timeout(&self) -> Duration;

    /// Which database it is, and who logs in.
    fn location(&self) -> Location<'_>;
}

/// A connection that is being made, or why there is none.
pub(crate) type Connecting<'a> =
    Pin<Box<dyn Future<Output = Result<Connected, Box<dyn Error + Send + Sync>>> + Send + 'a>>;

/// A connection.
pub(crate) struct Connected {
    /// Runs the queries. Dropping it closes the connection.
    pub(crate) client: Client,
    /// The number of notifications that have arrived; closed when the connection
    /// is.
    pub(crate) notifications: watch::Receiver<u64>,
}

/// Which database it is, and who logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location<'a> {
    /// The server's host name or address.
    pub(crate) host: &'a str,
    /// Its TCP port.
    pub(crate) port: u16,
    /// The database.
    pub(crate) database: &'a str,
    /// The role that logs in.
    pub(crate) user: &'a str,
}

impl SqlSource {
    /// Whether `other` has the same content: the same queries, run as the same
    /// role in the same database.
    fn is_alike(&self, other: &Self) -> bool {
        let parts = |one: &Self| {
            let queries = one.queries.clone();
            (queries.tenants, queries.logins, queries.channel)
        };
        self.database.location() == other.database.location() && parts(self) == parts(other)
    }
}

async fn connect(source: &SqlSource) -> Result<Connected, LoadError> {
    source.database.connect().await.map_err(LoadError::Connect)
}
