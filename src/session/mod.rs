//! One client's session: which of its messages go where, and when.
//!
//! Between transactions a session holds no server connection. The first message
//! that needs one takes it from the pool and attaches the tenant in front of
//! the message; at the end of the transaction it goes back.

mod answering;
mod answers;
mod awaited;
mod bind;
mod cancel;
mod client;
mod effects;
mod extended;
mod follow;
mod forward;
mod interner;
mod judge;
mod ledger;
mod local;
mod orders;
mod own;
mod parse;
mod parsing;
mod plain;
mod query;
mod refusal;
mod relay;
mod scan;
mod statements;
mod upstream;

pub use cancel::{Member, Registration, Registry, Visitor};
pub use client::Client;
pub use follow::restricted;
pub use interner::Interner;
pub use orders::{Ending, Membership, Order, When};
pub use parsing::Parsing;
pub use scan::Scan;

use crate::binding::{
    AttachError, Attaching, Bound, Condition, OwnSettings, Taken, attach, attach_same, reattach,
    renew,
};
use crate::guard::{self, Guard, Refusal, Verdict};
use crate::observe::ClientSpan;
use crate::pool::{Asked, CheckoutError, Grant, Pool, Slot};
use crate::server::Connection;
use crate::settings::PoolMode;
use crate::tenant::Principal;
use crate::wire::backend::TransactionStatus;
use crate::wire::frontend::FrameError;
use crate::wire::{ClientError, Severity};
use answers::OwnPortal;
use cancel::Aftermath;
use forward::Step;
use ledger::{Ledger, Pinned};
use relay::Outcome;
use statements::Statements;
use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

/// What a session is made of.
#[derive(Debug)]
pub struct Parts {
    /// The logged-in client.
    pub client: Client,
    /// Who it is.
    pub principal: Principal,
    /// Where its server connections come from.
    pub pool: Arc<Pool>,
    /// What judges its statements.
    pub guard: Arc<Guard>,
    /// Statements that clients share.
    pub interner: Arc<Interner>,
    /// Turns at parsing long statements.
    pub parsing: Arc<Parsing>,
    /// What a cancel request finds the session by.
    pub registration: Registration,
    /// The settings that it made at startup.
    pub asked: OwnSettings,
    /// The same, restricted as its tenant is: what a reset goes back to.
    pub startup: OwnSettings,
    /// Set once the proxy is to stop: the session ends at the next end of a
    /// transaction. Whoever sets it wakes the session's task.
    pub draining: Arc<AtomicBool>,
    /// What its log events belong to.
    pub span: Arc<ClientSpan>,
}

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
pub enum End {
    /// The client said goodbye.
    #[error("the client has left")]
    Terminated,
    /// The client's connection broke, or closed without a goodbye.
    #[error("the client is gone: {0}")]
    ClientGone(io::Error),
    /// The server's connection broke, or the server ended it.
    #[error("the server connection is gone: {0}")]
    ServerGone(io::Error),
    /// The server ended its session, and its words have been passed on.
    #[error("the server has ended the session")]
    ServerEnded,
    /// The proxy stops.
    #[error("the proxy stops")]
    Stopped,
    /// It was told to.
    #[error("{0}")]
    Ordered(Ending),
    /// It had to be ended, for this reason; the client has been told.
    #[error("{0}")]
    Failed(ClientError),
}

