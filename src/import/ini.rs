//! `pgbouncer.ini`, as PgBouncer's own parser (libusual, `cfparser.c`) reads it.

use super::{At, beside};
use crate::problem::{Origin, Problem, shown};
use std::path::Path;
use std::sync::Arc;

/// PgBouncer's own limit.
const DEEPEST_INCLUDE: usize = 10;
/// Files that include each other could be read without end.
const MOST_FILES: usize = 1000;

/// A section of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Main,
    Databases,
    Users,
    Peers,
}

impl Section {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "pgbouncer" => Self::Main,
            "databases" => Self::Databases,
            "users" => Self::Users,
            "peers" => Self::Peers,
            _ => return None,
        })
    }

    /// The name in brackets.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Main => "pgbouncer",
            Self::Databases => "databases",
            Self::Users => "users",
            Self::Peers => "peers",
        }
    }
}

/// A line `key = value`.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) section: Section,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) at: At,
}

/// Reads the file and those that it includes.
pub(super) fn read(path: &Path, problems: &mut Vec<Problem>) -> Vec<Setting> {
    let mut reader = Reader {
        section: Current::None,
        settings: Vec::new(),
        files: 0,
        problems,
    };
    match text(path) {
        Ok(text) => reader.file(path, &text, 0),
        Err(problem) => reader.problems.push(*problem),
    }
    reader.settings
}

/// The text of a file.
pub(super) fn text(path: &Path) -> Result<String, Box<Problem>> {
    let wrong = |line, reason| {
        Box::new(Problem {
            origin: Origin::File(Arc::from(path)),
            position: line,
            key: None,
            value: None,
            reason,
        })
    };
    let bytes = std::fs::read(path).map_err(|e| wrong(None, format!("cannot be read: {e}")))?;
    let line = |end: usize| {
        let before = bytes.get(..end).unwrap_or_default();
        let breaks = before.iter().filter(|byte| **byte == b'\n').count();
        Some((u32::try_from(breaks + 1).unwrap_or(u32::MAX), 1))
    };
    if let Some(zero) = bytes.iter().position(|byte| *byte == 0) {
        return Err(wrong(line(zero), "the line holds a zero byte".into()));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned()),
        Err(e) => Err(wrong(
            line(e.valid_up_to()),
            "the line is not UTF-8 text".into(),
        )),
    }
}

/// Where the reader is.
enum Current {
    /// Before the first section.
    None,
    Known(Section),
    /// In one that has been told of.
    Unknown,
}

struct Reader<'p> {
    section: Current,
    settings: Vec<Setting>,
    files: usize,
    problems: &'p mut Vec<Problem>,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, text: &str, depth: usize) {
        self.files += 1;
        let file: Arc<Path> = Arc::from(path);
        for (line, number) in text.split('\n').zip(1..) {
            let at = At {
                file: Arc::clone(&file),
                line: number,
            };
            self.line(line.trim(), at, depth);
        }
    }

    fn line(&mut self, line: &str, at: At, depth: usize) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            return;
        }
        if let Some(rest) = line.strip_prefix("%include")
            && rest.starts_with([' ', '\t'])
        {
            return self.include(rest.trim(), &at, depth);
        }
        if let Some(rest) = line.strip_prefix('[') {
            return self.header(rest, at, depth);
        }
        match key_and_value(line) {
            Ok((key, value)) => self.setting(key, value, at),
            Err(reason) => self.problems.push(at.problem(None, reason)),
        }
    }

    fn setting(&mut self, key: String, value: &str, at: At) {
        match self.section {
            Current::Known(section) => self.settings.push(Setting {
                section,
                key,
                value: value.to_owned(),
                at,
            }),
            Current::Unknown => {}
            Current::None => {
                let reason = "stands before the first section, such as [pgbouncer]";
                self.problems.push(at.problem(Some(&key), reason));
            }
        }
    }

    fn header(&mut self, rest: &str, at: At, depth: usize) {
        let Some((name, rest)) = rest.split_once(']') else {
            let reason = "the name of a section has no closing `]`";
            return self.problems.push(at.problem(None, reason));
        };
        self.section = Section::of(name).map_or(Current::Unknown, Current::Known);
        if matches!(self.section, Current::Unknown) {
            let reason = format!(
                "{} is no section of PgBouncer's: there are [pgbouncer], [databases], [users], \
                 [peers]",
                shown(name)
            );
            self.problems.push(at.problem(None, reason));
        }
        // PgBouncer reads on in the same line.
        let rest = rest.trim();
        if !rest.starts_with('[') {
            self.line(rest, at, depth);
        } else if !rest.is_empty() {
            let reason = "there are two sections in one line";
            self.problems.push(at.problem(None, reason));
        }
    }

    fn include(&mut self, named: &str, at: &At, depth: usize) {
        let refuse = |reason: String| at.problem(Some("%include"), reason);
        if depth >= DEEPEST_INCLUDE || self.files >= MOST_FILES {
            let reason = "files include each other too deeply, or are too many";
            return self.problems.push(refuse(reason.into()));
        }
        let path = beside(&at.file, named);
        match text(&path) {
            Ok(text) => self.file(&path, &text, depth + 1),
            Err(problem) => self.problems.push(refuse(problem.to_string())),
        }
    }
}

/// Splits a line. A key with other characters than PgBouncer's is in double quotes, which
/// are doubled within.
fn key_and_value(line: &str) -> Result<(String, &str), &'static str> {
    let (key, rest) = match line.strip_prefix('"') {
        Some(rest) => quoted(rest).ok_or("the name has no closing quote")?,
        None => {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.-*".contains(c);
            let end = line.find(|c| !is_plain(c)).unwrap_or(line.len());
            let (key, rest) = line.split_at_checked(end).unwrap_or((line, ""));
            (key.to_owned(), rest)
        }
    };
    let value = rest.trim_start().strip_prefix('=');
    match value {
        Some(value) if !key.is_empty() => Ok((key, value.trim())),
        _ => Err("the line is neither `key = value`, a [section], a comment nor an %include"),
    }
}

/// What stands before the closing quote, and what follows it.
pub(super) fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        value.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                value.push('"');
                rest = more;
            }
            None => return Some((value, after)),
        }
    }
}
