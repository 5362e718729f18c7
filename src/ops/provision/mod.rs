//! Making what tenants need in PostgreSQL: schemas, roles, databases, grants, and
//! the tables of a template.
//!
//! A tenant is made in one transaction (a database cannot be, and is removed again
//! when it fails), and only what is missing is made: the second time nothing is
//! changed. First a script is worked out from what is there; then it is run, or
//! printed.

mod copy;
mod database;
mod error;
mod files;
mod join;
mod ledger;
mod printed;
mod remove;
mod role;
mod schema;
mod script;
mod setting;
mod template;

pub use copy::Copies;
pub use error::ProvisionError;
pub use files::{SqlFile, SqlFiles};
pub use join::{Joining, install as install_trigger};
pub use remove::{DumpHint, Removal};
pub use template::{Template, TemplateError};

use crate::config::Settings;
use crate::ops::sql_client::Url;
use crate::tenant::{Attachment, Identity, Tenant};
use std::fmt;

/// What tenants are made with.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The proxy's configuration.
    pub settings: &'a Settings,
    /// Where and as whom the work is done. The user must own the templates and
    /// will own what is made.
    pub url: &'a Url,
    /// What the tenants' schemas and databases are made from.
    pub template: &'a Template,
    /// What has been read of schemas to copy; empty at first.
    pub copies: &'a Copies,
}

/// What is done with a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is run.
    Run,
    /// It is only shown; nothing is changed.
    Print,
}

/// What was done for a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What was made, in words; nothing when all was there.
    pub done: Vec<String>,
    /// The script that did it. It has a verifier where a password was set, from
    /// which the password cannot be computed.
    pub sql: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.done.is_empty() {
            return f.write_str("up to date");
        }
        f.write_str(&self.done.join(", "))
    }
}

/// Makes what a tenant lacks.
///
/// # Errors
/// When the tenant's isolation has nothing to make, what is there is in the way,
/// or a statement fails. Nothing is changed then.
pub async fn provision(
    site: Site<'_>,
    tenant: &Tenant,
    mode: Mode,
) -> Result<Report, ProvisionError> {
    let placement = &tenant.placement;
    match (&placement.attachment, &placement.identity, &tenant.schema) {
        (Attachment::Setting { name, value, .. }, Identity::Tenant(role), _) => {
            let own = setting::Own { role, name, value };
            setting::provision(site, tenant, own, mode).await
        }
        (Attachment::Schema { search_path }, _, Some(schema)) => {
            let one = schema::Own {
                name: schema,
                search_path,
            };
            schema::provision(site, tenant, one, mode).await
        }
        (Attachment::Database, ..) => database::provision(site, tenant, mode).await,
        _ => Err(ProvisionError::Refused(
            "its isolation has one set of tables for all tenants, and no `role`: there is nothing \
             to make"
                .to_owned(),
        )),
    }
}
