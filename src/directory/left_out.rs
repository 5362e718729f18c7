//! Telling of what was left out, once.

use crate::problem::Problem;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

/// The most problems of one directory that the log tells of one by one.
const MOST_LINES: usize = 100;

/// The problems that were told of, by their hashes.
#[derive(Debug, Default)]
pub(super) struct Reported {
    hasher: RandomState,
    known: HashSet<u64>,
}

impl Reported {
    /// Tells of every problem that is new, and forgets those that are gone.
    pub(super) fn report(&mut self, problems: &[Problem]) {
        let hash = |problem: &Problem| self.hasher.hash_one(problem.to_string());
        let now: HashSet<_> = problems.iter().map(hash).collect();
        let is_new = |problem: &&Problem| !self.known.contains(&hash(problem));
        let new = problems.iter().filter(is_new);
        for problem in new.clone().take(MOST_LINES) {
            tracing::warn!(target: "pgtenant::directory", %problem, "left out of the tenant directory");
        }
        let more = new.count().saturating_sub(MOST_LINES);
        if more > 0 {
            tracing::warn!(target: "pgtenant::directory", more, "left out of the tenant directory too");
        }
        self.known = now;
    }
}
