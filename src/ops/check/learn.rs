//! Reads from the policies what they compare with the tenant: the queries of the
//! other checks go by it.

use super::catalogue::policies::{CUTS, MAY_CUT};
use super::comparisons::{self, Reading};
use super::database::{Given, Looker};
use serde_json::Value;
use std::collections::BTreeSet;
use tokio_postgres::{Error, Row};

/// Fills in `given.comparisons`, and tells of policies that cut the tenant's id.
pub(super) async fn learn(looker: &mut Looker<'_>, given: &mut Given) -> Result<(), Error> {
    let reading = reading(looker, given).await?;
    let sql = include_str!("sql/conditions.sql");
    let mut all = Vec::new();
    for row in looker.query(sql, given).await? {
        let policy = Policy::read(&row)?;
        let mut least = None::<u32>;
        for condition in [&policy.qual, &policy.checks].into_iter().flatten() {
            let read = comparisons::read(condition, &policy.relation, &reading);
            let found = read.comparisons.iter();
            all.extend(found.map(|comparison| comparison.to_json(policy.oid)));
            least = least.into_iter().chain(read.cut_to).min();
        }
        if let Some(length) = least.filter(|_| policy.is_reachable) {
            report(looker, given, policy, length);
        }
    }
    given.comparisons = Value::Array(all).to_string();
    Ok(())
}

async fn reading(looker: &Looker<'_>, given: &Given) -> Result<Reading, Error> {
    let (mut functions, mut sets) = (BTreeSet::new(), BTreeSet::new());
    for row in looker.query(include_str!("sql/readers.sql"), given).await? {
        let name: String = row.try_get(0)?;
        if row.try_get(1)? {
            sets.insert(name.to_lowercase());
        }
        functions.insert(name.to_lowercase());
    }
    Ok(Reading {
        setting: given.setting.to_lowercase(),
        functions,
        sets,
    })
}

struct Policy {
    oid: u32,
    relation: String,
    object: String,
    qual: Option<String>,
    checks: Option<String>,
    uncut: Option<String>,
    is_reachable: bool,
}

impl Policy {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            oid: row.try_get(0)?,
            relation: row.try_get(1)?,
            object: row.try_get(2)?,
            qual: row.try_get(3)?,
            checks: row.try_get(4)?,
            uncut: row.try_get(5)?,
            is_reachable: row.try_get(6)?,
        })
    }
}

/// A cut that is longer than every tenant's id is harmless as yet.
fn report(looker: &mut Looker<'_>, given: &Given, policy: Policy, length: u32) {
    let is_longer = |id: &&String| id.chars().count() > length as usize;
    let longer = given.tenants.iter().find(is_longer);
    let check = if longer.is_some() { &CUTS } else { &MAY_CUT };
    let condition = policy.qual.or(policy.checks).unwrap_or_default();
    let what = match longer {
        _ if length == 0 => "it compares a part of the id alone".to_owned(),
        Some(id) => format!("of the id {id} it compares the first {length} characters alone"),
        None => format!("it compares the first {length} characters alone"),
    };
    // Only casts can be put right here: what a function takes from the id may be meant.
    let fix = policy.uncut.filter(|_| length > 0);
    looker.add(
        check,
        policy.object,
        Some(format!("{what}: {condition}")),
        fix,
    );
}
