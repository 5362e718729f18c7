//! What the console sees of the proxy, and what its commands do.

use super::Control;
use super::admitted::Admitted;
use super::console::{Asked, ConfigurationChange};
use crate::admin::page::Shown as _;
use crate::audit::Log;
use crate::config::AdminRole;
use crate::console::{
    self, Administrator, Awaited, ByDatabase, Command, Configured, DATABASES, Memory, Periods,
    Shutdown, Steered, Whom,
};
use crate::directory::{Directory, Login};
use crate::metrics::Refused;
use crate::peers::PeerView;
use crate::pool::{PoolView, Scope};
use crate::session::SessionView;
use crate::tenant::{LoginName, Tenant, TenantId};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot::error::TryRecvError;

impl Control {
    /// Says how the process learns what the console asks for.
    pub fn answer_to(&self, asked: Asked) {
        let _ = self.shared.console.asked.set(asked);
    }

    fn asked(&self) -> Result<&Asked, String> {
        let asked = self.shared.console.asked.get();
        asked.ok_or_else(|| "the process does not do that".to_owned())
    }

    /// Whom the words mean.
    fn scope(&self, whom: &Whom) -> Result<Scope, String> {
        match whom {
            Whom::All => Ok(Scope::All),
            Whom::Database(name) if DATABASES.contains(&name.as_str()) => Err(format!(
                "cannot do that with the console's database '{name}'"
            )),
            Whom::Database(name) => Ok(Scope::Database(name.as_str().into())),
            Whom::Tenant(id) => {
                let id = TenantId::parse(id);
                let known = self.directory().tenant(&id).is_some();
                known
                    .then_some(Scope::Tenant(id))
                    .ok_or_else(|| "no such tenant".to_owned())
            }
        }
    }

    /// The same, of databases as servers call them.
    fn placed(&self, whom: &Whom) -> Result<Vec<Scope>, String> {
        let Whom::Database(name) = whom else {
            return Ok(vec![self.scope(whom)?]);
        };
        self.scope(whom)?;
        let directory = self.directory();
        let having = directory
            .tenants()
            .filter(|tenant| tenant.has_database(name));
        let databases: HashSet<_> = having
            .map(|tenant| Scope::Database(tenant.placement.endpoint.database.clone()))
            .collect();
        match databases.is_empty() {
            true => Err(format!("no such database: {name}")),
            false => Ok(databases.into_iter().collect()),
        }
    }

    /// The same, of a command that is about databases alone.
    fn databases(&self, whom: &Whom) -> Result<Vec<Scope>, String> {
        match whom {
            Whom::Tenant(_) => Err("name a database, or none".to_owned()),
            Whom::All | Whom::Database(_) => self.placed(whom),
        }
    }

    fn pause(&self, whom: &Whom) -> Result<Awaited, String> {
        let mut is_new = false;
        let scopes = self.placed(whom)?;
        for scope in &scopes {
            is_new |= self.shared.pools.pause(scope);
        }
        match is_new {
            true => Ok(Awaited::Quiet(scopes)),
            false => Err("already paused".to_owned()),
        }
    }

    fn resume(&self, whom: &Whom) -> Result<(), String> {
        let mut was_paused = false;
        for scope in self.placed(whom)? {
            was_paused |= self.shared.pools.resume(&scope);
        }
        if *whom == Whom::All {
            self.shared
                .console
                .suspended
                .store(false, Ordering::Relaxed);
        }
        match was_paused {
            true => Ok(()),
            false => Err("not paused".to_owned()),
        }
    }

    /// Ends the clients; but for a tenant's, others find a pause.
    fn kill(&self, whom: &Whom) -> Result<Awaited, String> {
        let name = match whom {
            Whom::Database(name) => Some(name.as_str()),
            Whom::All | Whom::Tenant(_) => None,
        };
        if !matches!(whom, Whom::Tenant(_)) {
            for scope in self.placed(whom)? {
                self.shared.pools.pause(&scope);
            }
        }
        let scope = self.scope(whom)?;
        Ok(Awaited::Gone(self.end(&scope, name)))
    }

    fn change(&self, change: ConfigurationChange) -> Result<Awaited, String> {
        self.asked()?.change(change).map(Awaited::Outcome)
    }

    fn end(&self, scope: &Scope, name: Option<&str>) -> Vec<u32> {
        self.shared.registry.end(|_, tenant, database| match scope {
            Scope::All => true,
            Scope::Database(_) => name == Some(database),
            Scope::Tenant(id) => id == tenant,
        })
    }
}

impl Steered for Control {
    fn role(&self, user: &LoginName) -> Option<AdminRole> {
        let live = self.shared.live.load();
        live.admins.get(user).map(|admin| admin.role)
    }

    fn sessions(&self) -> Vec<SessionView> {
        Self::sessions(self)
    }

