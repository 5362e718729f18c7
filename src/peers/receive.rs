//! Taking the requests of other replicas.

use super::channel::Channel;
use super::exchange::answer;
use super::{PeerError, Peers, REACH};
use crate::protocol::startup::CancelRequest;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Connections of other replicas at a time.
const MOST: usize = 256;

/// Takes the connections of other replicas.
#[derive(Debug, Clone)]
pub struct Receiver(Arc<Semaphore>);

impl Default for Receiver {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl Receiver {
    /// Answers a connection, in a task of its own; one too many is closed. `carry_out`
    /// says whether a request had a right key.
    pub fn take<F>(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        peers: Arc<Peers>,
        carry_out: impl FnOnce(CancelRequest) -> F + Send + 'static,
    ) where
        F: Future<Output = bool> + Send,
    {
        let Ok(place) = self.0.clone().try_acquire_owned() else {
            return;
        };
        tokio::spawn(async move {
            match serve(stream, &peers, carry_out).await {
                Ok(()) => {}
                // A probe of the port, or the other replica has refused this one.
                Err(error @ PeerError::Unreachable(_)) => {
                    tracing::debug!(target: "pgtenant::peers", client = %address, %error, "lost a replica");
                }
                Err(error) => {
                    tracing::warn!(target: "pgtenant::peers", client = %address, %error, "refused what should be a replica");
                }
            }
            drop(place);
        });
    }
}

async fn serve<F: Future<Output = bool>>(
    stream: TcpStream,
    peers: &Peers,
    carry_out: impl FnOnce(CancelRequest) -> F,
) -> Result<(), PeerError> {
    let accepted = timeout(REACH, Channel::accept(stream, peers.tls.as_ref())).await;
    let channel = accepted.map_err(|_| PeerError::Timeout)??;
    answer(channel, &peers.key, peers.own, carry_out).await
}
