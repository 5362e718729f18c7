//! Statements that have run.

use super::event::micros;
use super::json::{self, Fields};
use std::time::Duration;

/// Which statements are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statements {
    /// None.
    None,
    /// Those that are refused.
    Refused,
    /// Those too that may change something.
    Write,
    /// All.
    All,
}

/// What is recorded of a statement's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// Nothing.
    None,
    /// The text without its literals.
    Shape,
    /// The text.
    Full,
}

/// What a statement is, as pgaudit classes it, and the relations that it names: written
/// once for all times that it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// `["READ","WRITE",…],"relations":[…]`
    json: Box<[u8]>,
    /// It may change something.
    writes: bool,
}

/// What the statements of a query string are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    statements: Box<[Description]>,
    /// The text without literals.
    shape: Box<str>,
}

impl Described {
    /// Puts together what is known of each, and of the text.
    #[must_use]
    pub fn new(statements: Vec<Description>, shape: &str) -> Self {
        Self {
            statements: statements.into(),
            shape: shape.into(),
        }
    }

    /// The statement of this place, from 0 on.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Description> {
        self.statements.get(index)
    }

    /// How many statements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// Whether one of them may change something.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.statements.iter().any(Description::writes)
    }

    /// The text without literals.
    #[must_use]
    pub fn shape(&self) -> &str {
        &self.shape
    }

    /// The memory that it takes, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let each = self.statements.iter().map(Description::size);
        size_of::<Self>() + self.shape.len() + each.sum::<usize>()
    }
}

/// A class of pgaudit's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// `SELECT`, and `COPY` from a relation or query.
    Read,
    /// `INSERT`, `UPDATE`, `DELETE`, `MERGE`, `TRUNCATE`, and `COPY` to a relation.
    Write,
    /// Function calls and `DO`.
    Function,
    /// What changes roles and privileges.
    Role,
    /// What defines objects otherwise.
    Ddl,
    /// Everything else: `SET`, `FETCH`, `CHECKPOINT`, `VACUUM`, …
    Misc,
}

impl Class {
    /// As pgaudit has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::Function => "FUNCTION",
            Self::Role => "ROLE",
            Self::Ddl => "DDL",
            Self::Misc => "MISC",
        }
    }
}

impl Description {
    /// Describes a statement by its classes and relations.
    #[must_use]
    pub fn new(classes: &[Class], relations: &[String]) -> Self {
        let mut json = Vec::new();
        json::write_list(classes.iter().map(|class| class.name()), &mut json);
        Fields::behind(&mut json).list("relations", relations);
        let quiet = |class: &Class| matches!(class, Class::Read | Class::Misc);
        Self {
            writes: !classes.iter().all(quiet),
            json: json.into(),
        }
    }

    /// The classes as a list in JSON, and more fields behind it.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// Whether it may change something.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.writes
    }

    /// The memory that it takes, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.json.len()
    }
}

/// What became of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It was carried out, with this command tag.
    Done(&'a str),
    /// It failed, with this SQLSTATE.
    Failed(&'a str),
    /// It did not run: one before it failed.
    Skipped,
    /// It stopped at the number of rows that the client had asked for.
    Suspended,
    /// The connection was lost before its answer came.
    Unknown,
}

/// A statement that has run.
#[derive(Debug, Clone, Copy)]
pub struct Ran<'a> {
    /// Its number in the session.
    pub statement: u64,
    /// Its place in its query string, from 1 on; 0: it is the only one.
    pub part: usize,
    /// What it is.
    pub description: Option<&'a Description>,
    /// What became of it.
    pub outcome: Outcome<'a>,
    /// From when it was sent to its answer.
    pub duration: Duration,
    /// Its text, as the settings want it.
    pub text: Option<&'a str>,
}

impl Ran<'_> {
    pub(super) fn write(&self, fields: &mut Fields<'_>) {
        fields.number("statement", self.statement);
        if self.part > 0 {
            fields.number("part", self.part as u64);
        }
        if let Some(description) = self.description {
            fields.written("classes", &description.json);
        }
        match self.outcome {
            Outcome::Done(tag) => {
                fields.text("outcome", "done").text("tag", tag);
                let rows = tag.rsplit(' ').next().and_then(|rows| rows.parse().ok());
                if let Some(rows) = rows {
                    fields.number("rows", rows);
                }
            }
            Outcome::Failed(sqlstate) => {
                fields.text("outcome", "failed").text("sqlstate", sqlstate);
            }
            Outcome::Skipped => {
                fields.text("outcome", "skipped");
            }
            Outcome::Suspended => {
                fields.text("outcome", "suspended");
            }
            Outcome::Unknown => {
                fields.text("outcome", "unknown");
            }
        }
        fields
            .number("duration_us", micros(self.duration))
            .optional("text", self.text);
    }
}
