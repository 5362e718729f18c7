//! A session's own side of its entry.

use super::delivery::{Aftermath, Settled};
use super::entry::Entry;
use super::shown::Hold;
use super::{Member, Registry, lock};
use crate::pool::Pool;
use crate::server::BackendKey;
use crate::session::orders::{Ending, Order};
use crate::tenant::SharedTenant;
use std::sync::Arc;
use std::task::Waker;

/// A session of the same login, found by the process id that its client was
/// given.
#[derive(Debug)]
pub(in crate::session) struct Peer(Arc<Entry>);

impl Peer {
    /// Cancels what it runs. Returns once the server has taken the request, as
    /// for [`Registry::cancel`].
    pub(in crate::session) async fn cancel(self) {
        self.0.cancel().await;
    }

    /// Ends it. The client is told at once; what it runs on the server is
    /// cancelled. Returns once the server has taken that request.
    pub(in crate::session) async fn end(self) {
        if let Some((deliveries, number)) = self.0.end(Ending::Peer) {
            deliveries.over(number).await;
        }
    }
}

/// A session's entry; it is taken out when this is dropped.
#[derive(Debug)]
pub struct Registration {
    pub(super) registry: Arc<Registry>,
    pub(super) entry: Arc<Entry>,
    pub(super) pid: u32,
}

impl Registration {
    /// The process id that the client is given.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The secret key that the client is given.
    #[must_use]
    pub fn secret(&self) -> &[u8] {
        &self.entry.secret
    }

    /// Cancels what the session runs on its server. Says whether the server has taken the
    /// request.
    pub(in crate::session) fn cancel(&self) -> impl Future<Output = bool> + Send + use<> {
        let entry = self.entry.clone();
        async move {
            entry.cancel().await;
            entry.has_struck()
        }
    }

    /// A session of the same login and tenant, perhaps this one; not one that
    /// has been ended.
    pub(in crate::session) fn find(&self, pid: u32) -> Option<Peer> {
        let entry = lock(&self.registry.sessions).get(&pid).cloned()?;
        let own = &self.entry;
        let is_peer = entry.login == own.login && entry.tenant == own.tenant;
        let is_there = !entry.inbox.is_closed();
        (is_peer && is_there).then_some(Peer(entry))
    }

    /// The session's task, which orders and cancel requests are to wake. It must
    /// not change.
    pub(in crate::session) fn listen(&self, waker: &Waker) {
        self.entry.inbox.listen(waker);
    }

    /// The worker that the session is to go on with, if it is to move.
    pub(in crate::session) fn next_worker(&self) -> Option<usize> {
        self.entry.station.next()
    }

    /// The session has come to a worker.
    pub(in crate::session) fn arrived(&self, worker: usize) {
        self.entry.station.arrived(worker);
    }

    /// Whether there is an order. Costs nothing to ask.
    pub(in crate::session) fn is_told(&self) -> bool {
        self.entry.inbox.is_told()
    }

    /// Asks what the session is to be told, and tells it.
    pub fn review(&self, decide: impl Fn(&Member<'_>) -> Option<Order>) {
        if self.entry.review(decide) {
            lock(&self.registry.watched).push(self.entry.clone());
        }
    }

    /// Takes the order.
    pub(in crate::session) fn take_order(&self) -> Option<Order> {
        self.entry.inbox.take()
    }

    /// Whether the session is to end at once, and why. Costs nothing to ask.
    pub(in crate::session) fn ending_at_once(&self) -> Option<Ending> {
        self.entry.inbox.ending_at_once()
    }

    /// The session takes its connections from this pool from now on, as this tenant.
    pub(in crate::session) fn follow(&self, pool: &Arc<Pool>, tenant: &SharedTenant) {
        self.entry.follow(pool, tenant);
    }

    /// The session waits for a server connection, for the statement for which it
    /// waited before or, after [`idle`](Self::idle), for another.
    pub(in crate::session) fn waiting(&self) {
        self.entry.waiting();
    }

    /// Whether the waiting is cancelled: that wakes the session's task.
    pub(in crate::session) fn is_cancelled(&self) -> bool {
        self.entry.is_cancelled()
    }

    /// Whether the session has done nothing for a moment.
    pub(in crate::session) fn rests(&self) -> bool {
        self.entry.shown.rests()
    }

    /// The session does nothing that could be cancelled.
    pub(in crate::session) fn idle(&self) {
        self.entry.idle();
    }

    /// The session's connection runs statements of the proxy's own, until
    /// [`using`](Self::using) or [`done`](Self::done): requests wait for that.
    pub(in crate::session) fn attaching(&self) {
        self.entry.attaching();
    }

    /// The session uses a connection from now on, until [`done`](Self::done).
    pub(in crate::session) fn using(&self, key: BackendKey) {
        self.entry.station.begin();
        self.entry.using(key);
    }

    /// The session waits for its server's answer. `moved`: something has gone to the
    /// server or come from it since the session said so last.
    pub(in crate::session) fn awaits(&self, moved: bool) {
        if moved {
            self.entry.awaited.begin();
        } else {
            self.entry.awaited.go_on();
        }
    }

    /// The client does not need its connection now, and keeps it for this reason.
    /// `served`: it has sent or been sent something since this was said last.
    pub(in crate::session) fn holds(&self, hold: Hold, served: bool) {
        self.entry.shown.holds(hold, served);
    }

    /// The session is in a transaction, from now on if it was not.
    pub(in crate::session) fn begins_transaction(&self) {
        self.entry.open.begin();
    }

    /// The session's transaction has ended; another may begin without a word.
    pub(in crate::session) fn ends_transaction(&self) {
        self.entry.open.end();
    }

    /// How many statements the client has prepared.
    pub(in crate::session) fn has_prepared(&self, count: usize) {
        self.entry.shown.has_prepared(count);
    }

    /// The client calls itself otherwise now.
    pub(in crate::session) fn is_called(&self, application: &str) {
        self.entry.shown.is_called(application);
    }

    /// It is not the server's turn.
    pub(in crate::session) fn awaits_nothing(&self) {
        self.entry.awaited.end();
    }

    /// The session gives the connection up: from here on no request is sent to
    /// it, and those that wait are for nothing any more.
    pub(in crate::session) fn done(&self) -> Aftermath {
        self.entry.done()
    }

    /// What waits until no request is under way any more to the connection that
    /// was given up last ([`done`](Self::done)), before this was called.
    pub(in crate::session) fn settled(&self) -> impl Future<Output = Settled> + Send + use<> {
        self.entry.settled()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&self.registry.sessions).remove(&self.pid);
        if let Some(expires) = self.entry.visitor.expires {
            lock(&self.registry.expiries).remove(&(expires, self.pid));
        }
        // Nobody takes it any more.
        self.entry.inbox.take();
        self.done();
    }
}
