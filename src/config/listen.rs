//! `[listen]`

use super::Listen;
use super::reader::{Entry, Section};
use super::{limits, peers, size, unix};
use crate::problem::shown;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::ops::RangeInclusive;
use std::time::Duration;

const DEFAULT_ADDRESS: &str = "127.0.0.1:6432";
pub(super) const MOST_CLIENTS: u32 = 1_000_000;
/// What `max_statement` may be: less would refuse what PostgreSQL's own programs
/// send, and the protocol has no room for more.
const STATEMENTS: RangeInclusive<usize> = 64 << 10..=1023 << 20;
const MAX_STATEMENT: usize = 1 << 20;
const MOST_WORKERS: u32 = 256;
/// `drain_spread` unless it is given.
const SPREAD: Duration = Duration::from_secs(2);
const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn read(mut section: Section<'_>) -> Listen {
    let max_clients = section
        .optional("max_clients")
        .and_then(|entry| entry.integer(1..=MOST_CLIENTS))
        .unwrap_or(10_000);
    let clients_per_tenant = section.optional("clients_per_tenant").and_then(|entry| {
        let most = entry.integer(1..=MOST_CLIENTS)?;
        if most > max_clients {
            entry.refuse(format!(
                "must be at most listen.max_clients, which is {max_clients}"
            ));
        }
        Some(most)
    });
    let drain_timeout = section
        .optional("drain_timeout")
        .and_then(|entry| entry.duration(Duration::ZERO..=HOUR))
        .unwrap_or(Duration::from_secs(30));
    let drain_spread = section.optional("drain_spread").and_then(|entry| {
        let spread = entry.duration(Duration::ZERO..=HOUR)?;
        if spread > drain_timeout {
            entry.refuse("must be at most listen.drain_timeout, after which nobody is waited for");
        }
        Some(spread)
    });
    let listen = Listen {
        addresses: match section.optional("address") {
            Some(entry) => addresses(&entry),
            None => DEFAULT_ADDRESS.parse().into_iter().collect(),
        },
        max_clients: max_clients as usize,
        clients_per_tenant: clients_per_tenant.unwrap_or(max_clients) as usize,
        login_timeout: section
            .optional("login_timeout")
            .and_then(|entry| entry.duration(Duration::from_secs(1)..=Duration::from_secs(600)))
            .unwrap_or(Duration::from_secs(10)),
        drain_timeout,
        drain_delay: section
            .optional("drain_delay")
            .and_then(|entry| entry.duration(Duration::ZERO..=HOUR))
            .unwrap_or_default(),
        drain_spread: drain_spread.unwrap_or_else(|| SPREAD.min(drain_timeout / 2)),
        timeouts: limits::timeouts_for_all(&mut section).unwrap_or_default(),
        reuse_port: section
            .optional("reuse_port")
            .and_then(|entry| entry.boolean())
            .unwrap_or(false),
        workers: section
            .optional("workers")
            .and_then(|entry| entry.integer_or("auto", 1..=MOST_WORKERS))
            .flatten()
            .map_or_else(cores, |n| n as usize),
        max_statement: section
            .optional("max_statement")
            .and_then(|entry| size::read(&entry, STATEMENTS))
            .unwrap_or(MAX_STATEMENT),
        proxy_protocol: section
            .optional("proxy_protocol")
            .and_then(|entry| limits::networks(&entry))
            .unwrap_or_default(),
        peer: peers::own(&mut section),
        unix: unix::read(&mut section),
    };
    if listen.reuse_port && listen.unix.is_some() {
        section.refuse(
            "unix",
            "cannot be used with listen.reuse_port: one process alone can listen on the socket",
        );
    }
    section.finish();
    listen
}

/// The processor cores that the process may use, as the scheduler and the quota of its
/// control group (a container's limit) have it.
fn cores() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.min(MOST_WORKERS as usize)
}

pub(super) fn addresses(entry: &Entry<'_>) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for text in entry.texts().into_iter().flatten() {
        match text.to_socket_addrs() {
            Ok(resolved) => addresses.extend(resolved),
            Err(e) => entry.refuse(format!(
                "{} is not an address with a port, such as \"{DEFAULT_ADDRESS}\" or \
                 \"[::]:6432\": {e}",
                shown(text)
            )),
        }
    }
    let mut seen = std::collections::HashSet::new();
    addresses.retain(|address| address.port() == 0 || seen.insert(*address));
    addresses
}
