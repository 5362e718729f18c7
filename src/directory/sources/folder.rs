//! The folder of `directory.folder`.

use std::io;
use std::path::{Path, PathBuf};

/// The files of a folder that may have tenants and logins: `*.toml`, by name,
/// without hidden ones.
pub(crate) fn files_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = |path: &Path| {
            let name = path.file_name().map(std::ffi::OsStr::as_encoded_bytes);
            name.is_none_or(|name| name.starts_with(b"."))
        };
        if path.extension().is_some_and(|e| e == "toml") && !hidden(&path) && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
