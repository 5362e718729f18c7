//! `[[mask]]`: what masked logins see in place of a column's values.

mod expression;
mod names;

use super::Mask;
use super::isolation::Isolations;
use super::profiles::Profiles;
use super::reader::{Entry, Reader, Section};
use super::tenants::Tenants;
use crate::directory::{DeclaredLogin, no_masking};
use crate::problem::suggestion;
use crate::tenant::IsolationName;
use std::collections::{BTreeMap, BTreeSet};

/// The masks of each isolation that has masked logins.
pub(super) fn read(
    root: &mut Section<'_>,
    isolations: &Isolations,
) -> BTreeMap<IsolationName, Vec<Mask>> {
    let mut masks = BTreeMap::<_, Vec<Mask>>::new();
    let mut seen = BTreeSet::new();
    for section in root.tables("mask") {
        if let Some((isolation, mask)) = one(section, isolations, &mut seen) {
            masks.entry(isolation).or_default().push(mask);
        }
    }
    masks
}

/// Notes logins that are to see masked data alone where there is none, and profiles that
/// no isolation can serve.
pub(super) fn check(
    reader: &Reader,
    (isolations, masks): (&Isolations, &BTreeMap<IsolationName, Vec<Mask>>),
    profiles: &Profiles,
    tenants: &Tenants,
    logins: &[DeclaredLogin],
) {
    for name in isolations.masked() {
        // One with a problem may have been meant for it.
        if !masks.contains_key(name) && reader.is_content() {
            reader.note_at(
                &format!("isolation.{name}"),
                "has masked logins, and no [[mask]] is for it: they would see all as it is",
            );
        }
    }
    if isolations.masked().next().is_none() && isolations.declared.len() == isolations.valid.len() {
        for name in profiles.masked() {
            reader.note_at(
                &format!("profiles.{name}.masked"),
                "no section [isolation.NAME] has `masked_user` or `masked_role`, the role that may \
                 read masked data alone",
            );
        }
        return;
    }
    for login in logins.iter().filter(|login| login.limits.is_masked()) {
        let tenant = tenants.valid.get(&login.tenant);
        if let Some(tenant) = tenant.filter(|tenant| tenant.masked.is_none()) {
            reader.add(login.place.problem(no_masking(tenant)));
        }
    }
}

type Seen = BTreeSet<(IsolationName, Option<String>, String, String, Vec<String>)>;

fn one(
    mut section: Section<'_>,
    isolations: &Isolations,
    seen: &mut Seen,
) -> Option<(IsolationName, Mask)> {
    let table = section.required("table", "the table, as SQL names it");
    let table = table.and_then(|entry| table_name(&entry));
    let column = section.required("column", "the column, as SQL names it");
    let written = column.as_ref().and_then(Entry::text);
    let place = column.as_ref().and_then(column_name);
    let isolation = isolation(&mut section, isolations);
    let how = how(&mut section);
    section.finish();
    let ((schema, table), (name, path), isolation) = (table?, place?, isolation?);
    let how = how?;
    if matches!(how, How::Expression(_)) && !path.is_empty() {
        section.refuse(
            "expression",
            "has no meaning for a part of a value: let `column` be the column, and the expression \
             all of it",
        );
        return None;
    }
    let key = (
        isolation.clone(),
        schema.clone(),
        table.clone(),
        name.clone(),
        path.clone(),
    );
    if !seen.insert(key) {
        column?.refuse("has a mask already");
        return None;
    }
    let (kind, argument) = how.parts();
    let mask = Mask {
        schema,
        table,
        column: name,
        path,
        kind,
        argument,
        written: written?.to_owned(),
    };
    Some((isolation, mask))
}

fn table_name(entry: &Entry<'_>) -> Option<(Option<String>, String)> {
    let mut parts = names::dotted(entry.text()?).unwrap_or_default();
    match (parts.pop(), parts.pop(), parts.pop()) {
        (Some(table), schema, None) => Some((schema, table)),
        _ => {
            entry.refuse(
                "must be the name of a table as SQL has it: wellness_entries, hr.staff, \"Users\"",
            );
            None
        }
    }
}

fn column_name(entry: &Entry<'_>) -> Option<(String, Vec<String>)> {
    let found = names::column(entry.text()?);
    if found.is_none() {
        entry.refuse(
            "must be the name of a column as SQL has it, or what is within a column of type \
             jsonb: note, \"fullName\", value->'mood', value->'days'->0",
        );
    }
    found
}

