//! Bind messages: the statement, its values and its rows must be those that
//! the client knows.

use super::Session;
use super::answers::MOST_PORTALS;
use super::awaited::Awaited;
use super::forward::Step;
use super::ledger::Hold;
use super::refusal::after_reset;
use super::refusal::layout;
use super::refusal::no_statement;
use super::refusal::too_many_portals;
use super::statements::Statement;
use super::upstream::Upstream;
use super::upstream::put_len;
use super::upstream::written;
use crate::guard;
use crate::guard::Parameter;
use crate::server::Prepared;
use crate::wire::ClientError;
use crate::wire::frontend;
use crate::wire::frontend::BindValues;
use crate::wire::frontend::HEADER;
use crate::wire::frontend::Header;
use crate::wire::frontend::LayoutError;
use postgres_protocol::message::frontend as write;
use std::sync::Arc;

/// Longest Bind that is taken where its values are judged, in bytes.
pub(super) const MAX_JUDGED_BIND: usize = 64 << 10;

impl Session {
    pub(super) fn forward_bind<S>(&mut self, header: Header, up: &mut Upstream<'_, S>) -> Step {
        let Some(head) = frontend::bind_head(self.body(header)) else {
            self.refuse(header, &layout(LayoutError), up);
            return Step::Done;
        };
        let len = head.len;
        let portal: Box<[u8]> = head.portal.into();
        let Some(statement) = self.statements.get(head.statement).cloned() else {
            let error = no_statement(head.statement);
            self.refuse(header, &error, up);
            return Step::Done;
        };
        let unnamed = head.statement.is_empty();
        let nameless = statement.is_nameless();
        let statement = match self.with_values(header, statement) {
            Ok(statement) => statement,
            Err(Unbound::Incomplete) => return Step::Incomplete,
            Err(Unbound::Refused(error)) => {
                self.refuse(header, &error, up);
                return Step::Done;
            }
        };
        if unnamed && !up.ledger.has_unnamed && statement.verdict.effects.deallocates.is_some() {
            // The name in it is one of another server connection.
            self.refuse(header, &no_statement(b""), up);
            return Step::Done;
        }
        let statement = match self.changes_meaning(head.statement, &statement, up) {
            false => statement,
            true => {
                let name = head.statement.to_vec();
                self.unshare(&name, &statement)
            }
        };
        if up.ledger.hold == Hold::Resetting {
            self.refuse(header, &after_reset(), up);
            return Step::Done;
        }
        if !unnamed && let Some(step) = self.check_shape(header, &statement, up) {
            return step;
        }
        let lost = self.lost_in(statement.prepared.tail(), &statement.verdict);
        if let Err(error) = lost.and_then(|()| self.take_effects(&statement.verdict, up)) {
            self.refuse(header, &error, up);
            return Step::Done;
        }
        if up.ledger.portals.len() >= MOST_PORTALS {
            self.refuse(header, &too_many_portals(), up);
            return Step::Done;
        }
        self.forget_portal(&portal);
        let effects = &statement.verdict.effects;
        if effects.resets {
            up.ledger.hold = Hold::Resetting;
        }
        let changes_more =
            effects.resets || effects.take_away() || self.returns_to_startup(&statement.verdict);
        if changes_more {
            up.ledger.portals.retain(|(name, _)| *name != portal);
            up.ledger
                .portals
                .push((portal.clone(), statement.verdict.clone()));
        } else if !up.ledger.portals.is_empty() {
            up.ledger.portals.retain(|(name, _)| *name != portal);
        }
        if nameless && !unnamed {
            self.stage(up);
            up.parse_for_once(&statement, Awaited::OurUnnamedParse);
            self.bind_to(header, len, &portal, "", up);
            return Step::Done;
        }
        if unnamed || !self.maps_names {
            if unnamed && !up.ledger.has_unnamed {
                self.stage(up);
                up.parse_unnamed(&statement, Awaited::OurUnnamedParse);
            }
            up.ledger.awaited.push_back(Awaited::Bind);
            self.pass(header);
            return Step::Done;
        }
        self.stage(up);
        let name = up.name_of(&statement);
        self.bind_to(header, len, &portal, &name, up);
        Step::Done
    }

    /// Passes a Bind on with another statement's name. `front` is the length of
    /// its names.
    pub(super) fn bind_to<S>(
        &mut self,
        header: Header,
        front: usize,
        portal: &[u8],
        statement: &str,
        up: &mut Upstream<'_, S>,
    ) {
        let output = up.connection.output();
        output.extend_from_slice(b"B");
        let names = portal.len() + statement.len() + 2;
        put_len(output, header.body - front + names);
        for text in [portal, statement.as_bytes()] {
            output.extend_from_slice(text);
            output.extend_from_slice(b"\0");
        }
        up.ledger.awaited.push_back(Awaited::Bind);
        self.client.input.consume(HEADER + front);
        self.client
            .scan
            .pass(&self.client.input, header.body - front);
    }

