//! The guard: from a statement to a verdict. Pure: no I/O, no async.
//!
//! Each isolation has a [`Guard`] of its own, because what is protected differs
//! (the tenant's setting, or `search_path`). [`Guard::inspect`] parses the text
//! with PostgreSQL's own grammar, walks every statement of it and says whether
//! it may be forwarded, and what it does to the session if it is. The [`rules`]
//! say what is refused; whatever no rule knows is refused too.
//!
//! It reads the text alone. Code that lies in the database already (functions,
//! operators, triggers, views, rules, constraints of domains) runs unseen: calls
//! of functions outside pg_catalog make a statement *doubtful*, and so do relations
//! that are not known to be plain tables ([`PlainRelations`]). Only a sealed context or
//! a role for each tenant holds against what they do.
//!
//! The views of all sessions show a client its own rows: the server is sent a query for
//! these in the place of the view's name ([`Verdict::instead`]), and that text is judged.
//!
//! The text is limited ([`Policy::max_length`]), because parsing can take 130 times
//! its length in memory, and half a second for each MiB (measured on
//! `SELECT a,a,…`; a long `INSERT` takes 7 times, a list of numbers 13 times). Neither the parser (its stack is on the
//! heap) nor the walk recurses, so no nesting can overflow a thread's stack.

mod answer;
mod cache;
mod date_style;
mod definitions;
mod description;
mod expression;
mod fast_path;
mod folding;
mod functions;
mod inspection;
mod limits;
mod own_rows;
mod parameters;
mod plain;
mod plain_relations;
mod policy;
mod prepared;
mod relations;
mod restriction;
mod rewrite;
mod rules;
mod search_path;
mod set;
mod setting_changes;
mod settings;
mod shape;
mod statement;
mod tree;
mod verdict;

pub use answer::{Answer, Question, Target};
pub(crate) use date_style::DATE_STYLE;
pub use parameters::{Parameter, SetConfig};
pub use plain_relations::{Mark, PlainRelations, Unsettled};
pub use policy::{Own, Policy};
pub use prepared::SqlName;
pub use rewrite::Instead;
pub use rules::{Rule, Switch, rules};
pub use search_path::is_same_path;
pub use settings::is_utf8;
pub use verdict::{Effects, Refusal, Returned, TouchedSettings, Transaction, Verdict};

use cache::Cache;
use inspection::{Inspection, Judgement};
use pg_raw_parse::StmtList;
use plain_relations::Names;
use settings::Objection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Judges the statements of one isolation. Cheap to ask again: verdicts are kept
/// by the full text, or by its shape where literals do not matter.
pub struct Guard {
    policy: Policy,
    /// `None`: no statement is doubtful for the relations that it names.
    relations: Option<Arc<PlainRelations>>,
    memory: Mutex<Memory>,
    /// The verdict on most statements: it passes and does nothing that lasts.
    harmless: Arc<Verdict>,
}

/// What changes with time.
struct Memory {
    cache: Cache,
    /// The plain tables that the cached verdicts rest on.
    plain: Option<Arc<Names>>,
    /// What they are as of.
    as_of: u64,
}

impl Memory {
    /// Goes by the plain tables that are known now. What is cached is forgotten if
    /// they are others.
    fn follow(&mut self, relations: &PlainRelations, cache_size: usize) {
        if self.as_of == relations.as_of() {
            return;
        }
        let (as_of, names) = relations.in_force();
        self.as_of = as_of;
        if self.plain.as_ref() != Some(&names) {
            self.cache = Cache::new(cache_size);
        }
        self.plain = Some(names);
    }
}

