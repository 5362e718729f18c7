//! The prepared statements of one client.

use super::engine::LONG_STATEMENT;
use crate::attach::SessionSettings;
use crate::guard::{Guard, Verdict};
use crate::server::{Moment, Prepared, PreparedId, Shape};
use hashbrown::HashMap;
use std::sync::Arc;

/// Most bytes that the prepared statements of one client may take.
const MOST_BYTES: usize = 16 << 20;
/// So many of the longest statement it may have all the same.
const LONGEST: usize = 2;
/// Most bytes of text that are judged at once when rules change: a fraction of a
/// second at most.
const JUDGED_AGAIN: usize = 2 << 20;
/// Most named statements of one client.
const MOST_NAMES: usize = 10_000;
/// An unnamed statement with a text up to this size is taken from whoever has too many: it
/// may be what closes some.
const SMALL: usize = 4 << 10;

/// A prepared statement, and what the guard said of it.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    /// What the server is sent.
    pub(super) prepared: Arc<Prepared>,
    /// What the client has sent, if that is something else.
    pub(super) asked: Option<Box<[u8]>>,
    pub(super) verdict: Arc<Verdict>,
    /// What the verdict rests on, at least: [`Guard::as_of`].
    pub(super) as_of: u64,
    /// The client's settings when it prepared the statement.
    pub(super) own: SessionSettings,
    /// When the client prepared it: what was prepared before may be out of date.
    pub(super) since: Moment,
    /// The rows that the client was told that it gives.
    pub(super) shape: Option<Shape>,
}

impl Statement {
    /// What a client prepares now. `as_of`: what the verdict rests on.
    pub(super) fn new(
        prepared: Arc<Prepared>,
        verdict: Arc<Verdict>,
        as_of: u64,
        own: &SessionSettings,
    ) -> Self {
        Self {
            prepared,
            asked: None,
            verdict,
            as_of,
            own: own.clone(),
            since: Moment::now(),
            shape: None,
        }
    }

    /// The same, with what the client has sent: text, NUL and parameter types.
    pub(super) fn asked_as(mut self, tail: &[u8]) -> Self {
        self.asked = (self.prepared.tail() != tail).then(|| tail.into());
        self
    }

    /// What the client has sent: text, NUL and parameter types.
    pub(super) fn asked(&self) -> &[u8] {
        self.asked.as_deref().unwrap_or(self.prepared.tail())
    }

    /// The client's text.
    fn sql(&self) -> &[u8] {
        text_of(self.asked())
    }

    /// Goes by another verdict. If it would have another text sent to the server, the
    /// statement that is prepared must not run any more.
    fn go_by(&mut self, verdict: Arc<Verdict>, as_of: u64) {
        let sent = verdict.instead.as_ref();
        let sent = sent.map_or(self.sql(), |instead| instead.text.as_bytes());
        let is_prepared = sent == text_of(self.prepared.tail());
        self.verdict = match is_prepared {
            true => verdict,
            false => Arc::new(verdict.of_another_text()),
        };
        self.as_of = as_of;
    }

    /// The statement with the guard's verdict of now. A long text, which would keep
    /// others waiting, is doubted instead: all else is said of it already.
    pub(super) fn judged_now(&self, guard: &Guard) -> Self {
        let as_of = guard.as_of();
        let verdict = if self.sql().len() > LONG_STATEMENT {
            Arc::new(self.verdict.doubted())
        } else {
            guard.inspect(self.sql())
        };
        let mut now = self.clone();
        now.go_by(verdict, as_of);
        now
    }

    /// What it takes under this name, in bytes.
    pub(super) fn size(&self, name: &[u8]) -> usize {
        size(name, self)
    }

    /// Whether the server never has it under a name, with which an SQL EXECUTE
    /// could run it past what is judged at Bind.
    pub(super) fn is_nameless(&self) -> bool {
        !self.verdict.at_bind.is_empty() || self.verdict.answer.is_some()
    }
}

