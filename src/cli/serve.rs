//! Serving clients until the process is told to stop; `run` and `demo` share it.

use super::reload::Sources;
use super::service::{self, Moment};
use super::{Failure, check, runtime};
use pgtenant::audit::{self, Log};
use pgtenant::config::{Listen, Settings};
use pgtenant::console::{Command, Steered as _, Whom};
use pgtenant::gateway::{Asked, Control, Gateway, Stop, StopHandle};
use pgtenant::observe::RunningLog;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc};

/// How long running transactions get after SIGINT.
const SHORT_DRAIN: Duration = Duration::from_secs(2);

/// Most changes of the configuration that wait for their turn.
const MOST_CHANGES: usize = 8;

/// What SIGHUP means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hangup {
    /// The configuration file has changed: go by it.
    Reload,
    /// The end of the terminal; the same as SIGINT.
    #[cfg(feature = "demo")]
    Stop,
}

/// What can be connected to.
#[derive(Debug)]
pub(super) struct Listening {
    /// Where clients connect.
    pub(super) clients: Vec<SocketAddr>,
    /// Where there are metrics, health and the page.
    #[cfg(feature = "demo")]
    pub(super) http: Vec<SocketAddr>,
    pub(super) tenants: usize,
    pub(super) logins: usize,
}

/// Serves clients by the settings of `file` until a signal tells to stop. `ready` is
/// called once clients can connect; when it fails, nothing is served.
pub(super) fn serve(
    mut settings: Settings,
    file: &Path,
    log: &RunningLog,
    hangup: Hangup,
    ready: impl FnOnce(&Listening) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let runtime = runtime()?;
    let served = runtime.block_on(async {
        let signals = StopSignals::install()
            .map_err(|error| Failure::run(format!("cannot handle signals: {error}")))?;
        let drain = Drain::of(&settings.listen);
        let sources = match hangup {
            Hangup::Reload => Some(Sources::new(file.to_owned(), &mut settings).await),
            #[cfg(feature = "demo")]
            Hangup::Stop => None,
        };
        let directory = &settings.directory;
        let (tenants, logins) = (directory.tenants().count(), directory.len());
        let (audit, _running) = start_audit(&settings)?;
        let gateway = Gateway::bind(settings, audit.clone())
            .await
            .map_err(|error| Failure::run(format!("cannot listen on {error}")))?;
        ready(&Listening {
            clients: gateway.addresses(),
            #[cfg(feature = "demo")]
            http: gateway.http_addresses(),
            tenants,
            logins,
        })?;
        for address in gateway.console_addresses() {
            tracing::info!(%address, "console");
        }
        if let Some(socket) = gateway.socket() {
            tracing::info!(socket = %socket.display(), "listening");
        }
        for address in gateway.peer_addresses() {
            tracing::info!(%address, "peers");
        }
        service::tell(Moment::Ready).await;
        tokio::spawn(log.report_dropped());
        let (handle, stop) = Stop::new();
        let control = gateway.control();
        let (changes, requests) = mpsc::channel(MOST_CHANGES);
        let reload = sources.map(|sources| {
            let reload = Arc::new(Notify::new());
            tokio::spawn(sources.follow(control.clone(), reload.clone(), requests));
            reload
        });
        let asked = Asked {
            changes: reload.is_some().then_some(changes),
            checkup: Some(check::on_request(file.to_owned())),
            ..Asked::default()
        };
        let (draining, closing) = (asked.drain.clone(), asked.close.clone());
        let stop_now = asked.stop.clone();
        control.answer_to(asked);
        tokio::spawn(steer(control.clone()));
        let now = handle.clone();
        tokio::spawn(async move {
            stop_now.notified().await;
            now.now();
        });
        let close = handle.clone();
        tokio::spawn(async move {
            closing.notified().await;
            tracing::info!("no new clients are admitted: the process ends when the last has left");
            close.close();
        });
        let stopping = tokio::spawn(signals.govern(handle, drain, reload, draining));
        let watchdog = tokio::spawn(service::keep_watchdog(control));
        let ended = gateway.serve(stop).await.map_err(Failure::run);
        stopping.abort();
        watchdog.abort();
        ended
    });
    // Whatever still runs on other threads is not waited for.
    runtime.shutdown_background();
    served
}

/// SIGUSR1 pauses everybody, SIGUSR2 ends that, as for PgBouncer.
async fn steer(control: Control) {
    let pause = signal(SignalKind::user_defined1());
    let resume = signal(SignalKind::user_defined2());
    let (Ok(mut pause), Ok(mut resume)) = (pause, resume) else {
        return;
    };
    loop {
        let command = tokio::select! {
            _ = pause.recv() => Command::Pause(Whom::All),
            _ = resume.recv() => Command::Resume(Whom::All),
        };
        let outcome = control.command(&command);
        let outcome = outcome.as_ref().err().map_or("done", String::as_str);
        tracing::info!(target: "pgtenant::audit", event = "admin_command", user = "signal", command = command.tag(), outcome);
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        control
            .audit()
            .admin_command("signal", nowhere.into(), command.tag(), outcome);
    }
}

/// Starts the audit log, if there is to be one. It ends, all written, when the second
/// is dropped.
fn start_audit(settings: &Settings) -> Result<(Log, Option<audit::RunningLog>), Failure> {
    let Some(audit) = &settings.audit else {
        return Ok((Log::off(), None));
    };
    let (log, running) = Log::start(audit.options.clone()).map_err(|error| {
        let place = audit.options.path.as_deref();
        let place = place.map_or("standard output".into(), Path::to_string_lossy);
        Failure::run(format!("cannot open the audit log {place}: {error}"))
    })?;
    Ok((log, Some(running)))
}

/// The signals that tell to stop.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl StopSignals {
    fn install() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// SIGTERM drains as `drain` says, SIGINT for a moment, a second of either ends
    /// at once.
    /// The console can ask for the same as SIGTERM does.
    async fn govern(
        mut self,
        handle: StopHandle,
        drain: Drain,
        reload: Option<Arc<Notify>>,
        asked: Arc<Notify>,
    ) {
        let drain = loop {
            tokio::select! {
                _ = self.terminate.recv() => break drain,
                () = asked.notified() => break drain,
                _ = self.interrupt.recv() => break drain.short(),
                _ = self.hangup.recv() => {
                    match &reload {
                        Some(reload) => reload.notify_one(),
                        None => break drain.short(),
                    }
                }
            }
        };
        // First: without clients the process may end at once.
        service::tell(Moment::Stopping).await;
        if !drain.delay.is_zero() {
            tracing::info!("clients are to be sent elsewhere: they are admitted for a while still");
            handle.leave();
        }
        if self.waits(drain.delay).await {
            handle.drain(drain.spread);
            self.waits(drain.timeout).await;
        }
        handle.now();
    }

    /// Waits for so long. `false`: another signal said not to.
    async fn waits(&mut self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            _ = self.terminate.recv() => false,
            _ = self.interrupt.recv() => false,
        }
    }
}

/// How the process ends.
#[derive(Debug, Clone, Copy)]
struct Drain {
    delay: Duration,
    spread: Duration,
    timeout: Duration,
}

impl Drain {
    fn of(listen: &Listen) -> Self {
        Self {
            delay: listen.drain_delay,
            spread: listen.drain_spread,
            timeout: listen.drain_timeout,
        }
    }

    fn short(self) -> Self {
        Self {
            delay: Duration::ZERO,
            spread: Duration::ZERO,
            timeout: self.timeout.min(SHORT_DRAIN),
        }
    }
}
