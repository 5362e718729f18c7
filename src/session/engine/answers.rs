//! What the proxy answers itself: a client's process id is the one that it was
//! given at login, and by it the other sessions of its login can be cancelled
//! and ended. The server knows neither.

use super::super::cancel::Peer;
use super::super::statements::Statement;
use super::Engine;
use super::refusal::no_portal;
use crate::audit::Event;
use crate::guard::{Answer, Question, Target, Verdict};
use crate::protocol::ClientError;
use crate::protocol::backend;
use crate::protocol::frontend::{self, BindValues};
use std::sync::Arc;

/// Most portals of ours up to a Sync.
const MOST_PORTALS: usize = 100;
/// `int4` in pg_type: OID, bytes.
const INT4: (u32, u16) = (23, 4);
/// `bool` in pg_type: OID, bytes.
const BOOL: (u32, u16) = (16, 1);
/// `int2` in pg_type.
const INT2: u32 = 21;

/// A portal over a statement that the proxy answers. It lives up to the Sync.
#[derive(Debug)]
pub(super) struct OwnPortal {
    name: Box<[u8]>,
    bound: Bound,
    done: bool,
}

/// A statement of these with its values.
#[derive(Debug)]
pub(super) struct Bound {
    verdict: Arc<Verdict>,
    pid: Option<i32>,
    /// Of the result.
    format: u16,
}

/// An answer of ours, and what is to happen before it is given.
#[derive(Debug, Default)]
pub(super) struct OwnReply {
    pub(super) bytes: Vec<u8>,
    pub(super) interrupt: Option<Interrupt>,
}

/// A session that is to be interrupted.
#[derive(Debug)]
pub(in crate::session) struct Interrupt {
    peer: Peer,
    ends: bool,
}

impl Interrupt {
    /// Done once the server has the request.
    pub(in crate::session) async fn deliver(self) {
        match self.ends {
            true => self.peer.end().await,
            false => self.peer.cancel().await,
        }
    }
}

impl OwnReply {
    fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            interrupt: None,
        }
    }

    /// To a Parse.
    pub(super) fn parsed() -> Self {
        Self::new(backend::PARSE_COMPLETE)
    }
}

impl Engine {
    /// The answer to a Query, without the ReadyForQuery.
    pub(super) fn answer_query(&self, answer: &Answer) -> Result<OwnReply, ClientError> {
        let pid = match answer.question {
            Question::Interrupt {
                target: Target::Parameter,
                ..
            } => {
                return Err(ClientError::error("42P02", "there is no parameter $1"));
            }
            Question::Interrupt {
                target: Target::Pid(pid),
                ..
            } => Some(pid),
            Question::OwnPid => None,
        };
        let mut reply = OwnReply::default();
        describe(&mut reply.bytes, Some(answer), 0);
        self.execute_answer(&mut reply, answer, pid, 0, 0)?;
        Ok(reply)
    }

    /// Whether a statement can be answered with the types that its parameters
    /// were declared with.
    pub(super) fn is_answerable(verdict: &Verdict, tail: &[u8]) -> bool {
        let Some(answer) = &verdict.answer else {
            return false;
        };
        let mut declared = frontend::parameter_types(tail);
        match answer.question {
            Question::Interrupt {
                target: Target::Parameter,
                ..
            } => {
                let first = declared.next().unwrap_or(0);
                [0, 705, INT2, INT4.0].contains(&first) && declared.next().is_none()
            }
            _ => declared.next().is_none(),
        }
    }