/// A client's prepared statements: they are the client's, wherever its
/// transactions run.
#[derive(Debug, Default)]
pub(super) struct Statements {
    named: HashMap<Box<[u8]>, Arc<Statement>, foldhash::fast::FixedState>,
    unnamed: Option<Arc<Statement>>,
    /// What all of them take.
    bytes: usize,
}

impl Statements {
    pub(super) fn get(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        if name.is_empty() {
            self.unnamed.as_ref()
        } else {
            self.named.get(name)
        }
    }

    /// A name that the client has given to this statement.
    pub(super) fn name_of(&self, id: PreparedId) -> Option<&[u8]> {
        let mut named = self.named.iter();
        named
            .find(|(_, statement)| statement.prepared.id() == id)
            .map(|(name, _)| &**name)
    }

    /// Whether there is room for a statement beside the `pending` ones, so many with
    /// so many bytes: `longest` is the longest statement that the client may send.
    pub(super) fn fits(
        &self,
        name: &[u8],
        statement: &Statement,
        pending: (usize, usize),
        longest: usize,
    ) -> bool {
        let taken = size(name, statement) + pending.1;
        let most = MOST_BYTES.max(longest.saturating_mul(LONGEST));
        if name.is_empty() {
            let others = self.bytes - self.unnamed.as_ref().map_or(0, |last| size(b"", last));
            return statement.prepared.tail().len() <= SMALL || others + taken <= most;
        }
        self.bytes + taken <= most && self.named.len() + pending.0 < MOST_NAMES
    }

    /// Adds a statement that the server has prepared, in the place of one that has
    /// its name.
    pub(super) fn commit(&mut self, name: &[u8], statement: Arc<Statement>) {
        if name.is_empty()
            && let Some(last) = &self.unnamed
            && Arc::ptr_eq(last, &statement)
        {
            return;
        }
        self.remove(name);
        self.bytes += size(name, &statement);
        if name.is_empty() {
            self.unnamed = Some(statement);
        } else {
            self.named.insert(name.into(), statement);
        }
    }

    /// Makes a named statement one of the same text.
    pub(super) fn replace(&mut self, name: &[u8], prepared: Arc<Prepared>) {
        if let Some(statement) = self.named.get_mut(name) {
            self.bytes -= size(name, statement);
            Arc::make_mut(statement).prepared = prepared;
            self.bytes += size(name, statement);
        }
    }

    /// Takes note of the rows that the client was told that a statement gives.
    pub(super) fn set_shape(&mut self, name: &[u8], id: PreparedId, shape: Option<Shape>) {
        let named = self.named.get_mut(name);
        if let Some(statement) = named.filter(|statement| statement.prepared.id() == id) {
            Arc::make_mut(statement).shape = shape;
        }
    }

    /// Puts a statement of the same text in the place of one, if that is still there.
    pub(super) fn update(&mut self, name: &[u8], old: &Arc<Statement>, new: Arc<Statement>) {
        let slot = if name.is_empty() {
            self.unnamed.as_mut()
        } else {
            self.named.get_mut(name)
        };
        if let Some(slot) = slot.filter(|slot| Arc::ptr_eq(slot, old)) {
            self.bytes -= size(name, slot);
            self.bytes += size(name, &new);
            *slot = new;
        }
    }

    /// How many have a name.
    pub(super) fn named(&self) -> usize {
        self.named.len()
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        let gone = if name.is_empty() {
            self.unnamed.take()
        } else {
            self.named.remove(name)
        };
        if let Some(statement) = gone {
            self.bytes -= size(name, &statement);
        }
    }

    /// Asks another guard of every statement. Those that would keep others waiting
    /// are given up: the client prepares them again, which most drivers do by
    /// themselves.
    pub(super) fn judge_again(&mut self, guard: &Guard) {
        let mut left = JUDGED_AGAIN;
        self.retain(|statement| {
            let len = statement.sql().len();
            let judged = len <= LONG_STATEMENT && len <= left;
            left -= if judged { len } else { 0 };
            judged
        });
        let as_of = guard.as_of();
        for statement in self.named.values_mut().chain(&mut self.unnamed) {
            let statement = Arc::make_mut(statement);
            self.bytes -= statement.verdict.size();
            let verdict = guard.inspect(statement.sql());
            statement.go_by(verdict, as_of);
            self.bytes += statement.verdict.size();
        }
    }

