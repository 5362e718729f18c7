//! Bind messages: the statement, its values and its rows must be those that
//! the client knows.

use super::super::super::statements::Statement;
use super::super::link::{Link, is_exclusive};
use super::super::lookup::Known;
use super::super::outstanding::Reply;
use super::super::refusal::{layout, no_statement, too_many_portals};
use super::super::upstream::put_len;
use super::super::{Engine, Step, Up};
use crate::guard::{self, Parameter, Verdict};
use crate::protocol::ClientError;
use crate::protocol::frontend::{self, BindValues, HEADER, Header, LayoutError};
use std::sync::Arc;

/// Longest Bind that is taken where its values are judged, in bytes.
const MAX_JUDGED_BIND: usize = 64 << 10;

/// Why bound values let nothing pass yet, or at all.
pub(in crate::session::engine) enum Unbound {
    Incomplete,
    Refused(ClientError),
}

/// A Bind that is to be passed on.
struct Binding<'a> {
    header: Header,
    portal: &'a [u8],
    statement: &'a Arc<Statement>,
    /// Bytes of the body that both names take.
    front: usize,
    unnamed: bool,
    /// The server has it under no name.
    nameless: bool,
}

impl Engine {
    pub(in crate::session::engine) fn bind(&mut self, header: Header, up: &mut Up<'_>) -> Step {
        let Some(head) = frontend::bind_head(self.client.body(header)) else {
            return self.refuse(header, &layout(LayoutError), Some(up));
        };
        let front = head.len;
        let portal: Box<[u8]> = head.portal.into();
        let name: Box<[u8]> = head.statement.into();
        let statement = match self.known(&name, Some(up.link)) {
            Known::Statement(statement) => self.with_verdict_of_now(&name, statement),
            Known::Unsure => return Step::Held,
            Known::Missing if up.link.sql_prepared.contains(&name) => {
                return self.bind_sql_prepared(header, &portal, up);
            }
            Known::Missing => return self.refuse(header, &no_statement(&name), Some(up)),
        };
        let nameless = statement.is_nameless();
        let statement = match self.with_values(header, statement) {
            Ok(statement) => self.as_meant(&name, statement, up),
            Err(Unbound::Incomplete) => return Step::Incomplete,
            Err(Unbound::Refused(error)) => return self.refuse(header, &error, Some(up)),
        };
        let notes = self.is_noted(&statement, up.link);
        if notes && !up.link.is_answered() {
            return Step::Held;
        }
        if !name.is_empty()
            && let Some(step) = self.check_shape(header, &statement, up)
        {
            return step;
        }
        if let Err(error) = self.admit_bind(&statement, notes, up) {
            return self.refuse(header, &error, Some(up));
        }
        if notes {
            self.lend_to_bind(&statement.verdict, up);
        }
        self.note_passing(&statement.verdict, up.link);
        let binding = Binding {
            header,
            portal: &portal,
            statement: &statement,
            front,
            unnamed: name.is_empty(),
            nameless,
        };
        if !self.pass_bind(&binding, up) {
            return Step::Held;
        }
        self.portal_bound(&portal, Some(&statement), up);
        self.bound(&portal, notes.then(|| statement.verdict.clone()), up);
        Step::Done
    }

    /// A Bind has been passed; a portal to remember has its verdict.
    pub(in crate::session::engine) fn bound(
        &mut self,
        portal: &[u8],
        noted: Option<Arc<Verdict>>,
        up: &mut Up<'_>,
    ) {
        self.forget_portal(portal);
        up.link.tally.forget(portal);
        let unnamed = portal.is_empty();
        up.link.unnamed_portal.is_bound |= unnamed;
        let Some(verdict) = noted else {
            up.link.outstanding.push(Reply::Bind { unnamed });
            return;
        };
        let portal = portal.into();
        up.link.outstanding.push(Reply::BindNoted(portal, verdict));
        self.client.stage(&mut up.pipe.output);
        up.link.hold(up.pipe);
    }

