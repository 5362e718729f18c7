//! What a session runs, and so what a request to cancel is for.

use super::delivery::{Aftermath, Deliveries};
use crate::server::BackendKey;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Running {
    on: Activity,
    /// Grows whenever what runs is over: a request is for what ran when it came.
    turn: u64,
    /// The requests to the connection in use.
    sent: Option<Arc<Deliveries>>,
    /// Those to the connection that was given up last.
    left: Option<Arc<Deliveries>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activity {
    #[default]
    Idle,
    /// The session waits for a server connection.
    Waiting,
    /// The waiting is to end.
    Cancelled,
    /// What runs on the server is the proxy's own: a request waits for its end.
    Attaching,
    /// The session uses the connection with this key.
    Using(BackendKey),
}

/// What a request comes to.
#[derive(Debug)]
pub(super) enum Begun {
    /// It goes to the server with this delivery.
    Sent(Arc<Deliveries>, u64),
    /// There is nothing to cancel.
    Nothing,
    /// The session is to be woken, and then something changes.
    Interrupted,
    /// It must wait until something changes.
    Later,
}

impl Running {
    /// A request has come. `turn` is the request's own, and empty at first.
    pub(super) fn cancel(
        &mut self,
        turn: &mut Option<u64>,
        to: impl FnOnce(BackendKey) -> Deliveries,
    ) -> Begun {
        if *turn.get_or_insert(self.turn) != self.turn {
            return Begun::Nothing;
        }
        match self.on {
            Activity::Idle => Begun::Nothing,
            Activity::Waiting => {
                self.on = Activity::Cancelled;
                Begun::Interrupted
            }
            Activity::Cancelled | Activity::Attaching => Begun::Later,
            Activity::Using(key) => {
                let deliveries = self.sent.get_or_insert_with(|| Arc::new(to(key)));
                let number = deliveries.ask(false);
                Begun::Sent(deliveries.clone(), number)
            }
        }
    }

    /// The session is being ended: cancels what it runs on the server.
    pub(super) fn end(
        &mut self,
        to: impl FnOnce(BackendKey) -> Deliveries,
    ) -> Option<(Arc<Deliveries>, u64)> {
        let Activity::Using(key) = self.on else {
            return None;
        };
        let deliveries = self.sent.get_or_insert_with(|| Arc::new(to(key)));
        let number = deliveries.ask(true);
        Some((deliveries.clone(), number))
    }

    /// Whether the server has taken a request, and every one that was sent.
    pub(super) fn has_struck(&self) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.has_struck())
    }

    pub(super) fn backend(&self) -> Option<BackendKey> {
        match self.on {
            Activity::Using(key) => Some(key),
            _ => None,
        }
    }

    pub(super) fn activity(&self) -> Activity {
        self.on
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.on == Activity::Cancelled
    }

    /// A cancelled waiting stays so until [`idle`](Self::idle): there may be
    /// several for one statement.
    pub(super) fn waiting(&mut self) {
        if self.on != Activity::Cancelled {
            self.on = Activity::Waiting;
        }
    }

    pub(super) fn attaching(&mut self) {
        self.on = Activity::Attaching;
    }

    /// Like all below says whether a request may wait for it.
    #[must_use]
    pub(super) fn using(&mut self, key: BackendKey) -> bool {
        self.turn_to(Activity::Using(key))
    }

    #[must_use]
    pub(super) fn idle(&mut self) -> bool {
        self.turn += 1;
        self.turn_to(Activity::Idle)
    }

    /// The session gives the connection up.
    #[must_use]
    pub(super) fn done(&mut self) -> (bool, Aftermath) {
        let aftermath = match self.sent.take() {
            Some(sent) => {
                let aftermath = sent.give_up();
                self.left = (aftermath == Aftermath::Possible).then_some(sent);
                aftermath
            }
            None => {
                self.left = None;
                Aftermath::None
            }
        };
        (self.idle(), aftermath)
    }

    pub(super) fn left(&self) -> Option<Arc<Deliveries>> {
        self.left.clone()
    }

    fn turn_to(&mut self, on: Activity) -> bool {
        let before = std::mem::replace(&mut self.on, on);
        matches!(before, Activity::Cancelled | Activity::Attaching)
    }
}
