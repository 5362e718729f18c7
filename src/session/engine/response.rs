//! What the server answers, and what is known from it.

use super::content::{acted_upon, content, take_step};
use super::link::Link;
use super::outstanding::Reply;
use super::ready::become_ready;
use super::{Engine, Fault};
use crate::audit::Outcome;
use crate::guard::{self, Verdict};
use crate::protocol::backend::{self, TransactionStatus};
use crate::server::{Pipe, Shape};
use crate::transport::Buffer;

/// What becomes of a server's message.
pub(super) enum Fate {
    /// The client gets it.
    Pass,
    /// It was an answer to us.
    Drop,
    /// The client gets this instead.
    Replace(Box<[u8]>),
}

/// A message that nothing outstanding is answered with.
pub(super) const UNEXPECTED: Fault = Fault::Server("an answer that nothing had asked for");

impl Engine {
    /// Looks at what the server has sent, as far as it can be understood.
    /// Messages that are not for the client are taken out, ours put in between
    /// them.
    #[inline]
    pub(in crate::session) fn take_server(
        &mut self,
        link: &mut Link,
        pipe: &mut Pipe,
    ) -> Result<(), Fault> {
        if link.scan.unseen(&pipe.input).is_empty() && !owes_ours(link) {
            return Ok(());
        }
        self.take_arrived(link, pipe)
    }

    fn take_arrived(&mut self, link: &mut Link, pipe: &mut Pipe) -> Result<(), Fault> {
        loop {
            if !link.scan.advance(&mut pipe.input, &mut self.client.output) {
                return Ok(());
            }
            self.pass_plain_responses(link, &pipe.input);
            if link.is_parted() {
                return Ok(());
            }
            if self.put_in_ours(link, pipe) {
                continue;
            }
            let rest = link.scan.unseen(&pipe.input);
            let Some(header) = backend::header(rest)? else {
                return Ok(());
            };
            // As much of it as is acted upon must have arrived.
            let needed = backend::HEADER + header.body.min(acted_upon(link, header.tag));
            if rest.len() < needed {
                return Ok(());
            }
            let body = rest.get(backend::HEADER..needed).unwrap_or_default();
            let is_whole = body.len() == header.body;
            let fate = match header.tag {
                // Most of what comes is not copied.
                b'D' | b'd' | b't' | b'c' | b'H' | b'N' | b'A' => content(link, header.tag, body)?,
                tag => {
                    let body = body.to_vec();
                    self.take(link, pipe, tag, &body, is_whole)?
                }
            };
            let len = backend::HEADER + header.body;
            let fate = match link.tally.is_on() {
                true => self.tally(link, pipe, (header.tag, len), fate)?,
                false => fate,
            };
            match fate {
                Fate::Pass => link.scan.pass(&pipe.input, len),
                Fate::Drop => {
                    let output = &mut self.client.output;
                    link.scan.drop_next(&mut pipe.input, output, len);
                }
                Fate::Replace(ours) => {
                    let output = &mut self.client.output;
                    link.scan.drop_next(&mut pipe.input, output, len);
                    output.extend_from_slice(&ours);
                }
            }
        }
    }

