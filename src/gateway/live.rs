//! What the settings make, replaced as a whole when they change.

use super::catalogs::{Catalogs, rests_on_settings};
use super::guards::{Guards, Judging, Policies};
use crate::audit::{Rules, Statements};
use crate::config::{
    self, AdminLogin, CertificateFile, ClientTls, EndSessions, Isolation, IsolationKind, Listen,
    Settings, Share,
};
use crate::directory::{Directory, Principal};
use crate::guard::{Own, Permission, Policy};
use crate::login::{Authenticator, NotVouched};
use crate::peers::Peers;
use crate::pool::{Plans, Pools};
use crate::session::{Ending, Member, Membership, Order, When};
use crate::tenant::{
    IsolationName, LoginLimits, LoginName, Seal, ServerName, SharedTenant, Standing, Tenant, Unfit,
};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What holds for those who arrive now, and what running sessions are held to.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) tls: ClientTls,
    pub(super) certificate_files: Arc<[CertificateFile]>,
    pub(super) listen: Listen,
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) directory: Arc<Directory>,
    /// The server of each isolation.
    pub(super) isolations: Arc<[(IsolationName, ServerName)]>,
    pub(super) admins: Arc<BTreeMap<LoginName, AdminLogin>>,
    /// The other replicas, if this is one of several.
    pub(super) peers: Option<Arc<Peers>>,
    /// When sessions end that may not go on.
    end_sessions: When,
    /// How long they, and those that must follow a change, have time for it.
    pub(super) end_within: Duration,
    /// Whether there are sessions, or were, that end by a limit of time.
    pub(super) times_out: bool,
    /// What is recorded of statements, where nothing says otherwise.
    rules: Rules,
    /// What isolations say otherwise.
    audited: BTreeMap<IsolationName, Statements>,
    /// Those of each worker.
    guards: Arc<[Guards]>,
}

impl Live {
    /// What `settings` make, the directory taken out of them; what they leave as
    /// it was `before` is kept.
    pub(super) fn new(
        settings: &mut Settings,
        before: Option<&Self>,
        catalogs: &Arc<Catalogs>,
    ) -> io::Result<Self> {
        let policies = policies(settings);
        let guards = match before {
            Some(before) if before.policies() == Some(&policies) => before.guards.clone(),
            _ => {
                let workers = 0..settings.listen.workers;
                let guards = |_| Guards::new(policies.clone(), catalogs.clone());
                workers.map(guards).collect()
            }
        };
        let previous = before.map(|before| &*before.authenticator);
        let authenticator = Authenticator::new(settings, previous).map_err(io::Error::other)?;
        let own = settings.listen.peer.as_ref();
        let known = before.and_then(|before| before.peers.as_deref());
        let peers = own.map(|own| Peers::new(own, &settings.peers, &settings.tls, known));
        Ok(Self {
            peers: peers.transpose()?.map(Arc::new),
            authenticator: Arc::new(authenticator),
            tls: settings.tls.clone(),
            certificate_files: settings.certificate_files.clone(),
            listen: settings.listen.clone(),
            isolations: servers(&settings.isolations),
            end_sessions: match settings.sources.end_sessions {
                EndSessions::AfterTransaction => When::AtBoundary,
                EndSessions::AtOnce => When::Now,
            },
            end_within: settings.sources.end_sessions_within,
            times_out: before.is_some_and(|before| before.times_out)
                || settings.directory.times_out()
                || profiles_time_out(settings),
            directory: Arc::new(std::mem::take(&mut settings.directory)),
            admins: Arc::new(settings.admin.logins.clone()),
            audited: settings
                .audit
                .as_ref()
                .map(|_| audited(settings))
                .unwrap_or_default(),
            rules: settings.audit.as_ref().map_or(Rules::OFF, |audit| Rules {
                statements: audit.statements,
                text: audit.text,
            }),
            guards,
        })
    }

    fn policies(&self) -> Option<&Policies> {
        self.guards.first().map(Guards::policies)
    }

    /// What a session of the tenant goes by on this worker; `None` if its isolation or
    /// its server is not configured. `login`: what its login says.
    pub(super) fn membership(
        &self,
        tenant: &SharedTenant,
        login: &LoginLimits,
        worker: usize,
        pools: &Pools,
    ) -> Option<Membership> {
        Some(Membership {
            tenant: tenant.clone(),
            login: login.clone(),
            guard: self.guards.get(worker)?.get(tenant, login)?,
            pool: pools.get(&tenant.placement, &tenant.isolation)?,
        })
    }

    /// What is recorded of the statements of a client.
    pub(super) fn audit_rules(&self, principal: &Principal) -> Rules {
        let tenant = &principal.tenant;
        let isolation = || self.audited.get(&tenant.isolation).copied();
        let own = principal.limits.audit().or(tenant.limits.audit);
        let own = own.or_else(isolation);
        Rules {
            statements: own.unwrap_or(self.rules.statements),
            ..self.rules
        }
    }

    /// Why the tenant cannot be served, as far as it is known.
    pub(super) fn unfit(&self, tenant: &Tenant) -> Option<Unfit> {
        self.guards.first()?.unfit(tenant)
    }

