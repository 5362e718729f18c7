//! Which relations of a database are known to be plain tables, as that changes.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names of relations, without schema, as in pg_class.
pub(super) type Names = HashSet<Box<str>>;

/// The plain tables of one database, which all its guards share.
///
/// A name belongs to them if every relation outside pg_catalog and
/// information_schema that bears it is an ordinary or partitioned table without
/// rules. While nothing is known, no relation is a plain table.
///
/// The names come from outside: whoever reads them takes a [`Mark`] first, and
/// [publishes](Self::publish) them with it. A statement that may give a plain
/// table's name to another relation ends what is known as soon as it is
/// [sent](Self::unsettle): only names that were read after its transaction hold
/// again.
#[derive(Default)]
pub struct PlainRelations {
    /// Grows with each change of what is in force.
    as_of: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    in_force: Arc<Names>,
    /// The names in force are those of the database.
    is_known: bool,
    /// So many transactions are under way that may change them.
    changing: usize,
    /// How often such transactions have begun.
    changes: u64,
    /// Nothing will be known any more.
    is_retired: bool,
}

/// The moment before the names were read.
#[derive(Debug, Clone, Copy)]
pub struct Mark(u64);

/// A transaction that may give the name of a plain table to another relation.
/// Dropped at its end.
pub struct Unsettled(Arc<PlainRelations>);

impl PlainRelations {
    /// The names are read after this.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.state().changes)
    }

    /// Takes the names that were read after `mark`. Returns whether they hold: not
    /// if a transaction that may change them was under way meanwhile, or is.
    pub fn publish(&self, mark: Mark, names: Names) -> bool {
        let mut state = self.state();
        if state.is_retired || state.changing > 0 || state.changes != mark.0 {
            return false;
        }
        state.is_known = true;
        if *state.in_force != names {
            self.put_in_force(&mut state, names);
        }
        true
    }

    /// Nothing is known any more, until names are published.
    pub fn forget(&self) {
        let mut state = self.state();
        state.is_known = false;
        if !state.in_force.is_empty() {
            self.put_in_force(&mut state, Names::new());
        }
    }

    /// Nothing is known from now on, whatever is published.
    pub fn retire(&self) {
        self.state().is_retired = true;
        self.forget();
    }

    /// Nothing is known any more while a transaction may change what names mean,
    /// and until names are published that were read after it.
    #[must_use]
    pub fn unsettle(self: &Arc<Self>) -> Unsettled {
        {
            let mut state = self.state();
            state.changing += 1;
            state.changes += 1;
        }
        self.forget();
        Unsettled(self.clone())
    }

    /// Whether nothing is known, and what is read now may hold.
    #[must_use]
    pub fn are_wanted(&self) -> bool {
        let state = self.state();
        !state.is_known && state.changing == 0
    }

    /// What a verdict rests on that is given from now on: a number that is another
    /// one after each change.
    pub(super) fn as_of(&self) -> u64 {
        self.as_of.load(Ordering::Acquire)
    }

    /// The names in force, and what [`Self::as_of`] says of them.
    pub(super) fn in_force(&self) -> (u64, Arc<Names>) {
        let state = self.state();
        (self.as_of(), state.in_force.clone())
    }

    fn put_in_force(&self, state: &mut State, names: Names) {
        state.in_force = Arc::new(names);
        // Under the lock: who sees the number finds these names or later ones.
        self.as_of.fetch_add(1, Ordering::Release);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for PlainRelations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        f.debug_struct("PlainRelations")
            .field("is_known", &state.is_known)
            .field("names", &state.in_force.len())
            .field("changing", &state.changing)
            .finish_non_exhaustive()
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        self.0.state().changing -= 1;
    }
}

impl std::fmt::Debug for Unsettled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unsettled")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Names {
        names.iter().map(|name| Box::from(*name)).collect()
    }

    #[test]
    fn names_that_are_known_already_change_nothing() {
        let relations = PlainRelations::default();
        assert!(relations.are_wanted());
        assert!(relations.publish(relations.mark(), names(&["t"])));
        let (as_of, first) = relations.in_force();
        assert!(relations.publish(relations.mark(), names(&["t"])));
        let (again, second) = relations.in_force();
        assert!(as_of == again && Arc::ptr_eq(&first, &second));
        assert!(relations.publish(relations.mark(), names(&["u"])));
        assert_ne!(relations.as_of(), as_of);
        assert!(!relations.are_wanted());
    }

    #[test]
    fn what_was_read_before_the_end_of_a_change_does_not_hold() {
        let relations = Arc::new(PlainRelations::default());
        let before = relations.mark();
        assert!(relations.publish(before, names(&["t"])));
        let first = relations.unsettle();
        assert!(relations.in_force().1.is_empty());
        let within = relations.mark();
        let second = relations.unsettle();
        drop(first);
        assert!(!relations.are_wanted());
        assert!(!relations.publish(relations.mark(), names(&["t"])));
        drop(second);
        assert!(!relations.publish(before, names(&["t"])));
        assert!(!relations.publish(within, names(&["t"])));
        assert!(relations.are_wanted() && relations.in_force().1.is_empty());
        assert!(relations.publish(relations.mark(), names(&["t"])));
        assert_eq!(*relations.in_force().1, names(&["t"]));
    }
}