    /// Passes messages that are whole, and of which there is nothing to note but
    /// that they have come: most are so.
    fn pass_plain_responses(&mut self, link: &mut Link, input: &Buffer) {
        if link.tally.is_over() {
            return;
        }
        let bytes = link.scan.unseen(input);
        let mut len = 0;
        while let Some(rest) = bytes.get(len..)
            && let Ok(Some(header)) = backend::header(rest)
            && rest.len() >= backend::HEADER + header.body
        {
            match (header.tag, link.outstanding.front()) {
                (b'D' | b'd', Some(Reply::Query(_) | Reply::Execute(_))) => {
                    if !link.tally.admits(backend::HEADER + header.body) {
                        break;
                    }
                }
                (b'T', Some(Reply::Query(_))) => {}
                (b'C', Some(Reply::Query(verdict))) if !is_noted(verdict) => {
                    link.tally.step(header.tag);
                    self.audit_command(link, body_of(rest, header.body));
                }
                (b'1', Some(Reply::Parse(_))) => {
                    if let Some(Reply::Parse(pending)) = link.outstanding.pop() {
                        self.statements.commit(&pending.name, pending.statement);
                    }
                }
                (b'2', Some(Reply::Bind { unnamed })) => {
                    link.unnamed_portal.is_left &= !*unnamed;
                    link.outstanding.pop();
                }
                (b'T' | b'n', Some(Reply::Describe)) => {
                    link.outstanding.pop();
                }
                (b'C', Some(Reply::Execute(None))) => {
                    link.copy_in = false;
                    link.outstanding.pop();
                    self.audit_command(link, body_of(rest, header.body));
                }
                (b'Z', Some(Reply::Sync | Reply::Query(_)))
                    if link.followup.is_empty() && !link.unsure =>
                {
                    let body = body_of(rest, header.body);
                    let Ok(status) = TransactionStatus::decode(body) else {
                        break;
                    };
                    if matches!(link.outstanding.front(), Some(Reply::Query(v)) if is_noted(v)) {
                        break;
                    }
                    if let Some(Reply::Query(_)) = link.outstanding.pop() {
                        Self::audit_query_end(link);
                        self.statements.remove(b"");
                    }
                    link.count(status);
                    if status == TransactionStatus::Idle {
                        self.registration.ends_transaction();
                    }
                    become_ready(link, status);
                }
                _ => break,
            }
            len += backend::HEADER + header.body;
        }
        link.scan.pass(input, len);
    }

    /// Puts in a response of ours whose turn it is.
    fn put_in_ours(&mut self, link: &mut Link, pipe: &mut Pipe) -> bool {
        let Some(ours) = link.outstanding.front().and_then(Reply::ours) else {
            return false;
        };
        if let Some(Reply::ClosedHere(name)) = link.outstanding.pop() {
            self.close_statement(link, &name);
        }
        link.scan.stage(&mut pipe.input, &mut self.client.output);
        self.client.output.extend_from_slice(ours);
        true
    }

    fn take(
        &mut self,
        link: &mut Link,
        pipe: &mut Pipe,
        tag: u8,
        body: &[u8],
        is_whole: bool,
    ) -> Result<Fate, Fault> {
        match tag {
            b'E' => self.take_error(link, pipe, body, is_whole),
            b'S' => {
                pipe.parameters.update(body)?;
                let fate = if link.followup.is_empty() && !self.resets(link) {
                    self.told.update(body)?;
                    pipe.parameters.joins(&self.told);
                    Fate::Pass
                } else {
                    // The client is told once they are what it will find.
                    Fate::Drop
                };
                link.misread = misread(body).or(link.misread);
                Ok(fate)
            }
            b'Z' => self.take_ready(link, TransactionStatus::decode(body)?),
            b'T' | b'n' => self.take_description(link, pipe, tag, body, is_whole),
            b'1' | b'2' | b'3' => self.take_complete(link, tag),
            b'C' => self.take_command(link, pipe, body),
            b'I' | b's' | b'G' => {
                if let (b'I' | b's', Some(Reply::Execute(_))) = (tag, link.outstanding.front()) {
                    self.audit_answer(
                        link,
                        match tag {
                            b's' => Outcome::Suspended,
                            _ => Outcome::Done(""),
                        },
                    );
                }
                take_step(link, tag)
            }
            b'V' if matches!(link.outstanding.front(), Some(Reply::FunctionCall)) => Ok(Fate::Pass),
            _ => Err(UNEXPECTED),
        }
    }

