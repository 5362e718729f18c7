//! The console's listeners, its door, and what its commands do.

use super::door::unrecorded;
use super::{Control, Shared, cancel};
use crate::admin::page::Checkup;
use crate::audit::Event;
use crate::config::AdminLogin;
use crate::console::{self, Administrator, Administrators, DATABASES, Guest, Periods};
use crate::directory::Directory;
use crate::login::{
    Arrival, Arrived, AuthenticatedAdmin, Failed, InProgress, Introduced, LoginError, Peer,
    parameter,
};
use crate::pool::Scope;
use crate::protocol::ClientError;
use crate::tenant::{LoginName, TenantId};
use crate::transport::ClientAddress;
use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tracing::{info, warn};

/// Most administrators at once, on whatever address.
const MOST: usize = 100;
/// Most of those who are logging in on the console's own addresses.
const MOST_LOGGING_IN: usize = 16;

/// What the process does when the console asks for it.
#[derive(Debug, Default)]
pub struct Asked {
    /// What changes the configuration; `None`: there is no file of it.
    pub changes: Option<mpsc::Sender<ChangeRequest>>,
    /// The process is to end when all clients have left.
    pub close: Arc<Notify>,
    /// What `pgtenant check` does; `None`: there is no file of it.
    pub checkup: Option<Checkup>,
    /// The process is to end when transactions have ended.
    pub drain: Arc<Notify>,
    /// The process is to end now.
    pub stop: Arc<Notify>,
}

/// What becomes of the configuration.
#[derive(Debug)]
pub enum ConfigurationChange {
    /// It is read again, as at SIGHUP.
    Reload,
    /// Until then a key, such as `pool.size`, has this value.
    Set(&'static str, String),
}

/// A change, and whoever is told what has come of it.
#[derive(Debug)]
pub struct ChangeRequest {
    /// What is to change.
    pub change: ConfigurationChange,
    /// Is told once it has, or why it has not.
    pub done: oneshot::Sender<Result<(), String>>,
}

impl Asked {
    /// Asks for a change of the configuration.
    pub(super) fn change(
        &self,
        change: ConfigurationChange,
    ) -> Result<oneshot::Receiver<Result<(), String>>, String> {
        let Some(changes) = &self.changes else {
            return Err("there is no configuration file".to_owned());
        };
        let (done, outcome) = oneshot::channel();
        let sent = changes.try_send(ChangeRequest { change, done });
        sent.map_err(|_| "too many changes are being made, try again".to_owned())?;
        Ok(outcome)
    }
}

/// The console, as the gateway has it.
#[derive(Debug)]
pub(super) struct Console {
    places: Arc<Semaphore>,
    logging_in: Arc<Semaphore>,
    disabled: Mutex<HashSet<Scope>>,
    pub(super) administrators: Arc<Administrators>,
    /// The pause of everybody began with SUSPEND.
    pub(super) suspended: AtomicBool,
    pub(super) asked: OnceLock<Asked>,
    pub(super) periods: Periods,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST)),
            logging_in: Arc::new(Semaphore::new(MOST_LOGGING_IN)),
            disabled: Mutex::default(),
            administrators: Arc::default(),
            suspended: AtomicBool::new(false),
            asked: OnceLock::new(),
            periods: Periods::default(),
        }
    }
}

impl Console {
    /// What nobody can log in to.
    pub(super) fn disabled(&self) -> MutexGuard<'_, HashSet<Scope>> {
        self.disabled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether new clients of this tenant or database are refused.
    pub(super) fn refuses(&self, tenant: &TenantId, database: &str) -> bool {
        let is_tenants = |scope: &Scope| matches!(scope, Scope::Tenant(id) if id == tenant);
        let disabled = self.disabled();
        disabled
            .iter()
            .any(|scope| scope.has_database(database) || is_tenants(scope))
    }
}

/// Takes note of what is counted, at the end of each period of averages.
pub(super) async fn follow(shared: Arc<Shared>) {
    let mut periods = tokio::time::interval(console::PERIOD);
    loop {
        periods.tick().await;
        shared.console.periods.end(console::counted(&shared.ledger));
    }
}

/// Lets an administrator in who has come to an address that is the console's alone, if
/// not too many are logging in.
pub(super) fn let_in(stream: TcpStream, address: SocketAddr, control: &Control) {
    let logging_in = control.shared.console.logging_in.clone();
    // Dropping the stream closes it.
    if let Ok(turn) = logging_in.try_acquire_owned() {
        tokio::spawn(arrive(stream, address.into(), control.clone(), turn));
    }
}

