//! Kind `database`: the database.

use super::{Removal, none_connected};
use crate::ops::provision::error::refuse;
use crate::ops::provision::script::Script;
use crate::ops::provision::{Mode, ProvisionError, Report};
use crate::tenant::{Attachment, Tenant};
use postgres_protocol::escape::escape_identifier;
use tokio_postgres::Client;

pub(super) async fn remove(
    removal: &Removal<'_>,
    tenant: &Tenant,
    mode: Mode,
) -> Result<Report, ProvisionError> {
    let name = &*tenant.placement.endpoint.database;
    is_a_tenants(removal, tenant, name)?;
    let maintenance = removal.url.connect().await?;
    let client = &maintenance.client;
    if !find(client, name).await? {
        return Ok(Report {
            done: vec!["there is nothing to remove".to_owned()],
            sql: String::new(),
        });
    }
    none_connected(connected(client, name).await?, &whose(name))?;
    let quoted = escape_identifier(name);
    let what = format!("removing database {quoted}");
    let (mut close, mut drop) = (Script::default(), Script::default());
    let sql = format!("ALTER DATABASE {quoted} ALLOW_CONNECTIONS false");
    close.push(&what, sql);
    drop.push(&what, format!("DROP DATABASE {quoted}"));
    let report = Report {
        done: vec![format!("removed database {quoted}")],
        sql: close.text() + &drop.text(),
    };
    if mode == Mode::Print {
        return Ok(report);
    }
    close.run(client).await?;
    // Now that nobody can come.
    let dropped = match connected(client, name).await {
        Ok(count) => none_connected(count, &whose(name)),
        Err(error) => Err(error),
    };
    let dropped = match dropped {
        Ok(()) => drop.run(client).await,
        refused => refused,
    };
    let Err(error) = dropped else {
        return Ok(report);
    };
    let sql = format!("ALTER DATABASE {quoted} ALLOW_CONNECTIONS true");
    match client.batch_execute(&sql).await {
        Ok(()) => Err(error),
        Err(_) => refuse(format!(
            "{error}; database {quoted} was left closed (ALLOW_CONNECTIONS false)"
        )),
    }
}

fn whose(name: &str) -> String {
    format!("database \"{name}\"")
}

/// Asserts that the configuration has the database for this tenant alone.
fn is_a_tenants(removal: &Removal<'_>, tenant: &Tenant, name: &str) -> Result<(), ProvisionError> {
    let settings = removal.settings;
    let server = &tenant.placement.endpoint.server;
    let directory = settings.sources.sql.as_ref();
    let is_directory = directory.is_some_and(|sql| sql.database.as_ref() == name);
    let is_shared = settings.tenants.iter().any(|other| {
        !matches!(other.placement.attachment, Attachment::Database)
            && other.placement.endpoint.database.as_ref() == name
            && other.placement.endpoint.server == *server
    });
    if is_directory || is_shared || matches!(name, "postgres" | "template0" | "template1") {
        return refuse(format!("database \"{name}\" is not the tenant's alone"));
    }
    if removal.url.database() == name {
        return refuse(format!(
            "database \"{name}\" cannot be removed over a connection to it: let --url name \
             another, such as postgres"
        ));
    }
    Ok(())
}

/// Whether the database is there. One that is not ours to remove is refused.
async fn find(client: &Client, name: &str) -> Result<bool, ProvisionError> {
    let sql = "SELECT pg_catalog.pg_has_role(d.datdba, 'USAGE'),
            d.datdba::pg_catalog.regrole::text, d.datistemplate
        FROM pg_catalog.pg_database d WHERE d.datname = $1::text";
    let Some(row) = client.query_opt(sql, &[&name]).await? else {
        return Ok(false);
    };
    if !row.try_get::<_, bool>(0)? {
        let owner: String = row.try_get(1)?;
        return refuse(format!(
            "database \"{name}\" belongs to role {owner}: log in as this role"
        ));
    }
    if row.try_get(2)? {
        return refuse(format!("database \"{name}\" is a template"));
    }
    Ok(true)
}

/// How many are connected to it.
async fn connected(client: &Client, name: &str) -> Result<i64, ProvisionError> {
    let sql = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity a
        WHERE a.datname = $1::text AND a.usename IS NOT NULL";
    Ok(client.query_one(sql, &[&name]).await?.try_get(0)?)
}
