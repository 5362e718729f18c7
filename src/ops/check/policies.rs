//! Tries the policies themselves: what do they let through while no tenant is
//! set?

use super::catalogue;
use super::database::{Given, Looker};
use std::collections::BTreeSet;
use tokio_postgres::{Client, Error, Row};

/// A permissive policy that reads the setting.
struct Policy {
    object: String,
    qual: String,
    fix: Option<String>,
    /// Whether nothing but PostgreSQL's own functions is in it, so that it can
    /// be run without running anybody's code.
    is_plain: bool,
    /// Whether it lets through a made-up row that has values.
    on_values: String,
    /// Whether it lets through a row of NULLs.
    on_nulls: String,
    looks_open: bool,
}

/// What a policy lets through while no tenant is set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Open {
    No,
    ToRowsWithoutTenant,
    ToAll,
}

pub(super) async fn check(
    looker: &mut Looker<'_>,
    given: &Given,
    setting: &str,
    roles: &BTreeSet<String>,
) {
    let found = async {
        let rows = looker
            .query(include_str!("sql/policy_rows.sql"), given)
            .await?;
        let policies: Vec<_> = rows.iter().map(Policy::read).collect::<Result<_, _>>()?;
        let client = &looker.database.client;
        let opens = try_all(client, &policies, setting, roles.first()).await;
        // Whatever happened in between, the transaction ends here.
        client.batch_execute("ROLLBACK").await?;
        Ok::<_, Error>((policies, opens?))
    };
    match found.await {
        Ok((policies, opens)) => {
            for (policy, open) in policies.into_iter().zip(opens) {
                report(looker, policy, open);
            }
        }
        Err(error) => looker.fail(&catalogue::policies::OPEN_POLICY, &error),
    }
}

fn report(looker: &mut Looker<'_>, policy: Policy, open: Open) {
    let (check, detail) = match open {
        Open::ToAll => (
            &catalogue::policies::OPEN_POLICY,
            format!("USING ({})", policy.qual),
        ),
        Open::ToRowsWithoutTenant => (
            &catalogue::policies::NULL_TENANT,
            format!("USING ({})", policy.qual),
        ),
        Open::No if !policy.is_plain && policy.looks_open => (
            &catalogue::policies::OPEN_POLICY,
            format!("by its text, it was not tried: USING ({})", policy.qual),
        ),
        Open::No => return,
    };
    looker.add(check, policy.object, Some(detail), policy.fix);
}

impl Policy {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            object: row.try_get(0)?,
            qual: row.try_get(1)?,
            fix: row.try_get(2)?,
            is_plain: row.try_get(3)?,
            on_values: row.try_get(4)?,
            on_nulls: row.try_get(5)?,
            looks_open: row.try_get(6)?,
        })
    }
}

/// Tries each policy with the setting unset, as in a new session, and empty, as
/// after a reset.
async fn try_all(
    client: &Client,
    policies: &[Policy],
    setting: &str,
    role: Option<&String>,
) -> Result<Vec<Open>, Error> {
    client
        .batch_execute("BEGIN READ ONLY; SET LOCAL statement_timeout = '5s'; SAVEPOINT before")
        .await?;
    if let Some(role) = role {
        // Policies may ask who runs them. Where this is not allowed, they see
        // the one who is logged in.
        let sql = "SELECT set_config('role', $1, true)";
        if client.query_one(sql, &[role]).await.is_err() {
            client.batch_execute("ROLLBACK TO before").await?;
        }
    }
    client.batch_execute("SAVEPOINT each").await?;
    let mut opens = vec![Open::No; policies.len()];
    for set in [false, true] {
        if set {
            let sql = "SELECT set_config($1, '', true)";
            client.query_one(sql, &[&setting]).await?;
            client.batch_execute("RELEASE each; SAVEPOINT each").await?;
        }
        for (policy, open) in policies.iter().zip(&mut opens) {
            if policy.is_plain {
                *open = (*open).max(try_one(client, policy).await?);
            }
        }
    }
    Ok(opens)
}

async fn try_one(client: &Client, policy: &Policy) -> Result<Open, Error> {
    for (sql, open) in [
        (&policy.on_values, Open::ToAll),
        (&policy.on_nulls, Open::ToRowsWithoutTenant),
    ] {
        // An error is as good as a no: that is what such a policy is meant to
        // do without a tenant.
        let passes = match client.query_one(sql.as_str(), &[]).await {
            Ok(row) => row.try_get(0)?,
            Err(_) => false,
        };
        client.batch_execute("ROLLBACK TO each").await?;
        if passes {
            return Ok(open);
        }
    }
    Ok(Open::No)
}
