//! Parse messages: statements are entered once the server has taken them, and
//! prepared where they are not yet.

use super::super::super::statements::Statement;
use super::super::judge::{Admitted, Ruling};
use super::super::lookup::Known;
use super::super::outstanding::{Pending, Reply};
use super::super::refusal::{keepable, layout, name_taken, too_many_statements};
use super::super::{Engine, Judged, Step, Up};
use crate::protocol::ClientError;
use crate::protocol::frontend::{self, Header};
use crate::server::Prepared;
use std::sync::Arc;

impl Engine {
    pub(in crate::session::engine) fn parse(
        &mut self,
        header: Header,
        up: Option<&mut Up<'_>>,
    ) -> Step {
        let admitted = match self.judge(header) {
            Ok(Ruling::Pass(admitted)) => admitted,
            Ok(Ruling::Answer(verdict)) => {
                self.judged = Some(Judged::Ruled(Ruling::Answer(verdict.clone())));
                return self.parse_ours(header, &verdict, up);
            }
            Err(unjudged) => return self.unjudged(header, unjudged, up),
        };
        let Some(up) = up else {
            self.judged = Some(Judged::Ruled(Ruling::Pass(admitted)));
            return Step::NeedsServer;
        };
        match self.add_statement(header, &admitted, up) {
            Ok(Step::Held) => {
                self.judged = Some(Judged::Ruled(Ruling::Pass(admitted)));
                Step::Held
            }
            Ok(step) => step,
            Err(error) => self.refuse(header, &error, Some(up)),
        }
    }

    /// Prepares the statement on the server where it is not prepared already.
    fn add_statement(
        &mut self,
        header: Header,
        admitted: &Admitted,
        up: &mut Up<'_>,
    ) -> Result<Step, ClientError> {
        let parse = frontend::parse(self.client.body(header)).map_err(layout)?;
        self.judge_executed(&admitted.verdict().effects)?;
        let name = keepable(parse.name)?;
        if name.is_empty() {
            return self.add_unnamed(header, admitted, up);
        }
        match self.known(&name, Some(up.link)) {
            Known::Missing => {
                if let Some(step) = self.is_taken_by_sql(&name, up.link)? {
                    return Ok(step);
                }
            }
            Known::Unsure => return Ok(Step::Held),
            // It may fail, and its name be free for this one.
            Known::Statement(_) if self.statements.get(&name).is_none() => return Ok(Step::Held),
            Known::Statement(_) => return Err(name_taken(&name)),
        }
        let tail = admitted.tail(parse.tail);
        let prepared = if self.settings.are_known() && !up.link.local {
            let shared = self.interner.intern(&tail, &self.settings.own);
            match self.is_named(shared.id(), up.link) {
                // Errors that name one on the server must tell which of them.
                true => Prepared::new(&tail),
                false => shared,
            }
        } else {
            // Under settings that are not known before the transaction's end.
            Prepared::new(&tail)
        };
        let own = &self.settings.own;
        let verdict = admitted.verdict().clone();
        let statement = Statement::new(prepared.clone(), verdict, self.as_of, own);
        let statement = Arc::new(statement.asked_as(parse.tail));
        let pending = up.link.outstanding.pending();
        if !self
            .statements
            .fits(&name, &statement, pending, self.guard.longest())
        {
            return Err(too_many_statements());
        }
        let mut pending = Pending {
            bytes: statement.size(&name),
            name,
            statement,
            id: None,
        };
        up.begin_pipeline();
        if pending.statement.is_nameless() {
            self.client.stage(&mut up.pipe.output);
            let statement = pending.statement.clone();
            up.parse_unnamed(&statement, Reply::Parse(pending));
            up.link.has_unnamed = false;
            self.drop_message(header, Some(up));
        } else if self.maps_names {
            self.client.stage(&mut up.pipe.output);
            pending.id = Some(prepared.id());
            up.prepare(&prepared, Reply::Parse(pending));
            self.drop_message(header, Some(up));
        } else {
            up.link.outstanding.push(Reply::Parse(pending));
            self.client
                .pass_statement(header, admitted, &mut up.pipe.output);
            self.judged = None;
        }
        Ok(Step::Done)
    }

    /// Takes the unnamed statement; the server's becomes the same.
    fn add_unnamed(
        &mut self,
        header: Header,
        admitted: &Admitted,
        up: &mut Up<'_>,
    ) -> Result<Step, ClientError> {
        let verdict = admitted.verdict();
        let tail = self.client.body(header).get(1..).unwrap_or_default();
        // Many clients send one text over and over.
        let is_same = |last: &&Arc<Statement>| {
            last.asked() == tail
                && Arc::ptr_eq(&last.verdict, verdict)
                && last.as_of == self.as_of
                && last.own == self.settings.own
        };
        let statement = match self.statements.get(b"").filter(is_same) {
            Some(last) => last.clone(),
            None => {
                let prepared = Prepared::new(&admitted.tail(tail));
                let own = &self.settings.own;
                let statement = Statement::new(prepared, verdict.clone(), self.as_of, own);
                let statement = Arc::new(statement.asked_as(tail));
                let pending = up.link.outstanding.pending();
                if !self
                    .statements
                    .fits(b"", &statement, pending, self.guard.longest())
                {
                    return Err(too_many_statements());
                }
                statement
            }
        };
        up.begin_pipeline();
        up.link.has_unnamed = true;
        up.link.outstanding.push(Reply::Parse(Pending {
            name: Box::default(),
            // Most often it is the one that is there already.
            bytes: tail.len(),
            statement,
            id: None,
        }));
        self.client
            .pass_statement(header, admitted, &mut up.pipe.output);
        self.judged = None;
        Ok(Step::Done)
    }
}
