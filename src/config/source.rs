//! From a file and an environment to one tree of values, each with its origin.

use crate::problem::{Origin, Problem};
use config::{FileFormat, Format, ValueKind};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

/// What the names of overriding environment variables begin with.
const PREFIX: &str = "PGTENANT__";
/// What separates the keys in them.
const SEPARATOR: &str = "__";

/// No key of the configuration has a longer path.
const MOST_KEYS: usize = 4;

/// A value and where it was read.
pub(super) struct Value {
    pub(super) origin: Origin,
    pub(super) data: Data,
}

/// What a value is.
pub(super) enum Data {
    Table(Table),
    List(Vec<Value>),
    Text(String),
    Integer(i128),
    Float(f64),
    Boolean(bool),
}

/// Values by their keys.
pub(super) type Table = BTreeMap<String, Value>;

/// The process's environment: what overrides the file, and what `password_env`
/// may name.
pub(super) struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Takes the variables that have a name in Unicode.
    pub(super) fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let named = |(name, value): (OsString, _)| Some((name.into_string().ok()?, value));
        Self(variables.into_iter().filter_map(named).collect())
    }

    /// The variable's value.
    pub(super) fn get(&self, name: &str) -> Option<&OsString> {
        self.0.get(name)
    }
}

/// Reads and parses the configuration file.
pub(super) fn read(path: &Path) -> Result<Table, Box<Problem>> {
    let origin = Origin::File(Arc::from(path));
    let wrong = |position, reason| {
        Box::new(Problem {
            origin: origin.clone(),
            position,
            key: None,
            value: None,
            reason,
        })
    };
    let bytes = std::fs::read(path)
        .map_err(|e| wrong(None, format!("cannot read the configuration file: {e}")))?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let valid = e.as_bytes().get(..e.utf8_error().valid_up_to());
        let row = lines(valid.unwrap_or_default());
        wrong(Some((row, 1)), "the line is not UTF-8 text".into())
    })?;
    let parsed = FileFormat::Toml.parse(None, &text).map_err(|e| {
        let (position, reason) = syntax_error(&e.to_string());
        wrong(position, format!("not valid TOML: {reason}"))
    })?;
    Ok(table(&origin, parsed))
}

fn lines(bytes: &[u8]) -> u32 {
    let breaks = bytes.iter().filter(|byte| **byte == b'\n').count();
    u32::try_from(breaks + 1).unwrap_or(u32::MAX)
}

/// Position and reason from the TOML parser's message. The line of the file
/// that the message quotes is left out: it may hold a secret.
fn syntax_error(message: &str) -> (Option<(u32, u32)>, String) {
    let mut lines = message.lines();
    let first = lines.next().unwrap_or_default();
    let Some(position) = first.strip_prefix("TOML parse error at line ") else {
        return (None, first.into());
    };
    let position = position
        .split_once(", column ")
        .and_then(|(row, column)| Some((row.parse().ok()?, column.parse().ok()?)));
    // An empty line, the quoted line and the marker below it.
    let reason = lines.nth(3).unwrap_or("cannot be understood");
    (position, reason.into())
}

fn table(origin: &Origin, parsed: config::Map<String, config::Value>) -> Table {
    let values = parsed.into_iter();
    values.map(|(key, v)| (key, value(origin, v))).collect()
}

fn value(origin: &Origin, parsed: config::Value) -> Value {
    let data = match parsed.kind {
        ValueKind::Table(parsed) => Data::Table(table(origin, parsed)),
        ValueKind::Array(parsed) => {
            Data::List(parsed.into_iter().map(|v| value(origin, v)).collect())
        }
        ValueKind::String(text) => Data::Text(text),
        ValueKind::Boolean(boolean) => Data::Boolean(boolean),
        ValueKind::I64(n) => Data::Integer(n.into()),
        ValueKind::I128(n) => Data::Integer(n),
        ValueKind::U64(n) => Data::Integer(n.into()),
        ValueKind::U128(n) => Data::Integer(n.try_into().unwrap_or(i128::MAX)),
        ValueKind::Float(n) => Data::Float(n),
        ValueKind::Nil => Data::Text(String::new()),
    };
    Value {
        origin: origin.clone(),
        data,
    }
}

/// Lays the environment's overrides over the file's values.
pub(super) fn overlay(root: &mut Table, environment: &Environment) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, text) in &environment.0 {
        let Some(keys) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let origin = Origin::Environment(Arc::from(name.as_str()));
        let keys = keys.to_lowercase();
        let keys: Vec<_> = keys.split(SEPARATOR).collect();
        let put = match text.to_str() {
            _ if keys.len() > MOST_KEYS => {
                Err("the name of the variable has too many parts".into())
            }
            Some(text) => put(root, &keys, text, &origin),
            None => Err("the value is not Unicode text".into()),
        };
        if let Err(reason) = put {
            problems.push(Problem {
                origin,
                position: None,
                key: Some(keys.join(".")),
                value: None,
                reason,
            });
        }
    }
    problems
}

/// Lays what the console has set over all that.
pub(super) fn set(root: &mut Table, set: &BTreeMap<&'static str, String>) -> Vec<Problem> {
    let origin = Origin::Console;
    let refused = set.iter().filter_map(|(path, text)| {
        let keys: Vec<_> = path.split('.').collect();
        let reason = put(root, &keys, text, &origin).err()?;
        Some(Problem {
            origin: origin.clone(),
            position: None,
            key: Some((*path).to_owned()),
            value: None,
            reason,
        })
    });
    refused.collect()
}

/// Sets the value at the path of `keys`, with sections made where they are
/// missing.
fn put(table: &mut Table, keys: &[&str], text: &str, origin: &Origin) -> Result<(), String> {
    let Some((key, rest)) = keys.split_first() else {
        return Ok(());
    };
    if key.is_empty() {
        return Err(
            "the name of the variable has an empty part; right is PGTENANT__SECTION__KEY".into(),
        );
    }
    let key = spelling(table, key)?;
    if rest.is_empty() {
        let old = table.get(&key);
        if let (Some(Origin::Environment(other)), Origin::Environment(_)) =
            (old.map(|value| &value.origin), origin)
        {
            return Err(format!("environment variable {other} sets it too"));
        }
        return match old.map(|value| &value.data) {
            Some(Data::Table(_)) => Err(format!("`{key}` is a section: name a key of it")),
            Some(Data::List(values)) if values.iter().any(|v| matches!(v.data, Data::Table(_))) => {
                Err(format!(
                    "`{key}` is a list of tables: change it in the file"
                ))
            }
            _ => {
                let value = Value {
                    origin: origin.clone(),
                    data: Data::Text(text.into()),
                };
                table.insert(key, value);
                Ok(())
            }
        };
    }
    let section = table.entry(key.clone()).or_insert_with(|| Value {
        origin: origin.clone(),
        data: Data::Table(Table::new()),
    });
    match &mut section.data {
        Data::Table(inner) => put(inner, rest, text, origin),
        Data::List(_) => Err(format!("`{key}` is a list: change it in the file")),
        _ => Err(format!("`{key}` is not a section")),
    }
}

/// How `table` spells `key`: names of variables have neither lower case nor
/// hyphens, keys may have both.
fn spelling(table: &Table, key: &str) -> Result<String, String> {
    if table.contains_key(key) {
        return Ok(key.into());
    }
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let mut alike = table.keys().filter(|known| plain(known) == plain(key));
    match (alike.next(), alike.next()) {
        (None, _) => Ok(key.into()),
        (Some(known), None) => Ok(known.clone()),
        (Some(one), Some(other)) => Err(format!("may mean `{one}` or `{other}`")),
    }
}
