//! Whether a session waits for its server's answer, and for how long nothing has
//! moved.

use super::spell::Spell;
use std::sync::atomic::{AtomicU64, Ordering};

/// Changed by the session alone, and looked at by the watchdog.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// The session waits.
    spell: Spell,
    /// The waiting at the last look; 0: there was none.
    looked: AtomicU64,
}

/// A time of waiting in which nothing moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait(u64);

impl Awaited {
    /// The session waits from now on, for something else than before.
    pub(super) fn begin(&self) {
        self.spell.begin_anew();
    }

    /// The session waits still, or now. What wakes it meanwhile does not count.
    pub(super) fn go_on(&self) {
        self.spell.begin();
    }

    /// The session waits for its server no more.
    pub(super) fn end(&self) {
        self.spell.end();
    }

    /// Whether the session waits for its server.
    pub(super) fn is_any(&self) -> bool {
        self.spell.now().is_some()
    }

    /// The waiting that has gone on since the last look.
    pub(super) fn look(&self) -> Option<Wait> {
        let now = self.spell.now();
        let looked = self.looked.swap(now.unwrap_or_default(), Ordering::Relaxed);
        now.filter(|now| *now == looked).map(Wait)
    }

    /// Whether it goes on.
    pub(super) fn is(&self, wait: Wait) -> bool {
        self.spell.now() == Some(wait.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seen_at_the_second_look_unless_something_moves() {
        let awaited = Awaited::default();
        assert_eq!(awaited.look(), None);
        awaited.begin();
        assert_eq!(awaited.look(), None);
        let wait = awaited.look().unwrap();
        assert!(awaited.is(wait));
        awaited.go_on();
        assert!(awaited.is(wait));
        awaited.begin();
        assert!(!awaited.is(wait));
        assert_eq!(awaited.look(), None);
        awaited.end();
        assert_eq!(awaited.look(), None);
        assert_eq!(awaited.look(), None);
    }
}
