//! Kind `schema`: the schema and the role; and kind `setting`: the role.

use super::{Removal, none_connected};
use crate::ops::provision::error::refuse;
use crate::ops::provision::role::{self, Rights};
use crate::ops::provision::schema::{begin, is_reserved, report};
use crate::ops::provision::script::Script;
use crate::ops::provision::{Mode, ProvisionError, Report, ledger};
use crate::ops::sql_client::Database;
use crate::tenant::{Identity, Tenant};
use postgres_protocol::escape::{escape_identifier, escape_literal};
use tokio_postgres::Client;

/// The query for what would go with the schema.
const DEPENDENTS: &str = include_str!("../sql/dependents.sql");

/// `schema`: where the tenant has one. `rights`: what its role has its own from.
pub(super) async fn remove(
    removal: &Removal<'_>,
    tenant: &Tenant,
    schema: Option<&str>,
    rights: Rights<'_>,
    mode: Mode,
) -> Result<Report, ProvisionError> {
    if let Some(schema) = schema.filter(|schema| is_reserved(schema)) {
        return refuse(format!("schema \"{schema}\" cannot be a tenant's own"));
    }
    let endpoint = &tenant.placement.endpoint;
    let database = removal.url.connect_to(&endpoint.database).await?;
    let role = match &tenant.placement.identity {
        Identity::Tenant(role) => Some(&*role.name),
        Identity::Server | Identity::Masked(_) => None,
    };
    let work = Work {
        database: &database,
        schema,
        role,
        rights,
    };
    let client = &database.client;
    begin(client).await?;
    let (script, done) = work.plan().await?;
    if mode == Mode::Print || script.is_empty() {
        return Ok(report(&[&script], done));
    }
    client.batch_execute("ROLLBACK").await?;
    let closed = work.close_role().await?;
    match work.run().await {
        Ok(report) => Ok(report),
        Err(error) => work.reopen_role(closed, error).await,
    }
}

struct Work<'a> {
    database: &'a Database,
    schema: Option<&'a str>,
    role: Option<&'a str>,
    rights: Rights<'a>,
}

