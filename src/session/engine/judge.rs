//! Verdicts on statements.

use super::super::statements::Statement;
use super::client_side::MAX_NAMES;
use super::refusal::layout;
use super::{Engine, Step, Up};
use crate::guard::{self, Refusal, Verdict};
use crate::protocol::ClientError;
use crate::protocol::frontend::{self, HEADER, Header, Kind, LayoutError};
use std::sync::Arc;

/// Statements from this length on are judged on another thread, in bytes.
pub(in crate::session) const LONG_STATEMENT: usize = 32 << 10;

/// A verdict that waits for its statement to be dealt with.
#[derive(Debug)]
pub(in crate::session) enum Judged {
    /// It has not been looked at.
    Raw(Arc<Verdict>),
    /// It lets the statement pass.
    Admitted(Arc<Verdict>),
}

impl Judged {
    fn doubted(self) -> Self {
        match self {
            Self::Raw(verdict) => Self::Raw(Arc::new(verdict.doubted())),
            Self::Admitted(verdict) => Self::Admitted(Arc::new(verdict.doubted())),
        }
    }
}

/// Why there is no verdict yet, or no passing one.
pub(super) enum Unjudged {
    Long,
    Refused(ClientError),
}

impl Engine {
    /// The verdict on the statement of a Query or Parse at the buffer's head, if
    /// it lets it pass.
    pub(super) fn judge(&mut self, header: Header) -> Result<Arc<Verdict>, Unjudged> {
        // Before the guard is asked: its verdict rests on this or on later.
        let as_of = std::mem::replace(&mut self.as_of, self.guard.as_of());
        let mut judged = self.judged.take();
        if as_of != self.as_of {
            // It has waited, and what was a plain table may be a view now.
            judged = judged.map(Judged::doubted);
        }
        let verdict = match judged {
            Some(Judged::Admitted(verdict)) => return Ok(verdict),
            Some(Judged::Raw(verdict)) => Some(verdict),
            None => None,
        };
        let sql = statement_text(header, self.client.body(header))
            .map_err(|error| Unjudged::Refused(layout(error)))?;
        let verdict = match verdict {
            Some(verdict) => verdict,
            None if header.body > LONG_STATEMENT => return Err(Unjudged::Long),
            None => self.guard.inspect(sql),
        };
        self.lost_in(sql, &verdict)
            .and_then(|()| self.admit_as(header, verdict))
            .map_err(Unjudged::Refused)
    }

    /// A prepared statement with the verdict that it gets now: what was a plain
    /// table when it was prepared may be a view.
    pub(super) fn with_verdict_of_now(
        &mut self,
        name: &[u8],
        statement: Arc<Statement>,
    ) -> Arc<Statement> {
        if statement.as_of == self.guard.as_of() {
            return statement;
        }
        let now = Arc::new(statement.judged_now(&self.guard));
        self.statements.update(name, &statement, now.clone());
        now
    }

    /// What becomes of a message without a verdict that lets it pass.
    pub(super) fn unjudged(
        &mut self,
        header: Header,
        unjudged: Unjudged,
        up: Option<&mut Up<'_>>,
    ) -> Step {
        match unjudged {
            Unjudged::Long => Step::Judge,
            Unjudged::Refused(error) => self.refuse(header, &error, up),
        }
    }

    /// A Parse passes where each Bind will decide.
    fn admit_as(&self, header: Header, verdict: Arc<Verdict>) -> Result<Arc<Verdict>, ClientError> {
        let waits = header.kind == Kind::Parse && !verdict.at_bind.is_empty();
        if waits || verdict.answer.is_some() {
            return Ok(verdict);
        }
        self.admit_to_server(verdict)
    }

    /// Turns a verdict into an admission to the server, or an error for the client.
    /// Refusals are audited.
    pub(super) fn admit_to_server(
        &self,
        verdict: Arc<Verdict>,
    ) -> Result<Arc<Verdict>, ClientError> {
        let Some(refusal) = &verdict.refusal else {
            return Ok(verdict);
        };
        let enforced = self.guard.options().mode == guard::Mode::Enforce;
        self.audit(refusal, enforced);
        if !enforced {
            return Ok(verdict);
        }
        Err(refused(refusal))
    }

    /// What is refused in every mode, because it cannot be forwarded.
    pub(super) fn refusal(&self, refusal: &Refusal) -> ClientError {
        self.audit(refusal, true);
        refused(refusal)
    }

    fn audit(&self, refusal: &Refusal, enforced: bool) {
        tracing::warn!(
            target: "pgtenant::audit",
            parent: self.span.get(),
            event = if enforced { "statement_refused" } else { "statement_would_be_refused" },
            rule = refusal.rule,
            sqlstate = refusal.sqlstate,
            reason = %refusal.message,
        );
    }

    /// The statement at the buffer's head, to be judged elsewhere.
    pub(in crate::session) fn long_statement(&self) -> Option<&[u8]> {
        let bytes = self.client.scan.unseen(&self.client.input);
        let header = frontend::header(bytes).ok()??;
        let body = bytes.get(HEADER..HEADER + header.body)?;
        statement_text(header, body).ok()
    }

    /// What a message that is too long is refused with.
    pub(super) fn too_long(&self, header: Header) -> ClientError {
        if header.kind == Kind::Bind {
            let message = format!("the names in a Bind message are longer than {MAX_NAMES} bytes");
            return ClientError::error("54000", message);
        }
        self.refusal(&guard::statement_too_long(
            header.body,
            self.guard.longest(),
        ))
    }
}

/// What the client is told.
pub(in crate::session) fn refused(refusal: &Refusal) -> ClientError {
    ClientError::error(refusal.sqlstate, refusal.message.clone())
        .detail(refusal.detail())
        .hint(refusal.hint)
}

fn statement_text(header: Header, body: &[u8]) -> Result<&[u8], LayoutError> {
    match header.kind {
        Kind::Parse => frontend::parse(body).map(|parse| parse.sql),
        _ => frontend::query(body),
    }
}
