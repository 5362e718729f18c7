//! What is answered while there is no server connection.

use super::Judged;
use super::Session;
use super::bind::Unbound;
use super::forward::Next;
use super::forward::Step;
use super::judge::Unjudged;
use super::refusal::layout;
use super::refusal::no_statement;
use super::relay::SLOW_CLIENT;
use crate::guard;
use crate::wire::ClientError;
use crate::wire::backend;
use crate::wire::backend::TransactionStatus;
use crate::wire::frontend;
use crate::wire::frontend::FrameError;
use crate::wire::frontend::HEADER;
use crate::wire::frontend::Header;
use crate::wire::frontend::Kind;
use crate::wire::frontend::LayoutError;
use crate::wire::frontend::Target;
use bytes::BytesMut;

impl Session {
    /// Deals with the client's messages that need no server connection, up to
    /// the first that does.
    pub(super) fn answer_locally(&mut self) -> Result<Step, FrameError> {
        loop {
            if self.client.output.len() > SLOW_CLIENT {
                return Ok(Step::Held);
            }
            let header = match self.next_message()? {
                Next::Incomplete => return Ok(Step::Incomplete),
                Next::TooLong(header) if !self.skipping => {
                    let error = self.too_long(header);
                    self.refuse_locally(header, &error);
                    continue;
                }
                Next::Message(header) | Next::TooLong(header) => header,
            };
            match self.answer_one_locally(header) {
                Step::Done => {}
                other => return Ok(other),
            }
        }
    }

    pub(super) fn answer_one_locally(&mut self, header: Header) -> Step {
        if self.skipping && !matches!(header.kind, Kind::Sync | Kind::Terminate) {
            self.drop_local(header);
            return Step::Done;
        }
        if self.is_about_answered(header) {
            match self.answer(header) {
                Ok(reply) => {
                    self.reply(reply);
                    self.drop_local(header);
                }
                Err(Unbound::Incomplete) => return Step::Incomplete,
                Err(Unbound::Refused(error)) => self.refuse_locally(header, &error),
            }
            return Step::Done;
        }
        match header.kind {
            Kind::Terminate => return Step::Terminate,
            Kind::Sync => {
                self.skipping = false;
                self.portals.clear();
                self.client
                    .send(|out| backend::ready_for_query(out, TransactionStatus::Idle));
                self.drop_local(header);
            }
            // Outside of COPY the server ignores these, too.
            Kind::Flush | Kind::CopyData | Kind::CopyDone | Kind::CopyFail => {
                self.drop_local(header);
            }
            Kind::FunctionCall => {
                let error = self.refusal(&guard::function_call());
                self.refuse_locally(header, &error);
            }
            Kind::Query => {
                let verdict = match self.judge(header) {
                    Ok(verdict) => verdict,
                    Err(Unjudged::Long) => return Step::Judge,
                    Err(Unjudged::Refused(error)) => {
                        self.refuse_locally(header, &error);
                        return Step::Done;
                    }
                };
                match self.answer_alone(&verdict, TransactionStatus::Idle) {
                    None => {}
                    Some(Ok(reply)) => {
                        self.judged = None;
                        self.reply(reply);
                        self.drop_local(header);
                        return Step::Done;
                    }
                    Some(Err(error)) => {
                        self.refuse_locally(header, &error);
                        return Step::Done;
                    }
                }
                self.judged = Some(Judged::Admitted(verdict));
                return Step::NeedsServer;
            }
            Kind::Parse => match self.judge(header) {
                Ok(verdict) if verdict.answer.is_some() => {
                    match self.answer_parse(header, &verdict) {
                        Ok(reply) => {
                            self.reply(reply);
                            self.drop_local(header);
                        }
                        Err(error) => self.refuse_locally(header, &error),
                    }
                }
                Ok(verdict) => {
                    self.judged = Some(Judged::Admitted(verdict));
                    return Step::NeedsServer;
                }
                Err(Unjudged::Long) => return Step::Judge,
                Err(Unjudged::Refused(error)) => self.refuse_locally(header, &error),
            },
            Kind::Bind | Kind::Describe => match self.check_statement(header) {
                Ok(()) => return Step::NeedsServer,
                Err(error) => self.refuse_locally(header, &error),
            },
            Kind::Execute => match frontend::execute(self.body(header)) {
                Ok(()) => return Step::NeedsServer,
                Err(error) => self.refuse_locally(header, &layout(error)),
            },
            Kind::Close => match frontend::target(self.body(header)) {
                Ok(Target::Statement(name)) => {
                    let name = name.to_vec();
                    self.statements.remove(&name);
                    self.client
                        .output
                        .extend_from_slice(backend::CLOSE_COMPLETE);
                    self.drop_local(header);
                }
                Ok(Target::Portal(name)) => {
                    let name = name.to_vec();
                    self.forget_portal(&name);
                    self.client
                        .output
                        .extend_from_slice(backend::CLOSE_COMPLETE);
                    self.drop_local(header);
                }
                Err(error) => self.refuse_locally(header, &layout(error)),
            },
        }
        Step::Done
    }

    /// A statement that Bind or Describe names must exist, or the error is told
    /// without a server.
    pub(super) fn check_statement(&self, header: Header) -> Result<(), ClientError> {
        let body = self.body(header);
        let name = match header.kind {
            Kind::Bind => {
                frontend::bind_head(body)
                    .ok_or_else(|| layout(LayoutError))?
                    .statement
            }
            _ => match frontend::target(body).map_err(layout)? {
                Target::Statement(name) => name,
                Target::Portal(_) => return Ok(()),
            },
        };
        match self.statements.get(name) {
            Some(_) => Ok(()),
            None => Err(no_statement(name)),
        }
    }

    /// Refuses a message while there is no server connection.
    pub(super) fn refuse_locally(&mut self, header: Header, error: &ClientError) {
        self.client.send_error(error);
        if matches!(header.kind, Kind::Query | Kind::FunctionCall) {
            self.client
                .send(|out| backend::ready_for_query(out, TransactionStatus::Idle));
        } else {
            self.skipping = true;
        }
        self.judged = None;
        self.drop_local(header);
    }

    /// Refuses the message at the buffer's head, of whatever kind, while there
    /// is no server connection.
    pub(super) fn refuse_next(&mut self, error: &ClientError) -> Result<(), FrameError> {
        if let Next::Message(header) | Next::TooLong(header) = self.next_message()? {
            self.refuse_locally(header, error);
        }
        Ok(())
    }

    pub(super) fn drop_local(&mut self, header: Header) {
        let mut nothing = BytesMut::new();
        self.client
            .scan
            .drop_next(&mut self.client.input, &mut nothing, HEADER + header.body);
    }
}
