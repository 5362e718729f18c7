//! What pg_dump says first, since the releases of August 2024: the one computed
//! set_config that passes.

use super::answer::{self, Parts};
use super::expression::{constant, last_name};
use pg_raw_parse::nodes::{A_Expr_Kind, FuncCall, SelectStmt};
use pg_raw_parse::{ConstValue, Node};

/// The setting. Older servers do not have it, which is why pg_dump looks it up.
pub(super) const SETTING: &str = "restrict_nonsystem_relation_kind";

/// What it is set to: no tenant, role, schema or anything else that a guarded
/// setting takes. Even where a temporary table hides pg_settings, another setting
/// could get this text alone.
const VALUE: &str = "view, foreign-table";

/// Whether `select` is this as a whole:
///
/// ```sql
/// SELECT set_config(name, 'view, foreign-table', false)
/// FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'
/// ```
pub(super) fn is_set_by(select: &SelectStmt) -> bool {
    let items = select.target_list();
    let Some(item) = items.iter().next().filter(|_| items.len() == 1) else {
        return false;
    };
    let Node::FuncCall(call) = item.val() else {
        return false;
    };
    let Some(Parts {
        from: Some(from),
        condition: Some(condition),
    }) = answer::parts(select)
    else {
        return false;
    };
    is_call(call) && is_pg_settings(from) && is_condition(condition)
}

fn is_call(call: &FuncCall) -> bool {
    let names = call.funcname();
    let args = call.args();
    names.len() == 1
        && last_name(names) == Some("set_config")
        && answer::is_plain(call)
        && args.len() == 3
        && args.first().is_some_and(is_name)
        && args.get(1).and_then(constant) == Some(VALUE)
        && args.get(2).is_some_and(is_false)
}

fn is_pg_settings(from: Node<'_>) -> bool {
    let Node::RangeVar(relation) = from else {
        return false;
    };
    relation.relname() == Some("pg_settings")
        && relation.schemaname().is_none()
        && relation.catalogname().is_none()
        && relation.alias().is_none()
}

fn is_condition(condition: Node<'_>) -> bool {
    let Node::A_Expr(comparison) = condition else {
        return false;
    };
    let names = comparison.name();
    comparison.kind == A_Expr_Kind::AEXPR_OP
        && names.len() == 1
        && last_name(names) == Some("=")
        && is_name(comparison.lexpr())
        && constant(comparison.rexpr()) == Some(SETTING)
}

fn is_name(node: Node<'_>) -> bool {
    match node {
        Node::ColumnRef(column) => {
            column.fields().len() == 1 && last_name(column.fields()) == Some("name")
        }
        _ => false,
    }
}

fn is_false(node: Node<'_>) -> bool {
    match node {
        Node::A_Const(value) => matches!(value.val(), Some(ConstValue::Boolean(false))),
        _ => false,
    }
}
