//! One client from its arrival to its end.

use super::Shared;
use super::seats::Seat;
use crate::binding::{AttachError, OwnSettings, attach};
use crate::guard::Guard;
use crate::login::{
    Arrival, Arrived, Authenticated, Failed, InProgress, LoginError, Peer, settings_of,
};
use crate::pool::{Greeting, GreetingKey, Pool};
use crate::session::{Client, End, Parts, Session};
use crate::tenant::{IsolationName, Principal};
use crate::transport;
use crate::wire::ClientError;
use crate::wire::backend::{self, TransactionStatus};
use crate::wire::startup::Startup;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::{Span, error_span, info, warn};

type Guards = Arc<HashMap<IsolationName, Arc<Guard>>>;

/// Lets a client in, if it may, and serves it to its end.
pub(super) async fn admit(
    stream: TcpStream,
    address: SocketAddr,
    has_place: bool,
    progress: Option<InProgress>,
    shared: Arc<Shared>,
    guards: Guards,
    draining: Arc<AtomicBool>,
) {
    if transport::tune(&stream).is_err() {
        return;
    }
    let Some(progress) = progress else {
        let arrived = Arrived::new(stream, Instant::now() + shared.login_timeout);
        let error = LoginError::told(too_many_of_address());
        refused(address, &error);
        Box::pin(arrived.turn_away(&error)).await;
        return;
    };
    // Boxed: what a login needs is gone once it is over.
    let login = Box::pin(log_in(
        stream, address, has_place, &shared, &guards, draining,
    ));
    let outcome = login.await;
    drop(progress);
    let session = match outcome {
        Ok(Some(session)) => session,
        Ok(None) => return,
        Err((wire, error)) => {
            refused(address, &error);
            if let Some(wire) = wire {
                Box::pin(wire.refuse(&error)).await;
            }
            return;
        }
    };
    let Admitted {
        session,
        span,
        seat,
    } = session;
    let end = Box::pin(session.serve()).await;
    drop(seat);
    match &end {
        End::Failed(error) => {
            warn!(target: "pgtenant::audit", parent: &span, event = "session_failed", reason = %error);
        }
        End::ServerGone(error) => {
            warn!(target: "pgtenant::server", parent: &span, %error, "the server connection is gone");
        }
        End::Terminated | End::ClientGone(_) | End::ServerEnded | End::Stopped | End::Ordered => {}
    }
    info!(target: "pgtenant::audit", parent: &span, event = "logout", reason = %end);
}

fn refused(address: SocketAddr, error: &LoginError) {
    warn!(target: "pgtenant::audit", event = "login_refused", client = %address, reason = %error);
}

struct Admitted {
    session: Box<Session>,
    span: Span,
    seat: Seat,
}

async fn log_in(
    stream: TcpStream,
    address: SocketAddr,
    has_place: bool,
    shared: &Arc<Shared>,
    guards: &Guards,
    draining: Arc<AtomicBool>,
) -> Result<Option<Admitted>, Failed> {
    let deadline = Instant::now() + shared.login_timeout;
    let arrived = Arrived::new(stream, deadline);
    // A handshake costs more than all else: for those who will be refused there
    // are only so many, which leaves requests to cancel a way in.
    let spare = match has_place {
        true => None,
        false => shared.spare_handshakes.try_acquire().ok(),
    };
    let refused = (!has_place && spare.is_none()).then(too_many_clients);
    let introduced = match arrived.introduce(&shared.tls, refused).await? {
        Arrival::Client(introduced) => introduced,
        Arrival::Cancel(request) => {
            shared.registry.cancel(&request).await;
            return Ok(None);
        }
    };
    if !has_place {
        let error = LoginError::told(too_many_clients());
        return Err((Some(Box::new(introduced.wire)), error));
    }
    let peer = Peer {
        address: address.ip(),
        throttle: &shared.throttle,
    };
    let authenticated = shared
        .authenticator
        .authenticate(introduced, &shared.directory, peer)
        .await?;
    welcome(authenticated, address, shared, guards, draining)
        .await
        .map(Some)
}