    /// Reads the Bind of a statement that the proxy answers.
    pub(super) fn answer_bind(
        name: &[u8],
        statement: &Statement,
        values: &BindValues<'_>,
    ) -> Result<Bound, ClientError> {
        let types = parameter_types(statement);
        if values.parameters.len() != types.len() {
            return Err(ClientError::error(
                "08P01",
                format!(
                    "bind message supplies {} parameters, but prepared statement \"{}\" requires {}",
                    values.parameters.len(),
                    String::from_utf8_lossy(name),
                    types.len()
                ),
            ));
        }
        let format = match values.results.as_slice() {
            [] => 0,
            [format] if *format < 2 => *format,
            _ => {
                let message = "bind message has wrong result formats";
                return Err(ClientError::error("08P01", message));
            }
        };
        let fixed = match statement.verdict.answer.as_ref().map(|a| a.question) {
            Some(Question::Interrupt {
                target: Target::Pid(pid),
                ..
            }) => Some(pid),
            _ => None,
        };
        let pid = match (types.first(), values.parameters.first()) {
            (Some(oid), Some((format, Some(value)))) => Some(integer(*oid, *format, value)?),
            _ => fixed,
        };
        Ok(Bound {
            verdict: statement.verdict.clone(),
            pid,
            format,
        })
    }

    /// Opens a portal.
    pub(super) fn open_portal(
        &mut self,
        name: &[u8],
        bound: Bound,
    ) -> Result<OwnReply, ClientError> {
        self.forget_portal(name);
        if self.portals.len() >= MOST_PORTALS {
            return Err(ClientError::error(
                "54000",
                "too many portals before a Sync",
            ));
        }
        self.portals.push(OwnPortal {
            name: name.into(),
            bound,
            done: false,
        });
        Ok(OwnReply::new(backend::BIND_COMPLETE))
    }

    /// The answer to a Describe of such a statement.
    pub(super) fn answer_describe(statement: &Statement) -> OwnReply {
        let mut reply = OwnReply::default();
        backend::parameter_description(&mut reply.bytes, &parameter_types(statement));
        describe(&mut reply.bytes, statement.verdict.answer.as_ref(), 0);
        reply
    }

    /// The answer to a Describe of a portal, if it is one of ours.
    pub(super) fn answer_describe_portal(&self, name: &[u8]) -> Option<OwnReply> {
        let portal = self.own_portal(name)?;
        let mut reply = OwnReply::default();
        describe(
            &mut reply.bytes,
            portal.bound.verdict.answer.as_ref(),
            portal.bound.format,
        );
        Some(reply)
    }

    /// The answer to an Execute of at most `most` rows (0: all) of a portal of ours.
    pub(super) fn answer_execute(
        &mut self,
        name: &[u8],
        most: u32,
    ) -> Result<OwnReply, ClientError> {
        let mut reply = OwnReply::default();
        let Some(portal) = self.own_portal(name) else {
            return Err(no_portal(name));
        };
        let verdict = portal.bound.verdict.clone();
        let Some(answer) = &verdict.answer else {
            return Err(no_portal(name));
        };
        if portal.done {
            backend::command_complete(&mut reply.bytes, "SELECT 0");
            return Ok(reply);
        }
        let (pid, format) = (portal.bound.pid, portal.bound.format);
        self.execute_answer(&mut reply, answer, pid, format, most)?;
        self.audit_answered(&verdict, "SELECT");
        if let Some(portal) = self.portals.iter_mut().find(|own| *own.name == *name) {
            portal.done = true;
        }
        Ok(reply)
    }

    /// Whether a portal is one of ours.
    pub(super) fn own_portal(&self, name: &[u8]) -> Option<&OwnPortal> {
        self.portals.iter().find(|portal| *portal.name == *name)
    }

    /// A portal is closed, or is another's from now on.
    pub(super) fn forget_portal(&mut self, name: &[u8]) {
        self.portals.retain(|portal| *portal.name != *name);
    }

