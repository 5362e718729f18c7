//! Giving a server connection back, or up.

use super::cancel::{Aftermath, Settled};
use super::end::End;
use super::engine::Pinned;
use super::leaving::Leaving;
use super::settings::{self, round_trip};
use super::{Exchange, Session};
use crate::attach::{AttachError, Bound, Cleanup};
use crate::pool::Lease;
use crate::server::Connection;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// Most time for what is asked between two transactions.
const LIMIT: Duration = Duration::from_secs(30);

impl Session {
    /// The client does not need the connection any more, and nothing is owed.
    pub(super) async fn end_exchange(&mut self, mut exchange: Exchange) -> Result<(), End> {
        self.count(&mut exchange);
        let reads = !self.engine.settings.are_known()
            && self.engine.maps_names
            && matches!(self.leaving, Leaving::No);
        if reads || exchange.link.is_unsure() {
            // What is rare is boxed.
            return Box::pin(self.ask_and_give_back(exchange, reads)).await;
        }
        // From here on nothing of the client's runs that could be cancelled.
        let aftermath = self.engine.registration.done();
        self.give_back(exchange, aftermath);
        Ok(())
    }

    /// Counts the transactions that have ended, and what they took.
    pub(super) fn count(&mut self, exchange: &mut Exchange) {
        let Exchange { link, watch, .. } = exchange;
        self.engine
            .meter
            .ended(link.transactions, link.queries, watch);
        (link.transactions, link.queries) = (0, 0);
    }

    /// The end of an exchange, where the server is to be asked something first.
    async fn ask_and_give_back(&mut self, exchange: Exchange, reads: bool) -> Result<(), End> {
        let exchange = self.make_sure(exchange).await?;
        let aftermath = self.engine.registration.done();
        if reads {
            return self.read_back(exchange, aftermath).await;
        }
        self.give_back(exchange, aftermath);
        Ok(())
    }

    /// Ends a transaction that the server does not tell of, if there may be one: its
    /// next command fails then.
    async fn make_sure(&mut self, mut exchange: Exchange) -> Result<Exchange, End> {
        if exchange.link.is_unsure() {
            let ended = settings::empty_query(exchange.lease.connection_mut());
            if !matches!(timeout(LIMIT, ended).await, Ok(Ok(()))) {
                self.abandon(exchange);
                return Err(End::ServerGone(io::ErrorKind::TimedOut.into()));
            }
            exchange.link.made_sure();
        }
        Ok(exchange)
    }

    /// Gives the connection back, the client's settings read from it first.
    async fn read_back(&mut self, exchange: Exchange, aftermath: Aftermath) -> Result<(), End> {
        let Exchange {
            mut lease,
            link,
            watch,
        } = exchange;
        if let Err(error) = self.read_settings(&mut lease, aftermath).await {
            self.engine.settings.forget_touched();
            lease.abandon();
            return Err(self.not_attached(error));
        }
        if self.engine.settings.own.bytes() > settings::MOST_BYTES {
            lease.abandon();
            return Err(End::Failed(settings::too_large()));
        }
        let own = self.engine.settings.own.clone();
        let application = own.get("application_name").unwrap_or_default();
        self.engine.registration.is_called(application);
        lease.connection_mut().set_settings(own);
        self.give_back(Exchange { lease, link, watch }, Aftermath::None);
        Ok(())
    }

    async fn read_settings(
        &mut self,
        lease: &mut Lease<Bound>,
        aftermath: Aftermath,
    ) -> Result<(), AttachError> {
        let settled = self.engine.registration.settled();
        let settings = &mut self.engine.settings;
        let connection = lease.connection_mut();
        let read = async {
            if aftermath == Aftermath::Possible {
                // A request to cancel what ran before must not strike this.
                after_requests(settled, round_trip(connection)).await?;
            }
            settings.read_back(connection).await
        };
        match timeout(LIMIT, read).await {
            Ok(read) => Ok(read?),
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        }
    }