    /// Who a session's client is now; `None` where that cannot be told.
    fn principal(&self, member: &Member<'_>) -> Result<Option<Principal>, Gone> {
        let before = member.membership;
        let id = &before.tenant.id;
        let found = if member.visitor.listed {
            let login = self.directory.find(member.login.as_str());
            login.map(|login| login.principal.clone())
        } else {
            self.directory.tenant(id).map(|tenant| Principal {
                login: member.login.clone(),
                tenant: tenant.clone(),
                limits: LoginLimits::default(),
            })
        };
        let Some(found) = found.filter(|found| found.tenant.id == *id) else {
            let is_known = self.directory.is_complete();
            return if is_known { Err(Gone) } else { Ok(None) };
        };
        let Some(vouched) = &member.visitor.vouched else {
            return Ok(Some(found));
        };
        let own = found.limits.profile.as_ref();
        let profile = match self.authenticator.profile_of(vouched, id, own) {
            Ok(profile) => profile,
            // It has had none from there.
            Err(NotVouched::Unknown) if own == before.login.profile.as_ref() => own.cloned(),
            Err(_) => return Err(Gone),
        };
        let placed = self.directory.with_profile(found, profile);
        placed.map(Some).map_err(|_| Gone)
    }

    /// What a session is to be told, if what it goes by is not so any more.
    pub(super) fn order(&self, member: &Member<'_>, pools: &Pools) -> Option<Order> {
        let end = |ending| Some(Order::End(ending, self.end_sessions));
        let principal = match self.principal(member) {
            Ok(Some(principal)) => principal,
            // Nothing says that it is gone: it stays as it was.
            Ok(None) => Principal {
                login: member.login.clone(),
                tenant: member.membership.tenant.clone(),
                limits: member.membership.login.clone(),
            },
            Err(Gone) => return end(Ending::Removed),
        };
        let (tenant, limits) = (&principal.tenant, &principal.limits);
        if tenant.standing == Standing::Suspended {
            return end(Ending::Suspended);
        }
        if !tenant.allows(limits, &member.visitor.address) {
            return end(Ending::Address);
        }
        if self.unfit(tenant).is_some() {
            return Some(Order::End(Ending::Unfit, When::Now));
        }
        if limits.is_masked() && !tenant.placement.masked {
            return Some(Order::End(Ending::Unmasked, When::Now));
        }
        match self.membership(tenant, limits, member.worker, pools) {
            Some(membership) if membership.is(member.membership) => None,
            Some(membership) => Some(Order::Follow(membership)),
            None => end(Ending::Removed),
        }
    }
}

/// Nothing says any more that the client may be there.
struct Gone;

fn servers(isolations: &BTreeMap<IsolationName, Isolation>) -> Arc<[(IsolationName, ServerName)]> {
    let isolations = isolations.iter();
    let server =
        |(name, isolation): (&IsolationName, &Isolation)| (name.clone(), isolation.server.clone());
    isolations.map(server).collect()
}

/// Whether the proxy ends sessions of some profile by a limit of time.
fn profiles_time_out(settings: &Settings) -> bool {
    let mut all = settings.profiles.values();
    all.any(|profile| profile.limits.timeouts.end_sessions())
}

fn policies(settings: &Settings) -> Policies {
    let protected = protected(&settings.isolations);
    let audit = settings.audit.as_ref();
    let policy = |isolation: &Isolation| {
        let kind = &isolation.kind;
        // With a role of its own the tenant is the role, whatever it looks names up in.
        let is_path = matches!(
            kind,
            IsolationKind::Schema {
                per_tenant_role: false
            }
        );
        let path = is_path.then_some("search_path");
        let names = protected.iter().map(String::as_str).chain(path);
        let mut policy = Policy::new(isolation.guard, names);
        policy.max_length = settings.listen.max_statement;
        policy.own = own(kind);
        policy.describes = audit
            .is_some_and(|audit| isolation.audit.unwrap_or(audit.statements) > Statements::Refused);
        Judging {
            policy,
            by_relations: rests_on_settings(kind),
        }
    };
    let isolations = settings.isolations.iter();
    let policies = isolations.map(|(name, isolation)| (name.clone(), policy(isolation)));
    Arc::new(policies.collect())
}

fn audited(settings: &Settings) -> BTreeMap<IsolationName, Statements> {
    let isolations = settings.isolations.iter();
    let audited = isolations.filter_map(|(name, one)| Some((name.clone(), one.audit?)));
    audited.collect()
}

/// What a tenant of this kind has for itself.
fn own(kind: &IsolationKind) -> Own {
    match kind {
        IsolationKind::Setting { .. } => Own::Rows,
        IsolationKind::Schema {
            per_tenant_role: false,
        } => Own::Schema,
        IsolationKind::Schema {
            per_tenant_role: true,
        } => Own::Role,
        IsolationKind::Database => Own::Database,
    }
}

/// Isolations can live in one database: each guard protects the settings of all.
fn protected(isolations: &BTreeMap<IsolationName, Isolation>) -> Vec<String> {
    let mut protected: Vec<String> = Vec::new();
    for isolation in isolations.values() {
        if let IsolationKind::Setting { setting, .. } = &isolation.kind {
            protected.push(setting.to_string());
        }
    }
    protected.extend(Seal::SETTINGS.map(str::to_owned));
    protected
}

/// The settings of pools, as the guard's make them.
pub(super) fn pool_settings(settings: &Settings) -> Plans {
    let mut plans = Plans {
        common: settings.pool.clone(),
        own: BTreeMap::new(),
    };
    for (name, isolation) in &settings.isolations {
        let pool = match &isolation.pool {
            None => &mut plans.common,
            Some(own) => plans.own.entry(name.clone()).or_insert(config::Pool {
                mode: settings.pool.mode,
                ..own.clone()
            }),
        };
        // Connections of a tenant's own role serve no other tenant anyway.
        let is_shared = !isolation.kind.has_tenant_roles();
        if is_shared && isolation.guard.opaque == Permission::Allow {
            // Code of a client's own can leave in the server's process what
            // DISCARD ALL does not remove.
            pool.share = Share::Tenant;
        }
    }
    plans
}
