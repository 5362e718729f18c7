//! What `[[tenants]]` say of one tenant alone.

use super::audit;
use super::listen::MOST_CLIENTS;
use super::reader::{Entry, Section};
use crate::problem::shown;
use crate::tenant::{Allowed, Limits, Standing};
use crate::transport::ClientAddress;
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

const MOST_CONNECTIONS: u32 = 100_000;
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Timeouts are looked at several times a second.
const SHORTEST: Duration = Duration::from_millis(100);

/// The keys of `[[tenants]]` that no template can name.
pub(super) const RESERVED: [&str; 12] = [
    "id",
    "name",
    "isolation",
    "server",
    "state",
    "read_only",
    "pool_size",
    "max_clients",
    "statement_timeout",
    "idle_in_transaction_timeout",
    "allowed",
    "audit",
];

/// What the tenant's clients may do.
pub(super) fn standing(section: &mut Section<'_>) -> Option<Standing> {
    let state = match section.optional("state") {
        Some(entry) => entry.choice(
            &[Standing::Active, Standing::ReadOnly, Standing::Suspended]
                .map(|standing| (standing.name(), standing)),
        ),
        None => Some(Standing::Active),
    };
    let read_only = match section.optional("read_only") {
        Some(entry) => entry.boolean(),
        None => Some(false),
    };
    Some(match (state?, read_only?) {
        (Standing::Active, true) => Standing::ReadOnly,
        (standing, _) => standing,
    })
}

/// Its own limits.
pub(super) fn read(section: &mut Section<'_>) -> Option<Limits> {
    let pool_size = number(section, "pool_size", MOST_CONNECTIONS);
    let max_clients = number(section, "max_clients", MOST_CLIENTS);
    let statement_timeout = duration(section, "statement_timeout");
    let idle = duration(section, "idle_in_transaction_timeout");
    let allowed = match section.optional("allowed") {
        Some(entry) => allowed(&entry),
        None => Some(Allowed::default()),
    };
    let audit = audit::statements(section, "audit");
    Some(Limits {
        pool_size: pool_size?,
        max_clients: max_clients?,
        statement_timeout: statement_timeout?,
        idle_in_transaction_timeout: idle?,
        allowed: allowed?,
        audit,
    })
}

fn number(section: &mut Section<'_>, key: &str, most: u32) -> Option<Option<usize>> {
    match section.optional(key) {
        Some(entry) => entry.integer(1..=most).map(|n| Some(n as usize)),
        None => Some(None),
    }
}

fn duration(section: &mut Section<'_>, key: &str) -> Option<Option<Duration>> {
    match section.optional(key) {
        Some(entry) => entry.duration(SHORTEST..=LONGEST).map(Some),
        None => Some(None),
    }
}

/// Networks, single addresses, and the Unix-domain socket.
fn allowed(entry: &Entry<'_>) -> Option<Allowed> {
    let is_local = |text: &&str| *text == ClientAddress::LOCAL;
    let (local, others): (Vec<_>, Vec<_>) = entry.texts()?.into_iter().partition(is_local);
    Some(Allowed {
        networks: parsed(entry, others)?,
        local: !local.is_empty(),
    })
}

/// Networks, or single addresses.
pub(super) fn networks(entry: &Entry<'_>) -> Option<Box<[IpNet]>> {
    parsed(entry, entry.texts()?)
}

fn parsed(entry: &Entry<'_>, texts: Vec<&str>) -> Option<Box<[IpNet]>> {
    let parse = |text: &str| {
        let net = text
            .parse::<IpNet>()
            .ok()
            .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        if net.is_none() {
            entry.refuse_hidden(format!(
                "{} is not a network: right is such as \"10.1.0.0/16\", \"2001:db8::/32\" or an address",
                shown(text)
            ));
        }
        net
    };
    let nets: Vec<_> = texts.into_iter().map(parse).collect();
    nets.into_iter().collect()
}
