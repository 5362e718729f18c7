//! The other tenant's schema and database, by name.

use super::{Attack, Kind, Must, SCHEMA, Step, Way, attack};
use Step::{Bound, Sql};

/// PostgreSQL's words for no right, and for another database.
const DENIED: &[&str] = &["42501", "0A000", "3F000"];

const APART: &[Kind] = &[Kind::Schema, Kind::Database];

const fn named(id: &'static str, steps: &'static [Step]) -> Attack {
    attack(id, "D4", APART, Way::Within, Must::Fail(DENIED), steps)
}

/// On a path without a right to it a table is not found, or not read.
const fn path(id: &'static str, way: Way, steps: &'static [Step]) -> Attack {
    attack(
        id,
        "P5",
        SCHEMA,
        way,
        Must::HoldOr(&["42P01", "42501"]),
        steps,
    )
}

#[rustfmt::skip]
pub(super) const ATTACKS: &[Attack] = &[
    named("qualified", &[Sql("SELECT * FROM {other_table} LIMIT 1")]),
    named("qualified-extended", &[Bound("SELECT * FROM {other_table} LIMIT 1", &[])]),
    named("table-command", &[Sql("TABLE {other_table} LIMIT 1")]),
    named("subquery", &[Sql("SELECT EXISTS (SELECT FROM {other_table})")]),
    named("prepared", &[Sql("PREPARE tenant_proof AS SELECT * FROM {other_table} LIMIT 1")]),
    named("copied", &[Sql("COPY (SELECT * FROM {other_table} LIMIT 1) TO STDOUT")]),
    named("deleted", &[Sql("DELETE FROM {other_table} WHERE false")]),
    named("locked", &[Sql("LOCK TABLE {other_table} IN ACCESS SHARE MODE NOWAIT")]),
    path("search-path", Way::Both, &[Sql("SET search_path = {other_schema}"), Sql("{rows}")]),
    path("search-path-schema", Way::Both, &[Sql("SET SCHEMA {other_schema_text}"), Sql("{rows}")]),
    path("search-path-local", Way::Within, &[Sql("SET LOCAL search_path TO {other_schema}"), Sql("{rows}")]),
    path("search-path-batch", Way::Both, &[Sql("SET search_path = {other_schema}; {rows}")]),
    path("search-path-config", Way::Both, &[Sql("SELECT set_config('search_path', {other_schema_text}, false)"), Sql("{rows}")]),
    path("search-path-pg-settings", Way::Both, &[Sql("UPDATE pg_settings SET setting = {other_schema_text} WHERE name = 'search_path'"), Sql("{rows}")]),
    path("search-path-function", Way::Within, &[
        Sql("CREATE FUNCTION pg_temp.tenant_proof() RETURNS SETOF text LANGUAGE sql SET search_path = {other_schema} AS $$SELECT r.* FROM ({rows}) r$$"),
        Sql("SELECT pg_temp.tenant_proof()"),
    ]),
    path("text-as-sql", Way::Within, &[Sql("SELECT query_to_xml('SELECT * FROM ' || {other_table_text} || ' LIMIT 1', true, false, '')")]),
];