    fn execute_answer(
        &self,
        reply: &mut OwnReply,
        answer: &Answer,
        pid: Option<i32>,
        format: u16,
        most: u32,
    ) -> Result<(), ClientError> {
        let row = match answer.question {
            Question::OwnPid => {
                let pid = self.registration.pid();
                Some(Some(match format {
                    0 => pid.to_string().into_bytes(),
                    _ => pid.to_be_bytes().to_vec(),
                }))
            }
            Question::Interrupt { ends, listed, .. } => {
                let found = match pid {
                    Some(pid) => self.interrupted(reply, pid, ends)?,
                    None => None,
                };
                match (pid, found, listed) {
                    (_, Some(()), _) => Some(Some(boolean(true, format))),
                    (_, None, true) => None,
                    (None, None, false) => Some(None),
                    (Some(pid), None, false) => {
                        let message = format!("PID {pid} is not a PostgreSQL backend process");
                        ClientError::warning("01000", message)
                            .hint("Through pgtenant only sessions of the same login can be cancelled and ended.")
                            .encode(&mut reply.bytes);
                        Some(Some(boolean(false, format)))
                    }
                }
            }
        };
        if let Some(value) = &row {
            backend::write_data_row(&mut reply.bytes, value.as_deref());
        }
        match (row.is_some(), most) {
            (true, 1) => reply.bytes.extend_from_slice(backend::PORTAL_SUSPENDED),
            (true, _) => backend::command_complete(&mut reply.bytes, "SELECT 1"),
            (false, _) => backend::command_complete(&mut reply.bytes, "SELECT 0"),
        }
        Ok(())
    }

    /// Finds the session that is to be interrupted.
    fn interrupted(
        &self,
        reply: &mut OwnReply,
        pid: i32,
        ends: bool,
    ) -> Result<Option<()>, ClientError> {
        let Some(peer) = u32::try_from(pid)
            .ok()
            .and_then(|pid| self.registration.find(pid))
        else {
            return Ok(None);
        };
        if !ends && u32::try_from(pid) == Ok(self.registration.pid()) {
            // What it runs is this statement.
            let message = "canceling statement due to user request";
            return Err(ClientError::error("57014", message));
        }
        tracing::info!(
            target: "pgtenant::audit",
            parent: &self.span.span(),
            event = if ends { "session_ended" } else { "statement_cancelled" },
            pid,
        );
        self.span.log().record(&Event::Interrupted {
            client: self.span.client(),
            pid: pid.unsigned_abs(),
            ended: ends,
        });
        reply.interrupt = Some(Interrupt { peer, ends });
        Ok(Some(()))
    }
}

fn describe(out: &mut Vec<u8>, answer: Option<&Answer>, format: u16) {
    let Some(answer) = answer else {
        out.extend_from_slice(backend::NO_DATA);
        return;
    };
    let (oid, len) = match answer.question {
        Question::OwnPid => INT4,
        Question::Interrupt { .. } => BOOL,
    };
    backend::row_description(out, &answer.column, oid, len, format);
}

fn boolean(value: bool, format: u16) -> Vec<u8> {
    match (format, value) {
        (0, true) => b"t".to_vec(),
        (0, false) => b"f".to_vec(),
        _ => vec![u8::from(value)],
    }
}

/// The types of the parameters, as the server would infer them.
fn parameter_types(statement: &Statement) -> Vec<u32> {
    let answer = statement.verdict.answer.as_ref();
    match answer.map(|answer| answer.question) {
        Some(Question::Interrupt {
            target: Target::Parameter,
            ..
        }) => {
            let declared = frontend::parameter_types(statement.prepared.tail()).next();
            vec![declared.filter(|oid| *oid == INT2).unwrap_or(INT4.0)]
        }
        _ => Vec::new(),
    }
}

fn integer(oid: u32, format: u16, value: &[u8]) -> Result<i32, ClientError> {
    let read = match (format, oid) {
        (0, _) => std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.trim().parse().ok()),
        (1, INT2) => value.try_into().ok().map(i16::from_be_bytes).map(i32::from),
        (1, _) => value.try_into().ok().map(i32::from_be_bytes),
        _ => None,
    };
    read.ok_or_else(|| ClientError::error("22P02", "invalid input for a process id"))
}
