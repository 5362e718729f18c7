//! Looks for gaps between tenants: in the configuration, and in the catalogs of
//! the tenants' databases.
//!
//! It only reads. What it finds names the object, says why it matters and gives
//! the SQL that closes the gap; nothing is changed.

mod catalogue;
mod comparisons;
mod configuration;
mod connections;
mod database;
mod finding;
mod learn;
mod masked;
mod members;
mod policies;
mod releases;
mod scope;

pub use catalogue::{CHECKS, Check, find};
pub use finding::{Checked, Finding, Place, Report, Severity};

use crate::config::Settings;
use crate::ops::mask::{Masking, targets};
use crate::ops::sql_client::{Account, Database, SqlClientError};
use scope::Scope;

/// Checks the configuration alone.
#[must_use]
pub fn configuration(settings: &Settings) -> Report {
    let mut report = Report {
        findings: configuration::check(settings),
        ..Report::default()
    };
    report.arrange();
    report
}

/// Checks the configuration and every database of the tenants. It logs in as
/// the proxy does, and as `account` at the server that this is for. What cannot be
/// looked at is in the report's failures. `progress` is told before each database how
/// many have been looked at, and of how many.
pub async fn everything(
    settings: &Settings,
    account: Option<&Account>,
    mut progress: impl FnMut(usize, usize),
) -> Report {
    let mut report = configuration(settings);
    let scopes = scope::scopes(settings);
    let all = scopes.len();
    let maskings = targets(settings, None);
    for (done, ((server, database), scope)) in scopes.into_iter().enumerate() {
        progress(done, all);
        let is_here = |one: &&Masking| one.server.as_str() == server && *one.database == *database;
        let masked: Vec<_> = maskings.iter().filter(is_here).collect();
        let scope = (&scope, &*masked);
        let looked = look(settings, account, &server, &database, scope, &mut report).await;
        if let Err(error) = looked {
            let place = Place::Database { server, database };
            report.failures.push((place, error.to_string()));
        }
    }
    report.arrange();
    report
}

async fn look(
    settings: &Settings,
    account: Option<&Account>,
    server: &str,
    database: &str,
    (scope, masked): (&Scope, &[&Masking]),
    report: &mut Report,
) -> Result<(), SqlClientError> {
    let configured = settings
        .servers
        .iter()
        .find(|(name, _)| name.as_str() == server);
    let (Some((_, configured)), Some((user, password))) = (configured, &scope.login) else {
        return Ok(());
    };
    let connection = match account.filter(|account| account.is_for(server)) {
        Some(account) => account.url().connect_to(database).await?,
        None => Database::connect(configured, database, user, password.as_ref()).await?,
    };
    // Before what binds the session.
    for masking in masked {
        masked::check(&connection, server, masking, report).await;
    }
    database::check(&connection, server, scope, report).await
}
