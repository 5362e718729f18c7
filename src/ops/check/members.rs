//! Checks of tenants' own roles where tenants share tables. That the rights are right is
//! checked of the one role of which all are members; here, that they are nothing else.

use super::catalogue::members::{GROUP_LOGS_IN, MAY_STORE, MEMBER_PASSWORD};
use super::catalogue::{CHECKS, Kind, roles};
use super::database::{Given, Looker};
use super::scope::{Group, Member};
use crate::directory::Verifier;
use crate::tenant::TenantRole;
use std::collections::BTreeMap;
use tokio_postgres::Error;

/// What is asked of every role, whatever it has its rights from.
const OF_ALL: [&super::Check; 4] = [
    &roles::ROLE_MISSING,
    &roles::SUPERUSER,
    &roles::BYPASSRLS,
    &roles::ATTRIBUTES,
];

pub(super) async fn check(looker: &mut Looker<'_>, setting: &str, group: &Group) {
    let names = || group.members.keys().cloned();
    let of_all = Given {
        roles: names().collect(),
        tenant_roles: names().collect(),
        ..Given::default()
    };
    for check in OF_ALL {
        looker.run(check, &of_all).await;
    }
    let given = Given {
        roles: vec![group.name.clone()],
        setting: setting.to_owned(),
        tenant_roles: names().collect(),
        tenants: group
            .members
            .values()
            .map(|one| one.tenant.clone())
            .collect(),
        ..Given::default()
    };
    for check in CHECKS
        .into_iter()
        .filter(|check| check.kind == Kind::Member)
    {
        looker.run(check, &given).await;
    }
    if let Err(error) = passwords(looker, &group.members).await {
        looker.fail(&MEMBER_PASSWORD, &error);
    }
    if let Err(error) = logs_in(looker, group).await {
        looker.fail(&GROUP_LOGS_IN, &error);
    }
    if let Err(error) = may_store(looker, setting, group).await {
        looker.fail(&MAY_STORE, &error);
    }
}

/// Whether each has its derived password, where that can be read.
async fn passwords(
    looker: &mut Looker<'_>,
    members: &BTreeMap<String, Member>,
) -> Result<(), Error> {
    let client = &looker.database.client;
    let sql = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')";
    if !client.query_one(sql, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(());
    }
    let names: Vec<_> = members.keys().collect();
    let sql = "SELECT rolname::text, rolpassword FROM pg_catalog.pg_authid
        WHERE rolname = ANY ($1::text[]) AND rolcanlogin";
    let rows = client.query(sql, &[&names]).await?;
    let mut others = Vec::new();
    for row in rows {
        let (name, verifier): (String, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
        let verifier = verifier.and_then(|text| text.parse::<Verifier>().ok());
        let is_of = |role: &TenantRole| verifier.is_some_and(|one| one.is_of(&role.password));
        if members
            .get(&name)
            .is_some_and(|member| !is_of(&member.role))
        {
            others.push(name);
        }
    }
    for name in others {
        let fix = "-- run: pgtenant provision --config FILE --url URL --all".to_owned();
        looker.add(&MEMBER_PASSWORD, format!("role {name}"), None, Some(fix));
    }
    Ok(())
}

async fn logs_in(looker: &mut Looker<'_>, group: &Group) -> Result<(), Error> {
    let sql = "SELECT pg_catalog.quote_ident(rolname) FROM pg_catalog.pg_roles
        WHERE rolname = $1::text AND rolcanlogin";
    let client = &looker.database.client;
    let Some(row) = client.query_opt(sql, &[&group.name]).await? else {
        return Ok(());
    };
    let ident: String = row.try_get(0)?;
    let (detail, fix) = match &group.user_of {
        Some(server) => (
            format!("it is the user of [servers.{server}]"),
            format!(
                "-- when no tenant shares it any more: another user for [servers.{server}], and ALTER ROLE {ident} NOLOGIN"
            ),
        ),
        None => (
            "the proxy does not need that".to_owned(),
            format!("ALTER ROLE {ident} NOLOGIN;"),
        ),
    };
    looker.add(
        &GROUP_LOGS_IN,
        format!("role {}", group.name),
        Some(detail),
        Some(fix),
    );
    Ok(())
}

/// Whether the members may store the setting, by a right of the role that they are members
/// of. PostgreSQL 14 has no such right.
async fn may_store(looker: &mut Looker<'_>, setting: &str, group: &Group) -> Result<(), Error> {
    let client = &looker.database.client;
    let sql = "SELECT pg_catalog.current_setting('server_version_num')::int >= 150000";
    if !client.query_one(sql, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(());
    }
    let sql = "SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC'
            ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END
        FROM pg_catalog.pg_parameter_acl p, pg_catalog.aclexplode(p.paracl) a
        JOIN pg_catalog.pg_roles g ON g.rolname = $2::text
        WHERE p.parname = $1::text AND a.privilege_type = 'SET'
            AND (a.grantee = 0 OR pg_catalog.pg_has_role(g.oid, a.grantee, 'USAGE'))";
    for row in client.query(sql, &[&setting, &group.name]).await? {
        let whom: String = row.try_get(0)?;
        let name = setting.replace('.', "\".\"");
        let fix = format!("REVOKE SET ON PARAMETER \"{name}\" FROM {whom};");
        let object = format!("role {}", group.name);
        let detail = format!("{whom} has the right to SET {setting}");
        looker.add(&MAY_STORE, object, Some(detail), Some(fix));
    }
    Ok(())
}