/// Tells an authenticated client that it is in, and what it needs to know.
async fn welcome(
    authenticated: Authenticated,
    address: SocketAddr,
    shared: &Arc<Shared>,
    guards: &Guards,
    draining: Arc<AtomicBool>,
) -> Result<Admitted, Failed> {
    let Authenticated {
        mut wire,
        startup,
        principal,
        answer,
        ..
    } = authenticated;
    // Of the highest level, so that no filter takes it from the events in it.
    let span = error_span!(
        target: "pgtenant::client",
        "client",
        login = %principal.login,
        tenant = %principal.tenant.id,
        client = %address,
    );
    // The credential holds: whatever fails from here on follows that answer.
    let outcome = match shared.seats.take(&principal.tenant.id) {
        Some(seat) => prepare_session(&startup, &principal, shared, guards)
            .await
            .map(|prepared| (prepared, seat)),
        None => Err(too_many_of_tenant()),
    };
    let (prepared, seat) = match outcome {
        Ok(prepared) => prepared,
        Err(error) => {
            let error = LoginError::told(error);
            return match wire.send(&answer).await {
                Ok(()) => Err((Some(Box::new(wire)), error)),
                Err(lost) => Err((None, lost)),
            };
        }
    };
    let Prepared {
        pool,
        guard,
        own,
        greeting,
    } = prepared;
    let secret_len = if startup.minor >= 2 {
        LONG_SECRET
    } else {
        SHORT_SECRET
    };
    let registration = match shared.registry.register(&principal, &pool, secret_len) {
        Ok(registration) => registration,
        Err(error) => {
            let reason = error.to_string();
            let error = ClientError::fatal("XX000", "no randomness for a cancellation key");
            return Err((
                Some(Box::new(wire)),
                LoginError::Refused {
                    error: Box::new(error),
                    reason,
                },
            ));
        }
    };
    let mut out = answer;
    for (name, value) in greeting.parameters.iter() {
        backend::write_parameter_status(&mut out, name, value);
    }
    backend::write_backend_key_data(&mut out, registration.pid(), registration.secret());
    backend::ready_for_query(&mut out, TransactionStatus::Idle);
    if let Err(lost) = wire.send(&out).await {
        return Err((None, lost));
    }
    let (transport, input) = wire.into_parts();
    info!(target: "pgtenant::audit", parent: &span, event = "login", tls = transport.is_tls());
    // Boxed: what holds it while it is passed on should be small.
    let session = Box::new(Session::new(Parts {
        client: Client::new(transport, input),
        principal,
        pool,
        guard,
        interner: shared.interner.clone(),
        registration,
        startup: own,
        draining,
        span: span.clone(),
    }));
    Ok(Admitted {
        session,
        span,
        seat,
    })
}

fn too_many_clients() -> ClientError {
    ClientError::fatal("53300", "sorry, too many clients already")
        .hint("The administrator can raise listen.max_clients.")
}

fn too_many_of_address() -> ClientError {
    ClientError::fatal("53300", "too many logins of this address are in progress")
        .hint("Try again; the administrator can raise throttle.per_address.")
}

fn too_many_of_tenant() -> ClientError {
    ClientError::fatal("53300", "sorry, too many clients of this tenant already")
        .hint("The administrator can raise listen.clients_per_tenant.")
}

/// Bytes of a cancellation key from protocol 3.2 on, as PostgreSQL 18 has it.
const LONG_SECRET: usize = 32;
/// Bytes of a cancellation key before.
const SHORT_SECRET: usize = 4;

struct Prepared {
    pool: Arc<Pool>,
    guard: Arc<Guard>,
    own: OwnSettings,
    greeting: Arc<Greeting>,
}

async fn prepare_session(
    startup: &Startup,
    principal: &Principal,
    shared: &Shared,
    guards: &Guards,
) -> Result<Prepared, ClientError> {
    let tenant = &principal.tenant;
    let endpoint = &tenant.placement.endpoint;
    let asked = startup
        .parameters
        .iter()
        .find(|(name, _)| name == "database");
    if let Some((_, asked)) = asked
        && !asked.is_empty()
        && **asked != *endpoint.database
    {
        return Err(
            ClientError::fatal("3D000", format!("database \"{asked}\" does not exist")).hint(
                format!("This login is for the database \"{}\".", endpoint.database),
            ),
        );
    }
    let unknown = || ClientError::fatal("XX000", "the tenant's isolation is not configured");
    let guard = guards.get(&tenant.isolation).ok_or_else(unknown)?.clone();
    let own = settings_of(startup, &guard)?;
    let pool = shared.pools.get(endpoint).ok_or_else(unknown)?;
    let greeting = greeting(&pool, principal, &own).await?;
    Ok(Prepared {
        pool,
        guard,
        own: greeting.own.clone(),
        greeting,
    })
}

/// What the server reports at login under these settings: known from an earlier
/// login, or asked for.
async fn greeting(
    pool: &Arc<Pool>,
    principal: &Principal,
    own: &OwnSettings,
) -> Result<Arc<Greeting>, ClientError> {
    let tenant = &principal.tenant;
    let key = GreetingKey::new(&tenant.placement, own);
    if let Some(known) = pool.greeting(&key) {
        return Ok(known);
    }
    let (taken, slot) = pool
        .checkout(tenant)
        .await
        .map_err(|error| error.to_client())?;
    let attaching = attach(taken, tenant, own);
    match attaching.confirm(TransactionStatus::Idle, |_| {}).await {
        Ok(connection) => {
            let greeting = Arc::new(Greeting {
                own: own.clone(),
                parameters: connection.parameters().clone(),
            });
            pool.remember_greeting(key, greeting.clone());
            slot.give_back(connection);
            Ok(greeting)
        }
        Err(AttachError::OwnSetting {
            report, connection, ..
        }) => {
            slot.give_back(*connection);
            Err(ClientError::fatal("22023", report.message))
        }
        Err(error) => {
            warn!(target: "pgtenant::server", tenant = %tenant.id, %error, "cannot attach the tenant");
            Err(ClientError::fatal(
                "08006",
                "the tenant could not be attached to the server connection",
            )
            .hint("The log of pgtenant has the reason."))
        }
    }
}
