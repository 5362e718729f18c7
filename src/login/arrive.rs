//! The first steps: TLS and the startup packet.

use super::wire::{LoginError, Wire};
use crate::config::ClientTls;
use crate::protocol::ClientError;
use crate::protocol::startup::{self, CancelRequest, Packet, Startup};
use crate::transport::{Buffer, Socket, Transport};
use rustls::ServerConfig;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::{TlsAcceptor, TlsStream};

/// First packets that a client may send before the one that counts: a request
/// for GSSAPI encryption, one for TLS, and the startup packet itself.
const MAX_PACKETS: usize = 3;

/// A client that has connected and said nothing yet.
#[derive(Debug)]
pub struct Arrived {
    pub(super) stream: Socket,
    pub(super) deadline: Instant,
}

/// A client that has said who it wants to be.
#[derive(Debug)]
pub struct Introduced {
    /// Its connection, secured as the settings ask.
    pub wire: Wire,
    /// Its startup packet.
    pub startup: Startup,
}

/// What a connection turned out to be.
#[derive(Debug)]
pub enum Arrival {
    /// A client that wants in.
    Client(Introduced),
    /// A request to cancel. Its connection is to be [closed](Wire::close) once
    /// that has been dealt with, without an answer: clients wait for it.
    Cancel(CancelRequest, Wire),
}

/// A step failed: the connection, where there is one left to say so on.
pub type Failed = (Option<Box<Wire>>, LoginError);

impl Arrived {
    /// A new connection, whose login must be over by `deadline`.
    #[must_use]
    pub fn new(stream: impl Into<Socket>, deadline: Instant) -> Self {
        let stream = stream.into();
        Self { stream, deadline }
    }

    /// Tells the client at once that it is refused, whatever it wants, and closes
    /// the connection. An ErrorResponse may come in place of the answer to an
    /// SSLRequest (protocol section "SSL Session Encryption").
    pub async fn turn_away(self, error: &LoginError) {
        plain(self.stream, self.deadline).refuse(error).await;
    }

    /// Establishes TLS, but on a Unix-domain socket, and reads the startup packet. With `refused`, there is no
    /// TLS: who asks for it gets this error.
    ///
    /// # Errors
    /// If the client breaks the protocol, or comes without TLS where that is
    /// required.
    pub async fn introduce(
        self,
        tls: &ClientTls,
        refused: Option<ClientError>,
    ) -> Result<Arrival, Failed> {
        let Self { stream, deadline } = self;
        // Nobody is between: PostgreSQL has no TLS there either.
        let tls = match stream.is_unix() {
            true => &ClientTls::Off,
            false => tls,
        };
        let mut first = [0];
        match timeout_at(deadline, stream.peek(&mut first)).await {
            Err(_) => return Err((None, LoginError::Timeout)),
            Ok(Err(error)) => return Err((None, LoginError::Lost(error))),
            Ok(Ok(_)) => {}
        }
        // A TLS record of type handshake: no packet's length begins like that.
        if first == [0x16] {
            if let Some(error) = refused {
                // It would take the error for a broken TLS record.
                return Err((None, LoginError::told(error)));
            }
            let Some(config) = config_of(tls) else {
                let wire = plain(stream, deadline);
                return Err((Some(Box::new(wire)), StartupLength.into()));
            };
            let wire = direct_tls(stream, config, deadline).await?;
            return finish(wire, tls).await;
        }
        let mut wire = plain(stream, deadline);
        for _ in 0..MAX_PACKETS {
            match read(&mut wire).await {
                Ok(Packet::SslRequest) => match config_of(tls) {
                    Some(config) => {
                        if let Some(error) = refused {
                            return Err((Some(Box::new(wire)), LoginError::told(error)));
                        }
                        let wire = upgrade(wire, config).await?;
                        return finish(wire, tls).await;
                    }
                    None => offer_nothing(&mut wire)
                        .await
                        .map_err(|error| (None, error))?,
                },
                Ok(Packet::GssEncRequest) => offer_nothing(&mut wire)
                    .await
                    .map_err(|error| (None, error))?,
                Ok(packet) => return introduced(wire, packet, tls),
                Err(error) => return Err((Some(Box::new(wire)), error)),
            }
        }
        Err((
            Some(Box::new(wire)),
            LoginError::told(ClientError::protocol("too many negotiation requests")),
        ))
    }
}

