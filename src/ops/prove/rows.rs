//! The rows that both logins see: which of them are whose.

use super::report::Outcome;
use super::scene::{Kind, Scene, Side, Table};
use super::text::{identifier, literal};
use super::wire::{Failed, Session};
use std::collections::HashSet;

/// So many rows of a table are compared.
const SAMPLE: usize = 50;

/// A row, as one login sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Row {
    /// The table itself, which may be a partition, and the place in it.
    pub(super) place: Option<(String, String)>,
    /// The hash of all of its columns.
    pub(super) hash: String,
    /// Whose it is, by its own column.
    pub(super) owner: Option<String>,
}

/// What the comparison of a table has shown.
pub(super) struct Compared {
    pub(super) table: Table,
    /// Rows that the first login alone sees.
    pub(super) own: Vec<Row>,
    /// Rows that the other login alone sees.
    pub(super) other: Vec<Row>,
    pub(super) outcome: Outcome,
}

/// The query for the hashes of rows of a table.
pub(super) fn hashes(table: &Table) -> String {
    format!(
        "SELECT encode(sha256(convert_to(\"a row\"::text, 'UTF8')), 'hex') FROM {} AS \"a row\"",
        table.name()
    )
}

/// The query for the hashes of these rows, by their places.
pub(super) fn at_places(table: &Table, rows: &[Row]) -> String {
    format!("{} WHERE {}", hashes(table), places("\"a row\"", rows))
}

/// The condition for rows at these places: of one table, of which there may be several
/// in a partitioned one.
pub(super) fn places(alias: &str, rows: &[Row]) -> String {
    let mut places = rows.iter().filter_map(|row| row.place.as_ref());
    let Some((of, _)) = places.clone().next() else {
        return "false".to_owned();
    };
    let same: Vec<_> = places
        .by_ref()
        .filter(|(table, _)| table == of)
        .map(|(_, place)| place.replace(['\'', '"'], ""))
        .map(|place| format!("\"{place}\""))
        .collect();
    format!(
        "{alias}.tableoid = {} AND {alias}.ctid = ANY ({}::tid[])",
        literal(of),
        literal(&format!("{{{}}}", same.join(",")))
    )
}

/// The first rows that a login sees of a table.
async fn sample(session: &mut Session, table: &Table) -> Result<Vec<Row>, Failed> {
    let owner = table.owner.as_deref().map_or("NULL".to_owned(), |column| {
        format!("\"a row\".{}::text", identifier(column))
    });
    let place = match table.has_places {
        true => "\"a row\".tableoid::text, \"a row\".ctid::text",
        false => "NULL, NULL",
    };
    let sql = format!(
        "SELECT {place}, encode(sha256(convert_to(\"a row\"::text, 'UTF8')), 'hex'), {owner} \
         FROM {} AS \"a row\" LIMIT {SAMPLE}",
        table.name()
    );
    let answer = session.query(&sql).await;
    if let Some(failed) = answer.failed {
        return Err(failed);
    }
    let row = |row: Vec<Option<String>>| {
        let mut values = row.into_iter();
        let mut next = || values.next().flatten();
        let (of, place) = (next(), next());
        Some(Row {
            place: of.zip(place),
            hash: next()?,
            owner: next(),
        })
    };
    Ok(answer.rows.into_iter().filter_map(row).collect())
}

/// Which of these rows of the other's a login sees, of which it has `seen` some itself.
async fn seen(
    session: &mut Session,
    table: &Table,
    own: &[Row],
    rows: &[Row],
) -> Result<HashSet<String>, Failed> {
    let theirs: HashSet<&str> = rows.iter().map(|row| row.hash.as_str()).collect();
    if !table.has_places {
        // Rows of a view have no place; two may be alike.
        let both = own.iter().filter(|row| theirs.contains(row.hash.as_str()));
        return Ok(both.map(|row| row.hash.clone()).collect());
    }
    let mut seen = HashSet::new();
    let mut tables: Vec<&str> = rows
        .iter()
        .filter_map(|row| Some(row.place.as_ref()?.0.as_str()))
        .collect();
    tables.sort_unstable();
    tables.dedup();
    for of in tables {
        let of_it = |row: &&Row| row.place.as_ref().is_some_and(|(table, _)| table == of);
        let of_it: Vec<Row> = rows.iter().filter(of_it).cloned().collect();
        let answer = session.query(&at_places(table, &of_it)).await;
        if let Some(failed) = answer.failed {
            return Err(failed);
        }
        let found = answer.rows.into_iter().flatten().flatten();
        seen.extend(found.filter(|hash| theirs.contains(hash.as_str())));
    }
    Ok(seen)
}

/// The rows that a login `sees` of a table that is not listed for the other, and what the
/// other gets that `tries` to read them.
pub(super) async fn apart(
    kind: Kind,
    table: &Table,
    sees: &mut Session,
    tries: &mut Session,
) -> (Vec<Row>, Outcome) {
    let rows = match sample(sees, table).await {
        Ok(rows) => rows,
        Err(failed) => return (Vec::new(), unreadable(&failed)),
    };
    let answer = tries
        .query(&format!("{} LIMIT {SAMPLE}", hashes(table)))
        .await;
    let is_theirs = |hash: &String| rows.iter().any(|row| row.hash == *hash);
    let found = answer
        .rows
        .iter()
        .flatten()
        .flatten()
        .filter(|hash| is_theirs(hash))
        .count();
    let outcome = match answer.failed {
        _ if found > 0 => Outcome::Broken(format!("{found} of {} rows are seen", rows.len())),
        Some(failed) if failed.sqlstate == "42501" => Outcome::Held(format!("refused: {failed}")),
        Some(failed) if kind == Kind::Database && failed.sqlstate == "42P01" => {
            Outcome::NotApplicable("it is in the other tenant's database alone".to_owned())
        }
        Some(failed) => Outcome::NotTested(format!("it failed for another reason: {failed}")),
        None if rows.is_empty() => Outcome::NotTested("there is no row in it".to_owned()),
        None => Outcome::Held("it can be read, and shows none of its rows".to_owned()),
    };
    (rows, outcome)
}

