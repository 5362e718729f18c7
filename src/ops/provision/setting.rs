//! Kind `setting` with a role for each tenant: the role, its membership of the role that
//! has the rights, and the tenant that its sessions begin with.

use super::error::refuse;
use super::role::{self, Rights};
use super::schema::{begin, report};
use super::script::Script;
use super::{Mode, ProvisionError, Report, Site};
use crate::config::{IsolationKind, Settings};
use crate::ops::sql_client::Database;
use crate::tenant::{Tenant, TenantRole};
use postgres_protocol::escape::{escape_identifier, escape_literal};
use tokio_postgres::Client;

/// What is the tenant's own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    pub(super) role: &'a TenantRole,
    /// The setting.
    pub(super) name: &'a str,
    /// The tenant's value of it.
    pub(super) value: &'a str,
}

/// The role of which those of the tenant's isolation are members; `None` where tenants
/// share a role.
pub(super) fn group<'s>(settings: &'s Settings, tenant: &Tenant) -> Option<&'s str> {
    match &settings.isolations.get(&tenant.isolation)?.kind {
        IsolationKind::Setting { roles, .. } => Some(&*roles.as_ref()?.group),
        IsolationKind::Schema { .. } | IsolationKind::Database => None,
    }
}

pub(super) async fn provision(
    site: Site<'_>,
    tenant: &Tenant,
    own: Own<'_>,
    mode: Mode,
) -> Result<Report, ProvisionError> {
    let endpoint = &tenant.placement.endpoint;
    let server = site.settings.servers.get(&endpoint.server);
    let (Some(server), Some(group)) = (server, group(site.settings, tenant)) else {
        return refuse("its server or its isolation is not configured");
    };
    let database = site.url.connect_to(&endpoint.database).await?;
    let client = &database.client;
    begin(client).await?;
    is_fit(client, group).await?;
    let mut script = Script::default();
    let rights = Rights::Of(group);
    let made = role::make(&database, server, own.role, rights, &mut script).await?;
    let mut done: Vec<_> = made.into_iter().collect();
    done.extend(join(client, own.role, group, &mut script).await?);
    done.extend(store(&database, own, &mut script).await?);
    if mode == Mode::Run && !script.is_empty() {
        script.run(client).await?;
        verify(client, own, group).await?;
        client.batch_execute("COMMIT").await?;
    }
    // What is not committed is rolled back as the connection ends.
    Ok(report(&[&script], done))
}

/// Asserts that tenants' roles may be members of this one.
async fn is_fit(client: &Client, group: &str) -> Result<(), ProvisionError> {
    let sql = "SELECT r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolreplication,
            pg_catalog.current_setting('server_version_num')::int >= 160000
            AND NOT pg_catalog.pg_has_role(r.oid, 'USAGE WITH ADMIN OPTION')
        FROM pg_catalog.pg_roles r WHERE r.rolname = $1::text";
    let Some(row) = client.query_opt(sql, &[&group]).await? else {
        return refuse(format!(
            "role \"{group}\", of which the tenants' roles are to be members (role_group), does not \
             exist"
        ));
    };
    if row.try_get(0)? {
        return refuse(format!(
            "role \"{group}\" has one of SUPERUSER, BYPASSRLS, CREATEROLE, REPLICATION: tenants' \
             roles cannot be members of it"
        ));
    }
    if row.try_get(1)? {
        return refuse(format!(
            "who is logged in here may not make members of role \"{group}\": GRANT \"{group}\" TO \
             this role WITH ADMIN OPTION"
        ));
    }
    Ok(())
}

/// Adds what makes the role a member of the group that has its rights.
async fn join(
    client: &Client,
    role: &TenantRole,
    group: &str,
    script: &mut Script,
) -> Result<Option<String>, ProvisionError> {
    let sql = "SELECT r.rolinherit, pg_catalog.pg_has_role(r.oid, g.oid, 'USAGE'),
            pg_catalog.current_setting('server_version_num')::int >= 160000
        FROM pg_catalog.pg_roles g LEFT JOIN pg_catalog.pg_roles r ON r.rolname = $1::text
        WHERE g.rolname = $2::text";
    let row = client.query_one(sql, &[&&*role.name, &group]).await?;
    let (inherits, is_member): (Option<bool>, Option<bool>) = (row.try_get(0)?, row.try_get(1)?);
    if is_member == Some(true) {
        return Ok(None);
    }
    let (member, of) = (escape_identifier(&role.name), escape_identifier(group));
    let what = format!("making role {member} a member of {of}");
    if inherits == Some(false) {
        script.push(&what, format!("ALTER ROLE {member} INHERIT"));
    }
    // It is to have the rights, and not to become the role.
    let options = match row.try_get(2)? {
        true => " WITH INHERIT TRUE, SET FALSE",
        false => "",
    };
    script.push(&what, format!("GRANT {of} TO {member}{options}"));
    Ok(inherits.map(|_| format!("made role {member} a member of {of}")))
}

