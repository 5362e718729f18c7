//! The connection itself: socket, buffers, and what the server said at login.

use super::roll::{Card, Enrolled, Held, Roll};
use super::{Address, Customs, Parameters, PreparedSet};
use crate::tenant::ServerName;
use crate::transport::{Buffer, Transport};
use bytes::BytesMut;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Most time for a goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// How many random numbers are drawn at once.
const RANDOM_STOCK: usize = 32;

/// An authenticated connection to PostgreSQL. `S` says whose it is.
#[derive(Debug)]
pub struct Connection<S> {
    inner: Box<Inner>,
    state: S,
}

/// The state of a connection that belongs to no tenant: its session settings
/// are those of its start, which are closed (no row is seen).
#[derive(Debug)]
pub struct Unbound(pub(super) ());

/// Tells connections apart for the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// A number from 0 to 1, which spreads connections that follow one another.
    #[must_use]
    pub fn spread(self) -> f64 {
        /// By the golden ratio.
        const STEP: u32 = 0x9E37_79B9;
        let [_, _, _, _, low @ ..] = self.0.to_be_bytes();
        f64::from(u32::from_be_bytes(low).wrapping_mul(STEP)) / f64::from(u32::MAX)
    }
}

#[derive(Debug)]
struct Inner {
    id: ConnectionId,
    server: ServerName,
    key: BackendKey,
    /// Whose reactor the socket is with.
    worker: usize,
    transport: Transport,
    pipe: Pipe,
    opened: Instant,
    serial: u64,
    /// Random bytes that nobody has had yet.
    random: Vec<[u8; 4]>,
    /// What has been sent ends with a whole message.
    at_boundary: bool,
    /// The goodbye has been said.
    hung_up: bool,
    customs: Customs,
    /// Its entry in the list of those there are.
    enrolled: Option<Enrolled>,
}

/// What goes over a connection and what is known of its session, apart from the
/// socket.
#[derive(Debug, Default)]
pub struct Pipe {
    /// What has arrived from the server.
    pub input: Buffer,
    /// What is to be sent to the server.
    pub output: BytesMut,
    /// Parameters as the server has reported them.
    pub parameters: Parameters,
    /// Statements that are prepared.
    pub prepared: PreparedSet,
}

