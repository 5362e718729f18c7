//! Statements about server processes that pgtenant answers itself: a client
//! knows its session by the process id that pgtenant gave it, and the process
//! that runs its statement is now one, now another.

use super::expression::{last_name, qualifier};
use super::inspection::Scope;
use super::tree::Stack;
use pg_raw_parse::nodes::{A_Expr_Kind, FuncCall, SelectStmt};
use pg_raw_parse::{ConstValue, Node};

/// A statement that is one of these as a whole:
///
/// ```sql
/// SELECT pg_backend_pid()
/// SELECT pg_cancel_backend(PID)
/// SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = PID
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What is asked for.
    pub question: Question,
    /// The name of the result's column.
    pub column: Box<str>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// The process id of the client's own session.
    OwnPid,
    /// To interrupt a session.
    Interrupt {
        /// The session is ended; otherwise its statement is cancelled.
        ends: bool,
        /// Whose.
        target: Target,
        /// It is looked up in pg_stat_activity: who is not there makes no row.
        listed: bool,
    },
}

/// A process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A constant.
    Pid(i32),
    /// The statement's parameter `$1`.
    Parameter,
}

/// What a statement asks for, if pgtenant can answer it.
pub(super) fn of(statement: Node<'_>) -> Option<Answer> {
    let Node::SelectStmt(select) = statement else {
        return None;
    };
    let items = select.target_list();
    let item = items.iter().next().filter(|_| items.len() == 1)?;
    let Node::FuncCall(call) = item.val() else {
        return None;
    };
    let names = call.funcname();
    let function = last_name(names)?;
    let (ends, interrupts) = match function {
        "pg_backend_pid" => (false, false),
        "pg_cancel_backend" => (false, true),
        "pg_terminate_backend" => (true, true),
        _ => return None,
    };
    let postgresqls = match names.len() {
        1 => true,
        2 => qualifier(names) == Some("pg_catalog"),
        _ => false,
    };
    if !postgresqls || !is_plain(call) {
        return None;
    }
    let parts = parts(select)?;
    let question = match (interrupts, call.args().len(), parts) {
        (
            false,
            0,
            Parts {
                from: None,
                condition: None,
            },
        ) => Question::OwnPid,
        (
            true,
            1,
            Parts {
                from: None,
                condition: None,
            },
        ) => Question::Interrupt {
            ends,
            target: target(call.args().first()?)?,
            listed: false,
        },
        (
            true,
            1,
            Parts {
                from: Some(from),
                condition: Some(condition),
            },
        ) if is_activity(from) && is_pid(call.args().first()?) => Question::Interrupt {
            ends,
            target: compared_with(condition)?,
            listed: true,
        },
        _ => return None,
    };
    Some(Answer {
        question,
        column: item.name().unwrap_or(function).into(),
    })
}

/// What may stand beside a query's only result.
pub(super) struct Parts<'t> {
    pub(super) from: Option<Node<'t>>,
    pub(super) condition: Option<Node<'t>>,
}

/// What the query has beside its only result; `None`: something else.
pub(super) fn parts(select: &SelectStmt) -> Option<Parts<'_>> {
    let mut stack = Stack::new();
    if !stack.push_children(Node::SelectStmt(select), Scope::Now) {
        return None;
    }
    let mut others = 0;
    while stack.pop().is_some() {
        others += 1;
    }
    let from = select.from_clause();
    let condition = match select.where_clause() {
        Node::None => None,
        condition => Some(condition),
    };
    let known = 1 + from.len() + usize::from(condition.is_some());
    let distinct = !select.distinct_clause().is_empty();
    (others == known && from.len() <= 1 && !distinct).then(|| Parts {
        from: from.first(),
        condition,
    })
}

pub(super) fn is_plain(call: &FuncCall) -> bool {
    call.agg_order().is_empty()
        && matches!((call.agg_filter(), call.over()), (Node::None, None))
        && !(call.func_variadic || call.agg_star || call.agg_distinct || call.agg_within_group)
}

fn is_activity(from: Node<'_>) -> bool {
    let Node::RangeVar(relation) = from else {
        return false;
    };
    relation.relname() == Some("pg_stat_activity")
        && matches!(relation.schemaname(), None | Some("pg_catalog"))
        && relation.catalogname().is_none()
        && relation.alias().is_none()
}

fn is_pid(node: Node<'_>) -> bool {
    match node {
        Node::ColumnRef(column) => match column.fields().len() {
            1 => last_name(column.fields()) == Some("pid"),
            2 => {
                last_name(column.fields()) == Some("pid")
                    && qualifier(column.fields()) == Some("pg_stat_activity")
            }
            _ => false,
        },
        _ => false,
    }
}

/// The other side of `pid = …`.
fn compared_with(condition: Node<'_>) -> Option<Target> {
    let Node::A_Expr(comparison) = condition else {
        return None;
    };
    let names = comparison.name();
    let is_equality = comparison.kind == A_Expr_Kind::AEXPR_OP
        && names.len() == 1
        && last_name(names) == Some("=");
    (is_equality && is_pid(comparison.lexpr())).then(|| target(comparison.rexpr()))?
}

/// A process id: a constant or `$1`, also with a cast to integer.
fn target(node: Node<'_>) -> Option<Target> {
    match node {
        Node::A_Const(value) => match value.val()? {
            ConstValue::Integer(pid) => Some(Target::Pid(pid)),
            ConstValue::String(text) => text.trim().parse().ok().map(Target::Pid),
            _ => None,
        },
        Node::ParamRef(parameter) if parameter.number == 1 => Some(Target::Parameter),
        Node::TypeCast(cast) => {
            let name = cast.type_name()?;
            let integer = name.names().iter().next_back()?.sval() == Some("int4");
            let plain = name.array_bounds().is_empty() && name.typmods().is_empty() && !name.setof;
            let arg = cast.arg();
            let bare = matches!(arg, Node::A_Const(_) | Node::ParamRef(_));
            (integer && plain && bare).then(|| target(arg))?
        }
        _ => None,
    }
}
