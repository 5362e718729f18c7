//! Doing what the session has been told from outside.

use super::orders::{Ending, Membership, Order};
use super::{End, Session};
use crate::binding::OwnSettings;
use crate::guard::Guard;
use crate::tenant::Restrictions;
use std::sync::Arc;

impl Session {
    /// Does what the session has been told, between two transactions. A client
    /// that `keeps` its server connection does not survive every change.
    pub(super) fn heed(&mut self, keeps: bool) -> Result<(), End> {
        if !self.registration.is_told() {
            return Ok(());
        }
        match self.registration.take_order() {
            Some(Order::End(ending, _)) => Err(End::Ordered(ending)),
            Some(Order::Follow(membership))
                if keeps && !self.membership().keeps_connection(&membership) =>
            {
                Err(End::Ordered(Ending::Changed))
            }
            Some(Order::Follow(membership)) => {
                self.follow(membership);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn membership(&self) -> Membership {
        Membership {
            tenant: self.principal.tenant.clone(),
            pool: self.pool.clone(),
            guard: self.guard.clone(),
        }
    }

    /// Goes on as what the directory says now.
    fn follow(&mut self, membership: Membership) {
        let Membership {
            tenant,
            pool,
            guard,
        } = membership;
        self.registration.follow(&pool);
        let judged_alike = Arc::ptr_eq(&self.guard, &guard);
        let before = self.principal.tenant.restrictions();
        self.principal.tenant = tenant;
        self.pool = pool;
        self.guard = guard;
        if before != self.principal.tenant.restrictions() {
            self.restrict(before);
        }
        if !judged_alike {
            self.judged = None;
            self.statements.judge_again(&self.guard);
        }
    }

    /// Makes the session's settings those that its tenant's restrictions leave
    /// it, where they were others `before`.
    fn restrict(&mut self, before: Restrictions) {
        let now = self.principal.tenant.restrictions();
        let startup = restricted(&self.asked, &now, &self.guard);
        for (name, _) in before.settings() {
            // What the client has not chosen itself.
            if self.own.get(name) == self.startup.get(name) {
                self.own.set(name, startup.get(name));
            }
        }
        self.own = restricted(&self.own, &now, &self.guard);
        self.startup = startup;
    }
}

/// The settings with those of the restrictions in place of what is missing, or
/// would lift them.
#[must_use]
pub fn restricted(own: &OwnSettings, restrictions: &Restrictions, guard: &Guard) -> OwnSettings {
    let mut own = own.clone();
    for (name, value) in restrictions.settings() {
        let mine = own.get(name);
        if mine.is_none_or(|mine| guard.startup_setting(name, mine).is_some()) {
            own.set(name, Some(&value));
        }
    }
    own
}
