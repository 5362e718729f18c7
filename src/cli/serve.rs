//! Serving clients until the process is told to stop; `run` and `demo` share it.

use super::Failure;
use pgtenant::directory::Follower;
use pgtenant::gateway::{Gateway, Stop, StopHandle};
use pgtenant::settings::Settings;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long running transactions get after SIGINT.
const SHORT_DRAIN: Duration = Duration::from_secs(2);

/// What SIGHUP, the end of the terminal, means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hangup {
    /// Nothing but a warning.
    Ignore,
    /// The same as SIGINT.
    Stop,
}

/// Serves clients until a signal tells to stop. `ready` is called once clients
/// can connect, with the addresses that are listened on; when it fails, nothing
/// is served.
pub(super) fn serve(
    mut settings: Settings,
    hangup: Hangup,
    ready: impl FnOnce(&[SocketAddr]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::run(format!("cannot start: {error}")))?;
    let served = runtime.block_on(async {
        let signals = StopSignals::install()
            .map_err(|error| Failure::run(format!("cannot handle signals: {error}")))?;
        let drain = settings.listen.drain_timeout;
        let mut directory = Follower::new();
        directory.adopt(&mut settings).await;
        let gateway = Gateway::bind(settings)
            .await
            .map_err(|error| Failure::run(format!("cannot listen on {error}")))?;
        ready(&gateway.addresses())?;
        let (handle, stop) = Stop::new();
        let stopping = tokio::spawn(signals.govern(handle, drain, hangup));
        let ended = gateway.serve(stop).await.map_err(Failure::run);
        stopping.abort();
        ended
    });
    // Whatever still runs on other threads is not waited for.
    runtime.shutdown_background();
    served
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

    /// SIGTERM drains for `drain`, SIGINT for a moment, a second of either ends
    /// at once.
    async fn govern(mut self, handle: StopHandle, drain: Duration, hangup: Hangup) {
        let patience = loop {
            tokio::select! {
                _ = self.terminate.recv() => break drain,
                _ = self.interrupt.recv() => break drain.min(SHORT_DRAIN),
                _ = self.hangup.recv() => {
                    if hangup == Hangup::Stop {
                        break drain.min(SHORT_DRAIN);
                    }
                    tracing::warn!("SIGHUP: the configuration cannot be reloaded while running; restart instead");
                }
            }
        };
        handle.drain();
        tokio::select! {
            () = tokio::time::sleep(patience) => {}
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        handle.now();
    }
}
