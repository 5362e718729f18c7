//! How many connections the clients of one login use, where its profile limits that.
//!
//! Whoever takes a connection counts first, without the queue's lock; whoever gives one
//! back counts first too, and then looks whether somebody of the login waits. Whoever comes
//! to wait says so first, and then tries once more. One of the two sees the other.

use super::{Pool, lock, queue};
use crate::tenant::{LoginName, TenantId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// How many connections of a pool the clients of a login use, and may.
#[derive(Debug)]
pub(super) struct Quota {
    most: AtomicUsize,
    used: AtomicUsize,
    /// Somebody of the login waits.
    waits: AtomicBool,
}

/// One of them, until this is dropped. Whoever has no quota uses none.
#[derive(Debug)]
pub(super) struct Used(Option<Arc<Quota>>);

impl Quota {
    fn new(most: usize) -> Self {
        Self {
            most: AtomicUsize::new(most),
            used: AtomicUsize::new(0),
            waits: AtomicBool::new(false),
        }
    }

    fn has_room(&self) -> bool {
        self.used.load(Ordering::SeqCst) < self.most.load(Ordering::SeqCst)
    }

    fn count(&self) -> bool {
        let most = self.most.load(Ordering::SeqCst);
        let one_more = |used: usize| (used < most).then_some(used + 1);
        let order = Ordering::SeqCst;
        self.used.fetch_update(order, order, one_more).is_ok()
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        if let Some(quota) = &self.0 {
            quota.used.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Used {
    /// Gives it back. Says whether somebody of the login waits.
    pub(super) fn give_back(self) -> bool {
        let quota = self.0.clone();
        drop(self);
        quota.is_some_and(|quota| quota.waits.load(Ordering::SeqCst))
    }
}

/// The quota of a client's login, if there is one.
#[derive(Debug, Clone, Default)]
pub(super) struct OfLogin(Option<Arc<Quota>>);

impl OfLogin {
    /// One connection more, if there may be one.
    pub(super) fn take(&self) -> Option<Used> {
        match &self.0 {
            None => Some(Used(None)),
            Some(quota) => quota.count().then(|| Used(Some(quota.clone()))),
        }
    }

    /// Whether there may be one more.
    pub(super) fn has_room(&self) -> bool {
        self.0.as_ref().is_none_or(|quota| quota.has_room())
    }

    /// Whether somebody of the login waits.
    pub(super) fn somebody_waits(&self) -> bool {
        let quota = self.0.as_ref();
        quota.is_some_and(|quota| quota.waits.load(Ordering::Relaxed))
    }

    /// Says whether somebody of the login waits.
    pub(super) fn set_waits(&self, waits: bool) {
        if let Some(quota) = &self.0 {
            quota.waits.store(waits, Ordering::SeqCst);
        }
    }
}

/// The quotas of logins that have clients.
#[derive(Debug, Default)]
pub(super) struct Quotas(Mutex<HashMap<(TenantId, LoginName), Weak<Quota>>>);

impl Quotas {
    /// Forgets those whose clients are gone.
    pub(super) fn sweep(&self) {
        lock(&self.0).retain(|_, quota| quota.strong_count() > 0);
    }
}

impl Pool {
    /// The quota of a login whose clients may use `most` connections from now on.
    pub(super) fn quota(
        &self,
        tenant: &TenantId,
        login: &LoginName,
        most: Option<usize>,
    ) -> OfLogin {
        let Some(most) = most else {
            return OfLogin(None);
        };
        let key = (tenant.clone(), login.clone());
        let mut quotas = lock(&self.quotas.0);
        let known = quotas.get(&key).and_then(Weak::upgrade);
        let quota = known.unwrap_or_else(|| {
            let quota = Arc::new(Quota::new(most));
            quotas.insert(key, Arc::downgrade(&quota));
            quota
        });
        // Those who wait for more are served at the next sweep: the one who calls may be
        // about to ask again, and comes before others then.
        quota.most.store(most, Ordering::SeqCst);
        OfLogin(Some(quota))
    }

    /// The login may have one connection more than it could: somebody of it may wait.
    pub(super) fn has_room(self: &Arc<Self>, tenant: &TenantId, login: &LoginName) {
        let outcomes = lock(&self.queue).has_room(self, tenant, login);
        queue::hand_out(outcomes);
    }
}
