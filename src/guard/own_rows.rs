//! PostgreSQL's views of all sessions, read so that they show one's own rows alone.
//!
//! Of each view there is one form that passes, as a query within a statement:
//!
//! ```sql
//! SELECT * FROM pg_catalog.pg_stat_ssl
//! WHERE pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() OFFSET 0
//! ```
//!
//! The OFFSET is what makes it safe: PostgreSQL moves no condition of the statement
//! around it into such a query. Without it `set_config('a.b', query, false) IS NOT
//! NULL` would be evaluated first, on the rows of all sessions.

use super::answer::is_plain;
use super::expression::{last_name, qualifier};
use super::inspection::Scope;
use super::tree::Stack;
use pg_raw_parse::nodes::{A_Expr_Kind, BoolExprType, FuncCall, RangeVar, SelectStmt};
use pg_raw_parse::{ConstValue, Node, list::NodeList};

/// Which rows of a view are one's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// None: what it shows belongs to the whole server.
    None,
    /// That of the process which runs the statement.
    OfProcess,
    /// The same, but for the predicate locks of serializable transactions: those
    /// of a transaction that is over stay with its process, whoever it serves now.
    Locks,
    /// What was prepared by SQL, which keeps the server connection with its client.
    BySql,
}

/// The views by name, in byte order.
const VIEWS: &[(&str, Rows)] = &[
    ("pg_aios", Rows::None),
    ("pg_locks", Rows::Locks),
    ("pg_prepared_statements", Rows::BySql),
    ("pg_prepared_xacts", Rows::None),
    ("pg_replication_origin_status", Rows::None),
    ("pg_replication_slots", Rows::None),
    ("pg_stat_activity", Rows::OfProcess),
    ("pg_stat_gssapi", Rows::OfProcess),
    ("pg_stat_progress_analyze", Rows::None),
    ("pg_stat_progress_basebackup", Rows::None),
    ("pg_stat_progress_cluster", Rows::None),
    ("pg_stat_progress_copy", Rows::None),
    ("pg_stat_progress_create_index", Rows::None),
    ("pg_stat_progress_vacuum", Rows::None),
    ("pg_stat_replication", Rows::None),
    ("pg_stat_ssl", Rows::OfProcess),
    ("pg_stat_subscription", Rows::None),
    ("pg_stat_wal_receiver", Rows::None),
];

impl Rows {
    /// Those of the view `name`; `None`: it is no view that has one's own rows.
    pub(super) fn of(name: &str) -> Option<Self> {
        let at = VIEWS.binary_search_by(|(view, _)| (*view).cmp(name)).ok()?;
        VIEWS.get(at).map(|(_, rows)| *rows)
    }

    fn condition(self) -> &'static str {
        match self {
            Self::None => "false",
            Self::OfProcess => "pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()",
            Self::Locks => {
                "pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() \
                 AND mode OPERATOR(pg_catalog.<>) 'SIReadLock'"
            }
            Self::BySql => "from_sql",
        }
    }

    /// Whether `condition` is that of these rows.
    fn are(self, condition: Node<'_>) -> bool {
        match self {
            Self::None => is_false(condition),
            Self::OfProcess => is_own_process(condition),
            Self::Locks => {
                let Node::BoolExpr(and) = condition else {
                    return false;
                };
                let (args, both) = (and.args(), and.boolop == BoolExprType::AND_EXPR);
                both && args.len() == 2
                    && args.first().is_some_and(is_own_process)
                    && args.get(1).is_some_and(is_no_predicate_lock)
            }
            Self::BySql => is_column(condition, "from_sql"),
        }
    }
}

/// The query for one's own rows of the view `name`.
pub(super) fn query(name: &str, rows: Rows) -> String {
    let condition = rows.condition();
    format!("SELECT * FROM pg_catalog.{name} WHERE {condition} OFFSET 0")
}

/// Whether `select` is such a query as a whole. It looks at literals.
pub(super) fn is_asked_by(select: &SelectStmt) -> bool {
    let mut from = select.from_clause().iter();
    let (Some(Node::RangeVar(view)), None) = (from.next(), from.next()) else {
        return false;
    };
    let rows = rows_of(view).filter(|rows| rows.are(select.where_clause()));
    rows.is_some()
        && is_integer(select.limit_offset(), 0)
        && selects_all(select)
        // What it selects, the view, the condition and the OFFSET.
        && parts(select) == Some(4)
}

fn rows_of(view: &RangeVar) -> Option<Rows> {
    let own = view.schemaname() == Some("pg_catalog")
        && view.catalogname().is_none()
        && view.alias().is_none()
        && view.inh;
    own.then(|| view.relname().and_then(Rows::of))?
}

fn parts(select: &SelectStmt) -> Option<usize> {
    let mut stack = Stack::new();
    let known = stack.push_children(Node::SelectStmt(select), Scope::Now);
    let mut parts = 0;
    while stack.pop().is_some() {
        parts += 1;
    }
    (known && select.distinct_clause().is_empty()).then_some(parts)
}

fn selects_all(select: &SelectStmt) -> bool {
    let mut items = select.target_list().iter();
    let (Some(item), None) = (items.next(), items.next()) else {
        return false;
    };
    let Node::ColumnRef(column) = item.val() else {
        return false;
    };
    let fields = column.fields();
    fields.len() == 1 && matches!(fields.first(), Some(Node::A_Star(_)))
}

