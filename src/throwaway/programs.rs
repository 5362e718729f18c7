//! Where PostgreSQL's programs are.

use super::ClusterError;
use std::cmp::Reverse;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a folder must hold to be usable.
const NEEDED: [&str; 3] = ["initdb", "postgres", "pg_ctl"];

/// Where distributions and installers put the programs. `*` stands for one
/// folder name; of several the newest version wins.
const USUAL: [&str; 11] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/usr/lib/postgresql*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/usr/local/pgsql/bin",
    "/opt/local/lib/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/Library/PostgreSQL/*/bin",
];

/// A folder that holds PostgreSQL's server programs.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Takes the folder that was named, or searches PATH, asks `pg_config`, and
    /// looks into the usual folders, in this order.
    pub(super) fn find(named: Option<&Path>) -> Result<Self, ClusterError> {
        if let Some(folder) = named {
            return match missing(folder) {
                None => Self::at(folder),
                Some(missing) => Err(ClusterError::NotAProgramFolder {
                    folder: folder.to_owned(),
                    missing,
                }),
            };
        }
        let folder = path_folders()
            .into_iter()
            .chain(pg_config())
            .chain(USUAL.iter().flat_map(|pattern| expand(pattern)))
            .find(|folder| missing(folder).is_none())
            .ok_or(ClusterError::ProgramsNotFound)?;
        Self::at(&folder)
    }

    /// Follows the link where `folder` only has links to the programs, as a
    /// folder on PATH may: the client programs stand beside the real ones.
    fn at(folder: &Path) -> Result<Self, ClusterError> {
        let folder = std::path::absolute(folder).map_err(ClusterError::io("open", folder))?;
        let real = fs::canonicalize(folder.join("postgres"))
            .ok()
            .and_then(|program| Some(program.parent()?.to_owned()))
            .filter(|real| missing(real).is_none());
        Ok(Self {
            folder: real.unwrap_or(folder),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of a server program.
    pub(super) fn server(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The path of a client program: some systems package it elsewhere, on PATH.
    pub(super) fn client(&self, name: &str) -> PathBuf {
        let beside = self.folder.join(name);
        if beside.is_file() {
            beside
        } else {
            PathBuf::from(name)
        }
    }
}

fn missing(folder: &Path) -> Option<&'static str> {
    NEEDED.into_iter().find(|name| !folder.join(name).is_file())
}

fn path_folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .collect()
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config")
        .arg("--bindir")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(folder.trim_end()))
}

/// The folders that match `pattern`, the newest version first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![PathBuf::from(pattern)];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let after = after.trim_start_matches('/');
    let mut names: Vec<String> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort_by_key(|name| Reverse(version(&name[prefix.len()..])));
    names
        .iter()
        .map(|name| Path::new(parent).join(name).join(after))
        .collect()
}

/// The numbers in a folder's name: `@16` is 16, `9.6` is 9 and 6.
fn version(text: &str) -> Vec<u32> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for name in ["postgresql@9.6", "postgresql@15", "postgresql@17", "other"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let pattern = format!("{}/postgresql@*/bin", root.path().display());
        let found: Vec<_> = expand(&pattern)
            .iter()
            .map(|folder| folder.strip_prefix(root.path()).unwrap().to_owned())
            .collect();
        let expected = ["17", "15", "9.6"].map(|v| PathBuf::from(format!("postgresql@{v}/bin")));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_named_folder_without_the_programs_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = Programs::find(Some(folder.path())).unwrap_err().to_string();
        assert!(
            error.contains(&folder.path().display().to_string()),
            "{error}"
        );
        assert!(error.contains("`initdb` is not in it"), "{error}");
    }

    #[test]
    fn programs_that_are_not_found_come_with_a_way_to_get_them() {
        let text = ClusterError::ProgramsNotFound.to_string();
        assert!(text.contains("apt-get install postgresql"), "{text}");
        assert!(text.contains("brew install postgresql"), "{text}");
    }
}
