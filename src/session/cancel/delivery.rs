//! Requests to cancel on their way to one server connection: one at a time, and
//! none once the session has given the connection up.

use super::lock;
use crate::config::Server;
use crate::server::{BackendKey, CancelConnection, ConnectError, Origin};
use crate::tenant::ServerName;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Connections to one server, at a time, that carry requests to cancel.
const MOST_PER_SERVER: usize = 16;

/// The places for such connections, by server.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<HashMap<ServerName, Arc<Semaphore>>>);

impl Lanes {
    fn to(&self, server: &Server) -> Arc<Semaphore> {
        let mut lanes = lock(&self.0);
        let lane = lanes.entry(server.name.clone());
        lane.or_insert_with(|| Arc::new(Semaphore::new(MOST_PER_SERVER)))
            .clone()
    }
}

/// What cancel requests mean for a connection that is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Aftermath {
    /// None was sent: it can be used at once.
    None,
    /// One was sent and may yet strike.
    Possible,
}

/// What is known once no request to a connection is under way any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Settled {
    /// The server has taken every request. Once it has answered again, all have
    /// struck.
    Surely,
    /// It has not said so of one of them, which may strike at any time: the
    /// connection must be closed.
    InDoubt,
}

/// The requests to cancel what runs on one server connection. They go out one
/// after another; what is asked for while one waits is done by that one.
#[derive(Debug)]
pub(super) struct Deliveries {
    server: Arc<Server>,
    key: BackendKey,
    lane: Arc<Semaphore>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the last delivery that was asked for, from 1.
    asked: u64,
    /// The number of the last that is over.
    over: u64,
    /// The one after that has been handed to the server.
    under_way: bool,
    /// The session has given the connection up.
    given_up: bool,
    /// The session is being ended, and its connection closed: whenever the
    /// request strikes, it strikes nobody else.
    ends: bool,
    /// A request has been handed to the server.
    struck: bool,
    /// The server has not said that it has taken one.
    in_doubt: bool,
}

impl State {
    /// Nothing more is sent.
    fn is_abandoned(&self) -> bool {
        self.given_up && !self.ends
    }

    fn is_over(&self, number: u64) -> bool {
        let under_way = self.under_way && number == self.over + 1;
        number <= self.over || (self.is_abandoned() && !under_way)
    }

    fn settled(&self) -> Option<Settled> {
        let pending = self.ends && self.over < self.asked;
        match self.in_doubt {
            _ if self.under_way || pending => None,
            true => Some(Settled::InDoubt),
            false => Some(Settled::Surely),
        }
    }
}

impl Deliveries {
    pub(super) fn new(server: Arc<Server>, key: BackendKey, lanes: &Lanes) -> Self {
        Self {
            lane: lanes.to(&server),
            server,
            key,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Asks for a delivery; the session has not given the connection up. With
    /// `ends`, it closes the connection when it does.
    pub(super) fn ask(self: &Arc<Self>, ends: bool) -> u64 {
        let mut state = lock(&self.state);
        state.ends |= ends;
        let idle = state.over == state.asked;
        // One that has not been handed over yet does for this, too.
        if idle || (state.under_way && state.asked == state.over + 1) {
            state.asked += 1;
        }
        let number = state.asked;
        drop(state);
        if idle {
            tokio::spawn(self.clone().run());
        }
        number
    }

    /// Completes once the server has taken the delivery, or will never get it.
    pub(super) async fn over(&self, number: u64) {
        self.reached(|state| state.is_over(number).then_some(()))
            .await;
    }

    /// Whether the server has taken a request, and every one that was handed to it.
    pub(super) fn has_struck(&self) -> bool {
        let state = lock(&self.state);
        state.struck && !state.in_doubt
    }

    /// The session gives the connection up.
    pub(super) fn give_up(&self) -> Aftermath {
        let mut state = lock(&self.state);
        state.given_up = true;
        let possible = state.struck || state.ends;
        drop(state);
        self.changed.notify_waiters();
        if possible {
            Aftermath::Possible
        } else {
            Aftermath::None
        }
    }

    /// Completes once no request is under way any more. The session has given
    /// the connection up.
    pub(super) async fn settled(&self) -> Settled {
        self.reached(State::settled).await
    }

    async fn reached<T>(&self, look: impl Fn(&State) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            if let Some(found) = look(&lock(&self.state)) {
                return found;
            }
            changed.await;
        }
    }

    /// Makes the deliveries that are asked for.
    async fn run(self: Arc<Self>) {
        loop {
            let in_doubt = self.deliver().await;
            let mut state = lock(&self.state);
            state.over += 1;
            state.under_way = false;
            state.in_doubt |= in_doubt;
            if state.is_abandoned() {
                state.over = state.asked;
            }
            let last = state.over == state.asked;
            drop(state);
            self.changed.notify_waiters();
            if last {
                return;
            }
        }
    }

    /// Makes one, within the server's `connect_timeout`. Says whether the server
    /// has got it without saying so.
    async fn deliver(&self) -> bool {
        let limit = self.server.connect_timeout;
        let deadline = Instant::now() + limit;
        let reach = timeout_at(deadline, async {
            // Never closed; without a place there would only be no bound.
            let place = self.lane.acquire().await.ok();
            let connection = CancelConnection::open(&self.server, self.key).await?;
            Ok((place, connection))
        });
        let reached = tokio::select! {
            biased;
            () = self.reached(|state| state.is_abandoned().then_some(())) => return false,
            reached = reach => reached.unwrap_or(Err(ConnectError::Timeout(limit))),
        };
        let (place, connection) = match reached {
            Ok(reached) => reached,
            Err(error) => {
                self.undelivered(&error);
                return false;
            }
        };
        if !self.begin() {
            return false;
        }
        let asked = timeout_at(deadline, connection.ask(self.key)).await;
        drop(place);
        match asked.map_err(|_| ConnectError::Timeout(limit)) {
            Ok(Ok(())) => false,
            Ok(Err(error)) => {
                self.undelivered(&error.into());
                true
            }
            Err(error) => {
                self.undelivered(&error);
                true
            }
        }
    }

    /// From here on the request may strike.
    fn begin(&self) -> bool {
        let mut state = lock(&self.state);
        if state.is_abandoned() {
            return false;
        }
        state.under_way = true;
        state.struck = true;
        true
    }

    fn undelivered(&self, error: &ConnectError) {
        tracing::warn!(
            target: "pgtenant::server",
            server = %self.server.name,
            %error,
            hint = error.hint(&self.server, Origin::Server),
            "cannot deliver a cancel request"
        );
    }
}
