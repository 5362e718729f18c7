//! A client that is in, to its end.

use super::Shared;
use super::seats::Seat;
use super::worker::Stay;
use crate::observe::ClientSpan;
use crate::session::{End, Session};
use std::sync::Arc;
use tracing::{info, warn};

/// A client that is in. All that it is in memory, but for its task, is in one piece.
#[derive(Debug)]
pub(super) struct Admitted {
    session: Session,
    span: Arc<ClientSpan>,
    seat: Option<Seat>,
    /// What it takes up in the proxy, until it leaves.
    pub(super) stay: Option<Stay>,
}

impl Admitted {
    pub(super) fn new(session: Session, span: Arc<ClientSpan>, seat: Seat) -> Self {
        Self {
            session,
            span,
            seat: Some(seat),
            stay: None,
        }
    }

    /// Serves it to its end, or until it is to go on with another worker, which is
    /// returned.
    pub(super) async fn serve(&mut self) -> Option<usize> {
        let end = match self.session.serve().await {
            End::Moves(worker) => return Some(worker),
            // What is rare is boxed: a client that waits should be small.
            end => Box::pin(self.session.leave(end)).await,
        };
        self.log_out(&end);
        None
    }

    /// Takes note that it is out, if it was still in: the proxy stops at once, and has told
    /// it what there was time for.
    pub(super) fn stopped(&mut self) {
        if self.seat.is_some() {
            self.log_out(&End::Stopped);
        }
    }

    fn log_out(&mut self, end: &End) {
        drop(self.seat.take());
        let span = &self.span;
        match end {
            End::Failed(error) => {
                warn!(target: "pgtenant::audit", parent: &span.span(), event = "session_failed", reason = %error);
            }
            End::ServerGone(error) => {
                warn!(target: "pgtenant::server", parent: &span.span(), %error, "the server connection is gone");
            }
            End::Terminated
            | End::ClientGone(_)
            | End::ServerEnded
            | End::Stopped
            | End::Moves(_)
            | End::Ordered(_) => {}
        }
        info!(target: "pgtenant::audit", parent: &span.span(), event = "logout", reason = %end);
        if span.log().is_on() {
            let sqlstate = match end {
                End::Failed(error) => Some(error.sqlstate),
                _ => None,
            };
            span.record_logout(&end.to_string(), sqlstate);
        }
    }

    /// Brings it to this worker, on whose thread this is called.
    pub(super) fn settle(&mut self, worker: usize, shared: &Shared) {
        self.session.settle(worker);
        // Looked up where no other order can come between.
        self.session
            .review(|member| shared.live.load().order(member, &shared.pools));
    }
}
