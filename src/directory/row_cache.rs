//! What has been read of rows, kept for the next time that they come: of a
//! hundred thousand, most are as they were.

use super::rows::{Row, Rows};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::Arc;

/// What was read of each row of an answer; none where it was not valid.
pub(super) struct RowCache<T> {
    rows: Arc<Rows>,
    read: Vec<Option<Arc<T>>>,
}

impl<T> Default for RowCache<T> {
    fn default() -> Self {
        Self {
            rows: Arc::default(),
            read: Vec::new(),
        }
    }
}

impl<T> RowCache<T> {
    /// Reads the rows, except those that were valid `before`.
    pub(super) fn new(
        rows: &Arc<Rows>,
        before: &Self,
        mut read: impl FnMut(Row<'_>) -> Option<T>,
    ) -> Self {
        let state = RandomState::default();
        let known = before.index(rows.columns(), &state);
        let reading = |row: Row<'_>| {
            let at = known.get(&state.hash_one(row));
            let same = at.and_then(|at| before.known(*at, row));
            same.or_else(|| read(row).map(Arc::new))
        };
        Self {
            rows: rows.clone(),
            read: rows.iter().map(reading).collect(),
        }
    }

    /// What was valid, in the rows' order.
    pub(super) fn valid(&self) -> impl Iterator<Item = &Arc<T>> {
        self.read.iter().flatten()
    }

    /// Where rows are, by their hashes, if these are the columns.
    fn index(&self, columns: &[String], state: &RandomState) -> HashMap<u64, usize, RandomState> {
        if self.rows.columns() != columns {
            return HashMap::default();
        }
        let rows = self.rows.iter().map(|row| state.hash_one(row));
        rows.enumerate().map(|(at, hash)| (hash, at)).collect()
    }

    /// What was read of the row at this place, if it is the same.
    fn known(&self, at: usize, row: Row<'_>) -> Option<Arc<T>> {
        let is_same = self.rows.row(at).is_some_and(|known| known == row);
        self.read.get(at).filter(|_| is_same)?.clone()
    }
}
