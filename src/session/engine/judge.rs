//! Verdicts on statements.

use super::super::statements::Statement;
use super::audited::text_of;
use super::client_side::MAX_NAMES;
use super::refusal::layout;
use super::{Engine, Step, Up};
use crate::audit::redact_front;
use crate::guard::{self, Refusal, Verdict};
use crate::metrics::{MOST_TEXT, Refused};
use crate::protocol::ClientError;
use crate::protocol::frontend::{self, HEADER, Header, Kind, LayoutError};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

/// Statements from this length on are judged on another thread, in bytes.
pub(in crate::session) const LONG_STATEMENT: usize = 32 << 10;

/// A verdict that waits for its statement to be dealt with.
#[derive(Debug)]
pub(in crate::session) enum Judged {
    /// It has not been looked at.
    Raw(Arc<Verdict>),
    /// It does not refuse the statement.
    Ruled(Ruling),
}

/// What becomes of a statement that is not refused.
#[derive(Debug, Clone)]
pub(in crate::session) enum Ruling {
    /// It goes to the server.
    Pass(Admitted),
    /// The proxy answers it.
    Answer(Arc<Verdict>),
}

/// A verdict that lets its statement go to the server. Only
/// [`Engine::admit_to_server`] and [`Engine::admit_until_bind`] make one (or make it
/// stricter), and no
/// Query or Parse [passes](super::ClientSide::pass_statement) without it.
#[derive(Debug, Clone)]
pub(in crate::session) struct Admitted(Arc<Verdict>);

impl Admitted {
    pub(super) fn verdict(&self) -> &Arc<Verdict> {
        &self.0
    }

    pub(super) fn into_verdict(self) -> Arc<Verdict> {
        self.0
    }

    /// What the server gets of a Query or Parse, behind its name: the client's own
    /// `tail`, or the same with the text that takes its text's place.
    pub(super) fn tail<'t>(&self, tail: &'t [u8]) -> Cow<'t, [u8]> {
        let Some(instead) = &self.0.instead else {
            return Cow::Borrowed(tail);
        };
        let end = memchr::memchr(0, tail).unwrap_or(tail.len());
        let rest = tail.get(end..).unwrap_or_default();
        Cow::Owned([instead.text.as_bytes(), rest].concat())
    }
}

impl Judged {
    fn doubted(self) -> Self {
        match self {
            Self::Raw(verdict) => Self::Raw(Arc::new(verdict.doubted())),
            Self::Ruled(Ruling::Pass(Admitted(verdict))) => {
                Self::Ruled(Ruling::Pass(Admitted(Arc::new(verdict.doubted()))))
            }
            // Nothing of it runs on the server.
            Self::Ruled(Ruling::Answer(verdict)) => Self::Ruled(Ruling::Answer(verdict)),
        }
    }
}

/// Why there is no verdict yet, or no passing one.
pub(super) enum Unjudged {
    Long,
    Refused(ClientError),
}

impl Engine {
    /// What becomes of the statement of a Query or Parse at the buffer's head, unless
    /// it is refused.
    pub(super) fn judge(&mut self, header: Header) -> Result<Ruling, Unjudged> {
        // Before the guard is asked: its verdict rests on this or on later.
        let as_of = std::mem::replace(&mut self.as_of, self.guard.as_of());
        let mut judged = self.judged.take();
        if as_of != self.as_of {
            // It has waited, and what was a plain table may be a view now.
            judged = judged.map(Judged::doubted);
        }
        let verdict = match judged {
            Some(Judged::Ruled(ruling)) => return Ok(ruling),
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
            .and_then(|()| self.rule(header, verdict))
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

    fn rule(&self, header: Header, verdict: Arc<Verdict>) -> Result<Ruling, ClientError> {
        if verdict.answer.is_some() {
            return Ok(Ruling::Answer(verdict));
        }
        if header.kind == Kind::Parse && !verdict.at_bind.is_empty() {
            return Ok(Ruling::Pass(Self::admit_until_bind(verdict)));
        }
        let body = self.client.body(header);
        let sql = statement_text(header, body).unwrap_or_default();
        self.admit_to_server(verdict, sql).map(Ruling::Pass)
    }

    /// A Parse passes where each Bind will decide.
    fn admit_until_bind(verdict: Arc<Verdict>) -> Admitted {
        Admitted(verdict)
    }

    /// Turns a verdict into an admission to the server, or an error for the client.
    /// Refusals are audited.
    /// `sql`: its text, as far as it is known.
    pub(super) fn admit_to_server(
        &self,
        verdict: Arc<Verdict>,
        sql: &[u8],
    ) -> Result<Admitted, ClientError> {
        let Some(refusal) = &verdict.refusal else {
            return Ok(Admitted(verdict));
        };
        let path = self.tenant.placement.attachment.search_path();
        if let Some(verdict) = verdict.for_path(path.map(|path| &**path)) {
            return Ok(Admitted(Arc::new(verdict)));
        }
        let enforced = self.guard.options().mode == guard::Mode::Enforce;
        self.audit(refusal, enforced, sql);
        if !enforced {
            return Ok(Admitted(verdict));
        }
        Err(refused(refusal))
    }

    /// What is refused in every mode, because it cannot be forwarded.
    pub(super) fn refusal(&self, refusal: &Refusal) -> ClientError {
        self.audit(refusal, true, b"");
        refused(refusal)
    }

    /// Audits that a statement which runs is ended.
    pub(super) fn audit_ended(&self, refusal: &Refusal) {
        self.tell_of(refusal, true, b"");
        self.audit_refusal_of_running(refusal);
    }

    fn audit(&self, refusal: &Refusal, enforced: bool, sql: &[u8]) {
        self.tell_of(refusal, enforced, sql);
        self.audit_refusal(refusal, enforced, sql);
    }

    fn tell_of(&self, refusal: &Refusal, enforced: bool, sql: &[u8]) {
        let (login, tenant, client) = self.span.who();
        self.meter.refuses(Refused {
            time: SystemTime::now(),
            tenant: tenant.clone(),
            login: login.clone(),
            client,
            rule: refusal.rule,
            message: refusal.message.to_string(),
            enforced,
            // One byte more shows that it goes on.
            shape: (!sql.is_empty()).then(|| redact_front(&text_of(sql), MOST_TEXT + 1)),
        });
        tracing::warn!(
            target: "pgtenant::audit",
            parent: &self.span.span(),
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
