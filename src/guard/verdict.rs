//! What the guard says of a statement.

use super::answer::Answer;
use super::parameters::SetConfig;
use super::prepared::SqlName;
use super::rewrite::Instead;
use super::rules;
use super::search_path::is_same_path;
use crate::audit::Described;
use std::sync::Arc;

/// What the guard says of one query string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Why it must not be forwarded; `None` lets it pass.
    pub refusal: Option<Refusal>,
    /// The refusal stands only for these lists of schemas: it
    /// [falls away](Self::for_path) where all are the tenant's own. Empty: it stands.
    pub unless_own: Vec<Box<str>>,
    /// What it does to the session, when it is forwarded.
    pub effects: Effects,
    /// It names settings by parameters: the refusal stands for a Query. After a
    /// Parse, [`Guard::bound`](super::Guard::bound) decides at each Bind.
    pub at_bind: Vec<SetConfig>,
    /// It is not for the server: pgtenant answers it itself, whatever the
    /// refusal says.
    pub answer: Option<Answer>,
    /// What the server is sent in the place of the text; `None`: the text itself. The
    /// rest of the verdict is on this.
    pub instead: Option<Arc<Instead>>,
    /// What its statements are, where they are audited.
    pub described: Option<Arc<Described>>,
    /// It is nothing but described, or about transactions.
    pub(super) harmless: bool,
}

impl Verdict {
    /// The same verdict for a statement that may run code which was not seen.
    #[must_use]
    pub fn doubted(&self) -> Self {
        let mut doubted = self.clone();
        doubted.effects.doubtful = true;
        doubted.harmless = false;
        doubted
    }

    /// The verdict on a statement that was prepared when another text was sent in its
    /// text's place: it is refused.
    #[must_use]
    pub fn of_another_text(&self) -> Self {
        let message = "the statement was prepared under other rules: prepare it again";
        let mut other = self.doubted();
        other.at_bind.clear();
        other.unless_own.clear();
        let refusal = || rules::SESSIONS.refusal(message.to_owned());
        other.refusal.get_or_insert_with(refusal);
        other
    }

    /// The verdict without its refusal, where this stands for lists of schemas that
    /// are all the tenant's own, `path`.
    #[must_use]
    pub fn for_path(&self, path: Option<&str>) -> Option<Self> {
        let path = path.filter(|_| !self.unless_own.is_empty())?;
        let mut lists = self.unless_own.iter();
        lists.all(|list| is_same_path(list, path)).then(|| Self {
            refusal: None,
            unless_own: Vec::new(),
            ..self.clone()
        })
    }

    /// The memory that it takes, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let names = |names: &[Box<str>]| texts(names.iter());
        let settings = match &self.effects.settings {
            TouchedSettings::Named(settings) => names(settings),
            TouchedSettings::None | TouchedSettings::Any => 0,
        };
        let returned = &self.effects.defaults;
        size_of::<Self>()
            + self.refusal.as_ref().map_or(0, |r| r.message.capacity())
            + settings
            + names(&self.effects.local_customs)
            + texts(returned.iter().map(|returned| &returned.name))
            + returned.len() * size_of::<Returned>()
            + self
                .effects
                .deallocates
                .as_ref()
                .map_or(0, |name| name.len())
            + names(&self.effects.temporary)
            + names(&self.effects.set_again)
            + names(&self.unless_own)
            + self
                .effects
                .sql_names
                .iter()
                .map(SqlName::weight)
                .sum::<usize>()
            + self.at_bind.iter().map(SetConfig::weight).sum::<usize>()
            + self.answer.as_ref().map_or(0, |a| a.column.len())
            + self.instead.as_ref().map_or(0, |instead| instead.size())
            + self
                .described
                .as_ref()
                .map_or(0, |described| described.size())
    }
}

/// What texts take, and what the allocator takes for each.
fn texts<'a>(texts: impl Iterator<Item = &'a Box<str>>) -> usize {
    texts.map(|text| text.len() + 3 * size_of::<usize>()).sum()
}

/// Why a statement is refused, ready for an ErrorResponse and the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule's name, such as `tenant-setting`.
    pub rule: &'static str,
    /// The SQLSTATE, five characters.
    pub sqlstate: &'static str,
    /// What was refused, in one sentence without a full stop.
    pub message: String,
    /// What the user can do instead.
    pub hint: &'static str,
}

impl Refusal {
    /// Which rule it was, as a sentence for the client.
    #[must_use]
    pub fn detail(&self) -> String {
        format!("pgtenant refused it by its rule {}.", self.rule)
    }
}

