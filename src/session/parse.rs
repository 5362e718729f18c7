//! Parse messages: statements are entered, and prepared where they are not yet.

use super::Judged;
use super::Session;
use super::answering::Turn;
use super::awaited::Awaited;
use super::awaited::Parsed;
use super::forward::Step;
use super::ledger::Hold;
use super::refusal::after_reset;
use super::refusal::keepable;
use super::refusal::layout;
use super::refusal::name_taken;
use super::refusal::too_many_statements;
use super::statements::Statement;
use super::upstream::Upstream;
use crate::guard::Verdict;
use crate::server::Prepared;
use crate::wire::ClientError;
use crate::wire::frontend;
use crate::wire::frontend::Header;
use std::sync::Arc;

impl Session {
    pub(super) fn forward_parse<S>(&mut self, header: Header, up: &mut Upstream<'_, S>) -> Step {
        let verdict = match self.verdict(header, up) {
            Ok(verdict) => verdict,
            Err(step) => return step,
        };
        if up.ledger.hold == Hold::Resetting {
            self.refuse(header, &after_reset(), up);
            return Step::Done;
        }
        if verdict.answer.is_some() {
            let reply = match self.turn(up) {
                Turn::Later => {
                    self.judged = Some(Judged::Admitted(verdict));
                    return Step::Held;
                }
                Turn::Refused(error) => Err(error),
                Turn::Now => self.answer_parse(header, &verdict),
            };
            return self.answer_in_turn(header, reply, up);
        }
        match self.add_statement(header, verdict, up) {
            Ok(()) => {}
            Err(error) => self.refuse(header, &error, up),
        }
        Step::Done
    }

    /// Enters the statement into the client's, and prepares it on the server
    /// where it is not prepared already.
    pub(super) fn add_statement<S>(
        &mut self,
        header: Header,
        verdict: Arc<Verdict>,
        up: &mut Upstream<'_, S>,
    ) -> Result<(), ClientError> {
        let parse = frontend::parse(self.body(header)).map_err(layout)?;
        let name = keepable(parse.name)?;
        if !name.is_empty() && self.statements.get(&name).is_some() {
            return Err(name_taken(&name));
        }
        if name.is_empty()
            && let Some(victim) = self.deallocated(&verdict)
        {
            self.add_deallocation(&victim, verdict, up);
            self.drop_next(header, up);
            return Ok(());
        }
        if name.is_empty() {
            return self.add_unnamed(header, verdict, up);
        }
        let prepared = if self.touched.is_empty() && !up.ledger.local {
            self.interner.intern(parse.tail, &self.own)
        } else {
            // Under settings that are not known before the transaction's end.
            Prepared::new(parse.tail)
        };
        let statement = Arc::new(Statement::new(prepared.clone(), verdict, &self.own));
        let longest = self.guard.longest();
        if !self.statements.insert(&name, statement.clone(), longest) {
            return Err(too_many_statements());
        }
        if statement.is_nameless() {
            self.stage(up);
            up.parse_for_once(&statement, Awaited::Parse(Parsed::Named(name, None)));
            self.drop_next(header, up);
            return Ok(());
        }
        if !self.maps_names {
            up.ledger
                .awaited
                .push_back(Awaited::Parse(Parsed::Named(name, None)));
            self.pass(header);
            return Ok(());
        }
        self.stage(up);
        let id = prepared.id();
        up.prepare(&prepared, Awaited::Parse(Parsed::Named(name, Some(id))));
        self.drop_next(header, up);
        Ok(())
    }

    /// Enters the unnamed statement; the server's becomes the same.
    pub(super) fn add_unnamed<S>(
        &mut self,
        header: Header,
        verdict: Arc<Verdict>,
        up: &mut Upstream<'_, S>,
    ) -> Result<(), ClientError> {
        let tail = self.body(header).get(1..).unwrap_or_default();
        // Many clients send one text over and over.
        let is_same = |last: &Arc<Statement>| {
            last.prepared.tail() == tail
                && Arc::ptr_eq(&last.verdict, &verdict)
                && last.own == self.own
        };
        if !self.statements.get(b"").is_some_and(is_same) {
            let statement = Statement::new(Prepared::new(tail), verdict, &self.own);
            let longest = self.guard.longest();
            if !self.statements.insert(b"", Arc::new(statement), longest) {
                return Err(too_many_statements());
            }
        }
        up.ledger.has_unnamed = true;
        up.ledger.awaited.push_back(Awaited::Parse(Parsed::Unnamed));
        self.pass(header);
        Ok(())
    }

    /// The prepared statement of the client's that a DEALLOCATE names, if the
    /// server knows it by another name.
    pub(super) fn deallocated(&self, verdict: &Verdict) -> Option<Arc<Statement>> {
        let name = verdict.effects.deallocates.as_deref()?;
        let statement = self.statements.get(name.as_bytes())?;
        if name.is_empty() || !(self.maps_names || statement.is_nameless()) {
            return None;
        }
        if !statement.is_nameless() {
            return Some(statement.clone());
        }
        // Another takes its place: it must not get a name.
        Some(Arc::new(Statement {
            prepared: Prepared::new(b"\0\0\0"),
            ..Statement::clone(statement)
        }))
    }

    /// Makes the unnamed statement a DEALLOCATE of the server's name.
    pub(super) fn add_deallocation<S>(
        &mut self,
        victim: &Statement,
        verdict: Arc<Verdict>,
        up: &mut Upstream<'_, S>,
    ) {
        self.stage(up);
        let name = up.name_of(victim);
        let statement = Statement::new(
            Prepared::new(format!("DEALLOCATE {name}\0\0\0").as_bytes()),
            verdict,
            &self.own,
        );
        up.parse_unnamed(&statement, Awaited::Parse(Parsed::Unnamed));
        // Small enough to be taken at any time.
        let longest = self.guard.longest();
        self.statements.insert(b"", Arc::new(statement), longest);
    }
}
