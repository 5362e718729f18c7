//! What the page shows of the proxy.

use super::{Control, Shared};
use crate::admin::page::{Checkup, Shown};
use crate::metrics::{Account, History};
use crate::x509::Lifetime;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is noted what was counted.
const PERIOD: Duration = Duration::from_secs(5);

/// Takes note of what is counted; for ever.
pub(super) async fn follow(shared: Arc<Shared>) {
    let mut periods = tokio::time::interval(PERIOD);
    loop {
        periods.tick().await;
        // Apart: with many tenants it takes milliseconds.
        let shared = shared.clone();
        let look = move || shared.history.look(&shared.ledger, Instant::now());
        let _ = tokio::task::spawn_blocking(look).await;
    }
}

impl Shown for Control {
    fn history(&self) -> &History {
        &self.shared.history
    }

    fn refused_by_rule(&self) -> BTreeMap<&'static str, u64> {
        let ledger = &self.shared.ledger;
        let accounts = ledger.accounts().into_iter();
        let own = accounts.map(|(_, account)| account.rare());
        let others = [ledger.other(), ledger.unknown()].map(Account::rare);
        let mut rules = BTreeMap::new();
        for (rule, n) in own.chain(others).flat_map(|rare| rare.refusals) {
            *rules.entry(rule).or_default() += n;
        }
        rules
    }

    fn key_ages(&self) -> Vec<(String, Option<Duration>)> {
        let live = self.shared.live.load();
        let ages = live.authenticator.key_ages();
        ages.map(|(issuer, age)| (issuer.to_owned(), age)).collect()
    }

    fn lifetimes(&self) -> Vec<(String, Lifetime)> {
        let live = self.shared.live.load();
        let files = live.certificate_files.iter();
        files
            .map(|one| (one.file.display().to_string(), one.lifetime.clone()))
            .collect()
    }

    fn uptime(&self) -> Duration {
        self.shared.begun.elapsed()
    }

    fn checkup(&self) -> Option<Checkup> {
        self.shared.console.asked.get()?.checkup.clone()
    }
}