impl Guard {
    /// A guard for one isolation; each worker has its own.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::with(policy, None)
    }

    /// The same for one database, in which a statement is doubtful that names a
    /// relation outside pg_catalog and information_schema that is not known as a
    /// plain table, because code may stand behind it.
    #[must_use]
    pub fn of_database(policy: Policy, relations: Arc<PlainRelations>) -> Self {
        Self::with(policy, Some(relations))
    }

    fn with(policy: Policy, relations: Option<Arc<PlainRelations>>) -> Self {
        let known = relations.as_ref().map(|relations| relations.in_force());
        let (as_of, plain) = known.unzip();
        Self {
            memory: Mutex::new(Memory {
                cache: Cache::new(policy.cache_size),
                plain,
                as_of: as_of.unwrap_or_default(),
            }),
            policy,
            relations,
            harmless: Arc::default(),
        }
    }

    /// What to do with a query string, and what it does to the session.
    ///
    /// `sql`: the bytes of a Query or Parse message without the terminating
    /// zero. With [`Mode::Report`] the refusal is given all the same, and the
    /// effects are those of the statement when it is forwarded.
    #[must_use]
    pub fn inspect(&self, sql: &[u8]) -> Arc<Verdict> {
        let known = self.with_memory(|memory| {
            if let Some(relations) = &self.relations {
                memory.follow(relations, self.policy.cache_size);
            }
            let verdict = memory.cache.get(sql);
            verdict.ok_or_else(|| (memory.as_of, memory.plain.clone()))
        });
        let (as_of, plain) = match known {
            Ok(verdict) => return verdict,
            Err(known) => known,
        };
        let Judgement { mut verdict, key } = judge(&self.policy, plain.as_deref(), sql);
        let described = verdict.described.take();
        let transaction = std::mem::take(&mut verdict.effects.transaction);
        let harmless = verdict == *self.harmless;
        let verdict = if harmless && described.is_none() && transaction == Transaction::None {
            Arc::clone(&self.harmless)
        } else {
            verdict.effects.transaction = transaction;
            Arc::new(Verdict {
                described,
                harmless,
                ..verdict
            })
        };
        self.with_memory(|memory| {
            // It may rest on what is not so any more.
            if memory.as_of == as_of {
                memory.cache.insert(sql, key, Arc::clone(&verdict));
            }
        });
        verdict
    }

    /// What a verdict rests on that is given from now on: the number is another one
    /// once other relations are known as plain tables. A verdict that is kept holds
    /// while it is the same.
    #[must_use]
    pub fn as_of(&self) -> u64 {
        let relations = self.relations.as_ref();
        relations.map_or(0, |relations| relations.as_of())
    }

    /// The plain tables that it goes by, where it does.
    #[must_use]
    pub fn relations(&self) -> Option<&Arc<PlainRelations>> {
        self.relations.as_ref()
    }

    /// What to do with a statement that waits for its parameters
    /// ([`Verdict::at_bind`]), with the values that are bound.
    #[must_use]
    pub fn bound(&self, verdict: &Verdict, parameters: &[Parameter<'_>]) -> Verdict {
        Inspection::new(&self.policy, None).judge_bound(verdict, parameters)
    }

    /// Why a client of a tenant with the search path `path` may not set `name` to
    /// `value` in its startup packet or in the packet's `options`; `None`: it may.
    #[must_use]
    pub fn startup_setting(&self, name: &str, value: &str, path: Option<&str>) -> Option<Refusal> {
        // PostgreSQL reads `-` as `_` in options.
        let name = name.to_ascii_lowercase().replace('-', "_");
        let change = settings::Change::Text(value);
        match settings::objection(&self.policy, &name, change)? {
            Objection::Refused(rule, message) => Some(rule.refusal(message)),
            Objection::UnlessOwn(list) if path.is_some_and(|path| is_same_path(&list, path)) => {
                None
            }
            Objection::UnlessOwn(list) => Some(search_path::refusal(&list)),
        }
    }

    /// Whether the verdict lets a statement pass of which there is nothing to note:
    /// most have this one. A false `false` does no harm.
    #[must_use]
    pub fn is_harmless(&self, verdict: &Arc<Verdict>) -> bool {
        // What is allowed without being understood may stand behind a view.
        let harmless = verdict.harmless || Arc::ptr_eq(verdict, &self.harmless);
        harmless && self.policy.options.opaque != Permission::Allow
    }

    /// Whether the effects of statements tell which can have drawn on the state of
    /// `random()`: not where code can run behind a relation, or behind anything.
    #[must_use]
    pub fn sees_draws(&self) -> bool {
        self.relations.is_some() && self.policy.options.opaque != Permission::Allow
    }

    /// The longest statement that it takes, in bytes.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.policy.max_length
    }

    /// Whether both refuse the same.
    #[must_use]
    pub fn judges_like(&self, other: &Self) -> bool {
        self.policy == other.policy
    }

    /// Whether a verdict of the other's is as good as one of its own: both go by the same
    /// rules, and by the same relations of the same database.
    #[must_use]
    pub fn replaces(&self, other: &Self) -> bool {
        let of = |guard: &Self| guard.relations.as_ref().map(Arc::as_ptr);
        self.judges_like(other) && of(self) == of(other)
    }

    /// What the guard was told.
    #[must_use]
    pub fn options(&self) -> Options {
        self.policy.options
    }

    fn with_memory<T>(&self, work: impl FnOnce(&mut Memory) -> T) -> T {
        work(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// Why a statement of `len` bytes is refused that is longer than `most`.
#[must_use]
pub fn statement_too_long(len: usize, most: usize) -> Refusal {
    rules::LENGTH.refusal(limits::too_long(len, most))
}

/// Why values of more than `most` bytes are refused that are to be judged.
#[must_use]
pub fn values_too_long(most: usize) -> Refusal {
    rules::COMPUTED.refusal(format!(
        "the values are longer than {most} bytes in a statement that names a setting by one of them"
    ))
}

fn judge(policy: &Policy, plain: Option<&Names>, sql: &[u8]) -> Judgement {
    let inspection = Inspection::new(policy, plain);
    let text = match limits::check(policy, sql) {
        Ok(text) => text,
        Err((rule, message)) => return inspection.unreadable(rule, message),
    };
    // The parser's accessors panic on what they do not expect: refuse it.
    let judged = catch_unwind(AssertUnwindSafe(|| match pg_raw_parse::parse(text) {
        Ok(statements) => {
            let judged = inspection.judge(&statements);
            let mut judged = with_own_rows(policy, plain, text, &statements, judged);
            if policy.describes {
                let described = description::describe(text, &statements);
                judged.verdict.described = Some(Arc::new(described));
            }
            judged
        }
        Err(error) => inspection.unreadable(&rules::SYNTAX, syntax_message(&error)),
    }));
    judged.unwrap_or_else(|_| {
        let message = "pgtenant failed to inspect this statement".to_owned();
        Inspection::new(policy, None).unreadable(&rules::INTERNAL, message)
    })
}

/// The judgement on a text that is refused as it stands, where it is let through with
/// [one's own rows](own_rows) in the place of all.
fn with_own_rows(
    policy: &Policy,
    plain: Option<&Names>,
    text: &str,
    statements: &StmtList,
    judged: Judgement,
) -> Judgement {
    let verdict = &judged.verdict;
    if verdict.refusal.is_none()
        || verdict.answer.is_some()
        || policy.options.channels == Permission::Allow
    {
        return judged;
    }
    let Some(instead) = rewrite::own_rows(text, statements) else {
        return judged;
    };
    let Ok(text) = limits::check(policy, instead.text.as_bytes()) else {
        return judged;
    };
    let Ok(statements) = pg_raw_parse::parse(text) else {
        return judged;
    };
    let rewritten = Inspection::new(policy, plain).judge(&statements);
    rewritten.in_place_of(judged, policy.options.mode, instead)
}

/// The parser's own words: what PostgreSQL would have answered.
fn syntax_message(error: &pg_raw_parse::Error) -> String {
    let text = match error {
        pg_raw_parse::Error::Parse(error) => error.to_string(),
        other => other.to_string(),
    };
    settings::clip(&text).to_owned()
}

/// `[guard]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether a refused statement is stopped.
    pub mode: Mode,
    /// Code that the guard cannot see into (DO, CREATE FUNCTION, …).
    pub opaque: Permission,
    /// Channels between tenants (LISTEN/NOTIFY, advisory locks, …).
    pub channels: Permission,
}

/// Whether a refused statement is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is stopped.
    Enforce,
    /// It passes and is logged: isolation is not enforced.
    Report,
}

/// Whether a kind of statement passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// It passes.
    Allow,
    /// It passes where it reaches nothing but what is the tenant's own.
    Own,
    /// It is refused.
    Reject,
}
