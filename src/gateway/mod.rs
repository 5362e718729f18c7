//! The life of the process: listening, admitting clients, draining.

mod admit;
mod admitted;
mod balance;
mod cancel;
mod catalogs;
mod changes;
mod configured;
mod console;
mod control;
mod door;
mod drain;
mod expiry;
mod greeting;
mod guards;
mod health;
mod hosts;
mod known;
mod live;
mod places;
mod pulse;
mod reach;
mod replicas;
mod scrape;
mod seats;
mod shown;
mod sockets;
mod steer;
mod stop;
mod unix;
mod watchdog;
mod watched;
mod worker;

pub use changes::{Changes, Difference};
pub use console::{Asked, ChangeRequest, ConfigurationChange};
pub use control::Control;
pub use stop::{Stop, StopHandle};

use crate::admin::http::{Access, Http};
use crate::audit::Log;
use crate::config::Settings;
use crate::login::Throttle;
use crate::metrics::{History, Ledger};
use crate::peers::Receiver;
use crate::pool::Pools;
use crate::session::{Interner, Parsing, Registry};
use crate::transport::ClientAddress;
use arc_swap::ArcSwap;
use catalogs::Catalogs;
use console::Console;
use health::View;
use live::Live;
use places::Places;
use pulse::Pulse;
use seats::Seats;
use sockets::{Listener, Sockets};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use unix::LocalListener;
use worker::Workers;

/// So long at most it takes that clients who are not waited for any more are told so.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How often idle server connections are looked at.
const SWEEP: Duration = Duration::from_millis(250);
/// TLS handshakes at a time for clients beyond `listen.max_clients`.
const SPARE_HANDSHAKES: usize = 16;
/// The port in the name of the Unix-domain socket, where no address has one.
const DEFAULT_PORT: u16 = 6432;

/// A proxy that listens, and does not serve yet.
#[derive(Debug)]
pub struct Gateway {
    listeners: Vec<Listener>,
    local: Option<LocalListener>,
    http: Option<Http>,
    /// Of the console alone.
    consoles: Vec<Listener>,
    /// Of other replicas.
    peers: Vec<Listener>,
    shared: Arc<Shared>,
    control: Control,
    workers: usize,
}

/// What all clients share.
#[derive(Debug)]
struct Shared {
    /// What the settings make.
    live: ArcSwap<Live>,
    pools: Pools,
    catalogs: Arc<Catalogs>,
    registry: Arc<Registry>,
    audit: Log,
    interner: Arc<Interner>,
    parsing: Arc<Parsing>,
    places: Arc<Places>,
    /// TLS for those who have no place: it may be a request to cancel.
    spare_handshakes: Semaphore,
    /// What is known of failed logins.
    throttle: Arc<Throttle>,
    /// Places among the clients of a tenant.
    seats: Seats,
    /// Whom the address of `[admin]` lets in, if there is one.
    access: Option<watch::Sender<Arc<Access>>>,
    /// Of the workers, once they run.
    pulses: OnceLock<Vec<Arc<Pulse>>>,
    console: Console,
    /// What is counted.
    ledger: Arc<Ledger>,
    /// What was counted of late; only kept where there is a page to show it.
    history: History,
    /// When the process began to listen.
    begun: Instant,
}

