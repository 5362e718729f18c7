//! Reaching a server whose name has several addresses, of which some may be silent.

use crate::config::{Host, Server};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// An address of one of a server's hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The address and the port; of a Unix-domain socket this machine's, 127.0.0.1.
    pub socket: SocketAddr,
    /// The number of the host in the configuration: its certificate names it.
    pub host: usize,
}

/// The addresses of the server, the one first that was reached last. A name that leads
/// nowhere does not matter while another one leads somewhere.
pub(crate) async fn addresses(server: &Server) -> io::Result<Vec<Address>> {
    let limit = server.connect_timeout / 2;
    let mut lookups = JoinSet::new();
    for (number, host) in server.hosts.iter().enumerate() {
        let host = host.clone();
        lookups.spawn(async move { (number, timeout(limit, lookup(&host)).await) });
    }
    let (mut found, mut failed) = (Vec::new(), None);
    while let Some(lookup) = lookups.join_next().await {
        match lookup.map_err(io::Error::other)? {
            (number, Ok(Ok(sockets))) => found.push((number, sockets)),
            (_, Ok(Err(error))) => failed = Some(error),
            (_, Err(_)) => failed = Some(io::ErrorKind::TimedOut.into()),
        }
    }
    found.sort_by_key(|(number, _)| *number);
    let mut addresses: Vec<Address> = Vec::new();
    for (host, sockets) in found {
        for socket in sockets {
            if !addresses.iter().any(|known| known.socket == socket) {
                addresses.push(Address { socket, host });
            }
        }
    }
    if let (true, Some(error)) = (addresses.is_empty(), failed) {
        return Err(error);
    }
    let last = server.reached.get();
    addresses.sort_by_key(|address| Some(address.socket) != last);
    Ok(addresses)
}

async fn lookup(host: &Host) -> io::Result<Vec<SocketAddr>> {
    if host.socket().is_some() {
        return Ok(vec![(Ipv4Addr::LOCALHOST, host.port).into()]);
    }
    Ok(lookup_host((&*host.name, host.port)).await?.collect())
}

/// What `open` makes of the first address with which it succeeds. Each gets a share
/// of `limit` until the next is tried beside it; one that fails, at once. A slow
/// server with two addresses may so be asked twice, but never is given up for
/// a silent one.
///
/// # Errors
/// The first one, once all have failed; one that would be the same at each address
/// (`is_final`), at once.
pub(crate) async fn first_of<'a, A, T, E: From<io::Error>>(
    addresses: Vec<A>,
    limit: Duration,
    open: impl Fn(A) -> Attempt<'a, T, E>,
    is_final: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let share = limit / u32::try_from(addresses.len() + 1).unwrap_or(u32::MAX);
    let mut left = addresses.into_iter();
    let mut running = Vec::new();
    let mut failed = None;
    loop {
        match left.next() {
            Some(address) => running.push(open(address)),
            None if running.is_empty() => {
                let nowhere = || io::Error::from(io::ErrorKind::AddrNotAvailable).into();
                return Err(failed.unwrap_or_else(nowhere));
            }
            None => {}
        }
        let patience = if left.len() > 0 { share } else { limit };
        match timeout(patience, any(&mut running)).await {
            Ok(Ok(opened)) => return Ok(opened),
            Ok(Err(error)) if is_final(&error) => return Err(error),
            Ok(Err(error)) => {
                failed.get_or_insert(error);
            }
            // The next is tried beside it.
            Err(_) => {}
        }
    }
}

/// Opening something at one address.
pub(crate) type Attempt<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// Waits for the first that comes to an end, and takes it out.
async fn any<T, E>(running: &mut Vec<Attempt<'_, T, E>>) -> Result<T, E> {
    std::future::poll_fn(|cx| {
        for at in 0..running.len() {
            if let Some(attempt) = running.get_mut(at)
                && let Poll::Ready(outcome) = attempt.as_mut().poll(cx)
            {
                drop(running.swap_remove(at));
                return Poll::Ready(outcome);
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, host], 5432))
    }

    /// 1 is silent, 2 refuses, 3 knows another password, others answer.
    fn open(address: SocketAddr) -> Attempt<'static, SocketAddr, io::Error> {
        Box::pin(async move {
            match address.ip().to_string().as_str() {
                "127.0.0.1" => std::future::pending().await,
                "127.0.0.2" => Err(io::ErrorKind::ConnectionRefused.into()),
                "127.0.0.3" => Err(io::ErrorKind::PermissionDenied.into()),
                _ => Ok(address),
            }
        })
    }

    async fn reached(hosts: &[u8]) -> Result<SocketAddr, io::ErrorKind> {
        let addresses = hosts.iter().map(|host| address(*host)).collect();
        let is_final = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        let limit = Duration::from_millis(100);
        let outcome = timeout(10 * limit, first_of(addresses, limit, open, is_final)).await;
        outcome
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| error.kind())
    }

    #[tokio::test]
    async fn the_next_address_is_tried_where_one_is_silent_or_refuses() {
        assert_eq!(reached(&[4]).await, Ok(address(4)));
        assert_eq!(reached(&[1, 4]).await, Ok(address(4)));
        assert_eq!(reached(&[2, 1, 2, 4]).await, Ok(address(4)));
        assert_eq!(reached(&[4, 1]).await, Ok(address(4)));
    }

    #[tokio::test]
    async fn the_first_failure_is_told_once_all_have_failed() {
        let refused = Err(io::ErrorKind::ConnectionRefused);
        assert_eq!(reached(&[2, 2]).await, refused);
        assert_eq!(reached(&[]).await, Err(io::ErrorKind::AddrNotAvailable));
        assert_eq!(reached(&[1, 2]).await, Err(io::ErrorKind::TimedOut));
    }

    #[tokio::test]
    async fn what_every_address_would_say_is_told_at_once() {
        let denied = Err(io::ErrorKind::PermissionDenied);
        assert_eq!(reached(&[2, 3, 4]).await, denied);
    }
}
