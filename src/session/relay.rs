//! Moving bytes both ways, in one task and without a copy where nothing is
//! changed.

mod turn;

use super::end::End;
use super::engine::{ClientSide, Link, SLOW_CLIENT, Step};
use super::leaving::{Leaving, Patience};
use super::{Exchange, Session};
use crate::guard::Mode;
use crate::transport;
use std::io;
use std::task::{Context, Poll, ready};

/// What a client may send ahead while its messages must wait, in bytes.
const MOST_AHEAD: usize = 32 << 10;

/// What interrupts the relay.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The client does not need the connection any more.
    Over,
    /// A long statement is to be judged.
    Judge,
    /// Another session is to be interrupted.
    Interrupt,
    /// What runs has answered too much, and is to be cancelled.
    Cancel,
    /// The attachment will not hold for much longer, or may have been changed:
    /// make it anew.
    Renew,
    /// The session is over; the connection is to be closed.
    End(End),
}

impl Session {
    /// Waits until the client has taken most of what is for it: from one that sends
    /// without reading nothing more is taken.
    pub(super) fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        self.send_output(cx)?;
        let output = &mut self.engine.client.output;
        if output.is_empty() && output.capacity() > 0 {
            *output = bytes::BytesMut::new();
        }
        if self.leaves_at_rest() {
            return Poll::Ready(Err(End::Stopped));
        }
        self.apply_command(false)?;
        self.moves()?;
        if self.engine.client.output.len() > SLOW_CLIENT {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what the client takes of what is for it.
    pub(super) fn send_output(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let output = &mut self.engine.client.output;
        let before = output.len();
        let flushed = self.socket.poll_flush(output, cx);
        self.engine.meter.sent(before - output.len());
        match flushed {
            Poll::Ready(Err(error)) => Err(End::ClientGone(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Waits, without a server connection, for the client's next bytes.
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        ready!(self.poll_taken(cx))?;
        let gone = |error| Poll::Ready(Err(End::ClientGone(error)));
        match self.socket.poll_fill(&mut self.engine.client.input, cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) => gone(io::ErrorKind::UnexpectedEof.into()),
            Poll::Ready(Ok(n)) => {
                self.engine.meter.received(n);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => gone(error),
        }
    }

    /// Moves what can be moved; ready when something else must happen.
    pub(super) fn poll_relay(
        &mut self,
        exchange: &mut Exchange,
        cx: &mut Context<'_>,
    ) -> Poll<Outcome> {
        if let Some(end) = self.ends_at_once() {
            return Poll::Ready(Outcome::End(end));
        }
        if !exchange.link.owes_nothing() {
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
            let sends = !exchange.lease.connection_mut().output().is_empty();
            let moves = down || (sends && self.sends_up(exchange, cx));
            if !moves {
                return self.wait(exchange, cx);
            }
            exchange.lease.busy();
        }
    }

    /// Something of ours is to be sent, and goes.
    fn sends_up(&mut self, exchange: &mut Exchange, cx: &mut Context<'_>) -> bool {
        matches!(self.poll_send_up(exchange, cx), Ok(true))
    }

    /// From the client to the server, as far as it goes.
    fn poll_up(&mut self, exchange: &mut Exchange, cx: &mut Context<'_>) -> Result<(), Outcome> {
        loop {
            if !self.poll_send_up(exchange, cx)? || self.has_left() {
                return Ok(());
            }
            if !self.engine.client.input.is_empty() {
                let before = (
                    self.engine.client.input.len(),
                    self.engine.client.output.len(),
                );
                let pipe = exchange.lease.connection_mut().pipe_mut();
                let step = self
                    .engine
                    .take_client(&mut exchange.link, pipe)
                    .map_err(|fault| Outcome::End(fault.into()))?;
                match step {
                    Step::Terminate => {
                        self.leaving = Leaving::Terminated;
                        // What came before it goes out first.
                        continue;
                    }
                    Step::Judge => {
                        self.poll_send_up(exchange, cx)?;
                        return Err(Outcome::Judge);
                    }
                    Step::Interrupt => return Err(Outcome::Interrupt),
                    _ => self.scrub_behind(exchange),
                }
                let after = (
                    self.engine.client.input.len(),
                    self.engine.client.output.len(),
                );
                let staged = !exchange.lease.connection_mut().output().is_empty();
                if self.engine.client.scan.has_approved() || staged || before != after {
                    continue;
                }
                if step == Step::Held && self.engine.client.input.len() >= MOST_AHEAD {
                    return Ok(());
                }
            }
            if let Leaving::HalfClosed(_) = self.leaving {
                return Ok(());
            }
            let gone = |error| Outcome::End(End::ClientGone(error));
            match self.socket.poll_more(&mut self.engine.client.input, cx) {
                Poll::Ready(Ok(0)) => {
                    self.leaving = Leaving::HalfClosed(Patience::begin());
                    return Ok(());
                }
                Poll::Ready(Ok(n)) => {
                    self.progress = true;
                    self.engine.meter.received(n);
                    exchange.watch.go_on();
                }
                Poll::Ready(Err(error)) => return Err(gone(error)),
                Poll::Pending => return Ok(()),
            }
        }
    }

    /// Where others wait for the connection and the client will not need it any more: lets
    /// the server scrub it by itself once it has answered.
    fn scrub_behind(&mut self, exchange: &mut Exchange) {
        if self.ends_after || !exchange.lease.is_awaited_by_others() {
            return;
        }
        let connection = exchange.lease.connection_mut();
        if let Some(random) = self.engine.part(&mut exchange.link, connection.pipe_mut()) {
            connection.scrub_behind(random);
        }
    }

    /// Sends what is approved. Says whether all is out.
    fn poll_send_up(
        &mut self,
        exchange: &mut Exchange,
        cx: &mut Context<'_>,
    ) -> Result<bool, Outcome> {
        let connection = exchange.lease.connection_mut();
        let client = &mut self.engine.client;
        while !connection.output().is_empty() || client.scan.has_approved() {
            let run = client.scan.approved(&client.input);
            match connection.poll_send(cx, run) {
                Poll::Ready(Ok(n)) => {
                    client.scan.sent(&mut client.input, n);
                    self.moved = true;
                }
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
        let mut moved = !self.engine.client.output.is_empty();
        loop {
            if !self.poll_send_down(exchange, cx)? {
                return Ok(moved && self.engine.client.output.is_empty());
            }
            let link = &mut *exchange.link;
            let connection = exchange.lease.connection_mut();
            if link.server_ended && connection.input().is_empty() {
                return Err(Outcome::End(End::ServerEnded));
            }
            let before = connection.input().len();
            self.engine
                .take_server(link, connection.pipe_mut())
                .map_err(|fault| Outcome::End(fault.into()))?;
            if let Some(setting) = link.misread
                && self.engine.guard.options().mode == Mode::Enforce
            {
                return Err(Outcome::End(End::misread(setting)));
            }
            let out = !self.engine.client.output.is_empty() || link.scan.has_approved();
            if out && self.ends_after && is_last(link, &self.engine.client) {
                // The goodbye goes out with the end of the answer: a client that has seen
                // the one has seen the other before it sends anything else.
                let output = &mut self.engine.client.output;
                link.scan.stage(connection.input_mut(), output);
                return Ok(true);
            }
            if out || before != connection.input().len() {
                moved = true;
                if link.wants_cancel(false) {
                    return Err(Outcome::Cancel);
                }
                continue;
            }
            let over = connection.input().is_empty() || link.parted;
            if moved && over && link.is_answered() {
                // Nothing more is to come for the client.
                return Ok(true);
            }
            match connection.poll_fill(cx) {
                Poll::Ready(Ok(0)) => {
                    return Err(Outcome::End(End::ServerGone(
                        io::ErrorKind::UnexpectedEof.into(),
                    )));
                }
                Poll::Ready(Ok(_)) => {
                    moved = true;
                    self.moved = true;
                }
                Poll::Ready(Err(error)) => return Err(Outcome::End(End::ServerGone(error))),
                Poll::Pending if link.wants_cancel(true) => return Err(Outcome::Cancel),
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
        let link = &mut *exchange.link;
        let connection = exchange.lease.connection_mut();
        let output = &mut self.engine.client.output;
        let gone = |error| Outcome::End(End::ClientGone(error));
        while !output.is_empty() || link.scan.has_approved() {
            let run = link.scan.approved(connection.input());
            let staged = output.len();
            match transport::poll_send(&mut self.socket.transport, output, run, cx) {
                Poll::Ready(sent) => {
                    let sent = sent.map_err(gone)?;
                    // A short run is sent from the staged bytes, in part perhaps.
                    self.engine
                        .meter
                        .sent((staged + sent).saturating_sub(output.len()));
                    link.scan.sent(connection.input_mut(), sent);
                    self.progress = true;
                }
                Poll::Pending => {
                    if link.owes_nothing() && output.len() < SLOW_CLIENT {
                        // The last of the answers: a slow client need not keep
                        // the connection for it.
                        link.scan.stage(connection.input_mut(), output);
                    }
                    return Ok(false);
                }
            }
        }
        match self.socket.transport.poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(gone(error)),
            _ => Ok(true),
        }
    }
}

/// Whether nothing is owed to the client, which has sent nothing more.
fn is_last(link: &Link, client: &ClientSide) -> bool {
    link.owes_nothing() && link.is_idle() && client.input.is_empty() && !client.scan.is_within()
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}
