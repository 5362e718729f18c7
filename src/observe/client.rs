//! Whom an event is about.

use crate::audit::{self, Event, Log, Rules};
use crate::directory::Principal;
use crate::tenant::{LoginName, TenantId};
use crate::transport::ClientAddress;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tracing::{Span, error_span};

/// A client's span, made for each event that is written: they are rare, and a client that
/// does nothing costs no memory for it. And the client's end of the audit log.
#[derive(Debug)]
pub struct ClientSpan {
    login: LoginName,
    tenant: TenantId,
    address: ClientAddress,
    log: Log,
    client: OnceLock<audit::Client>,
    rules: Rules,
    session: u64,
    since: Instant,
    statements: AtomicU64,
    refused: AtomicU64,
}

impl ClientSpan {
    /// That of a client that has logged in from `address`, recorded by `rules`.
    #[must_use]
    pub fn new(principal: &Principal, address: ClientAddress, log: Log, rules: Rules) -> Self {
        Self {
            login: principal.login.clone(),
            tenant: principal.tenant.id.clone(),
            address,
            rules: if log.is_on() { rules } else { Rules::OFF },
            session: log.next_session(),
            log,
            client: OnceLock::new(),
            since: Instant::now(),
            statements: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Its login, its tenant and its address.
    #[must_use]
    pub fn who(&self) -> (&LoginName, &TenantId, ClientAddress) {
        (&self.login, &self.tenant, self.address)
    }

    /// The span, for one event.
    #[must_use]
    pub fn span(&self) -> Span {
        // Of the highest level, so that no filter takes it from the events in it.
        error_span!(
            target: "pgtenant::client",
            "client",
            login = %self.login,
            tenant = %self.tenant,
            client = %self.address,
        )
    }

    /// The audit log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What is recorded of its statements.
    #[must_use]
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// The client, for the audit log, if there is one.
    #[must_use]
    pub fn client(&self) -> &audit::Client {
        self.client.get_or_init(|| {
            if !self.log.is_on() {
                return audit::Client::default();
            }
            let (tenant, login) = (self.tenant.as_str(), self.login.as_str());
            audit::Client::new(tenant, login, self.address, self.session)
        })
    }

    /// Counts a statement and returns its number, from 1 on.
    pub fn count_statement(&self) -> u64 {
        self.statements.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number of the last statement.
    #[must_use]
    pub fn last_statement(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// The number that the next statement will have.
    #[must_use]
    pub fn next_statement(&self) -> u64 {
        self.statements.load(Ordering::Relaxed) + 1
    }

    /// Counts a refused statement.
    pub fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that the client is out.
    pub fn record_logout(&self, reason: &str, sqlstate: Option<&str>) {
        self.log.record(&Event::Logout {
            client: self.client(),
            reason,
            sqlstate,
            duration: self.since.elapsed(),
            statements: self.statements.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        });
    }
}
