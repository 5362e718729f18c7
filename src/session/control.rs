//! Doing what the session has been told from outside.

use super::orders::{Ending, Membership, Order};
use super::{End, Session};
use std::sync::Arc;

impl Session {
    /// Does what the session has been told, between two transactions. A client
    /// that `keeps` its server connection does not survive every change.
    pub(super) fn apply_command(&mut self, keeps: bool) -> Result<(), End> {
        let registration = &self.engine.registration;
        if !registration.is_told() {
            return Ok(());
        }
        match registration.take_order() {
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
            tenant: self.engine.tenant.clone(),
            login: self.engine.login.clone(),
            pool: self.pool.pool().clone(),
            guard: self.engine.guard.clone(),
        }
    }

    /// Goes on as what the directory says now.
    fn follow(&mut self, membership: Membership) {
        let handle = membership.handle(self.pool.login(), self.pool.worker());
        let Membership {
            tenant,
            login,
            pool,
            guard,
        } = membership;
        let now = tenant.restrictions(&login);
        let engine = &mut self.engine;
        engine.registration.follow(&pool, &tenant);
        // Each worker has guards of its own, which judge alike.
        let judged_alike = Arc::ptr_eq(&engine.guard, &guard) || guard.replaces(&engine.guard);
        let before = engine.tenant.restrictions(&engine.login);
        let attachment = engine.tenant.placement.attachment.clone();
        engine.meter.follow(&tenant, self.pool.worker());
        engine.tenant = tenant;
        engine.login = login;
        engine.pin = pool.settings().pin;
        self.pool = handle;
        engine.guard = guard;
        if before != now {
            engine.settings.restrict(&before, &now, &engine.guard);
        }
        let attached_alike = engine.tenant.placement.attachment == attachment;
        if !judged_alike || !attached_alike {
            engine.judged = None;
            engine.statements.judge_again(&engine.guard);
            let path = engine.tenant.placement.attachment.search_path().cloned();
            engine.settings.follow(path, &engine.guard);
        }
    }
}
