//! What a client sends while the server reads copied data (protocol section
//! "COPY Operations").

use super::super::link::Gate;
use super::super::outstanding::Reply;
use super::super::{Engine, Fault, Step, Up};
use crate::protocol::ClientError;
use crate::protocol::frontend::{Header, Kind};

impl Engine {
    pub(in crate::session::engine) fn copy(
        &mut self,
        header: Header,
        up: &mut Up<'_>,
    ) -> Result<Step, Fault> {
        match header.kind {
            Kind::CopyData => self.client.pass(header),
            Kind::CopyDone | Kind::CopyFail => {
                self.client.pass(header);
                up.link.copy_in = false;
                if let Some(Reply::Execute(_)) = up.link.outstanding.front() {
                    // Its completion comes with the Sync.
                    up.link.outstanding.keep_back();
                    up.link.gate = Gate::Open;
                }
            }
            // The server ignores them then.
            Kind::Sync | Kind::Flush => self.drop_message(header, Some(up)),
            Kind::Terminate => return Ok(Step::Terminate),
            // As PostgreSQL has it (pqcomm.c): the rest of the message is unread.
            _ => {
                return Err(Fault::Told(ClientError::fatal(
                    "08P01",
                    "terminating connection because protocol synchronization was lost",
                )));
            }
        }
        Ok(Step::Done)
    }
}
