//! Those who wait for a connection, and whose turn it is.

mod line;
mod lines;

use line::Line;
pub(super) use lines::Lines;

use super::source::NoSource;
use super::{AccountId, Evicted, Queue};
use crate::attach::SessionSettings;
use crate::pool::halt::Halt;
use crate::pool::handle::Handle;
use crate::pool::lease::Grant;
use crate::pool::{CheckoutError, Pool};
use crate::tenant::{LoginName, SharedTenant, TenantId};
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Why a client gets nothing at once.
#[derive(Debug)]
pub(in crate::pool) enum NotYet {
    /// It has a place in the queue.
    Queued(Ticket),
    /// The queue of its tenant is full.
    Crowded,
    /// The pool gives nothing out any more.
    Retired,
}

/// Who waits for a connection that a tenant holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::pool) enum Claim {
    /// Its own clients, or those of a tenant that holds as many.
    Equal,
    /// Clients of a tenant that holds fewer: the pool would be shared more evenly.
    Poorer,
}

/// The tenants whose clients wait.
#[derive(Debug)]
pub(in crate::pool) struct Claims(HashMap<TenantId, Claimant>);

/// Who of a tenant waits.
#[derive(Debug)]
enum Claimant {
    /// Somebody for any connection; with how many the tenant uses, unless these are as many
    /// as it may.
    Any(Option<usize>),
    /// Clients of these logins, each for one of its login's.
    Logins(HashSet<LoginName>),
}

/// What was given back.
#[derive(Debug, Clone, Copy)]
pub(in crate::pool) struct Freed<'a> {
    /// The account that uses one connection less.
    pub(in crate::pool) account: AccountId,
    /// The login that does, too, if somebody of it waits for that.
    pub(in crate::pool) login: Option<&'a LoginName>,
}

impl Claims {
    /// Who would get a connection that a client of this login of `tenant` gave back, which
    /// uses so many.
    pub(in crate::pool) fn to(
        &self,
        tenant: &TenantId,
        login: &LoginName,
        used: usize,
    ) -> Option<Claim> {
        let claims = self.0.iter().filter_map(|(id, claimant)| match claimant {
            Claimant::Any(_) if id == tenant => Some(Claim::Equal),
            Claimant::Any(others) => Some(match (*others)? < used {
                true => Claim::Poorer,
                false => Claim::Equal,
            }),
            Claimant::Logins(logins) => {
                (id == tenant && logins.contains(login)).then_some(Claim::Equal)
            }
        });
        claims.max()
    }
}

/// A client's place in the queue.
#[derive(Debug)]
pub(in crate::pool) struct Ticket {
    account: AccountId,
    login: LoginName,
    worker: usize,
    number: u64,
    pub(in crate::pool) seniority: Seniority,
    pub(in crate::pool) outcome: oneshot::Receiver<(Outcome, Seniority)>,
}

/// Since when a client waits for a connection, and until when. It outlasts a place in
/// one queue: the client may have to wait in another, or once more.
#[derive(Debug, Clone, Copy)]
pub struct Seniority {
    since: Instant,
    /// When it has waited for too long.
    deadline: Instant,
}

impl Seniority {
    /// Who has waited `before` goes on with it, for no longer than a newcomer.
    pub(in crate::pool) fn new(before: Option<Self>, limit: Duration) -> Self {
        let now = Instant::now();
        let latest = now + limit;
        match before {
            Some(before) => Self {
                deadline: before.deadline.min(latest),
                ..before
            },
            None => Self {
                since: now,
                deadline: latest,
            },
        }
    }

    pub(in crate::pool) fn deadline(self) -> Instant {
        self.deadline
    }
}

/// What comes of waiting.
pub(in crate::pool) type Outcome = Result<Grant, CheckoutError>;

/// Outcomes on their way to those who waited for them. They must be handed out
/// after the lock is released: one that nobody takes any more comes back. Most
/// often there is one.
pub(in crate::pool) type Outcomes = SmallVec<[(Waiter, Outcome); 1]>;

/// Somebody who waits.
#[derive(Debug)]
pub(in crate::pool) struct Waiter {
    number: u64,
    /// With its worker.
    handle: Arc<Handle>,
    tenant: SharedTenant,
    /// Its own, for a connection of another tenant's.
    settings: SessionSettings,
    dedicated: bool,
    seniority: Seniority,
    outcome: oneshot::Sender<(Outcome, Seniority)>,
}

