//! What a login sees whose columns are masked.

use super::Unproved;
use super::report::{Outcome, Test};
use super::scene::{Scene, Table, open};
use super::text::{identifier, literal};
use super::wire::{Login, Session};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// So many rows are compared.
const SAMPLE: usize = 200;

/// Compares what the masked login sees with what the first login sees, whose tenant it is of.
pub(super) async fn masked(
    scene: &Scene,
    login: Option<&Login>,
    limit: usize,
    tests: &mut Vec<Test>,
) -> Result<(), Unproved> {
    let Some(login) = login else {
        tests.push(Test {
            id: "masked".to_owned(),
            promise: "P16",
            what: "log in as the masked login".to_owned(),
            outcome: Outcome::NotApplicable("no masked login is given (--masked)".to_owned()),
        });
        return Ok(());
    };
    let mut plain = open(&scene.own.login).await?;
    let mut session = open(login).await?;
    for table in scene.own.tables.iter().take(limit) {
        let shown = table.shown();
        let found = found(&mut session, table).await;
        tests.push(Test {
            id: format!("masked-base:{shown}"),
            promise: "P16",
            what: format!("as the masked login: SELECT from {shown}, by its qualified name"),
            outcome: base(&mut session, table, found.as_deref()).await,
        });
        let outcome = match found {
            Some(found) if found != table.name() => {
                columns(&mut plain, &mut session, table, &found).await
            }
            Some(_) => Outcome::NotApplicable(
                "the name leads to the table itself: see whether it can be read".to_owned(),
            ),
            None => {
                Outcome::NotApplicable("the masked login has no relation of this name".to_owned())
            }
        };
        tests.push(Test {
            id: format!("masked-columns:{shown}"),
            promise: "P16",
            what: format!(
                "compare the columns of {} with those of the table",
                table.relation
            ),
            outcome,
        });
        tests.push(Test {
            id: format!("masked-rows:{shown}"),
            promise: "D4",
            what: format!(
                "as the masked login: rows of the other tenant in {}",
                table.relation
            ),
            outcome: rows(scene, &mut session, table).await,
        });
    }
    plain.close().await;
    session.close().await;
    Ok(())
}

/// The relation that the table's name without a schema leads the login to.
async fn found(session: &mut Session, table: &Table) -> Option<String> {
    let name = literal(&identifier(&table.relation));
    let sql = format!(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass({name})"
    );
    let answer = session.query(&sql).await;
    match answer.rows.first()?.as_slice() {
        [Some(schema), Some(relation)] => {
            Some(format!("{}.{}", identifier(schema), identifier(relation)))
        }
        _ => None,
    }
}

async fn base(session: &mut Session, table: &Table, found: Option<&str>) -> Outcome {
    if found == Some(&table.name()) && !table.has_places {
        return Outcome::NotApplicable("it is no table".to_owned());
    }
    let answer = session
        .query(&format!("SELECT * FROM {} LIMIT 1", table.name()))
        .await;
    match answer.failed {
        None => Outcome::Broken("the masked login reads the table itself".to_owned()),
        Some(failed) if failed.sqlstate == "42501" => Outcome::Held(format!("refused: {failed}")),
        Some(failed) => Outcome::NotTested(format!("it failed for another reason: {failed}")),
    }
}

async fn columns(
    plain: &mut Session,
    session: &mut Session,
    table: &Table,
    found: &str,
) -> Outcome {
    let (theirs, ours) = match (
        values(plain, &table.name()).await,
        values(session, found).await,
    ) {
        (Ok(theirs), Ok(ours)) => (theirs, ours),
        (Err(why), _) | (_, Err(why)) => return Outcome::NotTested(why),
    };
    if theirs.is_empty() || ours.is_empty() {
        return Outcome::NotTested("there is no row to compare".to_owned());
    }
    let (mut masked, mut plain) = (Vec::new(), Vec::new());
    for (column, values) in &theirs {
        match ours.get(column) {
            Some(shown) if shown.is_disjoint(values) => masked.push(column.as_str()),
            Some(_) => plain.push(column.as_str()),
            None => masked.push(column.as_str()),
        }
    }
    let plain = plain.join(", ");
    match masked.is_empty() {
        true => Outcome::Broken(format!(
            "no column differs from those of the table: {plain}"
        )),
        false => Outcome::Held(format!(
            "masked or left out: {}; as they are: {plain}",
            masked.join(", ")
        )),
    }
}

type Columns = BTreeMap<String, BTreeSet<String>>;

/// The values of each column that are not null.
async fn values(session: &mut Session, relation: &str) -> Result<Columns, String> {
    let sql =
        format!("SELECT to_jsonb(\"a row\")::text FROM {relation} AS \"a row\" LIMIT {SAMPLE}");
    let answer = session.query(&sql).await;
    if let Some(failed) = answer.failed {
        return Err(format!("it cannot be read: {failed}"));
    }
    let mut columns = Columns::new();
    for row in answer.rows.into_iter().flatten().flatten() {
        let Ok(Value::Object(row)) = serde_json::from_str(&row) else {
            return Err("a row is no JSON".to_owned());
        };
        for (column, value) in row {
            if !value.is_null() {
                columns.entry(column).or_default().insert(value.to_string());
            }
        }
    }
    Ok(columns)
}

/// Rows that are the other tenant's by their own column.
async fn rows(scene: &Scene, session: &mut Session, table: &Table) -> Outcome {
    let Some(owner) = table
        .owner
        .as_ref()
        .filter(|_| !scene.other.value.is_empty())
    else {
        return Outcome::NotApplicable("no column says whose a row is".to_owned());
    };
    if table.is_directory {
        return Outcome::NotApplicable("it is the list of the tenants".to_owned());
    }
    let sql = format!(
        "SELECT count(*), count(*) FILTER (WHERE r.{column}::text = {}) FROM (SELECT {column} FROM {} LIMIT 10000) r",
        literal(&scene.other.value),
        identifier(&table.relation),
        column = identifier(owner),
    );
    let answer = session.query(&sql).await;
    let counts: Vec<_> = answer
        .rows
        .iter()
        .flatten()
        .flatten()
        .map(String::as_str)
        .collect();
    match (counts.as_slice(), answer.failed) {
        (["0", _], None) => Outcome::NotTested("it sees no row".to_owned()),
        ([all, "0"], None) => Outcome::Held(format!("none of {all} rows")),
        ([_, theirs], None) => {
            Outcome::Broken(format!("{theirs} rows of the other tenant are seen"))
        }
        (_, Some(failed)) => Outcome::NotTested(format!("it cannot be asked: {failed}")),
        _ => Outcome::NotTested("it was not answered".to_owned()),
    }
}
