//! Those who wait for a connection, and whose turn it is.

use super::{AccountId, Evicted, Queue};
use crate::attach::SessionSettings;
use crate::pool::lease::Grant;
use crate::pool::{CheckoutError, Pool};
use crate::tenant::{SharedTenant, TenantId};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Instant;
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

/// A client's place in the queue.
#[derive(Debug)]
pub(in crate::pool) struct Ticket {
    account: AccountId,
    number: u64,
    pub(in crate::pool) outcome: oneshot::Receiver<Outcome>,
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
    pub(super) tenant: SharedTenant,
    /// Its own, for a connection of another tenant's.
    settings: SessionSettings,
    dedicated: bool,
    /// When it has waited for too long.
    pub(super) deadline: Instant,
    pub(super) outcome: oneshot::Sender<Outcome>,
}

/// Hands outcomes to those who waited; what a client that has gone does not take
/// goes back to the pool.
pub(in crate::pool) fn hand_out(outcomes: Outcomes) {
    for (waiter, mut outcome) in outcomes {
        if let Ok(Grant::Idle(lease)) = &mut outcome {
            // While the next client's task is woken.
            lease.begin_cleaning(&waiter.settings);
        }
        if let Err(Ok(Grant::Idle(lease))) = waiter.outcome.send(outcome) {
            lease.give_back();
        }
    }
}

impl Queue {
    /// Who waits and would get a connection that `tenant` gave back.
    pub(in crate::pool) fn claim(&self, tenant: &TenantId) -> Option<Claim> {
        let held = |id: &AccountId| self.accounts.get(id.0).map(|account| account.held);
        let holds = self.by_tenant.get(tenant).and_then(held).unwrap_or(0);
        let waiting = self.turns.iter().filter_map(|id| self.accounts.get(id.0));
        let claims = waiting.filter_map(|account| {
            let first = account.queue.front()?;
            if account.tenant == *tenant {
                return Some(Claim::Equal);
            }
            let may_have = account.held < self.most_of(&first.tenant);
            may_have.then_some(match account.held < holds {
                true => Claim::Poorer,
                false => Claim::Equal,
            })
        });
        claims.max()
    }

    /// Gives the client the last place in its tenant's queue, if there is one.
    pub(super) fn queue_up(
        &mut self,
        id: AccountId,
        tenant: &SharedTenant,
        settings: &SessionSettings,
        dedicated: bool,
    ) -> NotYet {
        let Some(account) = self.accounts.get_mut(id.0) else {
            return NotYet::Retired;
        };
        if account.queue.len() >= self.waiting_per_tenant {
            return NotYet::Crowded;
        }
        self.tickets += 1;
        let number = self.tickets;
        let (sender, outcome) = oneshot::channel();
        if account.queue.is_empty() {
            self.turns.push_back(id);
        }
        account.queue.push_back(Waiter {
            number,
            tenant: tenant.clone(),
            settings: settings.clone(),
            dedicated,
            deadline: Instant::now() + self.wait_timeout,
            outcome: sender,
        });
        NotYet::Queued(Ticket {
            account: id,
            number,
            outcome,
        })
    }

    /// Takes a client out of the queue.
    pub(in crate::pool) fn leave(&mut self, ticket: &Ticket) {
        let id = ticket.account;
        if let Some(account) = self.accounts.get_mut(id.0) {
            let queue = &mut account.queue;
            let before = queue.len();
            queue.retain(|waiter| waiter.number != ticket.number);
            if queue.is_empty() && before > 0 {
                self.turns.retain(|turn| *turn != id);
            }
        }
    }

    /// Gives what there is to those who wait, one tenant after another.
    pub(in crate::pool) fn serve(&mut self, pool: &Arc<Pool>) -> Outcomes {
        let mut outcomes = Outcomes::new();
        if self.turns.is_empty() {
            return outcomes;
        }
        let mut evicted = Evicted::new();
        let mut refused = 0;
        while refused < self.turns.len() {
            let Some(id) = self.turns.pop_front() else {
                break;
            };
            let first = self.accounts.get(id.0).and_then(|a| a.queue.front());
            let Some((tenant, dedicated)) = first.map(|w| (w.tenant.clone(), w.dedicated)) else {
                continue;
            };
            let Some(source) = self.source(pool, id, &tenant, dedicated, &mut evicted) else {
                self.turns.push_back(id);
                refused += 1;
                continue;
            };
            refused = 0;
            let queue = self.accounts.get_mut(id.0).map(|a| &mut a.queue);
            let Some((waiter, more)) = queue.and_then(|q| Some((q.pop_front()?, !q.is_empty())))
            else {
                continue;
            };
            if more {
                self.turns.push_back(id);
            }
            let grant = self.grant(pool, id, &tenant, dedicated, source);
            outcomes.push((waiter, Ok(grant)));
        }
        pool.close(evicted);
        outcomes
    }

    pub(super) fn has_waiting(&self, id: AccountId) -> bool {
        let account = self.accounts.get(id.0);
        account.is_some_and(|account| !account.queue.is_empty())
    }
}
