//! What policies compare with the tenant, read with PostgreSQL's own grammar from
//! their conditions as `pg_get_expr` prints them: each operator in parentheses.

use pg_raw_parse::list::NodeList;
use pg_raw_parse::nodes::{
    A_Expr, A_Expr_Kind, FuncCall, SelectStmt, SubLink, SubLinkType, TypeCast,
};
use pg_raw_parse::walk::{Recurse, walk_manual};
use pg_raw_parse::{ConstValue, Node};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the conditions are put behind to be parsed.
const SELECT: &str = "SELECT ";

/// Functions that give a part of a text.
const PARTS: [&str; 5] = ["left", "right", "substr", "substring", "split_part"];

/// By what a condition can read who the tenant is.
pub(super) struct Reading {
    /// The setting, in lower case.
    pub(super) setting: String,
    /// Functions that read it, by name.
    pub(super) functions: BTreeSet<String>,
    /// Those of them that return several values.
    pub(super) sets: BTreeSet<String>,
}

/// A column that a condition compares with the tenant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    column: String,
    /// Whether with the tenant itself, and not with what a query gives.
    direct: bool,
    /// Whether with the setting alone, at most cast.
    bare: bool,
    /// What is compared of the column, if it is not the column itself.
    expression: Option<String>,
    /// What it is compared with.
    reading: Option<String>,
    /// The whole comparison, if it can stand in another table's policy.
    whole: Option<String>,
}

/// What a condition compares with the tenant, and how it cuts the tenant's id.
#[derive(Debug, Default)]
pub(super) struct Condition {
    pub(super) comparisons: Vec<Comparison>,
    /// The fewest characters that are left of the tenant's id or of the column.
    pub(super) cut_to: Option<u32>,
}

impl Comparison {
    /// For the queries, which read it as `compared`.
    pub(super) fn to_json(&self, policy: u32) -> Value {
        json!({
            "policy": policy,
            "attname": self.column,
            "direct": self.direct,
            "bare": self.bare,
            "expression": self.expression,
            "reading": self.reading,
            "whole": self.whole,
        })
    }
}

/// Reads the condition of a policy of `relation`. A condition that cannot be read
/// compares nothing.
pub(super) fn read(condition: &str, relation: &str, by: &Reading) -> Condition {
    let text = format!("{SELECT}{condition}");
    let read = AssertUnwindSafe(|| {
        let tree = pg_raw_parse::parse(&text).ok()?;
        let root = tree.stmts().next()?;
        let mut reader = Reader {
            text: &text,
            relation,
            by,
            found: Condition::default(),
        };
        reader.all(root);
        Some(reader.found)
    });
    catch_unwind(read).ok().flatten().unwrap_or_default()
}

struct Reader<'a> {
    text: &'a str,
    relation: &'a str,
    by: &'a Reading,
    found: Condition,
}

/// A column, or something that is made of nothing else.
struct Column<'t> {
    name: &'t str,
    is_bare: bool,
}

