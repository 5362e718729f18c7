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
mod policies;
mod releases;
mod scope;

pub use catalogue::{CHECKS, Check, find};
pub use finding::{Checked, Finding, Place, Report, Severity};

use crate::config::Settings;
use crate::ops::sql_client::{Database, SqlClientError, Url};
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
/// the proxy does, or as the user of `credential`, of which nothing else is
/// used. What cannot be looked at is in the report's failures.
pub async fn everything(settings: &Settings, credential: Option<&Url>) -> Report {
    let mut report = configuration(settings);
    for ((server, database), scope) in scope::scopes(settings) {
        let looked = look(
            settings,
            credential,
            &server,
            &database,
            &scope,
            &mut report,
        )
        .await;
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
    credential: Option<&Url>,
    server: &str,
    database: &str,
    scope: &Scope,
    report: &mut Report,
) -> Result<(), SqlClientError> {
    let configured = settings
        .servers
        .iter()
        .find(|(name, _)| name.as_str() == server);
    let (Some((_, configured)), Some((user, password))) = (configured, &scope.login) else {
        return Ok(());
    };
    let (user, password) = match credential {
        Some(url) => (url.user(), url.password()),
        None => (user.as_str(), password.as_ref()),
    };
    let connection = Database::connect(configured, database, user, password).await?;
    database::check(&connection, server, scope, report).await
}
