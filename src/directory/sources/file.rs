//! Which files the settings were read from, and whether they are still those.

use super::files_of;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The files and folders that settings were read from, each with what told it
/// from a later one at that time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    files: BTreeMap<PathBuf, Option<Mark>>,
    folders: BTreeMap<PathBuf, Option<BTreeSet<PathBuf>>>,
}

impl Files {
    /// Takes a file as it is now. Call it before the file is read: a change in
    /// between then counts as one.
    pub(crate) fn note(&mut self, path: &Path) {
        let known = self.files.entry(path.to_owned());
        known.or_insert_with(|| Mark::of(path));
    }

    /// Takes a folder, with the files that are read in it.
    pub(crate) fn note_folder(&mut self, path: &Path, files: Option<&[PathBuf]>) {
        let files = files.map(|files| files.iter().cloned().collect());
        self.folders.insert(path.to_owned(), files);
    }

    /// The files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// The folders of which every file counts.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.keys().map(PathBuf::as_path)
    }

    /// Whether any of them is not what was read. Looks at each on the disk.
    #[must_use]
    pub fn have_changed(&self) -> bool {
        let folder = |(path, before): (&PathBuf, &Option<BTreeSet<PathBuf>>)| {
            let now = files_of(path).ok().map(BTreeSet::from_iter);
            now != *before
        };
        self.files
            .iter()
            .any(|(path, before)| Mark::of(path) != *before)
            || self.folders.iter().any(folder)
    }
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
    mode: u32,
}

impl Mark {
    /// That of the file, links followed; `None` where there is none.
    fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        let (inode, mode) = identity(&file);
        Some(Self {
            modified: file.modified().ok(),
            length: file.len(),
            inode,
            mode,
        })
    }
}

#[cfg(unix)]
fn identity(file: &Metadata) -> (u64, u32) {
    use std::os::unix::fs::MetadataExt as _;
    (file.ino(), file.mode())
}

#[cfg(not(unix))]
fn identity(_file: &Metadata) -> (u64, u32) {
    (0, 0)
}