/// Over TLS only the startup packet, or a cancel request, may follow.
async fn finish(mut wire: Wire, tls: &ClientTls) -> Result<Arrival, Failed> {
    match read(&mut wire).await {
        Ok(packet) => introduced(wire, packet, tls),
        Err(error) => Err((Some(Box::new(wire)), error)),
    }
}

fn introduced(wire: Wire, packet: Packet, tls: &ClientTls) -> Result<Arrival, Failed> {
    match packet {
        Packet::Cancel(request) => Ok(Arrival::Cancel(request, wire)),
        Packet::Startup(_) if matches!(tls, ClientTls::Require(_)) && !wire.transport.is_tls() => {
            let error =
                ClientError::fatal("28000", "this server accepts connections over TLS only")
                    .hint("Connect with sslmode=require, or better sslmode=verify-full.");
            Err((Some(Box::new(wire)), LoginError::told(error)))
        }
        Packet::Startup(startup) if wire.input.is_empty() => {
            Ok(Arrival::Client(Introduced { wire, startup }))
        }
        Packet::Startup(_) => {
            let error = ClientError::protocol("data was sent before the login was answered");
            Err((Some(Box::new(wire)), LoginError::told(error)))
        }
        Packet::SslRequest | Packet::GssEncRequest => {
            let error = ClientError::protocol("encryption was asked for twice");
            Err((Some(Box::new(wire)), LoginError::told(error)))
        }
    }
}

async fn read(wire: &mut Wire) -> Result<Packet, LoginError> {
    let packet = wire.packet().await?;
    Ok(startup::decode(&packet)?)
}

async fn offer_nothing(wire: &mut Wire) -> Result<(), LoginError> {
    wire.send(b"N").await
}

/// Answers an SSLRequest. What was sent behind it came in clear text, and must
/// not be taken for the client's (the class of CVE-2021-23214).
async fn upgrade(mut wire: Wire, config: &Arc<ServerConfig>) -> Result<Wire, Failed> {
    if !wire.input.is_empty() {
        let error = ClientError::protocol("received unencrypted data after SSL request")
            .hint("This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.");
        return Err((Some(Box::new(wire)), LoginError::told(error)));
    }
    wire.send(b"S").await.map_err(|error| (None, error))?;
    match wire.transport {
        Transport::Plain(stream) => accept(stream, config, wire.deadline).await,
        tls @ Transport::Tls(_) => Err((
            Some(Box::new(Wire {
                transport: tls,
                input: wire.input,
                deadline: wire.deadline,
                method: None,
            })),
            LoginError::told(ClientError::protocol("encryption was asked for twice")),
        )),
    }
}

/// TLS from the first byte (protocol section "SSL Session Encryption"): the
/// client must name the protocol by ALPN.
async fn direct_tls(
    stream: Socket,
    config: &Arc<ServerConfig>,
    deadline: Instant,
) -> Result<Wire, Failed> {
    let wire = accept(stream, config, deadline).await?;
    let named = match &wire.transport {
        Transport::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(b"postgresql"),
        Transport::Plain(_) => false,
    };
    if named {
        return Ok(wire);
    }
    let error = ClientError::protocol(
        "received direct SSL connection request without ALPN protocol negotiation extension",
    );
    Err((Some(Box::new(wire)), LoginError::told(error)))
}

async fn accept(
    stream: Socket,
    config: &Arc<ServerConfig>,
    deadline: Instant,
) -> Result<Wire, Failed> {
    match timeout_at(deadline, TlsAcceptor::from(config.clone()).accept(stream)).await {
        Ok(Ok(stream)) => Ok(Wire {
            transport: Transport::Tls(Box::new(TlsStream::Server(stream))),
            input: Buffer::new(),
            deadline,
            method: None,
        }),
        Ok(Err(error)) => Err((None, LoginError::Tls(error))),
        Err(_) => Err((None, LoginError::Timeout)),
    }
}

fn plain(stream: Socket, deadline: Instant) -> Wire {
    Wire {
        transport: Transport::Plain(stream),
        input: Buffer::new(),
        deadline,
        method: None,
    }
}

fn config_of(tls: &ClientTls) -> Option<&Arc<ServerConfig>> {
    tls.certificates().map(|certificates| &certificates.config)
}

/// A TLS handshake where TLS is off reads as a packet of absurd length.
struct StartupLength;

impl From<StartupLength> for LoginError {
    fn from(_: StartupLength) -> Self {
        startup::StartupError::Length.into()
    }
}