impl Reader<'_> {
    fn all(&mut self, root: Node<'_>) {
        // The node, and whether it stands in a subquery that reads the tenant.
        let mut nodes = vec![(root, false)];
        while let Some((node, is_inner)) = nodes.pop() {
            let mut is_inner = is_inner;
            match node {
                Node::A_Expr(comparison) if is_equality(comparison) => {
                    let found = if is_inner {
                        self.through_subquery(comparison)
                    } else {
                        self.comparison(comparison)
                    };
                    if found {
                        self.cut(node);
                        continue;
                    }
                }
                Node::SubLink(link) if !is_inner => {
                    if self.in_subquery(link) {
                        self.cut(node);
                        continue;
                    }
                    is_inner = self.reads(Node::SubLink(link));
                }
                _ => {}
            }
            nodes.extend(children(node).into_iter().map(|child| (child, is_inner)));
        }
    }

    /// `column = setting`, either way round.
    fn comparison(&mut self, comparison: &A_Expr) -> bool {
        let (left, right) = (comparison.lexpr(), comparison.rexpr());
        let Ok(at) = usize::try_from(comparison.location) else {
            return false;
        };
        let sides = enclosed(self.text, at).and_then(|whole| {
            let operator = self.text.get(at..)?;
            let length = operator.find([' ', '(']).unwrap_or(operator.len());
            let (start, end) = whole;
            let left = self.text.get(start..at)?.trim();
            let right = self.text.get(at + length..end)?.trim();
            Some((self.text.get(start..end)?, left, right))
        });
        for (side, other, is_left) in [(left, right, true), (right, left, false)] {
            let Some(column) = self.column(side) else {
                continue;
            };
            if !self.reads(other) || self.has_columns(other) {
                continue;
            }
            let is_plain = comparison.kind == A_Expr_Kind::AEXPR_OP;
            let own = sides.map(|(_, left, right)| if is_left { left } else { right });
            let read = sides.map(|(_, left, right)| if is_left { right } else { left });
            self.found.comparisons.push(Comparison {
                column: column.name.to_owned(),
                direct: self.is_direct(other),
                bare: is_plain && self.is_bare(other),
                expression: own.filter(|_| !column.is_bare).map(str::to_owned),
                reading: read
                    .filter(|_| is_plain && self.is_direct(other))
                    .map(str::to_owned),
                whole: sides.map(|(whole, ..)| whole.to_owned()),
            });
            return true;
        }
        false
    }

    /// `column IN (SELECT …)` or `column = ANY (SELECT …)`.
    fn in_subquery(&mut self, link: &SubLink) -> bool {
        let Some(column) = self.column(link.testexpr()) else {
            return false;
        };
        let subquery = link.subselect();
        let is_any = link.sub_link_type == SubLinkType::ANY_SUBLINK;
        if !is_any || !self.reads(subquery) || self.has_columns(subquery) {
            return false;
        }
        let at = usize::try_from(link.location).ok();
        let whole = at
            .and_then(|at| enclosed(self.text, at))
            .and_then(|(start, end)| self.text.get(start..end));
        self.found.comparisons.push(Comparison {
            column: column.name.to_owned(),
            direct: self.is_direct(subquery),
            bare: only_target(subquery).is_some_and(|target| self.is_bare(target)),
            expression: None,
            reading: None,
            whole: whole.map(str::to_owned),
        });
        true
    }

    /// `EXISTS (SELECT … WHERE member.column = relation.column AND …)`.
    fn through_subquery(&mut self, comparison: &A_Expr) -> bool {
        let (left, right) = (comparison.lexpr(), comparison.rexpr());
        for (side, other) in [(left, right), (right, left)] {
            if let Some(column) = self.outer_column(side)
                && !self.has_columns(other)
            {
                self.found.comparisons.push(Comparison {
                    column: column.to_owned(),
                    direct: false,
                    bare: false,
                    expression: None,
                    reading: None,
                    whole: None,
                });
                return true;
            }
        }
        false
    }

    /// The column that `node` is, or is made of by casts and functions.
    fn column<'t>(&self, mut node: Node<'t>) -> Option<Column<'t>> {
        let mut is_bare = true;
        loop {
            node = match node {
                Node::ColumnRef(column) => {
                    let fields = column.fields();
                    let is_own = fields.len() == 1 || self.outer_column(node).is_some();
                    let name = is_own.then(|| last_name(fields)).flatten()?;
                    return Some(Column { name, is_bare });
                }
                Node::TypeCast(cast) => cast.arg(),
                Node::CollateClause(clause) => clause.arg(),
                Node::FuncCall(call) if call.args().len() == 1 => call.args().first()?,
                _ => return None,
            };
            is_bare = false;
        }
    }

    /// The column of the policy's own table, named with the table.
    fn outer_column<'t>(&self, node: Node<'t>) -> Option<&'t str> {
        let Node::ColumnRef(column) = node else {
            return None;
        };
        let fields = column.fields();
        let table = fields.first().and_then(|field| field.as_str());
        (fields.len() == 2 && table == Some(self.relation))
            .then(|| last_name(fields))
            .flatten()
    }

    /// Whether columns of the policy's own table are in it.
    fn has_columns(&self, node: Node<'_>) -> bool {
        let is_query = matches!(node, Node::SelectStmt(_));
        any(node, |node| match node {
            Node::ColumnRef(column) => {
                (!is_query && column.fields().len() == 1) || self.outer_column(node).is_some()
            }
            _ => false,
        })
    }

    /// Whether it reads who the tenant is.
    fn reads(&self, node: Node<'_>) -> bool {
        any(node, |node| match node {
            Node::FuncCall(call) => last_name(call.funcname())
                .is_some_and(|name| self.by.functions.contains(&name.to_lowercase())),
            Node::A_Const(_) => self.is_setting(node),
            _ => false,
        })
    }

    fn is_setting(&self, node: Node<'_>) -> bool {
        let node = match node {
            Node::TypeCast(cast) => cast.arg(),
            node => node,
        };
        let Node::A_Const(constant) = node else {
            return false;
        };
        matches!(constant.val(), Some(ConstValue::String(text)) if text.eq_ignore_ascii_case(&self.by.setting))
    }

    /// Whether it is the tenant itself: no table is read, nor a function that
    /// returns several values.
    fn is_direct(&self, node: Node<'_>) -> bool {
        !any(node, |node| match node {
            Node::RangeVar(_) | Node::RangeFunction(_) => true,
            Node::FuncCall(call) => last_name(call.funcname())
                .is_some_and(|name| self.by.sets.contains(&name.to_lowercase())),
            _ => false,
        })
    }

    /// Whether it is the setting alone: cast, in a subquery, or NULL where empty.
    fn is_bare(&self, mut node: Node<'_>) -> bool {
        loop {
            node = match node {
                Node::TypeCast(cast) => cast.arg(),
                Node::SubLink(link) if link.sub_link_type == SubLinkType::EXPR_SUBLINK => {
                    match only_target(link.subselect()) {
                        Some(target) => target,
                        None => return false,
                    }
                }
                Node::A_Expr(nullif) if nullif.kind == A_Expr_Kind::AEXPR_NULLIF => nullif.lexpr(),
                Node::FuncCall(call) => return self.is_read_by(call),
                _ => return false,
            };
        }
    }

    /// `current_setting('setting')`, or the same by the seal.
    fn is_read_by(&self, call: &FuncCall) -> bool {
        let names = call.funcname();
        let is_reader = last_name(names) == Some("current_setting")
            || names.first().and_then(|name| name.as_str()) == Some("pgtenant");
        is_reader && call.args().iter().any(|argument| self.is_setting(argument))
    }

    /// Notes where a comparison leaves only a part of what it compares.
    fn cut(&mut self, comparison: Node<'_>) {
        let mut least = None::<u32>;
        let mut note = |length: u32| least = Some(least.map_or(length, |least| least.min(length)));
        let mut nodes = vec![comparison];
        while let Some(node) = nodes.pop() {
            match node {
                Node::TypeCast(cast) => {
                    if let Some(length) = length_of(cast) {
                        note(length);
                    }
                }
                Node::FuncCall(call)
                    if last_name(call.funcname()).is_some_and(|name| PARTS.contains(&name)) =>
                {
                    note(0);
                }
                _ => {}
            }
            nodes.extend(children(node));
        }
        if let Some(length) = least {
            let already = self.found.cut_to.unwrap_or(u32::MAX);
            self.found.cut_to = Some(already.min(length));
        }
    }
}

