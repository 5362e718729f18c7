//! What is recorded of a client's statements.

use super::statement::{Statements, Text};

/// What is recorded of a client's statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Which are recorded.
    pub statements: Statements,
    /// What is recorded of their text.
    pub text: Text,
}

impl Rules {
    /// Nothing is recorded.
    pub const OFF: Self = Self {
        statements: Statements::None,
        text: Text::None,
    };

    /// Whether statements that run are recorded, some of them at least.
    #[must_use]
    pub fn follow(self) -> bool {
        self.statements > Statements::Refused
    }
}
