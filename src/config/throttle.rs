//! `[throttle]`

use super::reader::Section;
use super::{Listen, PerAddress, Throttling};
use std::time::Duration;

const MOST_FREE: u32 = 1_000_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Where `per_address` is not said: enough for the pools of a large application
/// that starts, and few enough to leave places for others.
const PER_ADDRESS: usize = 1000;

pub(super) fn read(mut section: Section<'_>, listen: &Listen) -> Throttling {
    let enabled = section
        .optional("mode")
        .and_then(|entry| entry.choice(&[("on", true), ("off", false)]))
        .unwrap_or(true);
    let free = section
        .optional("free")
        .and_then(|entry| entry.integer(1..=MOST_FREE))
        .unwrap_or(5);
    let mut duration = |key: &str, default| {
        section
            .optional(key)
            .and_then(|entry| entry.duration(Duration::from_millis(1)..=DAY))
            .unwrap_or(default)
    };
    let delay = duration("delay", Duration::from_millis(250));
    let longest_delay = duration("longest_delay", Duration::from_secs(60).max(delay));
    let forget_after = duration("forget_after", Duration::from_secs(600).max(longest_delay));
    let per_address = match section.optional("per_address") {
        Some(entry) => entry
            .integer(1..=MOST_FREE)
            .map(|most| PerAddress::OfAll(most as usize)),
        None => None,
    };
    if longest_delay < delay {
        section.refuse("longest_delay", "must be at least throttle.delay");
    }
    if forget_after < longest_delay {
        section.refuse("forget_after", "must be at least throttle.longest_delay");
    }
    section.finish();
    Throttling {
        enabled,
        free,
        delay,
        longest_delay,
        forget_after,
        per_address: per_address.unwrap_or(PerAddress::OfOthers(
            PER_ADDRESS.min(listen.max_clients.div_ceil(2)),
        )),
    }
}
