//! What a session was told last, and for how long it has not taken it.

use super::super::orders::{Ending, Inbox, Membership, Order, Put, When};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Told {
    membership: Membership,
    /// The order that it was told first, since it took one last. It may have
    /// taken that meanwhile.
    waiting: Option<Box<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    /// What the session goes by until it takes it.
    before: Membership,
    /// Since when the session has had something that it may not have any more.
    since: Option<Instant>,
    /// It stands among those that are looked at.
    watched: bool,
}

/// What becomes of a session that is looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It need not be looked at any more.
    Settled,
    /// It still has time.
    Waits,
    /// Its time is over.
    Late(Ending),
}

impl Told {
    pub(super) fn new(membership: Membership) -> Self {
        Self {
            membership,
            waiting: None,
        }
    }

    /// What the session was told last to go by.
    pub(super) fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Leaves an order in the session's inbox. Says whether the session is to be
    /// looked at from now on.
    pub(super) fn put(&mut self, inbox: &Inbox, order: Order) -> bool {
        let before = self.membership.clone();
        let ends = matches!(order, Order::End(..));
        if let Order::Follow(membership) = &order {
            self.membership = membership.clone();
        }
        let put = inbox.put(order);
        let waiting = self.waiting.get_or_insert_with(|| {
            Box::new(Waiting {
                before: before.clone(),
                since: None,
                watched: false,
            })
        });
        match put {
            Put::Ignored => return false,
            Put::First => {
                waiting.before = before;
                waiting.since = None;
            }
            Put::InsteadOfAnother => {}
        }
        if ends || self.membership.takes_from(&waiting.before) {
            waiting.since.get_or_insert_with(Instant::now);
            return !std::mem::replace(&mut waiting.watched, true);
        }
        waiting.since = None;
        false
    }

    /// Whether the session has taken its order, or had `time` to do so.
    pub(super) fn look(&mut self, inbox: &Inbox, time: Duration) -> Look {
        let ending = inbox.peek(|order| match order {
            Order::End(ending, When::AtBoundary) => Some(*ending),
            Order::Follow(_) => Some(Ending::Changed),
            // It is ending.
            Order::End(_, When::Now) => None,
        });
        let since = self.waiting.as_ref().and_then(|waiting| waiting.since);
        let (Some(Some(ending)), Some(since)) = (ending, since) else {
            self.waiting = None;
            return Look::Settled;
        };
        if since.elapsed() < time {
            return Look::Waits;
        }
        self.waiting = None;
        Look::Late(ending)
    }
}
