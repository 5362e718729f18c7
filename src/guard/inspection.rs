//! One query string under inspection: what was found so far.

use super::answer::Answer;
use super::date_style::DATE_STYLE;
use super::parameters::{self, Parameter, SetConfig};
use super::plain;
use super::plain_relations::Names;
use super::policy::Policy;
use super::rewrite::Instead;
use super::rules::{self, Rule, Switch};
use super::search_path;
use super::setting_changes::SettingChanges;
use super::settings::{self, Change, Objection};
use super::tree::Stack;
use super::verdict::{Effects, Refusal, TouchedSettings, Verdict};
use super::{Mode, Permission, answer, expression, statement};
use pg_raw_parse::{Node, StmtList};
use std::sync::Arc;

/// When the code of a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// With its statement.
    Now,
    /// With a later statement.
    Later,
    /// With a later statement, under another name that can be written to.
    View,
}

/// Where a statement stands in its query string.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// What follows it sees no data.
    pub(super) last: bool,
    /// It is the only one.
    pub(super) alone: bool,
}

/// What the visit of a node asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Visit {
    /// Its children are visited in this scope.
    Descend(Scope),
    /// Its children do not matter.
    Skip,
}

/// What an inspection comes to.
#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    pub(super) key: Key,
}

impl Judgement {
    /// The judgement on a text that becomes `instead`, whose judgement this is:
    /// `clients` is that on the text itself, which is refused.
    pub(super) fn in_place_of(mut self, clients: Self, mode: Mode, instead: Instead) -> Self {
        if let Some(refusal) = self.verdict.refusal {
            let verdict = Verdict {
                refusal: Some(refusal),
                ..clients.verdict
            };
            return Self { verdict, ..clients };
        }
        // Where refusals are only reported, the server gets the client's own text.
        let is_sent = mode == Mode::Enforce;
        self.verdict.instead = is_sent.then(|| Arc::new(instead));
        self.key = Key::Text;
        self
    }
}

/// What a verdict holds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// The very text.
    Text,
    /// Every text of the same [shape](super::shape).
    Shape,
}

/// One query string under inspection.
pub(super) struct Inspection<'p> {
    pub(super) policy: &'p Policy,
    pub(super) effects: Effects,
    pub(super) changes: SettingChanges,
    /// The plain tables, where they are known.
    pub(super) plain: Option<&'p Names>,
    /// The statement may name another relation than those.
    pub(super) names_others: bool,
    /// EXPLAIN tells how many rows conditions have removed.
    pub(super) counts_rows: bool,
    refusal: Option<Refusal>,
    key: Key,
    /// Calls that only the parameters' values can decide on.
    deferred: Vec<SetConfig>,
    /// Lists that search_path is set to, which must be the tenant's own.
    paths: Vec<Box<str>>,
}

impl<'p> Inspection<'p> {
    pub(super) fn new(policy: &'p Policy, plain: Option<&'p Names>) -> Self {
        Self {
            policy,
            plain,
            names_others: false,
            counts_rows: false,
            effects: Effects::default(),
            changes: SettingChanges::default(),
            refusal: None,
            key: Key::Shape,
            deferred: Vec::new(),
            paths: Vec::new(),
        }
    }