/// The length that a cast to a type of characters leaves.
fn length_of(cast: &TypeCast) -> Option<u32> {
    let Node::TypeName(name) = cast.type_name().into() else {
        return None;
    };
    let least = match name.names().iter().last()?.sval()? {
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

fn is_equality(expression: &A_Expr) -> bool {
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
fn only_target(query: Node<'_>) -> Option<Node<'_>> {
    let Node::SelectStmt(select) = query else {
        return None;
    };
    let select: &SelectStmt = select;
    let targets = select.target_list();
    (targets.len() == 1 && select.from_clause().is_empty())
        .then(|| targets.first().map(|target| target.val()))
        .flatten()
}

fn last_name(names: &NodeList) -> Option<&str> {
    names.iter().last().and_then(|name| name.as_str())
}

fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut children = Vec::new();
    walk_manual::<()>(node, |child| {
        children.push(child);
        Recurse::no()
    });
    children
}

fn any<'t>(node: Node<'t>, mut is: impl FnMut(Node<'t>) -> bool) -> bool {
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
fn enclosed(text: &str, at: usize) -> Option<(usize, usize)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reading() -> Reading {
        Reading {
            setting: "app.tenant".to_owned(),
            functions: ["uid", "my_teams"].map(str::to_owned).into(),
            sets: ["my_teams".to_owned()].into(),
        }
    }

    fn columns(condition: &str) -> Vec<String> {
        let found = read(condition, "objects", &reading()).comparisons;
        found
            .into_iter()
            .map(|comparison| comparison.column)
            .collect()
    }

    #[test]
    fn only_what_is_compared_with_the_tenant_is_a_tenant_column() {
        for (condition, expected) in [
            (
                "((bucket_id = 'a'::text) AND (uid() = owner))",
                vec!["owner"],
            ),
            (
                "((uid() = owner) AND (bucket_id = 'a'::text))",
                vec!["owner"],
            ),
            (
                "((bucket_id = 'a'::text) AND ((storage.foldername(name))[1] = (uid())::text))",
                vec![],
            ),
            (
                "((bucket_id = 'a'::text) AND (owner IN ( SELECT uid() AS uid)))",
                vec!["owner"],
            ),
            (
                "(bucket_id IN ( SELECT buckets.id\n   FROM buckets\n  WHERE buckets.public))",
                vec![],
            ),
            (
                "(team_id IN ( SELECT my_teams() AS my_teams))",
                vec!["team_id"],
            ),
            (
                "(EXISTS ( SELECT 1\n   FROM members m\n  WHERE ((m.team_id = objects.team_id) AND (m.user_id = uid()))))",
                vec!["team_id"],
            ),
            (
                "((tenant_id)::uuid = (current_setting('app.tenant'::text))::uuid)",
                vec!["tenant_id"],
            ),
            ("(tenant_id = 7)", vec![]),
            ("not a condition (", vec![]),
        ] {
            assert_eq!(columns(condition), expected, "{condition}");
        }
    }

    #[test]
    fn the_parts_of_a_comparison_are_told_apart() {
        let condition = "((tenant_id)::uuid = (current_setting('app.tenant'::text, true))::uuid)";
        let found = read(condition, "objects", &reading());
        assert_eq!(
            found.comparisons,
            [Comparison {
                column: "tenant_id".to_owned(),
                direct: true,
                bare: true,
                expression: Some("(tenant_id)::uuid".to_owned()),
                reading: Some("(current_setting('app.tenant'::text, true))::uuid".to_owned()),
                whole: Some(
                    "(tenant_id)::uuid = (current_setting('app.tenant'::text, true))::uuid"
                        .to_owned()
                ),
            }]
        );
        let through = read(
            "(team_id IN ( SELECT my_teams() AS my_teams))",
            "objects",
            &reading(),
        );
        assert!(!through.comparisons[0].direct && !through.comparisons[0].bare);
    }

    #[test]
    fn casts_with_a_length_cut_the_tenants_id() {
        let cut = |condition| read(condition, "objects", &reading()).cut_to;
        let condition = "((tenant_id)::text = ((current_setting('app.tenant'::text))::character varying(4))::text)";
        assert_eq!(cut(condition), Some(4));
        let condition = "(tenant_id = \"left\"(current_setting('app.tenant'::text), 4))";
        assert_eq!(cut(condition), Some(0));
        let condition = "(((note)::character varying(4))::text = 'x'::text)";
        assert_eq!(cut(condition), None);
        let condition = "((tenant_id)::text = ((current_setting('app.tenant'::text))::character varying)::text)";
        assert_eq!(cut(condition), None);
        let condition = "(tenant_id = (current_setting('app.tenant'::text))::character(3))";
        assert_eq!(cut(condition), Some(3));
    }
}
