//! From the client to the server: each message is understood, judged, and
//! passed, changed, answered or refused.

use super::Session;
use super::answering::Turn;
use super::awaited::Awaited;
use super::bind::Unbound;
use super::ledger::Hold;
use super::ledger::Ledger;
use super::relay::SLOW_CLIENT;
use super::upstream::Upstream;
use crate::guard;
use crate::server::Connection;
use crate::wire::frontend;
use crate::wire::frontend::FrameError;
use crate::wire::frontend::HEADER;
use crate::wire::frontend::Header;
use crate::wire::frontend::Kind;
use bytes::BytesMut;

/// Longest front of a Bind (its two names) that is taken, in bytes.
pub(super) const MAX_NAMES: usize = 16 << 10;
/// Once this much is staged for the server, it is sent before more is taken.
const STAGED_ENOUGH: usize = 256 << 10;
/// Once so many answers are owed, some must come before more is taken. A server
/// keeps back no more than its output buffer holds: 8 KB.
const MOST_AWAITED: usize = 16 << 10;
/// What became of the next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is dealt with.
    Done,
    /// More bytes must come first.
    Incomplete,
    /// It must wait.
    Held,
    /// It can only be dealt with once there is a server connection.
    NeedsServer,
    /// Its text is so long that it is to be judged elsewhere first.
    Judge,
    /// The client says goodbye.
    Terminate,
}

/// One whole message, or the front of a long one, at the head of the buffer.
pub(super) enum Next {
    Message(Header),
    TooLong(Header),
    Incomplete,
}

impl Session {
    /// Passes on the client's messages as far as they go.
    pub(super) fn forward<S>(
        &mut self,
        connection: &mut Connection<S>,
        ledger: &mut Ledger,
    ) -> Result<Step, FrameError> {
        loop {
            let too_much = connection.output().len() > STAGED_ENOUGH
                || ledger.awaited.len() > MOST_AWAITED
                || self.client.output.len() > SLOW_CLIENT;
            if too_much {
                return Ok(Step::Held);
            }
            match ledger.hold {
                Hold::UntilAnswered if ledger.is_answered() => ledger.hold = Hold::No,
                // The copied data are part of what is waited for; whatever else
                // comes, the server does not run it.
                Hold::UntilAnswered | Hold::UntilReattached | Hold::UntilReturned
                    if ledger.copy_in => {}
                Hold::UntilAnswered | Hold::UntilReattached | Hold::UntilReturned => {
                    return Ok(Step::Held);
                }
                Hold::No | Hold::Resetting => {}
            }
            let mut upstream = Upstream { connection, ledger };
            if upstream.ledger.in_pipeline {
                self.pass_plain(&mut upstream);
            }
            let skips = upstream.ledger.skips();
            let step = match self.next_message_to(&mut upstream, skips)? {
                Next::Incomplete => return Ok(Step::Incomplete),
                Next::Message(header) | Next::TooLong(header)
                    if skips && !matches!(header.kind, Kind::Sync | Kind::Terminate) =>
                {
                    self.judged = None;
                    self.drop_next(header, &mut upstream);
                    Step::Done
                }
                Next::TooLong(header) => {
                    let error = self.too_long(header);
                    self.refuse(header, &error, &mut upstream);
                    Step::Done
                }
                Next::Message(header) => self.forward_one(header, &mut upstream),
            };
            if step != Step::Done {
                return Ok(step);
            }
        }
    }

