//! Requests to cancel: carried out here, or passed on to the replica that has the
//! session.

use super::Shared;
use crate::peers::Receiver;
use crate::protocol::startup::CancelRequest;
use crate::session::replica_of;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Deals with a client's request. Returns once it has been carried out, or will not be.
pub(super) async fn deal_with(shared: &Shared, request: &CancelRequest) {
    let replica = replica_of(request.pid);
    let peers = shared.live.load().peers.clone();
    match peers.filter(|peers| peers.has(replica)) {
        Some(peers) => {
            peers.forward(replica, request).await;
        }
        None => {
            carry_out(shared, request).await;
        }
    }
}

/// Carries a request out among the sessions of this replica. Says whether its key was
/// right.
async fn carry_out(shared: &Shared, request: &CancelRequest) -> bool {
    let was_right = shared.registry.cancel(request).await;
    if was_right {
        shared.ledger.cancels();
    }
    was_right
}

/// Takes another replica's connection.
pub(super) fn let_in(
    stream: TcpStream,
    address: SocketAddr,
    receiver: &Receiver,
    shared: &Arc<Shared>,
) {
    // Dropping the stream closes it.
    let Some(peers) = shared.live.load().peers.clone() else {
        return;
    };
    let shared = shared.clone();
    receiver.take(stream, address, peers, |request| async move {
        carry_out(&shared, &request).await
    });
}