/// What a query string does to the session that outlives its transaction.
/// The default is a string that does nothing of the kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// Session settings that it may change (not `SET LOCAL`).
    pub settings: TouchedSettings,
    /// Settings that it returns to their default, and does not set again.
    pub defaults: Vec<Returned>,
    /// It changes settings for its transaction alone (`SET LOCAL`), others than
    /// time limits.
    pub sets_local: bool,
    /// Custom settings among those, in lower case: the session knows them from then on.
    pub local_customs: Vec<Box<str>>,
    /// It runs `RESET ALL`, `DISCARD ALL` or `SET SESSION AUTHORIZATION DEFAULT`,
    /// and nothing behind it in the string sees data: the tenant and the client's
    /// settings must be attached again before the next message.
    pub resets: bool,
    /// Settings that it sets behind such a reset.
    pub set_again: Vec<Box<str>>,
    /// The part of `DateStyle` that it sets behind a return to the default, where the
    /// other part is left as it is by default.
    pub date_style: Option<&'static str>,
    /// It drops every prepared statement (`DISCARD ALL`, `DEALLOCATE ALL`).
    pub drops_prepared: bool,
    /// It is the single statement `DEALLOCATE name`, of this name.
    pub deallocates: Option<Box<str>>,
    /// The prepared statements that its PREPARE, EXECUTE and DEALLOCATE name, in
    /// their order.
    pub sql_names: Vec<SqlName>,
    /// It leaves objects in the session: temporary tables, cursors WITH HOLD,
    /// PREPARE, … A client that loses them finds out when it uses them.
    pub residue: bool,
    /// Names of temporary relations among them: once they are gone, the same
    /// name means a permanent relation.
    pub temporary: Vec<Box<str>>,
    /// It drops the temporary relations (`DISCARD TEMP`, `DISCARD ALL`).
    pub drops_temporary: bool,
    /// It leaves in the session what a client relies on without using it:
    /// advisory locks, LISTEN. A client must not lose it and go on.
    pub locks: bool,
    /// It may read copied data from the client (`COPY … FROM STDIN`).
    pub copies_in: bool,
    /// It removes all such objects (`DISCARD ALL`).
    pub clears_residue: bool,
    /// What becomes of a transaction.
    pub transaction: Transaction,
    /// It changes `random()`'s state, which DISCARD ALL does not reset.
    pub seeds: bool,
    /// It may read or change that state, by a call that it shows or as a statement
    /// of another kind than those that run nothing but what they show. What is
    /// doubtful, writes or leaves something may do it as well.
    pub draws: bool,
    /// It writes rows, so that triggers, defaults and generated columns may run
    /// code that the guard does not see: the tenant is to be attached again
    /// before the connection's next use.
    pub writes: bool,
    /// It runs code that the guard cannot see into (DO, CALL, functions outside
    /// pg_catalog): attach again before the connection's next use.
    pub doubtful: bool,
    /// It may give the name of a plain table to another relation (a view, …), or
    /// put code behind a plain table (a rule, …).
    pub redefines: bool,
}

/// What a query string does about transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transaction {
    /// Nothing: outside of one, its own ends with it.
    #[default]
    None,
    /// It is a COMMIT or ROLLBACK alone, without AND CHAIN: none is open behind it.
    Ends,
    /// Anything else: one may be open behind it.
    Any,
}

impl Effects {
    /// Whether its client relies on nothing of it behind its answer, and no transaction is
    /// open that was not: what code has done that was not seen is scrubbed.
    #[must_use]
    pub fn are_over_with_it(&self) -> bool {
        let Self {
            writes,
            draws,
            doubtful,
            ..
        } = *self;
        let none = Self {
            writes,
            draws,
            doubtful,
            ..Self::default()
        };
        *self == none
    }

    /// Whether something of the session is gone once the string has run: prepared
    /// statements, or what keeps its server connection.
    #[must_use]
    pub fn take_away(&self) -> bool {
        self.deallocates.is_some() || self.drops_prepared || self.clears_residue
    }
}

/// A setting that a statement returns to its default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// Its name, in lower case.
    pub name: Box<str>,
    /// For the transaction alone.
    pub local: bool,
    /// The statement is the only one of its query string.
    pub alone: bool,
}

/// Session settings that a statement may change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TouchedSettings {
    /// None.
    #[default]
    None,
    /// These, in lower case.
    Named(Vec<Box<str>>),
    /// Perhaps any.
    Any,
}
