//! What the registry has of one session.

use super::awaited::Awaited;
use super::delivery::{Aftermath, Deliveries, Lanes, Settled};
use super::open::Open;
use super::running::{Activity, Begun, Running};
use super::shown::{Clock, Shown};
use super::station::Station;
use super::told::{Look, Told};
use super::{Member, Visitor, lock};
use crate::audit::{Event, Log};
use crate::directory::Principal;
use crate::pool::{Guest, Pool};
use crate::server::BackendKey;
use crate::session::orders::{Ending, Inbox, Membership, Order, When};
use crate::tenant::{LoginName, SharedProfile, SharedTenant, TenantId};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;

pub(super) struct Entry {
    pub(super) login: LoginName,
    pub(super) tenant: TenantId,
    pub(super) visitor: Visitor,
    pub(super) station: Station,
    pub(super) secret: Box<[u8]>,
    pub(super) inbox: Inbox,
    pub(super) awaited: Awaited,
    /// Its transaction.
    pub(super) open: Open,
    pub(super) shown: Shown,
    told: Mutex<Told>,
    /// Where the connection that it uses comes from.
    pool: Mutex<Guest>,
    running: Mutex<Running>,
    /// A request that waits may go on.
    changed: Notify,
    lanes: Arc<Lanes>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

impl Entry {
    pub(super) fn new(
        principal: &Principal,
        membership: Membership,
        visitor: Visitor,
        worker: usize,
        secret: Box<[u8]>,
        lanes: Arc<Lanes>,
        clock: Arc<Clock>,
    ) -> Self {
        Self {
            login: principal.login.clone(),
            tenant: principal.tenant.id.clone(),
            visitor,
            station: Station::new(worker),
            secret,
            inbox: Inbox::default(),
            awaited: Awaited::default(),
            open: Open::new(),
            shown: Shown::new(clock),
            pool: Mutex::new(Guest::new(&membership.pool, &membership.tenant)),
            told: Mutex::new(Told::new(membership)),
            running: Mutex::default(),
            changed: Notify::new(),
            lanes,
        }
    }

