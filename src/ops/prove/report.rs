//! What the tests have shown, promise by promise.

use super::promises::{PROMISES, Promise};
use serde_json::{Value, json};
use std::fmt;

/// What a test has shown. The text says what was seen, or why nothing was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was tried, and the promise held.
    Held(String),
    /// The promise does not hold.
    Broken(String),
    /// There is nothing to try in this deployment.
    NotApplicable(String),
    /// It was not tried, or what came back tells nothing.
    NotTested(String),
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Held(_) => "held",
            Self::Broken(_) => "broken",
            Self::NotApplicable(_) => "not applicable",
            Self::NotTested(_) => "not tested",
        }
    }

    /// What was seen, or why nothing was.
    #[must_use]
    pub fn detail(&self) -> &str {
        match self {
            Self::Held(text)
            | Self::Broken(text)
            | Self::NotApplicable(text)
            | Self::NotTested(text) => text,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.word(), self.detail())
    }
}

/// A test, and what it has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Its name, which stays.
    pub id: String,
    /// The promise that it is about.
    pub promise: &'static str,
    /// What was done.
    pub what: String,
    /// What it has shown.
    pub outcome: Outcome,
}

/// How many tests have shown what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the outcomes")]
pub struct Counts {
    pub held: usize,
    pub broken: usize,
    pub not_applicable: usize,
    pub not_tested: usize,
}

impl Counts {
    fn of<'a>(tests: impl Iterator<Item = &'a Test>) -> Self {
        let mut counts = Self::default();
        for test in tests {
            *match test.outcome {
                Outcome::Held(_) => &mut counts.held,
                Outcome::Broken(_) => &mut counts.broken,
                Outcome::NotApplicable(_) => &mut counts.not_applicable,
                Outcome::NotTested(_) => &mut counts.not_tested,
            } += 1;
        }
        counts
    }

    /// The word for all of them: broken if one is, held only if none was left untested.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self { broken: 1.., .. } => "broken",
            Self {
                held: 1..,
                not_tested: 0,
                ..
            } => "held",
            Self { held: 1.., .. } => "held in part",
            Self {
                not_tested: 1.., ..
            } => "not tested",
            _ => "not applicable",
        }
    }

    fn to_json(self) -> Value {
        json!({
            "held": self.held,
            "broken": self.broken,
            "not_applicable": self.not_applicable,
            "not_tested": self.not_tested,
        })
    }
}

/// What was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Host and port that the logins went to.
    pub address: String,
    /// Protocol and cipher suite of TLS; none in clear text.
    pub tls: Option<String>,
    /// By what tenants are kept apart: `setting`, `schema` or `database`.
    pub kind: &'static str,
    /// The setting that carries the tenant, in kind `setting`.
    pub setting: Option<String>,
    /// The version of PostgreSQL.
    pub server_version: String,
    /// The databases of the two logins.
    pub databases: Vec<String>,
    /// The names of the logins.
    pub logins: Vec<String>,
    /// How many tables were compared, and how many were left out.
    pub tables: (usize, usize),
}

/// The whole report.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What was looked at.
    pub subject: Subject,
    /// When it began, in UTC.
    pub begun: String,
    /// When it ended.
    pub ended: String,
    /// All tests, in the order in which they were made.
    pub tests: Vec<Test>,
}

impl Report {
    /// The tests of a promise.
    pub fn tests_of(&self, promise: &str) -> impl Iterator<Item = &Test> {
        self.tests
            .iter()
            .filter(move |test| test.promise == promise)
    }

    /// How many of its tests have shown what.
    #[must_use]
    pub fn counts_of(&self, promise: &str) -> Counts {
        Counts::of(self.tests_of(promise))
    }

    /// How many of all tests have shown what.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::of(self.tests.iter())
    }

    /// The word for a promise. One without tests was not tested.
    #[must_use]
    pub fn word_of(&self, promise: &Promise) -> &'static str {
        match self.tests_of(promise.id).next() {
            None => "not tested",
            Some(_) => self.counts_of(promise.id).word(),
        }
    }

    /// The report for programs. `version` is that of this form: keys are added without a
    /// change of it, and never removed or renamed.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let subject = &self.subject;
        json!({
            "format": "pgtenant-proof",
            "version": 1,
            "pgtenant": env!("CARGO_PKG_VERSION"),
            "begun": self.begun,
            "ended": self.ended,
            "address": subject.address,
            "tls": subject.tls,
            "kind": subject.kind,
            "setting": subject.setting,
            "server_version": subject.server_version,
            "databases": subject.databases,
            "logins": subject.logins,
            "tables": { "compared": subject.tables.0, "left_out": subject.tables.1 },
            "result": self.counts().word(),
            "counts": self.counts().to_json(),
            "promises": PROMISES.iter().map(|promise| self.promise(promise)).collect::<Vec<_>>(),
        })
    }

    fn promise(&self, promise: &Promise) -> Value {
        let tests = self.tests_of(promise.id).map(|test| {
            json!({
                "id": test.id,
                "what": test.what,
                "result": test.outcome.word(),
                "detail": test.outcome.detail(),
            })
        });
        json!({
            "id": promise.id,
            "title": promise.title,
            "result": self.word_of(promise),
            "reason": promise.unseen,
            "tests": tests.collect::<Vec<_>>(),
        })
    }
}