fn unreadable(failed: &Failed) -> Outcome {
    Outcome::NotTested(format!("it cannot be read: {failed}"))
}

/// Compares what both see of a table.
pub(super) async fn compare(
    scene: &Scene,
    sessions: (&mut Session, &mut Session),
    table: &Table,
    is_shared: bool,
) -> Compared {
    let (one, two) = sessions;
    // Places say nothing of another database.
    let has_places = table.has_places && scene.kind != Kind::Database;
    let table = &Table {
        has_places,
        ..table.clone()
    };
    let mut compared = Compared {
        table: table.clone(),
        own: Vec::new(),
        other: Vec::new(),
        outcome: Outcome::NotTested(String::new()),
    };
    let looked = async {
        let own = sample(one, table).await?;
        let other = sample(two, table).await?;
        let by_own = seen(one, table, &own, &other).await?;
        let by_other = seen(two, table, &other, &own).await?;
        Ok::<_, Failed>((own, other, by_own, by_other))
    };
    let (own, other, by_own, by_other) = match looked.await {
        Ok(looked) => looked,
        Err(failed) => {
            compared.outcome = unreadable(&failed);
            return compared;
        }
    };
    let common: HashSet<&String> = by_own.union(&by_other).collect();
    let of = |rows: &[Row], owner: &str| {
        let is_of = |row: &&Row| {
            let is_same = |own: &String| own.eq_ignore_ascii_case(owner);
            !owner.is_empty() && row.owner.as_ref().is_some_and(is_same)
        };
        rows.iter().filter(is_of).count()
    };
    let foreign = of(&own, &scene.other.value) + of(&other, &scene.own.value);
    let owned = own.iter().chain(&other);
    let owned = owned.filter(|row| common.contains(&row.hash) && row.owner.is_some());
    let found = Found {
        seen: (own.len(), other.len()),
        common: common.len(),
        foreign,
        owned: owned.count(),
    };
    compared.outcome = judge(scene, table, &found, is_shared);
    let alone = |rows: Vec<Row>| -> Vec<Row> {
        let is_alone = |row: &Row| !common.contains(&row.hash);
        rows.into_iter().filter(is_alone).collect()
    };
    (compared.own, compared.other) = (alone(own), alone(other));
    compared
}

struct Found {
    seen: (usize, usize),
    /// Rows that both see.
    common: usize,
    /// Rows of one that the other sees, by their own column.
    foreign: usize,
    /// Rows that both see and that are somebody's, by their own column.
    owned: usize,
}

fn judge(scene: &Scene, table: &Table, found: &Found, is_shared: bool) -> Outcome {
    let (own, other) = found.seen;
    let both = format!("both logins see {} of the same rows", found.common);
    if is_shared {
        return Outcome::NotApplicable(format!("said to be shared (--shared); {both}"));
    }
    if found.foreign > 0 {
        let column = table.owner.as_deref().unwrap_or_default();
        return match table.is_directory {
            true => directory(&both),
            false => Outcome::Broken(format!(
                "{} rows that are the other's by column {column} are seen",
                found.foreign
            )),
        };
    }
    match found.common {
        0 if own == 0 && other == 0 => {
            Outcome::NotApplicable("neither login sees a row of it".to_owned())
        }
        0 if own == 0 || other == 0 => Outcome::Held(format!(
            "none of the {} rows of one login is seen by the other, which sees none",
            own.max(other)
        )),
        0 => Outcome::Held(format!(
            "none of {other} rows of the one is among those of the other, nor of {own} the other way"
        )),
        _ if table.is_directory => directory(&both),
        _ if scene.kind == Kind::Setting && found.owned > 0 => Outcome::Broken(both),
        _ if scene.kind == Kind::Setting && table.has_policies => {
            Outcome::Broken(format!("{both}, and it has row-level security"))
        }
        _ if scene.kind == Kind::Setting && table.refers => {
            Outcome::Broken(format!("{both}, and they refer to rows of tenants"))
        }
        _ if is_of_one(scene, table) => {
            Outcome::Broken(format!("{both}, and its schema is one tenant's"))
        }
        _ => Outcome::NotApplicable(format!(
            "{both}; nothing says whose they are: tables that are meant to be so can be named \
             with --shared"
        )),
    }
}

fn directory(both: &str) -> Outcome {
    Outcome::NotApplicable(format!(
        "{both}; it is the list of the tenants, to which tenants' rows refer (see `pgtenant check`, PGT203)"
    ))
}

/// Whether its schema is searched for one of the two alone.
fn is_of_one(scene: &Scene, table: &Table) -> bool {
    let searches = |side: &Side| side.place.schemas.contains(&table.schema);
    scene.kind == Kind::Schema && searches(&scene.own) != searches(&scene.other)
}
