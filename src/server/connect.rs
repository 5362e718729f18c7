//! Opening a connection, and reaching a server to cancel.

use super::addresses::{Address, Attempt, addresses, first_of};
use super::authenticate::authenticate;
use super::connection::BackendKey;
use super::lag::Lag;
use super::secure::secure;
use super::{Connection, Unbound};
use crate::config::{Contact, Host, Server};
use crate::protocol::ClientError;
use crate::protocol::backend::{FrameError, Report};
use crate::tenant::{Unfit, Vetting};
use crate::transport::{self, Socket, Transport};
use bytes::BytesMut;
use postgres_protocol::message::frontend;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpStream, UnixStream};

/// What to connect to, and as whom.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The server.
    pub server: &'a Server,
    /// The database.
    pub database: &'a str,
    /// The role that logs in.
    pub user: &'a str,
    /// Its password, where there is one.
    pub password: Option<&'a str>,
    /// Session settings that the connection starts with, and returns to at
    /// every reset.
    pub base: &'a [(&'a str, &'a str)],
    /// What the role must not be.
    pub vetting: &'a Vetting,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server cannot be reached, or the connection broke.
    #[error("cannot reach the server: {0}")]
    Unreachable(#[from] io::Error),
    /// There are `servers.NAME.max_connections`, and all are used.
    #[error("the server has servers.NAME.max_connections connections, and all are used")]
    Full,
    /// It took longer than `connect_timeout`.
    #[error("the server did not answer within {0:?}")]
    Timeout(Duration),
    /// TLS could not be established as asked.
    #[error("TLS: {0}")]
    Tls(String),
    /// The server refused the login.
    #[error("the server refused: {} ({})", .0.message, .0.sqlstate)]
    Refused(Report),
    /// The server asks for an authentication that cannot be given.
    #[error("the server asks for {0}")]
    Authentication(&'static str),
    /// The server proved not to know the password, or spoke SCRAM wrongly.
    #[error("SCRAM: {0}")]
    Scram(io::Error),
    /// The host is not what `servers.NAME.target` asks for.
    #[error("the host is {0}")]
    Target(&'static str),
    /// The host is a replica that lags more than `servers.NAME.lag_limit`.
    #[error("the replica {0}")]
    Lagging(Lag),
    /// The server of `servers.NAME.replica_of` did not tell which cluster it is.
    #[error(
        "it is not known whether the host is a replica of the server that replica_of names: {0}"
    )]
    Unverified(Box<Self>),
    /// Tenants are not served over this role, or of this database.
    #[error("{}; cure: {}", .0, .0.cure())]
    Unfit(Unfit),
    /// The server broke the protocol.
    #[error(transparent)]
    Protocol(#[from] FrameError),
}

impl ConnectError {
    /// Whether it may pass by itself (the server is away, starting, or full),
    /// so that trying again is of use.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Timeout(_)
            | Self::Target(_)
            | Self::Lagging(_)
            | Self::Unverified(_) => true,
            // Cannot connect now, too many connections, shutting down.
            Self::Refused(report) => {
                report.sqlstate == "57P03"
                    || report.sqlstate == "53300"
                    || report.sqlstate.starts_with("57P")
            }
            _ => false,
        }
    }

    /// Whether it is an answer of a server that serves: others may be let in.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        match self {
            // Not ready, shutting down: it serves nobody.
            Self::Refused(report) => !report.sqlstate.starts_with("57P"),
            Self::Authentication(_)
            | Self::Scram(_)
            | Self::Unfit(_)
            | Self::Full
            | Self::Lagging(_) => true,
            Self::Unreachable(_)
            | Self::Timeout(_)
            | Self::Tls(_)
            | Self::Target(_)
            | Self::Protocol(_) => false,
            Self::Unverified(error) => error.is_answer(),
        }
    }

    /// What a client is told: that the database is not there, and nothing of
    /// addresses, roles or certificates.
    #[must_use]
    pub fn to_client(&self) -> ClientError {
        match self {
            Self::Refused(report) if report.sqlstate == "53300" => ClientError::fatal(
                "53300",
                "the database server has no connection left for pgtenant",
            )
            .hint("Try again later, or ask the administrator to lower pool.size or raise max_connections."),
            Self::Full => ClientError::fatal(
                "53300",
                "no connection to the database server became free in time",
            )
            .hint("All connections to the server are in use (max_connections of its section, pool.wait_timeout); end idle transactions or ask the administrator for more."),
            Self::Unfit(unfit) => not_served(unfit),
            Self::Lagging(lag) => {
                ClientError::fatal("57P03", format!("no replica is fit to be read: it {lag}"))
                    .hint("pgtenant keeps asking the replicas; try again later.")
            }
            error if error.is_passing() => {
                ClientError::fatal("57P03", "the database server is not available")
                    .hint("pgtenant keeps trying to reach it; try again later.")
            }
            _ => ClientError::fatal("08001", "pgtenant cannot log in to the database server")
                .hint("This is an error of the proxy's configuration; its log has the reason."),
        }
    }
}

/// What a client is told whose tenant is not served for this reason.
#[must_use]
pub fn not_served(unfit: &Unfit) -> ClientError {
    let error = match unfit {
        Unfit::Sealed(_) => ClientError::fatal(
            "55000",
            "the database asks for a seal, and pgtenant is configured without one",
        ),
        Unfit::Superuser | Unfit::Bypasses | Unfit::Owns(_) => ClientError::fatal(
            "28000",
            "pgtenant's role in the database is one that does not keep tenants apart",
        ),
        Unfit::AnotherRole | Unfit::AnotherTenant | Unfit::StoredTenant(_) => ClientError::fatal(
            "28000",
            "pgtenant's session in the database is not the tenant's",
        ),
        Unfit::Clear(_) => ClientError::fatal(
            "28000",
            "pgtenant's role for masked logins may read what is not masked",
        ),
    };
    error.hint("This is an error of the proxy's configuration; its log has the reason.")
}

