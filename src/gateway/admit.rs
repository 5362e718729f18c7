//! One client from its arrival until it is in.

use super::admitted::Admitted;
use super::door::Door;
use super::known::{Known, refused};
use super::places::Place;
use super::{Control, Shared, cancel, console};
use crate::login::{Arrival, Arrived, Failed, InProgress, LoginError, Peer};
use crate::protocol::ClientError;
use crate::protocol::proxied::Source;
use crate::session::DrainLevel;
use crate::transport::{self, ClientAddress, Socket};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::time::Instant;

/// A client that has connected.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) socket: Socket,
    /// The other end of its connection: the client, or a balancer.
    pub(super) peer: ClientAddress,
    /// The worker that serves it.
    pub(super) worker: usize,
    /// What the console steers.
    pub(super) control: Control,
    /// Set once the proxy is to stop.
    pub(super) draining: Arc<DrainLevel>,
}

/// A client whose address is known.
struct Comer {
    arrived: Arrived,
    /// Where it comes from: all that goes by a client's address goes by this one.
    address: ClientAddress,
    /// Where it has come to.
    local: Option<SocketAddr>,
    /// When it came.
    began: Instant,
    /// There are not too many already.
    has_place: bool,
    worker: usize,
    control: Control,
    draining: Arc<DrainLevel>,
}

/// Lets a client in, if it may.
pub(super) async fn admit(
    newcomer: Newcomer,
    shared: Arc<Shared>,
) -> Option<(Box<Admitted>, Place)> {
    if !transport::INHERITS_OPTIONS && newcomer.socket.tune().is_err() {
        return None;
    }
    let mut known = Known::default();
    let local = newcomer.socket.local_addr();
    let began = Instant::now();
    let deadline = began + shared.live.load().listen.login_timeout;
    let mut arrived = Arrived::new(newcomer.socket, deadline);
    // Boxed, as what a login needs: it is gone once it is over.
    let found = Box::pin(origin(&mut arrived, newcomer.peer, &shared)).await;
    let (address, progress) = match found {
        Ok(found) => found,
        Err((address, error)) => {
            refused(address, &known, &error, &shared.audit);
            known.count(&shared.ledger, None, &error);
            Box::pin(arrived.turn_away(&error)).await;
            return None;
        }
    };
    let place = shared.places.take();
    let comer = Comer {
        arrived,
        address,
        local,
        began,
        has_place: place.is_some(),
        worker: newcomer.worker,
        control: newcomer.control,
        draining: newcomer.draining,
    };
    let outcome = Box::pin(log_in(comer, &shared, &mut known)).await;
    drop(progress);
    match outcome {
        Ok(admitted) => admitted.zip(place),
        Err((wire, error)) => {
            refused(address, &known, &error, &shared.audit);
            let method = wire.as_ref().and_then(|wire| wire.method());
            known.count(&shared.ledger, method, &error);
            if let Some(wire) = wire {
                Box::pin(wire.refuse(&error)).await;
            }
            None
        }
    }
}

/// The address that the client is known by: the other end of its connection, or what a
/// balancer says there. It counts as a login of that address from then on.
async fn origin(
    arrived: &mut Arrived,
    peer: ClientAddress,
    shared: &Shared,
) -> Result<(ClientAddress, InProgress), (ClientAddress, LoginError)> {
    let arrive = |address: ClientAddress| {
        let progress = shared.throttle.arrive(address.ip());
        progress.ok_or_else(|| (address, LoginError::told(too_many_of_address())))
    };
    // Of the balancer's until it has said whose connection it is.
    let progress = arrive(peer)?;
    let live = shared.live.load_full();
    let is_balancer = |ip| live.listen.is_balancer(ip);
    if !peer.ip().is_some_and(is_balancer) {
        return Ok((peer, progress));
    }
    match arrived.source().await.map_err(|error| (peer, error))? {
        Source::Connection => Ok((peer, progress)),
        Source::Client(address) => {
            drop(progress);
            let address = ClientAddress::from(address);
            Ok((address, arrive(address)?))
        }
    }
}

async fn log_in(
    comer: Comer,
    shared: &Arc<Shared>,
    known: &mut Known,
) -> Result<Option<Box<Admitted>>, Failed> {
    let live = shared.live.load_full();
    // A handshake costs more than all else: for those who will be refused there
    // are only so many, which leaves requests to cancel a way in.
    let spare = match comer.has_place {
        true => None,
        false => shared.spare_handshakes.try_acquire().ok(),
    };
    let refused = (!comer.has_place && spare.is_none()).then(too_many_clients);
    let introduced = comer.arrived.introduce(&live.tls, refused).await?;
    drop(spare);
    let introduced = match introduced {
        Arrival::Client(introduced) => introduced,
        Arrival::Cancel(request, wire) => {
            cancel::deal_with(shared, &request).await;
            // Not before: from here on the client's next statement is safe.
            wire.close().await;
            return Ok(None);
        }
    };
    known.introduce(&introduced.startup, &live.directory);
    let is_console = console::is_meant(&introduced, &live.admins, &live.directory);
    if !comer.has_place {
        let error = LoginError::told(too_many_clients());
        return Err((Some(Box::new(introduced.wire)), error));
    }
    if is_console {
        console::welcome(introduced, comer.address, comer.control).await?;
        return Ok(None);
    }
    let peer = Peer {
        address: comer.address,
        throttle: &shared.throttle,
    };
    let authenticated = live
        .authenticator
        .authenticate(introduced, &live.directory, peer)
        .await?;
    known.prove(&authenticated.proven.principal);
    let door = Door {
        live: &live,
        shared,
        address: comer.address,
        local: comer.local,
        worker: comer.worker,
        draining: comer.draining,
        began: comer.began,
    };
    door.welcome(authenticated).await.map(Some)
}

fn too_many_clients() -> ClientError {
    ClientError::fatal("53300", "sorry, too many clients already")
        .hint("The administrator can raise listen.max_clients.")
}

fn too_many_of_address() -> ClientError {
    ClientError::fatal("53300", "too many logins of this address are in progress")
        .hint("Try again; the administrator can raise throttle.per_address.")
}
