//! Messages that are sent.

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
        Message::Call(oid, values) => call(*oid, values, out),
        Message::Raw(bytes) => {
            out.extend_from_slice(bytes);
            Ok(())
        }
    }
}

/// FunctionCall, with arguments and result as texts.
fn call(oid: u32, values: &[String], out: &mut BytesMut) -> io::Result<()> {
    let count = u16::try_from(values.len()).map_err(io::Error::other)?;
    let mut body = oid.to_be_bytes().to_vec();
    body.extend_from_slice(&0_u16.to_be_bytes());
    body.extend_from_slice(&count.to_be_bytes());
    for value in values {
        let length = u32::try_from(value.len()).map_err(io::Error::other)?;
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    body.extend_from_slice(&0_u16.to_be_bytes());
    let length = u32::try_from(body.len() + 4).map_err(io::Error::other)?;
    out.extend_from_slice(b"F");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&body);
    Ok(())
}
