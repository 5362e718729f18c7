//! Sessions that wait for an answer for long: their servers are to be asked whether
//! one is to come.

use super::Registry;
use super::awaited::Wait;
use super::entry::Entry;
use crate::pool::Pool;
use crate::session::orders::Ending;
use crate::tenant::SharedTenant;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A session that has waited for its server's answer since the last look, and for
/// which nothing has moved.
#[derive(Debug)]
pub struct Overdue {
    entry: Arc<Entry>,
    wait: Wait,
    pid: u32,
}

impl Overdue {
    /// The process id of the server's session.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whose session it is.
    #[must_use]
    pub fn tenant(&self) -> SharedTenant {
        self.entry.tenant_now()
    }

    /// Where its server connection comes from.
    #[must_use]
    pub fn pool(&self) -> Arc<Pool> {
        self.entry.pool()
    }

    /// Whether nothing has moved still.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.entry.awaited.is(self.wait)
    }
}

impl Registry {
    /// The sessions that have waited for their server's answer since this was called
    /// last.
    #[must_use]
    pub fn overdue(&self) -> Vec<Overdue> {
        let overdue = self.all().into_iter().filter_map(|entry| {
            let wait = entry.awaited.look()?;
            let pid = entry.backend()?.pid;
            Some(Overdue { entry, wait, pid })
        });
        overdue.collect()
    }

    /// How many sessions waited for an answer that their server did not owe.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// Ends a session whose server owes it nothing: that is a fault of ours, and is
    /// counted as one.
    pub fn end_unanswered(&self, overdue: &Overdue) {
        let entry = &overdue.entry;
        let faults = self.faults.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::error!(
            target: "pgtenant::server",
            tenant = %entry.tenant,
            login = %entry.login,
            backend = overdue.pid,
            faults,
            "ended a session that waited for an answer which its server does not owe: please report this"
        );
        entry.end(Ending::Unanswered);
    }
}
