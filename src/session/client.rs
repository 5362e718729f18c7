//! The client's socket.

use super::engine::ClientSide;
use crate::transport::{self, Buffer, Transport};
use bytes::BytesMut;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Most time for a goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// What a client may send ahead while it waits for a server connection, in
/// bytes.
const MOST_AHEAD: usize = 32 << 10;

/// A logged-in client's connection.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    input: Buffer,
}

impl Client {
    /// Wraps the connection of a client that has just logged in. `input` is
    /// what it has sent already.
    #[must_use]
    pub fn new(transport: Transport, input: Buffer) -> Self {
        Self { transport, input }
    }

    pub(super) fn split(self) -> (Socket, ClientSide) {
        let socket = Socket {
            transport: self.transport,
            armed: false,
        };
        (socket, ClientSide::new(self.input))
    }
}

/// The socket alone.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) transport: Transport,
    /// The session's task is to be woken when something comes; nothing has been
    /// read since that was asked for.
    armed: bool,
}

impl Socket {
    /// Moves it to the worker on whose thread this is called.
    pub(super) fn move_here(&mut self) -> io::Result<()> {
        self.armed = false;
        self.transport.move_here()
    }

    /// Sends what is queued.
    pub(super) fn poll_flush(
        &mut self,
        output: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !output.is_empty() {
            ready!(transport::poll_send(&mut self.transport, output, &[], cx))?;
        }
        self.transport.poll_flush(cx)
    }

    /// Reads what has arrived: 0 at the end of the stream. Holds no memory
    /// while it waits with an empty buffer.
    pub(super) fn poll_fill(
        &mut self,
        input: &mut Buffer,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let read = self.poll_more(input, cx);
        if !matches!(read, Poll::Ready(Ok(_))) {
            input.release();
        }
        read
    }

    /// The same, for a client that is being served: the memory stays.
    pub(super) fn poll_more(
        &mut self,
        input: &mut Buffer,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.is_awaited() {
            return Poll::Pending;
        }
        let read = self.transport.poll_read(cx, input.room());
        self.arm(read.is_pending());
        let n = ready!(read)?;
        input.filled(n);
        Poll::Ready(Ok(n))
    }

    /// Ready when the client is gone, or sends nothing more. What it sends meanwhile
    /// is kept, up to a bound beyond the `len` bytes that wait already.
    pub(super) fn poll_gone(
        &mut self,
        input: &mut Buffer,
        len: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while input.len() < len + MOST_AHEAD {
            if self.is_awaited() {
                return Poll::Pending;
            }
            // Nothing is read before something has come: the buffer stays small.
            let come = self.transport.poll_read_ready(cx);
            self.arm(come.is_pending());
            ready!(come).ok();
            match ready!(self.poll_fill(input, cx)) {
                Ok(0) => return Poll::Ready(Ok(())),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    }

    /// Whether nothing has come since it was asked for last, and what comes
    /// wakes the task: the socket need not be asked again.
    fn is_awaited(&self) -> bool {
        self.armed && !self.transport.is_readable()
    }

    /// Takes note of an answer of the socket's. Where the runtime's budget for the
    /// task was what made it wait, nothing that comes would wake it; and what
    /// makes TLS wait is not for us to know.
    fn arm(&mut self, pending: bool) {
        let by_socket = !self.transport.is_tls() && tokio::task::coop::has_budget_remaining();
        self.armed = pending && by_socket;
    }

    /// Sends what is queued and says goodbye.
    pub(super) async fn close(&mut self, output: &mut BytesMut) {
        let goodbye = async {
            let sent = std::future::poll_fn(|cx| self.poll_flush(output, cx)).await;
            if sent.is_ok() {
                self.transport.close().await;
            }
        };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}