impl<S> Connection<S> {
    /// Tells connections apart.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.inner.id
    }

    /// The server that it is connected to.
    #[must_use]
    pub fn server(&self) -> &ServerName {
        &self.inner.server
    }

    /// What cancels the statement that runs on it.
    #[must_use]
    pub fn key(&self) -> BackendKey {
        self.inner.key
    }

    /// Parameters as the server has reported them.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.inner.pipe.parameters
    }

    /// The same, to be kept up to date.
    pub fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.inner.pipe.parameters
    }

    /// Statements that are prepared on it.
    pub fn prepared(&mut self) -> &mut PreparedSet {
        &mut self.inner.pipe.prepared
    }

    /// When its opening began: what the server was told later it may not know.
    #[must_use]
    pub fn opened(&self) -> Instant {
        self.inner.opened
    }

    /// The worker whose reactor tells of what arrives.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.inner.worker
    }

    /// Moves it to the worker on whose thread this is called. Where that fails, it is
    /// broken.
    pub fn move_to(&mut self, worker: usize) {
        if self.inner.worker != worker {
            self.inner.worker = worker;
            // What fails here shows when it is used.
            let _ = self.inner.transport.move_here();
        }
    }

    /// The worker on whose thread it has been opened.
    pub fn set_worker(&mut self, worker: usize) {
        self.inner.worker = worker;
    }

    /// Custom settings that its session knows.
    #[must_use]
    pub fn customs(&self) -> &Customs {
        &self.inner.customs
    }

    /// The same, to be added to.
    pub fn customs_mut(&mut self) -> &mut Customs {
        &mut self.inner.customs
    }

    /// A number larger than all before it on this connection, from 1.
    pub fn next_serial(&mut self) -> u64 {
        self.inner.serial += 1;
        self.inner.serial
    }

    /// Random bytes; `None` if the system has none. Several are drawn at once:
    /// each draw has its price.
    pub fn random(&mut self) -> Option<[u8; 4]> {
        let stock = &mut self.inner.random;
        if stock.is_empty() {
            let mut bytes = [0; 4 * RANDOM_STOCK];
            aws_lc_rs::rand::fill(&mut bytes).ok()?;
            let (bytes, _) = bytes.as_chunks();
            stock.extend_from_slice(bytes);
        }
        stock.pop()
    }

    /// What has arrived from the server.
    #[must_use]
    pub fn input(&self) -> &Buffer {
        &self.inner.pipe.input
    }

    /// The same, to be consumed.
    pub fn input_mut(&mut self) -> &mut Buffer {
        &mut self.inner.pipe.input
    }

    /// Bytes that are to be sent to the server.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.inner.pipe.output
    }

    /// Reads what has arrived: 0 at the end of the stream.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Inner {
            transport, pipe, ..
        } = &mut *self.inner;
        let input = &mut pipe.input;
        let n = ready!(transport.poll_read(cx, input.room()))?;
        input.filled(n);
        Poll::Ready(Ok(n))
    }

    /// Sends the output, and behind it what it can of `run`: returns how much
    /// of `run` was taken once the output is all sent.
    pub fn poll_send(&mut self, cx: &mut Context<'_>, run: &[u8]) -> Poll<io::Result<usize>> {
        let Inner {
            transport, pipe, ..
        } = &mut *self.inner;
        crate::transport::poll_send(transport, &mut pipe.output, run, cx)
    }

    /// Sends the output.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.inner.pipe.output.is_empty() {
            ready!(self.poll_send(cx, &[]))?;
        }
        self.inner.transport.poll_flush(cx)
    }

    /// Sends what can be sent until something is read. Both at once: the server
    /// may have to get rid of answers before it takes more.
    ///
    /// # Errors
    /// As the socket has them; `UnexpectedEof` at the end of the stream.
    pub async fn exchange(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
                return Poll::Ready(Err(error));
            }
            self.poll_fill(cx).map(|n| match n? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            })
        })
        .await
    }

    /// Whether something has arrived while the connection was idle. Makes no
    /// system call. On an idle connection anything is a reason for care: the
    /// server has closed it, or speaks unasked.
    #[must_use]
    pub fn is_disturbed(&self) -> bool {
        !self.inner.pipe.input.is_empty() || self.inner.transport.is_readable()
    }

    /// Gives back memory that an idle connection does not need.
    pub fn rest(&mut self) {
        self.inner.pipe.input.release();
    }

    /// Says goodbye to the server and closes the connection.
    pub async fn close(mut self) {
        let mut terminate = BytesMut::new();
        postgres_protocol::message::frontend::terminate(&mut terminate);
        let goodbye = async {
            if self.inner.transport.write_all(&terminate).await.is_ok() {
                self.inner.transport.close().await;
            }
        };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }

    /// Says goodbye and waits until the server has closed the connection; what it
    /// sends meanwhile is read and dropped. Safe to be stopped and called again.
    pub async fn hang_up(&mut self) {
        if let Some(enrolled) = &self.inner.enrolled {
            enrolled.closes();
        }
        if !std::mem::replace(&mut self.inner.hung_up, true) {
            // Behind a message that is cut off it would be taken for a part of it:
            // the end of the stream must do.
            if self.inner.pipe.output.is_empty() && self.inner.at_boundary {
                postgres_protocol::message::frontend::terminate(&mut self.inner.pipe.output);
            } else {
                self.inner.pipe.output.clear();
            }
        }
        loop {
            let closed = std::future::poll_fn(|cx| {
                let Inner {
                    transport, pipe, ..
                } = &mut *self.inner;
                let Pipe { input, output, .. } = pipe;
                let sent = crate::transport::poll_send(transport, output, &[], cx);
                if sent.is_ready() {
                    let _ = transport.poll_shutdown(cx);
                }
                input.consume(input.len());
                match ready!(transport.poll_read(cx, input.room())) {
                    Ok(0) | Err(_) => Poll::Ready(true),
                    Ok(_) => Poll::Ready(false),
                }
            });
            if closed.await {
                return;
            }
        }
    }

    /// Says whether what has been sent ends with a whole message.
    pub fn set_boundary(&mut self, at_boundary: bool) {
        self.inner.at_boundary = at_boundary;
    }

    /// The connection without its socket.
    pub(crate) fn raw_pipe_mut(&mut self) -> &mut Pipe {
        &mut self.inner.pipe
    }

    /// The same, and the state.
    pub(crate) fn raw_parts_mut(&mut self) -> (&mut Pipe, &mut S) {
        (&mut self.inner.pipe, &mut self.state)
    }

    /// What is known of the connection.
    pub(crate) fn state(&self) -> &S {
        &self.state
    }

    /// The same, to be changed.
    pub(crate) fn state_mut(&mut self) -> &mut S {
        &mut self.state
    }

    /// The connection without its state, and the state.
    pub(crate) fn split(self) -> (Connection<()>, S) {
        (
            Connection {
                inner: self.inner,
                state: (),
            },
            self.state,
        )
    }

    /// The connection in another state. What a state may follow is decided
    /// where states are made.
    pub(crate) fn with_state<T>(self, state: T) -> Connection<T> {
        Connection {
            inner: self.inner,
            state,
        }
    }
}

impl Connection<Unbound> {
    /// The connection, whose opening began then.
    pub(super) fn opened_at(mut self, begun: Instant) -> Self {
        self.inner.opened = begun;
        self
    }

    /// The connection, which was opened at this address.
    pub(super) fn opened_from(mut self, address: Address) -> Self {
        self.inner.key.address = Some(address);
        self
    }

    /// Enters it among the connections there are. It keeps `held` to its end.
    pub fn enrol(&mut self, roll: &Arc<Roll>, role: Arc<str>, held: Option<Held>) {
        let inner = &mut *self.inner;
        let (id, server) = (inner.id, inner.server.clone());
        let tls = inner.transport.tls();
        let card = Card::new(id, server, inner.key, role, inner.opened, tls);
        inner.enrolled = Some(roll.enrol(card, held));
    }

    /// A connection that has just logged in.
    pub(super) fn new(
        server: ServerName,
        transport: Transport,
        key: BackendKey,
        parameters: Parameters,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            inner: Box::new(Inner {
                id: ConnectionId(NEXT.fetch_add(1, Ordering::Relaxed)),
                server,
                key,
                worker: 0,
                transport,
                pipe: Pipe {
                    parameters,
                    ..Pipe::default()
                },
                opened: Instant::now(),
                serial: 0,
                random: Vec::new(),
                at_boundary: true,
                hung_up: false,
                customs: Customs::default(),
                enrolled: None,
            }),
            state: Unbound(()),
        }
    }
}

/// What cancels the statement that runs on a connection (BackendKeyData), and what of the
/// server it was given by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BackendKey {
    /// The server's process.
    pub pid: u32,
    pub(super) secret: [u8; 4],
    /// Where the server was reached, which its name may lead elsewhere from.
    pub address: Option<Address>,
    /// The timeline that it told of at login; 0: it was not asked for it.
    pub timeline: u32,
}

impl fmt::Debug for BackendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendKey")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}
