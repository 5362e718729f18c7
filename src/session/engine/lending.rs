//! Names that SQL uses for statements of the protocol's: the server knows these by
//! others. It gets the client's own for the string that names them.

use super::link::is_exclusive;
use super::outstanding::Reply;
use super::upstream::{put_len, put_text, written};
use super::{Engine, Up};
use crate::attach::Cleanup;
use crate::guard::{SqlName, Verdict};
use crate::protocol::ClientError;
use postgres_protocol::message::frontend as write;

impl Engine {
    /// The names in a query string, but for those that are lent to it.
    pub(super) fn judge_names_of(&self, verdict: &Verdict) -> Result<(), ClientError> {
        if verdict.effects.sql_names.is_empty() {
            return Ok(());
        }
        let mut effects = verdict.effects.clone();
        effects.sql_names.retain(|named| !self.is_lent(named));
        self.judge_names(&effects)
    }

    /// Whether SQL names a statement of the protocol's, which the server knows by
    /// another name: it gets the client's for this one string.
    fn is_lent(&self, named: &SqlName) -> bool {
        let (SqlName::Deallocate(name) | SqlName::Execute(name)) = named else {
            return false;
        };
        let statement = self.statements.get(name.as_bytes());
        statement.is_some_and(|statement| {
            let is_plain = statement.verdict.at_bind.is_empty()
                && !is_exclusive(&statement.verdict)
                && statement.verdict.answer.is_none();
            (self.maps_names || statement.is_nameless())
                && !name.is_empty()
                && (is_plain || matches!(named, SqlName::Deallocate(_)))
        })
    }

    /// Prepares statements under the client's own names, in front of a string that
    /// names them by SQL.
    pub(super) fn lend(&mut self, verdict: &Verdict, up: &mut Up<'_>) {
        let names = &verdict.effects.sql_names;
        if !names.iter().any(|named| self.is_lent(named)) {
            return;
        }
        self.client.stage(&mut up.pipe.output);
        for named in names.iter().filter(|named| self.is_lent(named)) {
            let (SqlName::Deallocate(name) | SqlName::Execute(name)) = named else {
                continue;
            };
            let statement = self.statements.get(name.as_bytes());
            let tail = match (named, statement) {
                (SqlName::Execute(_), Some(statement)) => statement.prepared.tail(),
                // What is only taken away need not be what it was.
                _ => b"\0\0\0",
            };
            let output = &mut up.pipe.output;
            written(&write::close(b'S', name, output));
            output.extend_from_slice(b"P");
            put_len(output, name.len() + 1 + tail.len());
            put_text(output, name);
            output.extend_from_slice(b"\0");
            output.extend_from_slice(tail);
            up.link.outstanding.push(Reply::Ours(b'3'));
            up.link.outstanding.push(Reply::Ours(b'1'));
        }
        up.sync_ours();
    }

    /// The same in front of the Bind of an EXECUTE, for which the server looks for the
    /// statement. They stay up to the next scrubbing of the connection, or the next
    /// statement that names them.
    pub(super) fn lend_to_bind(&mut self, verdict: &Verdict, up: &mut Up<'_>) {
        let mut names = verdict.effects.sql_names.iter();
        if names.any(|named| matches!(named, SqlName::Execute(_)) && self.is_lent(named)) {
            up.link.cleanup = Cleanup::DiscardAll;
            // A part of the client's pipeline: one error for both.
            up.begin_pipeline();
            self.lend(verdict, up);
        }
    }

    /// Closes them behind it.
    pub(super) fn take_back(&mut self, verdict: &Verdict, up: &mut Up<'_>) {
        let names = &verdict.effects.sql_names;
        if !names.iter().any(|named| self.is_lent(named)) {
            return;
        }
        self.client.stage(&mut up.pipe.output);
        for named in names.iter().filter(|named| self.is_lent(named)) {
            if let SqlName::Deallocate(name) | SqlName::Execute(name) = named {
                written(&write::close(b'S', name, &mut up.pipe.output));
                up.link.outstanding.push(Reply::Ours(b'3'));
            }
        }
        up.sync_ours();
    }
}
