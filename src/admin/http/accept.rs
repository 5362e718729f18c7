//! Connections, from their arrival until they are closed.

use super::patient::Patient;
use super::places::{Place, Places};
use super::routes::Visit;
use super::{Access, Observed, Server};
use crate::login::Certificate;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Most time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Most time until the head of a request is there, from the one before on.
const HEAD: Duration = Duration::from_secs(10);
/// How long a client may take nothing of its answer.
const STALL: Duration = Duration::from_secs(20);
/// After so long a connection takes no further request.
const LIFETIME: Duration = Duration::from_secs(5 * 60);
/// So long an answer may take that has begun then.
const LAST_ANSWER: Duration = Duration::from_secs(30);
/// Most bytes of a request's head.
const MOST_HEAD: usize = 16 << 10;
/// Most lines of it.
const MOST_HEADERS: usize = 64;

type Settings = watch::Receiver<Arc<Access>>;

/// Accepts on each socket, in tasks of the runtime that this is called on.
pub(super) fn accept_all<O: Observed>(
    listeners: Vec<TcpListener>,
    access: &Settings,
    server: &Arc<Server<O>>,
) {
    let places = Arc::<Places>::default();
    for listener in listeners {
        let (access, server, places) = (access.clone(), server.clone(), places.clone());
        tokio::spawn(async move {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => accept(&listener, &access, &server, &places).await,
                Err(error) => cannot_accept(&error),
            }
        });
    }
}

async fn accept<O: Observed>(
    listener: &tokio::net::TcpListener,
    access: &Settings,
    server: &Arc<Server<O>>,
    places: &Arc<Places>,
) {
    loop {
        match listener.accept().await {
            // Without a place it is closed at once.
            Ok((stream, peer)) => {
                if let Some(place) = places.take(peer.ip()) {
                    tokio::spawn(connection(
                        stream,
                        peer,
                        access.clone(),
                        server.clone(),
                        place,
                    ));
                }
            }
            Err(error) => {
                // Out of file descriptors, most often: others must leave first.
                cannot_accept(&error);
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn cannot_accept(error: &std::io::Error) {
    tracing::warn!(target: "pgtenant::admin", %error, "cannot accept an HTTP connection");
}

/// One connection. It ends when the settings are replaced with which it has begun; one
/// that has had no answer yet gets one, by the new settings.
async fn connection<O: Observed>(
    stream: TcpStream,
    peer: SocketAddr,
    mut settings: Settings,
    server: Arc<Server<O>>,
    place: Place,
) {
    let _place = place;
    let access = settings.borrow_and_update().clone();
    let mut visit = Visit::new(settings.clone(), access.clone(), peer, server);
    let Some(tls) = access.tls() else {
        return serve(stream, visit, settings).await;
    };
    let acceptor = TlsAcceptor::from(tls.clone());
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let shown = stream.get_ref().1.peer_certificates();
            visit.certificate = shown.and_then(Certificate::of_chain);
            serve(stream, visit, settings).await;
        }
        Ok(Err(error)) => {
            tracing::debug!(target: "pgtenant::admin", client = %peer, %error, "no TLS");
        }
        Err(_) => {}
    }
}

async fn serve<S, O>(stream: S, visit: Visit<O>, mut settings: Settings)
where
    S: AsyncRead + AsyncWrite + Unpin,
    O: Observed,
{
    let peer = visit.peer;
    let visit = Arc::new(visit);
    let answer = |request| {
        let visit = visit.clone();
        async move { Ok::<_, std::convert::Infallible>(visit.answer(request).await) }
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MOST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(
            TokioIo::new(Patient::new(stream, STALL)),
            service_fn(answer),
        );
    let mut connection = pin!(connection);
    let outcome = tokio::select! {
        biased;
        _ = settings.changed() => None,
        outcome = &mut connection => Some(outcome),
        () = sleep(LIFETIME) => None,
    };
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => {
            // Else its first request would be dropped: its answer closes it.
            if visit.is_answered() {
                connection.as_mut().graceful_shutdown();
            }
            match timeout(LAST_ANSWER, connection).await {
                Ok(outcome) => outcome,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(target: "pgtenant::admin", client = %peer, %error, "HTTP");
    }
}
