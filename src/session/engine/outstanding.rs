//! The responses that a server still owes, in their order.

use super::super::statements::Statement;
use crate::guard::{Transaction, Verdict};
use crate::protocol::backend;
use crate::server::PreparedId;
use std::collections::VecDeque;
use std::sync::Arc;

/// One outstanding response, and what it means once it comes; or a response of
/// ours that stands in the same line.
#[derive(Debug)]
pub(super) enum Reply {
    /// A Query: everything up to its ReadyForQuery.
    Query(Arc<Verdict>),
    /// The same, once it has failed.
    FailedQuery(Arc<Verdict>),
    /// A FunctionCall: everything up to its ReadyForQuery.
    FunctionCall,
    /// A Query in place of one that was refused: its error becomes ours.
    RefusedQuery(Box<[u8]>),
    /// A Parse in place of a message that was refused: its error becomes ours.
    Refused(Box<[u8]>),
    /// The same for a Parse without a name.
    RefusedUnnamed(Box<[u8]>),
    /// The ParseComplete of a client's Parse: its statement is then known.
    Parse(Pending),
    /// The ParseComplete of a Parse of ours; the client does not see it.
    OurParse(PreparedId),
    /// The ParseComplete of our Parse of the unnamed statement.
    OurUnnamedParse,
    /// A BindComplete.
    Bind {
        /// Of the unnamed portal.
        unnamed: bool,
    },
    /// A BindComplete; the portal is one to remember then.
    BindNoted(Box<[u8]>, Arc<Verdict>),
    /// What Describe is answered with, up to RowDescription or NoData.
    Describe,
    /// The same for a statement, by the client's name for it.
    DescribeStatement(Box<[u8]>, PreparedId),
    /// The same for a Describe of ours; the client does not see it.
    OurDescribe(PreparedId),
    /// What Execute is answered with, up to the completion.
    Execute(Option<Arc<Verdict>>),
    /// The CloseComplete of a portal.
    ClosePortal(Box<[u8]>),
    /// The CloseComplete of a statement, which is then gone.
    CloseStatement(Box<[u8]>),
    /// A CloseComplete of ours for such a statement.
    ClosedHere(Box<[u8]>),
    /// The CloseComplete of a Close of ours; the client does not see it.
    OurClose,
    /// A message of this type to us; the client does not see it.
    Ours(u8),
    /// The row and completion of an attachment of ours: the tenant's value in
    /// each of so many columns.
    OurTenant(Arc<str>, usize),
    /// The same, its content of no interest.
    OurRow,
    /// The ReadyForQuery of a Sync of ours; the client does not see it.
    OurSync,
    /// A ReadyForQuery.
    Sync,
}

/// A Parse of a client's that the server has not answered yet.
#[derive(Debug)]
pub(super) struct Pending {
    /// The client's name for it, empty for the unnamed statement.
    pub(super) name: Box<[u8]>,
    pub(super) statement: Arc<Statement>,
    /// It is known by this on the server.
    pub(super) id: Option<PreparedId>,
    /// What it takes, in bytes.
    pub(super) bytes: usize,
}

impl Reply {
    /// Whether the server goes on behind it after an error before it: the end of
    /// a pipeline.
    pub(super) fn ends_pipeline(&self) -> bool {
        matches!(
            self,
            Self::Sync
                | Self::OurSync
                | Self::Query(_)
                | Self::FailedQuery(_)
                | Self::FunctionCall
                | Self::RefusedQuery(_)
        )
    }

    /// The bytes of a response that needs no server.
    pub(super) fn ours(&self) -> Option<&'static [u8]> {
        match self {
            Self::ClosedHere(_) => Some(backend::CLOSE_COMPLETE),
            _ => None,
        }
    }

    /// Whether it is part of an attachment, which must not fail.
    pub(super) fn is_attachment(&self) -> bool {
        matches!(self, Self::OurTenant(..) | Self::OurRow)
    }

    /// What the statement takes that is known once it comes.
    fn bytes(&self) -> usize {
        match self {
            Self::Parse(pending) => pending.bytes,
            _ => 0,
        }
    }

    fn names(&self) -> bool {
        matches!(
            self,
            Self::Parse(_) | Self::OurParse(_) | Self::ClosedHere(_) | Self::CloseStatement(_)
        )
    }
}

/// Outstanding responses.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    queue: VecDeque<Reply>,
    /// So many at the back the server may keep to itself until a Flush or Sync.
    unflushed: usize,
    /// How many of them define a prepared statement or take one away.
    names: usize,
    /// What statements that clients prepare among them take, in bytes.
    bytes: usize,
}

/// Responses that an empty queue keeps room for, at most.
const MOST_ROOM: usize = 64;

impl Outstanding {
    pub(super) fn with_room() -> Self {
        Self {
            // What most transactions need, at one stroke.
            queue: VecDeque::with_capacity(8),
            ..Self::default()
        }
    }

    /// Empties it; `false` if it has grown too large to be kept.
    pub(super) fn clear(&mut self) -> bool {
        self.queue.clear();
        self.unflushed = 0;
        self.names = 0;
        self.bytes = 0;
        self.queue.capacity() <= MOST_ROOM
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn front(&self) -> Option<&Reply> {
        self.queue.front()
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut Reply> {
        self.queue.front_mut()
    }

    /// Behind everything else. What ends a pipeline makes the server send all.
    pub(super) fn push(&mut self, reply: Reply) {
        if reply.ends_pipeline() {
            self.unflushed = 0;
        } else {
            self.unflushed += 1;
            self.names += usize::from(reply.names());
            self.bytes += reply.bytes();
        }
        self.queue.push_back(reply);
    }

    /// A Flush has been sent behind them.
    pub(super) fn flush(&mut self) {
        self.unflushed = 0;
    }

    /// The server sends nothing more of them before a Flush or Sync.
    pub(super) fn keep_back(&mut self) {
        self.unflushed = self.queue.len();
    }

    pub(super) fn pop(&mut self) -> Option<Reply> {
        let reply = self.queue.pop_front()?;
        self.unflushed = self.unflushed.min(self.queue.len());
        self.names -= usize::from(reply.names());
        self.bytes -= reply.bytes();
        Some(reply)
    }

    /// Whether some may be kept back until a Flush or Sync.
    pub(super) fn is_unflushed(&self) -> bool {
        self.unflushed > 0
    }

    /// Whether the server owes something that it sends by itself.
    pub(super) fn is_due(&self) -> bool {
        self.queue.len() > self.unflushed
    }

    /// Whether some define a prepared statement or take one away.
    pub(super) fn has_names(&self) -> bool {
        self.names > 0
    }

    /// How many statements may be prepared with them, and what they take in bytes.
    pub(super) fn pending(&self) -> (usize, usize) {
        (self.names, self.bytes)
    }

    /// Whether they are those of one Query or one pipeline, whose end has been sent.
    pub(super) fn is_one_pipeline(&self) -> bool {
        let mut ends = self.queue.iter().filter(|reply| reply.ends_pipeline());
        matches!(self.queue.back(), Some(Reply::Query(_) | Reply::Sync)) && ends.nth(1).is_none()
    }

    /// Whether it is that of a Query alone which ends the transaction.
    pub(super) fn is_end_of_transaction(&self) -> bool {
        match (self.queue.front(), self.queue.len()) {
            (Some(Reply::Query(verdict)), 1) => {
                verdict.effects.transaction == Transaction::Ends && verdict.refusal.is_none()
            }
            _ => false,
        }
    }

    /// The last first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Reply> {
        self.queue.iter().rev()
    }
}
