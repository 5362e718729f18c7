//! What is wrong with what an operator has written, for the person who has to put it
//! right: in the configuration, and in the rows of a tenant directory.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

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
    /// `SET` in the console.
    Console,
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
            Self::Console => f.write_str("SET in the console"),
            Self::Query(query) => write!(f, "directory.sql.{query}"),
            Self::Row { query, row } => write!(f, "directory.sql.{query}, row {row}"),
        }
    }
}

/// Where something was read, for problems that are found later.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    origin: Origin,
    path: String,
    /// Whether it is not in the configuration file itself.
    elsewhere: bool,
}

impl Place {
    /// What has this path in `origin`; `elsewhere` if that is not the configuration file.
    pub(crate) fn new(origin: Origin, path: String, elsewhere: bool) -> Self {
        Self {
            origin,
            path,
            elsewhere,
        }
    }

    /// The problem with what was read there.
    pub(crate) fn problem(&self, reason: String) -> Problem {
        Problem {
            origin: self.origin.clone(),
            position: None,
            key: (!self.path.is_empty()).then(|| self.path.clone()),
            value: None,
            reason,
        }
    }

    /// Whether it is a row of a query.
    pub(crate) fn is_row(&self) -> bool {
        matches!(self.origin, Origin::Row { .. })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path.as_str(), self.elsewhere) {
            ("", _) => write!(f, "{}", self.origin),
            (path, false) => f.write_str(path),
            (path, true) => write!(f, "{path} of {}", self.origin),
        }
    }
}

/// `text` in quotes for a message: cut when long, withheld when it looks like
/// a secret that was put into the wrong key.
pub(crate) fn shown(text: &str) -> String {
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
pub(crate) fn nearest<'a>(
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
pub(crate) fn suggestion<'a>(
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
