//! Going by a changed configuration without a restart.

use pgtenant::gateway::Control;
use pgtenant::settings::{self, Settings};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Notify;
use tracing::{error, info, warn};

/// Loads the configuration file again whenever `asked` is notified. A file with
/// problems changes nothing.
pub(super) async fn follow(file: PathBuf, control: Control, asked: Arc<Notify>) {
    loop {
        asked.notified().await;
        let path = file.clone();
        match tokio::task::spawn_blocking(move || settings::load(&path)).await {
            Ok(Ok(settings)) => go_by(settings, &control),
            Ok(Err(problems)) => {
                for problem in &problems {
                    error!(target: "pgtenant::reload", %problem, "the configuration was not reloaded");
                }
            }
            Err(failed) => {
                error!(target: "pgtenant::reload", error = %failed, "the configuration was not reloaded");
            }
        }
    }
}

fn go_by(settings: Settings, control: &Control) {
    let (tenants, logins) = (settings.tenants.len(), settings.directory.len());
    match control.reload(settings) {
        Ok(waiting) => {
            for key in waiting {
                warn!(target: "pgtenant::reload", key, "the new value waits for a restart");
            }
            info!(target: "pgtenant::reload", tenants, logins, "reloaded");
        }
        Err(failed) => {
            error!(target: "pgtenant::reload", error = %failed, "the configuration was not reloaded");
        }
    }
}
