//! The settings that a query string sets and returns to their default, in order. A
//! string can name tens of thousands: the last change of each counts, and what it
//! comes to is found once, at the end.

use super::date_style::{DATE_STYLE, DateStyle};
use super::verdict::{Effects, Returned};
use std::collections::HashSet;

#[derive(Debug, Default)]
pub(super) struct SettingChanges {
    steps: Vec<(Box<str>, Step)>,
    /// So many came before the last reset of all, if there is one.
    before_reset: Option<usize>,
    /// What `DateStyle` was set to behind a return to its default, if there is one.
    date_style: Option<DateStyle>,
}

#[derive(Debug)]
struct Step {
    /// For the transaction alone.
    local: bool,
    /// It returns to its default: whether its statement is the only one.
    alone: Option<bool>,
}

impl SettingChanges {
    /// `name` gets a value.
    pub(super) fn set(&mut self, name: &str, local: bool) {
        self.steps.push((name.into(), Step { local, alone: None }));
    }

    /// `DateStyle` gets this value for the session.
    pub(super) fn set_date_style(&mut self, value: &str) {
        if let Some(date_style) = &mut self.date_style {
            date_style.take(value);
        }
    }

    /// `name` returns to its default, by a statement that stands `alone` or not.
    pub(super) fn returns(&mut self, name: &str, local: bool, alone: bool) {
        if name == DATE_STYLE && !local {
            self.date_style = Some(DateStyle::default());
        }
        let alone = Some(alone);
        self.steps.push((name.into(), Step { local, alone }));
    }

    /// All settings are reset.
    pub(super) fn reset(&mut self) {
        self.before_reset = Some(self.steps.len());
        self.date_style = Some(DateStyle::default());
    }

    /// Adds what they come to.
    pub(super) fn settle(self, effects: &mut Effects) {
        if self.steps.is_empty() {
            return;
        }
        effects.date_style = self.date_style.and_then(DateStyle::part);
        let known = effects.local_customs.iter().cloned();
        let mut customs: HashSet<Box<str>> = known.collect();
        for (name, _) in self.steps.iter().filter(|(_, step)| step.local) {
            if name.contains('.') && customs.insert(name.clone()) {
                effects.local_customs.push(name.clone());
            }
        }
        let mut last = HashSet::new();
        let (mut again, mut defaults) = (Vec::new(), Vec::new());
        for (at, (name, step)) in self.steps.iter().enumerate().rev() {
            if !last.insert(&**name) {
                continue;
            }
            match step.alone {
                Some(alone) => defaults.push(Returned {
                    name: name.clone(),
                    local: step.local,
                    alone,
                }),
                None if step.local => {}
                None if self.before_reset.is_some_and(|before| before <= at) => {
                    again.push(name.clone());
                }
                None => {}
            }
        }
        effects
            .defaults
            .retain(|known| !last.contains(&*known.name));
        effects.defaults.extend(defaults.into_iter().rev());
        effects.set_again.extend(again.into_iter().rev());
    }
}
