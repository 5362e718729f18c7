//! Query messages.

use super::super::link::{Phase, is_exclusive};
use super::super::outstanding::Reply;
use super::super::{Engine, Judged, Step, Up};
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
        let verdict = match self.judge(header) {
            Ok(verdict) => verdict,
            Err(unjudged) => return self.unjudged(header, unjudged, up),
        };
        let Some(up) = up else {
            return self.query_alone(header, verdict);
        };
        if self.guard.is_harmless(&verdict) && up.link.phase == Phase::Between && !up.link.doubted {
            return self.pass_query(header, verdict, up);
        }
        let exclusive = is_exclusive(&verdict) || self.returns_to_startup(&verdict);
        let answered_here = verdict.answer.is_some();
        if (exclusive || answered_here) && !up.link.is_answered() {
            self.judged = Some(Judged::Admitted(verdict));
            return Step::Held;
        }
        if answered_here {
            return self.query_answered(header, &verdict, up);
        }
        let admitted = self
            .judge_names_of(&verdict)
            .and_then(|()| self.take_effects(&verdict, up.link));
        if let Err(error) = admitted {
            return self.refuse(header, &error, Some(up));
        }
        let in_pipeline = up.link.phase == Phase::Open;
        let waits = exclusive || in_pipeline || up.link.doubted || !up.link.followup.is_empty();
        // In a failed transaction nothing of it runs.
        let lends = exclusive && up.link.status != TransactionStatus::Failed;
        if lends {
            self.lend(&verdict, up);
        }
        up.end_pipeline();
        self.pass_query(header, verdict.clone(), up);
        if lends && !in_pipeline {
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

    fn query_alone(&mut self, header: Header, verdict: Arc<Verdict>) -> Step {
        match self.answer_alone(&verdict, TransactionStatus::Idle) {
            None => {
                self.judged = Some(Judged::Admitted(verdict));
                Step::NeedsServer
            }
            Some(Ok(reply)) => self.deliver(header, reply, None),
            Some(Err(error)) => self.refuse(header, &error, None),
        }
    }

    /// Everything before it is answered.
    fn query_answered(&mut self, header: Header, verdict: &Verdict, up: &mut Up<'_>) -> Step {
        if let Err(error) = self.may_answer(up.link) {
            return self.refuse(header, &error, Some(up));
        }
        match self.answer_alone(verdict, up.link.status) {
            // The server is not told of it: for the server a pipeline goes on.
            Some(Ok(reply)) => self.deliver(header, reply, Some(up)),
            Some(Err(error)) => self.refuse(header, &error, Some(up)),
            None => Step::Done,
        }
    }

    fn pass_query(&mut self, header: Header, verdict: Arc<Verdict>, up: &mut Up<'_>) -> Step {
        // A simple query ends the unnamed statement.
        up.link.has_unnamed = false;
        up.link.outstanding.push(Reply::Query(verdict));
        self.client.pass(header);
        self.judged = None;
        Step::Done
    }
}
