//! Whose long statements are parsed, and when.
//!
//! A statement can take more than a hundred times its length in memory while it
//! is parsed. So the text that is parsed at a time is bounded for the process,
//! and a tenant's share of it; who comes later waits for its turn. Short
//! statements take no turn: a worker parses one at a time.

use crate::tenant::TenantId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most bytes of text that are parsed at a time.
const TOGETHER: usize = 4 << 20;
/// Most of them of one tenant.
const SHARE: usize = TOGETHER / 4;
/// What is counted, in bytes.
const UNIT: usize = 1 << 10;

/// Turns at parsing, for the whole process.
#[derive(Debug)]
pub struct Parsing {
    /// For statements that fit into a tenant's share.
    together: Arc<Semaphore>,
    /// For longer ones, of which there is one at a time, and beside the others: so
    /// those need not wait for it.
    alone: Arc<Semaphore>,
    tenants: Mutex<HashMap<TenantId, Weak<Semaphore>>>,
}

/// A turn, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _of_tenant: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for Parsing {
    fn default() -> Self {
        Self {
            together: Arc::new(Semaphore::new(units(TOGETHER) as usize)),
            alone: Arc::new(Semaphore::new(1)),
            tenants: Mutex::default(),
        }
    }
}

impl Parsing {
    /// A turn at parsing `len` bytes, once it has come: first in, first out, among
    /// the tenant's own and then among all. `None` cannot happen.
    pub(super) async fn turn(self: Arc<Self>, tenant: TenantId, len: usize) -> Option<Turn> {
        let (all, of_all) = if len <= SHARE {
            (&self.together, units(len))
        } else {
            (&self.alone, 1)
        };
        // The tenant's first: so it has no more than its share in the other line.
        let share = self.share(tenant);
        let of_tenant = share.acquire_many_owned(units(len.min(SHARE))).await;
        Some(Turn {
            _of_tenant: of_tenant.ok()?,
            _of_all: all.clone().acquire_many_owned(of_all).await.ok()?,
        })
    }

    fn share(&self, tenant: TenantId) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = tenants.get(&tenant).and_then(Weak::upgrade) {
            return share;
        }
        // Those that parse or wait now: they are few.
        tenants.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(units(SHARE) as usize));
        tenants.insert(tenant, Arc::downgrade(&share));
        share
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    struct Line {
        parsing: Arc<Parsing>,
    }

    struct Waiting(Pin<Box<dyn Future<Output = Option<Turn>>>>);

    impl std::fmt::Debug for Waiting {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Waiting")
        }
    }

    impl Line {
        fn new() -> Self {
            Self {
                parsing: Arc::default(),
            }
        }

        /// Asks for a turn: has it come at once?
        fn ask(&self, tenant: &str, len: usize) -> Result<Turn, Waiting> {
            let tenant = TenantId::new(tenant);
            now(Waiting(Box::pin(self.parsing.clone().turn(tenant, len))))
        }
    }

    fn now(mut waiting: Waiting) -> Result<Turn, Waiting> {
        let mut cx = Context::from_waker(Waker::noop());
        match waiting.0.as_mut().poll(&mut cx) {
            Poll::Ready(turn) => Ok(turn.unwrap()),
            Poll::Pending => Err(waiting),
        }
    }

    #[test]
    fn a_tenant_has_its_share_and_no_more() {
        let line = Line::new();
        let half = line.ask("a", SHARE / 2).unwrap();
        let other = line.ask("a", SHARE / 2).unwrap();
        let more = line.ask("a", 1).unwrap_err();
        let b = line.ask("b", SHARE).unwrap();
        drop(half);
        assert!(now(more).is_ok());
        drop((other, b));
        assert!(line.ask("c", SHARE).is_ok());
        assert_eq!(line.parsing.tenants.lock().unwrap().len(), 1);
    }

    #[test]
    fn all_together_have_no_more_than_is_there_and_the_first_comes_first() {
        let line = Line::new();
        let tenants = ["a", "b", "c", "d"];
        let mut turns: Vec<_> = tenants.map(|t| line.ask(t, SHARE).unwrap()).into();
        let large = line.ask("e", SHARE).unwrap_err();
        // It would fit sooner, and waits all the same.
        let small = line.ask("f", UNIT).unwrap_err();
        turns.pop();
        let large = now(large).unwrap();
        let small = now(small).unwrap_err();
        drop(large);
        assert!(now(small).is_ok());
    }

    #[test]
    fn one_very_long_text_is_parsed_at_a_time_and_keeps_nobody_else() {
        let line = Line::new();
        let first = line.ask("a", 100 << 20).unwrap();
        let second = line.ask("b", SHARE + 1).unwrap_err();
        // Its own tenant's wait.
        assert!(line.ask("a", UNIT).is_err());
        assert!(line.ask("c", SHARE).is_ok());
        drop(first);
        assert!(now(second).is_ok());
    }

    #[test]
    fn who_leaves_the_line_leaves_nothing_behind() {
        let line = Line::new();
        let first = line.ask("a", SHARE).unwrap();
        drop(line.ask("a", SHARE).unwrap_err());
        drop(first);
        assert!(line.ask("a", SHARE).is_ok());
    }
}
