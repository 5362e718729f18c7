//! What can go wrong with a throwaway server.

use std::io;
use std::path::{Path, PathBuf};

/// Why a throwaway server could not be started, used or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No folder with `initdb` and `postgres` was found.
    #[error(
        "PostgreSQL's server programs (initdb, postgres) were not found; \
         install them with `apt-get install postgresql` (Debian, Ubuntu), \
         `dnf install postgresql-server` (Fedora) or \
         `brew install postgresql` (macOS), or name their folder"
    )]
    ProgramsNotFound,
    /// The folder that was named does not hold them.
    #[error("`{}` does not hold PostgreSQL's server programs: `{missing}` is not in it", folder.display())]
    NotAProgramFolder {
        /// The folder.
        folder: PathBuf,
        /// The first program that is missing.
        missing: &'static str,
    },
    /// The directory that was named cannot be used.
    #[error("`{}` {why}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// A file operation failed.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program ended with an error, or not in time.
    #[error("{program} failed: {output}")]
    Program {
        /// The program.
        program: &'static str,
        /// What it wrote, or why it is taken as failed.
        output: String,
    },
    /// Keys or certificates could not be made.
    #[error("cannot make {0}")]
    Crypto(&'static str),
}

impl ClusterError {
    /// For `map_err`: a failed operation on a file.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
