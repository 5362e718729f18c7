//! Prepared statements that SQL names: they live in the client's own namespace.
//!
//! A client has two kinds of them. Those of the protocol's Parse have names that
//! are the client's alone; the server knows them by others, which start with
//! [`RESERVED`] and which no statement may name. Those of SQL PREPARE have their
//! own names on the server, and keep the connection with the client: when it goes
//! to another, the server has confirmed that they are gone. So every other name
//! means on the server what it means to the client, or nothing.

use super::Engine;
use super::link::is_exclusive;
use super::refusal::{name_taken, no_statement};
use crate::guard::{Effects, SqlName};
use crate::protocol::ClientError;

/// How the names begin that statements have on the server.
const RESERVED: &str = "pgtenant_";

impl Engine {
    /// Whether a query string may name the statements that it names.
    pub(super) fn judge_names(&self, effects: &Effects) -> Result<(), ClientError> {
        for named in &effects.sql_names {
            match named {
                SqlName::DeallocateAll => {}
                SqlName::Prepare(name) => self.judge_new_name(name)?,
                SqlName::Execute(name) | SqlName::Deallocate(name) => {
                    if !self.is_open(named, name) {
                        return Err(no_statement(name.as_bytes()));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a message may name what EXECUTE in its text names: the server looks
    /// for it, and tells its columns, before it is run.
    pub(super) fn judge_executed(&self, effects: &Effects) -> Result<(), ClientError> {
        let mut names = effects.sql_names.iter();
        let closed = names.find_map(|named| match named {
            SqlName::Execute(name) if name.starts_with(RESERVED) && self.maps_names => Some(name),
            _ => None,
        });
        closed.map_or(Ok(()), |name| Err(no_statement(name.as_bytes())))
    }

    fn judge_new_name(&self, name: &str) -> Result<(), ClientError> {
        if !self.maps_names {
            return Ok(());
        }
        if name.starts_with(RESERVED) {
            let message = format!("the name \"{name}\" is reserved for pgtenant");
            return Err(ClientError::error("42939", message)
                .hint("Choose a name that does not begin with \"pgtenant_\"."));
        }
        match self.statements.get(name.as_bytes()) {
            Some(_) => Err(name_taken(name.as_bytes())),
            None => Ok(()),
        }
    }

    /// Whether SQL reaches a statement of this name. In session mode the server
    /// knows the protocol's statements by the client's own names: one whose effects
    /// must be known does not run by SQL.
    fn is_open(&self, named: &SqlName, name: &str) -> bool {
        if self.maps_names {
            return !name.starts_with(RESERVED);
        }
        let statement = self.statements.get(name.as_bytes());
        statement.is_none_or(|statement| {
            let verdict = &statement.verdict;
            let is_plain = !is_exclusive(verdict)
                && verdict.at_bind.is_empty()
                && verdict.effects == Effects::default();
            is_plain || matches!(named, SqlName::Deallocate(_))
        })
    }
}
