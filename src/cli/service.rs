//! Telling the service manager how far the process is: `Type=notify` and the watchdog
//! of systemd. Where there is none, nothing is sent.

use pgtenant::gateway::Control;
use sd_notify::NotifyState;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// A moment in the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Clients can connect, by the configuration that there is.
    Ready,
    /// The configuration is loaded again; [`Moment::Ready`] follows.
    Reloading,
    /// It ends once its clients have left.
    Stopping,
    /// It gets on with its work.
    Alive,
}

/// Most time that telling may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells of a moment. Whoever listens may take its time: no worker waits for that.
pub(super) async fn tell(moment: Moment) {
    let sent = tokio::task::spawn_blocking(move || send(moment));
    if let Ok(Ok(Err(error))) = timeout(PATIENCE, sent).await {
        tracing::warn!(target: "pgtenant::service", %error, ?moment, "cannot tell the service manager");
    }
}

fn send(moment: Moment) -> std::io::Result<()> {
    match moment {
        Moment::Ready => sd_notify::notify(&[NotifyState::Ready]),
        Moment::Reloading => {
            let now = NotifyState::monotonic_usec_now()?;
            sd_notify::notify(&[NotifyState::Reloading, now])
        }
        Moment::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        Moment::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
    }
}

/// Tells the watchdog, while every worker gets on with its work, without an end.
pub(super) async fn keep_watchdog(control: Control) {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) else {
        return;
    };
    loop {
        let next = Instant::now() + pause(limit);
        if control.is_alive().await {
            tell(Moment::Alive).await;
        }
        sleep_until(next).await;
    }
}

/// Two may be late.
fn pause(limit: Duration) -> Duration {
    limit / 3
}