/// `pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()`
fn is_own_process(condition: Node<'_>) -> bool {
    let Some((pid, Node::FuncCall(call))) = operands(condition, "=") else {
        return false;
    };
    is_column(pid, "pid")
        && is_name(call.funcname(), "pg_backend_pid")
        && call.args().is_empty()
        && is_plain(call)
}

/// `mode OPERATOR(pg_catalog.<>) 'SIReadLock'`
fn is_no_predicate_lock(condition: Node<'_>) -> bool {
    let Some((mode, Node::A_Const(value))) = operands(condition, "<>") else {
        return false;
    };
    is_column(mode, "mode") && matches!(value.val(), Some(ConstValue::String("SIReadLock")))
}

/// Whether a call is `pg_blocking_pids(0 OPERATOR(pg_catalog.&) …)`: there is no
/// process 0, so that nobody blocks it. It looks at literals.
pub(super) fn is_blocked_by_none(call: &FuncCall) -> bool {
    let (names, args) = (call.funcname(), call.args());
    let argument = args.first().filter(|_| args.len() == 1);
    let zero = argument.and_then(|argument| operands(argument, "&"));
    is_name(names, "pg_blocking_pids")
        && is_plain(call)
        && zero.is_some_and(|(zero, _)| is_integer(zero, 0))
}

/// Both sides of an operator of pg_catalog that is named with its schema.
fn operands<'t>(node: Node<'t>, operator: &str) -> Option<(Node<'t>, Node<'t>)> {
    let Node::A_Expr(expression) = node else {
        return None;
    };
    let is_it = expression.kind == A_Expr_Kind::AEXPR_OP && is_name(expression.name(), operator);
    is_it.then(|| (expression.lexpr(), expression.rexpr()))
}

/// Whether names are `pg_catalog` and this one.
fn is_name(names: &NodeList, name: &str) -> bool {
    names.len() == 2 && qualifier(names) == Some("pg_catalog") && last_name(names) == Some(name)
}

fn is_column(node: Node<'_>, name: &str) -> bool {
    let Node::ColumnRef(column) = node else {
        return false;
    };
    column.fields().len() == 1 && last_name(column.fields()) == Some(name)
}

fn is_integer(node: Node<'_>, integer: i32) -> bool {
    matches!(node, Node::A_Const(value) if matches!(value.val(), Some(ConstValue::Integer(n)) if n == integer))
}

fn is_false(node: Node<'_>) -> bool {
    matches!(node, Node::A_Const(value) if matches!(value.val(), Some(ConstValue::Boolean(false))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_asked(sql: &str) -> bool {
        let tree = pg_raw_parse::parse(sql).unwrap();
        let statement = tree.stmts().next();
        matches!(statement, Some(Node::SelectStmt(select)) if is_asked_by(select))
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(VIEWS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn the_query_for_ones_own_rows_is_known_and_no_other() {
        for (name, rows) in VIEWS {
            let own = query(name, *rows);
            assert!(is_asked(&own), "{own}");
            let condition = rows.condition();
            for (part, other) in [
                (" OFFSET 0", ""),
                (" OFFSET 0", " OFFSET 1"),
                (" OFFSET 0", " LIMIT 1"),
                (" OFFSET 0", " OFFSET 0 LIMIT 1"),
                (" OFFSET 0", " OFFSET 0 FOR UPDATE"),
                (" OFFSET 0", " GROUP BY 1 OFFSET 0"),
                (" OFFSET 0", " UNION SELECT 1 OFFSET 0"),
                ("SELECT *", "SELECT DISTINCT *"),
                ("SELECT *", "SELECT *, 1"),
                ("SELECT *", "SELECT pid"),
                ("SELECT *", "SELECT x.*"),
                ("SELECT *", "WITH a AS (SELECT 1) SELECT *"),
                ("pg_catalog.pg_", "pg_"),
                ("pg_catalog.pg_", "public.pg_"),
                ("pg_catalog.pg_", "ONLY pg_catalog.pg_"),
                (name, &format!("{name} AS a")),
                (name, &format!("{name}, pg_class")),
                (condition, "true"),
                (condition, &format!("{condition} OR true")),
                (condition, &format!("{condition} AND true")),
                (condition, &format!("NOT ({condition})")),
            ] {
                let sql = own.replacen(part, other, 1);
                assert!(sql != own && !is_asked(&sql), "{sql}");
            }
        }
        for (own, other) in [
            ("OPERATOR(pg_catalog.=)", "="),
            ("OPERATOR(pg_catalog.=)", "OPERATOR(pg_catalog.<>)"),
            ("OPERATOR(pg_catalog.=)", "OPERATOR(public.=)"),
            ("pg_catalog.pg_backend_pid()", "pg_backend_pid()"),
            ("pg_catalog.pg_backend_pid()", "public.pg_backend_pid()"),
            (
                "pg_catalog.pg_backend_pid()",
                "pg_catalog.pg_backend_pid(1)",
            ),
            ("pg_catalog.pg_backend_pid()", "pid"),
            ("WHERE pid", "WHERE leader_pid"),
            ("'SIReadLock'", "'siread'"),
            ("OPERATOR(pg_catalog.<>) 'S", "OPERATOR(pg_catalog.=) 'S"),
            (" AND mode", " OR mode"),
        ] {
            let sql = query("pg_locks", Rows::Locks).replacen(own, other, 1);
            assert!(!is_asked(&sql), "{sql}");
        }
    }
}
