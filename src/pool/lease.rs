//! A connection together with its place in the pool.

use super::handle::Handle;
use super::idle::{Booking, Idle};
use super::queue::{self, Freed, Outcome, SETTLE_LIMIT, Seniority, Ticket};
use super::quota::Used;
use super::reclaim::Holding;
use super::{CheckoutError, Pool, closing, lock};
use crate::attach::{AttachError, Attaching, Bound, Cleanup, Parked, Random, SessionSettings};
use crate::protocol::backend::TransactionStatus;
use crate::server::{ConnectError, Connection};
use crate::tenant::{LoginName, SharedTenant};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::time::timeout;

/// What a pool has for a client.
#[derive(Debug)]
pub enum Asked {
    /// This, at once.
    Granted(Grant),
    /// Nothing yet.
    Queued(Waiting),
}

/// What a client gets.
#[derive(Debug)]
pub enum Grant {
    /// A connection that was idle.
    Idle(Lease<Parked>),
    /// The right to [open](Place::open) one.
    Room(Place),
}

impl Grant {
    /// Its connection moved to the worker on whose thread this is called, which is its
    /// user's.
    pub(super) fn moved_here(self) -> Self {
        match self {
            Self::Idle(mut lease) => {
                let worker = lease.place.handle.worker();
                lease.connection.move_to(worker);
                Self::Idle(lease)
            }
            room @ Self::Room(_) => room,
        }
    }
}

/// A client's waiting for a connection. It leaves the queue when this is
/// dropped.
#[derive(Debug)]
pub struct Waiting {
    handle: Arc<Handle>,
    ticket: Option<Ticket>,
    seniority: Seniority,
}

impl Waiting {
    pub(super) fn new(handle: Arc<Handle>, ticket: Ticket) -> Self {
        Self {
            handle,
            seniority: ticket.seniority,
            ticket: Some(ticket),
        }
    }

    /// Leaves the queue. The client takes its seniority to where it waits next.
    #[must_use]
    pub fn give_up(mut self) -> Seniority {
        self.leave();
        self.seniority
    }

    fn leave(&mut self) {
        let Some(mut ticket) = self.ticket.take() else {
            return;
        };
        let left = lock(&self.handle.pool().queue).leave(&ticket);
        self.seniority = left.unwrap_or(self.seniority);
        // It may have been granted meanwhile.
        ticket.outcome.close();
        if let Ok((Ok(Grant::Idle(lease)), _)) = ticket.outcome.try_recv() {
            lease.give_back();
        }
    }
}

impl Future for Waiting {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(ticket) = &mut self.ticket else {
            return Poll::Ready(Err(CheckoutError::Retired));
        };
        let told = ready!(Pin::new(&mut ticket.outcome).poll(cx));
        self.ticket = None;
        let (outcome, seniority) = told.unwrap_or((Err(CheckoutError::Retired), self.seniority));
        self.seniority = seniority;
        Poll::Ready(outcome.map(Grant::moved_here))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A place in a pool, and with it the right to one connection. It is free again
/// when this is dropped.
#[derive(Debug)]
pub struct Place {
    handle: Arc<Handle>,
    /// `None`: the place stays taken, by an idle connection.
    booking: Option<Booking>,
    holding: Option<Holding>,
    /// It counts as one of its login's.
    used: Option<Used>,
}

impl Place {
    /// One that counts as no login's.
    pub(super) fn new(handle: Arc<Handle>, booking: Booking) -> Self {
        Self::with(handle, booking, None)
    }

    /// One of the login of the handle's client.
    pub(super) fn of_login(handle: Arc<Handle>, booking: Booking, used: Used) -> Self {
        Self::with(handle, booking, Some(used))
    }

    fn with(handle: Arc<Handle>, booking: Booking, used: Option<Used>) -> Self {
        Self {
            handle,
            booking: Some(booking),
            holding: None,
            used,
        }
    }

    /// Opens the connection. `seniority`: of a client that has waited already; one that
    /// has not begins to wait now.
    ///
    /// # Errors
    /// If none can be opened before it has waited for `wait_timeout` in all.
    pub async fn open(
        self,
        seniority: &mut Option<Seniority>,
    ) -> Result<Lease<Parked>, CheckoutError> {
        let Some(booking) = &self.booking else {
            return Err(CheckoutError::Retired);
        };
        let pool = self.pool();
        let waits = Seniority::new(*seniority, pool.settings.wait_timeout);
        *seniority = Some(waits);
        let placement = &booking.tenant.placement;
        let opened = pool.open(placement, waits.deadline()).await;
        let mut connection = opened.map_err(CheckoutError::Connect)?;
        connection.set_worker(self.handle.worker());
        Ok(Lease::new(connection.parked(), self))
    }