/// Adds what lets the role's sessions begin with the tenant.
async fn store(
    database: &Database,
    own: Own<'_>,
    script: &mut Script,
) -> Result<Option<String>, ProvisionError> {
    let client = &database.client;
    let stored = stored(client, own).await?;
    let role = escape_identifier(&own.role.name);
    if let Some(other) = stored {
        if other == own.value {
            return Ok(None);
        }
        return refuse(format!(
            "role {role} has another tenant stored, {} = {}: if the role is this tenant's, ALTER \
             ROLE {role} RESET {} first (or IN DATABASE)",
            own.name,
            escape_literal(&other).trim(),
            own.name
        ));
    }
    if !may_store(client, own.name).await? {
        let who = escape_identifier(&database.user);
        return Ok(Some(format!(
            "role {role} begins without the tenant, which pgtenant states at each login: to store \
             it, GRANT SET ON PARAMETER {} TO {who} as a superuser (PostgreSQL 15)",
            identifier(own.name)
        )));
    }
    let sql = format!(
        "ALTER ROLE {role} SET {} TO {}",
        identifier(own.name),
        escape_literal(own.value)
    );
    script.push(&format!("storing the tenant for role {role}"), sql);
    Ok(Some(format!("stored the tenant for role {role}")))
}

/// What is stored for the role and counts here, if it is not empty.
async fn stored(client: &Client, own: Own<'_>) -> Result<Option<String>, ProvisionError> {
    let sql = "SELECT e.value FROM pg_catalog.pg_db_role_setting s
        JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
        LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase,
        pg_catalog.unnest(s.setconfig) AS c (entry),
        LATERAL (SELECT pg_catalog.lower(pg_catalog.split_part(c.entry, '=', 1)) AS name,
            pg_catalog.substr(c.entry, pg_catalog.strpos(c.entry, '=') + 1) AS value) e
        WHERE r.rolname = $1::text AND e.name = $2::text AND e.value <> ''
            AND (s.setdatabase = 0 OR d.datname = pg_catalog.current_database())
        ORDER BY s.setdatabase <> 0 DESC LIMIT 1";
    let row = client
        .query_opt(sql, &[&&*own.role.name, &own.name])
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Whether who is logged in may store a setting that PostgreSQL does not know.
async fn may_store(client: &Client, setting: &str) -> Result<bool, ProvisionError> {
    let sql = "SELECT pg_catalog.current_setting('is_superuser') = 'on',
        pg_catalog.current_setting('server_version_num')::int >= 150000";
    let row = client.query_one(sql, &[]).await?;
    if row.try_get(0)? || !row.try_get::<_, bool>(1)? {
        return Ok(row.try_get(0)?);
    }
    let sql = "SELECT pg_catalog.has_parameter_privilege($1::text, 'SET')";
    Ok(client.query_one(sql, &[&setting]).await?.try_get(0)?)
}

/// Asserts that the role is a member of the group alone, and stored with the tenant alone.
async fn verify(client: &Client, own: Own<'_>, group: &str) -> Result<(), ProvisionError> {
    let role = &own.role.name;
    role::find(client, role, Rights::Of(group)).await?;
    let sql = "SELECT pg_catalog.pg_has_role($1::text::name, $2::text::name, 'USAGE')";
    if !client
        .query_one(sql, &[&&**role, &group])
        .await?
        .try_get::<_, bool>(0)?
    {
        return refuse(format!(
            "role \"{role}\" has not got the rights of \"{group}\""
        ));
    }
    match stored(client, own).await? {
        Some(other) if other != own.value => refuse(format!(
            "role \"{role}\" has another tenant stored, {} = {other}",
            own.name
        )),
        _ => Ok(()),
    }
}

/// A setting's name as SQL has it.
fn identifier(setting: &str) -> String {
    let parts = setting.split('.').map(escape_identifier);
    parts.collect::<Vec<_>>().join(".")
}