    /// Tells the session what `decide` says. Says whether it is to be looked at
    /// from now on.
    pub(super) fn review(&self, decide: impl Fn(&Member<'_>) -> Option<Order>) -> bool {
        let mut told = lock(&self.told);
        let member = Member {
            login: &self.login,
            visitor: &self.visitor,
            worker: self.station.worker(),
            membership: told.membership(),
        };
        match decide(&member) {
            None => false,
            Some(Order::End(ending, When::Now)) => {
                self.end(ending);
                false
            }
            Some(order) => told.put(&self.inbox, order),
        }
    }

    /// Tells the session to end with its transaction. Says whether it is to be
    /// looked at from now on.
    pub(super) fn end_at_boundary(&self, ending: Ending) -> bool {
        let order = Order::End(ending, When::AtBoundary);
        lock(&self.told).put(&self.inbox, order)
    }

    /// Ends the session if it has not done as it was told within `time`. Says
    /// whether it is to be looked at again.
    pub(super) fn look(&self, time: Duration, audit: &Log) -> bool {
        let look = lock(&self.told).look(&self.inbox, time);
        if let Look::Late(ending) = look {
            tracing::warn!(
                target: "pgtenant::audit",
                event = "session_late",
                tenant = %self.tenant,
                login = %self.login,
                client = %self.visitor.address,
                reason = %ending,
                "a session has not come to an end in time"
            );
            audit.record(&Event::SessionLate {
                tenant: self.tenant.as_str(),
                login: self.login.as_str(),
                reason: &ending.to_string(),
            });
            self.end(ending);
        }
        look == Look::Waits
    }

    /// Ends the session at once, and cancels what it runs: the delivery of that
    /// request.
    pub(super) fn end(&self, ending: Ending) -> Option<(Arc<Deliveries>, u64)> {
        let sent = self.running().end(|key| self.deliveries(key));
        self.inbox.put(Order::End(ending, When::Now));
        sent
    }

    /// Cancels what the session runs. Returns once the server has taken the
    /// request, or there is nothing to cancel any more; within twice its
    /// `connect_timeout` in any case.
    pub(super) async fn cancel(&self) {
        let limit = lock(&self.pool).server().connect_timeout;
        if let Ok(Some((deliveries, number))) = tokio::time::timeout(limit, self.send()).await {
            deliveries.over(number).await;
        }
    }

    /// Whether the server has taken a request, and every one that was sent.
    pub(super) fn has_struck(&self) -> bool {
        self.running().has_struck()
    }

    async fn send(&self) -> Option<(Arc<Deliveries>, u64)> {
        let mut turn = None;
        loop {
            let changed = self.changed.notified();
            let begun = self.running().cancel(&mut turn, |key| self.deliveries(key));
            match begun {
                Begun::Sent(deliveries, number) => return Some((deliveries, number)),
                Begun::Nothing => return None,
                Begun::Interrupted => self.inbox.wake(),
                Begun::Later => {}
            }
            changed.await;
        }
    }

    fn deliveries(&self, key: BackendKey) -> Deliveries {
        let server = lock(&self.pool).server().clone();
        Deliveries::new(server, key, &self.lanes)
    }

    pub(super) fn follow(&self, pool: &Arc<Pool>, tenant: &SharedTenant) {
        let guest = Guest::new(pool, tenant);
        *lock(&self.pool) = guest;
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.running().is_cancelled()
    }

    pub(super) fn waiting(&self) {
        self.shown.changes();
        self.running().waiting();
    }

    pub(super) fn attaching(&self) {
        self.running().attaching();
    }

    pub(super) fn idle(&self) {
        let awaited = self.running().idle();
        self.go_on(awaited);
    }

    pub(super) fn using(&self, key: BackendKey) {
        self.shown.changes();
        self.open.begin();
        let awaited = self.running().using(key);
        self.go_on(awaited);
    }

    pub(super) fn done(&self) -> Aftermath {
        self.awaited.end();
        self.open.end();
        self.shown.changes();
        let (awaited, aftermath) = self.running().done();
        self.go_on(awaited);
        aftermath
    }

    fn go_on(&self, awaited: bool) {
        if awaited {
            self.changed.notify_waiters();
        }
    }

    pub(super) fn settled(&self) -> impl Future<Output = Settled> + Send + use<> {
        let left = self.running().left();
        async move {
            match left {
                Some(deliveries) => deliveries.settled().await,
                None => Settled::Surely,
            }
        }
    }

    /// The server's session that is in use.
    pub(super) fn backend(&self) -> Option<BackendKey> {
        self.running().backend()
    }

    /// What it does now.
    pub(super) fn activity(&self) -> Activity {
        self.running().activity()
    }

    pub(super) fn pool(&self) -> Arc<Pool> {
        (*lock(&self.pool)).clone()
    }

    /// Why its time is over, if it is: for a transaction, or for doing nothing outside
    /// of one. In session mode a client that has a connection is not idle, as with
    /// PgBouncer.
    pub(super) fn is_late(&self) -> Option<Ending> {
        let open = self.open.look();
        let timeouts = lock(&self.told).membership().timeouts();
        if let (Some(limit), Some(open)) = (timeouts.transaction_timeout, open)
            && open >= limit
        {
            return Some(Ending::Transaction);
        }
        let limit = timeouts.client_idle_timeout?;
        let since = match self.activity() {
            Activity::Idle => self.shown.since(),
            Activity::Using(_) if !self.awaited.is_any() => self.shown.kept_since()?,
            _ => return None,
        };
        let idle = since.elapsed().ok()?;
        (idle >= limit).then_some(Ending::Idle)
    }

    /// The tenant as the session was told last.
    pub(super) fn tenant_now(&self) -> SharedTenant {
        lock(&self.told).membership().tenant.clone()
    }

    /// The profile as the session was told last.
    pub(super) fn profile_now(&self) -> Option<SharedProfile> {
        lock(&self.told).membership().login.profile.clone()
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        lock(&self.running)
    }
}
