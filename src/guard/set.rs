//! SET, RESET and DISCARD, and the modes of transactions.

use super::date_style::DateStyle;
use super::folding::folded;
use super::inspection::{Inspection, Place, Scope, Visit};
use super::prepared::SqlName;
use super::rules;
use super::settings::Change;
use super::verdict::Transaction;
use pg_raw_parse::nodes::{
    DiscardMode, DiscardStmt, TransactionStmt, TransactionStmtKind, VariableSetKind,
    VariableSetStmt,
};
use pg_raw_parse::{ConstValue, Node};

pub(super) fn variable_set(
    inspection: &mut Inspection<'_>,
    set: &VariableSetStmt,
    scope: Scope,
    place: Place,
) -> Visit {
    match set.kind {
        // As a clause of a function it changes nothing now.
        VariableSetKind::VAR_RESET_ALL if scope != Scope::Now => {}
        VariableSetKind::VAR_RESET_ALL => reset_all(inspection, "RESET ALL", place),
        VariableSetKind::VAR_SET_MULTI => set_transaction(inspection, set),
        // DISCARD ALL does the same.
        kind if returns_to_default(set, kind) && scope == Scope::Now => {
            reset_all(inspection, "SET SESSION AUTHORIZATION DEFAULT", place);
        }
        kind => {
            let written = set.name().unwrap_or_default();
            let name = folded(written).to_ascii_lowercase();
            let mut values = Vec::new();
            let change = match kind {
                VariableSetKind::VAR_SET_VALUE => {
                    values = set.args().iter().map(value).collect();
                    Change::List(&values)
                }
                _ => Change::Default,
            };
            if scope != Scope::Now && inspection.policy.protects(&name) {
                // Nobody compares it with the tenant's own when it takes effect.
                inspection.refuse_protected(&name);
            } else {
                inspection.object_to(&name, change);
            }
            inspection.refuse_name(written);
            let returns = matches!(
                kind,
                VariableSetKind::VAR_SET_DEFAULT | VariableSetKind::VAR_RESET
            ) || DateStyle::is_default(&name, &values);
            if scope == Scope::Now && returns {
                inspection.return_to_default(&name, set.is_local, place);
            } else if scope == Scope::Now {
                inspection.set(&name, set.is_local);
                inspection.set_date_style(&name, &values.join(","), set.is_local);
            }
        }
    }
    Visit::Skip
}

/// `SET SESSION AUTHORIZATION DEFAULT` or `RESET SESSION AUTHORIZATION`.
fn returns_to_default(set: &VariableSetStmt, kind: VariableSetKind::Type) -> bool {
    matches!(
        kind,
        VariableSetKind::VAR_SET_DEFAULT | VariableSetKind::VAR_RESET
    ) && !set.is_local
        && set.name() == Some("session_authorization")
}

pub(super) fn discard(
    inspection: &mut Inspection<'_>,
    statement: &DiscardStmt,
    place: Place,
) -> Visit {
    inspection.effects.drops_temporary |= matches!(
        statement.target,
        DiscardMode::DISCARD_ALL | DiscardMode::DISCARD_TEMP
    );
    if statement.target == DiscardMode::DISCARD_ALL {
        reset_all(inspection, "DISCARD ALL", place);
        inspection.effects.drops_prepared = true;
        inspection.effects.clears_residue = true;
        inspection.effects.sql_names.push(SqlName::DeallocateAll);
    }
    Visit::Skip
}

pub(super) fn transaction(
    inspection: &mut Inspection<'_>,
    statement: &TransactionStmt,
    place: Place,
) -> Visit {
    let ends = matches!(
        statement.kind,
        TransactionStmtKind::TRANS_STMT_COMMIT | TransactionStmtKind::TRANS_STMT_ROLLBACK
    );
    inspection.effects.transaction = match ends && !statement.chain && place.alone {
        true => Transaction::Ends,
        false => Transaction::Any,
    };
    let name = match statement.kind {
        TransactionStmtKind::TRANS_STMT_PREPARE => "PREPARE TRANSACTION",
        TransactionStmtKind::TRANS_STMT_COMMIT_PREPARED => "COMMIT PREPARED",
        TransactionStmtKind::TRANS_STMT_ROLLBACK_PREPARED => "ROLLBACK PREPARED",
        _ => {
            transaction_modes(inspection, statement.options().iter());
            return Visit::Skip;
        }
    };
    inspection.refuse(&rules::TWO_PHASE, || {
        format!("{name} is not allowed through pgtenant")
    });
    Visit::Skip
}

fn reset_all(inspection: &mut Inspection<'_>, statement: &str, place: Place) {
    inspection.effects.resets = true;
    inspection.changes.reset();
    if !place.last {
        inspection.refuse(&rules::RESET_ALL, || {
            format!("{statement} must not be followed by what could see data in its query string")
        });
    }
}

/// `SET TRANSACTION` ends with its transaction; `SET SESSION CHARACTERISTICS`
/// sets the defaults of the session.
fn set_transaction(inspection: &mut Inspection<'_>, set: &VariableSetStmt) {
    transaction_modes(inspection, set.args().iter());
    match set.name() {
        Some("TRANSACTION" | "TRANSACTION SNAPSHOT") => {}
        Some("SESSION CHARACTERISTICS") => {
            for item in set.args() {
                if let Node::DefElem(item) = item {
                    let name = item.defname().unwrap_or_default();
                    inspection.touch(&format!("default_{name}"));
                }
            }
        }
        _ => inspection.refuse(&rules::UNKNOWN, || {
            "pgtenant does not know this kind of SET".to_owned()
        }),
    }
}

/// `READ WRITE`, which a read-only tenant has not got.
fn transaction_modes<'a>(inspection: &mut Inspection<'_>, modes: impl Iterator<Item = Node<'a>>) {
    if !inspection.policy.read_only {
        return;
    }
    for mode in modes {
        let Node::DefElem(mode) = mode else { continue };
        if mode.defname() == Some("transaction_read_only") && value(mode.arg()) != "1" {
            inspection.refuse(&rules::READ_ONLY, || {
                "READ WRITE is not allowed: the tenant may only read".to_owned()
            });
        }
    }
}

/// One item of a SET statement's list, as text.
fn value(node: Node<'_>) -> String {
    match node {
        Node::A_Const(value) => match value.val() {
            Some(ConstValue::String(text)) => text.to_owned(),
            Some(ConstValue::Float(number)) => number.to_ascii_lowercase(),
            Some(ConstValue::Integer(number)) => number.to_string(),
            Some(ConstValue::Boolean(value)) => value.to_string(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

/// Whether the value of an option switches it off (PostgreSQL: `defGetBoolean`).
pub(super) fn is_off(node: Node<'_>) -> bool {
    match node {
        Node::Integer(number) => number.ival == 0,
        Node::String(text) => text.sval().is_some_and(|text| {
            ["off", "false"]
                .iter()
                .any(|off| text.eq_ignore_ascii_case(off))
        }),
        _ => false,
    }
}
