//! A connection between two replicas, in clear text or TLS.

use super::PeerError;
use super::bond::LEN;
use crate::config::{ClientTls, Host, ServerTls};
use crate::transport;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ConnectionCommon, ProtocolVersion, ServerConfig};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// The protocol's name in TLS (ALPN).
const ALPN: &[u8] = b"pgtenant-peer";
/// What the bytes are for that identify a TLS session (RFC 5705).
const EXPORTER: &[u8] = b"EXPORTER-pgtenant-peer";

/// TLS between replicas, of both sides.
#[derive(Debug, Clone)]
pub(super) struct PeerTls {
    pub(super) accept: Arc<ServerConfig>,
    pub(super) connect: Arc<ClientConfig>,
}

impl PeerTls {
    /// With the certificate that clients are shown; `None` where TLS is off.
    pub(super) fn new(tls: &ClientTls) -> Result<Option<Self>, PeerError> {
        let Some(own) = tls.certificates() else {
            return Ok(None);
        };
        let mut accept = ServerConfig::clone(&own.config);
        accept.alpn_protocols = vec![ALPN.to_vec()];
        // The key says who it is, not the certificate.
        let Some(ServerTls::On { config, .. }) = ServerTls::unverified() else {
            return Err(PeerError::Cryptography);
        };
        let mut connect = ClientConfig::clone(&config);
        connect.alpn_protocols = vec![ALPN.to_vec()];
        connect.resumption = Resumption::disabled();
        Ok(Some(Self {
            accept: Arc::new(accept),
            connect: Arc::new(connect),
        }))
    }
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, and what identifies its TLS session: nothing in clear text.
pub(super) struct Channel {
    pub(super) stream: Box<dyn Stream>,
    pub(super) session: Vec<u8>,
}

impl Channel {
    /// Reaches a replica. The caller bounds the time.
    pub(super) async fn open(host: &Host, tls: Option<&PeerTls>) -> Result<Self, PeerError> {
        let stream = TcpStream::connect((&*host.name, host.port)).await?;
        transport::tune(&stream)?;
        let Some(tls) = tls else {
            return Ok(Self::clear(stream));
        };
        let name = ServerName::try_from(host.name.to_string());
        let name = name.map_err(io::Error::other)?;
        let connector = TlsConnector::from(tls.connect.clone());
        Self::secured(connector.connect(name, stream).await?.into())
    }

    /// Takes the connection of another replica. The caller bounds the time.
    pub(super) async fn accept(
        stream: TcpStream,
        tls: Option<&PeerTls>,
    ) -> Result<Self, PeerError> {
        let Some(tls) = tls else {
            return Ok(Self::clear(stream));
        };
        let acceptor = TlsAcceptor::from(tls.accept.clone());
        Self::secured(acceptor.accept(stream).await?.into())
    }

    fn clear(stream: TcpStream) -> Self {
        Self {
            stream: Box::new(stream),
            session: Vec::new(),
        }
    }

    fn secured(stream: TlsStream<TcpStream>) -> Result<Self, PeerError> {
        let session = match &stream {
            TlsStream::Client(stream) => identity(stream.get_ref().1),
            TlsStream::Server(stream) => identity(stream.get_ref().1),
        };
        let session = session?;
        Ok(Self {
            stream: Box::new(stream),
            session: session.to_vec(),
        })
    }
}

/// What identifies a TLS session of version 1.3: in 1.2 two sessions can have the same.
fn identity<D>(tls: &ConnectionCommon<D>) -> Result<[u8; LEN], PeerError> {
    let is_right = tls.protocol_version() == Some(ProtocolVersion::TLSv1_3)
        && tls.alpn_protocol() == Some(ALPN);
    if !is_right {
        return Err(PeerError::Stranger);
    }
    let exported = tls.export_keying_material([0; LEN], EXPORTER, None);
    exported.map_err(|_| PeerError::Cryptography)
}
