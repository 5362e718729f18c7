//! Closing server connections, and seeing to it that their sessions end.

use super::lease::Place;
use crate::config::Server;
use crate::server::{BackendKey, CancelConnection, ConnectError, Connection};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// What runs may go on for so long: a client that says goodbye behind its last
/// statement means it to be carried out.
const GRACE: Duration = Duration::from_secs(1);
/// Once it has been cancelled, the session should end within so long.
const AFTER_CANCEL: Duration = Duration::from_secs(3);
/// How often it is cancelled. A session that will not end then, or a server that
/// does not answer, keeps the place no longer.
const MOST_CANCELS: usize = 2;

/// Says goodbye to a connection and waits, in a task of its own, until the server
/// has ended the session. `place` stays taken until then.
pub(super) fn spawn<S: Send + 'static>(
    connection: Connection<S>,
    server: Arc<Server>,
    place: Option<Place>,
) {
    // Without a runtime the process is ending, and its sockets with it.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            close(connection, &server).await;
            drop(place);
        });
    }
}

async fn cancel(server: &Server, key: BackendKey) -> Result<(), ConnectError> {
    let limit = server.connect_timeout;
    let request = async { Ok(CancelConnection::open(server, key).await?.ask(key).await?) };
    timeout(limit, request)
        .await
        .map_err(|_| ConnectError::Timeout(limit))?
}

async fn close<S>(mut connection: Connection<S>, server: &Server) {
    let key = connection.key();
    if timeout(GRACE, connection.hang_up()).await.is_ok() {
        return;
    }
    for _ in 0..MOST_CANCELS {
        if let Err(error) = cancel(server, key).await {
            tracing::info!(target: "pgtenant::server", %error, "cannot cancel what an abandoned connection runs");
        }
        if timeout(AFTER_CANCEL, connection.hang_up()).await.is_ok() {
            return;
        }
    }
    tracing::warn!(target: "pgtenant::server", pid = key.pid, "an abandoned session has not ended");
}
