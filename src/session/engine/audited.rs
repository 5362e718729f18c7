//! What the audit log says of statements: each has a record once it is answered.
//!
//! Where statements are not recorded nothing is kept, and nothing but a flag looked at.

use super::super::statements::Statement;
use super::link::Link;
use super::tally::TOO_MUCH;
use super::{Engine, Up};
use crate::audit::{Event, Outcome, Ran, Room, Statements, Text, redact};
use crate::guard::{Refusal, Verdict};
use crate::protocol::ClientError;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// What a record takes beside texts, in bytes, roughly.
const RECORD: usize = 1 << 10;
/// So many portals are known by their statements; of others no classes are recorded.
const MOST_PORTALS: usize = 256;

/// Statements that were sent and are not answered yet, and what portals are of.
#[derive(Debug, Default)]
pub(super) struct Audited {
    sent: VecDeque<Sent>,
    portals: Vec<(Box<[u8]>, Arc<Statement>)>,
}

/// A statement, or string of statements, that was sent.
#[derive(Debug)]
struct Sent {
    number: u64,
    is_query: bool,
    /// How many of its statements are answered.
    answered: usize,
    verdict: Option<Arc<Verdict>>,
    text: Sql,
    since: Instant,
    room: Option<Room>,
}

/// The text of what was sent.
#[derive(Debug)]
enum Sql {
    /// It is not recorded.
    Unknown,
    /// Of a Query.
    Text(Box<str>),
    /// Of an Execute: a client can send many of one long statement.
    Of(Arc<Statement>),
}

impl Sql {
    fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Unknown => None,
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Of(statement) => Some(text_of(statement.asked())),
        }
    }
}

impl Audited {
    /// Whether there is nothing to be recorded.
    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Forgets all portals: the transaction is over.
    pub(super) fn end_portals(&mut self) {
        self.portals.clear();
    }

    /// A portal is of this statement from now on; `None`: it is not known.
    fn bind(&mut self, portal: &[u8], statement: Option<&Arc<Statement>>) {
        self.portals.retain(|(name, _)| **name != *portal);
        if let Some(statement) = statement
            && self.portals.len() < MOST_PORTALS
        {
            self.portals.push((portal.into(), statement.clone()));
        }
    }
}

/// What a statement is refused with that must not go unrecorded.
fn unrecorded() -> ClientError {
    ClientError::error(
        "53100",
        "the audit log cannot be written, and no audited statement goes unrecorded",
    )
    .hint("The administrator must see to the audit log (audit.file); its disk may be full.")
}

impl Engine {
    /// Whether statements with this verdict are recorded when they run.
    fn is_audited(&self, verdict: Option<&Verdict>) -> bool {
        match self.span.rules().statements {
            Statements::None | Statements::Refused => false,
            Statements::All => true,
            Statements::Write => {
                let described = verdict.and_then(|verdict| verdict.described.as_deref());
                described.is_none_or(crate::audit::Described::writes)
            }
        }
    }

    /// Room for the record of a statement, if it is to have one: an error where there
    /// is none and it must not run without.
    pub(super) fn audit_room(
        &self,
        verdict: Option<&Verdict>,
        len: usize,
    ) -> Result<Option<Room>, ClientError> {
        if !self.is_audited(verdict) {
            return Ok(None);
        }
        let text = match self.span.rules().text {
            Text::None => 0,
            Text::Shape | Text::Full => 2 * len,
        };
        let room = self.span.log().room(RECORD + text);
        room.map_err(|_| unrecorded())
    }

    /// A Query with this text is sent.
    pub(super) fn query_sent(
        &self,
        sql: &[u8],
        verdict: &Arc<Verdict>,
        room: Option<Room>,
        link: &mut Link,
    ) {
        if self.span.log().is_on() {
            let text = || Sql::Text(text_of(sql).into());
            self.sent(true, text, Some(verdict), room, link);
        }
    }

    /// An Execute of this portal is to be sent: whose statement it is, and room for
    /// its record.
    pub(super) fn execute_room(
        &self,
        portal: &[u8],
        link: &Link,
    ) -> Result<(Option<Arc<Statement>>, Option<Room>), ClientError> {
        if !self.span.rules().follow() {
            return Ok((None, None));
        }
        let mut portals = link.audited.portals.iter();
        let statement = portals.find(|(name, _)| **name == *portal);
        let statement = statement.map(|(_, statement)| statement.clone());
        let verdict = statement.as_ref().map(|statement| &*statement.verdict);
        let len = statement.as_ref().map_or(0, |one| one.asked().len());
        let room = self.audit_room(verdict, len)?;
        Ok((statement, room))
    }

    /// An Execute is sent.
    pub(super) fn execute_sent(
        &self,
        statement: Option<&Arc<Statement>>,
        room: Option<Room>,
        link: &mut Link,
    ) {
        if self.span.log().is_on() {
            let text = || statement.map_or(Sql::Unknown, |statement| Sql::Of(statement.clone()));
            let verdict = statement.map(|statement| &statement.verdict);
            self.sent(false, text, verdict, room, link);
        }
    }

