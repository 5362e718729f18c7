//! What is asked of the nodes of a condition, and of its text.

use super::SELECT;
use pg_raw_parse::Node;
use pg_raw_parse::list::NodeList;
use pg_raw_parse::nodes::{A_Expr, A_Expr_Kind, SelectStmt, TypeCast};
use pg_raw_parse::walk::{Recurse, walk_manual};

/// The length that a cast to a type of characters leaves.
pub(super) fn length_of(cast: &TypeCast) -> Option<u32> {
    let Node::TypeName(name) = cast.type_name().into() else {
        return None;
    };
    let least = match name.names().iter().next_back()?.sval()? {
        "varchar" | "bpchar" => None,
        "name" => Some(63),
        "char" => Some(1),
        _ => return None,
    };
    match name.typmods().first() {
        Some(Node::A_Const(length)) => length
            .val()?
            .numeric_value::<i64>()
            .and_then(|n| u32::try_from(n).ok()),
        _ => least,
    }
}

pub(super) fn is_equality(expression: &A_Expr) -> bool {
    let name = last_name(expression.name());
    match expression.kind {
        A_Expr_Kind::AEXPR_OP | A_Expr_Kind::AEXPR_OP_ANY | A_Expr_Kind::AEXPR_IN => {
            name == Some("=")
        }
        A_Expr_Kind::AEXPR_DISTINCT | A_Expr_Kind::AEXPR_NOT_DISTINCT => true,
        _ => false,
    }
}

/// The one thing that a query without tables gives.
pub(super) fn only_target(query: Node<'_>) -> Option<Node<'_>> {
    let Node::SelectStmt(select) = query else {
        return None;
    };
    let select: &SelectStmt = select;
    let targets = select.target_list();
    (targets.len() == 1 && select.from_clause().is_empty())
        .then(|| targets.first().map(|target| target.val()))
        .flatten()
}

pub(super) fn last_name(names: &NodeList) -> Option<&str> {
    names.iter().next_back().and_then(Node::as_str)
}

pub(super) fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut children = Vec::new();
    walk_manual::<()>(node, |child| {
        children.push(child);
        Recurse::no()
    });
    children
}

pub(super) fn any<'t>(node: Node<'t>, mut is: impl FnMut(Node<'t>) -> bool) -> bool {
    let mut nodes = vec![node];
    while let Some(node) = nodes.pop() {
        if is(node) {
            return true;
        }
        nodes.extend(children(node));
    }
    false
}

/// What is inside the innermost parentheses around a position, or all of it.
pub(super) fn enclosed(text: &str, at: usize) -> Option<(usize, usize)> {
    let (mut open, mut quote) = (Vec::new(), None);
    let mut start = None;
    for (position, byte) in text.bytes().enumerate() {
        if position == at {
            start = Some(open.last().map_or(SELECT.len(), |open| open + 1));
        }
        match (quote, byte) {
            (Some(mark), _) if byte == mark => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'(') => open.push(position),
            (None, b')') => {
                let closed = open.pop()? + 1;
                if start == Some(closed) {
                    return Some((closed, position));
                }
            }
            (None, _) => {}
        }
    }
    (start == Some(SELECT.len())).then_some((SELECT.len(), text.len()))
}
