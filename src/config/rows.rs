//! Rows of `[directory.sql]`, read as the sections of files are.

use super::isolation::Isolations;
use super::limits;
use super::logins::{self, Accepted};
use super::profiles::Profiles;
use super::reader::Reader;
use super::servers::Servers;
use super::source::{Data, Table, Value};
use super::tenants;
use crate::directory::{Cell, DeclaredLogin, DeclaredTenant, Row, RowReader};
use crate::problem::{Origin, Problem};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The columns that are numbers in files too.
const NUMBERS: [&str; 2] = ["pool_size", "max_clients"];

/// What rows refer to.
pub(super) struct SectionReader {
    isolations: Isolations,
    servers: Servers,
    profiles: Profiles,
    accepted: Accepted,
    /// The keys that isolations take from their tenants.
    placeholders: BTreeSet<String>,
}

impl SectionReader {
    pub(super) fn new(
        isolations: Isolations,
        servers: Servers,
        profiles: Profiles,
        accepted: Accepted,
    ) -> Self {
        let placeholders = isolations.placeholders();
        Self {
            isolations,
            servers,
            profiles,
            accepted,
            placeholders,
        }
    }
}

impl RowReader for SectionReader {
    fn keys(&self, query: &str) -> Vec<&str> {
        let own = self.placeholders.iter().map(String::as_str);
        match query {
            "tenants" => limits::RESERVED.into_iter().chain(own).collect(),
            _ => logins::KEYS.to_vec(),
        }
    }

    fn tenant(&self, row: Row<'_>) -> Result<DeclaredTenant, Vec<Problem>> {
        let (origin, table) = table(row, "tenants", "id");
        let reader = Reader::of_rows();
        let section = reader.document(&origin, &table);
        let others = &self.placeholders;
        let read = tenants::read_row(section, &self.isolations, &self.servers, others);
        valid(read, reader)
    }

    fn login(&self, row: Row<'_>) -> Result<DeclaredLogin, Vec<Problem>> {
        let (origin, table) = table(row, "logins", "user");
        let reader = Reader::of_rows();
        let section = reader.document(&origin, &table);
        let read = logins::read_row(section, &self.servers, &self.profiles, self.accepted);
        valid(read, reader)
    }
}

/// What was read, if nothing was wrong with it.
fn valid<T>(read: Option<T>, reader: Reader) -> Result<T, Vec<Problem>> {
    match read {
        Some(read) if reader.is_content() => Ok(read),
        _ => Err(reader.into_problems()),
    }
}

/// The row as a table of the configuration, with its origin: the `query` that gave
/// it, and its value of the column `key`.
fn table(row: Row<'_>, query: &'static str, key: &str) -> (Origin, Table) {
    let origin = Origin::Row {
        query,
        row: Arc::from(row.name(key)),
    };
    let values = row.values().filter_map(|(column, cell)| {
        let value = value(column, cell, &origin)?;
        Some((column.to_owned(), value))
    });
    let table = values.collect();
    (origin, table)
}

fn value(column: &str, cell: Cell<'_>, origin: &Origin) -> Option<Value> {
    let of = |data| Value {
        origin: origin.clone(),
        data,
    };
    let data = match cell {
        Cell::Absent => return None,
        Cell::Text(text) => Data::Text(text.into_owned()),
        Cell::Integer(n) if NUMBERS.contains(&column) => Data::Integer(n.into()),
        // Ids and names may be numbers in the database.
        Cell::Integer(n) => Data::Text(n.to_string()),
        Cell::Boolean(b) => Data::Boolean(b),
        Cell::Texts(texts) => {
            let texts = texts.into_iter();
            Data::List(
                texts
                    .map(|text| of(Data::Text(text.into_owned())))
                    .collect(),
            )
        }
    };
    Some(of(data))
}
