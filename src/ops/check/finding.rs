//! What was found, and in what order and form it is told.

use super::catalogue::Check;
use crate::config::Ignored;
use serde_json::{Value, json};
use std::fmt;

/// The checks whose fixes replace conditions of a policy.
const REWRITES_POLICY: [&str; 6] = ["PGT301", "PGT302", "PGT303", "PGT304", "PGT309", "PGT310"];

/// The checks that go by the conditions as they stand: a policy's speed, and the
/// index that it can use.
const SPEED_OF_POLICY: &str = "PGT305";
const INDEX_OF_POLICY: &str = "PGT208";

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Tenants are not kept apart, or a single mistake away from it.
    Error,
    /// A way around for somebody who has found another one, or a leak of little.
    Warning,
    /// Good to know: speed, and what cannot be told by looking.
    Notice,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        })
    }
}

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the configuration.
    Configuration,
    /// In what all databases of a server share; its name in the configuration.
    Server(String),
    /// In a database of a server.
    Database {
        /// The server, by its name in the configuration.
        server: String,
        /// The database.
        database: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration => f.write_str("configuration"),
            Self::Server(server) => write!(f, "server {server}"),
            Self::Database { server, database } => write!(f, "database {database} of {server}"),
        }
    }
}

/// One thing that should be changed.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The check that found it.
    pub check: &'static Check,
    /// Where.
    pub place: Place,
    /// What: `table public.users`, `guard.mode`.
    pub object: String,
    /// What was seen.
    pub detail: Option<String>,
    /// The SQL, or the line of the configuration, that changes it.
    pub fix: Option<String>,
}

/// A database that was looked at.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Where.
    pub place: Place,
    /// As whom.
    pub user: String,
    /// The server's version, such as `15.14`.
    pub version: String,
}

/// Everything that the checks found.
#[derive(Debug, Default)]
pub struct Report {
    /// What was found, errors first.
    pub findings: Vec<Finding>,
    /// The databases that were looked at.
    pub checked: Vec<Checked>,
    /// What could not be looked at, and why.
    pub failures: Vec<(Place, String)>,
    /// How many findings were left out because they are known.
    pub ignored: usize,
    /// What was to be left out and was not found.
    pub not_found: Vec<Ignored>,
}

impl Report {
    /// How many findings have this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let of = |finding: &&Finding| finding.check.severity == severity;
        self.findings.iter().filter(of).count()
    }

    /// Leaves out the findings that are known and accepted.
    pub fn ignore(&mut self, ignored: &[Ignored]) {
        let is_meant = |finding: &Finding, one: &Ignored| {
            let object = one.object.as_ref();
            finding.check.id == one.id && object.is_none_or(|object| *object == finding.object)
        };
        let is_unused = |one: &&Ignored| !self.findings.iter().any(|found| is_meant(found, one));
        self.not_found = ignored.iter().filter(is_unused).cloned().collect();
        let before = self.findings.len();
        self.findings
            .retain(|finding| !ignored.iter().any(|one| is_meant(finding, one)));
        self.ignored += before - self.findings.len();
    }

    /// Leaves out the findings that matter less than this.
    pub fn keep(&mut self, least: Severity) {
        self.findings
            .retain(|finding| finding.check.severity <= least);
    }

    /// Puts the findings in their order, each once, so that their fixes can be
    /// run one after another.
    pub(super) fn arrange(&mut self) {
        self.findings.sort_by(|a, b| key(a).cmp(&key(b)));
        self.findings.dedup_by(|a, b| key(a) == key(b));
        self.rewrite_once();
    }

    /// A fix has the condition of a policy as it stands now: where there are two of
    /// a policy, the second would undo the first. How fast a policy is does not
    /// matter while it must be rewritten.
    fn rewrite_once(&mut self) {
        let mut rewritten = Vec::<(Place, String, &'static str)>::new();
        for finding in &mut self.findings {
            if !REWRITES_POLICY.contains(&finding.check.id) || finding.fix.is_none() {
                continue;
            }
            let (place, object) = (&finding.place, &finding.object);
            let first = rewritten.iter().find(|(p, o, _)| (p, o) == (place, object));
            if let Some((.., id)) = first {
                let detail = finding.detail.take().unwrap_or_default();
                finding.detail = Some(format!("{detail}; put right first what {id} says of it"));
                finding.fix = None;
            } else {
                rewritten.push((place.clone(), object.clone(), finding.check.id));
            }
        }
        self.findings.retain(|finding| {
            let table = finding.object.strip_prefix("table ");
            let is_touched = |object: &str| match finding.check.id {
                SPEED_OF_POLICY => object == finding.object,
                INDEX_OF_POLICY => {
                    table.is_some_and(|table| object.ends_with(&format!(" on {table}")))
                }
                _ => false,
            };
            !rewritten
                .iter()
                .any(|(place, object, _)| *place == finding.place && is_touched(object))
        });
    }

    /// The report for programs. `version` is that of this form: keys are added
    /// without a change of it, and never removed or renamed.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "version": 1,
            "counts": {
                "error": self.count(Severity::Error),
                "warning": self.count(Severity::Warning),
                "notice": self.count(Severity::Notice),
            },
            "ignored": self.ignored,
            "ignored_without_need": self.not_found.iter().map(Ignored::to_string).collect::<Vec<_>>(),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "checked": self.checked.iter().map(|checked| {
                let (server, database) = place(&checked.place);
                json!({
                    "server": server,
                    "database": database,
                    "user": checked.user,
                    "server_version": checked.version,
                })
            }).collect::<Vec<_>>(),
            "failures": self.failures.iter().map(|(at, why)| {
                let (server, database) = place(at);
                json!({"server": server, "database": database, "error": why})
            }).collect::<Vec<_>>(),
        })
    }
}

fn key(finding: &Finding) -> impl Ord + '_ {
    (
        finding.check.severity,
        finding.check.id,
        &finding.place,
        &finding.object,
        &finding.detail,
    )
}

fn finding(finding: &Finding) -> Value {
    let (server, database) = place(&finding.place);
    json!({
        "id": finding.check.id,
        "severity": finding.check.severity.to_string(),
        "title": finding.check.title,
        "server": server,
        "database": database,
        "object": finding.object,
        "detail": finding.detail,
        "why": finding.check.why,
        "fix": finding.fix,
    })
}

fn place(place: &Place) -> (Option<&str>, Option<&str>) {
    match place {
        Place::Configuration => (None, None),
        Place::Server(server) => (Some(server), None),
        Place::Database { server, database } => (Some(server), Some(database)),
    }
}
