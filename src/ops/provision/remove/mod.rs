//! Removing what was made for a tenant: its schema and role, or its database.
//!
//! Everything that is not certain is refused: the tenant must be suspended, nobody
//! may be connected as the tenant, and nothing of anybody else may go with it.

mod database;
mod schema;

use super::error::refuse;
use super::role::Rights;
use super::{Mode, ProvisionError, Report, setting};
use crate::config::Settings;
use crate::ops::sql_client::Url;
use crate::tenant::{Attachment, Identity, Standing, Tenant};
use std::fmt;

/// Where tenants are removed.
#[derive(Debug, Clone, Copy)]
pub struct Removal<'a> {
    /// The proxy's configuration.
    pub settings: &'a Settings,
    /// Where and as whom the work is done: the owner of what was made.
    pub url: &'a Url,
}

impl Removal<'_> {
    /// Removes what there is of the tenant, or shows what would be removed.
    ///
    /// # Errors
    /// When the tenant is not suspended or has connections, when what there is
    /// cannot be removed alone, or a statement fails. Nothing is removed then.
    pub async fn remove(&self, tenant: &Tenant, mode: Mode) -> Result<Report, ProvisionError> {
        if tenant.standing != Standing::Suspended {
            return refuse(
                "it is not suspended: its clients may still work. Give it state = \"suspended\" in \
                 the directory first, and let the proxy read that",
            );
        }
        self.is_alone(tenant)?;
        match (&tenant.placement.attachment, &tenant.schema) {
            (Attachment::Schema { .. }, Some(schema)) => {
                schema::remove(self, tenant, Some(schema), Rights::Own, mode).await
            }
            (Attachment::Setting { .. }, _) if self.group(tenant).is_some() => {
                let group = self.group(tenant).unwrap_or_default();
                schema::remove(self, tenant, None, Rights::Of(group), mode).await
            }
            (Attachment::Database, _) => database::remove(self, tenant, mode).await,
            _ => refuse(
                "its isolation has one set of tables for all tenants: delete its rows, there is \
                 nothing else to remove",
            ),
        }
    }

    /// The role whose rights the tenants' roles have, in kind `setting`.
    fn group(&self, tenant: &Tenant) -> Option<&str> {
        setting::group(self.settings, tenant)
    }

    /// The command that saves what would be removed.
    #[must_use]
    pub fn dump_hint(&self, tenant: &Tenant) -> DumpHint<'_> {
        DumpHint {
            url: self.url,
            database: tenant.placement.endpoint.database.to_string(),
            schema: tenant.schema.as_deref().map(str::to_owned),
        }
    }

    /// Asserts that no other tenant has what this one has.
    fn is_alone(&self, tenant: &Tenant) -> Result<(), ProvisionError> {
        let at = &tenant.placement.endpoint;
        let role = |one: &Tenant| match &one.placement.identity {
            Identity::Tenant(role) => Some(role.name.to_string()),
            Identity::Server | Identity::Masked(_) => None,
        };
        let own_database = matches!(tenant.placement.attachment, Attachment::Database);
        let others =
            self.settings.tenants.iter().filter(|other| {
                other.id != tenant.id && other.placement.endpoint.server == at.server
            });
        for other in others {
            let here = other.placement.endpoint.database == at.database;
            let same_schema = tenant.schema.is_some() && other.schema == tenant.schema;
            let shares = here && (own_database || same_schema)
                || role(other).is_some() && role(other) == role(tenant);
            if shares {
                return refuse(format!(
                    "tenant \"{}\" has the same schema, role or database",
                    other.id
                ));
            }
        }
        Ok(())
    }
}

/// Asserts that there are no connections; `whose` tells of whom.
fn none_connected(count: i64, whose: &str) -> Result<(), ProvisionError> {
    match count {
        0 => Ok(()),
        n => refuse(format!(
            "{whose} has {n} connection{}: let them end first (the proxy keeps idle ones for \
             `pool.idle_timeout`)",
            if n == 1 { "" } else { "s" }
        )),
    }
}

/// A `pg_dump` for a shell, without the password.
#[derive(Debug)]
pub struct DumpHint<'a> {
    url: &'a Url,
    database: String,
    schema: Option<String>,
}

impl fmt::Display for DumpHint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.url.server();
        let file = match &self.schema {
            Some(schema) => format!("{schema}.dump"),
            None => format!("{}.dump", self.database),
        };
        write!(
            f,
            "pg_dump --host={} --port={} --username={} --format=custom --file={}",
            shell(&server.hosts.first().name),
            server.hosts.first().port,
            shell(self.url.user()),
            shell(&file.replace('/', "_")),
        )?;
        if let Some(schema) = &self.schema {
            // In double quotes a pattern is a name.
            let pattern = format!("\"{}\"", schema.replace('"', "\"\""));
            write!(f, " --schema={}", shell(&pattern))?;
        }
        write!(f, " --dbname={}", shell(&self.database))
    }
}

fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
