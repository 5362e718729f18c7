//! The console's listeners, its door, and what its commands do.

use super::{Control, Shared};
use crate::audit::{Event, Log};
use crate::config::{AdminLogin, AdminRole, Listen, PoolMode};
use crate::console::{
    self, ByDatabase, Command, DATABASES, Guest, Periods, Shutdown, Steered, Whom,
};
use crate::directory::Directory;
use crate::login::{
    Arrival, Arrived, AuthenticatedAdmin, Failed, InProgress, Introduced, LoginError, Peer,
    parameter,
};
use crate::metrics::Refused;
use crate::pool::{PoolView, Scope};
use crate::protocol::ClientError;
use crate::session::SessionView;
use crate::tenant::{LoginName, TenantId};
use crate::x509::Lifetime;
use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::{info, warn};

/// Most administrators at once, on whatever address.
const MOST: usize = 100;
/// Most of those who are logging in on the console's own addresses.
const MOST_LOGGING_IN: usize = 16;

/// What the process does when the console asks for it.
#[derive(Debug, Default)]
pub struct Asked {
    /// The configuration is to be read again; `None`: there is no file of it.
    pub reload: Option<Arc<Notify>>,
    /// The process is to end when transactions have ended.
    pub drain: Arc<Notify>,
    /// The process is to end now.
    pub stop: Arc<Notify>,
}

/// The console, as the gateway has it.
#[derive(Debug)]
pub(super) struct Console {
    places: Arc<Semaphore>,
    logging_in: Arc<Semaphore>,
    disabled: Mutex<HashSet<Scope>>,
    asked: OnceLock<Asked>,
    periods: Periods,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST)),
            logging_in: Arc::new(Semaphore::new(MOST_LOGGING_IN)),
            disabled: Mutex::default(),
            asked: OnceLock::new(),
            periods: Periods::default(),
        }
    }
}

impl Console {
    fn disabled(&self) -> MutexGuard<'_, HashSet<Scope>> {
        self.disabled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether new clients of this tenant or database are refused.
    pub(super) fn refuses(&self, tenant: &TenantId, database: &str) -> bool {
        self.disabled().iter().any(|scope| match scope {
            Scope::All => true,
            Scope::Database(name) => **name == *database,
            Scope::Tenant(id) => id == tenant,
        })
    }
}

impl Control {
    /// Says how the process learns what the console asks for.
    pub fn answer_to(&self, asked: Asked) {
        let _ = self.shared.console.asked.set(asked);
    }

    fn asked(&self) -> Result<&Asked, String> {
        let asked = self.shared.console.asked.get();
        asked.ok_or_else(|| "the process does not do that".to_owned())
    }

    /// Whom the words mean.
    fn scope(&self, whom: &Whom) -> Result<Scope, String> {
        match whom {
            Whom::All => Ok(Scope::All),
            Whom::Database(name) if DATABASES.contains(&name.as_str()) => Err(format!(
                "cannot do that with the console's database '{name}'"
            )),
            Whom::Database(name) => Ok(Scope::Database(name.as_str().into())),
            Whom::Tenant(id) => {
                let id = TenantId::parse(id);
                let known = self.directory().tenant(&id).is_some();
                known
                    .then_some(Scope::Tenant(id))
                    .ok_or_else(|| "no such tenant".to_owned())
            }
        }
    }

    /// The same, of databases as servers call them.
    fn placed(&self, whom: &Whom) -> Result<Vec<Scope>, String> {
        let Whom::Database(name) = whom else {
            return Ok(vec![self.scope(whom)?]);
        };
        self.scope(whom)?;
        let directory = self.directory();
        let having = directory
            .tenants()
            .filter(|tenant| tenant.has_database(name));
        let databases: HashSet<_> = having
            .map(|tenant| Scope::Database(tenant.placement.endpoint.database.clone()))
            .collect();
        match databases.is_empty() {
            true => Err(format!("no such database: {name}")),
            false => Ok(databases.into_iter().collect()),
        }
    }

    fn end(&self, scope: &Scope, name: Option<&str>) -> usize {
        self.shared.registry.end(|_, tenant, database| match scope {
            Scope::All => true,
            Scope::Database(_) => name == Some(database),
            Scope::Tenant(id) => id == tenant,
        })
    }
}

impl Steered for Control {
    fn role(&self, user: &LoginName) -> Option<AdminRole> {
        let live = self.shared.live.load();
        live.admins.get(user).map(|admin| admin.role)
    }

    fn sessions(&self) -> Vec<SessionView> {
        Self::sessions(self)
    }

    fn pools(&self) -> Vec<PoolView> {
        Self::pools(self)
    }

    fn directory(&self) -> Arc<Directory> {
        Self::directory(self)
    }

    fn counted(&self) -> ByDatabase {
        console::counted(&self.shared.ledger)
    }

    fn periods(&self) -> &Periods {
        &self.shared.console.periods
    }

    fn refusals(&self) -> Vec<Refused> {
        self.shared.ledger.refusals.latest()
    }

    fn audit(&self) -> &Log {
        Self::audit(self)
    }

    fn paused(&self) -> HashSet<Scope> {
        self.shared.pools.paused()
    }

    fn disabled(&self) -> HashSet<Scope> {
        self.shared.console.disabled().clone()
    }

