//! What an authenticated client is told, and its session's beginning.

use super::Shared;
use super::admitted::Admitted;
use super::greeting::{self, NoWelcome};
use super::live::Live;
use super::seats::{Full, Seat};
use crate::attach::SessionSettings;
use crate::audit::Event;
use crate::directory::Principal;
use crate::login::{Authenticated, Failed, LoginError, Proven, parameter, settings_of};
use crate::observe::ClientSpan;
use crate::pool::{Handle, Welcome};
use crate::protocol::ClientError;
use crate::protocol::backend::{self, TransactionStatus};
use crate::protocol::startup::Startup;
use crate::server::not_served;
use crate::session::{
    Client, DrainLevel, Membership, Parts, Registration, Session, Visitor, restricted,
};
use crate::tenant::Tenant;
use crate::transport::ClientAddress;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::info;

/// Where an authenticated client comes in.
pub(super) struct Door<'a> {
    pub(super) live: &'a Live,
    pub(super) shared: &'a Arc<Shared>,
    pub(super) address: ClientAddress,
    pub(super) local: Option<std::net::SocketAddr>,
    pub(super) worker: usize,
    pub(super) draining: Arc<DrainLevel>,
    /// When the client came.
    pub(super) began: Instant,
}

impl Door<'_> {
    /// Tells an authenticated client that it is in, and what it needs to know.
    pub(super) async fn welcome(
        self,
        authenticated: Authenticated,
    ) -> Result<Box<Admitted>, Failed> {
        let Authenticated {
            mut wire,
            startup,
            proven,
        } = authenticated;
        let Proven {
            principal,
            answer,
            listed,
            vouched,
            expires,
            method,
        } = proven;
        let tenant = principal.tenant.clone();
        let span = Arc::new(ClientSpan::new(
            &principal,
            self.address,
            self.shared.audit.clone(),
            self.live.audit_rules(&principal),
        ));
        // The credential holds: whatever fails from here on follows that answer.
        let entered = match self.seat(&principal) {
            Ok(seat) => self
                .prepare_session(&startup, &principal)
                .await
                .map(|prepared| (prepared, seat)),
            Err(error) => Err(error),
        };
        let (prepared, seat) = match entered {
            Ok(entered) => entered,
            Err(error) => {
                let error = LoginError::told(error);
                return match wire.send(&answer).await {
                    Ok(()) => Err((Some(Box::new(wire)), error)),
                    Err(lost) => Err((None, lost)),
                };
            }
        };
        let visitor = Visitor {
            listed,
            vouched,
            address: self.address,
            local: self.local,
            database: asked_database(&startup, &principal).into(),
            application: parameter(&startup, "application_name")
                .unwrap_or_default()
                .into(),
            tls: wire.tls(),
            expires,
        };
        let membership = prepared.membership.clone();
        let registration = match self.register(&startup, &principal, membership, visitor) {
            Ok(registration) => registration,
            Err(error) => return Err((Some(Box::new(wire)), error)),
        };
        let database = &principal.tenant.placement.endpoint.database;
        let login = Event::Login {
            client: span.client(),
            pid: registration.pid(),
            method,
            tls: wire.is_tls(),
            database,
        };
        if self.shared.audit.settle(&login).await.is_err() {
            return Err((Some(Box::new(wire)), LoginError::told(unrecorded())));
        }
        let mut out = answer;
        prepared.welcome.write(&mut out);
        backend::write_backend_key_data(&mut out, registration.pid(), registration.secret());
        backend::ready_for_query(&mut out, TransactionStatus::Idle);
        if let Err(lost) = wire.send(&out).await {
            return Err((None, lost));
        }
        let (transport, input) = wire.into_parts();
        info!(target: "pgtenant::audit", parent: &span.span(), event = "login", method, tls = transport.is_tls());
        let meter = self.shared.ledger.meter(&tenant, self.worker);
        meter.accepted(method, self.began.elapsed());
        let session = Session::new(Parts {
            client: Client::new(transport, input),
            principal,
            pool: prepared.pool,
            guard: prepared.membership.guard,
            interner: self.shared.interner.clone(),
            parsing: self.shared.parsing.clone(),
            registration,
            asked: prepared.asked,
            startup: prepared.welcome.own.clone(),
            told: prepared.welcome.parameters.clone(),
            draining: self.draining,
            span: span.clone(),
            meter,
        });
        // Boxed: what holds it while it is passed on should be small.
        Ok(Box::new(Admitted::new(session, span, seat)))
    }

    /// A place among the clients of the tenant and the login.
    fn seat(&self, principal: &Principal) -> Result<Seat, ClientError> {
        let most = principal.tenant.limits.max_clients;
        let most = most.unwrap_or(self.live.listen.clients_per_tenant);
        let seat = self.shared.seats.take(principal, most);
        seat.map_err(|full| match full {
            Full::Tenant => too_many_of_tenant(),
            Full::Login => too_many_of_login(),
        })
    }

    /// Enters the session into the registry.
    fn register(
        &self,
        startup: &Startup,
        principal: &Principal,
        membership: Membership,
        visitor: Visitor,
    ) -> Result<Registration, LoginError> {
        let secret_len = if startup.minor >= 2 {
            LONG_SECRET
        } else {
            SHORT_SECRET
        };
        let registry = &self.shared.registry;
        let registration = registry
            .register(principal, membership, visitor, self.worker, secret_len)
            .map_err(|error| LoginError::Refused {
                reason: error.to_string(),
                error: Box::new(ClientError::fatal(
                    "XX000",
                    "no randomness for a cancellation key",
                )),
            })?;
        // What has changed since the client arrived was told to others only.
        let shared = self.shared;
        registration.review(|member| shared.live.load().order(member, &shared.pools));
        Ok(registration)
    }

    async fn prepare_session(
        &self,
        startup: &Startup,
        principal: &Principal,
    ) -> Result<Prepared, ClientError> {
        let tenant = &principal.tenant;
        let asked = parameter(startup, "database");
        if let Some(asked) = asked
            && !asked.is_empty()
            && !tenant.has_database(asked)
        {
            return Err(no_such_database(tenant, asked));
        }
        let asked = asked.filter(|asked| !asked.is_empty());
        let asked = asked.unwrap_or(&tenant.placement.endpoint.database);
        if self.shared.console.refuses(&tenant.id, asked) {
            return Err(disabled(asked));
        }
        if let Some(unfit) = self.live.unfit(tenant) {
            return Err(not_served(&unfit));
        }
        if principal.limits.is_masked() && !tenant.placement.masked {
            return Err(not_masked());
        }
        loop {
            let membership = self
                .live
                .membership(tenant, &principal.limits, self.worker, &self.shared.pools)
                .ok_or_else(|| {
                    ClientError::fatal("XX000", "the tenant's isolation is not configured")
                })?;
            let pool = membership.handle(&principal.login, self.worker);
            let mut asked = settings_of(startup, tenant, &membership.guard)?;
            if let Some(name) = &pool.pool().server().application_name {
                let app = asked.get(APPLICATION_NAME).unwrap_or_default();
                let name = name.fill(app, tenant.id.as_str(), principal.login.as_str());
                asked.set(APPLICATION_NAME, Some(&name));
            }
            let own = restricted(&asked, &membership.restrictions(), &membership.guard);
            let welcome = match greeting::welcome(&pool, tenant, &own).await {
                Ok(welcome) => welcome,
                // Another pool is in its place by now.
                Err(NoWelcome::Retired) => continue,
                Err(NoWelcome::Told(error)) => return Err(error),
            };
            let asked = match asked == welcome.own {
                true => welcome.own.clone(),
                false => asked,
            };
            return Ok(Prepared {
                membership,
                pool,
                asked,
                welcome,
            });
        }
    }
}

