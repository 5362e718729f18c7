//! A connection that can pass from one worker to another.

use rustix::net::{RecvFlags, recv};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connection over TCP, or over a Unix-domain socket. Each worker has a reactor of its
/// own, which tells a connection's user that something has arrived. To be told by another
/// worker's costs a wake-up across threads each time, so a connection
/// [moves](Self::move_here) to the worker that uses it.
#[derive(Debug)]
pub struct Socket(
    /// `None`: it could not be moved, and is closed.
    Option<Kind>,
);

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self(Some(Kind::Tcp(stream)))
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self(Some(Kind::Unix(stream)))
    }
}

impl Socket {
    /// Whether something has arrived (data, or the end of the stream), as far
    /// as the reactor knows: no system call is made.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        let arrived = || Ok(());
        match &self.0 {
            Some(Kind::Tcp(stream)) => stream.try_io(Interest::READABLE, arrived).is_ok(),
            Some(Kind::Unix(stream)) => stream.try_io(Interest::READABLE, arrived).is_ok(),
            None => true,
        }
    }

    /// Waits until something has arrived; nothing is read.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            Some(Kind::Tcp(stream)) => stream.poll_read_ready(cx),
            Some(Kind::Unix(stream)) => stream.poll_read_ready(cx),
            None => Poll::Ready(Err(closed())),
        }
    }

    /// What has arrived, which stays to be read; nothing at the end of the stream.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn peek(&self, into: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Some(Kind::Tcp(stream)) => stream.peek(into).await,
            Some(Kind::Unix(stream)) => {
                let peek = || Ok(recv(stream, &mut *into, RecvFlags::PEEK)?.0);
                stream.async_io(Interest::READABLE, peek).await
            }
            None => Err(closed()),
        }
    }

    /// Whether it is a Unix-domain socket.
    #[must_use]
    pub fn is_unix(&self) -> bool {
        matches!(self.0, Some(Kind::Unix(_)))
    }

    /// This end's address, over TCP.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            Some(Kind::Tcp(stream)) => stream.local_addr().ok(),
            _ => None,
        }
    }

    /// Sets it up as [`tune`](super::tune) does, where there is something to set up.
    ///
    /// # Errors
    /// As the socket has them.
    pub fn tune(&self) -> io::Result<()> {
        match &self.0 {
            Some(Kind::Tcp(stream)) => super::tune(stream),
            _ => Ok(()),
        }
    }

    /// Moves it to the reactor of the runtime that this is called in. What has arrived
    /// already is told of there.
    ///
    /// # Errors
    /// Those of the system; the connection is closed then.
    pub fn move_here(&mut self) -> io::Result<()> {
        self.0 = Some(match self.0.take().ok_or_else(closed)? {
            Kind::Tcp(stream) => Kind::Tcp(TcpStream::from_std(stream.into_std()?)?),
            Kind::Unix(stream) => Kind::Unix(UnixStream::from_std(stream.into_std()?)?),
        });
        Ok(())
    }
}

fn closed() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

/// What either kind does, or the error that the connection is closed.
macro_rules! on_stream {
    ($socket:expr, $stream:ident => $call:expr) => {
        match &mut $socket.0 {
            Some(Kind::Tcp(stream)) => {
                let $stream = Pin::new(stream);
                $call
            }
            Some(Kind::Unix(stream)) => {
                let $stream = Pin::new(stream);
                $call
            }
            None => Poll::Ready(Err(closed())),
        }
    };
}

impl AsyncRead for Socket {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => stream.poll_write(cx, buf))
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_shutdown(cx))
    }
}