async fn arrive(
    stream: TcpStream,
    address: ClientAddress,
    control: Control,
    turn: OwnedSemaphorePermit,
) {
    let shared = control.shared.clone();
    let Some(progress) = shared.throttle.arrive(address.ip()) else {
        return;
    };
    let outcome = Box::pin(introduce(stream, address, &shared, progress)).await;
    drop(turn);
    match outcome {
        Ok(Some((guest, place))) => serve(guest, place, control).await,
        Ok(None) => {}
        Err((wire, error)) => {
            warn!(target: "pgtenant::audit", event = "admin_refused", client = %address, reason = %error);
            shared.audit.record(&Event::AdminRefused {
                address,
                reason: &error.to_string(),
            });
            if let Some(wire) = wire {
                Box::pin(wire.refuse(&error)).await;
            }
        }
    }
}

type Entered = Option<(Guest, OwnedSemaphorePermit)>;

async fn introduce(
    stream: TcpStream,
    address: ClientAddress,
    shared: &Arc<Shared>,
    _progress: InProgress,
) -> Result<Entered, Failed> {
    let live = shared.live.load_full();
    let deadline = Instant::now() + live.listen.login_timeout;
    let arrived = Arrived::new(stream, deadline);
    match arrived.introduce(&live.tls, None).await? {
        Arrival::Client(introduced) => log_in(introduced, address, shared).await.map(Some),
        Arrival::Cancel(request, wire) => {
            cancel::deal_with(shared, &request).await;
            wire.close().await;
            Ok(None)
        }
    }
}

/// Whether somebody who comes to the tenants' listeners means the console. A login of
/// a tenant's whose own database is called so does not.
pub(super) fn is_meant(
    introduced: &Introduced,
    admins: &BTreeMap<LoginName, AdminLogin>,
    directory: &Directory,
) -> bool {
    let database = parameter(&introduced.startup, "database").unwrap_or_default();
    let user = parameter(&introduced.startup, "user").unwrap_or_default();
    let is_tenants = || {
        let login = directory.find(user);
        login.is_some_and(|login| login.principal.tenant.has_database(database))
    };
    DATABASES.contains(&database) && admins.contains_key(user) && !is_tenants()
}

/// Lets an administrator in, who has said who it is.
async fn log_in(
    introduced: Introduced,
    address: ClientAddress,
    shared: &Arc<Shared>,
) -> Result<(Guest, OwnedSemaphorePermit), Failed> {
    let live = shared.live.load_full();
    let peer = Peer {
        address,
        throttle: &shared.throttle,
    };
    let usual = live.directory.usual_secret();
    let authenticator = &live.authenticator;
    let proven = authenticator.authenticate_admin(introduced, &live.admins, usual, peer);
    let AuthenticatedAdmin {
        mut wire,
        startup,
        user,
        answer,
        method,
    } = proven.await?;
    let database = parameter(&startup, "database").unwrap_or_default();
    let place = match shared.console.places.clone().try_acquire_owned() {
        Ok(place) if DATABASES.contains(&database) => Ok(place),
        Ok(_) => Err(
            ClientError::fatal("3D000", "the database is not the console's")
                .hint("Ask for the database pgtenant."),
        ),
        Err(_) => Err(ClientError::fatal(
            "53300",
            "too many administrators already",
        )),
    };
    let place = match place {
        Ok(place) => place,
        Err(error) => {
            return match wire.send(&answer).await {
                Ok(()) => Err((Some(Box::new(wire)), LoginError::told(error))),
                Err(lost) => Err((None, lost)),
            };
        }
    };
    info!(target: "pgtenant::audit", event = "admin_login", user = %user, client = %address, method, tls = wire.tls().is_some());
    let login = Event::AdminLogin {
        user: user.as_str(),
        address,
        method,
    };
    if shared.audit.settle(&login).await.is_err() {
        return Err((Some(Box::new(wire)), LoginError::told(unrecorded())));
    }
    let now = SystemTime::now();
    let administrator = Administrator {
        user: user.clone(),
        database: database.into(),
        address,
        local: wire.local_addr(),
        connected: now,
        asked: now,
        application: parameter(&startup, "application_name")
            .unwrap_or_default()
            .into(),
        tls: wire.tls(),
    };
    let presence = shared.console.administrators.enter(administrator);
    let (transport, input) = wire.into_parts();
    let guest = Guest {
        transport,
        input,
        answer,
        user,
        address,
        presence,
    };
    Ok((guest, place))
}

/// Serves an administrator to its end.
async fn serve(guest: Guest, place: OwnedSemaphorePermit, control: Control) {
    // What breaks is the administrator's connection alone.
    let _ = console::serve(guest, &control).await;
    drop(place);
}

/// Lets somebody in who came to the tenants' listeners; it takes no client's place.
pub(super) async fn welcome(
    introduced: Introduced,
    address: ClientAddress,
    control: Control,
) -> Result<(), Failed> {
    let (guest, place) = log_in(introduced, address, &control.shared).await?;
    tokio::spawn(serve(guest, place, control));
    Ok(())
}
