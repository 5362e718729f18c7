//! Verdicts on statements, and what becomes of those that are refused.

use super::Judged;
use super::Session;
use super::awaited::Awaited;
use super::forward::MAX_NAMES;
use super::forward::Step;
use super::refusal::layout;
use super::upstream::Upstream;
use super::upstream::written;
use crate::guard;
use crate::guard::Verdict;
use crate::wire::ClientError;
use crate::wire::frontend;
use crate::wire::frontend::HEADER;
use crate::wire::frontend::Header;
use crate::wire::frontend::Kind;
use crate::wire::frontend::LayoutError;
use postgres_protocol::message::frontend as write;
use std::sync::Arc;

/// What the server is sent in place of a refused statement: it is no SQL, so
/// that the server's own state (a failed transaction, a skipped pipeline)
/// becomes what a refusal by the server would have made of it.
pub(super) const NO_SQL: &str = "pgtenant_refused_this_statement";
/// Statements from this length on are judged on another thread, in bytes.
pub(super) const LONG_STATEMENT: usize = 32 << 10;

impl Session {
    /// The verdict that lets the message pass, or what became of it instead.
    pub(super) fn verdict<S>(
        &mut self,
        header: Header,
        up: &mut Upstream<'_, S>,
    ) -> Result<Arc<Verdict>, Step> {
        self.judge(header).map_err(|unjudged| match unjudged {
            Unjudged::Long => Step::Judge,
            Unjudged::Refused(error) => {
                self.refuse(header, &error, up);
                Step::Done
            }
        })
    }

    /// The verdict on the statement of a Query or Parse at the buffer's head.
    pub(super) fn judge(&mut self, header: Header) -> Result<Arc<Verdict>, Unjudged> {
        match self.judged.take() {
            Some(Judged::Admitted(verdict)) => return Ok(verdict),
            Some(Judged::Raw(verdict)) => {
                let sql = statement_text(header, self.body(header));
                return sql
                    .map_err(layout)
                    .and_then(|sql| self.lost_in(sql, &verdict))
                    .and_then(|()| self.admit_as(header, verdict))
                    .map_err(Unjudged::Refused);
            }
            None => {}
        }
        let sql = statement_text(header, self.body(header))
            .map_err(|error| Unjudged::Refused(layout(error)))?;
        if header.body > LONG_STATEMENT {
            return Err(Unjudged::Long);
        }
        let verdict = self.guard.inspect(sql);
        self.lost_in(sql, &verdict).map_err(Unjudged::Refused)?;
        self.admit_as(header, verdict).map_err(Unjudged::Refused)
    }

    /// A Parse passes where each Bind will decide.
    pub(super) fn admit_as(
        &self,
        header: Header,
        verdict: Arc<Verdict>,
    ) -> Result<Arc<Verdict>, ClientError> {
        if header.kind == Kind::Parse && !verdict.at_bind.is_empty() {
            return Ok(verdict);
        }
        self.admit(verdict)
    }

    /// The statement at the buffer's head, to be judged elsewhere.
    pub(super) fn long_statement(&self) -> Option<&[u8]> {
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

    /// Refuses a message in the midst of others: the server is made to fail in
    /// its place, and its error replaced.
    pub(super) fn refuse<S>(
        &mut self,
        header: Header,
        error: &ClientError,
        up: &mut Upstream<'_, S>,
    ) {
        self.judged = None;
        self.drop_next(header, up);
        let mut ours = Vec::new();
        error.encode(&mut ours);
        let ours = ours.into_boxed_slice();
        let output = up.connection.output();
        if matches!(header.kind, Kind::Query | Kind::FunctionCall) {
            written(&write::query(NO_SQL, output));
            up.ledger.awaited.push_back(Awaited::RefusedQuery(ours));
        } else {
            written(&write::parse(NO_SQL, NO_SQL, [], output));
            up.ledger.awaited.push_back(Awaited::Refused(ours));
        }
    }
}

/// Why there is no verdict yet, or no passing one.
pub(super) enum Unjudged {
    Long,
    Refused(ClientError),
}

pub(super) fn statement_text(header: Header, body: &[u8]) -> Result<&[u8], LayoutError> {
    match header.kind {
        Kind::Parse => frontend::parse(body).map(|parse| parse.sql),
        _ => frontend::query(body),
    }
}
