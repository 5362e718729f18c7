//! A TCP connection that can pass from one worker to another.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection. Each worker has a reactor of its own, which tells a connection's
/// user that something has arrived. To be told by another worker's costs a wake-up
/// across threads each time, so a connection [moves](Self::move_here) to the worker
/// that uses it.
#[derive(Debug)]
pub struct Tcp(
    /// `None`: it could not be moved, and is closed.
    Option<TcpStream>,
);

impl From<TcpStream> for Tcp {
    fn from(stream: TcpStream) -> Self {
        Self(Some(stream))
    }
}

impl Tcp {
    /// Whether something has arrived (data, or the end of the stream), as far
    /// as the reactor knows: no system call is made.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        let arrived = || Ok(());
        let has_arrived = |stream: &TcpStream| stream.try_io(Interest::READABLE, arrived).is_ok();
        self.0.as_ref().is_none_or(has_arrived)
    }

    /// Waits until something has arrived; nothing is read.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            Some(stream) => stream.poll_read_ready(cx),
            None => Poll::Ready(Err(closed())),
        }
    }

    /// Moves it to the reactor of the runtime that this is called in. What has arrived
    /// already is told of there.
    ///
    /// # Errors
    /// Those of the system; the connection is closed then.
    pub fn move_here(&mut self) -> io::Result<()> {
        let stream = self.0.take().ok_or_else(closed)?;
        self.0 = Some(TcpStream::from_std(stream.into_std()?)?);
        Ok(())
    }

    #[inline]
    fn get(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.0.as_mut().map(Pin::new).ok_or_else(closed)
    }
}

fn closed() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl AsyncRead for Tcp {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Tcp {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get()?.poll_write(cx, buf)
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get()?.poll_shutdown(cx)
    }
}