impl Gateway {
    /// Listens on the addresses of the settings. What happens is recorded in `audit`.
    ///
    /// # Errors
    /// If one of them cannot be listened on; the message names it.
    pub async fn bind(mut settings: Settings, audit: Log) -> io::Result<Self> {
        let mut sockets = Sockets::new(settings.listen.reuse_port)?;
        let listeners = sockets.accept_on(&settings.listen.addresses)?;
        let port = listeners.first();
        let port = port.and_then(|first| first.socket.local_addr().ok());
        let port = port.map_or(DEFAULT_PORT, |address| address.port());
        let local = settings.listen.unix.as_ref();
        let local = local.map(|unix| LocalListener::bind(unix, port));
        let consoles = sockets.accept_on(&settings.admin.console)?;
        let peers = settings.listen.peer.as_ref();
        let peers = sockets.accept_on(peers.map_or(&[], |own| &own.addresses))?;
        let http = settings.admin.http.as_ref();
        let http = http.map_or(&[][..], |http| &http.addresses);
        let http = sockets.listen_on(http)?;
        sockets.all_used()?;
        let workers = settings.listen.workers;
        let shared = Arc::new(Shared::new(&mut settings, audit)?);
        let access = shared.access.as_ref().map(watch::Sender::subscribe);
        let http = access.map(|access| Http::new(http, access, shared.throttle.clone()));
        Ok(Self {
            listeners,
            local: local.transpose()?,
            http,
            consoles,
            peers,
            control: Control::new(shared.clone(), &settings),
            shared,
            workers,
        })
    }

    /// The addresses that are listened on.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners
            .iter()
            .filter_map(|l| l.socket.local_addr().ok())
            .collect()
    }

    /// The addresses on which there is nothing but the console.
    #[must_use]
    pub fn console_addresses(&self) -> Vec<SocketAddr> {
        let consoles = self.consoles.iter();
        consoles
            .filter_map(|l| l.socket.local_addr().ok())
            .collect()
    }

    /// The Unix-domain socket that is listened on.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.local.as_ref().map(LocalListener::path)
    }

    /// The addresses that are for other replicas.
    #[must_use]
    pub fn peer_addresses(&self) -> Vec<SocketAddr> {
        let peers = self.peers.iter();
        peers.filter_map(|l| l.socket.local_addr().ok()).collect()
    }

    /// The addresses of `[admin]`: metrics, health and the page.
    #[must_use]
    pub fn http_addresses(&self) -> Vec<SocketAddr> {
        self.http.as_ref().map_or_else(Vec::new, Http::addresses)
    }

    /// What changes it while it serves.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Serves clients until it is told to stop, and those that are in a
    /// transaction have ended it or been given the time to; or until it is closed and
    /// the last client has left.
    ///
    /// # Errors
    /// If a worker thread cannot be started.
    pub async fn serve(self, stop: Stop) -> io::Result<()> {
        let addresses = self.addresses();
        let Self {
            listeners,
            local,
            http,
            consoles,
            peers,
            shared,
            workers,
            control,
        } = self;
        let (workers, runtimes) = Workers::start(workers, &shared, &control, &stop)?;
        let administrators: Vec<_> = consoles
            .into_iter()
            .map(|listener| {
                let control = control.clone();
                let let_in = move |stream, address| console::let_in(stream, address, &control);
                tokio::spawn(listener.accept(std::future::pending(), let_in))
            })
            .collect();
        let receiver = Receiver::default();
        let replicas: Vec<_> = peers
            .into_iter()
            .map(|listener| {
                let (shared, receiver) = (shared.clone(), receiver.clone());
                let let_in =
                    move |stream, address| cancel::let_in(stream, address, &receiver, &shared);
                tokio::spawn(listener.accept(std::future::pending(), let_in))
            })
            .collect();
        let pulses = runtimes.iter().cloned().map(Pulse::new);
        let _ = shared.pulses.set(pulses.collect());
        let has_page = http.is_some();
        let noting = has_page.then(|| tokio::spawn(shown::follow(shared.clone())));
        // To the end: there is an answer while it drains.
        let _serving = match http {
            Some(http) => Some(http.start(View {
                shared: shared.clone(),
                control: control.clone(),
                addresses,
                stop: stop.clone(),
            })?),
            None => None,
        };
        let counting = tokio::spawn(console::follow(shared.clone()));
        let ending = tokio::spawn(control.end_unfit());
        let reach = tokio::spawn(reach::watch(shared.clone()));
        let hosts = tokio::spawn(hosts::watch(shared.clone()));
        let filler = tokio::spawn(fill(shared.clone(), runtimes.clone()));
        let balancer = tokio::spawn(balance::watch(shared.clone(), runtimes));
        let sweeper = tokio::spawn(sweep(shared.clone()));
        let watchdog = tokio::spawn(watchdog::watch(shared.clone()));
        let expiry = tokio::spawn(expiry::watch(shared.clone()));
        let reader = tokio::spawn(shared.catalogs.clone().follow());
        let mut accepting: Vec<_> = listeners
            .into_iter()
            .map(|listener| {
                let workers = workers.clone();
                let assign = move |stream: TcpStream, address: SocketAddr| {
                    workers.assign(stream.into(), address.into());
                };
                let stop = stop.clone();
                tokio::spawn(async move { listener.accept(stop.closing(), assign).await })
            })
            .collect();
        if let Some(local) = local {
            let workers = workers.clone();
            let assign = move |socket| workers.assign(socket, ClientAddress::Local);
            let (shared, stop) = (shared.clone(), stop.clone());
            accepting.push(tokio::spawn(async move {
                tokio::select! {
                    () = stop.closing() => {}
                    () = local.accept(shared, assign) => {}
                }
            }));
        }
        stop.closing().await;
        filler.abort();
        // Dropping the listeners makes the kernel refuse new clients.
        for task in accepting {
            let _ = task.await;
        }
        tokio::select! {
            () = stop.draining() => {}
            () = workers.left() => {}
        }
        tracing::info!(target: "pgtenant::gateway", clients = workers.clients(), "draining");
        let telling = tokio::spawn(drain::tell(shared.clone(), stop.flags().clone()));
        let drained = tokio::select! {
            biased;
            // First: it makes clients leave that would have stayed.
            () = stop.immediate() => false,
            () = workers.left() => true,
        };
        telling.abort();
        administrators.iter().for_each(JoinHandle::abort);
        replicas.iter().for_each(JoinHandle::abort);
        counting.abort();
        noting.inspect(JoinHandle::abort);
        sweeper.abort();
        watchdog.abort();
        expiry.abort();
        reach.abort();
        hosts.abort();
        reader.abort();
        ending.abort();
        balancer.abort();
        if drained {
            shared.pools.close().await;
        } else {
            shared.registry.wake();
            // Each tells its client.
            let _ = timeout(LAST_WORDS, workers.left()).await;
        }
        tracing::info!(target: "pgtenant::gateway", drained, "stopped");
        Ok(())
    }
}

