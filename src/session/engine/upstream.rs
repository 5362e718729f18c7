//! The server connection and what is owed on it, together.

use super::super::statements::Statement;
use super::link::{Link, Phase};
use super::lookup::is_prepared;
use super::outstanding::Reply;
use crate::attach::Cleanup;
use crate::server::{Pipe, Prepared, StatementName};
use bytes::BytesMut;
use postgres_protocol::message::frontend as write;

/// Prepared statements that one server connection keeps.
const MOST_PREPARED: usize = 200;
/// Most bytes of their texts. PostgreSQL takes 30 to 45 bytes for each byte of what
/// ORMs send, once it is planned, and hundreds for long lists of columns (measured
/// on 15).
const MOST_PREPARED_BYTES: usize = 1 << 20;

/// The server connection and what is owed on it.
pub(in crate::session) struct Up<'a> {
    pub(in crate::session) pipe: &'a mut Pipe,
    pub(in crate::session) link: &'a mut Link,
}

impl Up<'_> {
    /// A message of a pipeline is sent.
    pub(super) fn begin_pipeline(&mut self) {
        if self.link.phase == Phase::Between {
            self.link.phase = Phase::Open;
        }
    }

    /// Ends a pipeline of ours.
    pub(super) fn sync_ours(&mut self) {
        if self.link.phase == Phase::Between {
            write::sync(&mut self.pipe.output);
            self.link.outstanding.push(Reply::OurSync);
        }
    }

    /// A Query is sent.
    pub(super) fn end_pipeline(&mut self) {
        if self.link.phase == Phase::Open {
            self.link.worsen(Cleanup::DiscardAll);
            self.link.unsure = true;
        }
        self.link.ends_pipeline();
    }

    /// The statement's name on the server, where it is prepared now if it was
    /// not, or not since the client has prepared it. `None`: answers must come
    /// first.
    pub(super) fn name_of(&mut self, statement: &Statement) -> Option<String> {
        let id = statement.prepared.id();
        match self.pipe.prepared.find(id, statement.since) {
            Some(name) if is_prepared(&self.link.outstanding, id) => Some(name.to_string()),
            Some(_) => None,
            None => Some(self.prepare(&statement.prepared, Reply::OurParse(id))),
        }
    }

    /// Prepares a statement under a new name. Closes what another client has
    /// prepared of it before (its tables may have changed since), and those
    /// that have been unused for the longest time if there are too many.
    pub(super) fn prepare(&mut self, prepared: &Prepared, owed: Reply) -> String {
        let before = self.pipe.prepared.find_any(prepared.id());
        let name = self.pipe.prepared.add(prepared).to_string();
        let output = &mut self.pipe.output;
        output.extend_from_slice(b"P");
        put_len(output, name.len() + 1 + prepared.tail().len());
        put_text(output, &name);
        output.extend_from_slice(b"\0");
        output.extend_from_slice(prepared.tail());
        self.link.outstanding.push(owed);
        if let Some(name) = before {
            self.close(name);
        }
        while let Some(name) = self.pipe.prepared.evict(MOST_PREPARED, MOST_PREPARED_BYTES) {
            self.close(name);
        }
        name
    }

    /// Parses a statement without a name, for the next message alone.
    pub(super) fn parse_for_once(&mut self, statement: &Statement) {
        self.parse_unnamed(statement, Reply::OurUnnamedParse);
        self.link.has_unnamed = false;
    }

    /// Makes the server's unnamed statement the client's.
    pub(super) fn parse_unnamed(&mut self, statement: &Statement, owed: Reply) {
        let tail = statement.prepared.tail();
        let output = &mut self.pipe.output;
        output.extend_from_slice(b"P");
        put_len(output, 1 + tail.len());
        output.extend_from_slice(b"\0");
        output.extend_from_slice(tail);
        self.link.outstanding.push(owed);
        self.link.has_unnamed = true;
    }

    /// Closes a statement that is not entered any more.
    fn close(&mut self, name: StatementName) {
        let output = &mut self.pipe.output;
        written(&write::close(b'S', &name.to_string(), output));
        self.link.outstanding.push(Reply::OurClose);
    }
}

/// The length word of a message with a body of `body` bytes.
pub(super) fn put_len(output: &mut BytesMut, body: usize) {
    let len = u32::try_from(body + 4).unwrap_or(u32::MAX);
    output.extend_from_slice(&len.to_be_bytes());
}

pub(super) fn put_text(output: &mut BytesMut, text: &str) {
    output.extend_from_slice(text.as_bytes());
}

/// Our own messages into memory: the only failure is a NUL in a text, and ours
/// have none.
pub(super) fn written(result: &std::io::Result<()>) {
    debug_assert!(result.is_ok());
}
