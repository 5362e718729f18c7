//! Asking a running process for its health, as `pgtenant status` does.

use super::http::Check;
use crate::config::{AdminHttp, ClientCertificates, Secret};
use crate::x509;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::Value;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Most time for all of it; a worker that hangs is waited for, too.
const LIMIT: Duration = Duration::from_secs(15);
/// The most bytes of an answer.
const MAX_BODY: usize = 1 << 20;

/// What a process says of its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Everything that was checked.
    pub checks: Vec<Check>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody is there, or the connection broke.
    #[error("cannot reach it: {0}")]
    Unreachable(#[from] io::Error),
    /// It takes too long.
    #[error("no answer within {LIMIT:?}")]
    Timeout,
    /// Somebody else is there, or the process has not taken up the certificate yet.
    #[error("{0}: it shows another certificate than the one in tls.certificate")]
    Tls(io::Error),
    /// It wants to know who asks.
    #[error("it asks for a proof: set admin.token_file, or put {0:?} into admin.public")]
    Unproven(&'static str),
    /// It is not what it should be.
    #[error("the answer is not that of pgtenant: {0}")]
    Strange(String),
}

impl Report {
    /// Whether everything is as it should be, as far as anything was looked at.
    #[must_use]
    pub fn passes(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.passes)
    }
}

/// Where to ask a process that listens on this address.
#[must_use]
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Asks at this address, with the token if there is one. Over TLS it must be the process
/// with the certificate of the settings, by whatever name it is reached.
///
/// # Errors
/// As [`AskError`] names them.
pub async fn ask(address: SocketAddr, http: &AdminHttp) -> Result<Report, AskError> {
    let asked = timeout(LIMIT, async {
        let stream = TcpStream::connect(address).await?;
        match &http.tls {
            None => over(stream, address, http).await,
            Some(own) => over(secured(stream, address, own).await?, address, http).await,
        }
    });
    asked.await.unwrap_or(Err(AskError::Timeout))
}

async fn secured(
    stream: TcpStream,
    address: SocketAddr,
    own: &ClientCertificates,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, AskError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let pinned = Arc::new(Pinned {
        own: own.chain.clone(),
        provider: provider.clone(),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| AskError::Tls(io::Error::other(error)))?
        .dangerous()
        .with_custom_certificate_verifier(pinned)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::IpAddress(address.ip().into());
    let stream = connector.connect(name, stream).await;
    stream.map_err(|error| match error.get_ref() {
        Some(inner) if inner.is::<rustls::Error>() => AskError::Tls(error),
        _ => AskError::Unreachable(error),
    })
}

async fn over<S>(stream: S, address: SocketAddr, http: &AdminHttp) -> Result<Report, AskError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(strange)?;
    tokio::spawn(connection);
    let mut checks = Vec::new();
    for path in ["/livez", "/readyz"] {
        let asked = checks_of(&mut sender, path, address, http.token.as_ref());
        checks.extend(asked.await?);
    }
    Ok(Report { checks })
}

async fn checks_of(
    sender: &mut SendRequest<Empty<Bytes>>,
    path: &'static str,
    address: SocketAddr,
    token: Option<&Secret>,
) -> Result<Vec<Check>, AskError> {
    let mut request = Request::get(path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, "pgtenant");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.reveal()));
    }
    let request = request.body(Empty::new()).map_err(strange)?;
    sender.ready().await.map_err(strange)?;
    let answer = sender.send_request(request).await.map_err(strange)?;
    match answer.status() {
        StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => {}
        StatusCode::UNAUTHORIZED => return Err(AskError::Unproven(path)),
        other => return Err(strange(other)),
    }
    let body = Limited::new(answer.into_body(), MAX_BODY).collect().await;
    let body = body.map_err(strange)?.to_bytes();
    let value: Value = serde_json::from_slice(&body).map_err(strange)?;
    let checks = value["checks"].as_array();
    let checks = checks.ok_or_else(|| strange("it has no checks"))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let check = |check: &Value| Check {
        name: text(&check["name"]),
        passes: check["status"] == "pass",
        detail: text(&check["detail"]),
    };
    Ok(checks.iter().map(check).collect())
}

fn strange(what: impl std::fmt::Display) -> AskError {
    AskError::Strange(what.to_string())
}

/// Takes one certificate, and whoever has its key.
#[derive(Debug)]
struct Pinned {
    own: Arc<[CertificateDer<'static>]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.own.first().is_some_and(|own| own == shown) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = self.provider.signature_verification_algorithms;
        x509::verify_tls12(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = self.provider.signature_verification_algorithms;
        x509::verify_tls13(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
