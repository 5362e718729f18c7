//! The clients of one tenant who wait: those of each login in a line, and the logins in
//! turn. A login whose clients use as many connections as they may has no turn before one
//! of them is given back.

use super::{Line, Waiter};
use crate::pool::quota::Used;
use crate::tenant::LoginName;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Clients of one tenant who wait.
#[derive(Debug, Default)]
pub(in crate::pool::queue) struct Lines {
    by_login: HashMap<LoginName, OfLogin, foldhash::fast::RandomState>,
    /// The logins who may have one connection more, or could when it was looked at last, in
    /// the order in which they are served.
    turns: VecDeque<LoginName>,
    len: usize,
}

#[derive(Debug, Default)]
struct OfLogin {
    line: Line,
    in_turn: bool,
}

/// The one who is next, with a right to a connection as one of its login.
pub(in crate::pool::queue) struct Next<'a> {
    pub(in crate::pool::queue) waiter: &'a Waiter,
    pub(in crate::pool::queue) used: Used,
    /// Where it waits.
    pub(in crate::pool::queue) worker: usize,
}

impl OfLogin {
    fn may_have(&self) -> bool {
        let first = self.line.first();
        first.is_some_and(|waiter| waiter.handle.quota().has_room())
    }
}

impl Lines {
    pub(in crate::pool::queue) fn len(&self) -> usize {
        self.len
    }

    pub(in crate::pool::queue) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether somebody waits who may have a connection as one of its login.
    pub(in crate::pool::queue) fn is_servable(&self) -> bool {
        self.first().is_some()
    }

    /// Whether somebody of this login waits.
    pub(in crate::pool::queue) fn has_of(&self, login: &LoginName) -> bool {
        !self.by_login.is_empty() && self.by_login.contains_key(login)
    }

    /// How many wait that a client of this login could have to wait for.
    pub(in crate::pool::queue) fn len_before(&self, login: &LoginName) -> usize {
        if self.by_login.len() <= 1 {
            return match self.has_of(login) || self.is_servable() {
                true => self.len,
                false => 0,
            };
        }
        let all = self.by_login.iter();
        let before = all.filter(|(name, one)| *name == login || one.in_turn);
        before.map(|(_, one)| one.line.len()).sum()
    }

    /// The first of those whose login is next.
    pub(super) fn first(&self) -> Option<&Waiter> {
        let mut turns = self
            .turns
            .iter()
            .filter_map(|login| self.by_login.get(login));
        turns.find(|one| one.may_have())?.line.first()
    }

    /// The logins of whom somebody waits.
    pub(super) fn logins(&self) -> HashSet<LoginName> {
        self.by_login.keys().cloned().collect()
    }

    /// How long the one who came first has waited.
    pub(in crate::pool::queue) fn longest_wait(&self) -> Duration {
        let all = self.by_login.values().map(|one| one.line.longest_wait());
        all.max().unwrap_or_default()
    }

    /// Gives it a place in the line of its login.
    pub(super) fn push(&mut self, waiter: Waiter) {
        let login = waiter.handle.login().clone();
        waiter.handle.quota().set_waits(true);
        self.by_login
            .entry(login.clone())
            .or_default()
            .line
            .push(waiter);
        self.len += 1;
        self.give_turn(&login);
    }

    /// The login's turn comes after that of the others, if it may have a connection and
    /// somebody of it waits.
    pub(in crate::pool::queue) fn give_turn(&mut self, login: &LoginName) {
        if let Some(one) = self.by_login.get_mut(login)
            && !one.in_turn
            && one.may_have()
        {
            one.in_turn = true;
            self.turns.push_back(login.clone());
        }
    }

    /// The same for all logins.
    pub(super) fn give_turns(&mut self) {
        for (login, one) in &mut self.by_login {
            if !one.in_turn && one.may_have() {
                one.in_turn = true;
                self.turns.push_back(login.clone());
            }
        }
    }

    /// The one who is next where a worker has given a connection back. Who that is
    /// depends on the time: it is [taken](Self::take) then.
    pub(super) fn next(&mut self, worker: Option<usize>) -> Option<Next<'_>> {
        let used = loop {
            let login = self.turns.front()?;
            let Some(one) = self.by_login.get_mut(login) else {
                self.turns.pop_front();
                continue;
            };
            let next = one.line.next(worker);
            match next.and_then(|(_, waiter)| waiter.handle.quota().take()) {
                Some(used) => break used,
                None => {
                    one.in_turn = false;
                    self.turns.pop_front();
                }
            }
        };
        let (worker, waiter) = self.by_login.get(self.turns.front()?)?.line.next(worker)?;
        Some(Next {
            waiter,
            used,
            worker,
        })
    }

    /// Takes out the first of this worker, of the login that is next: the others are before
    /// it from now on.
    pub(super) fn take(&mut self, worker: usize) -> Option<Waiter> {
        let login = self.turns.pop_front()?;
        let one = self.by_login.get_mut(&login)?;
        one.in_turn = false;
        let taken = one.line.take(worker);
        self.len -= usize::from(taken.is_some());
        self.left(&login, taken.as_ref());
        self.give_turn(&login);
        taken
    }

    /// Takes one out.
    pub(super) fn remove(
        &mut self,
        login: &LoginName,
        worker: usize,
        number: u64,
    ) -> Option<Waiter> {
        let removed = self.by_login.get_mut(login)?.line.remove(worker, number)?;
        self.len -= 1;
        self.left(login, Some(&removed));
        Some(removed)
    }

    /// Somebody of the login waits no more.
    fn left(&mut self, login: &LoginName, waiter: Option<&Waiter>) {
        let is_last = |one: &OfLogin| one.line.is_empty();
        if !self.by_login.get(login).is_some_and(is_last) {
            return;
        }
        if let Some(waiter) = waiter {
            waiter.handle.quota().set_waits(false);
        }
        let gone = self.by_login.remove(login);
        if gone.is_some_and(|one| one.in_turn) {
            self.turns.retain(|other| other != login);
        }
    }

    /// Those whose time is over.
    pub(in crate::pool::queue) fn take_late(&mut self, now: Instant) -> Vec<Waiter> {
        let lines = self.by_login.values_mut();
        let late: Vec<_> = lines.flat_map(|one| one.line.take_late(now)).collect();
        self.len -= late.len();
        for waiter in &late {
            self.left(waiter.handle.login(), Some(waiter));
        }
        late
    }

    /// Nobody's time is over before `deadline`.
    pub(in crate::pool::queue) fn put_off(&mut self, deadline: Instant) {
        for one in self.by_login.values_mut() {
            one.line.put_off(deadline);
        }
    }

    /// Takes out all.
    pub(in crate::pool::queue) fn drain(&mut self) -> impl Iterator<Item = Waiter> {
        let all = std::mem::take(self).by_login.into_values();
        all.flat_map(|mut one| one.line.drain().collect::<Vec<_>>())
    }
}
