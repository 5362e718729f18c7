//! What comes back.

use crate::protocol::backend;
use std::fmt;

/// The most rows that are kept of an answer.
const MOST_ROWS: usize = 2_000;

/// How the detail of pgtenant's refusals begins.
const RULE: &str = "Dpgtenant refused it by its rule ";

/// All that came back up to ReadyForQuery, or up to the end of the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::ops::prove) struct Answer {
    /// Values of rows, and lines of COPY; NULL is `None`.
    pub(in crate::ops::prove) rows: Vec<Vec<Option<String>>>,
    /// What CommandComplete said: `UPDATE 0`.
    pub(in crate::ops::prove) tags: Vec<String>,
    /// The first error.
    pub(in crate::ops::prove) failed: Option<Failed>,
    /// The connection ended.
    pub(in crate::ops::prove) is_lost: bool,
}

/// An error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops::prove) struct Failed {
    pub(in crate::ops::prove) sqlstate: String,
    pub(in crate::ops::prove) message: String,
    /// PostgreSQL itself has said it: it names the routine in its source.
    pub(in crate::ops::prove) by_server: bool,
    /// The rule by which pgtenant has refused it.
    pub(in crate::ops::prove) rule: Option<String>,
}

impl Failed {
    /// That of an ErrorResponse.
    pub(super) fn read(body: &[u8]) -> Self {
        let report = backend::report(body);
        let mut fields = body.split(|byte| *byte == 0);
        let rule = fields.clone().find_map(|field| {
            let named = std::str::from_utf8(field).ok()?.strip_prefix(RULE)?;
            Some(named.trim_end_matches('.').to_owned())
        });
        Self {
            sqlstate: report.sqlstate,
            message: report.message,
            by_server: fields.any(|field| field.first() == Some(&b'R')),
            rule,
        }
    }

    /// The connection broke, or nothing came in time.
    pub(super) fn broken(message: impl fmt::Display) -> Self {
        Self {
            sqlstate: "08006".to_owned(),
            message: message.to_string(),
            by_server: false,
            rule: None,
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Some(rule) => write!(f, "{} ({}, rule {rule})", self.message, self.sqlstate),
            None => write!(f, "{} ({})", self.message, self.sqlstate),
        }
    }
}

impl Answer {
    /// The first value of the first row.
    pub(in crate::ops::prove) fn value(&self) -> Option<&str> {
        self.rows.first()?.first()?.as_deref()
    }

    /// Whether a value is, or has in it, this text.
    pub(in crate::ops::prove) fn shows(&self, text: &str) -> bool {
        let mut values = self.rows.iter().flatten().flatten();
        values.any(|value| value.contains(text))
    }

    /// The number of rows that the last statement with one touched.
    pub(in crate::ops::prove) fn touched(&self) -> Option<u64> {
        let count = |tag: &String| tag.rsplit(' ').next()?.parse().ok();
        self.tags.iter().rev().find_map(count)
    }

    /// Adds what the statements behind it were answered with.
    pub(super) fn row(&mut self, row: Vec<Option<String>>) {
        if self.rows.len() < MOST_ROWS {
            self.rows.push(row);
        }
    }
}
