//! Kind `schema`: a schema, a role, grants, and the template's objects.

use super::error::refuse;
use super::ledger::{self, Ledger};
use super::role::{Connect, Rights};
use super::script::{PINNED, Script};
use super::{Mode, ProvisionError, Report, Site, copy, files, printed, role};
use crate::ops::sql_client::Database;
use crate::tenant::{Attachment, Identity, Tenant};
use postgres_protocol::escape::escape_identifier;
use std::sync::Arc;
use tokio_postgres::Client;

/// The tenant's own schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    pub(super) name: &'a str,
    /// All schemas on its path, each quoted.
    pub(super) search_path: &'a str,
}

pub(super) async fn provision(
    site: Site<'_>,
    tenant: &Tenant,
    own: Own<'_>,
    mode: Mode,
) -> Result<Report, ProvisionError> {
    let template = site.template;
    if template.database.is_some() && template.schema.is_none() && template.files.is_none() {
        return refuse("a tenant of kind \"schema\" needs --template schema:NAME or dir:PATH");
    }
    if is_reserved(own.name) || template.schema.as_deref() == Some(own.name) {
        return refuse(format!("schema \"{}\" cannot be a tenant's own", own.name));
    }
    let database = &tenant.placement.endpoint.database;
    let database = site.url.connect_to(database).await?;
    begin(&database.client).await?;
    let work = Work {
        site,
        tenant,
        own,
        database: &database,
    };
    let plan = work.plan().await?;
    if mode == Mode::Run {
        work.run(&plan).await?;
    }
    // What is not committed is rolled back as the connection ends.
    Ok(report(&[&plan.script, &plan.files], plan.done))
}

/// Whether a schema of this name can be no tenant's own.
pub(super) fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "public" | "information_schema" | "pgtenant" | ledger::SCHEMA | printed::ALIAS
    ) || name.starts_with("pg_")
}

/// Begins the transaction of a tenant; two at a time would get in each other's way.
pub(super) async fn begin(client: &Client) -> Result<(), ProvisionError> {
    let lock = "SELECT pg_catalog.pg_advisory_xact_lock(8101946132574)";
    let sql = format!("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;\n{PINNED}{lock};");
    Ok(client.batch_execute(&sql).await?)
}

/// What was done, and the script as a whole.
pub(super) fn report(scripts: &[&Script], done: Vec<String>) -> Report {
    let text: String = scripts.iter().map(|script| script.text()).collect();
    let sql = if text.is_empty() {
        text
    } else {
        format!("BEGIN;\n{PINNED}{text}COMMIT;\n")
    };
    Report { done, sql }
}

struct Work<'a> {
    site: Site<'a>,
    tenant: &'a Tenant,
    own: Own<'a>,
    database: &'a Database,
}

struct Plan {
    script: Script,
    /// What follows when the copy is verified.
    files: Script,
    done: Vec<String>,
    /// What was copied into the schema, to be compared.
    copied: Option<Arc<copy::Original>>,
}

/// How the tenant's schema was found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Missing,
    Empty,
    Used,
}