    /// The same, for nobody yet: only where nothing has to make room for it.
    ///
    /// # Errors
    /// If it cannot be opened, at the first attempt.
    pub(super) async fn open_ahead(self) -> Result<Option<Lease<Parked>>, Arc<ConnectError>> {
        let Some(booking) = &self.booking else {
            return Ok(None);
        };
        let opened = self.pool().open_ahead(&booking.tenant.placement).await?;
        Ok(opened.map(|mut connection| {
            connection.set_worker(self.handle.worker());
            Lease::new(connection.parked(), self)
        }))
    }

    fn pool(&self) -> &Arc<Pool> {
        self.handle.pool()
    }

    fn leave(&mut self) {
        if let Some(holding) = self.holding.take() {
            self.pool().holders.remove(&holding);
        }
    }

    /// It counts as its login's no more. The login, if somebody of it waits for that.
    fn release(&mut self) -> Option<LoginName> {
        let waits = self.used.take().is_some_and(Used::give_back);
        waits.then(|| self.handle.login().clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
        let login = self.release();
        if let Some(booking) = self.booking.take() {
            let pool = self.handle.pool();
            let freed = Freed {
                account: booking.account,
                login: login.as_ref(),
            };
            let outcomes = lock(&pool.queue).free(pool, freed);
            queue::hand_out(outcomes);
            pool.pass_on();
        }
    }
}

/// A connection and its place in the pool, which never part: a connection cannot
/// be given back to another place. Dropping both closes the connection.
#[derive(Debug)]
pub struct Lease<S> {
    connection: Connection<S>,
    place: Place,
}

impl<S> Lease<S> {
    pub(super) fn new(connection: Connection<S>, place: Place) -> Self {
        Self { connection, place }
    }

    /// The connection.
    #[must_use]
    pub fn connection(&self) -> &Connection<S> {
        &self.connection
    }

    /// The same, to be used.
    pub fn connection_mut(&mut self) -> &mut Connection<S> {
        &mut self.connection
    }

    /// The lease with its connection in another state.
    pub(crate) fn map<T>(self, step: impl FnOnce(Connection<S>) -> Connection<T>) -> Lease<T> {
        Lease::new(step(self.connection), self.place)
    }

    /// The same, where the connection may not be fit for that state.
    ///
    /// # Errors
    /// The lease as it was.
    pub(crate) fn try_map<T>(
        self,
        step: impl FnOnce(Connection<S>) -> Result<Connection<T>, Connection<S>>,
    ) -> Result<Lease<T>, Self> {
        match step(self.connection) {
            Ok(connection) => Ok(Lease::new(connection, self.place)),
            Err(connection) => Err(Self::new(connection, self.place)),
        }
    }

    /// Closes the connection, whatever runs on it. The place stays taken until
    /// the server has ended the session: what runs is cancelled after a moment.
    pub fn abandon(self)
    where
        S: Send + 'static,
    {
        let Self {
            connection,
            mut place,
        } = self;
        // Nobody can ask it to give anything up any more.
        place.leave();
        let server = place.pool().server.clone();
        closing::spawn(connection, server, Some(place));
    }

    /// It is the client's turn, and the connection is held for it, until
    /// [`busy`](Self::busy). `within`: in a transaction, or in the midst of a message
    /// or an answer. `waker` is woken when it should give it up.
    pub fn rest(&mut self, within: bool, waker: &Waker) {
        let Place {
            handle,
            booking: Some(booking),
            holding,
            ..
        } = &mut self.place
        else {
            return;
        };
        let holders = &handle.pool().holders;
        let holding = holding.get_or_insert_with(|| {
            let (worker, tenant) = (handle.worker(), booking.tenant.id.clone());
            holders.add(worker, tenant, handle.login().clone())
        });
        holding.holder.rest(within, waker);
    }

    /// Whether clients of other tenants wait, and none of its own: whoever gets it next
    /// will most likely have it scrubbed first.
    #[must_use]
    pub fn is_awaited_by_others(&self) -> bool {
        self.place.booking.as_ref().is_some_and(|booking| {
            self.place.pool().waiting.is_some()
                && !booking.dedicated
                && !booking.waits.load(Ordering::Relaxed)
        })
    }

    /// The client has gone on.
    pub fn busy(&self) {
        if let Some(holding) = &self.place.holding {
            holding.holder.busy();
        }
    }