    fn give_back(&mut self, exchange: Exchange, aftermath: Aftermath) {
        let prepared = self.engine.statements.named();
        self.engine.registration.has_prepared(prepared);
        let Exchange {
            mut lease, link, ..
        } = exchange;
        lease.connection_mut().customs_mut().extend(&link.customs);
        let mut cleanup = link.cleanup;
        let random = self.engine.known_of_random(&link);
        if self.engine.settings.forget_touched() {
            cleanup = cleanup.max(Cleanup::ResetAll);
        }
        if link.pinned > Pinned::No || !self.engine.maps_names {
            cleanup = cleanup.max(Cleanup::DiscardAll);
        }
        link.put_away();
        match aftermath {
            Aftermath::None => lease.give_back(cleanup, random),
            Aftermath::Possible => {
                // What it asked for may strike whatever runs now.
                let settled = self.engine.registration.settled();
                let mut lease = lease.map(|connection| connection.park(cleanup, random));
                tokio::spawn(async move {
                    match timeout(LIMIT, after_requests(settled, lease.ask())).await {
                        Ok(Ok(())) => lease.give_back(),
                        _ => lease.abandon(),
                    }
                });
            }
        }
    }

    /// Gives the connection up: what runs on it is ended.
    pub(super) fn abandon(&mut self, mut exchange: Exchange) {
        self.count(&mut exchange);
        let Exchange {
            mut lease,
            mut link,
            ..
        } = exchange;
        self.engine.registration.done();
        self.engine.audit_lost(&mut link);
        let client = &mut self.engine.client;
        client.torn = link.scan.is_within();
        if !client.torn {
            // Whole messages, in front of what the client is told.
            let input = lease.connection_mut().input_mut();
            link.scan.stage(input, &mut client.output);
        }
        let is_whole = !client.scan.is_within() && !client.scan.has_approved();
        lease.connection_mut().set_boundary(is_whole);
        lease.abandon();
    }

    /// Attaches the tenant anew between two transactions of a client that keeps
    /// its connection.
    pub(super) async fn renew(&mut self, exchange: Exchange) -> Result<Exchange, End> {
        let exchange = self.make_sure(exchange).await?;
        let Exchange {
            mut lease,
            mut link,
            watch,
        } = exchange;
        if self.engine.registration.done() == Aftermath::Possible {
            // A request to cancel what ran before must not strike this.
            let settled = self.engine.registration.settled();
            let answered = after_requests(settled, round_trip(lease.connection_mut()));
            if !matches!(timeout(LIMIT, answered).await, Ok(Ok(()))) {
                lease.abandon();
                return Err(self.not_attached(AttachError::Unconfirmed));
            }
        }
        self.engine.registration.attaching();
        link.renewed();
        let mut lease = lease.map(Connection::renew);
        let output = &mut self.engine.client.output;
        // Parameters are told of below.
        let report = |frame: &[u8]| match frame.first() {
            Some(b'S') => {}
            _ => output.extend_from_slice(frame),
        };
        if let Err(error) = lease.confirm(link.status, report).await {
            lease.abandon();
            return Err(self.not_attached(error));
        }
        match lease.try_map(Connection::bind) {
            Ok(mut lease) => {
                self.engine.registration.using(lease.connection().key());
                let parameters = lease.connection_mut().parameters_mut();
                self.engine.tell_parameters(parameters);
                Ok(Exchange { lease, link, watch })
            }
            Err(lease) => {
                lease.abandon();
                Err(self.not_attached(AttachError::Unconfirmed))
            }
        }
    }
}

/// Waits until no request to cancel can strike any more: once the server has
/// answered again, to what `ask` sends, a signal that was sent before has struck.
async fn after_requests<E: From<io::Error>>(
    settled: impl Future<Output = Settled>,
    ask: impl Future<Output = Result<(), E>>,
) -> Result<(), E> {
    match settled.await {
        Settled::Surely => ask.await,
        Settled::InDoubt => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}