impl Work<'_> {
    /// Removes all in one transaction.
    async fn run(&self) -> Result<Report, ProvisionError> {
        let client = &self.database.client;
        begin(client).await?;
        // What is there now, and who is connected now that nobody can come.
        let (script, done) = self.plan().await?;
        script.run(client).await?;
        client.batch_execute("COMMIT").await?;
        Ok(report(&[&script], done))
    }

    async fn plan(&self) -> Result<(Script, Vec<String>), ProvisionError> {
        let client = &self.database.client;
        let (mut script, mut done) = (Script::default(), Vec::new());
        // Who still works in the schema is not waited for.
        script.push("waiting for locks", "SET LOCAL lock_timeout = '5s'");
        if let Some(schema) = self.schema {
            self.remove_schema(schema, &mut script, &mut done).await?;
        }
        if let Some(role) = self.role
            && role::find(client, role, self.rights).await?.is_some()
        {
            self.is_unused(client, role).await?;
            self.remove_role(client, role, &mut script).await?;
            done.push(format!("removed role {}", escape_identifier(role)));
        }
        if done.is_empty() {
            return Ok((
                Script::default(),
                vec!["there is nothing to remove".to_owned()],
            ));
        }
        Ok((script, done))
    }

    /// Adds what removes the schema, and what is noted of it.
    async fn remove_schema(
        &self,
        schema: &str,
        script: &mut Script,
        done: &mut Vec<String>,
    ) -> Result<(), ProvisionError> {
        let client = &self.database.client;
        if is_removable(client, schema).await? {
            let name = escape_identifier(schema);
            let what = format!("removing schema {name}");
            script.push(&what, format!("DROP SCHEMA {name} CASCADE"));
            done.push(format!("removed schema {name}"));
        }
        if ledger::prepare(client, &mut Script::default()).await? {
            let schema = escape_literal(schema);
            script.push(
                "forgetting what was run",
                format!("DELETE FROM pgtenant_provision.provisioned WHERE schema_name = {schema}"),
            );
        }
        Ok(())
    }

    /// Asserts that nobody is connected as the role, and that it owns nothing but
    /// what is in the schema.
    async fn is_unused(&self, client: &Client, role: &str) -> Result<(), ProvisionError> {
        let sql = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity a
            WHERE a.usename = $1::text";
        let count: i64 = client.query_one(sql, &[&role]).await?.try_get(0)?;
        none_connected(count, &format!("role \"{role}\""))?;
        let sql = "SELECT pg_catalog.pg_describe_object(d.classid, d.objid, 0)
            FROM pg_catalog.pg_shdepend d
            JOIN pg_catalog.pg_database b ON b.datname = pg_catalog.current_database()
            CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) o
            WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
              AND d.refobjid = pg_catalog.to_regrole(pg_catalog.quote_ident($1::text))::oid
              AND d.deptype = 'o' AND d.dbid IN (b.oid, 0) AND o.schema IS DISTINCT FROM $2::text
            LIMIT 1";
        match client
            .query_opt(sql, &[&role, &self.schema.unwrap_or_default()])
            .await?
        {
            None => Ok(()),
            Some(row) => refuse(format!(
                "role \"{role}\" owns what is not in its schema: {}",
                row.try_get::<_, String>(0)?
            )),
        }
    }

    /// Adds what removes the role and the rights that it was given in this database.
    async fn remove_role(
        &self,
        client: &Client,
        role: &str,
        script: &mut Script,
    ) -> Result<(), ProvisionError> {
        let name = escape_identifier(role);
        let what = format!("removing role {name}");
        let here = escape_identifier(&self.database.name);
        script.push(&what, format!("REVOKE ALL ON DATABASE {here} FROM {name}"));
        let sql = "SELECT pg_catalog.pg_has_role($1::text::name, 'USAGE')";
        if client.query_one(sql, &[&role]).await?.try_get(0)? {
            // It owns nothing any more: this takes rights at what is shared.
            script.push(&what, format!("DROP OWNED BY {name}"));
        }
        script.push(&what, format!("DROP ROLE {name}"));
        Ok(())
    }

    /// Lets nobody log in as the role any more, and says whether anybody could.
    async fn close_role(&self) -> Result<bool, ProvisionError> {
        let client = &self.database.client;
        let Some(role) = self.role else {
            return Ok(false);
        };
        let could = role::find(client, role, self.rights).await? == Some(true);
        if could {
            let sql = format!("ALTER ROLE {} NOLOGIN", escape_identifier(role));
            client.batch_execute(&sql).await?;
        }
        Ok(could)
    }

    /// Puts the role back as it was when nothing was removed.
    async fn reopen_role(
        &self,
        closed: bool,
        error: ProvisionError,
    ) -> Result<Report, ProvisionError> {
        let (true, Some(role)) = (closed, self.role) else {
            return Err(error);
        };
        let name = escape_identifier(role);
        let sql = format!("ROLLBACK; ALTER ROLE {name} LOGIN");
        match self.database.client.batch_execute(&sql).await {
            Ok(()) => Err(error),
            Err(_) => refuse(format!("{error}; role {name} was left NOLOGIN")),
        }
    }
}

/// Whether the schema is there. One that cannot be removed alone is refused.
async fn is_removable(client: &Client, schema: &str) -> Result<bool, ProvisionError> {
    let sql = "SELECT pg_catalog.pg_has_role(n.nspowner, 'USAGE'),
            n.nspowner::pg_catalog.regrole::text
        FROM pg_catalog.pg_namespace n WHERE n.nspname = $1::text";
    let Some(row) = client.query_opt(sql, &[&schema]).await? else {
        return Ok(false);
    };
    if !row.try_get::<_, bool>(0)? {
        return refuse(format!(
            "schema \"{}\" belongs to role {}: log in as this role",
            schema,
            row.try_get::<_, String>(1)?
        ));
    }
    let rows = client.query(DEPENDENTS, &[&schema]).await?;
    let names: Result<Vec<String>, _> = rows.iter().take(5).map(|row| row.try_get(0)).collect();
    if rows.is_empty() {
        return Ok(true);
    }
    refuse(format!(
        "what is not in schema \"{}\" would go with it: {}{}; remove that first",
        schema,
        names?.join(", "),
        match rows.len().saturating_sub(5) {
            0 => String::new(),
            more => format!(" and {more} more"),
        }
    ))
}
