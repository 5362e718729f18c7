//! From the client: each message is understood, judged, and passed, changed,
//! answered or refused.

use super::client_side::Next;
use super::link::{Gate, Link, Phase};
use super::outstanding::Reply;
use super::upstream::written;
use super::{Engine, Fault, Step, Up};
use crate::protocol::ClientError;
use crate::protocol::backend::{self, TransactionStatus};
use crate::protocol::frontend::{FrameError, Header, Kind};
use crate::server::Pipe;
use bytes::BytesMut;
use postgres_protocol::message::frontend as write;

/// Once this much is staged for the server, it is sent before more is taken.
const STAGED_ENOUGH: usize = 256 << 10;
/// What may wait for a slow client, in bytes.
pub(in crate::session) const SLOW_CLIENT: usize = 256 << 10;
/// Once so many responses are outstanding, some must come before more is taken. A
/// server keeps back no more than its output buffer holds: 8 KB.
const MOST_OUTSTANDING: usize = 16 << 10;

/// What the server is sent in place of a refused statement: it is no SQL, so
/// that the server's own state (a failed transaction, a skipped pipeline)
/// becomes what a refusal by the server would have made of it.
const NO_SQL: &str = "pgtenant_refused_this_statement";

impl Engine {
    /// Deals with the client's messages that need no server connection, up to
    /// the first that does.
    pub(in crate::session) fn take_alone(&mut self) -> Result<Step, Fault> {
        loop {
            if self.client.output.len() > SLOW_CLIENT {
                return Ok(Step::Held);
            }
            let step = match self.next_message(None)? {
                Next::Incomplete => return Ok(Step::Incomplete),
                Next::Message(header) | Next::TooLong(header)
                    if self.skipping && !matches!(header.kind, Kind::Sync | Kind::Terminate) =>
                {
                    self.drop_message(header, None);
                    Step::Done
                }
                Next::TooLong(header) => {
                    let error = self.too_long(header);
                    self.refuse(header, &error, None)
                }
                Next::Message(header) => self.dispatch(header, None)?,
            };
            if step != Step::Done {
                return Ok(step);
            }
        }
    }

    /// Passes on the client's messages as far as they go.
    pub(in crate::session) fn take_client(
        &mut self,
        link: &mut Link,
        pipe: &mut Pipe,
    ) -> Result<Step, Fault> {
        loop {
            let too_much = pipe.output.len() > STAGED_ENOUGH
                || link.outstanding.len() > MOST_OUTSTANDING
                || self.client.output.len() > SLOW_CLIENT;
            if too_much || !opens(link) {
                return Ok(Step::Held);
            }
            if link.phase == Phase::Open {
                self.pass_plain(link);
            }
            let mut up = Up { pipe, link };
            let skips = up.link.skips();
            let step = match self.next_message(Some(&mut up))? {
                Next::Incomplete => return Ok(Step::Incomplete),
                Next::Message(header) | Next::TooLong(header)
                    if skips && !matches!(header.kind, Kind::Sync | Kind::Terminate) =>
                {
                    self.drop_message(header, Some(&mut up));
                    Step::Done
                }
                Next::TooLong(header) => {
                    let error = self.too_long(header);
                    self.refuse(header, &error, Some(&mut up))
                }
                Next::Message(header) => self.dispatch(header, Some(&mut up))?,
            };
            if step == Step::Held {
                self.client.stage(&mut up.pipe.output);
                up.link.hold(up.pipe);
            }
            if step != Step::Done {
                return Ok(step);
            }
        }
    }

    /// Deals with one message, with or without a server connection.
    fn dispatch(&mut self, header: Header, up: Option<&mut Up<'_>>) -> Result<Step, Fault> {
        let Some(up) = up else {
            return Ok(self.dispatch_alone(header));
        };
        if up.link.copy_in {
            return self.copy(header, up);
        }
        if self.is_about_answered(header) {
            return Ok(self.answer_in_turn(header, up));
        }
        let is_simple = matches!(header.kind, Kind::Query | Kind::FunctionCall);
        if is_simple && up.link.phase == Phase::Open && !up.link.is_answered() {
            // It is skipped if something before it fails.
            return Ok(Step::Held);
        }
        Ok(match header.kind {
            Kind::Terminate => Step::Terminate,
            Kind::Query => self.query(header, Some(up)),
            Kind::Parse => self.parse(header, Some(up)),
            Kind::Bind => self.bind(header, up),
            Kind::Describe => self.describe(header, up),
            Kind::Execute => self.execute(header, up),
            Kind::Close => self.close(header, Some(up)),
            Kind::Sync => self.sync(header, up),
            Kind::Flush => {
                self.client.pass(header);
                up.link.outstanding.flush();
                Step::Done
            }
            // Outside of COPY the server ignores these.
            Kind::CopyData | Kind::CopyDone | Kind::CopyFail => {
                self.drop_message(header, Some(up));
                Step::Done
            }
            Kind::FunctionCall => self.function_call(header, Some(up)),
        })
    }

