//! `[pool]`

use super::reader::Section;
use super::{Pin, Pool, PoolMode, Share};
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

/// Says, too, whether `size_per_tenant` is to be found.
pub(super) fn read(mut section: Section<'_>) -> (Pool, bool) {
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
    let size = match section.optional("size") {
        Some(entry) => entry.integer(1..=MOST_CONNECTIONS),
        None => Some(20),
    };
    let size_per_tenant = section.optional("size_per_tenant").and_then(|entry| {
        let most = entry.integer(1..=MOST_CONNECTIONS)?;
        if let Some(size) = size
            && most > size
        {
            entry.refuse(format!("must be at most pool.size, which is {size}"));
        }
        Some(most)
    });
    let min_idle = section.optional("min_idle").and_then(|entry| {
        let least = entry.integer(0..=MOST_CONNECTIONS)?;
        if let Some(size) = size
            && least > size
        {
            entry.refuse(format!("must be at most pool.size, which is {size}"));
        }
        Some(least)
    });
    let is_given = size_per_tenant.is_some();
    let size = size.unwrap_or(1);
    let reclaim_after = section
        .optional("reclaim_after")
        .and_then(|entry| entry.duration(MILLISECOND..=DAY))
        .unwrap_or(Duration::from_secs(5));
    let reclaim_own_after = section.optional("reclaim_own_after").and_then(|entry| {
        let own = entry.duration(MILLISECOND..=DAY)?;
        if own < reclaim_after {
            entry.refuse(format!(
                "must be at least pool.reclaim_after, which is {}",
                humantime::format_duration(reclaim_after)
            ));
        }
        Some(own)
    });
    let pool = Pool {
        mode: mode.unwrap_or(PoolMode::Transaction),
        size: size as usize,
        size_per_tenant: size_per_tenant.unwrap_or(size) as usize,
        size_alone: size_per_tenant.unwrap_or(size) as usize,
        min_idle: min_idle.unwrap_or(0) as usize,
        waiting_per_tenant: section
            .optional("waiting_per_tenant")
            .and_then(|entry| entry.integer(0..=1_000_000))
            .map_or(10_000, |n| n as usize),
        share: section
            .optional("share")
            .and_then(|entry| {
                entry.choice(&[("scrubbed", Share::Scrubbed), ("tenant", Share::Tenant)])
            })
            .unwrap_or(Share::Scrubbed),
        pin: section
            .optional("pin")
            .and_then(|entry| entry.choice(&[("allow", Pin::Allow), ("reject", Pin::Reject)]))
            .unwrap_or(Pin::Allow),
        wait_timeout: section
            .optional("wait_timeout")
            .and_then(|entry| entry.duration(MILLISECOND..=HOUR))
            .unwrap_or(Duration::from_secs(30)),
        idle_timeout: section
            .optional("idle_timeout")
            .and_then(|entry| entry.duration(MILLISECOND..=DAY))
            .unwrap_or(Duration::from_secs(600)),
        connection_lifetime: section
            .optional("connection_lifetime")
            .and_then(|entry| entry.duration(SECOND..=30 * DAY))
            .unwrap_or(HOUR),
        reclaim_after,
        reclaim_own_after: reclaim_own_after.unwrap_or(RECLAIM_OWN_AFTER.max(reclaim_after)),
        check_after: section
            .optional("check_after")
            .and_then(|entry| entry.duration(LEAST_CHECK..=DAY))
            .unwrap_or(Duration::from_secs(30)),
    };
    section.finish();
    (pool, !is_given)
}
