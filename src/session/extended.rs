//! Describe, Close and Execute messages.

use super::Session;
use super::awaited::Awaited;
use super::forward::Step;
use super::ledger::Hold;
use super::refusal::layout;
use super::refusal::no_statement;
use super::upstream::Upstream;
use super::upstream::written;
use crate::wire::frontend;
use crate::wire::frontend::Header;
use crate::wire::frontend::Target;
use postgres_protocol::message::frontend as write;

impl Session {
    pub(super) fn forward_describe<S>(&mut self, header: Header, up: &mut Upstream<'_, S>) -> Step {
        let statement = match frontend::target(self.body(header)) {
            Ok(Target::Portal(_)) => None,
            Ok(Target::Statement(name)) => match self.statements.get(name) {
                Some(statement) if self.changes_meaning(name, statement, up) => {
                    let (name, statement) = (name.to_vec(), statement.clone());
                    Some((self.unshare(&name, &statement), name.is_empty()))
                }
                Some(statement) => Some((statement.clone(), name.is_empty())),
                None => {
                    let error = no_statement(name);
                    self.refuse(header, &error, up);
                    return Step::Done;
                }
            },
            Err(error) => {
                self.refuse(header, &layout(error), up);
                return Step::Done;
            }
        };
        match statement {
            Some((statement, false)) if statement.is_nameless() => {
                self.stage(up);
                up.parse_for_once(&statement, Awaited::OurUnnamedParse);
                written(&write::describe(b'S', "", up.connection.output()));
                up.ledger.awaited.push_back(Awaited::Describe);
                self.drop_next(header, up);
                return Step::Done;
            }
            Some((statement, true)) if !up.ledger.has_unnamed => {
                self.stage(up);
                up.parse_unnamed(&statement, Awaited::OurUnnamedParse);
            }
            Some((statement, false)) if self.maps_names => {
                if let Some(step) = self.check_shape(header, &statement, up) {
                    return step;
                }
                self.stage(up);
                let clients = self.body(header).get(1..).unwrap_or_default();
                let clients = clients.strip_suffix(b"\0").unwrap_or_default().into();
                let name = up.name_of(&statement);
                written(&write::describe(b'S', &name, up.connection.output()));
                let id = statement.prepared.id();
                let awaited = Awaited::DescribeStatement(clients, id);
                up.ledger.awaited.push_back(awaited);
                self.drop_next(header, up);
                return Step::Done;
            }
            _ => {}
        }
        up.ledger.awaited.push_back(Awaited::Describe);
        self.pass(header);
        Step::Done
    }

    pub(super) fn forward_close<S>(&mut self, header: Header, up: &mut Upstream<'_, S>) -> Step {
        let name = match frontend::target(self.body(header)) {
            Ok(Target::Statement(name)) => Some(name.to_vec()),
            Ok(Target::Portal(name)) => {
                let name = name.to_vec();
                self.forget_portal(&name);
                None
            }
            Err(error) => {
                self.refuse(header, &layout(error), up);
                return Step::Done;
            }
        };
        if let Some(name) = name {
            self.statements.remove(&name);
            if name.is_empty() {
                up.ledger.has_unnamed = false;
            }
            if self.maps_names {
                up.ledger.awaited.push_back(Awaited::ClosedHere);
                self.drop_next(header, up);
                return Step::Done;
            }
        }
        up.ledger.awaited.push_back(Awaited::Close);
        self.pass(header);
        Step::Done
    }

    pub(super) fn forward_execute<S>(&mut self, header: Header, up: &mut Upstream<'_, S>) -> Step {
        let body = self.body(header);
        if let Err(error) = frontend::execute(body) {
            self.refuse(header, &layout(error), up);
            return Step::Done;
        }
        let portal = body.split(|b| *b == 0).next().unwrap_or_default();
        let of_portal = up.ledger.portals.iter().find(|(name, _)| **name == *portal);
        let verdict = of_portal.map(|(_, verdict)| verdict.clone());
        if up.ledger.hold == Hold::No && verdict.as_ref().is_some_and(|v| v.effects.resets) {
            // It was bound before an earlier Sync.
            up.ledger.hold = Hold::Resetting;
        }
        up.ledger
            .awaited
            .push_back(Awaited::Execute(verdict.clone()));
        self.pass(header);
        if let Some(verdict) = verdict.filter(|verdict| self.returns_to_startup(verdict)) {
            self.add_startup_values(&verdict.effects.defaults, up);
        }
        Step::Done
    }
}
