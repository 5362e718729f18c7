//! Describe messages.

use super::super::super::statements::Statement;
use super::super::lookup::Known;
use super::super::outstanding::Reply;
use super::super::refusal::{in_failed_transaction, layout, no_statement};
use super::super::upstream::written;
use super::super::{Engine, Step, Up};
use crate::protocol::frontend::{self, Header, Target};
use postgres_protocol::message::frontend as write;
use std::sync::Arc;

impl Engine {
    pub(in crate::session::engine) fn describe(&mut self, header: Header, up: &mut Up<'_>) -> Step {
        let name: Box<[u8]> = match frontend::target(self.client.body(header)) {
            Ok(Target::Statement(name)) => name.into(),
            Ok(Target::Portal(name)) if up.link.waits_for_portal(name) => return Step::Held,
            Ok(Target::Portal(name)) if up.link.is_left_by_query(name) => {
                return self.refuse(header, &in_failed_transaction(), Some(up));
            }
            Ok(Target::Portal(_)) => return self.pass_describe(header, up),
            Err(error) => return self.refuse(header, &layout(error), Some(up)),
        };
        let statement = match self.known(&name, Some(up.link)) {
            Known::Statement(statement) => statement,
            Known::Unsure => return Step::Held,
            Known::Missing if up.link.sql_prepared.contains(&name) => {
                return self.pass_describe(header, up);
            }
            Known::Missing => return self.refuse(header, &no_statement(&name), Some(up)),
        };
        let statement = self.as_meant(&name, statement, up);
        if statement.is_nameless() && !name.is_empty() {
            up.begin_pipeline();
            self.client.stage(&mut up.pipe.output);
            up.parse_for_once(&statement);
            written(&write::describe(b'S', "", &mut up.pipe.output));
            up.link.outstanding.push(Reply::Describe);
            self.drop_message(header, Some(up));
            return Step::Done;
        }
        if name.is_empty() {
            if !up.link.has_unnamed {
                up.begin_pipeline();
                self.client.stage(&mut up.pipe.output);
                up.parse_unnamed(&statement, Reply::OurUnnamedParse);
            }
            return self.pass_describe(header, up);
        }
        if !self.maps_names {
            return self.pass_describe(header, up);
        }
        self.describe_named(header, name, &statement, up)
    }

    fn describe_named(
        &mut self,
        header: Header,
        clients: Box<[u8]>,
        statement: &Arc<Statement>,
        up: &mut Up<'_>,
    ) -> Step {
        if let Some(step) = self.check_shape(header, statement, up) {
            return step;
        }
        self.client.stage(&mut up.pipe.output);
        let Some(name) = up.name_of(statement) else {
            return Step::Held;
        };
        up.begin_pipeline();
        written(&write::describe(b'S', &name, &mut up.pipe.output));
        let id = statement.prepared.id();
        up.link
            .outstanding
            .push(Reply::DescribeStatement(clients, id));
        self.drop_message(header, Some(up));
        Step::Done
    }

    fn pass_describe(&mut self, header: Header, up: &mut Up<'_>) -> Step {
        up.begin_pipeline();
        up.link.outstanding.push(Reply::Describe);
        self.client.pass(header);
        Step::Done
    }
}
