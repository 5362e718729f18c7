//! What statements create, and which of it is temporary.
//!
//! Without a schema an object is made in the first schema of search_path that
//! exists. That this is never the temporary one, [`settings`](super::settings)
//! sees to: so what is temporary says so itself.

use super::expression::{is_temporary, is_temporary_schema, leaves, qualifier};
use super::inspection::{Inspection, Scope, Visit};
use super::rules;
use pg_raw_parse::nodes::{
    CreateStmt, CreateTableAsStmt, DefineStmt, ObjectType, OnCommitAction, RangeVar, ViewStmt,
};
use pg_raw_parse::{Node, list::CastNodeList, nodes};

/// What a statement that is refused by its type leaves in the session, where
/// it is let through.
pub(super) fn leaves_residue(node: Node<'_>) -> bool {
    let schema = match node {
        Node::LoadStmt(_) => return true,
        Node::CreateDomainStmt(statement) => schema_of(statement.domainname()),
        Node::CreateFunctionStmt(statement) => qualifier(statement.funcname()),
        _ => None,
    };
    schema.is_some_and(is_temporary_schema)
}

pub(super) fn define(inspection: &mut Inspection<'_>, statement: &DefineStmt) -> Visit {
    match statement.kind {
        ObjectType::OBJECT_COLLATION
        | ObjectType::OBJECT_TSCONFIGURATION
        | ObjectType::OBJECT_TSDICTIONARY => new_type(inspection, schema_of(statement.defnames())),
        kind => {
            let name = match kind {
                ObjectType::OBJECT_AGGREGATE => "CREATE AGGREGATE",
                ObjectType::OBJECT_OPERATOR => "CREATE OPERATOR",
                ObjectType::OBJECT_TYPE => "CREATE TYPE",
                _ => "a definition of this kind",
            };
            let schema = schema_of(statement.defnames());
            inspection.effects.residue |= schema.is_some_and(is_temporary_schema);
            inspection.refuse(&rules::OPAQUE, || {
                format!("{name} is not allowed through pgtenant")
            });
        }
    }
    Visit::Skip
}

/// A type in pg_temp hides PostgreSQL's own type of that name.
pub(super) fn new_type(inspection: &mut Inspection<'_>, schema: Option<&str>) {
    if schema.is_some_and(is_temporary_schema) {
        inspection.effects.residue = true;
        inspection.refuse(&rules::OPAQUE, || {
            "a temporary type is not allowed through pgtenant".to_owned()
        });
    }
}

pub(super) fn schema_of(names: &CastNodeList<nodes::String>) -> Option<&str> {
    let at = names.len().checked_sub(2)?;
    names.iter().nth(at)?.sval()
}

/// Judges CREATE TABLE.
pub(super) fn create_table(
    inspection: &mut Inspection<'_>,
    statement: &CreateStmt,
    scope: Scope,
) -> Visit {
    if statement.oncommit != OnCommitAction::ONCOMMIT_DROP {
        relation(inspection, statement.relation());
    }
    Visit::Descend(scope.max(Scope::Later))
}

/// Judges CREATE TABLE AS and CREATE MATERIALIZED VIEW.
pub(super) fn create_table_as(
    inspection: &mut Inspection<'_>,
    statement: &CreateTableAsStmt,
    scope: Scope,
) -> Visit {
    let into = statement.into();
    let into = into.filter(|into| into.on_commit != OnCommitAction::ONCOMMIT_DROP);
    relation(inspection, into.and_then(|into| into.rel()));
    if statement.objtype == ObjectType::OBJECT_MATVIEW {
        inspection.effects.redefines = true;
        return Visit::Descend(Scope::View);
    }
    Visit::Descend(scope)
}

/// Judges CREATE VIEW.
pub(super) fn create_view(inspection: &mut Inspection<'_>, statement: &ViewStmt) -> Visit {
    relation(inspection, statement.view());
    inspection.effects.redefines = true;
    if statement.view().is_some_and(is_temporary) {
        inspection.refuse(&rules::HIDDEN, || {
            "CREATE TEMPORARY VIEW is not allowed through pgtenant".to_owned()
        });
    }
    Visit::Descend(Scope::View)
}

/// Notes that `created` stays in the session, if it is temporary.
pub(super) fn relation(inspection: &mut Inspection<'_>, created: Option<&RangeVar>) {
    if let Some(created) = created.filter(|created| is_temporary(created)) {
        leaves(inspection, created);
    }
}
