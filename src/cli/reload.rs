//! Going by a changed configuration, or a changed directory, without a restart.

use super::service::{self, Moment};
use pgtenant::audit::Event;
use pgtenant::config::{self, Problems, Settings};
use pgtenant::directory::{Directory, Files, Follower, Watch};
use pgtenant::gateway::{Changes, Control, Difference};
use pgtenant::ops::directory;
use std::path::{Path, PathBuf};
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
                    let work =
                        move || tell_of_directory(&control.replace_directory(directory), &control);
                    let _ = tokio::task::spawn_blocking(work).await;
                    self.directory.in_force();
                }
                Changed::Files => {
                    self.reload(&control).await;
                }
                Changed::Asked => {
                    service::tell(Moment::Reloading).await;
                    control.audit().reopen();
                    if self.reload(&control).await {
                        control.renew_connections();
                    }
                    // Also where the old configuration stays.
                    service::tell(Moment::Ready).await;
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
                let file = self.file.clone();
                let work = move || go_by(settings, &control, &file);
                tokio::task::spawn_blocking(work).await.unwrap_or(false)
            }
            Ok(Err(problems)) => {
                tell(&problems);
                record_refusal(&self.file, problems.into_iter(), control);
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

/// Records what a reload has changed.
fn record_changes(changes: &Changes, control: &Control, file: &Path) {
    let Changes {
        tenants,
        logins,
        keys,
    } = changes;
    if tenants.is_empty() && logins.is_empty() && keys.is_empty() {
        return;
    }
    control.audit().record(&Event::Configuration {
        source: &file.to_string_lossy(),
        applied: true,
        keys,
        tenants: told(tenants).as_deref(),
        logins: told(logins).as_deref(),
        problems: &[],
    });
}

/// Records that the configuration was not reloaded, and why.
fn record_refusal(file: &Path, problems: impl Iterator<Item = impl ToString>, control: &Control) {
    let problems: Vec<_> = problems
        .take(MOST_KEYS)
        .map(|one| one.to_string())
        .collect();
    control.audit().record(&Event::Configuration {
        source: &file.to_string_lossy(),
        applied: false,
        keys: &[],
        tenants: None,
        logins: None,
        problems: &problems,
    });
}

fn tell_of_directory(changes: &Changes, control: &Control) {
    let Changes {
        tenants,
        logins,
        keys: _,
    } = changes;
    if tenants.is_empty() && logins.is_empty() {
        return;
    }
    info!(
        target: "pgtenant::directory",
        changed_tenants = told(tenants),
        changed_logins = told(logins),
        "the tenant directory has changed",
    );
    control.audit().record(&Event::Directory {
        tenants: told(tenants).as_deref(),
        logins: told(logins).as_deref(),
    });
}

fn told(difference: &Difference) -> Option<String> {
    (!difference.is_empty()).then(|| difference.to_string())
}

/// The most keys that are told one by one.
const MOST_KEYS: usize = 30;

fn told_keys(changes: &Changes) -> Option<String> {
    let keys = &changes.keys;
    let more = if keys.len() > MOST_KEYS { ", …" } else { "" };
    let shown: Vec<_> = keys.iter().take(MOST_KEYS).map(String::as_str).collect();
    (!keys.is_empty()).then(|| shown.join(", ") + more)
}

/// Says whether the settings are in force.
fn go_by(settings: Settings, control: &Control, file: &Path) -> bool {
    let directory = &settings.directory;
    let (tenants, logins) = (directory.tenants().count(), directory.len());
    match control.reload(settings) {
        Ok((waiting, changes)) => {
            for key in waiting {
                warn!(target: "pgtenant::reload", key, "the new value waits for a restart");
            }
            info!(
                target: "pgtenant::reload",
                tenants,
                logins,
                changed_tenants = told(&changes.tenants),
                changed_logins = told(&changes.logins),
                changed_keys = told_keys(&changes),
                "reloaded",
            );
            record_changes(&changes, control, file);
            true
        }
        Err(failed) => {
            error!(target: "pgtenant::reload", error = %failed, "the configuration was not reloaded");
            record_refusal(file, std::iter::once(&failed), control);
            false
        }
    }
}
