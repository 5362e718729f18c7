//! Messages that are sent.

use crate::protocol::frontend::write_function_call;
use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;
use std::io;

/// One message. Its texts have no zero byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops::prove) enum Message {
    Query(String),
    /// Name and statement; PostgreSQL finds the types of the parameters.
    Parse(String, String),
    /// Portal, statement, and its parameters as texts.
    Bind(String, String, Vec<String>),
    Execute(String),
    Flush,
    Sync,
    /// The function's OID, and its arguments as texts.
    Call(u32, Vec<String>),
    /// Bytes as they are.
    Raw(Vec<u8>),
}

impl Message {
    /// Whether the server ends its answer to it with ReadyForQuery.
    pub(super) fn is_answered_by_ready(&self) -> bool {
        matches!(self, Self::Query(_) | Self::Sync | Self::Call(..))
    }
}

/// Appends the message.
pub(super) fn write(message: &Message, out: &mut BytesMut) -> io::Result<()> {
    match message {
        Message::Query(sql) => frontend::query(sql, out),
        Message::Parse(name, sql) => frontend::parse(name, sql, [], out),
        Message::Bind(portal, name, values) => {
            let text = |value: &String, buffer: &mut BytesMut| {
                buffer.extend_from_slice(value.as_bytes());
                Ok(IsNull::No)
            };
            // Parameters and results are texts.
            let bound = frontend::bind(portal, name, [], values, text, [], out);
            bound.map_err(|error| match error {
                frontend::BindError::Conversion(error) => io::Error::other(error),
                frontend::BindError::Serialization(error) => error,
            })
        }
        Message::Execute(portal) => frontend::execute(portal, 0, out),
        Message::Flush => {
            frontend::flush(out);
            Ok(())
        }
        Message::Sync => {
            frontend::sync(out);
            Ok(())
        }
        Message::Call(oid, values) => {
            let values: Vec<_> = values.iter().map(|value| Some(value.as_str())).collect();
            write_function_call(out, *oid, &values).map_err(io::Error::other)
        }
        Message::Raw(bytes) => {
            out.extend_from_slice(bytes);
            Ok(())
        }
    }
}