/// A client's session.
#[derive(Debug)]
pub struct Session {
    client: Client,
    principal: Principal,
    pool: Arc<Pool>,
    guard: Arc<Guard>,
    interner: Arc<Interner>,
    parsing: Arc<Parsing>,
    registration: Registration,
    draining: Arc<AtomicBool>,
    span: Arc<ClientSpan>,
    statements: Statements,
    /// Portals over what the proxy answers itself.
    portals: Vec<OwnPortal>,
    /// The settings that it asked for at startup.
    asked: OwnSettings,
    /// What a reset goes back to.
    startup: OwnSettings,
    own: OwnSettings,
    /// Settings that the running transaction may have changed.
    touched: Vec<Box<str>>,
    /// The verdict on the statement at the head of the buffer.
    judged: Option<Judged>,
    /// Temporary relations that were taken away: their names must not come to
    /// mean permanent ones.
    lost: BTreeSet<Box<str>>,
    /// After an error outside of a transaction: everything up to the Sync.
    skipping: bool,
    /// How often it has begun to keep a server connection.
    pins: u32,
    /// It has prepared a statement that the proxy answers itself.
    has_answered: bool,
    /// The client has said goodbye.
    leaving: bool,
    /// Names of prepared statements are the client's alone: the server knows
    /// others. Not so in session mode.
    maps_names: bool,
}

/// A verdict that waits for its statement to be dealt with.
#[derive(Debug)]
enum Judged {
    /// It has not been looked at.
    Raw(Arc<Verdict>),
    /// It lets the statement pass.
    Admitted(Arc<Verdict>),
}