    fn forward_one<S>(&mut self, header: Header, up: &mut Upstream<'_, S>) -> Step {
        let in_pipeline = up.ledger.in_pipeline;
        match header.kind {
            Kind::Parse | Kind::Bind | Kind::Describe | Kind::Close | Kind::Execute => {
                up.ledger.in_pipeline = true;
            }
            Kind::Query => up.ledger.in_pipeline = false,
            // Within copied data it is ignored.
            Kind::Sync if !up.ledger.copy_in => up.ledger.in_pipeline = false,
            _ => {}
        }
        if self.is_about_answered(header) {
            let reply = match self.turn(up) {
                Turn::Later => return Step::Held,
                Turn::Refused(error) => Err(error),
                Turn::Now => match self.answer(header) {
                    Ok(reply) => Ok(reply),
                    Err(Unbound::Incomplete) => return Step::Incomplete,
                    Err(Unbound::Refused(error)) => Err(error),
                },
            };
            return self.answer_in_turn(header, reply, up);
        }
        match header.kind {
            Kind::Terminate => Step::Terminate,
            Kind::Query => self.forward_query(header, in_pipeline, up),
            Kind::Parse => self.forward_parse(header, up),
            Kind::Bind => self.forward_bind(header, up),
            Kind::Describe => self.forward_describe(header, up),
            Kind::Close => self.forward_close(header, up),
            Kind::Execute => self.forward_execute(header, up),
            Kind::Sync => {
                self.portals.clear();
                if up.ledger.copy_in {
                    up.ledger.uncertain = true;
                } else {
                    up.ledger.awaited.push_back(Awaited::Sync);
                    if up.ledger.hold == Hold::Resetting {
                        up.ledger.hold = Hold::UntilReattached;
                    } else if up.ledger.doubted || !up.ledger.portals.is_empty() {
                        up.ledger.hold_until_answered();
                    }
                }
                self.pass(header);
                Step::Done
            }
            Kind::Flush | Kind::CopyData => {
                let is_early = !up.ledger.copy_in && !up.ledger.awaited.is_empty();
                up.ledger.early_data |= is_early && header.kind == Kind::CopyData;
                self.pass(header);
                Step::Done
            }
            Kind::CopyDone | Kind::CopyFail => {
                if !std::mem::take(&mut up.ledger.copy_in) {
                    up.ledger.awaited.push_back(Awaited::CopyEnd);
                }
                self.pass(header);
                Step::Done
            }
            Kind::FunctionCall => {
                let error = self.refusal(&guard::function_call());
                self.refuse(header, &error, up);
                Step::Done
            }
        }
    }

    /// The next message to be answered without a server connection.
    pub(super) fn next_message(&mut self) -> Result<Next, FrameError> {
        let client = &mut self.client;
        if !client.scan.advance(&mut client.input, &mut BytesMut::new()) {
            return Ok(Next::Incomplete);
        }
        let longest = self.guard.longest();
        next(client.scan.unseen(&client.input), longest, self.skipping)
    }

    fn next_message_to<S>(
        &mut self,
        up: &mut Upstream<'_, S>,
        skips: bool,
    ) -> Result<Next, FrameError> {
        let client = &mut self.client;
        if !client
            .scan
            .advance(&mut client.input, up.connection.output())
        {
            return Ok(Next::Incomplete);
        }
        let longest = self.guard.longest();
        next(client.scan.unseen(&client.input), longest, skips)
    }

    /// What has arrived of the message's body.
    pub(super) fn body(&self, header: Header) -> &[u8] {
        let bytes = self.client.scan.unseen(&self.client.input);
        let end = bytes.len().min(HEADER + header.body);
        bytes.get(HEADER..end).unwrap_or_default()
    }

    pub(super) fn pass(&mut self, header: Header) {
        self.client
            .scan
            .pass(&self.client.input, HEADER + header.body);
    }

    pub(super) fn drop_next<S>(&mut self, header: Header, up: &mut Upstream<'_, S>) {
        let output = up.connection.output();
        self.client
            .scan
            .drop_next(&mut self.client.input, output, HEADER + header.body);
    }

    /// Moves what passes into the output, so that something of ours can follow.
    pub(super) fn stage<S>(&mut self, up: &mut Upstream<'_, S>) {
        self.client
            .scan
            .stage(&mut self.client.input, up.connection.output());
    }
}

/// `longest`: the longest Query or Parse that is taken, in bytes.
fn next(rest: &[u8], longest: usize, skipping: bool) -> Result<Next, FrameError> {
    let Some(header) = frontend::header(rest)? else {
        return Ok(Next::Incomplete);
    };
    let here = rest.len() - HEADER;
    let needed = match header.kind {
        // Content that is not looked at.
        Kind::CopyData | Kind::FunctionCall => 0,
        Kind::CopyDone | Kind::CopyFail | Kind::Flush | Kind::Sync | Kind::Terminate => 0,
        _ if skipping => 0,
        Kind::Query | Kind::Parse if header.body > longest => {
            return Ok(Next::TooLong(header));
        }
        Kind::Bind => {
            let body = rest.get(HEADER..).unwrap_or_default();
            if header.body > here && frontend::bind_head(body).is_none() {
                if here > MAX_NAMES {
                    return Ok(Next::TooLong(header));
                }
                return Ok(Next::Incomplete);
            }
            0
        }
        _ => header.body,
    };
    if here < needed {
        return Ok(Next::Incomplete);
    }
    Ok(Next::Message(header))
}
