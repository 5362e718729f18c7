//! A connection for queries of our own.

use super::SqlClientError;
use super::stream::{AlreadySecured, Stream};
use crate::config::{Secret, Server, ServerTls, TargetRole};
use crate::server::{
    Address, Attempt, ConnectError, IDENTITY, Origin, addresses, confirm, dial_at, first_of,
    hint_of_refusal, secure,
};
use std::future::poll_fn;
use std::io;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::{AsyncMessage, Client, Config, SimpleQueryMessage};

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
    /// [`SqlClientError::Connect`] and [`SqlClientError::Login`].
    pub async fn connect(
        server: &Server,
        database: &str,
        user: &str,
        password: Option<&Secret>,
    ) -> Result<Self, SqlClientError> {
        let origin = Origin::of(user, server);
        Self::connect_for(origin, server, database, user, password).await
    }

    /// The same, for a user who is written elsewhere.
    pub(super) async fn connect_for(
        origin: Origin,
        server: &Server,
        database: &str,
        user: &str,
        password: Option<&Secret>,
    ) -> Result<Self, SqlClientError> {
        let mut config = config(database, user, password);
        config.options("-c search_path=");
        let client = open(server, origin, config, tokio::spawn).await?;
        Ok(Self::of(client, database, user))
    }

    /// Connects in the same way as the user of `[directory.sql]`, for its queries: the session's
    /// `search_path` is that of the role. Of notifications that arrive the
    /// receiver has the number; it is closed when the connection is.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_to_follow(
        server: &Server,
        database: &str,
        user: &str,
        password: Option<&Secret>,
    ) -> Result<(Self, watch::Receiver<u64>), SqlClientError> {
        let config = config(database, user, password);
        let (count, counted) = watch::channel(0);
        let run = |connection| tokio::spawn(count_notifications(connection, count));
        let client = open(server, Origin::Directory, config, run).await?;
        Ok((Self::of(client, database, user), counted))
    }

    fn of(client: Client, database: &str, user: &str) -> Self {
        Self {
            client,
            name: database.to_owned(),
            user: user.to_owned(),
        }
    }
}

type Connection = tokio_postgres::Connection<Stream, Stream>;

async fn count_notifications(mut connection: Connection, count: watch::Sender<u64>) {
    while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
        if matches!(message, AsyncMessage::Notification(_)) {
            count.send_modify(|n| *n += 1);
        }
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

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Connect(error.into())
    }
}

impl Failure {
    fn at(self, server: &Server, origin: Origin, config: &Config) -> SqlClientError {
        let place = server.hosts.to_string();
        let name = |name: Option<&str>| name.unwrap_or_default().to_owned();
        let (database, user) = (name(config.get_dbname()), name(config.get_user()));
        match self {
            Self::Connect(source) => SqlClientError::Connect {
                place,
                hint: source.hint(server, origin),
                source,
            },
            Self::Login(source) => SqlClientError::Login {
                place,
                database,
                user,
                hint: source.as_db_error().and_then(|said| {
                    hint_of_refusal(said.code().code(), said.message(), server, origin)
                }),
                source,
            },
        }
    }
}

/// Connects, and has `run` keep the connection running. It ends with the client.
/// What it fails with, the queries are told too.
async fn open<T>(
    server: &Server,
    origin: Origin,
    config: Config,
    run: impl FnOnce(Connection) -> JoinHandle<T>,
) -> Result<Client, SqlClientError> {
    let limit = server.connect_timeout;
    let opened = async {
        let (client, connection) = establish(server, &config).await?;
        run(connection);
        match client.batch_execute(WITHOUT_JIT).await {
            // Servers before PostgreSQL 11 do not know the setting, nor do they compile.
            Err(error) if error.as_db_error().is_none() => Err(Failure::Login(error)),
            _ => Ok(client),
        }
    };
    tokio::time::timeout(limit, opened)
        .await
        .unwrap_or(Err(Failure::Connect(ConnectError::Timeout(limit))))
        .map_err(|failure| failure.at(server, origin, &config))
}

/// Compiling queries of ours takes longer than running them.
const WITHOUT_JIT: &str = "SET jit = off";

/// Reaches the host that `servers.NAME.target` asks for.
async fn establish(server: &Server, config: &Config) -> Result<(Client, Connection), Failure> {
    let attempt =
        |address| -> Attempt<'_, _, _> { Box::pin(establish_at(server, config, address)) };
    let found = addresses(server).await.map_err(Failure::from)?;
    // Another host would say the same to a role or a password.
    let is_final = |failure: &Failure| match failure {
        Failure::Connect(error) => !error.is_passing(),
        Failure::Login(error) => error.as_db_error().is_some_and(|said| {
            let code = said.code().code();
            !code.starts_with("57P") && code != "53300"
        }),
    };
    first_of(found, server.connect_timeout, attempt, is_final).await
}

async fn establish_at(
    server: &Server,
    config: &Config,
    address: Address,
) -> Result<(Client, Connection), Failure> {
    let stream = dial_at(server, address).await.map_err(Failure::from)?;
    let secured = secure(stream, server, address.host).await;
    let secured = secured.map_err(Failure::Connect)?;
    let mut config = config.clone();
    match server.tls {
        ServerTls::Off => config.ssl_mode(SslMode::Disable),
        // The stream is encrypted already: nothing more is asked for, and its
        // data for channel binding is used.
        ServerTls::On { .. } => config
            .ssl_mode(SslMode::Require)
            .ssl_negotiation(SslNegotiation::Direct),
    };
    let connected = config.connect_raw(Stream::new(secured), AlreadySecured);
    let (client, mut connection) = connected.await.map_err(Failure::Login)?;
    if let Some(primary) = &server.replica_of {
        let own = value(&client, &mut connection, IDENTITY).await?;
        let database = config.get_dbname().unwrap_or_default();
        let confirmed = confirm(server, primary, database, own.as_deref()).await;
        confirmed.map_err(Failure::Connect)?;
    }
    // Unknown before PostgreSQL 14: whoever writes is told then.
    let is_standby = connection.parameter("in_hot_standby") == Some("on");
    match (server.target, is_standby) {
        (TargetRole::Primary, true) => Err(ConnectError::Target("a standby")),
        _ => Ok((client, connection)),
    }
    .map_err(Failure::Connect)
}

/// The first value of what the query gives, on a connection that nobody keeps running
/// yet.
async fn value(
    client: &Client,
    connection: &mut Connection,
    query: &str,
) -> Result<Option<String>, Failure> {
    let messages = tokio::select! {
        messages = client.simple_query(query) => messages.map_err(Failure::Login)?,
        ended = connection => {
            let lost = || io::Error::from(io::ErrorKind::UnexpectedEof).into();
            return Err(ended.err().map_or_else(lost, Failure::Login));
        }
    };
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let value = row.and_then(|row| row.try_get(0).ok()).flatten();
    Ok(value.map(str::to_owned))
}

fn config(database: &str, user: &str, password: Option<&Secret>) -> Config {
    let mut config = Config::new();
    config
        .user(user)
        .dbname(database)
        .application_name("pgtenant");
    if let Some(password) = password {
        config.password(password.reveal());
    }
    config
}
