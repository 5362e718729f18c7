//! How much a statement may answer (`max_rows`, `max_result_bytes` of a profile), and what
//! becomes of one that answers more.
//!
//! The client gets whole rows up to the limit and then an error in the server's place:
//! never a part of a row, and nothing of the statement behind the error. What the server
//! goes on to send of it is dropped, and the server is asked to cancel it as soon as more
//! is to come than has arrived. Then the server's session is made what the client takes it
//! for, which has been told of an error:
//!
//! - The server has failed by itself, which most often is the cancel: that is all.
//! - It has completed the statement before that. Nothing of the client's was sent behind it
//!   ([`Engine::limit`]), so a failure of ours follows it: an open transaction, and that of a
//!   pipeline without its Sync, is undone.
//! - It has committed it already, as a query string without a transaction does by itself. Of
//!   what only reads nothing remains. Else the session ends: its client must look.

use super::link::{Gate, Link, Phase};
use super::outstanding::Reply;
use super::response::Fate;
use super::tally::{HINT, Over, Remains, TOO_MUCH};
use super::upstream::written;
use super::{Engine, Fault, Up};
use crate::guard::{Refusal, Verdict};
use crate::protocol::ClientError;
use crate::protocol::backend::TransactionStatus;
use crate::server::Pipe;
use postgres_protocol::message::frontend as write;

/// No SQL: the server fails on it.
const NO_SQL: &str = "pgtenant_ended_this_statement";

impl Engine {
    /// A Query, or the Execute of this portal, has been passed: what it answers is counted
    /// where the login says so. Nothing of the client's is sent behind it before it is
    /// answered.
    pub(super) fn limit(&mut self, portal: Option<&[u8]>, up: &mut Up<'_>) {
        let Some(most) = self.login.most_result() else {
            return up.link.tally.stop();
        };
        up.link.tally.begin(most, portal);
        self.client.stage(&mut up.pipe.output);
        up.link.hold(up.pipe);
    }

    /// The same, of an Execute that takes nothing from the client. Where nothing can be
    /// written, its Sync may follow: the server need not be asked twice.
    pub(super) fn limit_execute(&mut self, portal: Option<&[u8]>, up: &mut Up<'_>) {
        if portal.is_some() && self.is_read_only() {
            self.pass_sync(up);
        }
        self.limit(portal, up);
    }

    /// The portal's name, where what its statement answers is counted.
    pub(super) fn limited_portal(&self, portal: &[u8]) -> Option<Box<[u8]>> {
        self.login.most_result().map(|_| portal.into())
    }

    fn is_read_only(&self) -> bool {
        self.tenant.restrictions(&self.login).read_only
    }

    /// A row, or copied data, does not fit in any more: tells the client.
    fn exceed(&mut self, link: &mut Link, pipe: &mut Pipe, len: usize) -> Result<(), Fault> {
        let Some(limit) = link.tally.exceeded(len) else {
            return Ok(());
        };
        let refusal = limit.refusal();
        self.audit_ended(&refusal);
        self.meter.errs(refusal.sqlstate);
        let error = super::judge::refused(&refusal);
        if link.unsure {
            // Which transaction it is in is not known.
            return Err(Fault::Told(fatal(&refusal)));
        }
        link.scan.stage(&mut pipe.input, &mut self.client.output);
        self.client.send_error(&error);
        let remains = match link.outstanding.front() {
            _ if self.is_read_only() => Remains::Nothing,
            Some(Reply::Query(verdict)) => remains(verdict),
            // It is not committed before the client's Sync.
            _ => Remains::OfOne,
        };
        link.tally.over = Some(Over {
            remains,
            ..Over::default()
        });
        Ok(())
    }

    /// Counts a message of the server's that is understood, of this kind and length, and
    /// says what becomes of it.
    pub(super) fn tally(
        &mut self,
        link: &mut Link,
        pipe: &mut Pipe,
        (tag, len): (u8, usize),
        fate: Fate,
    ) -> Result<Fate, Fault> {
        let is_row = matches!(tag, b'D' | b'd') && matches!(fate, Fate::Pass);
        if is_row && !link.tally.admits(len) {
            self.exceed(link, pipe, len)?;
        }
        link.tally.step(tag);
        self.after_excess(link, pipe, (tag, len), fate)
    }

