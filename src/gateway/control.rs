//! Changing the running proxy.

use super::Shared;
use super::changes::Changes;
use super::expiry;
use super::live::{Live, pool_settings};
use crate::admin::http::Access;
use crate::config::{Admin, AdminHttp, Listen, Log, OwnPeer, PoolMode, Settings, Values};
use crate::directory::Directory;
use crate::pool::{PoolView, Scope};
use crate::session::SessionView;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Changes what a running proxy goes by, without dropping a client.
#[derive(Debug, Clone)]
pub struct Control {
    pub(super) shared: Arc<Shared>,
    /// What the process was started with and cannot change.
    started: Arc<Started>,
    /// One change at a time; with what the last one has led to.
    turn: Arc<Mutex<Values>>,
}

/// What needs a restart to change.
#[derive(Debug)]
struct Started {
    listen: Listen,
    mode: PoolMode,
    log: Log,
    http: Option<AdminHttp>,
    console: Vec<SocketAddr>,
    /// What the audit log is written to, if there is one.
    audit: Option<Option<PathBuf>>,
}

impl Control {
    pub(super) fn new(shared: Arc<Shared>, settings: &Settings) -> Self {
        Self {
            shared,
            started: Arc::new(Started {
                listen: settings.listen.clone(),
                mode: settings.pool.mode,
                log: settings.log.clone(),
                http: settings.admin.http.clone(),
                console: settings.admin.console.clone(),
                audit: audit_path(settings),
            }),
            turn: Arc::new(Mutex::new(settings.values.clone())),
        }
    }

    /// Goes by other settings from now on: new clients at once, sessions from
    /// their next transaction on. Returns the keys whose new values wait for a
    /// restart, and what has changed.
    ///
    /// # Errors
    /// If the system has no randomness; then nothing has changed.
    pub fn reload(&self, mut settings: Settings) -> io::Result<(Vec<&'static str>, Changes)> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = self.started.differing(&settings);
        settings.listen.workers = self.started.listen.workers;
        settings.pool.mode = self.started.mode;
        // The keys of the sessions that there are name the replica.
        settings.listen.peer = match (settings.listen.peer, self.started.peer_id()) {
            (Some(peer), Some(id)) => Some(OwnPeer { id, ..peer }),
            _ => self.started.listen.peer.clone(),
        };
        if let Some(id) = self.started.peer_id() {
            settings.peers.remove(&id);
        }
        let before = self.shared.live.load_full();
        let mut live = Live::new(&mut settings, Some(&before), &self.shared.catalogs)?;
        Arc::make_mut(&mut live.directory).keep_unchanged(&before.directory);
        let mut keys = turn.differing(&settings.values);
        keys.retain(|key| !waits(key));
        let changes = Changes {
            keys,
            ..Changes::of_directory(&before.directory, &live.directory)
        };
        *turn = std::mem::take(&mut settings.values);
        self.shared.places.set_most(live.listen.max_clients);
        self.shared.ledger.set_most(settings.admin.series);
        self.shared.throttle.configure(settings.throttle);
        if let Some(audit) = &settings.audit {
            self.shared.audit.go_by(audit.options.clone());
        }
        let catalogs = &self.shared.catalogs;
        catalogs.replace(settings.servers.clone(), &settings.isolations);
        let pool = pool_settings(&settings);
        let retired = self.shared.pools.replace(settings.servers, pool);
        self.let_in(&settings.admin);
        expiry::tell(&live.certificate_files);
        self.go_by(live);
        // Everybody has been told of the new ones.
        for pool in retired {
            pool.retire();
        }
        Ok((waiting, changes))
    }

    /// How many workers serve clients.
    pub(super) fn workers_started(&self) -> usize {
        self.started.listen.workers
    }

    /// Where clients are accepted, as it was configured at the start.
    pub(super) fn addresses_started(&self) -> &[SocketAddr] {
        &self.started.listen.addresses
    }

