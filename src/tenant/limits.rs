//! What a tenant may do, as far as the directory says so for it alone.

use super::{MostResult, SharedProfile};
use crate::audit::Statements;
use crate::transport::ClientAddress;
use ipnet::IpNet;
use std::sync::Arc;
use std::time::Duration;

/// What the clients of a tenant may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// Everything.
    #[default]
    Active,
    /// Transactions that only read.
    ReadOnly,
    /// Nothing: logins are refused, and sessions are ended.
    Suspended,
}

impl Standing {
    /// Its name in the configuration and wherever it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::ReadOnly => "read-only",
            Self::Suspended => "suspended",
        }
    }
}

/// A tenant's own limits; `None` where that of the configuration holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// Most server connections that it may hold (`pool.size_per_tenant`).
    pub pool_size: Option<usize>,
    /// Most clients at once (`listen.clients_per_tenant`).
    pub max_clients: Option<usize>,
    /// Most time that its sessions have for what they do: the strictest of the
    /// configuration's, its isolation's and its own.
    pub timeouts: Timeouts,
    /// Where its clients may come from (key `allowed`).
    pub allowed: Allowed,
    /// Which statements of its clients are recorded (`audit.statements`).
    pub audit: Option<Statements>,
}

impl Limits {
    /// Whether a client of this address may log in.
    #[must_use]
    pub fn allow(&self, address: &ClientAddress) -> bool {
        let Allowed { networks, local } = &self.allowed;
        let anywhere = networks.is_empty() && !local;
        let is_named = match address.ip() {
            // It may be an IPv4 client of a socket that takes both.
            Some(ip) => {
                let ip = ip.to_canonical();
                networks.iter().any(|net| net.contains(&ip))
            }
            None => *local,
        };
        anywhere || is_named
    }
}

/// Where clients may come from; with nothing in it, from anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allowed {
    /// From these networks.
    pub networks: Box<[IpNet]>,
    /// Over the Unix-domain socket.
    pub local: bool,
}

/// Most time that sessions have for what they do; `None`: any. No client can raise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Timeouts {
    /// A statement.
    pub statement_timeout: Option<Duration>,
    /// Doing nothing in an open transaction.
    pub idle_in_transaction_timeout: Option<Duration>,
    /// A transaction.
    pub transaction_timeout: Option<Duration>,
    /// Doing nothing outside of a transaction.
    pub client_idle_timeout: Option<Duration>,
}

impl Timeouts {
    /// The same, unless there is none.
    #[must_use]
    pub fn any(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }

    /// Of each the shorter one.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        let least = |one: Option<Duration>, other: Option<Duration>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self {
            statement_timeout: least(self.statement_timeout, other.statement_timeout),
            idle_in_transaction_timeout: least(
                self.idle_in_transaction_timeout,
                other.idle_in_transaction_timeout,
            ),
            transaction_timeout: least(self.transaction_timeout, other.transaction_timeout),
            client_idle_timeout: least(self.client_idle_timeout, other.client_idle_timeout),
        }
    }

    /// Whether the proxy itself ends sessions by them, and not PostgreSQL.
    #[must_use]
    pub fn end_sessions(&self) -> bool {
        self.transaction_timeout.is_some() || self.client_idle_timeout.is_some()
    }
}

/// What a login says of its clients, beside what its tenant says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoginLimits {
    /// Which statements of its clients are recorded, if it says so itself.
    pub own_audit: Option<Statements>,
    /// Where it is stricter than its tenant by itself: few are.
    pub own_timeouts: Option<Arc<Timeouts>>,
    /// What it may, where a `[profiles.NAME]` says so.
    pub profile: Option<SharedProfile>,
}

impl LoginLimits {
    /// Of a client whose credential alone says who it is.
    #[must_use]
    pub fn of_profile(profile: Option<SharedProfile>) -> Self {
        Self {
            profile,
            ..Self::default()
        }
    }

    /// Which statements of its clients are recorded: as it says itself, else as its
    /// profile does.
    #[must_use]
    pub fn audit(&self) -> Option<Statements> {
        let of_profile = || self.profile.as_ref()?.limits.audit;
        self.own_audit.or_else(of_profile)
    }

    /// Most time that its sessions have, where it is stricter than its tenant.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        let own = self.own_timeouts.as_deref().copied().unwrap_or_default();
        match &self.profile {
            Some(profile) => own.stricter(profile.limits.timeouts),
            None => own,
        }
    }

    /// Whether its clients may only read.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.profile.as_ref().is_some_and(|one| one.read_only)
    }

    /// Most server connections that its clients may use, if that is limited.
    #[must_use]
    pub fn pool_size(&self) -> Option<usize> {
        self.profile.as_ref()?.limits.pool_size
    }

    /// Most that a statement of its clients may answer, if that is limited.
    #[must_use]
    pub fn most_result(&self) -> Option<MostResult> {
        let most = self.profile.as_ref()?.most_result;
        (most != MostResult::default()).then_some(most)
    }

    /// Whether its clients may see masked data alone.
    #[must_use]
    pub fn is_masked(&self) -> bool {
        self.profile.as_ref().is_some_and(|one| one.masked)
    }
}

/// What holds for every statement of a tenant's clients, and what they cannot
/// lift. Most tenants have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Restrictions {
    /// Transactions may only read.
    pub read_only: bool,
    /// Most time of a statement.
    pub statement_timeout: Option<Duration>,
    /// Most time between two statements of a transaction.
    pub idle_in_transaction_timeout: Option<Duration>,
    /// What statements do is to be known, although that of others need not: they are
    /// recorded, or ended when they answer too much.
    pub described: bool,
}

impl Restrictions {
    /// The settings of PostgreSQL that are limits of time, with the limits.
    pub fn times(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        [
            ("statement_timeout", self.statement_timeout),
            (
                "idle_in_transaction_session_timeout",
                self.idle_in_transaction_timeout,
            ),
        ]
        .into_iter()
        .filter_map(|(name, limit)| Some((name, limit?)))
    }

    /// The settings with which every session of the tenant begins.
    pub fn settings(&self) -> impl Iterator<Item = (&'static str, String)> {
        let read_only = self
            .read_only
            .then(|| ("default_transaction_read_only", "on".to_owned()));
        let times = self.times().map(|(name, limit)| (name, shown(limit)));
        read_only.into_iter().chain(times)
    }
}

/// A limit of time as PostgreSQL shows it, in its largest unit without a remainder:
/// values that the server has told are compared with it (`convert_int_from_base_unit`
/// in PostgreSQL's `guc.c`).
fn shown(limit: Duration) -> String {
    let millis = limit.as_millis();
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "min"),
        (1000, "s"),
    ];
    let (size, unit) = units
        .into_iter()
        .find(|(size, _)| millis > 0 && millis.is_multiple_of(*size))
        .unwrap_or((1, if millis == 0 { "" } else { "ms" }));
    format!("{}{unit}", millis / size)
}
