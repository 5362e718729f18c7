//! A client on its way out.

use super::Session;
use super::end::End;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// A client that sends nothing more may still read: it gets what it has asked for,
/// if that comes within this time, or within this time since it has read some of it.
const HALF_CLOSED: Duration = Duration::from_secs(2);

/// How a client is on its way out.
#[derive(Debug)]
pub(super) enum Leaving {
    /// It is not.
    No,
    /// It has said goodbye: nothing more is sent to it.
    Terminated,
    /// It sends nothing more, and reads perhaps.
    HalfClosed(Patience),
}

/// How long a client that sends nothing more is waited for.
#[derive(Debug)]
pub(super) struct Patience(Pin<Box<Sleep>>);

impl Patience {
    pub(super) fn begin() -> Self {
        Self(Box::pin(sleep(HALF_CLOSED)))
    }

    /// The client reads.
    pub(super) fn put_off(&mut self) {
        self.0.as_mut().reset(Instant::now() + HALF_CLOSED);
    }

    /// Ready when the client is not waited for any longer.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl Session {
    /// While something else than the client is waited for: ready when nobody is
    /// there any more. What comes meanwhile is kept, beyond the `len` bytes that
    /// wait already; what is for the client is sent.
    pub(super) fn poll_left(&mut self, len: usize, cx: &mut Context<'_>) -> Poll<End> {
        if let Err(end) = self.send_output(cx) {
            return Poll::Ready(end);
        }
        if let Leaving::No = self.leaving {
            let input = &mut self.engine.client.input;
            let before = input.len();
            let gone = self.socket.poll_gone(input, len, cx);
            self.engine.meter.received(input.len() - before);
            match ready!(gone) {
                Ok(()) => self.leaving = Leaving::HalfClosed(Patience::begin()),
                Err(error) => return Poll::Ready(End::ClientGone(error)),
            }
        }
        let Leaving::HalfClosed(until) = &mut self.leaving else {
            return Poll::Pending;
        };
        ready!(until.poll_over(cx));
        Poll::Ready(End::ClientGone(io::ErrorKind::UnexpectedEof.into()))
    }
}