/// A server connection in use.
#[derive(Debug)]
struct Exchange {
    connection: Connection<Bound>,
    slot: Slot,
    ledger: Box<Ledger>,
}

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
    /// A session whose client has been told that it is in.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let maps_names = parts.pool.settings().mode == PoolMode::Transaction;
        Self {
            client: parts.client,
            principal: parts.principal,
            pool: parts.pool,
            guard: parts.guard,
            interner: parts.interner,
            parsing: parts.parsing,
            registration: parts.registration,
            draining: parts.draining,
            span: parts.span,
            statements: Statements::default(),
            portals: Vec::new(),
            asked: parts.asked,
            own: parts.startup.clone(),
            startup: parts.startup,
            touched: Vec::new(),
            judged: None,
            lost: BTreeSet::new(),
            skipping: false,
            pins: 0,
            has_answered: false,
            leaving: false,
            maps_names,
        }
    }

    /// Serves the client until it leaves, or has to.
    pub async fn serve(mut self: Box<Self>) -> End {
        let ended = self.registration.end_at_once();
        let end = {
            let mut relay = std::pin::pin!(self.relay());
            std::future::poll_fn(|cx| {
                if let Poll::Ready(end) = relay.as_mut().poll(cx) {
                    return Poll::Ready(end);
                }
                // A server connection in use is closed.
                ended().map_or(Poll::Pending, |why| Poll::Ready(End::Ordered(why)))
            })
            .await
        };
        match &end {
            End::Terminated | End::ClientGone(_) => return end,
            End::ServerEnded => {}
            End::Failed(error) => self.client.send_error(error),
            End::Stopped => self.client.send_error(&stopping()),
            End::Ordered(ending) => self.client.send_error(&ending.to_client()),
            End::ServerGone(_) => self.client.send_error(&server_gone()),
        }
        self.client.close().await;
        end
    }

    async fn relay(&mut self) -> End {
        std::future::poll_fn(|cx| {
            self.registration.listen(cx.waker());
            Poll::Ready(())
        })
        .await;
        loop {
            if let Err(end) = self.heed(false) {
                return end;
            }
            match self.without_server().await {
                Ok(()) => {}
                Err(end) => return end,
            }
            match self.with_server().await {
                Ok(()) => {}
                Err(end) => return end,
            }
        }
    }

    /// Answers what can be answered, until something needs a server connection.
    async fn without_server(&mut self) -> Result<(), End> {
        loop {
            match self.answer_locally().map_err(bad_frame)? {
                Step::NeedsServer => return Ok(()),
                Step::Terminate => return Err(End::Terminated),
                Step::Judge => Box::pin(self.judge_long()).await?,
                Step::Held => std::future::poll_fn(|cx| self.poll_taken(cx)).await?,
                Step::Incomplete | Step::Done => self.idle().await?,
            }
        }
    }

    /// Waits for the client.
    async fn idle(&mut self) -> Result<(), End> {
        std::future::poll_fn(|cx| self.poll_idle(cx)).await
    }

    /// Judges the statement at the buffer's head where it does not keep others
    /// waiting, once it is its turn.
    async fn judge_long(&mut self) -> Result<(), End> {
        let Some(len) = self.long_statement().map(<[u8]>::len) else {
            return Ok(());
        };
        let tenant = self.principal.tenant.id.clone();
        let mut turn = std::pin::pin!(self.parsing.clone().turn(tenant, len));
        let ahead = self.client.input.len();
        let turn = std::future::poll_fn(|cx| {
            if let Poll::Ready(turn) = turn.as_mut().poll(cx) {
                return Poll::Ready(Ok(turn));
            }
            self.client
                .poll_gone_behind(ahead, cx)
                .map(|error| Err(End::ClientGone(error)))
        })
        .await
        .inspect_err(|_| {
            self.registration.done();
        })?;
        let sql = self.long_statement().map(<[u8]>::to_vec);
        let (Some(turn), Some(sql)) = (turn, sql) else {
            return Ok(());
        };
        let guard = self.guard.clone();
        let inspect = move || {
            let verdict = guard.inspect(&sql);
            // It lasts as long as the memory is needed, whether the client does
            // or not.
            drop((sql, turn));
            verdict
        };
        let verdict = tokio::task::spawn_blocking(inspect).await;
        // Without a verdict the statement is judged again, and never passes
        // without one.
        self.judged = verdict.ok().map(Judged::Raw);
        Ok(())
    }

    /// Serves one transaction, or as long as the client keeps the connection.
    async fn with_server(&mut self) -> Result<(), End> {
        let Some(mut exchange) = self.begin().await? else {
            return Ok(());
        };
        loop {
            let outcome = std::future::poll_fn(|cx| self.poll_relay(&mut exchange, cx)).await;
            match outcome {
                Outcome::Over => {
                    // From here on nothing of the client's runs that could be cancelled.
                    let aftermath = self.registration.done();
                    if self.touched.is_empty() || !self.maps_names || self.leaving {
                        self.give_back(exchange, aftermath);
                    } else {
                        Box::pin(self.finish(exchange, aftermath)).await?;
                    }
                    return if self.leaving {
                        Err(End::Terminated)
                    } else {
                        Ok(())
                    };
                }
                Outcome::Judge => Box::pin(self.judge_long()).await?,
                Outcome::Reset => exchange = Box::pin(self.attach_again(exchange)).await?,
                Outcome::Stale => exchange = Box::pin(self.renew(exchange)).await?,
                Outcome::End(end) => {
                    self.registration.done();
                    return Err(end);
                }
            }
        }
    }

    /// A server connection that is the tenant's. `None` if the client was told of
    /// an error instead.
    async fn begin(&mut self) -> Result<Option<Exchange>, End> {
        let granted = match self.pool.take_idle(&self.principal.tenant) {
            Some((connection, slot)) => Some(Grant::Idle(connection, slot)),
            None => self.grant().await?,
        };
        match granted {
            None => Ok(None),
            Some(Grant::Idle(connection, slot))
                if connection.is_ready_for(&self.principal.tenant, &self.own) =>
            {
                Ok(Some(self.exchange(connection, slot, Ledger::new())))
            }
            // What is rare is boxed: a waiting session should be small.
            Some(grant) => Box::pin(self.attach(grant)).await,
        }
    }

    /// Makes what was granted the tenant's, the client's first messages in the
    /// same write.
    async fn attach(&mut self, grant: Grant) -> Result<Option<Exchange>, End> {
        let Some((mut connection, slot)) = self.attach_apart(grant).await? else {
            return Ok(None);
        };
        let mut ledger = Ledger::new();
        self.registration.attaching();
        self.send_along(&mut connection, &mut ledger)?;
        match connection.confirm(TransactionStatus::Idle, |_| {}).await {
            Ok(connection) => Ok(Some(self.exchange(connection, slot, ledger))),
            Err(error) => Err(self.not_attached(error)),
        }
    }

    fn exchange(&self, connection: Connection<Bound>, slot: Slot, ledger: Box<Ledger>) -> Exchange {
        self.registration.using(connection.key());
        Exchange {
            connection,
            slot,
            ledger,
        }
    }

    /// Gets a connection that is not at hand, or whose attachment may fail for
    /// what its last client has left: then it is confirmed before anything of
    /// this client is sent, so that another will do as well.
    async fn attach_apart(
        &mut self,
        grant: Grant,
    ) -> Result<Option<(Connection<Attaching>, Slot)>, End> {
        let mut granted = Some(grant);
        loop {
            let Some((taken, slot)) = self.checkout(granted.take()).await? else {
                return Ok(None);
            };
            let connection = attach(taken, &self.principal.tenant, &self.own);
            if !connection.is_hasty() {
                return Ok(Some((connection, slot)));
            }
            match connection.confirm(TransactionStatus::Idle, |_| {}).await {
                Ok(connection) => return Ok(Some((attach_same(connection), slot))),
                Err(error) => {
                    // Not by a timeout that the last client has left.
                    if let AttachError::OwnSetting { report, .. } = &error
                        && !report.is_cancel()
                    {
                        return Err(self.not_attached(error));
                    }
                    tracing::info!(target: "pgtenant::server", %error, "dropped a server connection that could not be scrubbed");
                }
            }
        }
    }

    fn not_attached(&mut self, error: AttachError) -> End {
        self.registration.done();
        tracing::warn!(target: "pgtenant::server", parent: self.span.get(), %error, "cannot attach the tenant");
        match error {
            AttachError::Refused(report) if report.is_cancel() => {
                // By a request, or by the client's own statement_timeout.
                End::Failed(ClientError::fatal("57014", report.message))
            }
            AttachError::OwnSetting { report, .. } => End::Failed(
                ClientError::fatal("22023", report.message)
                    .hint("One of the session's own settings could not be applied to the next server connection."),
            ),
            AttachError::Broken(error) => End::ServerGone(error),
            _ => End::Failed(
                ClientError::fatal("08006", "the tenant could not be attached to the server connection")
                    .hint("The log of pgtenant has the reason."),
            ),
        }
    }

    /// Attaches the tenant and the client's startup settings again, after the
    /// client has reset everything.
    async fn attach_again(&mut self, exchange: Exchange) -> Result<Exchange, End> {
        let Exchange {
            connection,
            slot,
            mut ledger,
        } = exchange;
        // A rollback may undo the reset yet: what the settings are is read from
        // the server at the end of the transaction.
        for name in self.own.names().chain(self.startup.names()) {
            if !self.touched.iter().any(|touched| **touched == *name) {
                self.touched.push(name.into());
            }
        }
        self.own = self.startup.clone();
        ledger.hold = ledger::Hold::No;
        ledger.doubted = false;
        // The unnamed statement is the attachment's from here on: bound again by
        // the client, it must be parsed again first.
        ledger.has_unnamed = false;
        let before = connection.parameters().clone();
        ledger.told.get_or_insert(before);
        let mut connection = reattach(connection, &self.own);
        ledger
            .scan
            .stage(connection.input_mut(), &mut self.client.output);
        let mut exchange = self.confirm_again(connection, slot, ledger).await?;
        let Exchange {
            connection, ledger, ..
        } = &mut exchange;
        let now = connection.parameters();
        self.client.send(|out| ledger.end_reset(now, out));
        Ok(exchange)
    }

    /// Attaches the tenant anew between two transactions of a client that keeps
    /// its connection, the next one's first messages in the same write.
    async fn renew(&mut self, exchange: Exchange) -> Result<Exchange, End> {
        let Exchange {
            mut connection,
            slot,
            mut ledger,
        } = exchange;
        if self.registration.done() == Aftermath::Possible {
            // A request to cancel what ran before must not strike this.
            self.registration.settled().await;
            connection = own::round_trip(connection).await.map_err(End::ServerGone)?;
        }
        self.registration.attaching();
        ledger.has_unnamed = false;
        ledger.doubted = false;
        let mut connection = renew(connection);
        self.send_along(&mut connection, &mut ledger)?;
        let exchange = self.confirm_again(connection, slot, ledger).await?;
        self.registration.using(exchange.connection.key());
        Ok(exchange)
    }

    /// Queues the client's first messages behind an attachment.
    fn send_along(
        &mut self,
        connection: &mut Connection<Attaching>,
        ledger: &mut Ledger,
    ) -> Result<(), End> {
        if connection.is_confirmed() {
            return Ok(());
        }
        match self.forward(connection, ledger).map_err(bad_frame)? {
            Step::Terminate => self.leaving = true,
            _ => {
                let scan = &mut self.client.scan;
                scan.stage(&mut self.client.input, connection.output());
            }
        }
        Ok(())
    }

    /// Waits for the answers to an attachment in the midst of a session. The
    /// client is told of the parameters that it changes, at once if it is not
    /// to be told of several changes together.
    async fn confirm_again(
        &mut self,
        connection: Connection<Attaching>,
        slot: Slot,
        ledger: Box<Ledger>,
    ) -> Result<Exchange, End> {
        let output = &mut self.client.output;
        let report = |frame: &[u8]| {
            if ledger.told.is_none() {
                output.extend_from_slice(frame);
            }
        };
        let confirmed = connection.confirm(ledger.status, report).await;
        match confirmed {
            Ok(connection) => Ok(Exchange {
                connection,
                slot,
                ledger,
            }),
            Err(error) => Err(self.not_attached(error)),
        }
    }

    /// Gives the connection back, the client's settings read from it first.
    async fn finish(&mut self, exchange: Exchange, aftermath: Aftermath) -> Result<(), End> {
        let Exchange {
            connection,
            slot,
            ledger,
        } = exchange;
        match self.read_own_after(aftermath, connection).await {
            Ok(_) if self.own.bytes() > own::MOST_BYTES => Err(End::Failed(own::too_large())),
            Ok(connection) => {
                let exchange = Exchange {
                    connection,
                    slot,
                    ledger,
                };
                self.give_back(exchange, Aftermath::None);
                Ok(())
            }
            Err(error) => Err(End::ServerGone(error)),
        }
    }

    fn give_back(&mut self, exchange: Exchange, aftermath: Aftermath) {
        let Exchange {
            mut connection,
            slot,
            ledger,
        } = exchange;
        connection.worsen(ledger.condition);
        if !std::mem::take(&mut self.touched).is_empty() {
            connection.worsen(Condition::Doubtful);
        }
        if ledger.pinned > Pinned::No || !self.maps_names {
            connection.worsen(Condition::Littered);
        }
        ledger.put_away();
        match aftermath {
            Aftermath::None => slot.give_back(connection),
            Aftermath::Possible => {
                let settled = self.registration.settled();
                tokio::spawn(async move {
                    settled.await;
                    // Once the server has answered again, a signal that was
                    // sent before has struck.
                    if let Ok(connection) = own::round_trip(connection).await {
                        slot.give_back(connection);
                    }
                });
            }
        }
    }

    /// Reads the client's settings, once a cancel request has struck.
    async fn read_own_after(
        &mut self,
        aftermath: Aftermath,
        mut connection: Connection<Bound>,
    ) -> io::Result<Connection<Bound>> {
        if aftermath == Aftermath::Possible {
            self.registration.settled().await;
            connection = own::round_trip(connection).await?;
        }
        self.read_own(connection).await
    }

    /// A connection: the one that was granted, or another. `None` if the client
    /// was told of an error instead.
    async fn checkout(&mut self, mut granted: Option<Grant>) -> Result<Option<(Taken, Slot)>, End> {
        loop {
            let grant = match granted.take() {
                Some(grant) => grant,
                None => match self.grant().await? {
                    Some(grant) => grant,
                    None => return Ok(None),
                },
            };
            let slot = match grant {
                Grant::Idle(connection, slot) => return Ok(Some((Taken::Used(connection), slot))),
                Grant::Room(slot) => slot,
            };
            let opening = Box::pin(slot.open(self.principal.tenant.clone()));
            match self.unless_interrupted(opening).await {
                Ok((connection, slot)) => return Ok(Some((Taken::Fresh(connection), slot))),
                Err(none) => {
                    if !self.tries_again(none)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// A connection, or the right to open one, once it is the client's turn.
    /// `None` if the client was told of an error instead.
    async fn grant(&mut self) -> Result<Option<Grant>, End> {
        loop {
            let none = match self.pool.ask(&self.principal.tenant) {
                Ok(Asked::Granted(grant)) => return Ok(Some(grant)),
                Ok(Asked::Queued(waiting)) => {
                    self.client.input.shrink();
                    match self.unless_interrupted(waiting).await {
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
        self.registration.waiting();
        let outcome = std::future::poll_fn(|cx| {
            if self.registration.is_cancelled() {
                let message = "canceling statement due to user request";
                let error = ClientError::error("57014", message);
                return Poll::Ready(Err(NoConnection::Error(error)));
            }
            if let Poll::Ready(outcome) = Pin::new(&mut wait).poll(cx) {
                return Poll::Ready(outcome.map_err(|error| self.no_connection(&error)));
            }
            if self.registration.is_told() {
                return Poll::Ready(Err(NoConnection::Told));
            }
            self.client
                .poll_gone(cx)
                .map(|error| Err(NoConnection::End(End::ClientGone(error))))
        });
        outcome.await
    }

    fn no_connection(&self, error: &CheckoutError) -> NoConnection {
        if !matches!(error, CheckoutError::Retired) {
            tracing::warn!(target: "pgtenant::pool", parent: self.span.get(), %error, "no server connection");
        }
        NoConnection::Error(error.to_client())
    }

    /// Whether a connection is to be asked for again; otherwise the client has
    /// been told why there is none.
    fn tries_again(&mut self, none: NoConnection) -> Result<bool, End> {
        self.registration.idle();
        let error = match none {
            NoConnection::End(end) => return Err(end),
            NoConnection::Told => None,
            NoConnection::Error(error) => Some(error),
        };
        // The tenant may be elsewhere now.
        if self.registration.is_told() {
            self.heed(false)?;
            return Ok(true);
        }
        let Some(mut error) = error else {
            return Ok(true);
        };
        error.severity = Severity::Error;
        self.refuse_next(&error).map_err(bad_frame)?;
        Ok(false)
    }

    /// Turns a verdict into an admission, or an error for the client. Refusals
    /// are audited.
    fn admit(&self, verdict: Arc<Verdict>) -> Result<Arc<Verdict>, ClientError> {
        if verdict.answer.is_some() {
            return Ok(verdict);
        }
        self.admit_to_server(verdict)
    }

    /// The same for what the server is to run.
    fn admit_to_server(&self, verdict: Arc<Verdict>) -> Result<Arc<Verdict>, ClientError> {
        let Some(refusal) = &verdict.refusal else {
            return Ok(verdict);
        };
        let enforced = self.guard.options().mode == guard::Mode::Enforce;
        self.audit(refusal, enforced);
        if !enforced {
            return Ok(verdict);
        }
        Err(refused(refusal))
    }

    /// What is refused in every mode, because it cannot be forwarded.
    fn refusal(&self, refusal: &Refusal) -> ClientError {
        self.audit(refusal, true);
        refused(refusal)
    }

    fn audit(&self, refusal: &Refusal, enforced: bool) {
        tracing::warn!(
            target: "pgtenant::audit",
            parent: self.span.get(),
            event = if enforced { "statement_refused" } else { "statement_would_be_refused" },
            rule = refusal.rule,
            sqlstate = refusal.sqlstate,
            reason = %refusal.message,
        );
    }

    /// Refuses a statement that may change what was a temporary relation before
    /// it was taken away. Looks for the name in the text, so that it refuses too much rather
    /// than too little.
    fn lost_in(&self, sql: &[u8], verdict: &Verdict) -> Result<(), ClientError> {
        let made_anew = |name: &str| verdict.effects.temporary.iter().any(|made| **made == *name);
        if self.lost.is_empty() || (!verdict.effects.writes && only_reads(sql)) {
            return Ok(());
        }
        let lost = self.lost.iter().find(|name| mentions(sql, name));
        match lost {
            Some(name) if !made_anew(name) => Err(ClientError::error(
                "42P01",
                format!("temporary relation \"{name}\" is gone: other clients waited for its server connection"),
            )
            .hint("Create it again, or run DISCARD TEMP to go on without it.")),
            _ => Ok(()),
        }
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// What the client is told.
fn refused(refusal: &Refusal) -> ClientError {
    ClientError::error(refusal.sqlstate, refusal.message.clone())
        .detail(refusal.detail())
        .hint(refusal.hint)
}

/// Whether a text is a single query, by its first word.
fn only_reads(sql: &[u8]) -> bool {
    let text = sql
        .split(|b| *b == 0)
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let text = text.strip_suffix(b";").unwrap_or(text);
    let word = text.split(|b| !b.is_ascii_alphabetic()).next();
    let queries: [&[u8]; 4] = [b"select", b"table", b"values", b"with"];
    let is_query = word.is_some_and(|word| queries.iter().any(|q| word.eq_ignore_ascii_case(q)));
    is_query && !text.contains(&b';')
}

/// Whether a text may contain an identifier, in any spelling: a quote within it
/// is doubled, and `U&` can write any letter otherwise.
fn mentions(sql: &[u8], name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let escaped = sql.windows(2).any(|pair| pair.eq_ignore_ascii_case(b"U&"));
    if !plain || escaped {
        return true;
    }
    let in_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | 0x80..);
    let name = name.as_bytes();
    (0..=sql.len().saturating_sub(name.len())).any(|at| {
        let (before, rest) = sql.split_at(at);
        let (part, after) = rest.split_at(name.len().min(rest.len()));
        part.eq_ignore_ascii_case(name)
            && !before.last().is_some_and(in_word)
            && !after.first().is_some_and(in_word)
    })
}

/// The client's bytes cannot be told apart any more.
fn bad_frame(error: FrameError) -> End {
    End::Failed(ClientError::protocol(error.to_string()))
}

fn stopping() -> ClientError {
    ClientError::fatal(
        "57P01",
        "terminating connection because pgtenant is shutting down",
    )
    .hint("Connect again.")
}

fn server_gone() -> ClientError {
    ClientError::fatal("08006", "the connection to the database server was lost")
        .hint("The transaction that was running has been rolled back; connect again.")
}

#[cfg(test)]
mod tests {
    use super::{mentions, only_reads};

    #[test]
    fn a_query_is_told_from_what_changes_things() {
        for sql in [
            "SELECT 1",
            " table t; ",
            "with a as (select 1) select 2\0\0\0",
        ] {
            assert!(only_reads(sql.as_bytes()), "{sql}");
        }
        for sql in [
            "",
            "DROP TABLE t",
            "SELECT 1; DROP TABLE t",
            "/* */ SELECT 1",
            "INSERT INTO t VALUES (1)",
        ] {
            assert!(!only_reads(sql.as_bytes()), "{sql}");
        }
    }

    #[test]
    fn a_name_is_found_as_a_word_in_any_spelling() {
        for sql in [
            "SELECT * FROM ct",
            "table CT",
            "drop table \"ct\";",
            "x.ct.y",
            "U&\"\\0063t\"",
        ] {
            assert!(mentions(sql.as_bytes(), "ct"), "{sql}");
        }
        for sql in ["", "c", "SELECT 1", "SELECT act, ct_1, ctx, ct$ FROM t"] {
            assert!(!mentions(sql.as_bytes(), "ct"), "{sql}");
        }
        assert!(mentions(b"SELECT 1", "a b"));
    }
}
