//! What policies compare with the tenant, read with PostgreSQL's own grammar from
//! their conditions as `pg_get_expr` prints them: each operator in parentheses.

mod tree;

use pg_raw_parse::nodes::{A_Expr, A_Expr_Kind, FuncCall, SubLink, SubLinkType};
use pg_raw_parse::{ConstValue, Node};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tree::{any, children, enclosed, is_equality, last_name, length_of, only_target};

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
        let table = fields.first().and_then(Node::as_str);
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
            || names.first().and_then(Node::as_str) == Some("pgtenant");
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

#[cfg(test)]
mod tests;