impl Work<'_> {
    async fn plan(&self) -> Result<Plan, ProvisionError> {
        let client = &self.database.client;
        let (mut script, mut files) = (Script::default(), Script::default());
        let mut done = Vec::new();
        let found = self.find().await?;
        let name = escape_identifier(self.own.name);
        if found == Found::Missing {
            let what = format!("making schema {name}");
            script.push(&what, format!("CREATE SCHEMA {name}"));
            done.push(format!("created schema {name}"));
        }
        let servers = &self.site.settings.servers;
        let Some(server) = servers.get(&self.tenant.placement.endpoint.server) else {
            return refuse("its server is not configured");
        };
        let grantee = match &self.tenant.placement.identity {
            Identity::Tenant(role) => {
                let made = role::make(self.database, server, role, Rights::Own, &mut script);
                done.extend(made.await?);
                &role.name
            }
            // A tenant's own place is no masked one.
            Identity::Server | Identity::Masked(_) => &server.user,
        };
        // One who works as the user of the proxy owns what it makes.
        if **grantee != *self.database.user
            && role::grant(client, grantee, self.own.name, Connect::Now, &mut script).await?
            && done.is_empty()
        {
            done.push(format!("granted to role {}", escape_identifier(grantee)));
        }
        let scripts = (&mut script, &mut files);
        let copied = self.template(found, scripts, &mut done).await?;
        Ok(Plan {
            script,
            files,
            done,
            copied,
        })
    }

    /// Whether the tenant's schema is there. One of another owner is refused.
    async fn find(&self) -> Result<Found, ProvisionError> {
        let sql = "SELECT r.rolname::text, r.rolname = current_user, EXISTS (
                SELECT FROM pg_catalog.pg_depend d
                WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
                  AND d.refobjid = n.oid
                  AND d.classid <> 'pg_catalog.pg_default_acl'::pg_catalog.regclass)
            FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
            WHERE n.nspname = $1::text";
        let client = &self.database.client;
        let Some(row) = client.query_opt(sql, &[&self.own.name]).await? else {
            return Ok(Found::Missing);
        };
        if !row.try_get::<_, bool>(1)? {
            return refuse(format!(
                "schema \"{}\" belongs to role \"{}\": log in as this role",
                self.own.name,
                row.try_get::<_, String>(0)?
            ));
        }
        Ok(if row.try_get(2)? {
            Found::Used
        } else {
            Found::Empty
        })
    }

    /// Adds what the template has and the schema lacks.
    async fn template(
        &self,
        found: Found,
        (script, then): (&mut Script, &mut Script),
        done: &mut Vec<String>,
    ) -> Result<Option<Arc<copy::Original>>, ProvisionError> {
        let template = self.site.template;
        if template.schema.is_none() && template.files.is_none() {
            return Ok(None);
        }
        let (client, own) = (&self.database.client, self.own.name);
        let mut ledger = Ledger::open(client, own, script).await?;
        if found == Found::Missing {
            ledger.forget(own, script);
        }
        let mut copied = None;
        if let Some(template) = &template.schema {
            let original = self.site.copies.get(self.database, template).await?;
            if found == Found::Used {
                original.compare(client, own, &ledger, script).await?;
            } else {
                original.copy_to(own, &ledger, script);
                done.push(format!(
                    "copied schema {} ({} statements)",
                    escape_identifier(template),
                    original.len()
                ));
                copied = Some(original);
            }
        }
        if let Some(files) = &template.files {
            let path = format!("{}, {}", escape_identifier(own), self.own.search_path);
            let count = files::pending(files, &ledger, own, &path, then)?;
            if count > 0 {
                done.push(applied(count));
            }
        }
        Ok(copied)
    }

    async fn run(&self, plan: &Plan) -> Result<(), ProvisionError> {
        let client = &self.database.client;
        if plan.script.is_empty() && plan.files.is_empty() {
            return Ok(());
        }
        plan.script.run(client).await?;
        if let Some(copied) = &plan.copied {
            copied.verify(client, self.own.name).await?;
        }
        plan.files.run(client).await?;
        self.verify_role().await?;
        Ok(client.batch_execute("COMMIT").await?)
    }

    /// Asserts that the tenant's role cannot use what is another tenant's.
    async fn verify_role(&self) -> Result<(), ProvisionError> {
        let Identity::Tenant(role) = &self.tenant.placement.identity else {
            return Ok(());
        };
        let at = &self.tenant.placement.endpoint;
        let others = self.site.settings.tenants.iter().filter(|other| {
            other.id != self.tenant.id
                && other.placement.endpoint.database == at.database
                && matches!(other.placement.attachment, Attachment::Schema { .. })
        });
        let schemas: Vec<&str> = others.filter_map(|other| other.schema.as_deref()).collect();
        role::verify(&self.database.client, &role.name, &schemas).await
    }
}

/// How many files were run, in words.
pub(super) fn applied(count: usize) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("applied {count} file{ending}")
}
