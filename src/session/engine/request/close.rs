//! Close messages.

use super::super::outstanding::Reply;
use super::super::refusal::layout;
use super::super::{Engine, Step, Up};
use crate::protocol::backend;
use crate::protocol::frontend::{self, Header, Target};

impl Engine {
    pub(in crate::session::engine) fn close(
        &mut self,
        header: Header,
        up: Option<&mut Up<'_>>,
    ) -> Step {
        let target = match frontend::target(self.client.body(header)) {
            Ok(Target::Statement(name)) => Ok(Box::<[u8]>::from(name)),
            Ok(Target::Portal(name)) => Err(Box::<[u8]>::from(name)),
            Err(error) => return self.refuse(header, &layout(error), up),
        };
        if let Err(portal) = &target {
            self.forget_portal(portal);
        }
        let Some(up) = up else {
            if let Ok(name) = &target {
                self.statements.remove(name);
            }
            self.client
                .output
                .extend_from_slice(backend::CLOSE_COMPLETE);
            self.drop_message(header, None);
            return Step::Done;
        };
        up.begin_pipeline();
        match target {
            Ok(name) if self.maps_names && !up.link.sql_prepared.contains(&name) => {
                up.link.outstanding.push(Reply::ClosedHere(name));
                self.drop_message(header, Some(up));
                return Step::Done;
            }
            Ok(name) => up.link.outstanding.push(Reply::CloseStatement(name)),
            Err(name) => up.link.outstanding.push(Reply::ClosePortal(name)),
        }
        self.client.pass(header);
        Step::Done
    }
}