    fn limits(&self) -> Vec<(&'static str, String, String)> {
        let live = self.shared.live.load();
        let Listen {
            max_clients,
            clients_per_tenant,
            login_timeout,
            ..
        } = &live.listen;
        let pool = self.shared.pools.settings();
        let seconds = |time: Duration| time.as_secs_f64().to_string();
        let mode = match pool.mode {
            PoolMode::Transaction => "transaction",
            PoolMode::Session => "session",
        };
        vec![
            ("max_client_conn", max_clients.to_string(), "10000".into()),
            (
                "max_user_client_connections",
                clients_per_tenant.to_string(),
                "1000".into(),
            ),
            (
                "max_user_connections",
                pool.size_per_tenant.to_string(),
                "0".into(),
            ),
            ("default_pool_size", pool.size.to_string(), "20".into()),
            ("pool_mode", mode.into(), "transaction".into()),
            (
                "query_wait_timeout",
                seconds(pool.wait_timeout),
                "30".into(),
            ),
            (
                "server_idle_timeout",
                seconds(pool.idle_timeout),
                "600".into(),
            ),
            (
                "server_lifetime",
                seconds(pool.connection_lifetime),
                "3600".into(),
            ),
            ("client_login_timeout", seconds(*login_timeout), "60".into()),
        ]
    }

    fn workers(&self) -> usize {
        self.workers_started()
    }

    fn certificates(&self) -> Vec<(String, String)> {
        let live = self.shared.live.load();
        let own = live.tls.certificates();
        let shown = own.and_then(|own| {
            let lifetime = Lifetime::of(&own.chain)?;
            Some((own.certificate.display().to_string(), lifetime.to_string()))
        });
        shown.into_iter().collect()
    }

    fn command(&self, command: &Command) -> Result<(), String> {
        let shared = &self.shared;
        match command {
            Command::Pause(whom) => {
                let mut is_new = false;
                for scope in self.placed(whom)? {
                    is_new |= shared.pools.pause(&scope);
                }
                if !is_new {
                    return Err("already paused".to_owned());
                }
            }
            Command::Resume(whom) => {
                let mut was_paused = false;
                for scope in self.placed(whom)? {
                    was_paused |= shared.pools.resume(&scope);
                }
                if !was_paused {
                    return Err("not paused".to_owned());
                }
            }
            Command::Disable(whom) => {
                shared.console.disabled().insert(self.scope(whom)?);
            }
            Command::Enable(whom) => {
                shared.console.disabled().remove(&self.scope(whom)?);
            }
            Command::Kill(whom @ Whom::Database(name)) => {
                for scope in self.placed(whom)? {
                    shared.pools.pause(&scope);
                }
                self.end(&self.scope(whom)?, Some(name));
            }
            Command::Kill(whom) => {
                self.end(&self.scope(whom)?, None);
            }
            Command::KillClient(id) => {
                if shared.registry.end(|pid, _, _| pid == *id) == 0 {
                    return Err("client not found".to_owned());
                }
            }
            Command::Reconnect => shared.pools.renew(),
            Command::WaitClose => {}
            Command::Reload => match &self.asked()?.reload {
                Some(reload) => reload.notify_one(),
                None => return Err("there is no configuration file".to_owned()),
            },
            Command::Shutdown(Shutdown::Now) => self.asked()?.stop.notify_one(),
            Command::Shutdown(Shutdown::Drain) => self.asked()?.drain.notify_one(),
        }
        Ok(())
    }

    fn is_done(&self, command: &Command) -> bool {
        let pools = &self.shared.pools;
        match command {
            // Or somebody has resumed it.
            Command::Pause(whom) => self
                .placed(whom)
                .unwrap_or_default()
                .iter()
                .all(|scope| pools.is_quiet(scope) || !pools.paused().contains(scope)),
            Command::WaitClose => pools.is_renewed(),
            _ => true,
        }
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

/// Accepts administrators on an address that is the console's alone.
pub(super) async fn accept(listener: TcpListener, control: Control) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let logging_in = control.shared.console.logging_in.clone();
                // Dropping the stream closes it.
                if let Ok(turn) = logging_in.try_acquire_owned() {
                    tokio::spawn(arrive(stream, address, control.clone(), turn));
                }
            }
            Err(error) => {
                warn!(target: "pgtenant::gateway", %error, "cannot accept an administrator");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn arrive(
    stream: TcpStream,
    address: SocketAddr,
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
    address: SocketAddr,
    shared: &Arc<Shared>,
    _progress: InProgress,
) -> Result<Entered, Failed> {
    let live = shared.live.load_full();
    let deadline = Instant::now() + live.listen.login_timeout;
    let arrived = Arrived::new(stream, deadline);
    match arrived.introduce(&live.tls, None).await? {
        Arrival::Client(introduced) => log_in(introduced, address, shared).await.map(Some),
        Arrival::Cancel(request, wire) => {
            shared.registry.cancel(&request).await;
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
    address: SocketAddr,
    shared: &Arc<Shared>,
) -> Result<(Guest, OwnedSemaphorePermit), Failed> {
    let live = shared.live.load_full();
    let peer = Peer {
        address: address.ip(),
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
    shared.audit.record(&Event::AdminLogin {
        user: user.as_str(),
        address,
        method,
    });
    let (transport, input) = wire.into_parts();
    let guest = Guest {
        transport,
        input,
        answer,
        user,
        address,
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
    address: SocketAddr,
    control: Control,
) -> Result<(), Failed> {
    let (guest, place) = log_in(introduced, address, &control.shared).await?;
    tokio::spawn(serve(guest, place, control));
    Ok(())
}