    /// Deals with one message without a server connection.
    fn dispatch_alone(&mut self, header: Header) -> Step {
        if self.is_about_answered(header) {
            return self.answer_now(header, None);
        }
        match header.kind {
            Kind::Terminate => Step::Terminate,
            Kind::Query => self.query(header, None),
            Kind::Parse => self.parse(header, None),
            Kind::Close => self.close(header, None),
            Kind::Bind | Kind::Describe => match self.check_statement(header) {
                Ok(()) => Step::NeedsServer,
                Err(error) => self.refuse(header, &error, None),
            },
            Kind::Execute => match self.check_execute(header) {
                Ok(()) => Step::NeedsServer,
                Err(error) => self.refuse(header, &error, None),
            },
            Kind::Sync => {
                self.skipping = false;
                self.portals.clear();
                self.client
                    .send(|out| backend::ready_for_query(out, TransactionStatus::Idle));
                self.drop_message(header, None);
                Step::Done
            }
            Kind::Flush | Kind::CopyData | Kind::CopyDone | Kind::CopyFail => {
                self.drop_message(header, None);
                Step::Done
            }
            Kind::FunctionCall => self.function_call(header, None),
        }
    }

    pub(super) fn next_message(&mut self, up: Option<&mut Up<'_>>) -> Result<Next, FrameError> {
        let longest = self.guard.longest();
        match up {
            Some(up) => {
                let skips = up.link.skips();
                self.client.next(&mut up.pipe.output, longest, skips)
            }
            None => self
                .client
                .next(&mut BytesMut::new(), longest, self.skipping),
        }
    }

    /// Takes a message out.
    pub(super) fn drop_message(&mut self, header: Header, up: Option<&mut Up<'_>>) {
        self.judged = None;
        match up {
            Some(up) => self.client.drop_next(header, &mut up.pipe.output),
            None => self.client.drop_next(header, &mut BytesMut::new()),
        }
    }

    /// Refuses a message. In the midst of others the server is made to fail in its
    /// place, and its error replaced.
    pub(super) fn refuse(
        &mut self,
        header: Header,
        error: &ClientError,
        up: Option<&mut Up<'_>>,
    ) -> Step {
        self.meter.errs(error.sqlstate);
        let is_simple = matches!(header.kind, Kind::Query | Kind::FunctionCall);
        // PostgreSQL forgets the last unnamed statement before it reads a new one.
        let is_unnamed = header.kind == Kind::Parse && self.client.body(header).first() == Some(&0);
        let Some(up) = up else {
            if is_simple || is_unnamed {
                self.statements.remove(b"");
            }
            self.client.send_error(error);
            if is_simple {
                self.client
                    .send(|out| backend::ready_for_query(out, TransactionStatus::Idle));
            } else {
                self.skipping = true;
            }
            self.drop_message(header, None);
            return Step::Done;
        };
        self.drop_message(header, Some(up));
        let mut ours = Vec::new();
        error.encode(&mut ours);
        let ours = ours.into_boxed_slice();
        let output = &mut up.pipe.output;
        if is_simple {
            written(&write::query(NO_SQL, output));
            up.link.outstanding.push(Reply::RefusedQuery(ours));
            up.link.has_unnamed = false;
            up.end_pipeline();
        } else {
            let name = if is_unnamed { "" } else { NO_SQL };
            written(&write::parse(name, NO_SQL, [], output));
            up.begin_pipeline();
            up.link.outstanding.push(match is_unnamed {
                true => Reply::RefusedUnnamed(ours),
                false => Reply::Refused(ours),
            });
        }
        Step::Done
    }

    /// Refuses the message at the buffer's head, of whatever kind, while there
    /// is no server connection.
    pub(in crate::session) fn refuse_next(&mut self, error: &ClientError) -> Result<(), Fault> {
        if let Next::Message(header) | Next::TooLong(header) = self.next_message(None)? {
            self.refuse(header, error, None);
        }
        Ok(())
    }
}

/// Whether the client's next message may be dealt with.
fn opens(link: &mut Link) -> bool {
    if link.parted {
        return false;
    }
    if link.gate == Gate::UntilAnswered {
        // Copied data are part of what is waited for.
        if link.copy_in {
            return true;
        }
        if !link.is_answered() || link.must_follow_up() {
            return false;
        }
        link.gate = Gate::Open;
    }
    true
}
