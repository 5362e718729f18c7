//! `[pool]` and `[isolation.NAME.pool]`

use super::reader::Section;
use super::{Pin, Pool, PoolMode, Share};
use std::ops::RangeInclusive;
use std::time::Duration;

const MOST_CONNECTIONS: u32 = 10_000;
const MILLISECOND: Duration = Duration::from_millis(1);
/// Less would ask servers all the time.
const LEAST_CHECK: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// `reclaim_own_after`, unless `reclaim_after` is longer: PgBouncer, whose users have
/// nothing of the kind, does not end such sessions at all, and a tenant that lets its
/// transactions idle harms itself alone.
const RECLAIM_OWN_AFTER: Duration = Duration::from_secs(60);

/// What the others of a pool keep, unless `size_per_tenant` says: of so many
/// connections one, and at least one.
const RESERVED: usize = 4;

impl Pool {
    /// Makes each tenant leave something to the others of its database.
    pub(super) fn reserve(&mut self) {
        let reserved = (self.size / RESERVED).max(1);
        self.size_per_tenant = self.size.saturating_sub(reserved).max(1);
    }
}

/// Pools as a section describes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) pool: Pool,
    /// `size_per_tenant` is to be found.
    pub(super) reserves: bool,
}

/// What holds where nothing is said.
fn usual() -> Described {
    let size = 20;
    Described {
        pool: Pool {
            mode: PoolMode::Transaction,
            size,
            size_per_tenant: size,
            size_alone: size,
            min_idle: 0,
            waiting_per_tenant: 10_000,
            share: Share::Scrubbed,
            pin: Pin::Allow,
            wait_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(600),
            connection_lifetime: HOUR,
            reclaim_after: Duration::from_secs(5),
            reclaim_own_after: RECLAIM_OWN_AFTER,
            check_after: Duration::from_secs(30),
        },
        reserves: true,
    }
}

/// `[pool]`
pub(super) fn read(mut section: Section<'_>) -> Described {
    let mode = section.optional("mode").and_then(|entry| {
        let chosen = entry.choice(&[
            ("transaction", Some(PoolMode::Transaction)),
            ("session", Some(PoolMode::Session)),
            ("statement", None),
        ])?;
        if chosen.is_none() {
            entry.refuse(
                "statement pooling is not offered: it cannot keep transactions, so it cannot keep \
                 what a transaction set; use \"transaction\" or \"session\"",
            );
        }
        chosen
    });
    let check_after = section
        .optional("check_after")
        .and_then(|entry| entry.duration(LEAST_CHECK..=DAY));
    let mut described = keys(&mut section, "pool", &usual());
    section.finish();
    let pool = &mut described.pool;
    pool.mode = mode.unwrap_or(pool.mode);
    pool.check_after = check_after.unwrap_or(pool.check_after);
    described
}

/// `[isolation.NAME.pool]`, whose `path` that is: what it does not say comes from `[pool]`.
pub(super) fn own(mut section: Section<'_>, path: &str, all: &Described) -> Described {
    for key in ["mode", "check_after"] {
        section.refuse(key, "is the same for all pools: it stands in [pool] alone");
    }
    let described = keys(&mut section, path, all);
    section.finish();
    described
}

/// The keys that can differ from pool to pool.
fn keys(section: &mut Section<'_>, path: &str, all: &Described) -> Described {
    let own_size = section.optional("size");
    let has_size = own_size.is_some();
    let size = match own_size {
        Some(entry) => entry.integer(1..=MOST_CONNECTIONS).map(|n| n as usize),
        None => Some(all.pool.size),
    };
    let within = |section: &mut Section<'_>, key: &str, least: u32| {
        let entry = section.optional(key)?;
        let number = entry.integer(least..=MOST_CONNECTIONS)? as usize;
        if let Some(size) = size
            && number > size
        {
            entry.refuse(format!("must be at most {path}.size, which is {size}"));
        }
        Some(number)
    };
    let size_per_tenant = within(section, "size_per_tenant", 1);
    let min_idle = within(section, "min_idle", 0);
    let size = size.unwrap_or(1);
    let reserves = all.reserves && size_per_tenant.is_none();
    let per_tenant = |all_s: usize| {
        let others = if reserves && has_size { size } else { all_s };
        size_per_tenant.unwrap_or(others.min(size))
    };
    let reclaim_after = duration(section, "reclaim_after", MILLISECOND..=DAY);
    let reclaim_after = reclaim_after.unwrap_or(all.pool.reclaim_after);
    let reclaim_own_after = section.optional("reclaim_own_after").and_then(|entry| {
        let own = entry.duration(MILLISECOND..=DAY)?;
        if own < reclaim_after {
            entry.refuse(format!(
                "must be at least {path}.reclaim_after, which is {}",
                humantime::format_duration(reclaim_after)
            ));
        }
        Some(own)
    });
    let pool = Pool {
        mode: all.pool.mode,
        size,
        size_per_tenant: per_tenant(all.pool.size_per_tenant),
        size_alone: per_tenant(all.pool.size_alone),
        min_idle: min_idle.unwrap_or(all.pool.min_idle.min(size)),
        waiting_per_tenant: section
            .optional("waiting_per_tenant")
            .and_then(|entry| entry.integer(0..=1_000_000))
            .map_or(all.pool.waiting_per_tenant, |n| n as usize),
        share: section
            .optional("share")
            .and_then(|entry| {
                entry.choice(&[("scrubbed", Share::Scrubbed), ("tenant", Share::Tenant)])
            })
            .unwrap_or(all.pool.share),
        pin: section
            .optional("pin")
            .and_then(|entry| entry.choice(&[("allow", Pin::Allow), ("reject", Pin::Reject)]))
            .unwrap_or(all.pool.pin),
        wait_timeout: duration(section, "wait_timeout", MILLISECOND..=HOUR)
            .unwrap_or(all.pool.wait_timeout),
        idle_timeout: duration(section, "idle_timeout", MILLISECOND..=DAY)
            .unwrap_or(all.pool.idle_timeout),
        connection_lifetime: duration(section, "connection_lifetime", SECOND..=30 * DAY)
            .unwrap_or(all.pool.connection_lifetime),
        reclaim_after,
        reclaim_own_after: reclaim_own_after
            .unwrap_or(all.pool.reclaim_own_after.max(reclaim_after)),
        check_after: all.pool.check_after,
    };
    Described { pool, reserves }
}

fn duration(
    section: &mut Section<'_>,
    key: &str,
    range: RangeInclusive<Duration>,
) -> Option<Duration> {
    section.optional(key)?.duration(range)
}