    /// What becomes of a server's message behind the error, once it is understood.
    fn after_excess(
        &mut self,
        link: &mut Link,
        pipe: &mut Pipe,
        (tag, len): (u8, usize),
        fate: Fate,
    ) -> Result<Fate, Fault> {
        let Some(over) = &mut link.tally.over else {
            return Ok(fate);
        };
        match tag {
            b'E' if link.server_ended => return Ok(fate),
            b'E' => (over.failed, over.ended) = (true, true),
            b'Z' => return self.ready_after_excess(link, pipe, fate),
            b'C' | b's' | b'I' if link.outstanding.is_empty() => {
                over.ended = true;
                // Its transaction goes on up to the client's Sync.
                written(&write::parse(NO_SQL, NO_SQL, [], &mut pipe.output));
                write::flush(&mut pipe.output);
                link.outstanding.push(Reply::Refused(Box::default()));
                link.outstanding.flush();
                link.phase = Phase::Open;
            }
            b'C' | b's' | b'I' => {
                over.ended = !matches!(link.outstanding.front(), Some(Reply::Query(_)));
            }
            b'N' | b'A' | b'S' => return Ok(fate),
            _ => {}
        }
        over.dropped = over.dropped.saturating_add(len);
        Ok(Fate::Drop)
    }

    fn ready_after_excess(
        &mut self,
        link: &mut Link,
        pipe: &mut Pipe,
        fate: Fate,
    ) -> Result<Fate, Fault> {
        let over = link.tally.over.take().unwrap_or_default();
        if over.failed || link.status == TransactionStatus::Failed {
            return Ok(fate);
        }
        let is_open = link.status == TransactionStatus::Open;
        let is_undone = match over.remains {
            Remains::Nothing => true,
            Remains::OfOne => is_open,
            Remains::Anything => false,
        };
        if !is_undone || !link.followup.is_empty() {
            return Err(Fault::Told(unknown_outcome()));
        }
        if !is_open {
            return Ok(fate);
        }
        // The open transaction fails, as the client expects.
        written(&write::parse(NO_SQL, NO_SQL, [], &mut pipe.output));
        write::sync(&mut pipe.output);
        link.outstanding.push(Reply::Refused(Box::default()));
        link.outstanding.push(Reply::Sync);
        link.gate = Gate::UntilAnswered;
        // One query was answered, not two.
        link.queries = link.queries.wrapping_sub(1);
        Ok(Fate::Drop)
    }
}

impl Link {
    /// Whether what runs has answered too much and is to be cancelled. `waits`: more is to
    /// come than has arrived.
    pub(in crate::session) fn wants_cancel(&self, waits: bool) -> bool {
        self.tally.wants_cancel(waits)
    }

    /// The server has been asked to.
    pub(in crate::session) fn is_cancelled(&mut self) {
        if let Some(over) = &mut self.tally.over {
            over.cancelled = true;
        }
    }
}

/// What is left of a query string.
fn remains(verdict: &Verdict) -> Remains {
    match verdict.described.as_deref() {
        Some(described) if described.len() == 1 && !described.writes() => Remains::Nothing,
        Some(described) if described.len() == 1 => Remains::OfOne,
        _ => Remains::Anything,
    }
}

fn fatal(refusal: &Refusal) -> ClientError {
    ClientError::fatal(refusal.sqlstate, refusal.message.clone()).hint(HINT)
}

fn unknown_outcome() -> ClientError {
    ClientError::fatal(
        "40003",
        "terminating connection: a statement has answered too much, and was carried out before \
         it could be ended",
    )
    .hint(
        "Connect again and look what it has done. Within a transaction it would have been undone.",
    )
}

/// A statement that cannot be cancelled.
pub(in crate::session) fn not_cancelled() -> ClientError {
    ClientError::fatal(
        TOO_MUCH,
        "terminating connection: a statement has answered too much, and could not be cancelled",
    )
    .hint(HINT)
}
