//! Prepared statements by name: what a string's PREPARE, EXECUTE and DEALLOCATE
//! say, in their order.

use super::inspection::{Inspection, Place, Scope, Visit};
use pg_raw_parse::nodes::DeallocateStmt;

/// A prepared statement that SQL names. The name is as the server folds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqlName {
    /// `PREPARE name`
    Prepare(Box<str>),
    /// `EXECUTE name`, also under EXPLAIN and in CREATE TABLE AS.
    Execute(Box<str>),
    /// `DEALLOCATE name`
    Deallocate(Box<str>),
    /// `DEALLOCATE ALL` or `DISCARD ALL`
    DeallocateAll,
}

impl SqlName {
    /// What it takes in the cache, in bytes.
    pub(super) fn weight(&self) -> usize {
        let name = match self {
            Self::Prepare(name) | Self::Execute(name) | Self::Deallocate(name) => name.len(),
            Self::DeallocateAll => 0,
        };
        size_of::<Self>() + name
    }
}

/// Judges PREPARE, whose statement runs later.
pub(super) fn prepare(inspection: &mut Inspection<'_>, name: Option<&str>, scope: Scope) -> Visit {
    inspection.effects.residue = true;
    let name = name.unwrap_or_default();
    inspection.refuse_name(name);
    let name = SqlName::Prepare(name.into());
    inspection.effects.sql_names.push(name);
    Visit::Descend(scope.max(Scope::Later))
}

/// Judges EXECUTE: the statement that it runs was judged when it was prepared.
pub(super) fn execute(inspection: &mut Inspection<'_>, name: Option<&str>, scope: Scope) -> Visit {
    inspection.effects.doubtful = true;
    let name = name.unwrap_or_default();
    inspection.refuse_name(name);
    let name = SqlName::Execute(name.into());
    inspection.effects.sql_names.push(name);
    Visit::Descend(scope)
}

/// Judges DEALLOCATE.
pub(super) fn deallocate(
    inspection: &mut Inspection<'_>,
    statement: &DeallocateStmt,
    place: Place,
) -> Visit {
    let name = statement.name().unwrap_or_default();
    inspection.refuse_name(name);
    let effects = &mut inspection.effects;
    if statement.isall {
        effects.drops_prepared = true;
        effects.sql_names.push(SqlName::DeallocateAll);
        return Visit::Skip;
    }
    effects.sql_names.push(SqlName::Deallocate(name.into()));
    // A name that pgtenant gives: another client's statement.
    if name.starts_with("pgtenant_") {
        effects.drops_prepared = true;
    } else if place.alone {
        effects.deallocates = statement.name().map(Into::into);
    }
    Visit::Skip
}