/// Connects, secures, logs in and waits for the first ReadyForQuery.
///
/// # Errors
/// As [`ConnectError`] names them; the whole is bounded by the server's
/// `connect_timeout`.
pub async fn connect(target: &Target<'_>) -> Result<Connection<Unbound>, ConnectError> {
    let limit = target.server.connect_timeout;
    let begun = Instant::now();
    let opened = tokio::time::timeout(limit, open(target)).await;
    let opened = opened.unwrap_or(Err(ConnectError::Timeout(limit)));
    target.server.reached.tried(contact(opened.as_ref().err()));
    Ok(opened?.opened_at(begun))
}

/// Asks one host of the server whether it is what `target` asks for, by a connection that
/// serves nobody. Returns what it said of itself.
///
/// # Errors
/// As [`connect`], also where the host is something else.
pub(crate) async fn probe(
    target: &Target<'_>,
    address: Address,
) -> Result<BackendKey, ConnectError> {
    let limit = target.server.connect_timeout;
    let opened = tokio::time::timeout(limit, open_at(target, address)).await;
    let opened = opened.unwrap_or(Err(ConnectError::Timeout(limit)));
    let connection = opened?;
    let key = connection.key();
    connection.close().await;
    Ok(key)
}

async fn open_at(
    target: &Target<'_>,
    address: Address,
) -> Result<Connection<Unbound>, ConnectError> {
    let stream = dial_at(target.server, address).await?;
    let secured = secure(stream, target.server, address.host).await?;
    let connection = authenticate(secured, target, address).await?;
    Ok(connection.opened_from(address))
}

/// What an attempt says of the server.
fn contact(failure: Option<&ConnectError>) -> Contact {
    match failure {
        Some(error) if !error.is_answer() => Contact::Failed(error.to_string().into()),
        _ => Contact::Answered,
    }
}

/// Where the server has several addresses, each that is reached must let the proxy in,
/// and be what `target` asks for: one may accept connections and say nothing.
async fn open(target: &Target<'_>) -> Result<Connection<Unbound>, ConnectError> {
    let server = target.server;
    // Beside it nobody needs to hear that another host is the primary.
    let lagging = Mutex::new(None);
    let attempt = |address: Address| -> Attempt<'_, _, _> {
        let lagging = &lagging;
        Box::pin(async move {
            let opened = open_at(target, address).await;
            if let Err(ConnectError::Lagging(lag)) = &opened {
                *lagging.lock().unwrap_or_else(PoisonError::into_inner) = Some(*lag);
            }
            let connection = opened?;
            server.reached.set(address.socket);
            Ok(connection)
        })
    };
    let found = addresses(server).await?;
    let opened = first_of(found, server.connect_timeout, attempt, |error| {
        !ConnectError::is_passing(error)
    })
    .await;
    let lag = lagging.into_inner().unwrap_or_else(PoisonError::into_inner);
    opened.map_err(|error| match lag {
        Some(lag) if error.is_passing() => ConnectError::Lagging(lag),
        _ => error,
    })
}

/// Opens the connection, over TCP or a Unix-domain socket.
pub(crate) async fn dial_at(server: &Server, address: Address) -> io::Result<Socket> {
    let host = server.hosts.get(address.host);
    if let Some(path) = host.and_then(Host::socket) {
        return Ok(UnixStream::connect(path).await?.into());
    }
    let stream = TcpStream::connect(address.socket).await?;
    transport::tune(&stream)?;
    transport::bound_silence(&stream, server.tcp_user_timeout)?;
    Ok(stream.into())
}

/// A connection that is to carry one request to cancel, and nothing else.
pub(crate) struct CancelConnection(Transport);

impl CancelConnection {
    /// Reaches the server that has given `key`, of those that its names may lead to;
    /// no request has left yet. The caller bounds the time.
    pub(crate) async fn open(server: &Server, key: BackendKey) -> Result<Self, ConnectError> {
        let nowhere = || io::Error::from(io::ErrorKind::AddrNotAvailable);
        let address = key.address.ok_or_else(nowhere)?;
        let stream = dial_at(server, address).await?;
        let secured = secure(stream, server, address.host).await?;
        Ok(Self(secured.transport))
    }

    /// Asks the server to cancel what runs under `key`, and returns once the
    /// server has closed the connection: from then on the signal is sent. After
    /// an error, or where this is dropped before its end, the request may still
    /// be carried out at any time. The caller bounds the time.
    pub(crate) async fn ask(self, key: BackendKey) -> io::Result<()> {
        ask_to_cancel(self.0, key.pid, key.secret).await
    }
}

/// Asks to cancel what runs under this process id and secret, over a connection that
/// nobody is logged in on; the same as [`CancelConnection::ask`].
pub(crate) async fn ask_to_cancel(
    mut transport: Transport,
    pid: u32,
    secret: [u8; 4],
) -> io::Result<()> {
    let mut packet = BytesMut::new();
    frontend::cancel_request(
        i32::from_be_bytes(pid.to_be_bytes()),
        i32::from_be_bytes(secret),
        &mut packet,
    );
    transport.write_all(&packet).await?;
    let mut rest = [0; 64];
    loop {
        match std::future::poll_fn(|cx| transport.poll_read(cx, &mut rest)).await {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // Its process has ended, or it said no goodbye in TLS.
            Err(error) if is_end(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof
    )
}
