//! How records come from the buffer to the writer: many at one stroke.

use super::log::{Buffer, Orders, Shared};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long records are gathered before they are written, if nobody waits for one: a
/// write costs as much as many records do.
const GATHER: Duration = Duration::from_millis(20);
/// The length of a record's time and length in the buffer, each.
const WORD: usize = 8;

impl Shared {
    /// Waits for records, orders, or for the writer's own next task. `spare`: where the
    /// next records are put.
    pub(super) fn wait(&self, until: Option<Instant>, spare: Vec<u8>) -> (Frames, Orders) {
        let mut buffer = self.buffer();
        while buffer.is_quiet() && until.is_none_or(|until| until > Instant::now()) {
            buffer = self.sleep(buffer, until);
        }
        // Those that come within a moment are written at one stroke.
        let gathered = Instant::now() + GATHER;
        let half = self.half();
        while buffer.is_gathering(half) && gathered > Instant::now() {
            buffer = self.sleep(buffer, Some(gathered));
        }
        buffer.urgent = false;
        let frames = Frames {
            bytes: std::mem::replace(&mut buffer.frames, spare),
            number: buffer.taken,
            lost: std::mem::take(&mut buffer.lost),
        };
        (frames, std::mem::take(&mut buffer.orders))
    }

    /// Waits until it is woken, or until this time.
    pub(super) fn sleep<'a>(
        &self,
        buffer: MutexGuard<'a, Buffer>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, Buffer> {
        let wake = &self.wake;
        match until {
            None => wake.wait(buffer).unwrap_or_else(PoisonError::into_inner),
            Some(until) => {
                let time = until.saturating_duration_since(Instant::now());
                let woken = wake.wait_timeout(buffer, time);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }
}

/// What was in the buffer.
pub(super) struct Frames {
    pub(super) bytes: Vec<u8>,
    /// The number of the last record.
    pub(super) number: u64,
    pub(super) lost: u64,
}

impl Buffer {
    fn is_quiet(&self) -> bool {
        self.frames.is_empty() && self.lost == 0 && self.orders.is_none()
    }

    fn is_gathering(&self, half: usize) -> bool {
        !self.frames.is_empty() && !self.urgent && self.frames.len() < half && self.orders.is_none()
    }
}

impl Orders {
    fn is_none(&self) -> bool {
        !self.reopen && !self.end && self.options.is_none()
    }
}

/// A record's time and fields, and what is behind it.
pub(super) fn split(frames: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (micros, rest) = frames.split_first_chunk::<WORD>()?;
    let (len, rest) = rest.split_first_chunk::<WORD>()?;
    let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
    let (fields, rest) = rest.split_at_checked(len)?;
    Some((u64::from_le_bytes(*micros), fields, rest))
}