    fn retain(&mut self, mut keep: impl FnMut(&Statement) -> bool) {
        let bytes = &mut self.bytes;
        self.named.retain(|name, statement| {
            let keeps = keep(statement);
            *bytes -= if keeps { 0 } else { size(name, statement) };
            keeps
        });
        if self.unnamed.as_ref().is_some_and(|last| !keep(last)) {
            self.remove(b"");
        }
    }

    /// DEALLOCATE ALL: all but the unnamed one.
    pub(super) fn clear_named(&mut self) {
        self.named = HashMap::default();
        self.bytes = self.unnamed.as_ref().map_or(0, |last| size(b"", last));
    }
}

/// The text at the front of a Parse's tail.
fn text_of(tail: &[u8]) -> &[u8] {
    tail.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// What a statement takes under its name, in bytes. Its text, settings and
/// verdict may be those of many, or of this one alone.
fn size(name: &[u8], statement: &Statement) -> usize {
    // The map's slot, and what counts the shared parts.
    let entry = size_of::<(Box<[u8]>, Statement)>() + 6 * size_of::<usize>();
    entry
        + name.len()
        + statement.prepared.size()
        + statement.asked.as_ref().map_or(0, |asked| asked.len())
        + statement.own.bytes()
        + statement.verdict.size()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn insert(
        statements: &mut Statements,
        name: &[u8],
        statement: Arc<Statement>,
        longest: usize,
    ) -> bool {
        let fits = statements.fits(name, &statement, (0, 0), longest);
        if fits {
            statements.commit(name, statement);
        }
        fits
    }

    fn statement(text: usize) -> Arc<Statement> {
        let prepared = Prepared::new(&vec![b'a'; text]);
        let own = SessionSettings::default();
        Arc::new(Statement::new(prepared, Arc::default(), 0, &own))
    }

    #[test]
    fn statements_are_bounded_by_their_bytes_the_unnamed_one_too() {
        let mut statements = Statements::default();
        let mebibyte = || statement(1 << 20);
        assert!(insert(&mut statements, b"", mebibyte(), 1 << 20));
        let taken = (0..100_u8)
            .filter(|n| insert(&mut statements, &[*n], mebibyte(), 1 << 20))
            .count();
        assert_eq!(taken, 14);
        // In the place of the last.
        assert!(insert(&mut statements, b"", mebibyte(), 1 << 20));
        assert!(!insert(&mut statements, b"", statement(2 << 20), 1 << 20));
        // With which some could be closed.
        assert!(insert(&mut statements, b"", statement(100), 1 << 20));
        assert!(insert(&mut statements, b"more", mebibyte(), 1 << 20));
        statements.clear_named();
        assert!(insert(
            &mut statements,
            b"long",
            statement(40 << 20),
            40 << 20
        ));
        assert!(!insert(
            &mut statements,
            b"longer",
            statement(41 << 20),
            40 << 20
        ));
    }

    proptest! {
        #[test]
        fn what_is_counted_is_what_is_there(
            steps in prop::collection::vec((0..4_usize, 0..6_usize, 0..5000_usize), 1..50)
        ) {
            let names: [&[u8]; 6] = [b"", b"a", b"b", b"c", b"d", b"e"];
            let mut statements = Statements::default();
            for (step, name, len) in steps {
                let name = names[name];
                match step {
                    0 => statements.remove(name),
                    1 => statements.replace(name, Prepared::under(&vec![b'a'; len], b"own")),
                    _ => {
                        if name.is_empty() || statements.get(name).is_none() {
                            insert(&mut statements, name, statement(len), 0);
                        }
                    }
                }
                let named = statements.named.iter().map(|(name, held)| size(name, held));
                let unnamed = statements.unnamed.iter().map(|held| size(b"", held));
                prop_assert_eq!(statements.bytes, named.chain(unnamed).sum::<usize>());
            }
        }
    }
}
