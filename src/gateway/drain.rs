//! Telling clients to leave, not all at once: they all come back somewhere else.

use super::stop::Flags;
use super::{SWEEP, Shared};
use crate::session::DRAIN_PARTS;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How often some are told.
const STEP: Duration = Duration::from_millis(50);
/// Most steps: each wakes all of them.
const MOST_STEPS: u32 = 40;

/// Tells them, some more at each step, until all are told; then it wakes them again and
/// again, without an end.
pub(super) async fn tell(shared: Arc<Shared>, flags: Arc<Flags>) {
    let spread = flags.spread();
    let steps = u32::try_from(spread.as_millis() / STEP.as_millis()).unwrap_or(u32::MAX);
    let steps = steps.clamp(1, MOST_STEPS);
    let mut ticks = interval((spread / steps).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for step in 1..=steps {
        ticks.tick().await;
        let parts = u32::from(DRAIN_PARTS) * step / steps;
        flags
            .draining
            .raise(u16::try_from(parts).unwrap_or(DRAIN_PARTS));
        shared.registry.wake();
    }
    // Those that had just been used.
    loop {
        sleep(SWEEP).await;
        shared.registry.wake();
    }
}
