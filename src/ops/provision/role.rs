//! The role of a tenant, and what it may do.

use super::ProvisionError;
use super::error::refuse;
use super::script::Script;
use crate::config::{Secret, Server};
use crate::directory::Verifier;
use crate::ops::sql_client::Database;
use crate::tenant::TenantRole;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use tokio_postgres::Client;

/// What a tenant's role has its rights from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights<'a> {
    /// Its own, to what is in the tenant's schema.
    Own,
    /// Those of this role, of which it is a member, and of no other.
    Of(&'a str),
}

/// Adds to the script what makes the role, or gives it its password, and says
/// what that is.
pub(super) async fn make(
    database: &Database,
    server: &Server,
    role: &TenantRole,
    rights: Rights<'_>,
    script: &mut Script,
) -> Result<Option<String>, ProvisionError> {
    let name = escape_identifier(&role.name);
    let verifier = || escape_literal(&Verifier::derive(&role.password));
    let what = format!("making role {name}");
    let Some(can_login) = find(&database.client, &role.name, rights).await? else {
        let inherit = match rights {
            Rights::Own => "NOINHERIT",
            Rights::Of(_) => "INHERIT",
        };
        script.push(
            &what,
            format!(
                "CREATE ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE {inherit} \
                 NOREPLICATION NOBYPASSRLS PASSWORD {}",
                verifier()
            ),
        );
        if rights == Rights::Own {
            // The proxy sets it; a connection that it has not set it for sees nothing.
            let here = escape_identifier(&database.name);
            let sql = format!("ALTER ROLE {name} IN DATABASE {here} SET search_path = ''");
            script.push(&what, sql);
        }
        return Ok(Some(match rights {
            Rights::Own => format!("created role {name}"),
            Rights::Of(group) => {
                let group = escape_identifier(group);
                format!("created role {name}, a member of {group}")
            }
        }));
    };
    if can_login && has_password(database, server, role).await? {
        return Ok(None);
    }
    let sql = format!("ALTER ROLE {name} LOGIN PASSWORD {}", verifier());
    script.push(&format!("setting the password of role {name}"), sql);
    Ok(Some(format!("set the password of role {name}")))
}

/// Whether the role can log in; `None` if there is none. One that may more than
/// a tenant must is refused.
pub(super) async fn find(
    client: &Client,
    name: &str,
    rights: Rights<'_>,
) -> Result<Option<bool>, ProvisionError> {
    let group = match rights {
        Rights::Own => None,
        Rights::Of(group) => Some(group),
    };
    let sql = "SELECT r.rolcanlogin,
            r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls,
            r.rolname = current_user,
            (SELECT pg_catalog.min(g.rolname::text) FROM pg_catalog.pg_auth_members m
             JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
             WHERE m.member = r.oid AND g.rolname IS DISTINCT FROM $2::text)
        FROM pg_catalog.pg_roles r WHERE r.rolname = $1::text";
    let Some(row) = client.query_opt(sql, &[&name, &group]).await? else {
        return Ok(None);
    };
    let refused = |reason: &str| {
        refuse(format!(
            "role \"{name}\" exists already and {reason}: it cannot be a tenant's"
        ))
    };
    if row.try_get(2)? {
        return refused("is the one that is logged in here");
    }
    if row.try_get(1)? {
        return refused("has one of SUPERUSER, CREATEROLE, CREATEDB, REPLICATION, BYPASSRLS");
    }
    if let Some(group) = row.try_get::<_, Option<String>>(3)? {
        return refused(&format!("is a member of role \"{group}\""));
    }
    Ok(Some(row.try_get(0)?))
}

/// Whether the role has its derived password: read where that is allowed, tried
/// where not.
async fn has_password(
    database: &Database,
    server: &Server,
    role: &TenantRole,
) -> Result<bool, ProvisionError> {
    let client = &database.client;
    let sql = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')";
    if client.query_one(sql, &[]).await?.try_get(0)? {
        let sql = "SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1::text";
        let row = client.query_one(sql, &[&&*role.name]).await?;
        let verifier: Option<String> = row.try_get(0)?;
        let verifier = verifier.and_then(|text| text.parse::<Verifier>().ok());
        return Ok(verifier.is_some_and(|verifier| verifier.is_of(&role.password)));
    }
    let password = Secret::new(&role.password);
    let login = Database::connect(server, &database.name, &role.name, Some(&password));
    Ok(login.await.is_ok())
}

