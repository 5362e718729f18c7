//! Errors of the server, and what they undo: of a pipeline, everything up to its
//! Sync is skipped (protocol section "Extended Query").

use super::link::{Link, Phase};
use super::outstanding::Reply;
use super::response::Fate;
use super::{Engine, Fault};
use crate::attach::{self, Cleanup};
use crate::audit::Outcome;
use crate::protocol::ClientError;
use crate::protocol::backend::{self, Report};
use crate::server::Pipe;

impl Engine {
    pub(super) fn take_error(
        &mut self,
        link: &mut Link,
        pipe: &mut Pipe,
        body: &[u8],
        is_whole: bool,
    ) -> Result<Fate, Fault> {
        let report = backend::report(body);
        link.server_ended = report.ends_session();
        link.copy_in = false;
        if link.server_ended {
            self.meter.errs(&report.sqlstate);
            return Ok(Fate::Pass);
        }
        if report.sqlstate == "0A000" {
            // After a change of its tables a prepared statement can fail for ever
            // ("cached plan must not change result type"): whoever prepares it
            // anew must not be given the old one.
            pipe.prepared.clear();
            link.cleanup = Cleanup::DiscardAll;
        }
        let renamed = match &*report.sqlstate {
            "08P01" | "26000" | "42P05" if is_whole => self.with_clients_name(body, link, pipe),
            _ if is_whole => with_clients_position(body, link),
            _ => None,
        };
        let fate = match link.outstanding.front_mut() {
            Some(front) if front.is_attachment() => {
                return Err(Fault::Told(not_attached(&report)));
            }
            Some(
                Reply::RefusedQuery(ours) | Reply::Refused(ours) | Reply::RefusedUnnamed(ours),
            ) => Fate::Replace(std::mem::take(ours)),
            // The client was told of another error.
            _ if link.tally.is_over() => Fate::Drop,
            _ => {
                self.meter.errs(&report.sqlstate);
                renamed.map_or(Fate::Pass, Fate::Replace)
            }
        };
        match link.outstanding.front_mut() {
            Some(query @ Reply::Query(_)) => {
                if let Reply::Query(verdict) = query {
                    *query = Reply::FailedQuery(verdict.clone());
                }
                self.audit_answer(link, Outcome::Failed(&report.sqlstate));
            }
            Some(Reply::FailedQuery(_) | Reply::RefusedQuery(_) | Reply::FunctionCall) => {}
            // Between two messages, such as a warning before the server stops.
            None => {}
            Some(failed) => {
                // PostgreSQL forgets the last unnamed statement before it reads a
                // new one.
                let forgets = match failed {
                    Reply::Parse(pending) => pending.name.is_empty(),
                    Reply::RefusedUnnamed(_) => true,
                    _ => false,
                };
                if forgets {
                    self.statements.remove(b"");
                    link.has_unnamed = false;
                }
                for n in 0..skip(link, pipe) {
                    // Most often what has failed is the statement of the first.
                    let outcome = match n {
                        0 => Outcome::Failed(&report.sqlstate),
                        _ => Outcome::Skipped,
                    };
                    self.audit_answer(link, outcome);
                }
            }
        }
        Ok(fate)
    }

    /// An error that names a prepared statement ("bind message supplies …"), with
    /// the client's name for it in place of the server's.
    fn with_clients_name(&self, body: &[u8], link: &Link, pipe: &Pipe) -> Option<Box<[u8]>> {
        let text = std::str::from_utf8(body).ok()?;
        let (before, rest) = text.split_once("\"pgtenant_")?;
        let (digits, after) = rest.split_once('"')?;
        let id = pipe.prepared.id_of(&format!("pgtenant_{digits}"))?;
        let pending = link
            .outstanding
            .newest_first()
            .find_map(|reply| match reply {
                Reply::Parse(pending) if pending.id == Some(id) => Some(&*pending.name),
                _ => None,
            });
        let name = pending.or_else(|| self.statements.name_of(id))?;
        let body = [before.as_bytes(), b"\"", name, b"\"", after.as_bytes()].concat();
        let mut message = Vec::new();
        backend::message(&mut message, b'E', &body);
        Some(message.into_boxed_slice())
    }
}

/// An error that names a place in a text that was sent in the place of the client's,
/// with the place in the client's.
fn with_clients_position(body: &[u8], link: &Link) -> Option<Box<[u8]>> {
    let verdict = match link.outstanding.front()? {
        Reply::Query(verdict) => verdict,
        Reply::Parse(pending) => &pending.statement.verdict,
        _ => return None,
    };
    let instead = verdict.instead.as_deref()?;
    let fields = body.split_inclusive(|byte| *byte == 0).map(|field| {
        let position = field.strip_prefix(b"P").and_then(|text| {
            let text = std::str::from_utf8(text.strip_suffix(b"\0")?).ok()?;
            let position: u32 = text.parse().ok()?;
            Some(instead.position(usize::try_from(position).ok()?))
        });
        match position {
            Some(position) => format!("P{position}\0").into_bytes(),
            None => field.to_vec(),
        }
    });
    let mut message = Vec::new();
    backend::message(&mut message, b'E', &fields.collect::<Vec<_>>().concat());
    Some(message.into_boxed_slice())
}

/// The message in front has failed: those behind it are skipped, up to the end of
/// their pipeline. What they would have done has not happened. Returns how many of them
/// are Executes.
fn skip(link: &mut Link, pipe: &mut Pipe) -> usize {
    let mut executes = 0;
    while link
        .outstanding
        .front()
        .is_some_and(|next| !next.ends_pipeline())
    {
        let reply = link.outstanding.pop();
        executes += usize::from(matches!(reply, Some(Reply::Execute(_))));
        match reply {
            Some(Reply::Parse(pending)) => match pending.id {
                Some(id) => pipe.prepared.remove(id),
                // What the server's unnamed statement is now depends on which of
                // its messages failed: it is parsed again.
                None => link.has_unnamed = false,
            },
            Some(Reply::OurParse(id)) => pipe.prepared.remove(id),
            Some(Reply::OurUnnamedParse | Reply::RefusedUnnamed(_)) => link.has_unnamed = false,
            // The server keeps what was lent to it.
            Some(Reply::Execute(Some(verdict))) if verdict.effects.deallocates.is_some() => {
                link.cleanup = Cleanup::DiscardAll;
            }
            // The server keeps what nobody knows any more.
            Some(Reply::OurClose) => link.cleanup = Cleanup::DiscardAll,
            _ => {}
        }
    }
    if link.outstanding.is_empty() {
        link.phase = Phase::Failed;
    }
    executes
}

fn not_attached(report: &Report) -> ClientError {
    if report.is_cancel() {
        return ClientError::fatal("57014", report.message.clone());
    }
    attach::not_attached()
}
