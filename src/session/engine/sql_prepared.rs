//! Statements that the client has prepared by SQL, and names in messages: PostgreSQL
//! keeps both kinds in one namespace.

use super::refusal::name_taken;
use super::upstream::Up;
use super::{Engine, Link, Step};
use crate::guard::{Effects, SqlName, Verdict};
use crate::protocol::ClientError;
use crate::protocol::frontend::Header;
use std::collections::BTreeSet;
use std::sync::Arc;

/// PostgreSQL tells names apart by so many bytes.
const SIGNIFICANT: usize = 63;
/// So many are known at a time; others are not found by messages.
const MOST: usize = 10_000;

/// The names of statements that the server has prepared by SQL for the client that
/// has the connection. They go with the connection.
#[derive(Debug, Default)]
pub(super) struct SqlPrepared {
    names: BTreeSet<Box<[u8]>>,
    /// How many of the names in the query string in front are behind what is complete.
    passed: usize,
}

fn significant(name: &[u8]) -> &[u8] {
    name.get(..SIGNIFICANT).unwrap_or(name)
}

impl SqlPrepared {
    pub(super) fn contains(&self, name: &[u8]) -> bool {
        !self.names.is_empty() && self.names.contains(significant(name))
    }

    /// Another query string, or statement, comes to the front.
    pub(super) fn begin(&mut self) {
        self.passed = 0;
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        self.names.remove(significant(name));
    }

    pub(super) fn clear(&mut self) {
        self.names.clear();
    }

    /// The next PREPARE of the string is complete.
    pub(super) fn prepared(&mut self, effects: &Effects) {
        let name = self.next(effects, |named| match named {
            SqlName::Prepare(name) => Some(name),
            _ => None,
        });
        if let Some(name) = name
            && self.names.len() < MOST
        {
            self.names.insert(significant(name.as_bytes()).into());
        }
    }

    /// The next DEALLOCATE of the string is complete: of this name.
    pub(super) fn deallocated<'a>(&mut self, effects: &'a Effects) -> Option<&'a str> {
        let name = self.next(effects, |named| match named {
            SqlName::Deallocate(name) => Some(name),
            _ => None,
        })?;
        self.remove(name.as_bytes());
        Some(name)
    }

    /// The next name that a statement `of` this kind names: they are complete in the
    /// string's order.
    fn next<'a>(
        &mut self,
        effects: &'a Effects,
        of: impl Fn(&'a SqlName) -> Option<&'a str>,
    ) -> Option<&'a str> {
        let names = effects.sql_names.iter().skip(self.passed).map(of);
        let (at, name) = names.enumerate().find_map(|(at, name)| Some((at, name?)))?;
        self.passed += at + 1;
        Some(name)
    }
}

impl Engine {
    /// Whether a Parse may not have this name, or must wait until that is known.
    pub(super) fn is_taken_by_sql(
        &self,
        name: &[u8],
        link: &Link,
    ) -> Result<Option<Step>, ClientError> {
        match link.sql_prepared.contains(name) {
            false => Ok(None),
            // A Close of it may be under way.
            true if !link.is_answered() => Ok(Some(Step::Held)),
            true => Err(name_taken(name)),
        }
    }

    /// Takes the Bind of such a statement: what it is was judged when it was prepared,
    /// what it does is not known.
    pub(super) fn bind_sql_prepared(
        &mut self,
        header: Header,
        portal: &[u8],
        up: &mut Up<'_>,
    ) -> Step {
        let notes = !up.link.portals.is_empty();
        if notes && !up.link.is_answered() {
            return Step::Held;
        }
        let verdict = Arc::new(Verdict::default().doubted());
        if let Err(error) = self.take_effects(&verdict, up.link) {
            return self.refuse(header, &error, Some(up));
        }
        up.link.passes = false;
        up.begin_pipeline();
        self.client.pass(header);
        self.portal_bound(portal, None, up);
        self.bound(portal, notes.then_some(verdict), up);
        Step::Done
    }
}