/// The isolation that is named, or the only one with masked logins.
fn isolation(section: &mut Section<'_>, isolations: &Isolations) -> Option<IsolationName> {
    let masked = || isolations.masked();
    let Some(entry) = section.optional("isolation") else {
        let mut all = masked();
        return match (all.next(), all.next()) {
            (Some(only), None) => Some(IsolationName::new(only)),
            (None, _) => {
                section.refuse_section(
                    "masks nothing: no section [isolation.NAME] has `masked_user` or `masked_role`, \
                     the role that may read masked data alone",
                );
                None
            }
            (Some(_), Some(_)) => {
                let names: Vec<_> = masked().map(|name| format!("\"{name}\"")).collect();
                let names = names.join(", ");
                section.missing(
                    "isolation",
                    &format!("several have masked logins; name one of {names}"),
                );
                None
            }
        };
    };
    let name = entry.text()?;
    if masked().any(|one| one == name) {
        return Some(IsolationName::new(name));
    }
    if isolations.declared.contains(name) {
        entry.refuse(
            "has no `masked_user` or `masked_role`, the role that may read masked data alone",
        );
    } else {
        let near = suggestion(name, isolations.declared.iter().map(String::as_str));
        entry.refuse(format!("no section [isolation.NAME] has this name; {near}"));
    }
    None
}

/// What stands in the place of a value.
#[derive(Debug, Clone)]
enum How {
    /// Of a name alone.
    Plain(&'static str),
    /// Of a name with something in parentheses.
    With(&'static str, String),
    Expression(String),
}

impl How {
    fn parts(self) -> (&'static str, Option<String>) {
        match self {
            Self::Plain(kind) => (kind, None),
            Self::With(kind, argument) => (kind, Some(argument)),
            Self::Expression(text) => ("expression", Some(text)),
        }
    }
}

const MASKS: &str = "\"null\", \"hash\", \"partial(2)\", \"email\", \"year\", \"range(10)\", \
                     \"noise\", \"noise(5)\", \"constant('x')\"";

fn how(section: &mut Section<'_>) -> Option<How> {
    match (section.optional("with"), section.optional("expression")) {
        (Some(with), None) => {
            let how = with.text().map(of_text)?;
            if how.is_none() {
                with.refuse(format!(
                    "must be one of {MASKS}; for SQL of your own there is the key `expression`"
                ));
            }
            how
        }
        (None, Some(entry)) => {
            let text = entry.lines()?;
            match expression::check(text) {
                Ok(()) => Some(How::Expression(text.to_owned())),
                Err(reason) => {
                    entry.refuse(reason);
                    None
                }
            }
        }
        (Some(_), Some(entry)) => {
            entry.refuse("has no meaning beside `with`: keep one of them");
            None
        }
        (None, None) => {
            section.missing("with", &format!("what masks the column: one of {MASKS}"));
            None
        }
    }
}

fn of_text(text: &str) -> Option<How> {
    let text = text.trim();
    let Some((name, rest)) = text.split_once('(') else {
        return match text {
            "null" => Some(How::Plain("null")),
            "hash" => Some(How::Plain("hash")),
            "email" => Some(How::Plain("email")),
            "year" => Some(How::Plain("year")),
            "noise" => Some(How::With("noise", "10".to_owned())),
            _ => None,
        };
    };
    let argument = rest.strip_suffix(')')?.trim();
    match name.trim_end() {
        "partial" => {
            let shown: u16 = argument.parse().ok().filter(|n| *n <= 1000)?;
            Some(How::With("partial", shown.to_string()))
        }
        "range" => Some(How::With("range", number(argument)?)),
        "noise" => {
            let near: f64 = number(argument)?.parse().ok()?;
            (near <= MOST_NOISE).then(|| How::With("noise", argument.to_owned()))
        }
        "constant" => Some(How::With("constant", names::literal(argument)?)),
        _ => None,
    }
}

/// Dates could leave what their type holds beyond it.
const MOST_NOISE: f64 = 10_000.0;

/// A number greater than 0, as SQL writes it.
fn number(text: &str) -> Option<String> {
    let is_plain = text.len() <= 20
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.')
        && text.matches('.').count() <= 1;
    let is_some = text.chars().any(|c| ('1'..='9').contains(&c));
    (is_plain && is_some).then(|| text.to_owned())
}
