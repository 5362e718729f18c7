//! A client's messages, to be sent in one write.

use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;

/// Messages, one after another.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    out: BytesMut,
}

impl Pipeline {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Any bytes, which need not be whole messages.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self { out: bytes.into() }
    }

    /// What is to be sent.
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// Query
    pub fn query(mut self, sql: &str) -> Self {
        frontend::query(sql, &mut self.out).unwrap();
        self
    }

    /// Parse, without types of parameters.
    pub fn parse(mut self, name: &str, sql: &str) -> Self {
        frontend::parse(name, sql, [], &mut self.out).unwrap();
        self
    }

    /// Parse, with types of parameters.
    pub fn parse_with(mut self, name: &str, sql: &str, types: &[u32]) -> Self {
        frontend::parse(name, sql, types.iter().copied(), &mut self.out).unwrap();
        self
    }

    /// Bind with parameters as bytes in these formats, NULLs among them.
    pub fn bind_with(
        self,
        portal: &str,
        statement: &str,
        formats: &[u16],
        values: &[Option<&str>],
    ) -> Self {
        let values: Vec<_> = values.iter().map(|v| v.map(str::as_bytes)).collect();
        self.bind_bytes(portal, statement, formats, &values, &[])
    }

    /// The same, with formats of the results.
    pub fn bind_bytes(
        self,
        portal: &str,
        statement: &str,
        formats: &[u16],
        values: &[Option<&[u8]>],
        results: &[u16],
    ) -> Self {
        let count = |len: usize| u16::try_from(len).unwrap().to_be_bytes();
        let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0"].concat();
        body.extend(count(formats.len()));
        body.extend(formats.iter().flat_map(|format| format.to_be_bytes()));
        body.extend(count(values.len()));
        for value in values {
            let len = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
            body.extend(len.to_be_bytes());
            body.extend(value.unwrap_or_default());
        }
        body.extend(count(results.len()));
        body.extend(results.iter().flat_map(|format| format.to_be_bytes()));
        self.message(b'B', &body)
    }

    /// Bind with parameters as text, results as text.
    pub fn bind(mut self, portal: &str, statement: &str, values: &[&str]) -> Self {
        let serialize = |value: &&str, out: &mut BytesMut| {
            out.extend_from_slice(value.as_bytes());
            Ok(IsNull::No)
        };
        let bound = frontend::bind(portal, statement, [], values, serialize, [], &mut self.out);
        assert!(bound.is_ok());
        self
    }

    /// Describe of a portal.
    pub fn describe(mut self, portal: &str) -> Self {
        frontend::describe(b'P', portal, &mut self.out).unwrap();
        self
    }

    /// Describe of a statement.
    pub fn describe_statement(mut self, name: &str) -> Self {
        frontend::describe(b'S', name, &mut self.out).unwrap();
        self
    }

    /// Execute; at most `rows` rows, 0 for all.
    pub fn execute(mut self, portal: &str, rows: i32) -> Self {
        frontend::execute(portal, rows, &mut self.out).unwrap();
        self
    }

    /// Close of a portal.
    pub fn close(mut self, portal: &str) -> Self {
        frontend::close(b'P', portal, &mut self.out).unwrap();
        self
    }

    /// Close of a statement.
    pub fn close_statement(mut self, name: &str) -> Self {
        frontend::close(b'S', name, &mut self.out).unwrap();
        self
    }

    /// Sync
    pub fn sync(mut self) -> Self {
        frontend::sync(&mut self.out);
        self
    }

    /// Flush
    pub fn flush(mut self) -> Self {
        frontend::flush(&mut self.out);
        self
    }

    /// Terminate
    pub fn terminate(mut self) -> Self {
        frontend::terminate(&mut self.out);
        self
    }

    /// CopyData
    pub fn copy_data(self, data: &[u8]) -> Self {
        self.message(b'd', data)
    }

    /// CopyDone
    pub fn copy_done(mut self) -> Self {
        frontend::copy_done(&mut self.out);
        self
    }

    /// CopyFail
    pub fn copy_fail(mut self, reason: &str) -> Self {
        frontend::copy_fail(reason, &mut self.out).unwrap();
        self
    }

    /// Any message.
    pub fn message(mut self, tag: u8, body: &[u8]) -> Self {
        let len = u32::try_from(body.len() + 4).unwrap();
        self.out.extend_from_slice(&[tag]);
        self.out.extend_from_slice(&len.to_be_bytes());
        self.out.extend_from_slice(body);
        self
    }

    /// A statement without parameters, through the unnamed statement and
    /// portal: Parse, Bind, Describe, Execute.
    pub fn statement(self, sql: &str) -> Self {
        self.parse("", sql)
            .bind("", "", &[])
            .describe("")
            .execute("", 0)
    }

    /// A prepared statement through the unnamed portal: Bind, Execute.
    pub fn prepared(self, name: &str, values: &[&str]) -> Self {
        self.bind("", name, values).execute("", 0)
    }
}