    fn administrators(&self) -> Vec<(u64, Administrator)> {
        self.shared.console.administrators.all()
    }

    fn pools(&self) -> Vec<PoolView> {
        Self::pools(self)
    }

    fn directory(&self) -> Arc<Directory> {
        Self::directory(self)
    }

    fn counted(&self) -> ByDatabase {
        console::counted(&self.shared.ledger)
    }

    fn periods(&self) -> &Periods {
        &self.shared.console.periods
    }

    fn refusals(&self) -> Vec<Refused> {
        self.shared.ledger.refusals.latest()
    }

    fn audit(&self) -> &Log {
        Self::audit(self)
    }

    fn peers(&self) -> Vec<PeerView> {
        let live = self.shared.live.load();
        live.peers
            .as_ref()
            .map_or_else(Vec::new, |peers| peers.views())
    }

    fn paused(&self) -> HashSet<Scope> {
        self.shared.pools.paused()
    }

    fn is_suspended(&self) -> bool {
        self.shared.console.suspended.load(Ordering::Relaxed)
    }

    fn disabled(&self) -> HashSet<Scope> {
        self.shared.console.disabled().clone()
    }

    fn configured(&self) -> Vec<Configured> {
        Self::configured(self)
    }

    fn memory(&self) -> Vec<Memory> {
        let shared = &self.shared;
        let directory = self.directory();
        let all = |used: usize, each: usize| (used, used.saturating_mul(each));
        let rows = [
            ("prepared_statements", shared.interner.size()),
            (
                "sessions",
                all(self.sessions().len(), size_of::<Admitted>()),
            ),
            ("accounts", shared.ledger.size()),
            (
                "tenants",
                all(directory.tenants().count(), size_of::<Tenant>()),
            ),
            ("logins", all(directory.len(), size_of::<Login>())),
        ];
        let row = |(name, (used, total))| Memory { name, used, total };
        rows.into_iter().map(row).collect()
    }

    fn workers(&self) -> usize {
        self.workers_started()
    }

    fn certificates(&self) -> Vec<(String, String)> {
        let all = self.lifetimes().into_iter();
        all.map(|(file, lifetime)| (file, lifetime.to_string()))
            .collect()
    }

    fn command(&self, command: &Command) -> Result<Option<Awaited>, String> {
        let shared = &self.shared;
        match command {
            Command::Pause(whom) => return self.pause(whom).map(Some),
            Command::Suspend => {
                let awaited = self.pause(&Whom::All)?;
                shared.console.suspended.store(true, Ordering::Relaxed);
                return Ok(Some(awaited));
            }
            Command::Resume(whom) => self.resume(whom)?,
            Command::Disable(whom) => {
                shared.console.disabled().insert(self.scope(whom)?);
            }
            Command::Enable(whom) => {
                shared.console.disabled().remove(&self.scope(whom)?);
            }
            Command::Kill(whom) => return self.kill(whom).map(Some),
            Command::KillClient(id) => {
                let ended = shared.registry.end(|pid, _, _| pid == *id);
                return match ended.is_empty() {
                    true => Err("client not found".to_owned()),
                    false => Ok(Some(Awaited::Gone(ended))),
                };
            }
            Command::Reconnect(whom) => {
                for scope in self.databases(whom)? {
                    shared.pools.renew(&scope);
                }
            }
            Command::WaitClose(whom) => {
                return self.databases(whom).map(Awaited::Renewed).map(Some);
            }
            Command::Reload => return self.change(ConfigurationChange::Reload).map(Some),
            Command::Set(setting, value) => {
                let change = ConfigurationChange::Set(setting.key, setting.value(value)?);
                return self.change(change).map(Some);
            }
            Command::Shutdown(Shutdown::Now) => self.asked()?.stop.notify_one(),
            Command::Shutdown(Shutdown::AfterServers) => self.asked()?.drain.notify_one(),
            Command::Shutdown(Shutdown::AfterClients) => self.asked()?.close.notify_one(),
        }
        Ok(None)
    }

    fn has_come(&self, awaited: &mut Awaited) -> Option<Result<(), String>> {
        let pools = &self.shared.pools;
        let has_come = match awaited {
            Awaited::Quiet(scopes) => scopes
                .iter()
                .all(|scope| pools.is_quiet(scope) || !pools.paused().contains(scope)),
            Awaited::Renewed(scopes) => scopes.iter().all(|scope| pools.is_renewed(scope)),
            Awaited::Gone(pids) => !self.shared.registry.has_any(pids),
            Awaited::Outcome(outcome) => match outcome.try_recv() {
                Ok(outcome) => return Some(outcome),
                Err(TryRecvError::Empty) => false,
                Err(TryRecvError::Closed) => {
                    return Some(Err("the process has not done it".to_owned()));
                }
            },
        };
        has_come.then_some(Ok(()))
    }
}
