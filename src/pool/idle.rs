//! Connections that nobody uses, of one worker.
//!
//! Finding one, taking it out and putting it in costs the same however many there
//! are: they are linked in the order in which they were given back, and each tenant's
//! are known by it.

mod sets;

pub(super) use sets::IdleSets;

use super::age::Age;
use super::queue::{AccountId, SETTLE_LIMIT};
use crate::attach::Parked;
use crate::server::Connection;
use crate::tenant::SharedTenant;
use hashbrown::HashMap;
use slab::Slab;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Connections that are looked at, from the longest idle on, for one that suits
/// another tenant.
const MOST_LOOKED_AT: usize = 64;

/// A connection that nobody uses.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) connection: Connection<Parked>,
    pub(super) booking: Booking,
    /// The first sweep that has seen it idle.
    pub(super) since: Option<Instant>,
}

/// In whose account a connection is.
#[derive(Debug)]
pub(super) struct Booking {
    pub(super) account: AccountId,
    /// Whose it is, or was last.
    pub(super) tenant: SharedTenant,
    /// It can serve this tenant alone.
    pub(super) dedicated: bool,
    /// So many of its custom settings are known to be the tenant's own.
    pub(super) customs_known: usize,
    /// Somebody of the tenant waits.
    pub(super) waits: Arc<AtomicBool>,
}

/// The idle connections of one worker.
#[derive(Debug)]
pub(super) struct IdleSet {
    links: Slab<Link>,
    /// The one that has been idle for longest.
    oldest: Option<usize>,
    newest: Option<usize>,
    /// Each tenant's, the newest at the end.
    by_account: HashMap<AccountId, Vec<usize>, foldhash::fast::RandomState>,
    pub(super) age: Age,
    /// It takes nothing any more.
    pub(super) retired: bool,
}

#[derive(Debug)]
struct Link {
    idle: Idle,
    older: Option<usize>,
    newer: Option<usize>,
}

impl Idle {
    /// Whether it can be the tenant's. After a change of the directory it may have
    /// been opened as another role, with other settings to fall back to, or for
    /// others too.
    pub(super) fn fits(&self, tenant: &SharedTenant, dedicated: bool) -> bool {
        let last = &self.booking.tenant;
        let same_kind = || {
            self.booking.dedicated == dedicated
                && (!dedicated || last.placement == tenant.placement)
        };
        !self.is_disturbed()
            && (Arc::ptr_eq(last, tenant) || (self.has_base_of(tenant) && same_kind()))
    }

    /// Whether its session falls back to what shuts the tenant out.
    pub(super) fn has_base_of(&self, tenant: &SharedTenant) -> bool {
        let last = &self.booking.tenant.placement.attachment;
        last.has_base_of(&tenant.placement.attachment)
    }

    /// Whether the server has spoken unasked, or has closed the connection.
    pub(super) fn is_disturbed(&self) -> bool {
        self.connection.is_settled() && self.connection.is_disturbed()
    }

    /// Whether it has been silent for so long that it may be lost.
    pub(super) fn is_silent(&self, limit: Duration) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= limit)
    }

    /// The connection, for a client, and in whose account it is. It is checked first if
    /// it has been silent for long.
    pub(super) fn into_parts(mut self, limit: Duration) -> (Connection<Parked>, Booking) {
        if self.is_silent(limit) {
            self.connection.check();
        }
        (self.connection, self.booking)
    }

    /// Whether a cleanup has failed, or is not answered in time.
    pub(super) fn is_spoilt(&mut self, now: Instant) -> bool {
        if self.connection.is_settled() {
            return self.connection.is_disturbed();
        }
        let late = |since| now.duration_since(since) >= SETTLE_LIMIT;
        match self.connection.try_settle() {
            Ok(settled) => !settled && self.connection.cleaning_since().is_some_and(late),
            Err(_) => true,
        }
    }
}

impl IdleSet {
    pub(super) fn new(age: Age) -> Self {
        Self {
            links: Slab::new(),
            oldest: None,
            newest: None,
            by_account: HashMap::default(),
            age,
            retired: false,
        }
    }

