//! The views of all sessions, asked for one's own alone: some clients look so
//! whether their connection is encrypted.

use super::answer::is_plain;
use super::expression::{last_name, qualifier};
use super::inspection::Scope;
use super::tree::Stack;
use pg_raw_parse::Node;
use pg_raw_parse::nodes::{A_Expr_Kind, ResTarget, SelectStmt};

/// Views with one row for each session, and its process in `pid`.
const VIEWS: &[&str] = &["pg_stat_activity", "pg_stat_gssapi", "pg_stat_ssl"];

/// Whether `select` is this as a whole, with names of columns alone:
///
/// ```sql
/// SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()
/// ```
pub(super) fn is_asked_by(select: &SelectStmt) -> bool {
    let mut stack = Stack::new();
    let known = stack.push_children(Node::SelectStmt(select), Scope::Now);
    let mut parts = 0;
    while stack.pop().is_some() {
        parts += 1;
    }
    let (items, from) = (select.target_list(), select.from_clause());
    known
        && parts == items.len() + 2
        && from.len() == 1
        && items.iter().all(is_column)
        && from.first().is_some_and(is_view)
        && is_own(select.where_clause())
}

fn is_column(item: &ResTarget) -> bool {
    matches!(item.val(), Node::ColumnRef(column) if column.fields().len() == 1)
}

fn is_view(from: Node<'_>) -> bool {
    let Node::RangeVar(relation) = from else {
        return false;
    };
    relation.relname().is_some_and(|name| VIEWS.contains(&name))
        && matches!(relation.schemaname(), None | Some("pg_catalog"))
        && relation.catalogname().is_none()
        && relation.alias().is_none()
}

/// `pid = pg_backend_pid()`
fn is_own(condition: Node<'_>) -> bool {
    let Node::A_Expr(comparison) = condition else {
        return false;
    };
    let (Node::ColumnRef(column), Node::FuncCall(call)) = (comparison.lexpr(), comparison.rexpr())
    else {
        return false;
    };
    let (operator, function) = (comparison.name(), call.funcname());
    comparison.kind == A_Expr_Kind::AEXPR_OP
        && operator.len() == 1
        && last_name(operator) == Some("=")
        && column.fields().len() == 1
        && last_name(column.fields()) == Some("pid")
        && last_name(function) == Some("pg_backend_pid")
        && matches!(qualifier(function), None | Some("pg_catalog"))
        && function.len() <= 2
        && call.args().is_empty()
        && is_plain(call)
}