/// Hands outcomes to those who waited; what a client that has gone does not take
/// goes back to the pool.
pub(in crate::pool) fn hand_out(outcomes: Outcomes) {
    for (waiter, mut outcome) in outcomes {
        if let Ok(Grant::Idle(lease)) = &mut outcome {
            // While the next client's task is woken.
            lease.begin_cleaning(&waiter.settings);
        }
        let told = waiter.outcome.send((outcome, waiter.seniority));
        if let Err((Ok(Grant::Idle(lease)), _)) = told {
            lease.give_back();
        }
    }
}

impl Queue {
    /// Who waits, and how many connections the tenants of those use who may have more.
    pub(in crate::pool) fn claims(&self, pool: &Pool) -> Option<Claims> {
        // Nobody who waits would get what a client gives up.
        if self.waiters == 0 || self.halt.whole {
            return None;
        }
        let accounts = self.accounts.iter();
        let waiting = accounts.filter_map(|(id, account)| {
            if account.line.is_empty() {
                return None;
            }
            let claimant = match account.line.first() {
                Some(first) => {
                    let used = self.used_by(pool, AccountId(id));
                    let may_have = used < self.most_of(&first.tenant);
                    Claimant::Any(may_have.then_some(used))
                }
                None => Claimant::Logins(account.line.logins()),
            };
            Some((account.tenant.clone(), claimant))
        });
        Some(Claims(waiting.collect()))
    }

    /// How many connections the tenant's clients use.
    pub(in crate::pool) fn used(&self, pool: &Pool, tenant: &TenantId) -> usize {
        let account = self.by_tenant.get(tenant);
        account.map_or(0, |id| self.used_by(pool, *id))
    }

    fn used_by(&self, pool: &Pool, id: AccountId) -> usize {
        let idle = pool.idle.count_of(id);
        self.connections_of(id).saturating_sub(idle)
    }

    /// Gives the client a place in its tenant's queue, if there is one: the last, or
    /// before those who have not waited for as long.
    pub(super) fn queue_up(
        &mut self,
        handle: &Arc<Handle>,
        id: AccountId,
        tenant: &SharedTenant,
        settings: &SessionSettings,
        dedicated: bool,
        seniority: Option<Seniority>,
    ) -> NotYet {
        let Some(account) = self.accounts.get_mut(id.0) else {
            return NotYet::Retired;
        };
        if account.line.len_before(handle.login()) >= self.waiting_per_tenant {
            if !account.line.has_of(handle.login()) {
                handle.quota().set_waits(false);
            }
            return NotYet::Crowded;
        }
        let seniority = Seniority::new(seniority, self.wait_timeout);
        self.tickets += 1;
        let number = self.tickets;
        let (sender, outcome) = oneshot::channel();
        account.line.push(Waiter {
            number,
            handle: handle.clone(),
            tenant: tenant.clone(),
            settings: settings.clone(),
            dedicated,
            seniority,
            outcome: sender,
        });
        self.waiters += 1;
        self.tell_waits(id, self.has_waiting(id));
        self.give_turn(handle.pool(), id);
        NotYet::Queued(Ticket {
            account: id,
            login: handle.login().clone(),
            worker: handle.worker(),
            number,
            seniority,
            outcome,
        })
    }

    /// Takes a client out of the queue. `None` if it is not in it any more.
    pub(in crate::pool) fn leave(&mut self, ticket: &Ticket) -> Option<Seniority> {
        let line = &mut self.accounts.get_mut(ticket.account.0)?.line;
        let removed = line.remove(&ticket.login, ticket.worker, ticket.number)?;
        self.waiters -= 1;
        self.tell_waits(ticket.account, self.has_waiting(ticket.account));
        Some(removed.seniority)
    }

