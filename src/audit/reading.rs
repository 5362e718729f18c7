//! Reading the files of a log.

use super::checkpoint::{Checkpoint, Signed};
use super::file::{first_record, siblings};
use super::key::VerifyingKey;
use super::record::Record;
use super::verify::{Finding, Verifier};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// A file of a log cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {error}", path.display())]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub error: io::Error,
}

impl Unreadable {
    fn new(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        Self { path, error }
    }
}

/// Calls `each` with each line, its end included, and its number.
///
/// # Errors
/// If the file cannot be read, or `each` fails.
pub fn lines<E: From<Unreadable>>(
    path: &Path,
    mut each: impl FnMut(usize, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let unreadable = |error| Unreadable::new(path, error);
    let file = File::open(path).map_err(unreadable)?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            break;
        }
        each(number, &line)?;
    }
    Ok(())
}

/// The checkpoints of a file that has one a line, as far as the key has signed them, or
/// all without a key. Calls `tell` with the number of each other line.
///
/// # Errors
/// If the file cannot be read, or `tell` fails.
pub fn checkpoints<E: From<Unreadable>>(
    path: &Path,
    key: Option<&VerifyingKey>,
    mut tell: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<Checkpoint>, E> {
    let mut found = Vec::new();
    lines(path, |number, line| {
        let record = line.strip_suffix(b"\n").map(Record::read);
        let checkpoint = match record {
            Some(Ok(record)) => Checkpoint::read(&record, key),
            _ => None,
        };
        match checkpoint.filter(|one| key.is_none() || one.signed == Signed::ByKey) {
            Some(checkpoint) => found.push(checkpoint),
            None => tell(number)?,
        }
        Ok::<_, E>(())
    })?;
    Ok(found)
}

/// The files of a log, the oldest first. Those of one log stay together; files that are
/// of none are read where they were named.
#[must_use]
pub fn in_order(mut files: Vec<PathBuf>) -> Vec<PathBuf> {
    files.sort_by_cached_key(|file| first_record(file));
    files
}

/// The file at this path and those that the log was in before, the oldest first.
pub(super) fn all_of(path: &Path) -> Vec<PathBuf> {
    let log = first_record(path).map(|(log, _)| log);
    let is_of_it = |file: &PathBuf| first_record(file).is_some_and(|(other, _)| Some(other) == log);
    let mut files: Vec<_> = siblings(path).filter(is_of_it).collect();
    files.push(path.to_owned());
    in_order(files)
}

/// Feeds the verifier with the files. Calls `tell` with each finding and its place,
/// `FILE:LINE`, and `each` with each whole record.
///
/// # Errors
/// If a file cannot be read, or `tell` or `each` fails.
pub fn follow<E: From<Unreadable>>(
    files: &[PathBuf],
    verifier: &mut Verifier<'_>,
    mut tell: impl FnMut(&str, &Finding) -> Result<(), E>,
    mut each: impl FnMut(&Verifier<'_>, &Record<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut last = String::new();
    for file in files {
        verifier.begin_file();
        let mut is_empty = true;
        lines(file, |number, line| {
            is_empty = false;
            let findings = verifier.line(line);
            last = format!("{}:{number}", file.display());
            for finding in &findings {
                tell(&last, finding)?;
            }
            match line.strip_suffix(b"\n").map(Record::read) {
                Some(Ok(record)) => each(verifier, &record),
                _ => Ok(()),
            }
        })?;
        if is_empty {
            tell(&file.display().to_string(), &Finding::Empty)?;
        }
    }
    for finding in verifier.end() {
        tell(&last, &finding)?;
    }
    Ok(())
}
