//! What is known of a client that is not in yet, for the log and the counters.

use crate::audit::{Event, Log};
use crate::directory::{Directory, Principal};
use crate::login::{LoginError, parameter};
use crate::metrics::{Ledger, Outcome};
use crate::protocol::startup::Startup;
use crate::tenant::SharedTenant;
use crate::transport::ClientAddress;
use tracing::{debug, info, warn};

/// What is known of a client that is not in yet.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The user name that it asks for, fit to be shown.
    login: Option<String>,
    /// The tenant of that login, or of what it has proved itself with.
    tenant: Option<SharedTenant>,
}

impl Known {
    /// The most letters of a name that a stranger sends.
    const MOST: usize = 100;

    pub(super) fn introduce(&mut self, startup: &Startup, directory: &Directory) {
        let Some(user) = parameter(startup, "user") else {
            return;
        };
        let shown = user.chars().take(Self::MOST);
        self.login = Some(shown.flat_map(char::escape_debug).collect());
        let listed = directory.find(user);
        self.tenant = listed.map(|login| login.principal.tenant.clone());
    }

    pub(super) fn prove(&mut self, principal: &Principal) {
        self.login = Some(principal.login.as_str().escape_debug().collect());
        self.tenant = Some(principal.tenant.clone());
    }

    /// Counts that the client has not come in. `method`: what it was asked to prove
    /// itself with.
    pub(super) fn count(&self, ledger: &Ledger, method: Option<&'static str>, error: &LoginError) {
        let outcome = match error {
            // A probe of the port.
            LoginError::Lost(_) if self.login.is_none() => return,
            LoginError::Lost(_) | LoginError::Left(_) => Outcome::Lost,
            _ => Outcome::Refused,
        };
        ledger.not_accepted(self.tenant.as_deref(), method.unwrap_or("none"), outcome);
    }
}

/// A refusal is a warning. A client that has left by itself, such as a probe of the
/// port or `pg_isready`, is none.
pub(super) fn refused(address: ClientAddress, known: &Known, error: &LoginError, audit: &Log) {
    let login = known.login.as_deref();
    let tenant = known.tenant.as_ref().map(|tenant| tenant.id.as_str());
    match error {
        LoginError::Lost(_) if login.is_none() => {
            debug!(target: "pgtenant::audit", event = "login_refused", client = %address, reason = %error);
            return;
        }
        LoginError::Lost(_) | LoginError::Left(_) => {
            info!(target: "pgtenant::audit", event = "login_refused", login, tenant, client = %address, reason = %error);
        }
        _ => {
            warn!(target: "pgtenant::audit", event = "login_refused", login, tenant, client = %address, reason = %error);
        }
    }
    if audit.is_on() {
        audit.record(&Event::LoginRefused {
            login,
            tenant,
            address,
            sqlstate: error.to_client().map(|error| error.sqlstate),
            reason: &error.to_string(),
        });
    }
}
