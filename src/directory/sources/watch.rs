//! Noticing that files have changed.

use super::Files;
use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeSet;
use std::ffi::OsString;
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
    let entries = Entries::of(files);
    let folders = entries.folders.clone();
    let tell = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| entries.concerns(&event)) {
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
    for folder in folders {
        if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
            let folder = folder.display();
            tracing::debug!(target: "pgtenant::directory", %folder, %error, "cannot watch");
            complete = false;
        }
    }
    (Some(watcher), complete)
}

/// What decides what the paths of the files lead to.
struct Entries {
    /// The folders that they are in.
    folders: BTreeSet<PathBuf>,
    /// The names of the files, and of links on the way to them.
    names: BTreeSet<OsString>,
    /// Folders in which each file counts.
    whole: BTreeSet<PathBuf>,
}

impl Entries {
    fn of(files: &Files) -> Self {
        let mut entries = Self {
            folders: files.folders().map(Path::to_owned).collect(),
            names: BTreeSet::new(),
            whole: files.folders().map(Path::to_owned).collect(),
        };
        for path in files.paths().chain(files.folders()) {
            entries.add(path.to_owned());
        }
        entries
    }

    /// Follows a path over its links.
    fn add(&mut self, mut path: PathBuf) {
        for _ in 0..MOST_LINKS {
            let folder = match path.parent() {
                Some(parent) if parent != Path::new("") => parent.to_owned(),
                _ => PathBuf::from("."),
            };
            self.names.extend(path.file_name().map(ToOwned::to_owned));
            let target = std::fs::read_link(&path);
            self.folders.insert(folder.clone());
            let Ok(target) = target else {
                break;
            };
            path = folder.join(target);
        }
    }

    /// Whether the files may not be what they were. The audit log, for example, is often
    /// in the same folder, and is written to all the time.
    fn concerns(&self, event: &notify::Event) -> bool {
        let is_known = |path: &PathBuf| {
            let name = path.file_name();
            name.is_none_or(|name| self.names.contains(name))
                || path
                    .parent()
                    .is_none_or(|folder| self.whole.contains(folder))
        };
        match event.kind {
            // Reading them is an event too.
            EventKind::Access(_) => false,
            EventKind::Modify(ModifyKind::Data(_)) => {
                event.paths.is_empty() || event.paths.iter().any(is_known)
            }
            // Any entry may be a link that leads to them now.
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::Event;
    use notify::event::{AccessKind, CreateKind, DataChange, RenameMode};

    #[test]
    fn what_is_written_to_other_files_is_no_reason_to_look() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink(path("real.key"), path("link.key")).expect("a link");
        let mut entries = Entries {
            folders: BTreeSet::new(),
            names: BTreeSet::new(),
            whole: [path("tenants.d")].into(),
        };
        entries.add(path("pgtenant.toml"));
        entries.add(path("link.key"));
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let created = EventKind::Create(CreateKind::File);
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        let read = EventKind::Access(AccessKind::Any);
        for (kind, name, expected) in [
            (written, "pgtenant.toml", true),
            (written, "link.key", true),
            (written, "real.key", true),
            (written, "tenants.d/any.toml", true),
            (written, "audit.jsonl", false),
            (created, "audit.jsonl", true),
            (renamed, "..data", true),
            (read, "pgtenant.toml", false),
        ] {
            let event = Event::new(kind).add_path(path(name));
            assert_eq!(entries.concerns(&event), expected, "{event:?}");
        }
        // Something was missed.
        assert!(entries.concerns(&Event::new(written)));
    }
}
