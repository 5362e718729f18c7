//! The answers that a server still owes, in their order.

use crate::guard::Verdict;
use crate::server::PreparedId;
use crate::wire::backend;
use std::collections::VecDeque;
use std::sync::Arc;

/// One owed answer, or one of ours that stands in the same line.
#[derive(Debug)]
pub(super) enum Awaited {
    /// A Query: everything up to its ReadyForQuery.
    Query(Arc<Verdict>),
    /// A Query in place of one that was refused: its error becomes ours.
    RefusedQuery(Box<[u8]>),
    /// A Parse in place of a message that was refused: its error becomes ours.
    Refused(Box<[u8]>),
    /// The ParseComplete of a client's Parse.
    Parse(Parsed),
    /// The ParseComplete of a Parse of ours; the client does not see it.
    OurParse(PreparedId),
    /// The ParseComplete of our Parse of the unnamed statement.
    OurUnnamedParse,
    /// A BindComplete.
    Bind,
    /// What Describe is answered with, up to RowDescription or NoData.
    Describe,
    /// The same for a statement, by the client's name for it.
    DescribeStatement(Box<[u8]>, PreparedId),
    /// The same for a Describe of ours; the client does not see it.
    OurDescribe(PreparedId),
    /// What Execute is answered with, up to the completion.
    Execute(Option<Arc<Verdict>>),
    /// The CloseComplete of a client's Close.
    Close,
    /// The CloseComplete of a Close of ours; the client does not see it.
    OurClose,
    /// A message of this type to us; the client does not see it.
    Ours(u8),
    /// The ReadyForQuery of a Sync of ours; the client does not see it.
    OurSync,
    /// A ReadyForQuery.
    Sync,
    /// The client has ended a COPY that the server may not have begun yet.
    CopyEnd,
    /// A CloseComplete of ours.
    ClosedHere,
}

/// A Parse of a client's.
#[derive(Debug)]
pub(super) enum Parsed {
    /// Of the unnamed statement.
    Unnamed,
    /// Of a named one: the client's name, and what it is on the server.
    Named(Box<[u8]>, Option<PreparedId>),
}

impl Awaited {
    /// The bytes of an answer that needs no server.
    pub(super) fn ours(&self) -> Option<&'static [u8]> {
        match self {
            Self::ClosedHere => Some(backend::CLOSE_COMPLETE),
            Self::CopyEnd => Some(&[]),
            _ => None,
        }
    }

    /// Whether its ReadyForQuery is the client's, and nothing takes effect with
    /// it.
    pub(super) fn ends_plainly(&self) -> bool {
        match self {
            Self::Sync => true,
            Self::Query(verdict) => !verdict.effects.take_away(),
            _ => false,
        }
    }
}

/// What is known once the server has begun a COPY from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CopyBegun {
    /// The data are still to come to their end.
    pub(super) open: bool,
    /// A Sync was sent before that end.
    pub(super) ignores_sync: bool,
}

/// The server has begun a COPY from the client: a Sync that was sent behind its
/// statement, before the end of the copied data, is ignored by the server
/// (protocol section "COPY Operations").
pub(super) fn begin_copy_in(awaited: &mut VecDeque<Awaited>) -> CopyBegun {
    let mut begun = CopyBegun {
        open: true,
        ignores_sync: false,
    };
    let mut at = 1;
    while let Some(next) = awaited.get(at) {
        match next {
            Awaited::CopyEnd => {
                begun.open = false;
                return begun;
            }
            Awaited::Sync => {
                awaited.remove(at);
                begun.ignores_sync = true;
            }
            _ => at += 1,
        }
    }
    begun
}
