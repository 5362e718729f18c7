//! Query messages.

use super::super::judge::{Admitted, Ruling};
use super::super::link::{Phase, is_exclusive};
use super::super::outstanding::Reply;
use super::super::{Engine, Judged, Step, Up};
use crate::audit::Room;
use crate::guard::Verdict;
use crate::protocol::backend::TransactionStatus;
use crate::protocol::frontend::Header;
use std::sync::Arc;

impl Engine {
    pub(in crate::session::engine) fn query(
        &mut self,
        header: Header,
        up: Option<&mut Up<'_>>,
    ) -> Step {
        let admitted = match self.judge(header) {
            Ok(Ruling::Pass(admitted)) => admitted,
            Ok(Ruling::Answer(verdict)) => return self.query_answered(header, verdict, up),
            Err(unjudged) => return self.unjudged(header, unjudged, up),
        };
        match up {
            Some(up) => self.query_server(header, admitted, up),
            None => self.query_alone(header, admitted),
        }
    }

    fn query_alone(&mut self, header: Header, admitted: Admitted) -> Step {
        match self.answer_alone(admitted.verdict(), TransactionStatus::Idle) {
            None => {
                self.judged = Some(Judged::Ruled(Ruling::Pass(admitted)));
                Step::NeedsServer
            }
            Some(Ok(reply)) => self.deliver(header, reply, None),
            Some(Err(error)) => self.refuse(header, &error, None),
        }
    }

    fn query_server(&mut self, header: Header, admitted: Admitted, up: &mut Up<'_>) -> Step {
        let verdict = admitted.verdict();
        let room = match self.audit_room(Some(verdict), header.body) {
            Ok(room) => room,
            Err(error) => return self.refuse(header, &error, Some(up)),
        };
        if self.guard.is_harmless(verdict) && up.link.phase == Phase::Between && !up.link.doubted {
            return self.pass_query(header, admitted, room, up);
        }
        let exclusive = is_exclusive(verdict) || self.returns_to_startup(verdict);
        if exclusive && !up.link.is_answered() {
            self.judged = Some(Judged::Ruled(Ruling::Pass(admitted)));
            return Step::Held;
        }
        let taken = self
            .judge_names_of(verdict)
            .and_then(|()| self.take_effects(verdict, up.link));
        if let Err(error) = taken {
            return self.refuse(header, &error, Some(up));
        }
        let in_pipeline = up.link.phase == Phase::Open;
        let waits = exclusive || in_pipeline || up.link.doubted || !up.link.followup.is_empty();
        // In a failed transaction nothing of it runs.
        let lends = exclusive && up.link.status != TransactionStatus::Failed;
        if lends {
            self.lend(verdict, up);
        }
        let lent = (lends && !in_pipeline).then(|| verdict.clone());
        up.end_pipeline();
        self.pass_query(header, admitted, room, up);
        if let Some(verdict) = lent {
            self.take_back(&verdict, up);
        }
        if waits {
            // What is left is known once it has run; and whether its transaction
            // is over, so that the tenant is to be attached anew, or goes on up
            // to the Sync.
            self.client.stage(&mut up.pipe.output);
            up.link.hold(up.pipe);
        }
        Step::Done
    }

    /// Answers once everything before it is answered. The server is not told of it:
    /// for the server a pipeline goes on.
    fn query_answered(
        &mut self,
        header: Header,
        verdict: Arc<Verdict>,
        up: Option<&mut Up<'_>>,
    ) -> Step {
        let (status, may) = match &up {
            None => (TransactionStatus::Idle, Ok(())),
            Some(up) if !up.link.is_answered() => {
                self.judged = Some(Judged::Ruled(Ruling::Answer(verdict)));
                return Step::Held;
            }
            Some(up) => (up.link.status, self.may_answer(up.link)),
        };
        if let Err(error) = may {
            return self.refuse(header, &error, up);
        }
        match self.answer_alone(&verdict, status) {
            Some(Ok(reply)) => self.deliver(header, reply, up),
            Some(Err(error)) => self.refuse(header, &error, up),
            None => Step::Done,
        }
    }

    fn pass_query(
        &mut self,
        header: Header,
        admitted: Admitted,
        room: Option<Room>,
        up: &mut Up<'_>,
    ) -> Step {
        let sql = self.client.body(header);
        self.query_sent(sql, admitted.verdict(), room, up.link);
        // A simple query ends the unnamed statement.
        up.link.has_unnamed = false;
        self.note_passing(admitted.verdict(), up.link);
        self.client
            .pass_statement(header, &admitted, &mut up.pipe.output);
        let verdict = admitted.into_verdict();
        up.link.outstanding.push(Reply::Query(verdict));
        self.judged = None;
        self.limit(None, up);
        Step::Done
    }
}
