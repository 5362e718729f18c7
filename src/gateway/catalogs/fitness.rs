//! What is known of the role of a database's connections: whether the tenants of
//! each isolation can be served over it.

use crate::config::{Isolation, IsolationKind};
use crate::tenant::{Found, IsolationName, Unfit, Vetting};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What each isolation asks of the role.
pub(super) type Demands = BTreeMap<IsolationName, Vetting>;

/// The isolations that cannot be served, as the catalog was read last.
#[derive(Debug, Default)]
pub(super) struct Fitness(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    demands: Demands,
    /// Grows with each change of the demands: what was read before is not judged by
    /// those that came after.
    change: u64,
    unfit: BTreeMap<IsolationName, Unfit>,
    /// The isolations that have tenants here. All are judged, since a tenant can be
    /// moved here at any time, but the log tells of these alone.
    present: BTreeSet<IsolationName>,
    /// What the log says last.
    told: BTreeMap<IsolationName, Unfit>,
}

/// What a reading changes.
pub(super) struct Judged {
    /// Whether it changes anything.
    pub(super) changed: bool,
    /// What the log is to tell: why an isolation is not served, or that it is again.
    pub(super) news: Vec<(IsolationName, Option<Unfit>)>,
}

impl Fitness {
    pub(super) fn new(demands: &Demands) -> Self {
        let fitness = Self::default();
        fitness.demand(demands);
        fitness
    }

    /// Asks for something else. What was found is not known any more.
    pub(super) fn demand(&self, demands: &Demands) {
        let mut state = self.lock();
        state.demands.clone_from(demands);
        state.change += 1;
        state.unfit.clear();
        state.told.retain(|name, _| demands.contains_key(name));
    }

    /// Notes that the isolation has tenants here.
    pub(super) fn note(&self, isolation: &IsolationName) {
        let mut state = self.lock();
        if !state.present.contains(isolation) {
            state.present.insert(isolation.clone());
        }
    }

    /// Before a reading: what to ask for, and what to [judge](Self::judge) it with.
    pub(super) fn mark(&self) -> (String, u64) {
        let state = self.lock();
        let unsealed = state.demands.values();
        let unsealed = unsealed.filter_map(|vetting| vetting.unsealed().map(|name| &**name));
        (Found::query(unsealed), state.change)
    }

    /// Takes a reading.
    pub(super) fn judge(&self, change: u64, found: &Found) -> Judged {
        let mut state = self.lock();
        let mut judged = Judged {
            changed: false,
            news: Vec::new(),
        };
        if state.change != change {
            return judged;
        }
        let State {
            demands,
            unfit,
            present,
            told,
            ..
        } = &mut *state;
        for (name, vetting) in demands {
            let verdict = vetting.judge(found);
            judged.changed |= set(unfit, name, verdict.as_ref());
            if present.contains(name) && set(told, name, verdict.as_ref()) {
                judged.news.push((name.clone(), verdict));
            }
        }
        judged
    }

    /// Why the isolation cannot be served; `None` if it can, or is not known.
    pub(super) fn unfit(&self, isolation: &IsolationName) -> Option<Unfit> {
        self.lock().unfit.get(isolation).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this is a change.
fn set(
    known: &mut BTreeMap<IsolationName, Unfit>,
    name: &IsolationName,
    verdict: Option<&Unfit>,
) -> bool {
    let changes = known.get(name) != verdict;
    match verdict {
        Some(unfit) if changes => {
            known.insert(name.clone(), unfit.clone());
        }
        Some(_) => {}
        None => {
            known.remove(name);
        }
    }
    changes
}

/// What the isolations ask of the role that their tenants share.
pub(super) fn demands(isolations: &BTreeMap<IsolationName, Isolation>) -> Demands {
    let demands = isolations.iter().filter_map(|(name, isolation)| {
        let setting = match &isolation.kind {
            IsolationKind::Setting { setting, seal, .. } => Some((setting, seal)),
            IsolationKind::Schema {
                per_tenant_role: false,
            } => None,
            IsolationKind::Schema { .. } | IsolationKind::Database => return None,
        };
        let vetting = Vetting::new(isolation.allow_unprotected_role, setting);
        Some((name.clone(), vetting))
    });
    demands.collect()
}
