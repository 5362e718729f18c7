//! `[pgbouncer]`: its keys, and which of them have been translated.

use super::ini::{Section, Setting};
use super::values;
use crate::problem::Problem;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The settings of the section; of several with one key the last.
pub(super) struct Main<'a> {
    settings: BTreeMap<&'a str, &'a Setting>,
    translated: BTreeSet<&'a str>,
}

impl<'a> Main<'a> {
    pub(super) fn new(settings: &'a [Setting]) -> Self {
        let main = settings.iter().filter(|one| one.section == Section::Main);
        Self {
            settings: main.map(|one| (one.key.as_str(), one)).collect(),
            translated: BTreeSet::new(),
        }
    }

    /// The value of the key, which may be told of elsewhere.
    pub(super) fn peek(&self, key: &str) -> Option<&'a str> {
        self.settings.get(key).map(|one| one.value.as_str())
    }

    /// The setting, which is translated hereby.
    pub(super) fn take(&mut self, key: &str) -> Option<&'a Setting> {
        let setting = *self.settings.get(key)?;
        self.translated.insert(&setting.key);
        Some(setting)
    }

    /// The same, if it says anything.
    pub(super) fn text(&mut self, key: &str) -> Option<&'a Setting> {
        self.peek(key).filter(|value| !value.is_empty())?;
        self.take(key)
    }

    /// A whole number.
    pub(super) fn integer(
        &mut self,
        key: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<(i64, &'a Setting)> {
        let setting = self.take(key)?;
        let number = values::integer(&setting.value);
        if number.is_none() {
            let problem = setting.at.problem(Some(key), "must be a whole number");
            problems.push(problem);
        }
        Some((number?, setting))
    }

    /// A length of time in seconds.
    pub(super) fn seconds(
        &mut self,
        key: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<(Duration, &'a Setting)> {
        let setting = self.take(key)?;
        let length = values::seconds(&setting.value);
        if length.is_none() {
            let problem = setting.at.problem(Some(key), "must be a number of seconds");
            problems.push(problem);
        }
        Some((length?, setting))
    }

    /// One of several words, whose case does not matter.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &str,
        words: &[(&str, T)],
        problems: &mut Vec<Problem>,
    ) -> Option<(T, &'a Setting)> {
        let setting = self.take(key)?;
        let found = words
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(&setting.value));
        if found.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let reason = format!("must be one of {}", words.join(", "));
            problems.push(setting.at.problem(Some(key), reason));
        }
        Some((found?.1, setting))
    }

    /// Notes that the setting says nothing that could be translated.
    pub(super) fn leave(&mut self, setting: &Setting) {
        self.translated.remove(setting.key.as_str());
    }

    /// Whether the key has been translated.
    pub(super) fn is_translated(&self, key: &str) -> bool {
        self.translated.contains(key)
    }
}
