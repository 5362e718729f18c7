//! Writes of one login aimed at the other's rows, in transactions that are rolled back.

use super::report::{Outcome, Test};
use super::rows::{Compared, places};
use super::scene::{Kind, Scene, Side};
use super::text::{identifier, literal};
use super::wire::{Answer, Session};

/// Tries to change, remove and plant rows of the other tenant.
pub(super) async fn writes(
    scene: &Scene,
    sessions: (&mut Session, &mut Session),
    compared: &Compared,
    tests: &mut Vec<Test>,
) {
    let table = &compared.table;
    if scene.kind != Kind::Setting
        || !table.has_places
        || !matches!(compared.outcome, Outcome::Held(_))
    {
        return;
    }
    let (one, two) = sessions;
    let name = table.shown();
    let column = table.owner.as_ref().or(table.columns.first());
    let column = column.map(|column| identifier(column)).unwrap_or_default();
    // A few: their locks are held until it is rolled back.
    let few = compared.other.get(..5).unwrap_or(&compared.other);
    let condition = places("w", few);
    let set = format!("{column} = w.{column}");
    let update = format!("UPDATE {} AS w SET {set} WHERE {condition}", table.name());
    let delete = format!("DELETE FROM {} AS w WHERE {condition}", table.name());
    let mut add = |kind: &str, what: &str, outcome| {
        tests.push(Test {
            id: format!("{kind}:{name}"),
            promise: "D4",
            what: what.to_owned(),
            outcome,
        });
    };
    let may = (table.may_update, table.may_delete, table.may_insert);
    let no_right =
        |right: &str| Outcome::NotApplicable(format!("the login has no right to {right}"));
    let reaches = match () {
        () if compared.other.is_empty() => Err("the other login has no row in it".to_owned()),
        // The same statement touches the rows of whom they belong to.
        () if table.may_update => match undone(two, &update).await {
            answer if answer.touched().is_some_and(|n| n > 0) => Ok(()),
            answer => Err(format!(
                "their own tenant's login does not reach them either{}",
                answer
                    .failed
                    .map_or_else(String::new, |failed| format!(": {failed}"))
            )),
        },
        () => Ok(()),
    };
    add(
        "update",
        "UPDATE of rows of the other tenant, by their places",
        match (may.0, &reaches) {
            (false, _) => no_right("UPDATE"),
            (true, Err(why)) => Outcome::NotTested(why.clone()),
            (true, Ok(())) => touched_none(&undone(one, &update).await),
        },
    );
    add(
        "delete",
        "DELETE of rows of the other tenant, by their places",
        match (may.1, &reaches) {
            (false, _) => no_right("DELETE"),
            (true, Err(why)) => Outcome::NotTested(why.clone()),
            (true, Ok(())) => touched_none(&undone(one, &delete).await),
        },
    );
    let Some(owner) = &table.owner else { return };
    let plants = Planting {
        table: &table.name(),
        owner,
        columns: &table.columns,
        condition: places("w", compared.own.get(..1).unwrap_or_default()),
    };
    let has_own = !compared.own.is_empty();
    let lacks = || Outcome::NotTested("the login has no row of its own to copy".to_owned());
    add(
        "insert",
        "INSERT of a row that says that it is the other tenant's",
        match (may.2, has_own) {
            (false, _) => no_right("INSERT"),
            (true, false) => lacks(),
            (true, true) => planted(&undone(one, &plants.insert(&scene.other)).await),
        },
    );
    add(
        "move",
        "UPDATE of an own row to make it the other tenant's",
        match (may.0, has_own) {
            (false, _) => no_right("UPDATE"),
            (true, false) => lacks(),
            (true, true) => planted(&undone(one, &plants.moved(&scene.other)).await),
        },
    );
}

struct Planting<'a> {
    table: &'a str,
    owner: &'a str,
    columns: &'a [String],
    condition: String,
}

impl Planting<'_> {
    /// A copy of an own row, with all columns, so that no default draws from a sequence.
    fn insert(&self, other: &Side) -> String {
        let list = |prefix: &str| {
            let columns = self.columns.iter();
            let named: Vec<_> = columns
                .map(|column| format!("{prefix}{}", identifier(column)))
                .collect();
            named.join(", ")
        };
        format!(
            "INSERT INTO {table} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {table} AS w, \
             jsonb_populate_record(w, jsonb_build_object({}, {})) AS p WHERE {}",
            list(""),
            list("p."),
            literal(self.owner),
            literal(&other.value),
            self.condition,
            table = self.table,
        )
    }

    fn moved(&self, other: &Side) -> String {
        format!(
            "UPDATE {} AS w SET {} = {} WHERE {}",
            self.table,
            identifier(self.owner),
            literal(&other.value),
            self.condition
        )
    }
}

/// Runs a statement in a transaction, and rolls it back.
async fn undone(session: &mut Session, sql: &str) -> Answer {
    let begun = session.query("BEGIN").await;
    if begun.failed.is_some() {
        return begun;
    }
    let answer = session.query(sql).await;
    session.query("ROLLBACK").await;
    answer
}

fn touched_none(answer: &Answer) -> Outcome {
    match (&answer.failed, answer.touched()) {
        (None, Some(0)) => Outcome::Held("it touched 0 rows".to_owned()),
        (None, Some(n)) => Outcome::Broken(format!("it touched {n} rows, which was rolled back")),
        // Constraints are looked at once a row has been touched.
        (Some(failed), _) if failed.sqlstate.starts_with("23") => {
            Outcome::Broken(format!("it touched rows: {failed}"))
        }
        (Some(failed), _) if failed.sqlstate == "25006" => {
            Outcome::Held(format!("refused: {failed}"))
        }
        (Some(failed), _) => Outcome::NotTested(format!("it failed for another reason: {failed}")),
        (None, None) => Outcome::NotTested("it was not answered with a count".to_owned()),
    }
}

fn planted(answer: &Answer) -> Outcome {
    match (&answer.failed, answer.touched()) {
        (None, Some(0)) => Outcome::NotTested("its own row was not found any more".to_owned()),
        (None, _) => Outcome::Broken("it was taken, which was rolled back".to_owned()),
        // Policies are looked at before constraints.
        (Some(failed), _) if failed.sqlstate.starts_with("23") => Outcome::Broken(format!(
            "no policy has refused it, but a constraint: {failed}"
        )),
        (Some(failed), _)
            if failed.sqlstate == "42501" && failed.message.contains("row-level security") =>
        {
            Outcome::Held(format!("PostgreSQL refused: {failed}"))
        }
        (Some(failed), _) if failed.sqlstate == "25006" => {
            Outcome::Held(format!("refused: {failed}"))
        }
        (Some(failed), _) => Outcome::NotTested(format!("it failed for another reason: {failed}")),
    }
}
