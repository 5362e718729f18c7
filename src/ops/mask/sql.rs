//! The pieces of SQL, and what is filled into them.

use super::Masking;
use crate::config::Mask;
use crate::directory::Verifier;
use crate::tenant::{Found, Seal};
use postgres_protocol::escape::{escape_identifier, escape_literal};

pub(super) const BEGIN: &str = include_str!("sql/begin.sql");
pub(super) const ROLES: &str = include_str!("sql/roles.sql");
pub(super) const SEAL: &str = include_str!("sql/seal.sql");
pub(super) const KEY: &str = include_str!("sql/key.sql");
pub(super) const MASK_OF: &str = include_str!("sql/mask_of.sql");
pub(super) const LEARN: &str = include_str!("sql/learn.sql");
pub(super) const VIEWS: &str = include_str!("sql/views.sql");
pub(super) const PATH: &str = include_str!("sql/path.sql");
pub(super) const END: &str = include_str!("sql/end.sql");
pub(super) const UNDO: &str = include_str!("sql/undo.sql");
pub(super) const SHOW_REPORT: &str = "\nSELECT line AS report FROM pgtenant_report;\n";

/// The beginning of a script for psql.
pub(super) fn header(masking: &Masking, does: &str) -> String {
    let what = masking.what.replace(char::is_control, " ");
    format!(
        "-- {does} {what}. Run it with psql as a superuser, or as a role that may create\n\
         -- roles and schemas and has the application's role WITH ADMIN OPTION. All is done in\n\
         -- one transaction, and can be repeated.\n\\set ON_ERROR_STOP on\n\\connect {}\n",
        escape_identifier(&masking.database),
    )
}

/// What is filled into the pieces, by its place.
pub(super) type Values = [(&'static str, String); 15];

pub(super) fn values(masking: &Masking) -> Values {
    let owner = masking.owner();
    let bind = match masking.seal {
        Seal::Carrier(_) => "pgtenant.bind(text)",
        Seal::Token(..) | Seal::Off => "pgtenant.bind_token(text, text)",
    };
    let tenant = match &masking.setting {
        Some(setting) => format!(
            "convert_to(NULLIF(current_setting({}, true), ''), 'UTF8')",
            escape_literal(setting)
        ),
        None => "''::bytea".to_owned(),
    };
    let clear = Found::clear_query(&format!("{}::text", literal(&masking.role)));
    [
        ("@clear@", clear),
        ("@bind@", bind.to_owned()),
        ("@tenant@", tenant),
        ("@ident_app@", escape_identifier(&masking.app)),
        ("@ident_role@", escape_identifier(&masking.role)),
        ("@ident_owner@", escape_identifier(&owner)),
        ("@ident_schema@", escape_identifier(&masking.schema)),
        ("@ident_database@", escape_identifier(&masking.database)),
        ("@app@", literal(&masking.app)),
        ("@role@", literal(&masking.role)),
        ("@owner@", literal(&owner)),
        ("@schema@", literal(&masking.schema)),
        (
            "@verifier@",
            literal(&Verifier::derive(masking.password.reveal())),
        ),
        ("@schemas@", schemas(masking)),
        ("@masks@", masks(&masking.masks)),
    ]
}

/// What bodies stand between in the pieces.
const BODY: &str = "$pgtenant$";

/// Fills a piece; nothing is filled into what is filled in, which ends no body.
pub(super) fn fill(piece: &str, values: &Values) -> String {
    let tags = std::iter::once(BODY.to_owned()).chain((1..).map(|n| format!("$pgtenant{n}$")));
    let is_free = |tag: &String| values.iter().all(|(_, value)| !value.contains(tag));
    let mut free = tags.filter(is_free);
    let tag = free.next().unwrap_or_default();
    let piece = piece.replace(BODY, &tag);
    let mut filled = String::new();
    let mut rest = &*piece;
    while let Some((before, behind)) = rest.split_once('@') {
        filled.push_str(before);
        let value = values.iter().find_map(|(name, value)| {
            let behind = behind.strip_prefix(name.strip_prefix('@')?)?;
            Some((value, behind))
        });
        match value {
            Some((value, behind)) => {
                filled.push_str(value);
                rest = behind;
            }
            None => {
                filled.push('@');
                rest = behind;
            }
        }
    }
    filled.push_str(rest);
    filled
}

fn schemas(masking: &Masking) -> String {
    let Some(schemas) = &masking.schemas else {
        return "NULL::text[]".to_owned();
    };
    let names: Vec<_> = schemas.iter().map(|name| literal(name)).collect();
    format!("ARRAY[{}]::text[]", names.join(", "))
}

/// The rows of `pgtenant_masks`.
fn masks(masks: &[Mask]) -> String {
    let optional = |text: Option<&str>| text.map_or_else(|| "NULL".to_owned(), literal);
    let row = |(number, mask): (usize, &Mask)| {
        let keys: Vec<_> = mask.path.iter().map(|key| literal(key)).collect();
        let path = match &keys[..] {
            [] => "NULL::text[]".to_owned(),
            keys => format!("ARRAY[{}]", keys.join(", ")),
        };
        format!(
            "({number}, {}, {}, {}, {path}, {}, {}, {})",
            optional(mask.schema.as_deref()),
            literal(&mask.table),
            literal(&mask.column),
            literal(mask.kind),
            optional(mask.argument.as_deref()),
            literal(&mask.to_string()),
        )
    };
    let rows: Vec<_> = masks.iter().enumerate().map(row).collect();
    rows.join(",\n    ")
}

fn literal(text: &str) -> String {
    escape_literal(text).trim_start().to_owned()
}