impl Shared {
    fn new(settings: &mut Settings, audit: Log) -> io::Result<Self> {
        let catalogs = Catalogs::new(settings.servers.clone(), &settings.isolations);
        let live = Live::new(settings, None, &catalogs)?;
        let admin = &settings.admin;
        let access = admin.http.as_ref().map(|http| Access::new(http, admin));
        Ok(Self {
            catalogs,
            live: ArcSwap::from_pointee(live),
            pools: Pools::new(
                settings.servers.clone(),
                live::pool_settings(settings),
                settings.listen.workers,
            ),
            registry: Registry::new(
                audit.clone(),
                settings.listen.peer.as_ref().map(|own| own.id),
            ),
            audit,
            interner: Arc::default(),
            parsing: Arc::default(),
            places: Places::new(settings.listen.max_clients),
            spare_handshakes: Semaphore::new(SPARE_HANDSHAKES),
            throttle: Throttle::new(settings.throttle),
            seats: Seats::default(),
            access: access.map(|access| watch::Sender::new(Arc::new(access))),
            pulses: OnceLock::new(),
            console: Console::default(),
            ledger: Ledger::new(settings.listen.workers, settings.admin.series),
            history: History::default(),
            begun: Instant::now(),
        })
    }
}

/// Keeps connections ready for clients.
async fn fill(shared: Arc<Shared>, runtimes: balance::Runtimes) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        shared.pools.fill(&runtimes);
    }
}

async fn sweep(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        shared.pools.sweep();
        let live = shared.live.load();
        shared.registry.expire(live.end_within);
        if live.times_out {
            shared.registry.end_late();
        }
    }
}
