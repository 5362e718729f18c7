//! Going by a changed configuration, or a changed directory, without a restart.

use super::service::{self, Moment};
use pgtenant::audit::Event;
use pgtenant::config::{self, Problems, Settings};
use pgtenant::directory::{Directory, Files, Follower, Watch};
use pgtenant::gateway::{ChangeRequest, Changes, ConfigurationChange, Control, Difference};
use pgtenant::ops::directory;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tracing::{error, info, warn};

/// What a running proxy goes by.
pub(super) struct Sources {
    /// The configuration file.
    file: PathBuf,
    directory: Follower,
    /// None with `directory.watch = false`.
    watch: Option<Watch>,
    /// What the console has set, by the paths of keys: it comes before the file until
    /// the next reload that somebody asks for.
    set: BTreeMap<&'static str, String>,
}

impl Sources {
    /// Those of the first settings, whose directory it completes.
    pub(super) async fn new(file: PathBuf, settings: &mut Settings) -> Self {
        let mut sources = Self {
            file,
            directory: Follower::new(),
            watch: None,
            set: BTreeMap::new(),
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
    /// a file of it changes, whenever `hangup` is notified, and for each of `requests`;
    /// one with problems changes nothing.
    pub(super) async fn follow(
        mut self,
        control: Control,
        hangup: Arc<Notify>,
        mut requests: mpsc::Receiver<ChangeRequest>,
    ) {
        loop {
            let changed = tokio::select! {
                () = hangup.notified() => Changed::Hangup,
                Some(request) = requests.recv() => Changed::Asked(request),
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
                // What comes of it has been logged.
                Changed::Files => drop(self.reload(&control).await),
                Changed::Hangup => drop(self.begin_anew(&control).await),
                Changed::Asked(ChangeRequest { change, done }) => {
                    let outcome = match change {
                        ConfigurationChange::Reload => self.begin_anew(&control).await,
                        ConfigurationChange::Set(key, value) => {
                            self.set(key, value, &control).await
                        }
                    };
                    // The administrator may have left.
                    let _ = done.send(outcome);
                }
            }
        }
    }

    /// Reloads, and forgets what the console has set; server connections are replaced,
    /// too.
    async fn begin_anew(&mut self, control: &Control) -> Result<(), String> {
        service::tell(Moment::Reloading).await;
        control.audit().reopen();
        let set = std::mem::take(&mut self.set);
        let outcome = self.reload(control).await;
        match outcome {
            Ok(()) => control.renew_connections(),
            Err(_) => self.set = set,
        }
        // Also where the old configuration stays.
        service::tell(Moment::Ready).await;
        outcome
    }

    /// Has a key say this from now on.
    async fn set(
        &mut self,
        key: &'static str,
        value: String,
        control: &Control,
    ) -> Result<(), String> {
        let before = self.set.clone();
        self.set.insert(key, value);
        let outcome = self.reload(control).await;
        if outcome.is_err() {
            self.set = before;
        }
        outcome
    }

    /// Has the configuration in force, or says why it is not.
    async fn reload(&mut self, control: &Control) -> Result<(), String> {
        let (path, set) = (self.file.clone(), self.set.clone());
        match tokio::task::spawn_blocking(move || config::load_over(&path, &set)).await {
            Ok(Ok(mut settings)) => {
                self.adopt(&mut settings).await;
                let control = control.clone();
                let file = self.file.clone();
                let work = move || go_by(settings, &control, &file);
                let done = tokio::task::spawn_blocking(work).await;
                done.unwrap_or_else(|failed| Err(failed.to_string()))
            }
            Ok(Err(problems)) => {
                tell(&problems);
                record_refusal(&self.file, problems.into_iter(), control);
                self.watch_again(problems.files());
                Err(summary(&problems))
            }
            Err(failed) => {
                error!(target: "pgtenant::reload", error = %failed, "the configuration was not reloaded");
                tokio::time::sleep(Duration::from_secs(1)).await;
                Err(failed.to_string())
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
    /// SIGHUP.
    Hangup,
    /// The console.
    Asked(ChangeRequest),
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

/// The most problems that an administrator is told.
const MOST_TOLD: usize = 3;

/// What an administrator is told of the problems, on one line.
fn summary(problems: &Problems) -> String {
    let told = problems.iter().take(MOST_TOLD).map(ToString::to_string);
    let told = told.collect::<Vec<_>>().join("; ");
    match problems.len().saturating_sub(MOST_TOLD) {
        0 => told,
        more => format!("{told}; and {more} more problems, which the log has"),
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

/// Has the settings in force, or says why they are not.
fn go_by(settings: Settings, control: &Control, file: &Path) -> Result<(), String> {
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
            Ok(())
        }
        Err(failed) => {
            error!(target: "pgtenant::reload", error = %failed, "the configuration was not reloaded");
            record_refusal(file, std::iter::once(&failed), control);
            Err(failed.to_string())
        }
    }
}
