//! One HTTP request for the keys of an issuer.

use crate::config::JwksUrl;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The most bytes of an answer.
const MAX_BODY: usize = 512 << 10;
/// The most bytes of its head.
const MAX_HEAD: usize = 64 << 10;

/// Fetches the body. Redirections are not followed: they would lead to an
/// address that nobody has named.
///
/// # Errors
/// What went wrong, for the log.
pub(super) async fn fetch(from: &JwksUrl) -> Result<Bytes, String> {
    tokio::time::timeout(from.timeout, exchange(from))
        .await
        .unwrap_or_else(|_| Err("it took too long".to_owned()))
}

async fn exchange(from: &JwksUrl) -> Result<Bytes, String> {
    let stream = TcpStream::connect((from.host.as_str(), from.port))
        .await
        .map_err(|error| format!("cannot connect to {}:{}: {error}", from.host, from.port))?;
    match &from.tls {
        None => over(stream, from).await,
        Some(tls) => {
            let connector = TlsConnector::from(tls.config.clone());
            let stream = connector
                .connect(tls.name.clone(), stream)
                .await
                .map_err(|error| format!("TLS: {error}"))?;
            over(stream, from).await
        }
    }
}

async fn over<S>(stream: S, from: &JwksUrl) -> Result<Bytes, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| format!("HTTP: {error}");
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let request = Request::get(&from.path)
        .header(HOST, &from.authority)
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .header(USER_AGENT, "pgtenant")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("HTTP: {error}"))?;
    let mut answer = pin!(async {
        let answer = sender.send_request(request).await.map_err(broken)?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the answer is {}", answer.status()));
        }
        let body = Limited::new(answer.into_body(), MAX_BODY).collect().await;
        body.map(Collected::to_bytes)
            .map_err(|error| format!("HTTP: {error}"))
    });
    tokio::select! {
        answer = &mut answer => return answer,
        _ = connection => {}
    }
    // The other side has closed: what it has sent is there.
    answer.await
}
