//! All that is wrong with a configuration.

use crate::directory::Files;
use crate::problem::Problem;
use std::fmt;

/// Everything that is wrong with a configuration; at least one problem.
///
/// Shown one problem per line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    files: Files,
}

impl Problems {
    pub(super) fn new(list: Vec<Problem>, files: Files) -> Self {
        Self { list, files }
    }

    /// The problems, in the order of the sections.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none; [`load`](super::load) never returns such.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The files that were read, or were to be.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.list.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
