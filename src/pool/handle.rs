//! A pool, as the clients of one worker see it.

use super::lease::{Asked, Grant, Lease, Place, Waiting};
use super::queue::{AccountId, NotYet, Seniority};
use super::quota::OfLogin;
use super::welcome::Reported;
use super::{CheckoutError, Pool, WelcomeKey, lock};
use crate::attach::{Parked, SessionSettings};
use crate::tenant::{LoginName, SharedTenant, TenantId};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A pool and the worker of a client. Each client has a handle of its own, which its
/// leases share: to count who shares the pool itself would have all workers write to
/// one place in memory for each transaction.
#[derive(Debug)]
pub struct Handle {
    pool: Arc<Pool>,
    worker: usize,
    /// Where the tenant's connections were found last. Another tenant's may be there now.
    account: AtomicUsize,
    login: LoginName,
    /// How many connections the clients of its login may use.
    quota: OfLogin,
}

impl Handle {
    /// For nobody yet, on this worker.
    #[must_use]
    pub(super) fn new(pool: Arc<Pool>, worker: usize) -> Arc<Self> {
        Self::with(pool, worker, LoginName::new(""), OfLogin::default())
    }

    /// For a client of this worker, whose login may use `most` connections.
    #[must_use]
    pub fn of_login(
        pool: Arc<Pool>,
        worker: usize,
        tenant: &TenantId,
        login: &LoginName,
        most: Option<usize>,
    ) -> Arc<Self> {
        let quota = pool.quota(tenant, login, most);
        Self::with(pool, worker, login.clone(), quota)
    }

    /// The same client, on another worker.
    #[must_use]
    pub fn on_worker(&self, worker: usize) -> Arc<Self> {
        Self::with(
            self.pool.clone(),
            worker,
            self.login.clone(),
            self.quota.clone(),
        )
    }

    fn with(pool: Arc<Pool>, worker: usize, login: LoginName, quota: OfLogin) -> Arc<Self> {
        Arc::new(Self {
            pool,
            worker,
            account: AtomicUsize::new(usize::MAX),
            login,
            quota,
        })
    }

    /// The client's login.
    #[must_use]
    pub fn login(&self) -> &LoginName {
        &self.login
    }

    pub(super) fn quota(&self) -> &OfLogin {
        &self.quota
    }

    /// The client's tenant has this account, for now.
    pub(super) fn remember(&self, account: AccountId) {
        self.account.store(account.number(), Ordering::Relaxed);
    }

    /// The pool.
    #[must_use]
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The client's worker.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// An idle connection that is the tenant's already, and lies with this worker.
    pub fn take_idle(self: &Arc<Self>, tenant: &SharedTenant) -> Option<Lease<Parked>> {
        let pool = &self.pool;
        // Whoever waits already comes first.
        if pool.waiting.is_some() || self.quota.somebody_waits() {
            return None;
        }
        let account = AccountId::of_number(self.account.load(Ordering::Relaxed));
        let used = self.quota.take()?;
        let idle = pool.idle.take_unchanged(self.worker, account, tenant);
        match idle {
            Some(idle) => Some(Lease::of_idle(self, idle, used)),
            None => {
                // Somebody may have come to wait for it meanwhile.
                if used.give_back() {
                    pool.has_room(&tenant.id, &self.login);
                }
                None
            }
        }
    }

    /// What the tenant can have now: a connection, or a place in the queue for
    /// one, where tenants are served in turn. `seniority`: of a client that has waited
    /// already.
    ///
    /// # Errors
    /// If too many of the tenant wait already, or the pool has been replaced.
    pub fn ask(
        self: &Arc<Self>,
        tenant: &SharedTenant,
        settings: &SessionSettings,
        seniority: Option<Seniority>,
    ) -> Result<Asked, CheckoutError> {
        let pool = &self.pool;
        let dedicated = pool.is_dedicated(&tenant.placement);
        let taken = lock(&pool.queue).take(self, tenant, settings, dedicated, seniority);
        match taken {
            Ok((grant, evicted)) => {
                pool.close(evicted);
                Ok(Asked::Granted(grant.moved_here()))
            }
            Err(NotYet::Queued(ticket)) => Ok(Asked::Queued(Waiting::new(self.clone(), ticket))),
            Err(NotYet::Crowded) => Err(CheckoutError::Crowded),
            Err(NotYet::Retired) => Err(CheckoutError::Retired),
        }
    }

    /// A connection that the tenant may use, once one is free: waits for at
    /// most `wait_timeout`.
    ///
    /// # Errors
    /// If none becomes free, or can be opened, in time.
    pub async fn checkout(
        self: &Arc<Self>,
        tenant: &SharedTenant,
        settings: &SessionSettings,
    ) -> Result<Lease<Parked>, CheckoutError> {
        let mut seniority = None;
        let grant = match self.ask(tenant, settings, None)? {
            Asked::Granted(grant) => grant,
            Asked::Queued(mut waiting) => {
                let grant = (&mut waiting).await?;
                seniority = Some(waiting.give_up());
                grant
            }
        };
        match grant {
            Grant::Idle(lease) => Ok(lease),
            Grant::Room(place) => place.open(&mut seniority).await,
        }
    }

    /// Forgets what the server says at a login with this key where an idle connection says otherwise
    /// (a reload, a promotion). The server is asked for that at most once a second,
    /// and only where that keeps nobody waiting. `false`: there has been no connection
    /// for long.
    pub async fn refresh_welcome(self: &Arc<Self>, key: &WelcomeKey) -> bool {
        let pool = &self.pool;
        let reported = pool.idle.newest(self.worker, Reported::of_idle).flatten();
        let is_due = {
            let mut welcomes = lock(&pool.welcomes);
            if let Some(reported) = reported {
                welcomes.compare(key, &reported);
            }
            welcomes.are_due()
        };
        if !is_due {
            return true;
        }
        let Some(mut lease) = self.take_any_idle() else {
            // Nobody could be asked before a pause ends.
            let queue = lock(&pool.queue);
            return queue.halts_somebody() || !queue.is_empty() || !lock(&pool.welcomes).are_old();
        };
        let before = lease.connection().parameters().clone();
        if lease.ask().await.is_err() {
            lease.abandon();
            return true;
        }
        if *lease.connection().parameters() != before {
            lock(&pool.welcomes).clear();
        }
        lease.give_back();
        true
    }

    /// An idle connection, whoever has used it last, unless somebody waits. To be
    /// given back as it is.
    fn take_any_idle(self: &Arc<Self>) -> Option<Lease<Parked>> {
        if self.pool.waiting.is_some() {
            return None;
        }
        let idle = self.pool.idle.take_newest(self.worker, |idle| {
            idle.connection.is_settled() && !idle.is_disturbed()
        })?;
        Some(Lease::new(
            idle.connection,
            Place::new(self.clone(), idle.booking),
        ))
    }
}
