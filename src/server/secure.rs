//! TLS towards a server, and what binds a login to it.

use super::ConnectError;
use crate::config::{Server, ServerTls};
use crate::transport::{Socket, Transport};
use crate::x509::server_end_point;
use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::pki_types::ServerName;
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsConnector, TlsStream};

/// A secured connection, and the data for channel binding where there is some.
pub(crate) struct Secured {
    pub(crate) transport: Transport,
    /// The `tls-server-end-point` hash of the server's certificate.
    pub(crate) end_point: Option<Vec<u8>>,
}

/// Secures the connection to the host of this number as the settings ask (protocol
/// section "SSL Session Encryption").
pub(crate) async fn secure(
    mut stream: Socket,
    server: &Server,
    host: usize,
) -> Result<Secured, ConnectError> {
    let ServerTls::On { config, .. } = &server.tls else {
        return Ok(Secured {
            transport: Transport::Plain(stream),
            end_point: None,
        });
    };
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request).await?;
    // One byte and no more: what follows must come through TLS.
    match stream.read_u8().await? {
        b'S' => {}
        b'N' => return Err(ConnectError::Tls("the server does not offer TLS".into())),
        _ => {
            return Err(ConnectError::Tls(
                "the server did not understand the request for TLS".into(),
            ));
        }
    }
    let host = server.hosts.get(host).unwrap_or(server.hosts.first());
    let name = ServerName::try_from(host.name.to_string())
        .map_err(|_| ConnectError::Tls(format!("{:?} is not a host name", host.name)))?;
    let stream = TlsConnector::from(config.clone())
        .connect(name, stream)
        .await
        .map_err(not_secured)?;
    let end_point = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .and_then(|certificate| server_end_point(certificate));
    Ok(Secured {
        transport: Transport::Tls(Box::new(TlsStream::Client(stream))),
        end_point,
    })
}

/// A connection that broke during the handshake says nothing of TLS.
fn not_secured(error: io::Error) -> ConnectError {
    match error.get_ref() {
        Some(inner) if inner.is::<rustls::Error>() => ConnectError::Tls(error.to_string()),
        _ => ConnectError::Unreachable(error),
    }
}