    /// Whether the portal is one to remember, or could be taken for one: it is
    /// known once the server has bound it.
    fn is_noted(&self, statement: &Statement, link: &Link) -> bool {
        !link.portals.is_empty()
            || is_exclusive(&statement.verdict)
            || self.returns_to_startup(&statement.verdict)
    }

    fn admit_bind(
        &mut self,
        statement: &Statement,
        notes: bool,
        up: &mut Up<'_>,
    ) -> Result<(), ClientError> {
        if notes && up.link.portals.is_full() {
            return Err(too_many_portals());
        }
        self.lost_in(statement.prepared.tail(), &statement.verdict)?;
        self.judge_executed(&statement.verdict.effects)?;
        self.take_effects(&statement.verdict, up.link)
    }

    /// Sends it on, in front of it what it needs. `false`: answers must come first.
    fn pass_bind(&mut self, binding: &Binding<'_>, up: &mut Up<'_>) -> bool {
        let (statement, header) = (binding.statement, binding.header);
        if binding.nameless && !binding.unnamed {
            up.begin_pipeline();
            self.client.stage(&mut up.pipe.output);
            up.parse_for_once(statement);
            self.bind_to(binding, "", up);
            return true;
        }
        if binding.unnamed || !self.maps_names {
            up.begin_pipeline();
            if binding.unnamed && !up.link.has_unnamed {
                self.client.stage(&mut up.pipe.output);
                up.parse_unnamed(statement, Reply::OurUnnamedParse);
            }
            self.client.pass(header);
            return true;
        }
        self.client.stage(&mut up.pipe.output);
        let Some(name) = up.name_of(statement) else {
            return false;
        };
        up.begin_pipeline();
        self.bind_to(binding, &name, up);
        true
    }

    /// Passes a Bind on with another statement's name.
    fn bind_to(&mut self, binding: &Binding<'_>, statement: &str, up: &mut Up<'_>) {
        let (body, front) = (binding.header.body, binding.front);
        let output = &mut up.pipe.output;
        output.extend_from_slice(b"B");
        let names = binding.portal.len() + statement.len() + 2;
        put_len(output, body - front + names);
        for text in [binding.portal, statement.as_bytes()] {
            output.extend_from_slice(text);
            output.extend_from_slice(b"\0");
        }
        let client = &mut self.client;
        client.input.consume(HEADER + front);
        client.scan.pass(&client.input, body - front);
    }

    /// The statement with the verdict on the values that are bound, where these
    /// decide.
    fn with_values(
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
        self.admit_with(&statement, Arc::new(verdict))
    }

    /// A statement that was let in when other rules held, or for a tenant with another
    /// search path, may be refused now.
    fn admit_again(&self, statement: Arc<Statement>) -> Result<Arc<Statement>, Unbound> {
        let enforced = self.guard.options().mode == guard::Mode::Enforce;
        if statement.verdict.refusal.is_none() || !enforced {
            return Ok(statement);
        }
        self.admit_with(&statement, statement.verdict.clone())
    }

    fn admit_with(
        &self,
        statement: &Arc<Statement>,
        verdict: Arc<Verdict>,
    ) -> Result<Arc<Statement>, Unbound> {
        let admitted = self.admit_to_server(verdict, statement.asked());
        let admitted = admitted.map_err(Unbound::Refused)?;
        Ok(Arc::new(Statement {
            verdict: admitted.into_verdict(),
            ..Statement::clone(statement)
        }))
    }

    /// The values of the Bind at the buffer's head, once they are there.
    pub(in crate::session::engine) fn bound_values(
        &self,
        header: Header,
    ) -> Result<BindValues<'_>, Unbound> {
        if header.body > MAX_JUDGED_BIND {
            let refusal = guard::values_too_long(MAX_JUDGED_BIND);
            return Err(Unbound::Refused(self.refusal(&refusal)));
        }
        let body = self.client.body(header);
        if body.len() < header.body {
            return Err(Unbound::Incomplete);
        }
        let values = frontend::bind_head(body).and_then(|head| body.get(head.len..));
        let values = values.ok_or_else(|| Unbound::Refused(layout(LayoutError)))?;
        frontend::bind_values(values).map_err(|error| Unbound::Refused(layout(error)))
    }
}
