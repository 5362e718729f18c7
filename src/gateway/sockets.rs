//! The sockets that are listened on: opened here, or passed by a service manager.
//!
//! A socket that was passed outlives the process: clients that come while it is replaced
//! wait in the socket's queue.

use crate::transport;
use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Connections that the kernel may hold ready for us.
pub(super) const BACKLOG: i32 = 1024;

/// How long nobody is accepted after one could not be.
const PAUSE: Duration = Duration::from_millis(100);
/// So long nobody may have come, until a socket counts as empty.
const QUIET: Duration = Duration::from_millis(20);
/// Most time for those who have come already.
const LAST: Duration = Duration::from_millis(500);

/// A socket that is listened on.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    /// It was passed, and is there after the process.
    outlives: bool,
    reuse_port: bool,
}

impl Listener {
    /// Accepts until `closing`, and passes on whoever comes. Whoever has come before is
    /// not refused, where the socket ends with the process.
    pub(super) async fn accept(
        self,
        closing: impl Future<Output = ()>,
        pass_on: impl Fn(TcpStream, SocketAddr),
    ) {
        let next = |context: &mut Context<'_>| self.socket.poll_accept(context);
        tokio::select! {
            () = closing => {}
            () = accept(next, |(stream, address)| pass_on(stream, address)) => {}
        }
        if self.outlives {
            return;
        }
        if self.reuse_port {
            // One at most is held ready from now on. The others try again, and then the
            // kernel leads them to the other process.
            let _ = socket2::SockRef::from(&self.socket).listen(0);
        }
        let last = async {
            while let Ok(Ok((stream, address))) = timeout(QUIET, self.socket.accept()).await {
                pass_on(stream, address);
            }
        };
        let _ = timeout(LAST, last).await;
    }
}

/// Accepts for ever, and passes on whoever comes.
pub(super) async fn accept<C>(
    next: impl Fn(&mut Context<'_>) -> Poll<io::Result<C>>,
    pass_on: impl Fn(C),
) {
    loop {
        match poll_fn(&next).await {
            Ok(client) => pass_on(client),
            Err(error) => {
                // Out of file descriptors, most often: others must leave first.
                tracing::warn!(target: "pgtenant::gateway", %error, "cannot accept a client");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Where sockets come from.
pub(super) struct Sockets {
    /// Those that were passed (`LISTEN_FDS`) and not taken yet.
    passed: Vec<(SocketAddr, std::net::TcpListener)>,
    reuse_port: bool,
}

impl Sockets {
    /// With `reuse_port` another process may listen on the same addresses.
    ///
    /// # Errors
    /// If something was passed that is no socket of TCP's.
    pub(super) fn new(reuse_port: bool) -> io::Result<Self> {
        let mut fds = ListenFd::from_env();
        let mut passed = Vec::new();
        for n in 0..fds.len() {
            let taken = fds.take_tcp_listener(n);
            let taken = taken.and_then(|listener| {
                let address = listener.as_ref().map(std::net::TcpListener::local_addr);
                Ok(address.transpose()?.zip(listener))
            });
            let named = |error| {
                io::Error::other(format!(
                    "what the service manager has passed as number {n}: {error}"
                ))
            };
            passed.extend(taken.map_err(named)?);
        }
        Ok(Self { passed, reuse_port })
    }

    /// Listens; an error names the address.
    pub(super) fn listen_on(
        &mut self,
        addresses: &[SocketAddr],
    ) -> io::Result<Vec<std::net::TcpListener>> {
        let listeners = addresses.iter().map(|address| self.listen(*address));
        listeners.map(|listener| Ok(listener?.0)).collect()
    }

    /// The same, for this runtime.
    pub(super) fn accept_on(&mut self, addresses: &[SocketAddr]) -> io::Result<Vec<Listener>> {
        let reuse_port = self.reuse_port;
        let listener = |address: &SocketAddr| {
            let (socket, outlives) = self.listen(*address)?;
            Ok(Listener {
                socket: TcpListener::from_std(socket)?,
                outlives,
                reuse_port,
            })
        };
        addresses.iter().map(listener).collect()
    }

    /// A socket that was passed and is none of the configuration's would take clients
    /// whom nobody serves.
    pub(super) fn all_used(&self) -> io::Result<()> {
        match self.passed.first() {
            None => Ok(()),
            Some((address, _)) => Err(io::Error::other(format!(
                "{address}: the service manager has passed a socket with this address, which is \
                 none of listen.address, listen.peer_address, admin.address and admin.console"
            ))),
        }
    }

    /// The socket, and whether it was passed.
    fn listen(&mut self, address: SocketAddr) -> io::Result<(std::net::TcpListener, bool)> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
        let passed = self.passed.iter().position(|(own, _)| *own == address);
        match passed {
            Some(passed) => {
                let (_, listener) = self.passed.swap_remove(passed);
                Ok((prepared(listener).map_err(named)?, true))
            }
            None => Ok((bound(address, self.reuse_port).map_err(named)?, false)),
        }
    }
}

fn prepared(listener: std::net::TcpListener) -> io::Result<std::net::TcpListener> {
    listener.set_nonblocking(true)?;
    transport::tune(&listener)?;
    Ok(listener)
}

fn bound(address: SocketAddr, reuse_port: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // As PostgreSQL does: `[::]` does not take 0.0.0.0's place.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    transport::tune(&socket)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