/// When the right to connect to the database is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connect {
    /// With the other rights.
    Now,
    /// By somebody else, when all is done.
    Later,
}

/// Adds to the script what lets `grantee` use a schema and all that its owner
/// makes in it, and says whether something was missing.
pub(super) async fn grant(
    client: &Client,
    grantee: &str,
    schema: &str,
    at: Connect,
    script: &mut Script,
) -> Result<bool, ProvisionError> {
    let sql = "SELECT
        coalesce(pg_catalog.has_database_privilege(r.oid, d.oid, 'CONNECT'), EXISTS (
            SELECT FROM pg_catalog.aclexplode(
                coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
            WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT')),
        EXISTS (SELECT FROM pg_catalog.aclexplode(n.nspacl) a
                WHERE a.grantee = 0),
        coalesce(pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE'), false),
        ARRAY(SELECT f.defaclobjtype::text FROM pg_catalog.pg_default_acl f
              WHERE f.defaclnamespace = n.oid AND EXISTS (
                  SELECT FROM pg_catalog.aclexplode(f.defaclacl) a WHERE a.grantee = r.oid)
                AND f.defaclrole = (SELECT u.oid FROM pg_catalog.pg_roles u
                                    WHERE u.rolname = current_user)),
        n.oid IS NOT NULL
        FROM pg_catalog.pg_database d
        LEFT JOIN pg_catalog.pg_roles r ON r.rolname = $1::text
        LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = $2::text
        WHERE d.datname = pg_catalog.current_database()";
    let row = client.query_one(sql, &[&grantee, &schema]).await?;
    let (connect, public, usage): (bool, bool, bool) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (defaults, exists): (Vec<String>, bool) = (row.try_get(3)?, row.try_get(4)?);

    let what = format!("granting to role \"{grantee}\"");
    let (to, name) = (escape_identifier(grantee), escape_identifier(schema));
    let mut granted = false;
    let mut push = |sql: String| {
        granted = true;
        script.push(&what, sql);
    };
    if !connect && at == Connect::Now {
        let sql = "SELECT pg_catalog.current_database()::text";
        let here: String = client.query_one(sql, &[]).await?.try_get(0)?;
        let here = escape_identifier(&here);
        push(format!("GRANT CONNECT ON DATABASE {here} TO {to}"));
    }
    if public || !exists {
        push(format!("REVOKE ALL ON SCHEMA {name} FROM PUBLIC"));
    }
    if !usage || public {
        push(format!("GRANT USAGE ON SCHEMA {name} TO {to}"));
    }
    for (kind, privileges, objects) in [
        ("r", "SELECT, INSERT, UPDATE, DELETE", "TABLES"),
        ("S", "USAGE, SELECT", "SEQUENCES"),
        ("f", "EXECUTE", "ROUTINES"),
    ] {
        if defaults.iter().any(|one| one == kind) {
            continue;
        }
        push(format!(
            "ALTER DEFAULT PRIVILEGES IN SCHEMA {name} GRANT {privileges} ON {objects} TO {to}"
        ));
        // What is there already; later the owner may have taken rights away.
        if exists {
            push(format!(
                "GRANT {privileges} ON ALL {objects} IN SCHEMA {name} TO {to}"
            ));
        }
    }
    Ok(granted)
}

/// Asserts that the role can use none of `schemas`.
pub(super) async fn verify(
    client: &Client,
    role: &str,
    schemas: &[&str],
) -> Result<(), ProvisionError> {
    let sql = "SELECT n.nspname::text FROM pg_catalog.pg_namespace n
        WHERE n.nspname = ANY ($1::text[])
          AND pg_catalog.has_schema_privilege($2::text::name, n.oid, 'USAGE') LIMIT 1";
    match client.query_opt(sql, &[&schemas, &role]).await? {
        None => Ok(()),
        Some(row) => refuse(format!(
            "role \"{role}\" could use schema \"{0}\", which is another tenant's: REVOKE USAGE ON \
             SCHEMA \"{0}\" from this role and from PUBLIC",
            row.try_get::<_, String>(0)?
        )),
    }
}
