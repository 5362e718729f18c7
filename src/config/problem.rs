//! What is wrong with a configuration, for the person who has to put it right.

use super::Files;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Everything that is wrong with a configuration; at least one problem.
///
/// Shown one problem per line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    files: Files,
}

impl Problems {
    pub(super) fn new(list: Vec<Problem>, files: Files) -> Self {
        Self { list, files }
    }

    /// The problems, in the order of the sections.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none; [`load`](super::load) never returns such.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The files that were read, or were to be.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.list.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where the value was read.
    pub origin: Origin,
    /// Line and column in the file, both from 1; known for errors of syntax.
    pub position: Option<(u32, u32)>,
    /// The path of the key, such as `pool.size` or `tenants[2].isolation`.
    pub key: Option<String>,
    /// The value as it was written. Absent when it is a secret or may hold one.
    pub value: Option<String>,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = self.origin.to_string();
        if let Some((row, column)) = self.position {
            line.push_str(&format!(":{row}:{column}"));
        }
        line.push_str(": ");
        if let Some(key) = &self.key {
            line.push_str(key);
            if let Some(value) = &self.value {
                line.push_str(" = ");
                line.push_str(value);
            }
            line.push_str(": ");
        }
        line.push_str(&self.reason);
        f.write_str(&line.replace(char::is_control, " "))
    }
}

/// Where a value was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file, or one of `directory.folder`.
    File(Arc<Path>),
    /// The environment variable of this name.
    Environment(Arc<str>),
    /// A query of `[directory.sql]`, by its key.
    Query(&'static str),
    /// A row of a query of `[directory.sql]`.
    Row {
        /// The query's key, such as `tenants`.
        query: &'static str,
        /// What tells the row from others.
        row: Arc<str>,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Query(query) => write!(f, "directory.sql.{query}"),
            Self::Row { query, row } => write!(f, "directory.sql.{query}, row {row}"),
        }
    }
}

/// `text` in quotes for a message: cut when long, withheld when it looks like
/// a secret that was put into the wrong key.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 100;
    let secret = ["-----BEGIN", "SCRAM-SHA-256$", "://"];
    if secret.iter().any(|mark| text.contains(mark)) {
        return "(not shown)".into();
    }
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// The candidate that `name` was probably meant to be.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            let alike = strsim::normalized_damerau_levenshtein(&name, &candidate.to_lowercase());
            (alike, candidate)
        })
        .filter(|(alike, _)| *alike >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `` did you mean `x`? `` for an unknown name, or else the names there are.
pub(super) fn suggestion<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str> + Clone,
) -> String {
    if let Some(near) = nearest(name, candidates.clone()) {
        return format!("did you mean `{near}`?");
    }
    let all: Vec<_> = candidates.map(|name| format!("`{name}`")).collect();
    match all.len() {
        0 => "there is none".into(),
        1..=20 => format!("there are: {}", all.join(", ")),
        n => format!("there are {n} others"),
    }
}