    /// The sessions there are.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionView> {
        self.shared.registry.sessions()
    }

    /// The pools there are, with their server connections.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolView> {
        self.shared.pools.views()
    }

    /// The directory in force.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.shared.live.load().directory.clone()
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> &crate::audit::Log {
        &self.shared.audit
    }

    /// Replaces every server connection, each as soon as nobody uses it.
    pub fn renew_connections(&self) {
        self.shared.pools.renew(&Scope::All);
    }

    /// Lets those read and steer from now on whom `admin` names.
    fn let_in(&self, admin: &Admin) {
        // Without `admin.address` the old one holds until a restart.
        let http = admin.http.as_ref().or(self.started.http.as_ref());
        if let (Some(access), Some(http)) = (&self.shared.access, http) {
            access.send_replace(Arc::new(Access::new(http, admin)));
        }
    }

    /// Whether every worker gets on with its work.
    pub async fn is_alive(&self) -> bool {
        self.shared
            .liveness()
            .await
            .iter()
            .all(|check| check.passes)
    }

    /// Goes by another directory from now on. Returns what has changed.
    pub fn replace_directory(&self, mut directory: Directory) -> Changes {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut live = Live::clone(&self.shared.live.load());
        directory.keep_unchanged(&live.directory);
        let changes = Changes::of_directory(&live.directory, &directory);
        live.times_out |= directory.times_out();
        live.directory = Arc::new(directory);
        self.go_by(live);
        changes
    }

    /// Ends the sessions of tenants that cannot be served any more, as soon as that is
    /// found; for ever.
    pub(super) async fn end_unfit(self) {
        loop {
            self.shared.catalogs.changed().await;
            let control = self.clone();
            let work = move || {
                let _turn = control.turn.lock().unwrap_or_else(PoisonError::into_inner);
                let live = control.shared.live.load_full();
                let pools = &control.shared.pools;
                let registry = &control.shared.registry;
                registry.survey(|member| live.order(member, pools));
            };
            let _ = tokio::task::spawn_blocking(work).await;
        }
    }

    fn go_by(&self, live: Live) {
        let live = Arc::new(live);
        self.shared.live.store(live.clone());
        let pools = &self.shared.pools;
        self.shared
            .registry
            .survey(|member| live.order(member, pools));
    }
}

/// The keys that need a restart to change, or whose whole section does.
const WAITING: [&str; 15] = [
    "listen.address",
    "listen.workers",
    "listen.drain_timeout",
    "listen.drain_delay",
    "listen.drain_spread",
    "listen.reuse_port",
    "listen.peer_id",
    "listen.peer_address",
    "listen.unix",
    "listen.unix_mode",
    "pool.mode",
    "log",
    "admin.address",
    "admin.console",
    "audit.file",
];

fn audit_path(settings: &Settings) -> Option<Option<PathBuf>> {
    let audit = settings.audit.as_ref();
    audit.map(|audit| audit.options.path.clone())
}

/// Whether the key needs a restart to change.
fn waits(key: &str) -> bool {
    let section = key.split_once('.').map(|(section, _)| section);
    WAITING.contains(&key) || section.is_some_and(|section| WAITING.contains(&section))
}

fn addresses_of(http: &Option<AdminHttp>) -> &[SocketAddr] {
    http.as_ref().map_or(&[], |http| &http.addresses)
}

impl Started {
    fn peer_id(&self) -> Option<u8> {
        self.listen.peer.as_ref().map(|own| own.id)
    }

    fn peer_addresses(&self) -> Option<&[SocketAddr]> {
        let own = self.listen.peer.as_ref();
        own.map(|own| &*own.addresses)
    }

    /// The keys that differ and cannot be changed.
    fn differing(&self, settings: &Settings) -> Vec<&'static str> {
        // What is not named here is read from the settings in force.
        let Listen {
            addresses,
            workers,
            drain_timeout,
            drain_delay,
            drain_spread,
            reuse_port,
            max_clients: _,
            clients_per_tenant: _,
            login_timeout: _,
            max_statement: _,
            timeouts: _,
            proxy_protocol: _,
            peer,
            unix,
        } = &settings.listen;
        let (own, unix) = (self.listen.unix.as_ref(), unix.as_ref());
        let differs = [
            self.listen.addresses != *addresses,
            self.listen.workers != *workers,
            self.listen.drain_timeout != *drain_timeout,
            self.listen.drain_delay != *drain_delay,
            self.listen.drain_spread != *drain_spread,
            self.listen.reuse_port != *reuse_port,
            self.peer_id() != peer.as_ref().map(|own| own.id),
            self.peer_addresses() != peer.as_ref().map(|own| &*own.addresses),
            own.map(|own| &own.folder) != unix.map(|unix| &unix.folder),
            own.map(|own| own.mode) != unix.map(|unix| unix.mode),
            self.mode != settings.pool.mode,
            self.log != settings.log,
            addresses_of(&self.http) != addresses_of(&settings.admin.http),
            self.console != settings.admin.console,
            self.audit != audit_path(settings),
        ];
        let keys = WAITING.into_iter().zip(differs);
        keys.filter_map(|(key, differs)| differs.then_some(key))
            .collect()
    }
}
