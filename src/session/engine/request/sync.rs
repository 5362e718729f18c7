//! Sync messages: the end of a pipeline.

use super::super::client_side::Next;
use super::super::outstanding::Reply;
use super::super::{Engine, Step, Up};
use crate::protocol::frontend::{Header, Kind};

impl Engine {
    pub(in crate::session::engine) fn sync(&mut self, header: Header, up: &mut Up<'_>) -> Step {
        self.portals.clear();
        self.client.pass(header);
        up.link.ends_pipeline();
        up.link.outstanding.push(Reply::Sync);
        let waits = up.link.doubted || !up.link.portals.is_empty() || !up.link.followup.is_empty();
        if waits {
            // Whether its transaction is over must be known.
            up.link.hold(up.pipe);
        }
        Step::Done
    }

    /// Passes a Sync, if it is the client's next message and has come.
    pub(in crate::session::engine) fn pass_sync(&mut self, up: &mut Up<'_>) {
        if let Ok(Next::Message(header)) = self.next_message(Some(up))
            && header.kind == Kind::Sync
        {
            self.sync(header, up);
        }
    }
}
