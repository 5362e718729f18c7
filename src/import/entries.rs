//! The lines of `[databases]`, `[users]` and `[peers]`.

use super::connect::{Pair, pairs};
use super::ini::{Section, Setting};
use super::values;
use crate::problem::Problem;
use std::collections::BTreeSet;

/// A line, split into its parts.
pub(super) struct Entry<'a> {
    pub(super) setting: &'a Setting,
    pub(super) pairs: Vec<Pair>,
}

impl Entry<'_> {
    /// The name before the equals sign.
    pub(super) fn name(&self) -> &str {
        &self.setting.key
    }

    /// The value of a parameter.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let pair = self.pairs.iter().find(|pair| pair.key == key)?;
        Some(&pair.value)
    }

    /// A number that is not the -1 of "not set".
    pub(super) fn number(&self, key: &str, problems: &mut Vec<Problem>) -> Option<i64> {
        let number = values::integer(self.get(key)?);
        if number.is_none() {
            problems.push(self.problem(key, "must be a whole number"));
        }
        number.filter(|number| *number >= 0)
    }

    /// Something that is wrong with a parameter.
    pub(super) fn problem(&self, key: &str, reason: &str) -> Problem {
        let path = format!("{}.{key}", self.name());
        self.setting.at.problem(Some(&path), reason)
    }
}

/// The entries of a section; of several with one name the last, as in PgBouncer.
pub(super) fn read<'a>(
    settings: &'a [Setting],
    section: Section,
    problems: &mut Vec<Problem>,
) -> Vec<Entry<'a>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for setting in settings.iter().filter(|one| one.section == section) {
        let refuse = |reason| setting.at.problem(Some(&setting.key), reason);
        match pairs(&setting.value) {
            Ok(pairs) => {
                let mut seen = BTreeSet::new();
                if let Some(twice) = pairs.iter().find(|pair| !seen.insert(&pair.key)) {
                    problems.push(refuse(format!("{} stands twice", twice.key)));
                }
                entries.retain(|entry| entry.setting.key != setting.key);
                entries.push(Entry { setting, pairs });
            }
            Err(reason) => problems.push(refuse(reason)),
        }
    }
    entries
}
