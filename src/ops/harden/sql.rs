//! The pieces of SQL, and what is filled into them.

use super::Hardening;
use crate::tenant::Seal;
use tokio_postgres::Transaction;

pub(super) const BEGIN: &str = include_str!("sql/begin.sql");
pub(super) const OWNER: &str = include_str!("sql/owner.sql");
pub(super) const PARAMETER: &str = include_str!("sql/parameter.sql");
pub(super) const KEYS: &str = include_str!("sql/keys.sql");
pub(super) const CARRIER: &str = include_str!("sql/carrier.sql");
pub(super) const TOKEN: &str = include_str!("sql/token.sql");
pub(super) const RELEASE: &str = "RESET ROLE;\n";
pub(super) const WAIT: &str = include_str!("sql/wait.sql");
pub(super) const SEALS: [&str; 4] = [
    include_str!("sql/learn.sql"),
    LOCK,
    include_str!("sql/policies.sql"),
    include_str!("sql/report.sql"),
];
pub(super) const UNSEALS: [&str; 3] = [
    include_str!("sql/unseal.sql"),
    LOCK,
    include_str!("sql/drop_policies.sql"),
];
const LOCK: &str = include_str!("sql/lock.sql");
pub(super) const END: &str = include_str!("sql/end.sql");
pub(super) const UNDO: &str = include_str!("sql/undo.sql");
const READ_KEY: &str = include_str!("sql/read_key.sql");

pub(super) const INSERT_KEY: &str = "INSERT INTO pgtenant.keys (setting, id, inner_pad, outer_pad)
    VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
pub(super) const SHOW_REPORT: &str = "\nSELECT line AS report FROM pgtenant_report;\n";

/// What the transaction has to say to people.
pub(super) async fn report(
    transaction: &Transaction<'_>,
) -> Result<Vec<String>, tokio_postgres::Error> {
    let rows = transaction
        .query("SELECT line FROM pg_temp.pgtenant_report", &[])
        .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Fills a piece.
pub(super) fn fill(piece: &str, hardening: &Hardening) -> String {
    let (accessor, least, release, hint) = match hardening.seal {
        Seal::Carrier(_) => (
            "pgtenant.tenant",
            "150000",
            "15",
            "Use seal = \"token\": it needs PostgreSQL 11.",
        ),
        Seal::Token(..) | Seal::Off => (
            "pgtenant.tenant_of_token",
            "110000",
            "11",
            "Keep the seal off, or update the server.",
        ),
    };
    let tables = hardening.tables.iter();
    let names = tables.flat_map(|(table, column)| [literal(table), literal(column)]);
    let extra = format!("ARRAY[{}]::text[]", names.collect::<Vec<_>>().join(", "));
    let grants_parameter = matches!(hardening.seal, Seal::Carrier(_));
    let call = format!("{accessor}({}::text)", literal(&hardening.setting));
    fill_setting(piece, &hardening.setting)
        .replace("@policies@", &hardening.policies.to_string())
        .replace("@grants_parameter@", &grants_parameter.to_string())
        .replace("@call@", &literal(&call))
        .replace("@least_version@", least)
        .replace("@least_release@", release)
        .replace("@version_hint@", &literal(hint))
        .replace("@accessor_pattern@", &literal(&pattern(accessor)))
        .replace("@ident_role@", &identifier(&hardening.role))
        .replace("@role@", &literal(&hardening.role))
        .replace("@extra@", &extra)
}

/// Fills a piece that has to know the setting alone.
pub(super) fn fill_setting(piece: &str, setting: &str) -> String {
    let quoted = format!("'{}'", pattern(setting));
    let seal = format!(r"pgtenant\.tenant(?:_of_token)?\({quoted}::text\)");
    let mention = format!(r"current_setting\({quoted}::text(?:, (?:true|false))?\)");
    piece
        .replace("@seal_pattern@", &literal(&seal))
        .replace("@mention@", &literal(&mention))
        .replace("@setting@", &literal(setting))
        .replace("@patience@", PATIENCE)
}

/// Fills a piece that has to know besides which tables are to lose their seal.
pub(super) fn fill_tables(piece: &str, setting: &str, tables: Option<&[String]>) -> String {
    let names = tables.map(|tables| {
        let names: Vec<_> = tables.iter().map(|table| literal(table)).collect();
        format!("ARRAY[{}]", names.join(", "))
    });
    let names = format!("{}::text[]", names.unwrap_or_else(|| "NULL".to_owned()));
    fill_setting(piece, setting).replace("@unseal@", &names)
}

/// How long running transactions are waited for.
const PATIENCE: &str = "120 s";

/// The beginning of a script for psql.
pub(super) fn header(hardening: &Hardening) -> String {
    let mut header = format!(
        "-- Seals the context of tenants: pgtenant, setting {}, seal = \"{}\".\n\
         -- Run it with psql in the database of the isolation, as a superuser{}:\n\
         --   psql",
        hardening.setting,
        hardening.seal.name(),
        match hardening.seal {
            Seal::Carrier(_) => "",
            Seal::Token(..) | Seal::Off =>
                "\n-- or as the tables' owner, if it may create schemas and roles",
        },
    );
    for (variable, _) in hardening.variables() {
        header.push_str(&format!(" -v {variable}=PATH"));
    }
    header.push_str(
        " -f THIS_FILE 'dbname=...'\n\
         -- PATH is the file of `seal_key_file`; psql reads it, so that no key stands in\n\
         -- this script or in a command line. All is done in one transaction; it can be\n\
         -- repeated, and undone: pgtenant harden --undo.\n\\set ON_ERROR_STOP on\n",
    );
    header
}

/// Makes psql read a file into the variable's namesake without `_file`.
pub(super) fn read_file(variable: &str) -> String {
    let key = variable.trim_end_matches("_file");
    format!(
        "\\if :{{?{variable}}}\n\
         \\set {key} `od -An -v -tx1 :'{variable}' | tr -d ' \\n'`\n\
         \\else\n\
         DO $$BEGIN RAISE EXCEPTION 'call psql with -v {variable}=PATH'; END$$;\n\
         \\endif\n"
    )
}

/// Puts the key that psql has read into the table.
pub(super) fn insert_key(hardening: &Hardening, variable: &str) -> String {
    let key = variable.trim_end_matches("_file");
    fill_setting(READ_KEY, &hardening.setting).replace("@variable@", key)
}

/// Fails unless all keys are there: a file was empty or too short otherwise.
pub(super) fn count_keys(hardening: &Hardening, keys: usize) -> String {
    format!(
        "DO $pgtenant$\nBEGIN\n    \
         IF (SELECT count(*) FROM pgtenant.keys WHERE setting = {}) <> {keys} THEN\n        \
         RAISE EXCEPTION 'the key files must be different, with at least 32 bytes each';\n    \
         END IF;\nEND\n$pgtenant$;\n",
        literal(&hardening.setting)
    )
}

/// Forgets all keys of the setting but these.
pub(super) fn forget_keys(hardening: &Hardening, ids: &[&str]) -> String {
    let ids: Vec<_> = ids.iter().map(|id| literal(id)).collect();
    format!(
        "DELETE FROM pgtenant.keys WHERE setting = {} AND id <> ALL (ARRAY[{}]::text[]);",
        literal(&hardening.setting),
        ids.join(", ")
    )
}

/// The text as a literal of standard SQL; with backslashes in the form whose
/// reading no setting changes.
fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A regular expression that matches the text alone.
fn pattern(text: &str) -> String {
    let escape = |c: char| match c {
        c if c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii() => c.to_string(),
        c => format!("\\{c}"),
    };
    text.chars().map(escape).collect()
}
