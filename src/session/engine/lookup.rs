//! Which statement a client's name will mean on the server when the message that
//! names it is run.

use super::super::statements::Statement;
use super::outstanding::{Outstanding, Reply};
use super::{Engine, Link};
use crate::server::PreparedId;
use std::sync::Arc;

/// What is known of a name.
#[derive(Debug)]
pub(super) enum Known {
    /// It is this statement, or the message will be skipped.
    Statement(Arc<Statement>),
    /// There is none of this name.
    Missing,
    /// Answers must come first.
    Unsure,
}

impl Engine {
    /// The statement that a message sent now would find under a name. A Parse or
    /// Close before it in the same pipeline counts: if it fails, the message is
    /// skipped. One in an earlier pipeline must be answered first.
    pub(super) fn known(&self, name: &[u8], link: Option<&Link>) -> Known {
        if let Some(link) = link.filter(|link| link.outstanding.has_names() || name.is_empty())
            && let Some(known) = in_flight(&link.outstanding, name)
        {
            return known;
        }
        match self.statements.get(name) {
            Some(statement) => Known::Statement(statement.clone()),
            None => Known::Missing,
        }
    }

    /// Whether the client has a name for this statement already, or has asked for
    /// one.
    pub(super) fn is_named(&self, id: PreparedId, link: &Link) -> bool {
        let asked = |reply: &Reply| match reply {
            Reply::Parse(pending) => pending.id == Some(id),
            _ => false,
        };
        (link.outstanding.has_names() && link.outstanding.newest_first().any(asked))
            || self.statements.name_of(id).is_some()
    }
}

fn in_flight(outstanding: &Outstanding, name: &[u8]) -> Option<Known> {
    let mut here = true;
    for reply in outstanding.newest_first() {
        match reply {
            // A simple query ends the unnamed statement.
            Reply::Query(_) | Reply::FailedQuery(_) | Reply::RefusedQuery(_) if name.is_empty() => {
                return Some(Known::Missing);
            }
            Reply::Parse(pending) if *pending.name == *name => {
                return Some(match here {
                    true => Known::Statement(pending.statement.clone()),
                    false => Known::Unsure,
                });
            }
            Reply::ClosedHere(closed) | Reply::CloseStatement(closed) if **closed == *name => {
                return Some(if here { Known::Missing } else { Known::Unsure });
            }
            reply if reply.ends_pipeline() => here = false,
            _ => {}
        }
    }
    None
}

/// Whether the server has the statement by the time a message sent now is run:
/// it was prepared before, or in the same pipeline.
pub(super) fn is_prepared(outstanding: &Outstanding, id: PreparedId) -> bool {
    if !outstanding.has_names() {
        return true;
    }
    let mut here = true;
    for reply in outstanding.newest_first() {
        match reply {
            Reply::OurParse(pending) if *pending == id => return here,
            Reply::Parse(pending) if pending.id == Some(id) => return here,
            reply if reply.ends_pipeline() => here = false,
            _ => {}
        }
    }
    true
}
