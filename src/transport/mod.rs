//! Byte streams, in clear text or TLS, and the buffers that stand before them.

mod address;
mod buffer;
mod socket;

pub use address::ClientAddress;
pub use buffer::Buffer;
pub use socket::Socket;

use bytes::{Buf as _, BytesMut};
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

/// Sets a connection up, or a listener for those that it accepts: small writes go
/// out at once, and a peer that is gone without a word is noticed.
///
/// # Errors
/// As the socket has them.
pub fn tune(socket: &impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(10));
    socket.set_tcp_keepalive(&keepalive)
}

/// Gives the connection up once what was sent has not been acknowledged for so long.
///
/// # Errors
/// Those of the system. Where it has no such option, nothing happens.
pub fn bound_silence(socket: &impl AsFd, limit: Duration) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    SockRef::from(socket).set_tcp_user_timeout(Some(limit))?;
    #[cfg(not(target_os = "linux"))]
    let _ = (socket, limit);
    Ok(())
}

/// Whether what is accepted has the options of its listener.
pub const INHERITS_OPTIONS: bool = cfg!(target_os = "linux");

/// Sends `staged`, and behind it what it can of `run`, in one system call where
/// the socket takes it. Ready with the bytes of `run` that were taken; some of
/// them may be staged now.
pub fn poll_send(
    transport: &mut Transport,
    staged: &mut BytesMut,
    run: &[u8],
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    if !staged.is_empty() && (1..=SHORT).contains(&run.len()) {
        staged.extend_from_slice(run);
        return match poll_send(transport, staged, &[], cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(run.len())),
        };
    }
    loop {
        let slices = [IoSlice::new(staged), IoSlice::new(run)];
        let n = match (staged.is_empty(), run.is_empty()) {
            (true, true) => return Poll::Ready(Ok(0)),
            (true, false) => transport.poll_write(cx, &slices[1..]),
            (false, true) => transport.poll_write(cx, &slices[..1]),
            (false, false) => transport.poll_write(cx, &slices),
        };
        let n = ready!(n)?;
        if n == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let of_staged = n.min(staged.len());
        staged.advance(of_staged);
        if staged.is_empty() {
            return Poll::Ready(Ok(n - of_staged));
        }
    }
}

/// A run of so many bytes is copied behind what is staged, which costs less than
/// sending two slices.
const SHORT: usize = 2048;

/// A connection, in clear text or TLS.
#[derive(Debug)]
pub enum Transport {
    /// Clear text.
    Plain(Socket),
    /// TLS, of either side.
    Tls(Box<TlsStream<Socket>>),
}

impl Transport {
    /// Protocol and cipher suite, over TLS.
    #[must_use]
    pub fn tls(&self) -> Option<Box<str>> {
        let Self::Tls(stream) = self else {
            return None;
        };
        let (_, session) = stream.get_ref();
        let version = session.protocol_version()?.as_str()?.replace('_', ".");
        let suite = session.negotiated_cipher_suite()?.suite().as_str()?;
        Some(format!("{version}/{suite}").into())
    }

    /// This end's address, over TCP.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Plain(socket) => socket.local_addr(),
            Self::Tls(stream) => stream.get_ref().0.local_addr(),
        }
    }

    /// Reads what has arrived into `into`: 0 bytes at the end of the stream.
    #[inline]
    pub fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(into);
        ready!(match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, &mut buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, &mut buf),
        })?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// Writes `slices` in order, as much as goes without waiting.
    #[inline]
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            // One slice goes out by send(), which costs less than writev().
            Self::Plain(stream) if let [slice] = slices => Pin::new(stream).poll_write(cx, slice),
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    /// Sends on what a TLS layer holds back.
    #[inline]
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) if !stream.get_ref().1.wants_write() => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Whether something has arrived (data, or the end of the stream), as far
    /// as the reactor knows: no system call is made.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.socket().is_readable()
    }

    /// Waits until something has arrived; nothing is read.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_read_ready(cx)
    }

    /// Moves the connection to the reactor of the runtime that this is called in.
    ///
    /// # Errors
    /// Those of the system; the connection is closed then.
    pub fn move_here(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.move_here(),
            Self::Tls(stream) => stream.get_mut().0.move_here(),
        }
    }

    /// Says that nothing more is sent (TLS close_notify, TCP FIN).
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    /// Writes all of `bytes` and flushes.
    ///
    /// # Errors
    /// As the socket has them.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let n = std::future::poll_fn(|cx| self.poll_write(cx, &[IoSlice::new(bytes)])).await?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(n..).unwrap_or_default();
        }
        std::future::poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Reads at least one byte into `buffer`.
    ///
    /// # Errors
    /// As the socket has them; `UnexpectedEof` at the end of the stream.
    pub async fn read_some(&mut self, buffer: &mut Buffer) -> io::Result<()> {
        let n = std::future::poll_fn(|cx| self.poll_read(cx, buffer.room())).await?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer.filled(n);
        Ok(())
    }

    /// Says goodbye (TLS close_notify, TCP FIN) and waits for the other side to
    /// close, so that our last words are not lost to a reset: a socket that is
    /// closed with unread bytes sends one. Errors do not matter any more. To be
    /// called with a limit on time.
    pub async fn close(&mut self) {
        let said = std::future::poll_fn(|cx| self.poll_shutdown(cx)).await;
        if said.is_err() {
            return;
        }
        // On the heap, or every task that may close would have room for it.
        let mut unread = vec![0; 4096];
        while let Ok(1..) = std::future::poll_fn(|cx| self.poll_read(cx, &mut unread)).await {}
    }

    /// Whether the bytes are encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}
