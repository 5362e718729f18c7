//! Which messages the proxy answers itself, and when: each in its turn among
//! those that the server answers.

use super::super::statements::Statement;
use super::answers::{Interrupt, OwnReply};
use super::lookup::Known;
use super::refusal::{
    in_failed_transaction, keepable, layout, name_taken, no_statement, too_many_statements,
};
use super::request::Unbound;
use super::{Engine, Link, Step, Up};
use crate::guard::Verdict;
use crate::protocol::ClientError;
use crate::protocol::backend::{self, TransactionStatus};
use crate::protocol::frontend::{self, Header, Kind, LayoutError, Target};
use crate::server::Prepared;
use std::sync::Arc;

impl Engine {
    /// Whether the proxy answers a Query itself.
    pub(super) fn is_answered_here(&self, verdict: &Verdict) -> bool {
        let deallocates = verdict.effects.deallocates.as_deref();
        verdict.answer.is_some()
            || deallocates.is_some_and(|name| {
                let statement = self.statements.get(name.as_bytes());
                statement.is_some_and(|statement| self.maps_names || statement.is_nameless())
            })
    }

    /// The whole answer to a Query that the proxy answers itself; `None`: the
    /// server answers it.
    pub(super) fn answer_alone(
        &mut self,
        verdict: &Arc<Verdict>,
        status: TransactionStatus,
    ) -> Option<Result<OwnReply, ClientError>> {
        if !self.is_answered_here(verdict) {
            return None;
        }
        // A simple query ends the unnamed statement and portal.
        self.statements.remove(b"");
        self.portals.clear();
        let mut reply = OwnReply::default();
        if let Some(answer) = &verdict.answer {
            match self.answer_query(answer) {
                Ok(answered) => {
                    self.audit_answered(verdict, "SELECT");
                    reply = answered;
                }
                Err(error) => return Some(Err(error)),
            }
        } else if let Some(name) = verdict.effects.deallocates.as_deref() {
            self.statements.remove(name.as_bytes());
            self.audit_answered(verdict, "DEALLOCATE");
            backend::command_complete(&mut reply.bytes, "DEALLOCATE");
        }
        backend::ready_for_query(&mut reply.bytes, status);
        Some(Ok(reply))
    }

    /// Takes the Parse of a statement that the proxy answers itself.
    pub(super) fn parse_ours(
        &mut self,
        header: Header,
        verdict: &Arc<Verdict>,
        up: Option<&mut Up<'_>>,
    ) -> Step {
        let may = match &up {
            Some(up) if !up.link.is_answered() => return Step::Held,
            Some(up) => self.may_answer(up.link),
            None => Ok(()),
        };
        if let Err(error) = may {
            return self.refuse(header, &error, up);
        }
        match self.enter_ours(header, verdict, up.as_deref().map(|up| &*up.link)) {
            Ok(reply) => self.deliver(header, reply, up),
            Err(error) => self.refuse(header, &error, up),
        }
    }

    fn enter_ours(
        &mut self,
        header: Header,
        verdict: &Arc<Verdict>,
        link: Option<&Link>,
    ) -> Result<OwnReply, ClientError> {
        let parse = frontend::parse(self.client.body(header)).map_err(layout)?;
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
        if !name.is_empty() && !matches!(self.known(&name, link), Known::Missing) {
            return Err(name_taken(&name));
        }
        let prepared = Prepared::new(parse.tail);
        let statement = Statement::new(prepared, verdict.clone(), self.as_of, &self.settings.own);
        let statement = Arc::new(statement);
        // Nothing is outstanding when it is its turn.
        if !self
            .statements
            .fits(&name, &statement, (0, 0), self.guard.longest())
        {
            return Err(too_many_statements());
        }
        self.has_answered = true;
        self.statements.commit(&name, statement);
        Ok(OwnReply::parsed())
    }

    /// Whether a Bind, Describe or Execute concerns what the proxy answers
    /// itself.
    pub(super) fn is_about_answered(&self, header: Header) -> bool {
        if !self.has_answered {
            return false;
        }
        let body = self.client.body(header);
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

    /// Answers in the midst of others, once it is its turn.
    pub(super) fn answer_in_turn(&mut self, header: Header, up: &mut Up<'_>) -> Step {
        if !up.link.is_answered() {
            return Step::Held;
        }
        if let Err(error) = self.may_answer(up.link) {
            return self.refuse(header, &error, Some(up));
        }
        self.answer_now(header, Some(up))
    }

    pub(super) fn answer_now(&mut self, header: Header, up: Option<&mut Up<'_>>) -> Step {
        match self.answer(header) {
            Ok(reply) => self.deliver(header, reply, up),
            Err(Unbound::Incomplete) => Step::Incomplete,
            Err(Unbound::Refused(error)) => self.refuse(header, &error, up),
        }
    }

    fn answer(&mut self, header: Header) -> Result<OwnReply, Unbound> {
        let body = self.client.body(header);
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
                let bound = Self::answer_bind(head.statement, &statement, &values);
                bound.and_then(|bound| self.open_portal(&portal, bound))
            }
            Kind::Describe => match frontend::target(body) {
                Ok(Target::Statement(name)) => self
                    .statements
                    .get(name)
                    .map(|statement| Self::answer_describe(statement))
                    .ok_or_else(|| no_statement(name)),
                Ok(Target::Portal(name)) => self
                    .answer_describe_portal(name)
                    .ok_or_else(|| layout(LayoutError)),
                Err(error) => Err(layout(error)),
            },
            _ => match execute(body) {
                Some((name, most)) => self.answer_execute(&name, most),
                None => Err(layout(LayoutError)),
            },
        };
        reply.map_err(Unbound::Refused)
    }

    /// Whether an answer of ours may go out, everything before it being answered.
    pub(super) fn may_answer(&self, link: &Link) -> Result<(), ClientError> {
        match link.status {
            TransactionStatus::Failed => Err(in_failed_transaction()),
            _ => Ok(()),
        }
    }

    /// Sends an answer of ours behind what the server has answered. What it asks
    /// for is done first.
    pub(super) fn deliver(
        &mut self,
        header: Header,
        reply: OwnReply,
        up: Option<&mut Up<'_>>,
    ) -> Step {
        if let Some(up) = up {
            let output = &mut self.client.output;
            up.link.scan.stage(&mut up.pipe.input, output);
            self.drop_message(header, Some(up));
        } else {
            self.drop_message(header, None);
        }
        match reply.interrupt {
            Some(interrupt) => {
                self.interrupt = Some(Box::new((interrupt, reply.bytes)));
                Step::Interrupt
            }
            None => {
                self.client.output.extend_from_slice(&reply.bytes);
                Step::Done
            }
        }
    }

    /// A session that is to be interrupted, and what the client is told then.
    pub(in crate::session) fn take_interrupt(&mut self) -> Option<(Interrupt, Vec<u8>)> {
        self.interrupt.take().map(|interrupt| *interrupt)
    }

    /// A statement that Bind or Describe names must exist, or the error is told
    /// without a server.
    pub(super) fn check_statement(&self, header: Header) -> Result<(), ClientError> {
        let body = self.client.body(header);
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
}

/// The portal's name and the most rows of an Execute.
fn execute(body: &[u8]) -> Option<(Vec<u8>, u32)> {
    let (name, rest) = body.split_at_checked(body.iter().position(|b| *b == 0)?)?;
    let most = u32::from_be_bytes(rest.get(1..)?.try_into().ok()?);
    Some((name.to_vec(), most))
}
