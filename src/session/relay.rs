//! Moving bytes both ways, in one task and without a copy where nothing is
//! changed.

use super::forward::Step;
use super::ledger::{Hold, Ledger, Pinned};
use super::{End, Exchange, Session, bad_frame};
use crate::guard::Mode;
use crate::settings::PoolMode;
use crate::transport;
use crate::wire::ClientError;
use crate::wire::backend::TransactionStatus;
use std::io;
use std::task::{Context, Poll, ready};

/// What interrupts the relay.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The client does not need the connection any more.
    Over,
    /// A long statement is to be judged.
    Judge,
    /// The client has reset its settings: attach the tenant again.
    Reset,
    /// The attachment will not hold for much longer, or may have been changed:
    /// make it anew.
    Stale,
    /// The session is over; the connection is to be closed.
    End(End),
}

impl Session {
    /// Waits until the client has taken most of what is for it: from one that sends
    /// without reading nothing more is taken.
    pub(super) fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        if let Poll::Ready(Err(error)) = self.client.poll_flush(cx) {
            return Poll::Ready(Err(End::ClientGone(error)));
        }
        if self.client.output.is_empty() && self.client.output.capacity() > 0 {
            self.client.output = bytes::BytesMut::new();
        }
        if self.is_draining() {
            return Poll::Ready(Err(End::Stopped));
        }
        self.heed(false)?;
        if self.client.output.len() > SLOW_CLIENT {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Waits, without a server connection, for the client's next bytes.
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        ready!(self.poll_taken(cx))?;
        match self.client.poll_fill(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) => {
                Poll::Ready(Err(End::ClientGone(io::ErrorKind::UnexpectedEof.into())))
            }
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(End::ClientGone(error))),
        }
    }

    /// Moves what can be moved; ready when something else must happen.
    pub(super) fn poll_relay(
        &mut self,
        exchange: &mut Exchange,
        cx: &mut Context<'_>,
    ) -> Poll<Outcome> {
        if !exchange.ledger.awaited.is_empty() {
            // Most often the rest of the answer has come, and all is over.
            if let Err(outcome) = self.poll_down(exchange, cx) {
                return Poll::Ready(outcome);
            }
            if let Some(outcome) = self.at_rest(exchange) {
                return Poll::Ready(outcome);
            }
        }
        loop {
            if let Err(outcome) = self.poll_up(exchange, cx) {
                return Poll::Ready(outcome);
            }
            let down = match self.poll_down(exchange, cx) {
                Ok(moved) => moved,
                Err(outcome) => return Poll::Ready(outcome),
            };
            if let Some(outcome) = self.at_rest(exchange) {
                return Poll::Ready(outcome);
            }
            // Both ways wait now. What came down may let more go up; what went up
            // brings nothing down before it is answered.
            if !down {
                let clients_turn =
                    exchange.ledger.is_answered() && exchange.connection.output().is_empty();
                // In session mode the connection is the client's all the time.
                if clients_turn && self.maps_names {
                    if exchange.slot.is_reclaimed() {
                        return Poll::Ready(self.reclaimed(&exchange.ledger));
                    }
                    let tenant = &self.principal.tenant.id;
                    exchange.slot.rest(tenant, cx.waker());
                } else {
                    exchange.slot.busy();
                }
                return Poll::Pending;
            }
            exchange.slot.busy();
        }
    }

    /// From the client to the server, as far as it goes.
    fn poll_up(&mut self, exchange: &mut Exchange, cx: &mut Context<'_>) -> Result<(), Outcome> {
        loop {
            if !self.poll_send_up(exchange, cx)? {
                return Ok(());
            }
            if self.leaving {
                return Ok(());
            }
            if !self.client.input.is_empty() {
                let doubted = exchange.ledger.doubted;
                if (doubted || exchange.connection.is_stale())
                    && exchange.ledger.is_between()
                    && !self.client.scan.is_within()
                    && !self.client.scan.has_approved()
                {
                    if exchange.is_quiet() {
                        return Err(Outcome::Stale);
                    }
                    if doubted {
                        // What the server says unasked goes first.
                        return Ok(());
                    }
                }
                let before = (self.client.input.len(), exchange.ledger.awaited.len());
                let step = self
                    .forward(&mut exchange.connection, &mut exchange.ledger)
                    .map_err(|error| Outcome::End(bad_frame(error)))?;
                if step == Step::Terminate {
                    self.leaving = true;
                }
                if step == Step::Judge {
                    // What came before it goes out first.
                    self.poll_send_up(exchange, cx)?;
                    return Err(Outcome::Judge);
                }
                let changed = before != (self.client.input.len(), exchange.ledger.awaited.len());
                if self.client.scan.has_approved() || changed {
                    continue;
                }
                if step == Step::Held {
                    return Ok(());
                }
            }
            match self.client.poll_more(cx) {
                Poll::Ready(Ok(0)) if exchange.ledger.is_idle() => {
                    // It has left nothing behind that its goodbye would end.
                    self.leaving = true;
                    return Ok(());
                }
                Poll::Ready(Ok(0)) => {
                    return Err(Outcome::End(End::ClientGone(
                        io::ErrorKind::UnexpectedEof.into(),
                    )));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Err(Outcome::End(End::ClientGone(error))),
                Poll::Pending => return Ok(()),
            }
        }
    }

    /// Sends what is approved. Says whether all is out.
    fn poll_send_up(
        &mut self,
        exchange: &mut Exchange,
        cx: &mut Context<'_>,
    ) -> Result<bool, Outcome> {
        let connection = &mut exchange.connection;
        while !connection.output().is_empty() || self.client.scan.has_approved() {
            let run = self.client.scan.approved(&self.client.input);
            match connection.poll_send(cx, run) {
                Poll::Ready(Ok(n)) => self.client.scan.sent(&mut self.client.input, n),
                // Its last words may still be there to be read.
                Poll::Ready(Err(error)) if is_gone(&error) => return Ok(false),
                Poll::Ready(Err(error)) => return Err(Outcome::End(End::ServerGone(error))),
                Poll::Pending => return Ok(false),
            }
        }
        match connection.poll_flush(cx) {
            Poll::Ready(Err(error)) if !is_gone(&error) => {
                Err(Outcome::End(End::ServerGone(error)))
            }
            _ => Ok(true),
        }
    }

    /// From the server to the client. Says whether anything has moved.
    fn poll_down(
        &mut self,
        exchange: &mut Exchange,
        cx: &mut Context<'_>,
    ) -> Result<bool, Outcome> {
        // Answers of ours that go out let more of the client's in.
        let mut moved = !self.client.output.is_empty();
        loop {
            if !self.poll_send_down(exchange, cx)? {
                return Ok(moved && self.client.output.is_empty());
            }
            if exchange.ledger.server_ended && exchange.connection.input().is_empty() {
                return Err(Outcome::End(End::ServerEnded));
            }
            let before = exchange.connection.input().len();
            exchange
                .ledger
                .take_answers(
                    &mut exchange.connection,
                    &mut self.statements,
                    &mut self.client.output,
                )
                .map_err(|error| Outcome::End(End::ServerGone(io::Error::other(error))))?;
            if let Some(setting) = exchange.ledger.misread
                && self.guard.options().mode == Mode::Enforce
            {
                return Err(Outcome::End(End::Failed(misread(setting))));
            }
            let out = !self.client.output.is_empty() || exchange.ledger.scan.has_approved();
            if out || before != exchange.connection.input().len() {
                moved = true;
                continue;
            }
            if moved && exchange.ledger.is_idle() {
                // Nothing more is to come.
                return Ok(true);
            }
            match exchange.connection.poll_fill(cx) {
                Poll::Ready(Ok(0)) => {
                    return Err(Outcome::End(End::ServerGone(
                        io::ErrorKind::UnexpectedEof.into(),
                    )));
                }
                Poll::Ready(Ok(_)) => moved = true,
                Poll::Ready(Err(error)) => return Err(Outcome::End(End::ServerGone(error))),
                Poll::Pending => return Ok(moved),
            }
        }
    }

    /// Sends the client what is for it. Says whether all is out.
    fn poll_send_down(
        &mut self,
        exchange: &mut Exchange,
        cx: &mut Context<'_>,
    ) -> Result<bool, Outcome> {
        let scan = &mut exchange.ledger.scan;
        let connection = &mut exchange.connection;
        let gone = |error| Outcome::End(End::ClientGone(error));
        while !self.client.output.is_empty() || scan.has_approved() {
            let run = scan.approved(connection.input());
            match transport::poll_send(&mut self.client.transport, &mut self.client.output, run, cx)
            {
                Poll::Ready(sent) => scan.sent(connection.input_mut(), sent.map_err(gone)?),
                Poll::Pending => {
                    if exchange.ledger.awaited.is_empty() && self.client.output.len() < SLOW_CLIENT
                    {
                        // The last of the answers: a slow client need not keep
                        // the connection for it.
                        scan.stage(connection.input_mut(), &mut self.client.output);
                    }
                    return Ok(false);
                }
            }
        }
        match self.client.transport.poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(gone(error)),
            _ => Ok(true),
        }
    }

    /// Others need the connection, which the client holds for nothing: without
    /// its objects the client can go on, without its transaction or locks not.
    fn reclaimed(&mut self, ledger: &Ledger) -> Outcome {
        if !ledger.is_idle() || ledger.pinned != Pinned::ByObjects {
            return Outcome::End(ended_for_others(ledger));
        }
        self.lost.extend(ledger.temporary.iter().cloned());
        self.client.send_error(
            &ClientError::warning(
                "01000",
                "the objects of this session (temporary tables, prepared statements, cursors) are gone: other clients waited for its server connection",
            )
            .hint("Drop session objects when they are no longer used, or ask the administrator for a longer pool.reclaim_after."),
        );
        Outcome::Over
    }

    /// Whether the exchange has come to a point at which it is over or must be
    /// seen to.
    fn at_rest(&mut self, exchange: &mut Exchange) -> Option<Outcome> {
        let ledger = &mut exchange.ledger;
        let answered = ledger.is_answered() && !ledger.scan.has_approved();
        if !answered || !exchange.connection.output().is_empty() || self.client.scan.has_approved()
        {
            return None;
        }
        if ledger.hold == Hold::UntilReturned {
            if self.set_startup_values(&mut exchange.connection, ledger) {
                return None;
            }
            ledger.hold = Hold::No;
            let now = exchange.connection.parameters();
            self.client.send(|out| ledger.end_reset(now, out));
        }
        if ledger.hold == Hold::UntilReattached {
            if ledger.status != TransactionStatus::Failed {
                return Some(Outcome::Reset);
            }
            // The reset is undone with its transaction.
            ledger.hold = Hold::No;
            let now = exchange.connection.parameters();
            self.client.send(|out| ledger.end_reset(now, out));
            ledger.worsen(crate::binding::Condition::Doubtful);
        }
        let idle = ledger.is_idle() && !self.client.scan.is_within();
        if self.leaving {
            // An open transaction ends with its connection.
            return Some(if idle {
                Outcome::Over
            } else {
                Outcome::End(End::Terminated)
            });
        }
        if !idle {
            return None;
        }
        if self.is_draining() {
            return Some(Outcome::End(End::Stopped));
        }
        let keeps = ledger.pinned > Pinned::No || self.pool.settings().mode == PoolMode::Session;
        if keeps && let Err(end) = self.heed(true) {
            return Some(Outcome::End(end));
        }
        (!keeps && exchange.connection.input().is_empty()).then_some(Outcome::Over)
    }
}

impl Exchange {
    /// Whether nothing of the server's is on its way to the client.
    fn is_quiet(&self) -> bool {
        let scan = &self.ledger.scan;
        self.connection.input().is_empty() && !scan.is_within() && !scan.has_approved()
    }
}

/// What is told once the server reads statements otherwise than the guard.
fn misread(setting: &str) -> ClientError {
    ClientError::fatal(
        "42501",
        format!("terminating connection: code in the database has changed {setting}"),
    )
    .hint("pgtenant can judge statements only in UTF8 and with standard_conforming_strings on.")
}

/// The end of a session whose server connection others need.
fn ended_for_others(ledger: &Ledger) -> End {
    let (sqlstate, doing) = match ledger.status {
        TransactionStatus::Idle => ("57P05", "held its server connection for locks"),
        _ => ("25P03", "was idle in a transaction"),
    };
    End::Failed(
        ClientError::fatal(
            sqlstate,
            format!("terminating connection: it {doing} while other clients waited"),
        )
        .hint("End transactions and drop session objects when they are no longer used (pool.reclaim_after)."),
    )
}

/// What may wait for a slow client, in bytes.
pub(super) const SLOW_CLIENT: usize = 256 << 10;

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}