    /// The verdict on a statement that waits for its parameters, now that they
    /// are known.
    pub(super) fn judge_bound(mut self, verdict: &Verdict, bound: &[Parameter<'_>]) -> Verdict {
        self.effects.clone_from(&verdict.effects);
        for call in &verdict.at_bind {
            call.judge(&mut self, bound);
        }
        self.refuse_unless_own();
        self.changes.settle(&mut self.effects);
        Verdict {
            refusal: self.refusal,
            unless_own: self.paths,
            effects: self.effects,
            described: verdict.described.clone(),
            ..Verdict::default()
        }
    }

    /// The verdict on all statements of a query string.
    pub(super) fn judge(mut self, statements: &StmtList) -> Judgement {
        let count = statements.len();
        let mut backwards = statements.iter().rev();
        let quiet = match count {
            0 | 1 => count,
            _ => backwards
                .position(|s| !statement::is_quiet(s.stmt()))
                .unwrap_or(count),
        };
        let mut stack = Stack::new();
        for (index, statement) in statements.stmts().enumerate() {
            let place = Place {
                last: index + 1 + quiet >= count,
                alone: count == 1,
            };
            if !expression::is_query(statement) {
                self.reads_literals();
            }
            stack.push(statement, Scope::Now);
            self.walk(&mut stack, place);
            self.doubt_others(statement);
            self.effects.draws |= !statement::runs_what_it_shows(statement);
        }
        let options = self.policy.options;
        let answer = match statements.stmts().next() {
            Some(only)
                if count == 1
                    && options.mode == Mode::Enforce
                    && options.channels != Permission::Allow =>
            {
                answer::of(only)
            }
            _ => None,
        };
        self.refuse_deferred(statements);
        self.refuse_unless_own();
        self.judgement(answer)
    }

    pub(super) fn judgement(mut self, answer: Option<Answer>) -> Judgement {
        self.changes.settle(&mut self.effects);
        let key = match (&self.refusal, &answer) {
            (None, None) => self.key,
            _ => Key::Text,
        };
        Judgement {
            verdict: Verdict {
                refusal: self.refusal,
                unless_own: self.paths,
                effects: self.effects,
                at_bind: self.deferred,
                answer,
                ..Verdict::default()
            },
            key,
        }
    }

    /// Without a Bind message nobody will judge what waits for one.
    fn refuse_deferred(&mut self, statements: &StmtList) {
        if self.refusal.is_some() {
            self.deferred.clear();
            return;
        }
        for call in &mut self.deferred {
            call.note_types(statements);
        }
        if let Some(first) = self.deferred.first() {
            let message = parameters::of_a_parameter(first.name());
            self.refusal = Some(rules::COMPUTED.refusal(message));
            // They are judged with the others at each Bind.
            let paths = self.paths.drain(..);
            self.deferred.extend(paths.map(SetConfig::of_path));
        }
    }

    /// Refuses lists of schemas, where nothing else is refused: the session knows
    /// whether they are its tenant's own.
    fn refuse_unless_own(&mut self) {
        if self.refusal.is_some() {
            self.paths.clear();
        }
        self.refusal = self.refusal.take().or_else(|| {
            let first = self.paths.first();
            first.map(|path| search_path::refusal(path))
        });
    }

    /// Records that the verdict rests on a literal's value. Whoever looks at one
    /// must say so.
    pub(super) fn reads_literals(&mut self) {
        self.key = Key::Text;
    }

    /// The verdict on a text that cannot be inspected: when it is forwarded all
    /// the same, it may do anything.
    pub(super) fn unreadable(mut self, rule: &'static Rule, message: String) -> Judgement {
        self.refuse(rule, || message);
        self.effects.settings = TouchedSettings::Any;
        self.effects.residue = true;
        self.effects.redefines = true;
        self.judgement(None)
    }

    fn walk<'t>(&mut self, stack: &mut Stack<'t>, place: Place) {
        while let Some((node, scope)) = stack.pop() {
            let visit = match expression::visit(self, node, scope) {
                Some(visit) => visit,
                None => statement::visit(self, node, scope, place),
            };
            if let Visit::Descend(scope) = visit
                && !stack.push_children(node, scope)
            {
                self.effects.redefines = true;
                self.refuse(&rules::UNKNOWN, || {
                    "pgtenant has no rule for this kind of statement".to_owned()
                });
            }
        }
    }

    /// Records that `rule` catches something, unless it is opened.
    pub(super) fn refuse(&mut self, rule: &'static Rule, message: impl FnOnce() -> String) {
        let passes = self.policy.permits(rule);
        // What is refused may still be forwarded when the guard only reports.
        if !passes || rule.opened_by == Some(Switch::Opaque) {
            self.effects.doubtful = true;
        }
        if !passes && self.refusal.is_none() {
            self.refusal = Some(rule.refusal(message()));
        }
    }

