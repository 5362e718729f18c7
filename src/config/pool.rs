//! `[pool]`

use super::reader::Section;
use super::{Pin, Pool, PoolMode, Share};
use std::time::Duration;

const MOST_CONNECTIONS: u32 = 10_000;
const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn read(mut section: Section<'_>) -> Pool {
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
    let size = size.unwrap_or(1);
    let pool = Pool {
        mode: mode.unwrap_or(PoolMode::Transaction),
        size: size as usize,
        size_per_tenant: size_per_tenant.unwrap_or(size) as usize,
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
            .and_then(|entry| entry.duration(MILLISECOND..=24 * HOUR))
            .unwrap_or(Duration::from_secs(600)),
        reclaim_after: section
            .optional("reclaim_after")
            .and_then(|entry| entry.duration(MILLISECOND..=24 * HOUR))
            .unwrap_or(Duration::from_secs(5)),
        check_after: section
            .optional("check_after")
            .and_then(|entry| entry.duration(MILLISECOND..=24 * HOUR))
            .unwrap_or(Duration::from_secs(30)),
    };
    section.finish();
    pool
}
