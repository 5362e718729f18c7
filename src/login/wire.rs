//! A client's connection while it logs in: strict framing, a bound on bytes and
//! a deadline.

use crate::protocol::ClientError;
use crate::protocol::startup::{self, StartupError};
use crate::transport::{Buffer, Transport};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// Longest message that a client may send before it is in, in bytes; but for one
/// with a token.
pub(super) const MAX_MESSAGE: usize = 16 << 10;

/// Most time for a goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// The client's answer to a request for a password or SASL message.
pub(super) enum Answer {
    /// The message's body.
    Body(Vec<u8>),
    /// It is announced as longer than what is accepted, and is not read.
    TooLong,
}

/// The connection of a client that is not logged in yet.
#[derive(Debug)]
pub struct Wire {
    pub(super) transport: Transport,
    pub(super) input: Buffer,
    pub(super) deadline: Instant,
    /// What the client is asked to prove itself with, as `methods` of `[[logins]]` call
    /// it.
    pub(super) method: Option<&'static str>,
}

/// Why a client does not get in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The connection broke, or the client closed it.
    #[error("the connection was lost: {0}")]
    Lost(#[from] io::Error),
    /// TLS could not be established.
    #[error("TLS: {0}")]
    Tls(io::Error),
    /// It took too long.
    #[error("the login took too long")]
    Timeout,
    /// It is refused: what the client is told, and the reason that it is not.
    #[error("{reason}")]
    Refused {
        /// What the client is told.
        error: Box<ClientError>,
        /// What the log is told.
        reason: String,
    },
    /// It closed the connection when it was asked for a password; the reason that
    /// none would have done.
    #[error("{0}, and the client has left")]
    Left(String),
    /// It is refused as a wrong password is, and is no guess at one: too many
    /// have failed, so that it was not looked at, or a token does not hold.
    #[error("{reason}")]
    Uncounted {
        /// What the client is told: what it would be told of a wrong password.
        error: Box<ClientError>,
        /// What the log is told.
        reason: String,
    },
}

/// The SQLSTATE of a credential that does not hold.
pub(super) const INVALID_PASSWORD: &str = "28P01";

impl LoginError {
    /// A refusal that the client is told as it is.
    #[must_use]
    pub fn told(error: ClientError) -> Self {
        Self::Refused {
            reason: error.to_string(),
            error: Box::new(error),
        }
    }

    /// What the client is told, if it can be told anything.
    #[must_use]
    pub fn to_client(&self) -> Option<ClientError> {
        match self {
            Self::Lost(_) | Self::Tls(_) | Self::Left(_) => None,
            Self::Timeout => Some(ClientError::fatal(
                "57014",
                "canceling authentication due to timeout",
            )),
            Self::Refused { error, .. } | Self::Uncounted { error, .. } => Some((**error).clone()),
        }
    }

    /// Whether it is a guess at a password.
    pub(super) fn is_wrong_guess(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if error.sqlstate == INVALID_PASSWORD)
    }

    /// Whether the client is told that its credential does not hold.
    pub(super) fn is_wrong_credential(&self) -> bool {
        self.is_wrong_guess() || matches!(self, Self::Uncounted { .. })
    }
}

impl From<StartupError> for LoginError {
    fn from(error: StartupError) -> Self {
        let sqlstate = match error {
            StartupError::Version(..) => "0A000",
            _ => "08P01",
        };
        Self::told(ClientError::fatal(sqlstate, error.to_string()))
    }
}

impl Wire {
    /// Protocol and cipher suite, over TLS.
    #[must_use]
    pub fn tls(&self) -> Option<Box<str>> {
        self.transport.tls()
    }

    /// Where the client has come to, over TCP.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.transport.local_addr()
    }

    /// Whether it is secured by TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }

    /// The connection and what has arrived on it, for the session.
    #[must_use]
    pub fn into_parts(self) -> (Transport, Buffer) {
        (self.transport, self.input)
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// What the client was asked to prove itself with.
    #[must_use]
    pub fn method(&self) -> Option<&'static str> {
        self.method
    }

    /// Reads one first packet, whole.
    pub(super) async fn packet(&mut self) -> Result<Vec<u8>, LoginError> {
        loop {
            if let Some(len) = startup::packet_len(self.input.bytes())?
                && let Some(packet) = self.input.bytes().get(..len)
            {
                let packet = packet.to_vec();
                self.input.consume(len);
                return Ok(packet);
            }
            self.read().await?;
        }
    }

    /// Reads the body of one password or SASL message.
    pub(super) async fn answer(&mut self) -> Result<Vec<u8>, LoginError> {
        match self.answer_within(MAX_MESSAGE).await? {
            Answer::Body(body) => Ok(body),
            Answer::TooLong => Err(invalid_length()),
        }
    }

    /// The same for a message of at most `most` bytes.
    pub(super) async fn answer_within(&mut self, most: usize) -> Result<Answer, LoginError> {
        loop {
            let bytes = self.input.bytes();
            if bytes.first().is_some_and(|tag| *tag != b'p') {
                return Err(LoginError::told(ClientError::protocol(
                    "expected a password response",
                )));
            }
            if let Some(len) = bytes.get(1..5).and_then(|len| len.try_into().ok()) {
                let len = usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX);
                if len < 4 {
                    return Err(invalid_length());
                }
                if len > most {
                    return Ok(Answer::TooLong);
                }
                if let Some(body) = bytes.get(5..=len) {
                    let body = body.to_vec();
                    self.input.consume(len + 1);
                    return Ok(Answer::Body(body));
                }
            }
            self.read().await?;
        }
    }

    /// Sends bytes, within the deadline.
    ///
    /// # Errors
    /// If the connection is lost, or the deadline passes.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), LoginError> {
        tokio::time::timeout_at(self.deadline, self.transport.write_all(bytes))
            .await
            .map_err(|_| LoginError::Timeout)?
            .map_err(LoginError::Lost)
    }

    async fn read(&mut self) -> Result<(), LoginError> {
        tokio::time::timeout_at(self.deadline, self.transport.read_some(&mut self.input))
            .await
            .map_err(|_| LoginError::Timeout)?
            .map_err(LoginError::Lost)
    }

    /// Tells the client why it does not get in, and closes the connection.
    pub async fn refuse(mut self, error: &LoginError) {
        let goodbye = async {
            if let Some(error) = error.to_client() {
                let mut bytes = Vec::new();
                error.encode(&mut bytes);
                if self.transport.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            self.transport.close().await;
        };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }

    /// Closes the connection properly, without a word.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(GOODBYE, self.transport.close()).await;
    }
}

/// A message of a length that is not accepted.
pub(super) fn invalid_length() -> LoginError {
    LoginError::told(ClientError::protocol("invalid message length"))
}
