//! Going by a changed configuration, or a changed directory, without a restart.

use pgtenant::config::{self, Problems, Settings};
use pgtenant::directory::{Directory, Files, Follower, Watch};
use pgtenant::gateway::{Control, Difference};
use pgtenant::ops::directory;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{error, info, warn};

/// What a running proxy goes by.
pub(super) struct Sources {
    /// The configuration file.
    file: PathBuf,
    directory: Follower,
    /// None with `directory.watch = false`.
    watch: Option<Watch>,
}

impl Sources {
    /// Those of the first settings, whose directory it completes.
    pub(super) async fn new(file: PathBuf, settings: &mut Settings) -> Self {
        let mut sources = Self {
            file,
            directory: Follower::new(),
            watch: None,
        };
        sources.adopt(settings).await;
        sources
    }

    async fn adopt(&mut self, settings: &mut Settings) {
        let watch = settings.sources.watch;
        self.watch = watch.then(|| Watch::new(&settings.files));
        directory::adopt(&mut self.directory, settings).await;
    }

    /// Makes the proxy go by every change. The configuration is loaded again when
    /// a file of it changes and whenever `asked` is notified; one with problems
    /// changes nothing.
    pub(super) async fn follow(mut self, control: Control, asked: Arc<Notify>) {
        loop {
            let changed = tokio::select! {
                () = asked.notified() => Changed::Asked,
                () = change(self.watch.as_mut()) => Changed::Files,
                directory = self.directory.changed() => Changed::Directory(directory),
            };
            match changed {
                Changed::Directory(directory) => {
                    // Apart: sessions and directory are many.
                    let control = control.clone();
                    let work = move || control.replace_directory(directory);
                    let _ = tokio::task::spawn_blocking(work).await;
                    self.directory.in_force();
                }
                Changed::Files => {
                    self.reload(&control).await;
                }
                Changed::Asked => {
                    if self.reload(&control).await {
                        control.renew_connections();
                    }
                }
            }
        }
    }

    /// Says whether the configuration is in force.
    async fn reload(&mut self, control: &Control) -> bool {
        let path = self.file.clone();
        match tokio::task::spawn_blocking(move || config::load(&path)).await {
            Ok(Ok(mut settings)) => {
                self.adopt(&mut settings).await;
                let control = control.clone();
                let work = move || go_by(settings, &control);
                tokio::task::spawn_blocking(work).await.unwrap_or(false)
            }
            Ok(Err(problems)) => {
                tell(&problems);
                self.watch_again(problems.files());
                false
            }
            Err(failed) => {
                error!(target: "pgtenant::reload", error = %failed, "the configuration was not reloaded");
                tokio::time::sleep(Duration::from_secs(1)).await;
                false
            }
        }
    }

    fn watch_again(&mut self, files: &Files) {
        if let Some(watch) = &mut self.watch {
            watch.follow(files);
        }
    }
}

/// What makes the proxy look at its sources again.
enum Changed {
    /// SIGHUP, at which server connections are replaced, too.
    Asked,
    Files,
    Directory(Directory),
}

async fn change(watch: Option<&mut Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

fn tell(problems: &Problems) {
    for problem in problems {
        error!(target: "pgtenant::reload", %problem, "the configuration was not reloaded");
    }
}

/// Says whether the settings are in force.
fn go_by(settings: Settings, control: &Control) -> bool {
    let directory = &settings.directory;
    let (tenants, logins) = (directory.tenants().count(), directory.len());
    match control.reload(settings) {
        Ok((waiting, changes)) => {
            for key in waiting {
                warn!(target: "pgtenant::reload", key, "the new value waits for a restart");
            }
            let told =
                |difference: &Difference| (!difference.is_empty()).then(|| difference.to_string());
            let sections = (!changes.sections.is_empty()).then(|| changes.sections.join(", "));
            info!(
                target: "pgtenant::reload",
                tenants,
                logins,
                changed_tenants = told(&changes.tenants),
                changed_logins = told(&changes.logins),
                changed_sections = sections,
                "reloaded",
            );
            true
        }
        Err(failed) => {
            error!(target: "pgtenant::reload", error = %failed, "the configuration was not reloaded");
            false
        }
    }
}