    fn take_description(
        &mut self,
        link: &mut Link,
        pipe: &mut Pipe,
        tag: u8,
        body: &[u8],
        is_whole: bool,
    ) -> Result<Fate, Fault> {
        let shape = match tag {
            b'T' if is_whole => Shape::of(Some(body)),
            b'T' => None,
            _ => Shape::of(None),
        };
        match link.outstanding.front() {
            Some(Reply::Query(_) | Reply::FailedQuery(_)) if tag == b'T' => return Ok(Fate::Pass),
            _ => {}
        }
        match link.outstanding.pop() {
            Some(Reply::Describe) => Ok(Fate::Pass),
            Some(Reply::DescribeStatement(name, id)) => {
                pipe.prepared.set_shape(id, shape);
                self.statements.set_shape(&name, id, shape);
                Ok(Fate::Pass)
            }
            Some(Reply::OurDescribe(id)) => {
                let shape = shape.unwrap_or(Shape::UNKNOWN);
                pipe.prepared.set_shape(id, Some(shape));
                link.described = Some(id);
                Ok(Fate::Drop)
            }
            _ => Err(UNEXPECTED),
        }
    }

    fn take_complete(&mut self, link: &mut Link, tag: u8) -> Result<Fate, Fault> {
        match (tag, link.outstanding.pop()) {
            (b'1', Some(Reply::Parse(pending))) => {
                self.statements.commit(&pending.name, pending.statement);
                Ok(Fate::Pass)
            }
            (b'2', Some(Reply::Bind { unnamed })) => {
                link.unnamed_portal.is_left &= !unnamed;
                Ok(Fate::Pass)
            }
            (b'2', Some(Reply::BindNoted(name, verdict))) => {
                link.unnamed_portal.is_left &= !name.is_empty();
                if super::link::is_exclusive(&verdict) || self.returns_to_startup(&verdict) {
                    link.portals.add(name, verdict);
                } else {
                    link.portals.remove(&name);
                }
                Ok(Fate::Pass)
            }
            (b'3', Some(Reply::ClosePortal(name))) => {
                link.portals.remove(&name);
                Ok(Fate::Pass)
            }
            (b'3', Some(Reply::CloseStatement(name))) => {
                self.close_statement(link, &name);
                Ok(Fate::Pass)
            }
            (b'1', Some(Reply::OurParse(_) | Reply::OurUnnamedParse))
            | (b'3', Some(Reply::OurClose)) => Ok(Fate::Drop),
            (tag, Some(Reply::Ours(expected))) if tag == expected => Ok(Fate::Drop),
            _ => Err(UNEXPECTED),
        }
    }

    /// Whether settings are set again behind the query string that is answered now.
    fn resets(&self, link: &Link) -> bool {
        match link.outstanding.front() {
            Some(Reply::Query(verdict)) => {
                verdict.effects.resets || self.returns_to_startup(verdict)
            }
            Some(Reply::FailedQuery(verdict)) => verdict.effects.resets,
            _ => false,
        }
    }

    fn close_statement(&mut self, link: &mut Link, name: &[u8]) {
        self.statements.remove(name);
        link.sql_prepared.remove(name);
        if name.is_empty() {
            link.has_unnamed = false;
        }
    }
}

/// The body of a message that is whole.
fn body_of(message: &[u8], len: usize) -> &[u8] {
    let body = message.get(backend::HEADER..).unwrap_or_default();
    body.get(..len).unwrap_or_default()
}

fn owes_ours(link: &Link) -> bool {
    link.outstanding
        .front()
        .is_some_and(|next| next.ours().is_some())
}

/// Whether there is something to note when its commands are complete.
fn is_noted(verdict: &Verdict) -> bool {
    let effects = &verdict.effects;
    super::link::is_exclusive(verdict)
        || !effects.defaults.is_empty()
        || effects.date_style.is_some()
}

/// The setting of which a ParameterStatus says that the server now splits texts
/// into tokens otherwise than the guard.
fn misread(body: &[u8]) -> Option<&'static str> {
    let (name, value) = backend::parameter_status(body)?;
    let (setting, as_read) = match name {
        // The alias "UNICODE" is reported as it was set.
        "client_encoding" => ("client_encoding", guard::is_utf8(value)),
        "standard_conforming_strings" => ("standard_conforming_strings", value == "on"),
        _ => return None,
    };
    (!as_read).then_some(setting)
}