/// The database that the client asked for, or is given without a word.
fn asked_database<'a>(startup: &'a Startup, principal: &'a Principal) -> &'a str {
    let asked = parameter(startup, "database").filter(|asked| !asked.is_empty());
    asked.unwrap_or(&principal.tenant.placement.endpoint.database)
}

fn no_such_database(tenant: &Tenant, asked: &str) -> ClientError {
    let own = std::iter::once(&*tenant.placement.endpoint.database);
    let names = own.chain(tenant.database_aliases.iter().map(|alias| &**alias));
    let names: Vec<_> = names.map(|name| format!("\"{name}\"")).collect();
    ClientError::fatal("3D000", format!("database \"{asked}\" does not exist")).hint(format!(
        "This login is for the database {}. The administrator can name others in database_alias.",
        names.join(" or ")
    ))
}

fn not_masked() -> ClientError {
    ClientError::fatal(
        "55000",
        "masking is not set up for this tenant, and the login may see masked data alone",
    )
    .hint("The administrator can set masking up, or give the login a profile without `masked`.")
}

fn disabled(database: &str) -> ClientError {
    ClientError::fatal(
        "57P03",
        format!("database \"{database}\" does not allow connections"),
    )
    .hint("An administrator of the proxy has disabled it (DISABLE); try again later.")
}

pub(super) fn unrecorded() -> ClientError {
    ClientError::fatal(
        "53100",
        "the audit log cannot be written, and no login goes unrecorded",
    )
    .hint("The administrator must see to the audit log (audit.file); its disk may be full.")
}

fn too_many_of_tenant() -> ClientError {
    ClientError::fatal("53300", "sorry, too many clients of this tenant already")
        .hint("The administrator can raise listen.clients_per_tenant, or the tenant's max_clients.")
}

fn too_many_of_login() -> ClientError {
    ClientError::fatal("53300", "sorry, too many clients of this login already")
        .hint("The administrator can raise max_clients of the login's profile.")
}

/// PostgreSQL's setting that its log shows as `%a`.
const APPLICATION_NAME: &str = "application_name";
/// Bytes of a cancellation key from protocol 3.2 on, as PostgreSQL 18 has it.
const LONG_SECRET: usize = 32;
/// Bytes of a cancellation key before.
const SHORT_SECRET: usize = 4;

struct Prepared {
    membership: Membership,
    pool: Arc<Handle>,
    /// The settings that the client asked for.
    asked: SessionSettings,
    welcome: Arc<Welcome>,
}
