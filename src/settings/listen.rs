//! `[listen]`

use super::Listen;
use super::problem::shown;
use super::reader::{Entry, Section};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

const DEFAULT_ADDRESS: &str = "127.0.0.1:6432";
const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn read(mut section: Section<'_>) -> Listen {
    let listen = Listen {
        addresses: match section.optional("address") {
            Some(entry) => addresses(&entry),
            None => DEFAULT_ADDRESS.parse().into_iter().collect(),
        },
        max_clients: section
            .optional("max_clients")
            .and_then(|entry| entry.integer(1..=1_000_000))
            .map_or(10_000, |n| n as usize),
        login_timeout: section
            .optional("login_timeout")
            .and_then(|entry| entry.duration(Duration::from_secs(1)..=Duration::from_secs(600)))
            .unwrap_or(Duration::from_secs(10)),
        drain_timeout: section
            .optional("drain_timeout")
            .and_then(|entry| entry.duration(Duration::ZERO..=HOUR))
            .unwrap_or(Duration::from_secs(30)),
        workers: section
            .optional("workers")
            .and_then(|entry| entry.integer(1..=256))
            .map_or(1, |n| n as usize),
    };
    section.finish();
    listen
}

fn addresses(entry: &Entry<'_>) -> Vec<SocketAddr> {
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
