//! What there is of each tenant at this moment: its clients and server connections.

use super::labels::{Labels, Whose};
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// It has no server connection, and wants none.
    Idle,
    /// It waits for a server connection.
    Waiting,
    /// It uses a server connection.
    Active,
    /// The same, and keeps it between transactions.
    Pinned,
}

impl Doing {
    /// All there is, in the order of [`Clients::doing`].
    pub(super) const ALL: [Self; 4] = [Self::Idle, Self::Waiting, Self::Active, Self::Pinned];

    /// Its name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Pinned => "pinned",
        }
    }
}

/// The clients of a tenant and database.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Clients {
    /// How many do each of [`Doing::ALL`].
    pub(super) doing: [u64; Doing::ALL.len()],
    /// Their prepared statements that have a name.
    pub(super) prepared: u64,
}

/// The server connections of a tenant and database.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Connections {
    /// How many there are, idle ones included.
    pub(super) count: u64,
    /// How long the client has waited that waits for the longest time.
    pub(super) longest_wait: Duration,
}

/// What there is of each tenant.
#[derive(Debug, Default)]
pub struct Present {
    pub(super) clients: HashMap<Whose, Clients>,
    pub(super) connections: HashMap<Whose, Connections>,
}

impl Present {
    /// There is a client that does this and has so many prepared statements.
    pub fn client(&mut self, of: Whose, doing: Doing, prepared: u32) {
        let clients = self.clients.entry(of).or_default();
        let all = Doing::ALL.iter().zip(&mut clients.doing);
        for (_, count) in all.filter(|(one, _)| **one == doing) {
            *count += 1;
        }
        clients.prepared += u64::from(prepared);
    }

    /// There are server connections, and a client waits for so long.
    pub fn connections(&mut self, of: Whose, count: usize, longest_wait: Duration) {
        let connections = self.connections.entry(of).or_default();
        connections.count += count as u64;
        connections.longest_wait = connections.longest_wait.max(longest_wait);
    }
}

impl Present {
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let clients = sorted(&self.clients);
        let mut metric = encoder.encode_descriptor(
            "pgtenant_clients",
            "Clients that are in, by state",
            None,
            MetricType::Gauge,
        )?;
        for (labels, clients) in &clients {
            for (doing, count) in Doing::ALL.iter().zip(clients.doing) {
                metric
                    .encode_family(&labels.with([("state", doing.name())]))?
                    .encode_gauge(&count)?;
            }
        }
        let prepared = |clients: &Clients| clients.prepared;
        gauge(
            encoder,
            "pgtenant_prepared_statements",
            "Prepared statements of clients that have a name",
            None,
            &clients,
            prepared,
        )?;
        let connections = sorted(&self.connections);
        let count = |own: &Connections| own.count;
        gauge(
            encoder,
            "pgtenant_tenant_server_connections",
            "Server connections that a tenant has, idle ones included",
            None,
            &connections,
            count,
        )?;
        let longest = |own: &Connections| own.longest_wait.as_secs_f64();
        gauge(
            encoder,
            "pgtenant_longest_wait",
            "How long the client has waited that waits for the longest time now",
            Some(&Unit::Seconds),
            &connections,
            longest,
        )
    }
}

fn gauge<T, V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    all: &[(Labels, T)],
    value: impl Fn(&T) -> V,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, of) in all {
        metric.encode_family(labels)?.encode_gauge(&value(of))?;
    }
    Ok(())
}

/// In the order of tenants, so that a scrape looks like the one before.
fn sorted<T: Copy>(by_tenant: &HashMap<Whose, T>) -> Vec<(Labels, T)> {
    let mut all: Vec<_> = by_tenant.iter().collect();
    all.sort_unstable_by(|a, b| a.0.cmp(b.0));
    let all = all.into_iter();
    all.map(|(whose, of)| (Labels::of(whose), *of)).collect()
}
