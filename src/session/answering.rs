//! Which messages the proxy answers itself, and when: each in its turn among
//! those that the server answers.

use super::Session;
use super::answers::Reply;
use super::bind::Unbound;
use super::forward::Step;
use super::ledger::Hold;
use super::refusal::{
    after_reset, in_failed_transaction, keepable, layout, name_taken, no_statement,
    too_many_statements,
};
use super::statements::Statement;
use super::upstream::Upstream;
use crate::guard::Verdict;
use crate::server::Prepared;
use crate::wire::ClientError;
use crate::wire::backend::{self, TransactionStatus};
use crate::wire::frontend::{self, Header, Kind, LayoutError, Target};
use postgres_protocol::message::frontend as write;
use std::sync::Arc;

impl Session {
    /// Whether the proxy answers a Query itself.
    pub(super) fn is_answered_here(&self, verdict: &Verdict) -> bool {
        let deallocated = verdict.effects.deallocates.as_deref();
        verdict.answer.is_some()
            || deallocated
                .and_then(|name| self.statements.get(name.as_bytes()))
                .is_some_and(|statement| self.maps_names || statement.is_nameless())
    }

    /// The whole answer to a Query that the proxy answers itself; `None`: the
    /// server answers it.
    pub(super) fn answer_alone(
        &mut self,
        verdict: &Verdict,
        status: TransactionStatus,
    ) -> Option<Result<Reply, ClientError>> {
        if !self.is_answered_here(verdict) {
            return None;
        }
        let mut reply = Reply::default();
        if let Some(answer) = &verdict.answer {
            // A simple query ends the unnamed statement and portal.
            self.statements.remove(b"");
            self.portals.clear();
            match self.answer_query(answer) {
                Ok(answered) => reply = answered,
                Err(error) => return Some(Err(error)),
            }
        } else if let Some(name) = verdict.effects.deallocates.as_deref() {
            self.statements.remove(name.as_bytes());
            backend::command_complete(&mut reply.bytes, "DEALLOCATE");
        }
        backend::ready_for_query(&mut reply.bytes, status);
        Some(Ok(reply))
    }

    /// Takes the Parse of a statement that the proxy answers itself.
    pub(super) fn answer_parse(
        &mut self,
        header: Header,
        verdict: &Arc<Verdict>,
    ) -> Result<Reply, ClientError> {
        let parse = frontend::parse(self.body(header)).map_err(layout)?;
        if !Self::is_answerable(verdict, parse.tail) {
            let refusal = verdict.refusal.clone();
            return Err(match refusal {
                Some(refusal) => self.refusal(&refusal),
                None => ClientError::error(
                    "42P18",
                    "parameter types for a statement that has no parameters",
                ),
            });
        }
        let name = keepable(parse.name)?;
        if !name.is_empty() && self.statements.get(&name).is_some() {
            return Err(name_taken(&name));
        }
        let prepared = Prepared::new(parse.tail);
        let statement = Arc::new(Statement::new(prepared, verdict.clone(), &self.own));
        self.has_answered = true;
        let longest = self.guard.longest();
        if !self.statements.insert(&name, statement, longest) {
            return Err(too_many_statements());
        }
        Ok(Reply::parsed())
    }

    /// Whether a Bind, Describe or Execute concerns what the proxy answers
    /// itself.
    pub(super) fn is_about_answered(&self, header: Header) -> bool {
        if !self.has_answered {
            return false;
        }
        let body = self.body(header);
        let statement = |name| {
            let statement = self.statements.get(name);
            statement.is_some_and(|statement| statement.verdict.answer.is_some())
        };
        let portal = |name| self.own_portal(name).is_some();
        match header.kind {
            Kind::Bind => frontend::bind_head(body).is_some_and(|head| statement(head.statement)),
            Kind::Describe => match frontend::target(body) {
                Ok(Target::Statement(name)) => statement(name),
                Ok(Target::Portal(name)) => portal(name),
                Err(_) => false,
            },
            Kind::Execute if !self.portals.is_empty() => {
                let name = body.split(|b| *b == 0).next();
                frontend::execute(body).is_ok() && name.is_some_and(portal)
            }
            _ => false,
        }
    }

    /// The answer to such a message.
    pub(super) fn answer(&mut self, header: Header) -> Result<Reply, Unbound> {
        let body = self.body(header);
        let reply = match header.kind {
            Kind::Bind => {
                let head = frontend::bind_head(body);
                let head = head.ok_or(Unbound::Refused(layout(LayoutError)))?;
                let portal = head.portal.to_vec();
                let statement = self.statements.get(head.statement);
                let statement = statement
                    .ok_or_else(|| Unbound::Refused(no_statement(head.statement)))?
                    .clone();
                let values = self.bound_values(header)?;
                let bound = Self::answer_bind(&statement, &values);
                bound.and_then(|bound| self.open_portal(&portal, bound))
            }
            Kind::Describe => match frontend::target(body) {
                Ok(Target::Statement(name)) => self
                    .statements
                    .get(name)
                    .and_then(|statement| Self::answer_describe(statement))
                    .ok_or_else(|| no_statement(name)),
                Ok(Target::Portal(name)) => self
                    .answer_describe_portal(name)
                    .ok_or_else(|| layout(LayoutError)),
                Err(error) => Err(layout(error)),
            },
            _ => {
                let body = body.to_vec();
                let executed = self.answer_execute(&body);
                executed.unwrap_or_else(|| Err(layout(LayoutError)))
            }
        };
        reply.map_err(Unbound::Refused)
    }

    /// Answers in the midst of others.
    pub(super) fn answer_in_turn<S>(
        &mut self,
        header: Header,
        reply: Result<Reply, ClientError>,
        up: &mut Upstream<'_, S>,
    ) -> Step {
        match reply {
            Ok(reply) => {
                self.reply_between(reply, up);
                self.drop_next(header, up);
            }
            Err(error) => self.refuse(header, &error, up),
        }
        Step::Done
    }

    /// Whether an answer of ours may go out: everything before must be answered.
    /// The server is asked for that, and the client's next message waits.
    pub(super) fn turn<S>(&mut self, up: &mut Upstream<'_, S>) -> Turn {
        if up.ledger.hold == Hold::Resetting {
            return Turn::Refused(after_reset());
        }
        if up.ledger.copy_in {
            let message = "unexpected message during COPY from stdin";
            return Turn::Refused(ClientError::error("08P01", message));
        }
        if !up.ledger.is_answered() {
            self.stage(up);
            write::flush(up.connection.output());
            up.ledger.hold = Hold::UntilAnswered;
            return Turn::Later;
        }
        if up.ledger.status == TransactionStatus::Failed {
            return Turn::Refused(in_failed_transaction());
        }
        Turn::Now
    }

    /// Sends an answer of ours behind what the server has answered.
    pub(super) fn reply_between<S>(&mut self, reply: Reply, up: &mut Upstream<'_, S>) {
        let ledger = &mut up.ledger;
        ledger
            .scan
            .stage(up.connection.input_mut(), &mut self.client.output);
        self.reply(reply);
    }

    pub(super) fn reply(&mut self, mut reply: Reply) {
        self.client.output.extend_from_slice(&reply.bytes);
        reply.deliver();
    }
}

/// Whether an answer of ours may go out.
pub(super) enum Turn {
    Now,
    /// Answers of the server come first.
    Later,
    Refused(ClientError),
}
