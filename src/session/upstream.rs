//! The server connection and what is owed on it, together.

use super::awaited::Awaited;
use super::ledger::Ledger;
use super::statements::Statement;
use crate::server::Connection;
use crate::server::Prepared;
use crate::server::PreparedId;
use crate::server::PreparedSet;
use crate::server::StatementName;
use bytes::BytesMut;
use postgres_protocol::message::frontend as write;

/// Prepared statements that one server connection keeps.
const MOST_PREPARED: usize = 200;
/// Most bytes of their texts. PostgreSQL takes 30 to 45 bytes for each byte of what
/// ORMs send, once it is planned, and hundreds for long lists of columns (measured
/// on 15).
const MOST_PREPARED_BYTES: usize = 1 << 20;

/// A server connection and what is owed on it.
pub(super) struct Upstream<'a, S> {
    pub(super) connection: &'a mut Connection<S>,
    pub(super) ledger: &'a mut Ledger,
}

impl<S> Upstream<'_, S> {
    /// The statement's name on the server, where it is prepared now if it was
    /// not, or not since the client has prepared it.
    pub(super) fn name_of(&mut self, statement: &Statement) -> String {
        let id = statement.prepared.id();
        match self.connection.prepared().find(id, statement.since) {
            Some(name) => name.to_string(),
            None => self.prepare(&statement.prepared, Awaited::OurParse(id)),
        }
    }

    /// Prepares a statement under a new name. Closes what another client has
    /// prepared of it before (its tables may have changed since), and those that
    /// have been unused for the longest time if there are too many.
    pub(super) fn prepare(&mut self, prepared: &Prepared, owed: Awaited) -> String {
        let id: PreparedId = prepared.id();
        let before = self.connection.prepared().find_any(id);
        let name = self.connection.prepared().add(prepared).to_string();
        let output = self.connection.output();
        output.extend_from_slice(b"P");
        put_len(output, name.len() + 1 + prepared.tail().len());
        output.extend_from_slice(name.as_bytes());
        output.extend_from_slice(b"\0");
        output.extend_from_slice(prepared.tail());
        self.ledger.awaited.push_back(owed);
        if let Some(name) = before {
            self.close(name);
        }
        let evict = |set: &mut PreparedSet| set.evict(MOST_PREPARED, MOST_PREPARED_BYTES);
        while let Some(name) = evict(self.connection.prepared()) {
            self.close(name);
        }
        name
    }

    /// Parses a statement without a name, for the next message alone.
    pub(super) fn parse_for_once(&mut self, statement: &Statement, owed: Awaited) {
        self.parse_unnamed(statement, owed);
        self.ledger.has_unnamed = false;
    }

    /// Closes a statement that is not entered any more.
    pub(super) fn close(&mut self, name: StatementName) {
        let output = self.connection.output();
        written(&write::close(b'S', &name.to_string(), output));
        self.ledger.awaited.push_back(Awaited::OurClose);
    }

    /// Makes the server's unnamed statement the client's.
    pub(super) fn parse_unnamed(&mut self, statement: &Statement, owed: Awaited) {
        let tail = statement.prepared.tail();
        let output = self.connection.output();
        output.extend_from_slice(b"P");
        put_len(output, 1 + tail.len());
        output.extend_from_slice(b"\0");
        output.extend_from_slice(tail);
        self.ledger.awaited.push_back(owed);
        self.ledger.has_unnamed = true;
    }
}

/// The length word of a message with a body of `body` bytes.
pub(super) fn put_len(output: &mut BytesMut, body: usize) {
    let len = u32::try_from(body + 4).unwrap_or(u32::MAX);
    output.extend_from_slice(&len.to_be_bytes());
}

/// Our own messages into memory: the only failure is a NUL in a text, and ours
/// have none.
pub(super) fn written(result: &std::io::Result<()>) {
    debug_assert!(result.is_ok());
}
