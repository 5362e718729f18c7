//! `search_path`: the list of schemas that a client may set.
//!
//! PostgreSQL reads a list in two ways. The items of a SET statement are names as
//! they stand; the server quotes them itself. The text of `set_config` and of a
//! startup packet is split by the server ([`split`]).

use super::expression::is_temporary_schema;
use super::folding::is_certain;
use super::rules::{self, Rule};
use super::settings::{Change, Objection, clip, computed};
use super::verdict::Refusal;

/// The setting.
pub(super) const SETTING: &str = "search_path";

/// PostgreSQL's own schema.
const PG_CATALOG: &str = "pg_catalog";

/// A schema of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Schema {
    name: String,
    /// Every server reads the name as it stands here.
    certain: bool,
}

/// Judges a list where the tenant is not in it: PostgreSQL's own functions must
/// stay first. Objects without a schema are made in the first schema of the list that
/// exists: pg_temp must not become it, or what a plain CREATE makes is temporary,
/// and no statement says so. Which schemas exist is not known here: only
/// pg_catalog always does.
pub(super) fn keeps_postgresqls(change: Change<'_>) -> Option<(&'static Rule, String)> {
    let schemas = match schemas(change)? {
        Ok(schemas) => schemas,
        Err(refused) => return Some(refused),
    };
    let catalog = schemas.iter().position(|schema| schema.name == PG_CATALOG);
    let message = match catalog {
        Some(0) => return None,
        Some(_) => "search_path must not list a schema before pg_catalog",
        None if schemas.iter().any(|s| is_temporary_schema(&s.name)) => {
            "search_path must not list pg_temp unless pg_catalog is its first schema"
        }
        None => return None,
    };
    Some((&rules::SEARCH_PATH, message.to_owned()))
}

/// Judges a list where it carries the tenant. Two lists pass: the tenant's own, which
/// the guard does not know, and pg_catalog alone, by which no name is found that is a
/// tenant's. Its default is the tenant's own: the session sees to that.
pub(super) fn is_tenants(change: Change<'_>) -> Option<Objection> {
    let schemas = match schemas(change)? {
        Ok(schemas) => schemas,
        Err((rule, message)) => return Some(Objection::Refused(rule, message)),
    };
    if let [only] = &*schemas
        && only.name == PG_CATALOG
    {
        return None;
    }
    Some(match canonical(&schemas) {
        Some(path) => Objection::UnlessOwn(path),
        None => {
            let message = "search_path carries the tenant and cannot be set to this list";
            Objection::Refused(&rules::TENANT, message.to_owned())
        }
    })
}

/// Why a list is refused that is not the tenant's own.
pub(super) fn refusal(path: &str) -> Refusal {
    rules::TENANT.refusal(format!(
        "search_path carries the tenant and cannot be set to '{}'",
        clip(path)
    ))
}

/// Whether two lists, as texts, are the same to PostgreSQL. In doubt they are not.
#[must_use]
pub fn is_same_path(one: &str, other: &str) -> bool {
    let canonical = |text| split(text).and_then(|schemas| canonical(&schemas));
    canonical(one).is_some_and(|one| canonical(other) == Some(one))
}

/// The schemas of a change; `None`: it sets none.
fn schemas(change: Change<'_>) -> Option<Result<Vec<Schema>, (&'static Rule, String)>> {
    Some(match change {
        Change::Default => return None,
        Change::List(items) => Ok(items.iter().map(|name| Schema::of_item(name)).collect()),
        Change::Text(text) => split(text).ok_or_else(|| {
            let message = format!("search_path '{}' is not a list of names", clip(text));
            (&rules::SEARCH_PATH, message)
        }),
        Change::Computed => Err(computed(SETTING)),
    })
}

impl Schema {
    /// An item of a SET statement: it does not say whether the name was quoted.
    fn of_item(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            certain: is_certain(name),
        }
    }
}

/// The list as a text in which each name is quoted and stands once: two lists with one
/// text mean the same. `None`: some server may read a name otherwise, or there are too
/// many.
fn canonical(schemas: &[Schema]) -> Option<Box<str>> {
    /// No tenant has more.
    const MOST: usize = 64;
    if schemas.len() > MOST || !schemas.iter().all(|schema| schema.certain) {
        return None;
    }
    let mut quoted: Vec<String> = Vec::new();
    for Schema { name, .. } in schemas {
        let name = format!("\"{}\"", name.replace('"', "\"\""));
        // PostgreSQL looks into a schema once.
        if !quoted.contains(&name) {
            quoted.push(name);
        }
    }
    Some(quoted.join(", ").into())
}

/// Splits as PostgreSQL's SplitIdentifierString does: unquoted names in lower
/// case, quoted ones as they are. `None`: the server rejects the text.
fn split(text: &str) -> Option<Vec<Schema>> {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    let mut rest = text.trim_start_matches(is_space);
    let mut schemas = Vec::new();
    if rest.is_empty() {
        return Some(schemas);
    }
    loop {
        let (schema, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_name(quoted)?,
            None => {
                // A quote within it is a letter like others.
                let end = rest.find(|c| c == ',' || is_space(c));
                let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
                let certain = is_certain(name);
                let name = name.to_ascii_lowercase();
                (!name.is_empty()).then_some((Schema { name, certain }, behind))?
            }
        };
        schemas.push(schema);
        let behind = behind.trim_start_matches(is_space);
        if behind.is_empty() {
            return Some(schemas);
        }
        rest = behind.strip_prefix(',')?.trim_start_matches(is_space);
    }
}

/// The name up to its closing quote, and what stands behind that.
fn quoted_name(text: &str) -> Option<(Schema, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once('"')?;
        name.push_str(part);
        match behind.strip_prefix('"') {
            Some(behind) => {
                name.push('"');
                rest = behind;
            }
            None => {
                // Nothing folds it; a long one is cut off by the server's encoding.
                let certain = name.is_ascii() || name.len() < 60;
                return Some((Schema { name, certain }, behind));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_as_postgresql_does() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            (" \n", &[]),
            ("a, B ,\"C,d\"", &["a", "b", "C,d"]),
            ("\"a\"\"b\"", &["a\"b"]),
            ("\"\"", &[""]),
            (" evil\n,\tPG_Catalog", &["evil", "pg_catalog"]),
            // A quote does not open anything within a name.
            ("a\"b, pg_temp", &["a\"b", "pg_temp"]),
            ("a\"B,C\"", &["a\"b", "c\""]),
        ];
        for (text, names) in cases {
            let split = split(text).unwrap_or_else(|| panic!("{text} is rejected"));
            let split: Vec<_> = split.into_iter().map(|schema| schema.name).collect();
            assert_eq!(split, *names, "{text}");
        }
        for text in [
            ",",
            "a,",
            "a,,b",
            "a b",
            "\"a",
            "\"a\"b",
            "\"a\" \"b\"",
            "\"a\"\"",
        ] {
            assert_eq!(split(text), None, "{text}");
        }
    }

    #[test]
    fn two_spellings_of_one_list_are_the_same() {
        for (one, other) in [
            ("north", "\"north\""),
            (" NORTH,\"shared\" ", "north , shared"),
            ("north, shared, north", "north,shared"),
            ("\"Größe\"", "\"Größe\""),
        ] {
            assert!(is_same_path(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("north", "\"North\""),
            ("north, shared", "shared, north"),
            ("north", "north, public"),
            ("no\"rth\"", "north"),
            ("north", "north,"),
            ("", "north"),
            // Some servers fold it.
            ("Ünion", "\"Ünion\""),
        ] {
            assert!(!is_same_path(one, other), "{one} {other}");
        }
    }
}