    /// Records what speaks against setting `name`, in lower case, so.
    pub(super) fn object_to(&mut self, name: &str, change: Change<'_>) {
        if let Some(objection) = settings::objection(self.policy, name, change) {
            self.object(objection);
        }
    }

    /// Records what speaks against a statement.
    pub(super) fn object(&mut self, objection: Objection) {
        /// No statement needs more lists.
        const MOST: usize = 16;
        match objection {
            Objection::Refused(rule, message) => self.refuse(rule, || message),
            Objection::UnlessOwn(path) if self.paths.contains(&path) => {}
            Objection::UnlessOwn(path) if self.paths.len() < MOST => self.paths.push(path),
            Objection::UnlessOwn(_) => self.refuse_protected(search_path::SETTING),
        }
    }

    /// Refuses to change the protected setting `name`.
    pub(super) fn refuse_protected(&mut self, name: &str) {
        self.refuse(&rules::TENANT, || settings::carries_tenant(name));
    }

    /// Doubts a statement that may name another relation, when it does.
    fn doubt_others(&mut self, statement: Node<'_>) {
        if let Some(plain) = self.plain
            && std::mem::take(&mut self.names_others)
        {
            self.effects.doubtful |= plain::names_others(plain, statement);
        }
    }

    /// Refuses a name that must be known exactly and that a server may fold.
    pub(super) fn refuse_name(&mut self, name: &str) {
        if !name.is_ascii() {
            self.refuse(&rules::NAMES, || {
                format!("name \"{}\" is not ASCII", settings::clip(name))
            });
        }
    }

    /// Records a call that only the parameters' values can decide on.
    pub(super) fn defer(&mut self, call: SetConfig) {
        self.deferred.push(call);
    }

    /// Records that the setting `name` gets a value, for the session or for the
    /// transaction alone.
    pub(super) fn set(&mut self, name: &str, local: bool) {
        let name = settings::current_name(name);
        if name == settings::ROLE {
            // It is restored at most.
            return;
        }
        // Also for the transaction alone: the state stays.
        self.effects.draws |= settings::kind(name) == settings::Kind::Seed;
        self.changes.set(name, local);
        if local {
            // A time limit says nothing about what statements mean.
            self.effects.sets_local |= !name.ends_with("_timeout");
        } else {
            self.touch(name);
        }
    }

    /// Records the value that a setting gets, if it is `DateStyle`.
    pub(super) fn set_date_style(&mut self, name: &str, value: &str, local: bool) {
        if name == DATE_STYLE && !local {
            self.changes.set_date_style(value);
        }
    }

    /// Records that the setting `name` returns to its default.
    pub(super) fn return_to_default(&mut self, name: &str, local: bool, place: Place) {
        self.set(name, local);
        if name == settings::ROLE {
            return;
        }
        let name = settings::current_name(name);
        self.changes.returns(name, local, place.alone);
    }

    /// Records that the session's setting `name` may change.
    pub(super) fn touch(&mut self, name: &str) {
        /// So many names are kept; more count as any.
        const MOST: usize = 32;
        let name = settings::current_name(name);
        match settings::kind(name) {
            settings::Kind::Transaction => return,
            settings::Kind::Seed => {
                self.effects.seeds = true;
                return;
            }
            settings::Kind::Session => {}
        }
        match &mut self.effects.settings {
            TouchedSettings::Any => {}
            TouchedSettings::None => {
                self.effects.settings = TouchedSettings::Named(vec![name.into()]);
            }
            TouchedSettings::Named(names) if names.iter().any(|known| &**known == name) => {}
            TouchedSettings::Named(names) if names.len() < MOST => names.push(name.into()),
            TouchedSettings::Named(_) => self.effects.settings = TouchedSettings::Any,
        }
    }
}
