//! Noticing that files have changed.

use super::Files;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// For how long changes are gathered: until nothing has come for the one time,
/// and at most for the other.
const QUIET: Duration = Duration::from_millis(100);
const MOST_GATHERING: Duration = Duration::from_millis(500);

/// How often the files are looked at without being told: where the system cannot
/// tell, and where it can (it may not on network file systems).
const POLL: Duration = Duration::from_millis(500);
const RARE_POLL: Duration = Duration::from_secs(10);

/// The most links that are followed from one path.
const MOST_LINKS: usize = 16;

/// Watches the files that settings were read from.
///
/// Their folders are watched, so that files that are renamed into place, and
/// links that are made anew, are noticed. Whether something has changed is then
/// decided by the files themselves.
#[derive(Debug)]
pub struct Watch {
    files: Arc<Files>,
    told: Arc<Notify>,
    /// Ends with this.
    _watcher: Option<RecommendedWatcher>,
    poll: Duration,
}

impl Watch {
    /// Watches the files that settings were read from, or were to be when they
    /// could not be loaded. A change after they were read counts, also if it was
    /// before this call.
    #[must_use]
    pub fn new(files: &Files) -> Self {
        let told = Arc::new(Notify::new());
        let (watcher, complete) = watch(files, &told);
        Self {
            files: Arc::new(files.clone()),
            told,
            _watcher: watcher,
            poll: if complete { RARE_POLL } else { POLL },
        }
    }

    /// Watches other files from now on, as [`Self::new`] does.
    pub fn follow(&mut self, files: &Files) {
        *self = Self::new(files);
    }

    /// Waits until a file is not what was read. Afterwards call [`Self::follow`]
    /// with the files that were read then: until that is done, this returns at
    /// once. Nothing is lost when this is dropped and called again.
    pub async fn changed(&mut self) {
        while !self.has_changed().await {
            let told = tokio::time::timeout(self.poll, self.told.notified()).await;
            if told.is_ok() {
                self.gather().await;
            }
        }
    }

    async fn has_changed(&self) -> bool {
        let files = self.files.clone();
        let look = tokio::task::spawn_blocking(move || files.have_changed());
        // An error means that the runtime is being shut down.
        look.await.unwrap_or(false)
    }

    /// Editors and package managers change a file in several steps.
    async fn gather(&self) {
        let end = Instant::now() + MOST_GATHERING;
        let quiet = async {
            loop {
                let more = tokio::time::timeout(QUIET, self.told.notified());
                if more.await.is_err() {
                    break;
                }
            }
        };
        let _ = timeout_at(end, quiet).await;
    }
}

/// A watcher that tells of what happens in the folders of the files, and whether
/// it sees all of them.
fn watch(files: &Files, told: &Arc<Notify>) -> (Option<RecommendedWatcher>, bool) {
    let told = told.clone();
    let tell = move |event: notify::Result<notify::Event>| {
        // Reading them is an event too.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            told.notify_one();
        }
    };
    let mut watcher = match notify::recommended_watcher(tell) {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(target: "pgtenant::directory", %error, "files are looked at twice a second, because the system does not tell of changes");
            return (None, false);
        }
    };
    let mut complete = true;
    for folder in folders(files) {
        if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
            let folder = folder.display();
            tracing::debug!(target: "pgtenant::directory", %folder, %error, "cannot watch");
            complete = false;
        }
    }
    (Some(watcher), complete)
}

/// The folders of which the entries decide what the paths lead to.
fn folders(files: &Files) -> BTreeSet<PathBuf> {
    let mut folders: BTreeSet<_> = files.folders().map(Path::to_owned).collect();
    for path in files.paths().chain(files.folders()) {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            let folder = match path.parent() {
                Some(parent) if parent != Path::new("") => parent.to_owned(),
                _ => PathBuf::from("."),
            };
            let target = std::fs::read_link(&path);
            folders.insert(folder.clone());
            let Ok(target) = target else {
                break;
            };
            path = folder.join(target);
        }
    }
    folders
}