    /// Gives what there is to those who wait, one tenant after another. `worker`: who
    /// of a tenant waits with this one comes before others, for a while. `freed`: what was
    /// given back.
    pub(in crate::pool) fn serve(
        &mut self,
        pool: &Arc<Pool>,
        worker: Option<usize>,
        freed: Option<Freed<'_>>,
    ) -> Outcomes {
        if let Some(freed) = freed {
            if let Some(login) = freed.login
                && let Some(account) = self.accounts.get_mut(freed.account.0)
            {
                account.line.give_turn(login);
            }
            self.give_turn(pool, freed.account);
        }
        let mut outcomes = Outcomes::new();
        let mut evicted = Evicted::new();
        while let Some(id) = self.turns.front().copied() {
            let account = self.accounts.get_mut(id.0);
            let Some(next) = account.and_then(|account| account.line.next(worker)) else {
                self.end_turn(pool, id);
                self.tell_waits(id, self.has_waiting(id));
                continue;
            };
            let (of, used) = (next.worker, next.used);
            let (tenant, dedicated) = (next.waiter.tenant.clone(), next.waiter.dedicated);
            let nearest = worker.unwrap_or(of);
            match self.source(pool, nearest, id, &tenant, dedicated, &mut evicted) {
                Ok(source) => {
                    let line = self.accounts.get_mut(id.0).map(|a| &mut a.line);
                    let Some(waiter) = line.and_then(|line| line.take(of)) else {
                        continue;
                    };
                    self.waiters -= 1;
                    self.tell_waits(id, self.has_waiting(id));
                    let grant = self.grant(&waiter.handle, id, &tenant, (dedicated, used), source);
                    outcomes.push((waiter, Ok(grant)));
                    // Behind the others.
                    self.end_turn(pool, id);
                    self.give_turn(pool, id);
                }
                // Until a connection of its own is given back.
                Err(NoSource::Full) => self.end_turn(pool, id),
                Err(NoSource::Exhausted) => break,
            }
        }
        pool.close(evicted);
        outcomes
    }

    /// Gives what there is to those who wait, whoever may have come to be one who may have
    /// it: a login may use more connections than before.
    pub(super) fn serve_all(&mut self, pool: &Arc<Pool>) -> Outcomes {
        if self.waiters == 0 {
            return Outcomes::new();
        }
        let ids: Vec<_> = self.accounts.iter().map(|(id, _)| AccountId(id)).collect();
        for id in ids {
            if let Some(account) = self.accounts.get_mut(id.0) {
                account.line.give_turns();
            }
            self.give_turn(pool, id);
        }
        self.serve(pool, None, None)
    }

    /// Changes who waits whatever is free, and gives to those who need not any more.
    pub(in crate::pool) fn halt(&mut self, pool: &Arc<Pool>, halt: Halt) -> Outcomes {
        // While it counts as somebody who waits, no connection is taken past the queue.
        match (self.halt.whole, halt.whole) {
            (false, true) => pool.waiting.add(1),
            (true, false) => pool.waiting.sub(1),
            _ => {}
        }
        let before = std::mem::replace(&mut self.halt, halt);
        let ids: Vec<_> = self.accounts.iter().map(|(id, _)| AccountId(id)).collect();
        let deadline = Instant::now() + self.wait_timeout;
        for id in ids {
            if let Some(account) = self.accounts.get_mut(id.0)
                && before.holds(&account.tenant)
                && !self.halt.holds(&account.tenant)
            {
                account.line.put_off(deadline);
            }
            self.tell_waits(id, self.has_waiting(id));
            self.give_turn(pool, id);
        }
        self.serve(pool, None, None)
    }

    /// Whether somebody of the client's login waits.
    pub(super) fn has_of_login(&self, id: AccountId, handle: &Handle) -> bool {
        let account = self.accounts.get(id.0);
        account.is_some_and(|account| account.line.has_of(handle.login()))
    }

    /// Whether somebody of the tenant waits who may have a connection as one of its login.
    pub(super) fn has_waiting(&self, id: AccountId) -> bool {
        let account = self.accounts.get(id.0);
        account.is_some_and(|account| account.line.is_servable())
    }

    /// Its turn comes after that of those who wait already.
    fn give_turn(&mut self, pool: &Pool, id: AccountId) {
        if let Some(account) = self.accounts.get_mut(id.0)
            && !account.in_turn
            && account.line.is_servable()
        {
            account.in_turn = true;
            self.turns.push_back(id);
            pool.waiting.add(1);
        }
    }

    /// The first has had its turn.
    fn end_turn(&mut self, pool: &Pool, id: AccountId) {
        if self.turns.pop_front().is_some() {
            pool.waiting.sub(1);
        }
        if let Some(account) = self.accounts.get_mut(id.0) {
            account.in_turn = false;
        }
    }

    /// Takes out the turns of tenants of whom nobody waits any more.
    pub(super) fn drop_turns(&mut self, pool: &Pool) {
        let accounts = &mut self.accounts;
        let before = self.turns.len();
        self.turns.retain(|id| {
            let Some(account) = accounts.get_mut(id.0) else {
                return false;
            };
            account.in_turn = account.line.is_servable();
            account.in_turn
        });
        pool.waiting.sub(before - self.turns.len());
    }
}
