//! Getting a server connection, and making it the tenant's.

use super::end::End;
use super::engine::{Link, Step};
use super::leaving::Leaving;
use super::{Exchange, Session};
use crate::attach::{self, AttachError, Attaching, Parked, Reuse};
use crate::metrics::Stopwatch;
use crate::pool::{Asked, CheckoutError, Grant, Lease, Seniority};
use crate::protocol::backend::TransactionStatus;
use crate::protocol::{ClientError, Severity};
use crate::server::Connection;
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

/// Why there is no server connection.
enum NoConnection {
    /// The client is told of this.
    Error(ClientError),
    /// The session has been told something while it waited.
    Told,
    /// The session is over.
    End(End),
}

impl Session {
    /// A server connection that is the tenant's. `None` if the client was told of
    /// an error instead.
    pub(super) async fn begin(&mut self) -> Result<Option<Exchange>, End> {
        let mut seniority = None;
        let (granted, asked) = match self.pool.take_idle(&self.engine.tenant) {
            Some(lease) => (Some(Grant::Idle(lease)), None),
            None => {
                let asked = Instant::now();
                (self.grant(&mut seniority).await?, Some(asked))
            }
        };
        match granted {
            None => Ok(None),
            Some(Grant::Idle(lease)) => {
                let (tenant, own) = (&self.engine.tenant, &self.engine.settings.own);
                match lease.try_map(|connection| connection.resume(tenant, own)) {
                    Ok(mut lease) => {
                        self.engine.registration.using(lease.connection().key());
                        let parameters = lease.connection_mut().parameters_mut();
                        self.engine.tell_parameters(parameters);
                        let began = Instant::now();
                        self.engine.meter.attached(Reuse::Kept, asked, began);
                        let watch = Stopwatch::start(began);
                        let link = Link::new();
                        Ok(Some(Exchange { lease, link, watch }))
                    }
                    // What is rare is boxed: a waiting session should be small.
                    Err(lease) => Box::pin(self.attach(Grant::Idle(lease), asked, seniority)).await,
                }
            }
            Some(grant) => Box::pin(self.attach(grant, asked, seniority)).await,
        }
    }

