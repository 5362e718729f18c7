//! What tells whether an attack has got anywhere.

use super::rows::{Compared, at_places, hashes};
use super::scene::{Kind, Scene};
use super::text::{identifier, literal};
use super::wire::{Answer, Session};
use std::collections::HashSet;

/// What shows that a session sees what is another tenant's.
pub(super) struct Observer {
    /// The setting that carries the tenant, with both tenants' values.
    setting: Option<(String, String, String)>,
    /// The query that asks for the other tenant's rows.
    rows: Option<String>,
    /// The same by the name of the other tenant's schema.
    qualified: Option<String>,
    /// Hashes of rows that the other tenant alone has.
    hashes: HashSet<String>,
    /// The table that the rows are of is sealed.
    pub(super) is_sealed: bool,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing of the other tenant.
    Nothing,
    /// A row of the other tenant.
    Rows,
    /// The setting holds the other tenant's value.
    Setting,
    /// A setting on which the reading of SQL depends has changed.
    Reading(String),
    /// It could not be seen.
    Unclear(String),
}

impl Observer {
    /// For attacks of the first login on rows that the comparison has found to be the other's
    /// alone, of a sealed table if there is one; `swapped`: the other way round.
    pub(super) fn new(scene: &Scene, compared: &[Compared], swapped: bool) -> Self {
        let (own, other) = match swapped {
            false => (&scene.own, &scene.other),
            true => (&scene.other, &scene.own),
        };
        let theirs = |one: &&Compared| {
            let rows = if swapped { &one.own } else { &one.other };
            !rows.is_empty() && (scene.kind != Kind::Setting || one.table.has_places)
        };
        let mut found: Vec<&Compared> = compared.iter().filter(theirs).collect();
        found.sort_by_key(|one| !one.table.is_sealed);
        let found = found.first();
        let rows = found.map(|one| if swapped { &one.own } else { &one.other });
        let table = found.map(|one| &one.table);
        let query = table.zip(rows).map(|(table, rows)| match scene.kind {
            Kind::Setting => at_places(table, rows),
            // The name that leads to one's own table, and by another path to the other's.
            Kind::Schema | Kind::Database => format!("{} LIMIT 50", hashes(table))
                .replace(&table.name(), &identifier(&table.relation)),
        });
        Self {
            setting: scene
                .setting
                .clone()
                .map(|name| (name, own.value.clone(), other.value.clone())),
            rows: query,
            qualified: table
                .filter(|_| scene.kind == Kind::Schema)
                .map(|table| format!("{} LIMIT 50", hashes(table))),
            hashes: rows
                .into_iter()
                .flatten()
                .map(|row| row.hash.clone())
                .collect(),
            is_sealed: table.is_some_and(|table| table.is_sealed),
        }
    }

    /// One that knows of nothing.
    #[cfg(test)]
    pub(super) fn blind() -> Self {
        Self {
            setting: None,
            rows: None,
            qualified: None,
            hashes: HashSet::new(),
            is_sealed: false,
        }
    }

    /// The query that asks for the other tenant's rows; one that asks for none where no
    /// such row is known.
    pub(super) fn rows(&self) -> &str {
        self.rows
            .as_deref()
            .unwrap_or("SELECT NULL::text WHERE false")
    }

    /// Whether there is anything to be seen.
    pub(super) fn is_blind(&self) -> bool {
        self.setting.is_none() && self.hashes.is_empty()
    }

    /// Whether no row is known that could be looked for.
    pub(super) fn is_without_rows(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether an answer has rows of the other tenant in it.
    pub(super) fn has_rows(&self, answer: &Answer) -> bool {
        let mut values = answer.rows.iter().flatten().flatten();
        values.any(|value| {
            self.hashes.contains(value)
                || self.hashes.iter().any(|hash| value.contains(hash.as_str()))
        })
    }

    /// Looks, in the state in which the session is now.
    pub(super) async fn look(&self, session: &mut Session) -> Seen {
        if let Some((name, _, theirs)) = &self.setting {
            let sql = format!("SELECT current_setting({}, true)", literal(name));
            let answer = session.query(&sql).await;
            match (&answer.failed, answer.value()) {
                (None, Some(value)) if value.eq_ignore_ascii_case(theirs) => {
                    // Rows matter more.
                    return match self.look_at_rows(session).await {
                        Seen::Rows => Seen::Rows,
                        _ => Seen::Setting,
                    };
                }
                (None, _) => {}
                (Some(failed), _) => return Seen::Unclear(failed.to_string()),
            }
        }
        let sql = "SELECT current_setting('standard_conforming_strings'), current_setting('client_encoding')";
        let answer = session.query(sql).await;
        let reading: Vec<_> = answer
            .rows
            .iter()
            .flatten()
            .flatten()
            .map(String::as_str)
            .collect();
        match reading.as_slice() {
            ["on", "UTF8" | "SQL_ASCII"] => {}
            [strings, encoding] => {
                return Seen::Reading(format!(
                    "standard_conforming_strings is {strings}, client_encoding {encoding}"
                ));
            }
            _ => {
                let failed = answer.failed.map(|failed| failed.to_string());
                return Seen::Unclear(failed.unwrap_or_else(|| "nothing was answered".to_owned()));
            }
        }
        self.look_at_rows(session).await
    }

    /// Looks for rows of the other tenant alone.
    pub(super) async fn look_at_rows(&self, session: &mut Session) -> Seen {
        for query in [&self.rows, &self.qualified].into_iter().flatten() {
            let answer = session.query(query).await;
            if self.has_rows(&answer) {
                return Seen::Rows;
            }
            match answer.failed {
                // No right, no such table on the path, no tenant: no rows.
                Some(failed)
                    if !["42501", "42P01", "42704", "22P02", "25P02", "3F000"]
                        .contains(&&*failed.sqlstate) =>
                {
                    return Seen::Unclear(failed.to_string());
                }
                _ => {}
            }
        }
        Seen::Nothing
    }
}
