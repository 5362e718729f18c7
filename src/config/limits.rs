//! What `[[tenants]]` say of one tenant alone.

use super::audit;
use super::listen::MOST_CLIENTS;
use super::reader::{Entry, Section};
use crate::problem::shown;
use crate::tenant::{Allowed, Limits, Standing, Timeouts};
use crate::transport::ClientAddress;
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

const MOST_CONNECTIONS: u32 = 100_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Timeouts are looked at several times a second.
const SHORTEST: Duration = Duration::from_millis(100);

/// The keys of `[[tenants]]` that no template can name.
pub(super) const RESERVED: [&str; 14] = [
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
    "transaction_timeout",
    "client_idle_timeout",
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
    let timeouts = timeouts(section);
    let allowed = match section.optional("allowed") {
        Some(entry) => allowed(&entry),
        None => Some(Allowed::default()),
    };
    let audit = audit::statements(section, "audit");
    Some(Limits {
        pool_size: pool_size?,
        max_clients: max_clients?,
        timeouts: timeouts?,
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

/// Most time that sessions have, as far as this section says.
pub(super) fn timeouts(section: &mut Section<'_>) -> Option<Timeouts> {
    read_timeouts(section, SHORTEST)
}

/// The same where "0s" may stand for no limit.
pub(super) fn timeouts_for_all(section: &mut Section<'_>) -> Option<Timeouts> {
    read_timeouts(section, Duration::ZERO)
}

fn read_timeouts(section: &mut Section<'_>, least: Duration) -> Option<Timeouts> {
    let mut read = |key, most| match section.optional(key) {
        Some(entry) => {
            let limit = entry.duration(least..=most)?;
            if !limit.is_zero() && limit < SHORTEST {
                entry.refuse("must be \"0s\", which is no limit, or at least \"100ms\"");
                return None;
            }
            Some((!limit.is_zero()).then_some(limit))
        }
        None => Some(None),
    };
    let statement_timeout = read("statement_timeout", DAY);
    let idle_in_transaction_timeout = read("idle_in_transaction_timeout", DAY);
    let transaction_timeout = read("transaction_timeout", DAY);
    let client_idle_timeout = read("client_idle_timeout", 30 * DAY);
    Some(Timeouts {
        statement_timeout: statement_timeout?,
        idle_in_transaction_timeout: idle_in_transaction_timeout?,
        transaction_timeout: transaction_timeout?,
        client_idle_timeout: client_idle_timeout?,
    })
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
