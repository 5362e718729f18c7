//! Whose a series is, and the labels that say so.

use super::account::Subject;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// The tenant of what is counted for those that have no series of their own.
pub const OTHER: &str = "other";

/// Whose a series is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Whose {
    /// Those that lead to no tenant.
    Nobodys,
    /// All tenants that have no series of their own.
    Others,
    /// A tenant's, in its database.
    Own(Subject),
}

/// The labels that all series of a tenant have: written once, since there are dozens.
#[derive(Debug, Clone)]
pub(super) struct Labels {
    /// `tenant="…",database="…"`.
    text: String,
    /// The length of `tenant="…",database`.
    front: usize,
    database: Arc<str>,
}

impl Labels {
    pub(super) fn of(whose: &Whose) -> Self {
        let (tenant, database) = match whose {
            Whose::Nobodys => ("", Arc::default()),
            Whose::Others => (OTHER, Arc::default()),
            Whose::Own(Subject { tenant, database }) => (tenant.as_str(), database.clone()),
        };
        let mut text = String::with_capacity(tenant.len() + database.len() + 24);
        text.push_str("tenant=\"");
        escape(tenant, &mut text);
        text.push_str("\",database");
        let front = text.len();
        text.push_str("=\"");
        escape(&database, &mut text);
        text.push('"');
        Self {
            text,
            front,
            database,
        }
    }

    /// All of them as both formats have it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The same labels, and more behind them.
    pub(super) fn with<'a, const N: usize>(
        &'a self,
        more: [(&'static str, &'a str); N],
    ) -> With<'a, N> {
        With { labels: self, more }
    }
}

/// Writes a label's value as both formats have it.
fn escape(value: &str, text: &mut String) {
    if !value.contains(['\\', '"', '\n']) {
        return text.push_str(value);
    }
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let mut label = encoder.encode_label();
        let mut key = label.encode_label_key()?;
        key.write_str(self.text.get(..self.front).unwrap_or_default())?;
        let mut value = key.encode_label_value()?;
        value.write_str(&self.database)?;
        value.finish()
    }
}

/// Labels, and more behind them.
#[derive(Debug)]
pub(super) struct With<'a, const N: usize> {
    labels: &'a Labels,
    more: [(&'static str, &'a str); N],
}

impl<const N: usize> EncodeLabelSet for With<'_, N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        self.labels.encode(encoder)?;
        self.more.encode(encoder)
    }
}