    /// Whether others wait, and the client has held the connection for nothing
    /// for too long.
    #[must_use]
    pub fn is_reclaimed(&self) -> bool {
        let holding = self.place.holding.as_ref();
        holding.is_some_and(|holding| holding.holder.is_told())
    }
}

impl Lease<Parked> {
    /// An idle connection of the worker's own, for a client of the same tenant.
    pub(super) fn of_idle(handle: &Arc<Handle>, idle: Idle, used: Used) -> Self {
        let limit = handle.pool().settings.check_after;
        let (connection, booking) = idle.into_parts(limit);
        Self::new(connection, Place::of_login(handle.clone(), booking, used))
    }

    /// Sends what takes away another tenant's traces, where the lease is for a
    /// tenant that has not used the connection last. What fails is found by whoever
    /// settles it.
    pub(super) fn begin_cleaning(&mut self, settings: &SessionSettings) {
        self.connection.customs_mut().note(settings.names());
        if let Some(booking) = &self.place.booking {
            self.connection.clean_of_others(&booking.tenant, settings);
        }
        if !self.connection.is_settled() {
            self.connection.try_flush();
        }
    }

    /// Asks the server for a sign of life. Whatever it has to report comes with its
    /// answer.
    ///
    /// # Errors
    /// If none comes within [`SETTLE_LIMIT`]: the connection is to be given up.
    pub(crate) async fn ask(&mut self) -> Result<(), AttachError> {
        self.connection.check();
        in_time(SETTLE_LIMIT, self.connection.settle()).await
    }

    /// Queues what makes the connection `tenant`'s, with the client's `settings`.
    /// What another client has left is taken away before, and the server's answer
    /// to that awaited: after [`SETTLE_LIMIT`] the connection is given up.
    ///
    /// # Errors
    /// If the connection cannot be cleaned. It is closed then.
    pub async fn attach(
        mut self,
        tenant: &SharedTenant,
        settings: &SessionSettings,
    ) -> Result<Lease<Attaching>, AttachError> {
        self.connection.customs_mut().note(settings.names());
        // Twice, if one of the settings is not valid.
        let cleaned = async {
            for _ in 0..2 {
                self.connection.clean_for(tenant, settings);
                self.connection.settle().await?;
            }
            Ok(())
        };
        if let Err(error) = in_time(SETTLE_LIMIT, cleaned).await {
            tracing::info!(target: "pgtenant::server", %error, "dropped a server connection that could not be cleaned");
            if matches!(error, AttachError::Broken(_)) {
                // Others that have been silent for as long are lost too, most likely.
                self.place.pool().evict_silent();
            }
            self.abandon();
            return Err(error);
        }
        self.try_map(|connection| connection.attach(tenant, settings))
            .map_err(|lease| {
                lease.abandon();
                AttachError::Unconfirmed
            })
    }
}

impl Lease<Attaching> {
    /// Waits for the answers to the attachment, as
    /// [`confirm`](Connection::confirm) does, but not for ever.
    ///
    /// # Errors
    /// As there.
    pub async fn confirm(
        &mut self,
        status: TransactionStatus,
        report: impl FnMut(&[u8]),
    ) -> Result<(), AttachError> {
        in_time(ATTACH_LIMIT, self.connection.confirm(status, report)).await
    }
}

/// Most time for the server's answer to an attachment. A server that takes longer
/// does not answer at all.
const ATTACH_LIMIT: Duration = Duration::from_secs(30);

async fn in_time<T>(
    limit: Duration,
    wait: impl Future<Output = Result<T, AttachError>>,
) -> Result<T, AttachError> {
    match timeout(limit, wait).await {
        Ok(answered) => answered,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

impl Lease<Bound> {
    /// Gives the connection back. `cleanup`: what its client has left in the
    /// session, at worst; that is taken away at once. `random`: what it may know.
    pub fn give_back(self, cleanup: Cleanup, random: Random) {
        self.map(|connection| connection.park(cleanup, random))
            .give_back();
    }
}

impl Lease<Parked> {
    /// Gives the connection back for others to use. A cleanup that is not
    /// answered yet is awaited by its next user.
    pub fn give_back(self) {
        let Self {
            mut connection,
            mut place,
        } = self;
        connection.clean();
        if !connection.is_settled() {
            connection.try_flush();
        }
        connection.rest();
        place.leave();
        let login = place.release();
        let Some(booking) = place.booking.take() else {
            return;
        };
        let idle = Idle {
            connection,
            booking,
            since: None,
        };
        if let Err(idle) = place.pool().put(idle, login.as_ref()) {
            place.booking = Some(idle.booking);
            let connection = idle.connection;
            Self { connection, place }.abandon();
        }
    }
}