    /// Makes what was granted the tenant's, the client's first messages in the
    /// same write.
    async fn attach(
        &mut self,
        grant: Grant,
        asked: Option<Instant>,
        seniority: Option<Seniority>,
    ) -> Result<Option<Exchange>, End> {
        let Some((mut lease, reuse)) = self.attachable(grant, seniority).await? else {
            return Ok(None);
        };
        let began = Instant::now();
        let mut link = Link::new();
        self.engine.registration.attaching();
        if let Err(end) = self.send_along(&mut lease, &mut link) {
            lease.abandon();
            return Err(end);
        }
        let confirm = lease.confirm(TransactionStatus::Idle, |_| {});
        let failed = match self.unless_ended(confirm).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(self.not_attached(error)),
            Err(end) => Some(end),
        };
        if let Some(end) = failed {
            lease.abandon();
            return Err(end);
        }
        match lease.try_map(Connection::bind) {
            Ok(mut lease) => {
                self.engine.registration.using(lease.connection().key());
                let parameters = lease.connection_mut().parameters_mut();
                self.engine.tell_parameters(parameters);
                self.engine.meter.attached(reuse, asked, began);
                let watch = Stopwatch::start(began);
                Ok(Some(Exchange { lease, link, watch }))
            }
            Err(lease) => {
                lease.abandon();
                Err(self.not_attached(AttachError::Unconfirmed))
            }
        }
    }

    /// A wait that ends if the session is to end at once.
    pub(super) async fn unless_ended<T>(&self, wait: impl Future<Output = T>) -> Result<T, End> {
        let mut wait = std::pin::pin!(wait);
        std::future::poll_fn(|cx| match self.ends_at_once() {
            Some(end) => Poll::Ready(Err(end)),
            None => wait.as_mut().poll(cx).map(Ok),
        })
        .await
    }

    /// Queues the client's first messages behind an attachment.
    fn send_along(&mut self, lease: &mut Lease<Attaching>, link: &mut Link) -> Result<(), End> {
        let is_awaited = !self.ends_after && lease.is_awaited_by_others();
        let connection = lease.connection_mut();
        if connection.is_confirmed() {
            return Ok(());
        }
        let pipe = connection.pipe_mut();
        match self.engine.take_client(link, pipe)? {
            Step::Terminate => self.leaving = Leaving::Terminated,
            _ => {
                let client = &mut self.engine.client;
                client.scan.stage(&mut client.input, &mut pipe.output);
                if is_awaited && let Some(random) = self.engine.part(link, pipe) {
                    connection.scrub_behind(random);
                }
            }
        }
        Ok(())
    }

    /// A connection on which the attachment is queued: what another client has
    /// left is gone, and the server has said so. Another connection is asked for
    /// where it does not.
    async fn attachable(
        &mut self,
        grant: Grant,
        mut seniority: Option<Seniority>,
    ) -> Result<Option<(Lease<Attaching>, Reuse)>, End> {
        let mut granted = Some(grant);
        loop {
            let Some(lease) = self.checkout(granted.take(), &mut seniority).await? else {
                return Ok(None);
            };
            self.engine.registration.idle();
            let (tenant, own) = (&self.engine.tenant, &self.engine.settings.own);
            let reuse = lease.connection().reuse(tenant, own);
            let attach = lease.attach(tenant, own);
            if let Ok(lease) = self.unless_ended(attach).await? {
                return Ok(Some((lease, reuse)));
            }
            self.apply_command(false)?;
        }
    }

    pub(super) fn not_attached(&mut self, error: AttachError) -> End {
        self.engine.registration.done();
        tracing::warn!(target: "pgtenant::server", parent: &self.engine.span.span(), %error, "cannot attach the tenant");
        match error {
            AttachError::Refused(report) if report.is_cancel() => {
                // By a request, or by the client's own statement_timeout.
                End::Failed(ClientError::fatal("57014", report.message))
            }
            AttachError::OwnSetting(report) => End::Failed(
                ClientError::fatal("22023", report.message)
                    .hint("One of the session's own settings could not be applied to the next server connection."),
            ),
            AttachError::Broken(error) => End::ServerGone(error),
            _ => End::Failed(attach::not_attached()),
        }
    }

    /// A connection: the one that was granted, or another. `None` if the client
    /// was told of an error instead.
    async fn checkout(
        &mut self,
        mut granted: Option<Grant>,
        seniority: &mut Option<Seniority>,
    ) -> Result<Option<Lease<Parked>>, End> {
        loop {
            let grant = match granted.take() {
                Some(grant) => grant,
                None => match self.grant(seniority).await? {
                    Some(grant) => grant,
                    None => return Ok(None),
                },
            };
            let place = match grant {
                Grant::Idle(lease) => return Ok(Some(lease)),
                Grant::Room(place) => place,
            };
            let opening = Box::pin(place.open(seniority));
            match self.unless_interrupted(opening).await {
                Ok(lease) => return Ok(Some(lease)),
                Err(none) => {
                    if !self.tries_again(none)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// A connection, or the right to open one, once it is the client's turn: that
    /// does not come later because it has to ask again, and it does not wait longer.
    /// `None` if the client was told of an error instead.
    async fn grant(&mut self, seniority: &mut Option<Seniority>) -> Result<Option<Grant>, End> {
        loop {
            let (tenant, own) = (&self.engine.tenant, &self.engine.settings.own);
            let none = match self.pool.ask(tenant, own, *seniority) {
                Ok(Asked::Granted(grant)) => return Ok(Some(grant)),
                Ok(Asked::Queued(mut waiting)) => {
                    self.engine.client.input.shrink();
                    let outcome = self.unless_interrupted(&mut waiting).await;
                    *seniority = Some(waiting.give_up());
                    match outcome {
                        Ok(grant) => return Ok(Some(grant)),
                        Err(none) => none,
                    }
                }
                Err(error) => self.no_connection(&error),
            };
            if !self.tries_again(none)? {
                return Ok(None);
            }
        }
    }

    /// Waits for a connection, unless the client cancels or is gone, or the
    /// session is told something; each of these wakes its task.
    async fn unless_interrupted<T>(
        &mut self,
        mut wait: impl Future<Output = Result<T, CheckoutError>> + Unpin,
    ) -> Result<T, NoConnection> {
        self.engine.registration.waiting();
        let outcome = std::future::poll_fn(|cx| {
            if self.engine.registration.is_cancelled() {
                let message = "canceling statement due to user request";
                let error = ClientError::error("57014", message);
                return Poll::Ready(Err(NoConnection::Error(error)));
            }
            if let Poll::Ready(outcome) = Pin::new(&mut wait).poll(cx) {
                return Poll::Ready(outcome.map_err(|error| self.no_connection(&error)));
            }
            if self.engine.registration.is_told() {
                return Poll::Ready(Err(NoConnection::Told));
            }
            if self.draining.is_forced() {
                // Nothing of it has begun.
                return Poll::Ready(Err(NoConnection::End(End::Stopped)));
            }
            self.poll_left(0, cx).map(|end| Err(NoConnection::End(end)))
        });
        outcome.await
    }

    fn no_connection(&self, error: &CheckoutError) -> NoConnection {
        // What cannot be opened is told by the pool, once for all.
        if !matches!(error, CheckoutError::Retired | CheckoutError::Connect(_)) {
            tracing::warn!(target: "pgtenant::pool", parent: &self.engine.span.span(), %error, "no server connection");
        }
        NoConnection::Error(error.to_client())
    }

    /// Whether a connection is to be asked for again; otherwise the client has
    /// been told why there is none.
    fn tries_again(&mut self, none: NoConnection) -> Result<bool, End> {
        self.engine.registration.idle();
        let error = match none {
            NoConnection::End(end) => return Err(end),
            NoConnection::Told => None,
            NoConnection::Error(error) => Some(error),
        };
        // The tenant may be elsewhere now.
        if self.engine.registration.is_told() {
            self.apply_command(false)?;
            return Ok(true);
        }
        let Some(mut error) = error else {
            return Ok(true);
        };
        error.severity = Severity::Error;
        self.engine.refuse_next(&error)?;
        Ok(false)
    }
}
