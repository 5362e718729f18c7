//! The directory that holds all files of a throwaway server.

use super::{ClusterError, random_hex};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A directory of ours, removed with all that is in it when it is dropped,
/// unless it is to be kept.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    keep: bool,
}

impl Directory {
    /// Takes the directory that was named, which must be empty or not exist, or
    /// makes a new one among the temporary files.
    pub(super) fn create(named: Option<&Path>, keep: bool) -> Result<Self, ClusterError> {
        let path = match named {
            Some(path) => take(path)?,
            None => make_temporary()?,
        };
        Ok(Self { path, keep })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_kept(&self) -> bool {
        self.keep
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Makes a directory that others may enter: the server can run as another user.
fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o755).create(path)
}

fn make_temporary() -> Result<PathBuf, ClusterError> {
    let parent = std::env::temp_dir();
    let parent = fs::canonicalize(&parent).map_err(ClusterError::io("open", &parent))?;
    let path = parent.join(format!("pgtenant-{}", random_hex(4)?));
    make(&path).map_err(ClusterError::io("create", &path))?;
    Ok(path)
}

fn take(path: &Path) -> Result<PathBuf, ClusterError> {
    match make(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut files = fs::read_dir(path).map_err(ClusterError::io("open", path))?;
            if files.next().is_some() {
                return Err(ClusterError::Directory {
                    path: path.to_owned(),
                    why: "is not empty; name a directory that is empty or does not exist"
                        .to_owned(),
                });
            }
        }
        Err(error) => return Err(ClusterError::io("create", path)(error)),
    }
    fs::canonicalize(path).map_err(ClusterError::io("open", path))
}

/// Writes a new file that only its owner can read.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), ClusterError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(ClusterError::io("write", path))
}
