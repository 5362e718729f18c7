//! Execute messages.

use super::super::outstanding::Reply;
use super::super::refusal::{in_failed_transaction, layout};
use super::super::{Engine, Step, Up};
use crate::protocol::ClientError;
use crate::protocol::frontend::{self, Header};

impl Engine {
    pub(in crate::session::engine) fn check_execute(
        &self,
        header: Header,
    ) -> Result<(), ClientError> {
        frontend::execute(self.client.body(header)).map_err(layout)
    }

    pub(in crate::session::engine) fn execute(&mut self, header: Header, up: &mut Up<'_>) -> Step {
        if let Err(error) = self.check_execute(header) {
            return self.refuse(header, &error, Some(up));
        }
        let body = self.client.body(header);
        let portal = body.split(|byte| *byte == 0).next().unwrap_or_default();
        if up.link.waits_for_portal(portal) {
            return Step::Held;
        }
        if up.link.is_left_by_query(portal) {
            return self.refuse(header, &in_failed_transaction(), Some(up));
        }
        let limited = self.limited_portal(portal);
        let (statement, room) = match self.execute_room(portal, up.link) {
            Ok(room) => room,
            Err(error) => return self.refuse(header, &error, Some(up)),
        };
        let Some(verdict) = up.link.portals.get(portal).cloned() else {
            self.execute_sent(statement.as_ref(), room, up.link);
            up.begin_pipeline();
            up.link.outstanding.push(Reply::Execute(None));
            self.client.pass(header);
            self.limit_execute(limited.as_deref(), up);
            return Step::Done;
        };
        if !up.link.is_answered() {
            return Step::Held;
        }
        // The server looks for a statement that EXECUTE names at its Bind.
        let is_named = verdict.effects.deallocates.is_some();
        let judged = match is_named {
            true => self.judge_names_of(&verdict),
            false => self.judge_names(&verdict.effects),
        };
        if let Err(error) = judged {
            return self.refuse(header, &error, Some(up));
        }
        up.begin_pipeline();
        if is_named {
            self.lend(&verdict, up);
        }
        self.execute_sent(statement.as_ref(), room, up.link);
        up.link.outstanding.push(Reply::Execute(Some(verdict)));
        self.client.pass(header);
        self.limit(limited.as_deref(), up);
        self.client.stage(&mut up.pipe.output);
        up.link.hold(up.pipe);
        Step::Done
    }
}
