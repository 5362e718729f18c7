//! Named statements must mean, and give, what the client was told.

use super::super::statements::Statement;
use super::outstanding::Reply;
use super::upstream::written;
use super::{Engine, Step, Up};
use crate::protocol::ClientError;
use crate::protocol::frontend::Header;
use crate::server::Prepared;
use postgres_protocol::message::frontend as write;
use std::sync::Arc;

impl Engine {
    /// Makes sure that a named statement gives the rows that the client was told:
    /// its tables may have changed before it was prepared on this connection.
    /// `None` if it does, or if the client was told nothing.
    pub(super) fn check_shape(
        &mut self,
        header: Header,
        statement: &Statement,
        up: &mut Up<'_>,
    ) -> Option<Step> {
        let told = statement.shape.filter(|_| self.maps_names)?;
        let id = statement.prepared.id();
        let prepared = &mut up.pipe.prepared;
        let name = prepared.find(id, statement.since);
        let shape = prepared.shape(id).filter(|_| name.is_some());
        let looked = up.link.described.take() == Some(id);
        match shape {
            Some(shape) if shape == told => return None,
            Some(_) if looked => {
                // As PostgreSQL has it (plancache.c).
                let message = "cached plan must not change result type";
                let error = ClientError::error("0A000", message);
                return Some(self.refuse(header, &error, Some(up)));
            }
            _ => {}
        }
        if !up.link.is_answered() {
            return Some(Step::Held);
        }
        self.client.stage(&mut up.pipe.output);
        let name = match shape {
            // It may have changed again.
            Some(_) => up.prepare(&statement.prepared, Reply::OurParse(id)),
            None => match up.name_of(statement) {
                Some(name) => name,
                None => return Some(Step::Held),
            },
        };
        up.begin_pipeline();
        written(&write::describe(b'S', &name, &mut up.pipe.output));
        up.link.outstanding.push(Reply::OurDescribe(id));
        Some(Step::Held)
    }

    /// The statement as it means what it did when the client prepared it: where it
    /// would be prepared now under other settings, it is the client's alone. No
    /// other client must get what its constants have become.
    pub(super) fn as_meant(
        &mut self,
        name: &[u8],
        statement: Arc<Statement>,
        up: &mut Up<'_>,
    ) -> Arc<Statement> {
        let unchanged = self.settings.are_known() && !up.link.local;
        let same = unchanged && statement.own == self.settings.own;
        let id = statement.prepared.id();
        if same
            || name.is_empty()
            || !self.maps_names
            || up.pipe.prepared.find(id, statement.since).is_some()
        {
            return statement;
        }
        let prepared = Prepared::new(statement.prepared.tail());
        // The verdict that is kept may be another: one that waits for values.
        self.statements.replace(name, prepared.clone());
        Arc::new(Statement {
            prepared,
            ..Statement::clone(&statement)
        })
    }
}
