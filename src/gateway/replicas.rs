//! Leaving replicas that lag too much (`servers.NAME.lag_limit`), and coming back to them.

use super::hosts::target;
use crate::config::Server;
use crate::pool::Pool;
use crate::server::{Address, ConnectError, probe};
use crate::tenant::Vetting;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The addresses of a server at which there is no replica that is fit to be read, as each
/// was asked last.
#[derive(Debug, Default)]
pub(super) struct Unfit(Arc<Mutex<BTreeSet<SocketAddr>>>);

impl Unfit {
    /// All of them, in order.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        lock(&self.0).iter().copied().collect()
    }

    /// Forgets those that are none of the server's any more.
    pub(super) fn keep(&self, found: &[Address]) {
        let is_found = |socket: &SocketAddr| found.iter().any(|one| one.socket == *socket);
        lock(&self.0).retain(is_found);
    }

    /// Asks one of them. A host that does not answer stays what it was: connections to it
    /// break by themselves. `is_used`: there are connections to it.
    pub(super) fn ask(
        &self,
        server: Arc<Server>,
        pool: Arc<Pool>,
        address: Address,
        is_used: bool,
    ) -> impl Future<Output = ()> + Send + 'static {
        let unfit = self.0.clone();
        async move {
            let vetting = Vetting::none();
            let answer = probe(&target(&server, &pool, &vetting), address).await;
            tell(&server, address.socket, &answer, is_used, &mut lock(&unfit));
        }
    }
}

/// Takes note of an answer, and logs what is new.
fn tell<T>(
    server: &Server,
    address: SocketAddr,
    answer: &Result<T, ConnectError>,
    is_used: bool,
    unfit: &mut BTreeSet<SocketAddr>,
) {
    let server = &server.name;
    match answer {
        Ok(_) if unfit.remove(&address) => {
            tracing::info!(target: "pgtenant::server", %server, %address, "the replica is fit to be read again");
        }
        Err(error @ (ConnectError::Lagging(_) | ConnectError::Target(_))) => {
            let is_new = unfit.insert(address);
            // That the primary is in the list is nothing to tell.
            if is_new && (is_used || matches!(error, ConnectError::Lagging(_))) {
                tracing::warn!(target: "pgtenant::server", %server, %address, %error, "the host is not fit to be read, and is left");
            }
        }
        Ok(_) | Err(_) => {}
    }
}

fn lock(unfit: &Mutex<BTreeSet<SocketAddr>>) -> MutexGuard<'_, BTreeSet<SocketAddr>> {
    unfit.lock().unwrap_or_else(PoisonError::into_inner)
}
