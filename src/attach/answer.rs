//! Reading the answers to what was sent ahead.

use super::{AttachError, Expected};
use crate::protocol::backend::{self, FrameError, Report, TransactionStatus};
use crate::server::Connection;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// The longest message that an answer may have.
const MAX_MESSAGE: usize = 1 << 20;

/// What a request must be answered with, up to its ReadyForQuery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// A command without rows.
    Command,
    /// The same, sent without a Sync: the next request's ReadyForQuery ends both.
    Unsynced,
    /// An empty query's.
    Empty,
    /// One row, its content of no interest.
    Row,
    /// One row of so many columns, and the tenant's value in each.
    Tenant(Arc<str>, usize),
    /// The tenant's value as a function's result.
    TenantResult(Arc<str>),
    /// A function's result, of no interest.
    Result,
    /// One row, or a function's result; an error is the client's, not the
    /// attachment's.
    Own,
    /// An answer that has arrived; its ReadyForQuery is missing.
    Done,
    /// The same, and it was an error of the client's.
    Failed(Report),
}

impl Answer {
    /// What a statement of [a pipeline](super::Reattach) is answered with.
    pub(super) fn in_pipeline(self) -> impl Iterator<Item = Expected> {
        let row = match self {
            Self::Tenant(value, columns) => Expected::Tenant(value, columns),
            Self::TenantResult(value) => Expected::Tenant(value, 1),
            _ => Expected::Row,
        };
        let before = b"3312".map(Expected::Message);
        let after = b"C33".map(Expected::Message);
        before.into_iter().chain([row]).chain(after)
    }
}

/// Takes answers as far as they have arrived. Returns the error that one of the
/// client's own settings caused.
pub(super) fn next<S>(
    connection: &mut Connection<S>,
    answers: &mut VecDeque<Answer>,
    status: TransactionStatus,
    report: &mut impl FnMut(&[u8]),
) -> Result<Option<Report>, AttachError> {
    while let Some(expected) = answers.front().cloned() {
        let bytes = connection.input().bytes();
        let Some(header) = backend::header(bytes)? else {
            return Ok(None);
        };
        if header.body > MAX_MESSAGE {
            return Err(FrameError.into());
        }
        let end = backend::HEADER + header.body;
        let (Some(frame), Some(body)) = (bytes.get(..end), bytes.get(backend::HEADER..end)) else {
            return Ok(None);
        };
        let mut parameter = None;
        let after = match header.tag {
            b'S' => {
                report(frame);
                parameter = Some(body.to_vec());
                expected
            }
            // For a client that listens, and keeps its connection.
            b'A' => {
                report(frame);
                expected
            }
            b'N' | b'1' | b'2' => expected,
            b'E' => failed(&expected, body)?,
            tag => advance(expected, tag, body, status)?,
        };
        connection.input_mut().consume(end);
        if let Some(body) = parameter {
            connection.parameters_mut().update(&body)?;
        }
        if header.tag == b'C' && after == Answer::Unsynced {
            answers.pop_front();
        } else if header.tag == b'Z' {
            answers.pop_front();
            if let Answer::Failed(report) = after {
                return Ok(Some(report));
            }
        } else if let Some(front) = answers.front_mut() {
            *front = after;
        }
    }
    Ok(None)
}

fn failed(expected: &Answer, body: &[u8]) -> Result<Answer, AttachError> {
    let report = backend::report(body);
    match expected {
        Answer::Own if report.severity == "ERROR" => Ok(Answer::Failed(report)),
        // Its last words.
        _ if report.ends_session() => Err(io::Error::other(report.message).into()),
        _ => Err(AttachError::Refused(report)),
    }
}

/// What is still missing once a message of this type has arrived.
fn advance(
    expected: Answer,
    tag: u8,
    body: &[u8],
    status: TransactionStatus,
) -> Result<Answer, AttachError> {
    match (tag, expected) {
        (b'D', Answer::Tenant(value, columns)) => {
            let row = backend::data_row(body).unwrap_or_default();
            let is_value = |column: &Option<&[u8]>| *column == Some(value.as_bytes());
            if row.len() == columns && row.iter().all(is_value) {
                Ok(Answer::Row)
            } else {
                Err(AttachError::Unconfirmed)
            }
        }
        (b'D', expected @ (Answer::Row | Answer::Own)) => Ok(expected),
        (b'V', Answer::TenantResult(value)) => match backend::function_result(body) {
            Some(Some(result)) if *result == *value.as_bytes() => Ok(Answer::Done),
            _ => Err(AttachError::Unconfirmed),
        },
        (b'V', Answer::Result | Answer::Own) => Ok(Answer::Done),
        // A row without the tenant's value must not count as one with it.
        (b'C', Answer::Command | Answer::Row | Answer::Own) => Ok(Answer::Done),
        (b'C', Answer::Unsynced) => Ok(Answer::Unsynced),
        (b'I', Answer::Empty) => Ok(Answer::Done),
        (b'Z', expected @ (Answer::Done | Answer::Failed(..)))
            if TransactionStatus::decode(body)? == status =>
        {
            Ok(expected)
        }
        (b'C' | b'Z', _) => Err(AttachError::Unconfirmed),
        _ => Err(FrameError.into()),
    }
}
