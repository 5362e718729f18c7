//! A connection for queries of our own.

use super::MaintenanceError;
use super::stream::{AlreadySecured, Stream};
use crate::server::{ConnectError, dial, secure};
use crate::settings::{Secret, Server, ServerTls};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::{Client, Config};

/// One connection to one database.
///
/// The session's `search_path` is empty, whatever is set for the role or the
/// database: names of SQL mean `pg_catalog` or must be qualified, so that no
/// object that somebody left in `public` takes part in a statement of ours.
pub struct Database {
    /// Runs the queries. Dropping it closes the connection.
    pub client: Client,
    /// The database's name.
    pub name: String,
    /// The role that is logged in.
    pub user: String,
}

impl Database {
    /// Connects, secures the connection as `server` says (with the same
    /// verification as for clients' connections) and logs in, all within its
    /// `connect_timeout`. Needs a tokio runtime, on which the connection is
    /// kept running.
    ///
    /// # Errors
    /// [`MaintenanceError::Connect`] and [`MaintenanceError::Login`].
    pub async fn connect(
        server: &Server,
        database: &str,
        user: &str,
        password: Option<&Secret>,
    ) -> Result<Self, MaintenanceError> {
        let limit = server.connect_timeout;
        tokio::time::timeout(limit, open(server, database, user, password))
            .await
            .unwrap_or(Err(Failure::Connect(ConnectError::Timeout(limit))))
            .map_err(|failure| failure.at(server, database, user))
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("name", &self.name)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

enum Failure {
    Connect(ConnectError),
    Login(tokio_postgres::Error),
}

impl Failure {
    fn at(self, server: &Server, database: &str, user: &str) -> MaintenanceError {
        let place = format!("{}:{}", server.host, server.port);
        let (database, user) = (database.to_owned(), user.to_owned());
        match self {
            Self::Connect(source) => MaintenanceError::Connect { place, source },
            Self::Login(source) => MaintenanceError::Login {
                place,
                database,
                user,
                source,
            },
        }
    }
}

async fn open(
    server: &Server,
    database: &str,
    user: &str,
    password: Option<&Secret>,
) -> Result<Database, Failure> {
    let stream = dial(server)
        .await
        .map_err(|error| Failure::Connect(error.into()))?;
    let secured = secure(stream, server).await.map_err(Failure::Connect)?;
    let config = config(server, database, user, password);
    let (client, connection) = config
        .connect_raw(Stream::new(secured), AlreadySecured)
        .await
        .map_err(Failure::Login)?;
    // It ends with the client. What it fails with, the queries are told too.
    tokio::spawn(connection);
    Ok(Database {
        client,
        name: database.to_owned(),
        user: user.to_owned(),
    })
}

fn config(server: &Server, database: &str, user: &str, password: Option<&Secret>) -> Config {
    let mut config = Config::new();
    config
        .user(user)
        .dbname(database)
        .application_name("pgtenant")
        .options("-c search_path=");
    if let Some(password) = password {
        config.password(password.reveal());
    }
    match server.tls {
        ServerTls::Off => config.ssl_mode(SslMode::Disable),
        // The stream is encrypted already: nothing more is asked for, and its
        // data for channel binding is used.
        ServerTls::On { .. } => config
            .ssl_mode(SslMode::Require)
            .ssl_negotiation(SslNegotiation::Direct),
    };
    config
}
