//! Serving clients until the process is told to stop; `run` and `demo` share it.

use super::Failure;
use gateway::{Gateway, Stop};
use pgtenant::settings::Settings;
use std::io;
use std::net::SocketAddr;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Serves clients until a signal tells to stop. `ready` is called once clients
/// can connect, with the addresses that are listened on; when it fails, nothing
/// is served.
pub(super) fn serve(
    settings: Settings,
    ready: impl FnOnce(&[SocketAddr]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::run(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let mut signals = StopSignals::install()
            .map_err(|error| Failure::run(format!("cannot handle signals: {error}")))?;
        let gateway = Gateway::bind(settings)
            .await
            .map_err(|error| Failure::run(format!("cannot listen: {error}")))?;
        ready(&gateway.addresses())?;
        let (handle, stop) = Stop::new();
        let serving = gateway.serve(stop);
        tokio::pin!(serving);
        tokio::select! {
            ended = &mut serving => return ended.map_err(Failure::run),
            () = signals.next() => handle.stop(),
        }
        tokio::select! {
            ended = &mut serving => ended.map_err(Failure::run),
            // Told twice: those who are still busy are not waited for.
            () = signals.next() => Ok(()),
        }
    })
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

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// Stands in for `pgtenant::gateway` until that exists: it listens, and lets
/// nobody in. To be replaced by `use pgtenant::gateway::{Gateway, Stop};`.
mod gateway {
    use pgtenant::settings::Settings;
    use std::io;
    use std::net::SocketAddr;
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;

    pub(super) struct Gateway {
        listeners: Vec<TcpListener>,
    }

    pub(super) struct StopHandle(oneshot::Sender<()>);

    pub(super) struct Stop(oneshot::Receiver<()>);

    impl Stop {
        pub(super) fn new() -> (StopHandle, Self) {
            let (sender, receiver) = oneshot::channel();
            (StopHandle(sender), Self(receiver))
        }
    }

    impl StopHandle {
        pub(super) fn stop(self) {
            let _ = self.0.send(());
        }
    }

    impl Gateway {
        pub(super) async fn bind(settings: Settings) -> io::Result<Self> {
            let mut listeners = Vec::new();
            for address in settings.listen.addresses {
                listeners.push(TcpListener::bind(address).await?);
            }
            Ok(Self { listeners })
        }

        pub(super) fn addresses(&self) -> Vec<SocketAddr> {
            let listeners = self.listeners.iter();
            listeners.filter_map(|l| l.local_addr().ok()).collect()
        }

        pub(super) async fn serve(self, stop: Stop) -> io::Result<()> {
            let _ = stop.0.await;
            Ok(())
        }
    }
}