    /// Puts a connection in, as the newest. Says whether somebody of its tenant waits.
    ///
    /// # Errors
    /// The connection itself, where nobody is to get it: it is too old, or the pool
    /// retired.
    pub(super) fn put(&mut self, idle: Idle) -> Result<bool, Box<Idle>> {
        if self.retired || self.age.is_over(&idle.connection) {
            return Err(Box::new(idle));
        }
        let account = idle.booking.account;
        let own = match self.by_account.get_mut(&account) {
            Some(own) => own,
            None => self.by_account.entry(account).or_default(),
        };
        let waits = idle.booking.waits.load(Ordering::Relaxed);
        let key = self.links.vacant_key();
        own.push(key);
        self.links.insert(Link {
            idle,
            older: self.newest,
            newer: None,
        });
        match self.newest.and_then(|newest| self.links.get_mut(newest)) {
            Some(newest) => newest.newer = Some(key),
            None => self.oldest = Some(key),
        }
        self.newest = Some(key);
        Ok(waits)
    }

    /// The tenant's newest, if nothing has changed about the tenant, nobody of it waits,
    /// and it can be used at once.
    pub(super) fn take_unchanged(
        &mut self,
        account: AccountId,
        tenant: &SharedTenant,
    ) -> Option<Idle> {
        let key = *self.by_account.get(&account)?.last()?;
        let idle = &self.links.get(key)?.idle;
        let unchanged = Arc::ptr_eq(&idle.booking.tenant, tenant);
        let waits = idle.booking.waits.load(Ordering::Relaxed);
        (unchanged && !waits && !idle.is_disturbed()).then_some(())?;
        self.take(key)
    }

    /// The tenant's newest: its caches are the warmest, and the others grow old enough
    /// to be closed.
    pub(super) fn take_own(&mut self, account: AccountId) -> Option<Idle> {
        let key = *self.by_account.get(&account)?.last()?;
        self.take(key)
    }

    /// The newest of all, if it `suits`.
    pub(super) fn take_newest(&mut self, suits: impl FnOnce(&Idle) -> bool) -> Option<Idle> {
        let key = self.newest?;
        suits(&self.links.get(key)?.idle).then_some(())?;
        self.take(key)
    }

    /// The newest of all.
    pub(super) fn newest(&self) -> Option<&Idle> {
        Some(&self.links.get(self.newest?)?.idle)
    }

    /// The one that has been idle for longest, as far as the sweep can tell.
    pub(super) fn longest(&self) -> Option<&Idle> {
        Some(&self.links.get(self.oldest?)?.idle)
    }

    /// The same, taken out.
    pub(super) fn take_longest(&mut self) -> Option<Idle> {
        self.take(self.oldest?)
    }

    /// How many of the tenant's there are.
    pub(super) fn count_of(&self, account: AccountId) -> usize {
        self.by_account.get(&account).map_or(0, Vec::len)
    }

    /// The one of another tenant that is ranked highest, the longest idle of these.
    /// Not all are looked at, where there are many.
    pub(super) fn best<R: Ord>(&self, rank: impl Fn(&Idle) -> R) -> Option<(usize, R)> {
        let looked_at = self.keys().take(MOST_LOOKED_AT);
        let ranked = looked_at.filter_map(|key| Some((key, rank(&self.links.get(key)?.idle))));
        ranked.reduce(|best, next| if next.1 > best.1 { next } else { best })
    }

    /// Takes out the connection that has this key.
    pub(super) fn take(&mut self, key: usize) -> Option<Idle> {
        let Link { idle, older, newer } = self.links.try_remove(key)?;
        match older.and_then(|older| self.links.get_mut(older)) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match newer.and_then(|newer| self.links.get_mut(newer)) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        if let Some(own) = self.by_account.get_mut(&idle.booking.account)
            && let Some(at) = own.iter().rposition(|known| *known == key)
        {
            own.remove(at);
        }
        Some(idle)
    }

    /// Takes out those that are `wanted`.
    pub(super) fn take_all(&mut self, mut wanted: impl FnMut(&mut Idle) -> bool) -> Vec<Idle> {
        let keys: Vec<_> = self.keys().collect();
        let mut taken = Vec::new();
        for key in keys {
            let Some(link) = self.links.get_mut(key) else {
                continue;
            };
            if wanted(&mut link.idle) {
                taken.extend(self.take(key));
            }
        }
        self.by_account.retain(|_, own| !own.is_empty());
        taken
    }

    /// Looks at each.
    pub(super) fn each(&self, look: &mut impl FnMut(&Idle)) {
        self.links.iter().for_each(|(_, link)| look(&link.idle));
    }

    /// From the longest idle on.
    fn keys(&self) -> impl Iterator<Item = usize> {
        let newer = |key: &usize| self.links.get(*key)?.newer;
        std::iter::successors(self.oldest, newer)
    }
}
