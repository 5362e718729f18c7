//! Whom an event is about.

use crate::directory::Principal;
use crate::tenant::{LoginName, TenantId};
use std::net::SocketAddr;
use std::sync::OnceLock;
use tracing::{Span, error_span};

/// A client's span, made when its first event is written: where none is, it costs
/// nothing.
#[derive(Debug)]
pub struct ClientSpan {
    login: LoginName,
    tenant: TenantId,
    address: SocketAddr,
    span: OnceLock<Span>,
}

impl ClientSpan {
    /// That of a client that has logged in from `address`.
    #[must_use]
    pub fn new(principal: &Principal, address: SocketAddr) -> Self {
        Self {
            login: principal.login.clone(),
            tenant: principal.tenant.id.clone(),
            address,
            span: OnceLock::new(),
        }
    }

    /// Its login, its tenant and its address.
    #[must_use]
    pub fn client(&self) -> (&LoginName, &TenantId, SocketAddr) {
        (&self.login, &self.tenant, self.address)
    }

    /// The span.
    pub fn get(&self) -> &Span {
        self.span.get_or_init(|| {
            // Of the highest level, so that no filter takes it from the events in it.
            error_span!(
                target: "pgtenant::client",
                "client",
                login = %self.login,
                tenant = %self.tenant,
                client = %self.address,
            )
        })
    }
}
