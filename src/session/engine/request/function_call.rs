//! FunctionCall messages (protocol section "Function Call").

use super::super::judge::Admitted;
use super::super::link::Phase;
use super::super::outstanding::Reply;
use super::super::refusal::layout;
use super::super::{Engine, Step, Up};
use crate::protocol::ClientError;
use crate::protocol::frontend::{Header, LayoutError};

impl Engine {
    pub(in crate::session::engine) fn function_call(
        &mut self,
        header: Header,
        up: Option<&mut Up<'_>>,
    ) -> Step {
        let admitted = match self.judge_function(header) {
            Ok(admitted) => admitted,
            Err(error) => return self.refuse(header, &error, up),
        };
        let Some(up) = up else {
            return Step::NeedsServer;
        };
        if let Err(error) = self.take_effects(admitted.verdict(), up.link) {
            return self.refuse(header, &error, Some(up));
        }
        let holds = up.link.phase == Phase::Open || up.link.is_doubted();
        up.end_pipeline();
        self.client.pass(header);
        up.link.outstanding.push(Reply::FunctionCall);
        if holds {
            self.client.stage(&mut up.pipe.output);
            up.link.hold(up.pipe);
        }
        Step::Done
    }

    fn judge_function(&self, header: Header) -> Result<Admitted, ClientError> {
        let oid = self.client.body(header).first_chunk().copied();
        let oid = oid.ok_or_else(|| layout(LayoutError))?;
        let verdict = self.guard.function_call(u32::from_be_bytes(oid));
        let verdict = verdict.map_err(|refusal| self.refusal(&refusal))?;
        self.admit_to_server(verdict, b"")
    }
}