    fn sent(
        &self,
        is_query: bool,
        text: impl FnOnce() -> Sql,
        verdict: Option<&Arc<Verdict>>,
        room: Option<Room>,
        link: &mut Link,
    ) {
        let number = self.span.count_statement();
        if !self.span.rules().follow() {
            return;
        }
        // In its place even if it is not recorded: answers come in this order.
        let full = self.span.rules().text == Text::Full;
        let is_audited = self.is_audited(verdict.map(|verdict| &**verdict));
        link.audited.sent.push_back(Sent {
            number: if is_audited { number } else { 0 },
            is_query,
            answered: 0,
            verdict: verdict.cloned(),
            text: if is_audited && full {
                text()
            } else {
                Sql::Unknown
            },
            since: Instant::now(),
            room,
        });
    }

    /// A Bind of this portal is sent.
    pub(super) fn portal_bound(
        &self,
        portal: &[u8],
        statement: Option<&Arc<Statement>>,
        up: &mut Up<'_>,
    ) {
        if self.span.rules().follow() {
            up.link.audited.bind(portal, statement);
        }
    }

    /// A statement of the oldest that was sent is answered so. Nothing more of it comes
    /// if it is an Execute.
    pub(super) fn audit_answer(&self, link: &mut Link, outcome: Outcome<'_>) {
        let outcome = match link.tally.is_to_be_recorded() {
            true => Outcome::Failed(TOO_MUCH),
            false => outcome,
        };
        let Some(front) = link.audited.sent.front_mut() else {
            return;
        };
        front.answered += 1;
        if front.number > 0 {
            self.record(front, outcome);
        }
        if !front.is_query {
            link.audited.sent.pop_front();
        }
    }

    /// A command is complete, with this tag and what is behind it.
    pub(super) fn audit_command(&self, link: &mut Link, body: &[u8]) {
        if !link.audited.is_empty() {
            self.audit_answer(link, Outcome::Done(&text_of(body)));
        }
    }

    /// All of a Query is answered.
    pub(super) fn audit_query_end(link: &mut Link) {
        if link.audited.sent.front().is_some_and(|sent| sent.is_query) {
            link.audited.sent.pop_front();
        }
    }

    /// Nothing more will be heard of what was sent.
    pub(in crate::session) fn audit_lost(&self, link: &mut Link) {
        while let Some(sent) = link.audited.sent.front() {
            let is_query = sent.is_query;
            self.audit_answer(link, Outcome::Unknown);
            if is_query {
                link.audited.sent.pop_front();
            }
        }
    }

    fn record(&self, sent: &mut Sent, outcome: Outcome<'_>) {
        let described = sent.verdict.as_ref();
        let described = described.and_then(|verdict| verdict.described.as_deref());
        let is_first = sent.answered == 1;
        let of_several = described.is_some_and(|described| described.len() > 1);
        let text = match self.span.rules().text {
            Text::None => None,
            Text::Shape => described.map(|described| Cow::Borrowed(described.shape())),
            Text::Full => sent.text.text(),
        };
        let ran = Ran {
            statement: sent.number,
            part: if of_several { sent.answered } else { 0 },
            description: described.and_then(|described| described.get(sent.answered - 1)),
            outcome,
            duration: sent.since.elapsed(),
            text: text.as_deref().filter(|_| is_first),
        };
        let event = Event::Statement {
            client: self.span.client(),
            ran: &ran,
        };
        self.span.log().record_in(sent.room.take(), &event);
    }

    /// The proxy has answered a statement itself.
    pub(super) fn audit_answered(&self, verdict: &Arc<Verdict>, tag: &str) {
        if !self.span.log().is_on() {
            return;
        }
        let number = self.span.count_statement();
        if !self.is_audited(Some(verdict)) {
            return;
        }
        let mut sent = Sent {
            number,
            is_query: true,
            answered: 1,
            verdict: Some(verdict.clone()),
            text: Sql::Unknown,
            since: Instant::now(),
            room: None,
        };
        self.record(&mut sent, Outcome::Done(tag));
    }

    /// The statement that runs is ended.
    pub(super) fn audit_refusal_of_running(&self, refusal: &Refusal) {
        if self.span.log().is_on() {
            self.record_refusal(self.span.last_statement(), refusal, true, b"");
        }
    }

    /// A statement with this text is refused, or would be.
    pub(super) fn audit_refusal(&self, refusal: &Refusal, enforced: bool, sql: &[u8]) {
        let span = &self.span;
        if !span.log().is_on() {
            return;
        }
        // One that passes is counted when it is sent.
        let statement = match enforced {
            true => span.count_statement(),
            false => span.next_statement(),
        };
        self.record_refusal(statement, refusal, enforced, sql);
    }

    fn record_refusal(&self, statement: u64, refusal: &Refusal, enforced: bool, sql: &[u8]) {
        let span = &self.span;
        span.count_refused();
        if span.rules().statements == Statements::None {
            return;
        }
        let text = match span.rules().text {
            _ if sql.is_empty() => None,
            Text::None => None,
            Text::Shape => Some(redact(&text_of(sql))),
            Text::Full => Some(text_of(sql).into_owned()),
        };
        span.log().record(&Event::Refused {
            client: span.client(),
            statement,
            rule: refusal.rule,
            sqlstate: refusal.sqlstate,
            reason: &refusal.message,
            enforced,
            text: text.as_deref(),
        });
    }
}

/// A text of the protocol, up to its end.
pub(super) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    match std::str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(text),
    }
}
