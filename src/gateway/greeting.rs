//! What a client is told of the server at login.

use crate::attach::{self, AttachError, Cleanup, Random, SessionSettings};
use crate::pool::{CheckoutError, Handle, Welcome, WelcomeKey};
use crate::protocol::ClientError;
use crate::protocol::backend::TransactionStatus;
use crate::server::{Connection, Parameters};
use crate::tenant::SharedTenant;
use std::sync::Arc;
use std::time::Instant;
use tracing::warn;

/// Server connections that may break while a client is greeted: nothing of the
/// client's has been sent, so that another is tried.
const MOST_BROKEN: usize = 3;

/// Why there is nothing to tell.
pub(super) enum NoWelcome {
    /// The pool has been replaced by another.
    Retired,
    /// The client is told this.
    Told(ClientError),
}

/// What the server reports at login under these settings: known from an earlier
/// login, or asked for.
pub(super) async fn welcome(
    pool: &Arc<Handle>,
    tenant: &SharedTenant,
    own: &SessionSettings,
) -> Result<Arc<Welcome>, NoWelcome> {
    let key = WelcomeKey::new(&tenant.placement, own);
    let is_fresh = pool.refresh_welcome(&key).await;
    let known = pool.pool().welcome(&key);
    if let Some(known) = &known
        && is_fresh
    {
        return Ok(known.clone());
    }
    match (reported(pool, tenant, own).await, known) {
        (Ok(parameters), _) => {
            let welcome = Arc::new(Welcome::new(own.clone(), parameters));
            pool.pool().remember_welcome(key, welcome.clone());
            Ok(welcome)
        }
        (Err(Failure::Checkout(CheckoutError::Retired)), _) => Err(NoWelcome::Retired),
        // It can only get old.
        (Err(_), Some(known)) => Ok(known),
        (Err(Failure::Checkout(error)), None) => Err(NoWelcome::Told(error.to_client())),
        (Err(Failure::Attach(error)), None) => Err(NoWelcome::Told(not_attached(tenant, error))),
    }
}

fn not_attached(tenant: &SharedTenant, error: AttachError) -> ClientError {
    if let AttachError::OwnSetting(report) = error {
        return ClientError::fatal("22023", report.message);
    }
    warn!(target: "pgtenant::server", tenant = %tenant.id, %error, "cannot attach the tenant");
    attach::not_attached()
}

enum Failure {
    Checkout(CheckoutError),
    Attach(AttachError),
}

/// What the server reports on a connection of the tenant's with these settings.
async fn reported(
    pool: &Arc<Handle>,
    tenant: &SharedTenant,
    own: &SessionSettings,
) -> Result<Parameters, Failure> {
    let mut broken = 0;
    loop {
        let begun = Instant::now();
        let lease = pool.checkout(tenant, own).await;
        let mut lease = lease.map_err(Failure::Checkout)?;
        if lease.connection().opened() < begun {
            // What has changed since it was used last is reported with the answer.
            lease.connection_mut().check();
        }
        let Ok(mut lease) = lease.attach(tenant, own).await else {
            // It could not be cleaned of its last client: another is asked for.
            continue;
        };
        let confirmed = lease.confirm(TransactionStatus::Idle, |_| {}).await;
        let parameters = lease.connection().parameters().clone();
        match lease.try_map(Connection::bind) {
            Ok(lease) => {
                lease.give_back(Cleanup::None, Random::Unseen);
                return confirmed.map(|()| parameters).map_err(Failure::Attach);
            }
            Err(lease) => lease.abandon(),
        }
        let error = confirmed.err().unwrap_or(AttachError::Unconfirmed);
        broken += 1;
        if !matches!(error, AttachError::Broken(_)) || broken == MOST_BROKEN {
            return Err(Failure::Attach(error));
        }
    }
}