    /// The statement with the verdict on the values that are bound, where these
    /// decide.
    pub(super) fn with_values(
        &self,
        header: Header,
        statement: Arc<Statement>,
    ) -> Result<Arc<Statement>, Unbound> {
        if statement.verdict.at_bind.is_empty() {
            return self.admit_again(statement);
        }
        let values = self.bound_values(header)?;
        let mut types = frontend::parameter_types(statement.prepared.tail());
        let parameters: Vec<_> = values
            .parameters
            .into_iter()
            .map(|(format, value)| Parameter {
                declared: types.next().unwrap_or(0),
                format,
                value,
            })
            .collect();
        let verdict = self.guard.bound(&statement.verdict, &parameters);
        let verdict = self
            .admit_to_server(Arc::new(verdict))
            .map_err(Unbound::Refused)?;
        Ok(Arc::new(Statement {
            verdict,
            ..Statement::clone(&statement)
        }))
    }

    /// A statement that was let in when other rules held may be refused now.
    fn admit_again(&self, statement: Arc<Statement>) -> Result<Arc<Statement>, Unbound> {
        match &statement.verdict.refusal {
            Some(refusal) if self.guard.options().mode == guard::Mode::Enforce => {
                Err(Unbound::Refused(self.refusal(refusal)))
            }
            _ => Ok(statement),
        }
    }

    /// The values of the Bind at the buffer's head, once they are there.
    pub(super) fn bound_values(&self, header: Header) -> Result<BindValues<'_>, Unbound> {
        if header.body > MAX_JUDGED_BIND {
            let refusal = guard::values_too_long(MAX_JUDGED_BIND);
            return Err(Unbound::Refused(self.refusal(&refusal)));
        }
        let body = self.body(header);
        if body.len() < header.body {
            return Err(Unbound::Incomplete);
        }
        let values = frontend::bind_head(body).and_then(|head| body.get(head.len..));
        let values = values.ok_or_else(|| Unbound::Refused(layout(LayoutError)))?;
        frontend::bind_values(values).map_err(|error| Unbound::Refused(layout(error)))
    }

    /// Makes sure that a named statement gives the rows that the client was told:
    /// its tables may have changed before it was prepared on this connection.
    /// `None` if it does, or if the client was told nothing.
    pub(super) fn check_shape<S>(
        &mut self,
        header: Header,
        statement: &Statement,
        up: &mut Upstream<'_, S>,
    ) -> Option<Step> {
        let told = statement.shape.filter(|_| self.maps_names)?;
        let id = statement.prepared.id();
        let prepared = up.connection.prepared();
        let name = prepared.find(id, statement.since);
        let shape = prepared.shape(id).filter(|_| name.is_some());
        let looked = up.ledger.described.take() == Some(id);
        match shape {
            Some(shape) if shape == told => return None,
            Some(_) if looked => {
                // As PostgreSQL has it (plancache.c).
                let message = "cached plan must not change result type";
                self.refuse(header, &ClientError::error("0A000", message), up);
                return Some(Step::Done);
            }
            _ => {}
        }
        self.stage(up);
        let name = match shape {
            // It may have changed again.
            Some(_) => up.prepare(&statement.prepared, Awaited::OurParse(id)),
            None => up.name_of(statement),
        };
        let output = up.connection.output();
        written(&write::describe(b'S', &name, output));
        write::flush(output);
        up.ledger.awaited.push_back(Awaited::OurDescribe(id));
        up.ledger.hold = Hold::UntilAnswered;
        Some(Step::Held)
    }

    /// Whether a named statement would be prepared now, under other settings
    /// than those with which the client prepared it.
    pub(super) fn changes_meaning<S>(
        &self,
        name: &[u8],
        statement: &Statement,
        up: &mut Upstream<'_, S>,
    ) -> bool {
        let unchanged = self.touched.is_empty() && !up.ledger.local;
        let same = unchanged && statement.own == self.own;
        let matters = !same && !name.is_empty() && self.maps_names;
        let id = statement.prepared.id();
        matters && up.connection.prepared().find(id, statement.since).is_none()
    }

    /// Makes a statement the client's alone: no other client must get what its
    /// constants have become.
    pub(super) fn unshare(&mut self, name: &[u8], statement: &Statement) -> Arc<Statement> {
        let prepared = Prepared::new(statement.prepared.tail());
        // The verdict that is kept may be another: one that waits for values.
        self.statements.replace(name, prepared.clone());
        Arc::new(Statement {
            prepared,
            ..statement.clone()
        })
    }
}

/// Why bound values let nothing pass yet, or at all.
pub(super) enum Unbound {
    Incomplete,
    Refused(ClientError),
}
