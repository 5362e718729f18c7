//! Which statements read or write nothing but plain tables.
//!
//! A view can run code that no statement shows. So once the plain tables of the
//! database are known, a statement that names another relation is doubtful.

use super::expression::is_temporary_schema;
use super::folding::is_certain;
use super::inspection::Scope;
use super::plain_relations::Names;
use super::tree::Stack;
use pg_raw_parse::Node;
use pg_raw_parse::nodes::{RangeVar, WithClause};

/// Whether `relation` is a plain table or PostgreSQL's own, if it is a relation:
/// without a schema it can be a part of its statement.
pub(super) fn is_plain(plain: &Names, relation: &RangeVar) -> bool {
    let name = relation.relname().unwrap_or_default();
    match relation.schemaname() {
        Some("pg_catalog" | "information_schema") => true,
        Some(schema) if is_temporary_schema(schema) => false,
        Some(_) => is_plain_name(plain, name),
        None => is_plain_name(plain, name) || CATALOGS.binary_search(&name).is_ok(),
    }
}

fn is_plain_name(plain: &Names, name: &str) -> bool {
    is_certain(name) && plain.contains(name)
}

/// Whether `statement` reads or writes a relation that is not plain.
pub(super) fn names_others(plain: &Names, statement: Node<'_>) -> bool {
    /// So many names are looked through; with more it is not worth the time.
    const MOST: usize = 256;
    let mut queries = Queries::default();
    let mut todo = vec![(statement, NONE)];
    let mut children = Stack::new();
    while let Some((node, visible)) = todo.pop() {
        let (with, target) = match node {
            Node::RangeVar(relation) => {
                let known = is_plain(plain, relation) || queries.is_one(relation, visible);
                if !known {
                    return true;
                }
                continue;
            }
            // Pushed by their statements; names of the FROM clause; what is made.
            Node::WithClause(_) | Node::LockingClause(_) | Node::IntoClause(_) => continue,
            Node::SelectStmt(s) => (s.with_clause(), None),
            Node::InsertStmt(s) => (s.with_clause(), s.relation()),
            Node::UpdateStmt(s) => (s.with_clause(), s.relation()),
            Node::DeleteStmt(s) => (s.with_clause(), s.relation()),
            Node::MergeStmt(s) => (s.with_clause(), s.relation()),
            _ => (None, None),
        };
        // What is written to is a relation, whatever queries bear its name.
        if target.is_some_and(|target| !is_plain(plain, target)) {
            return true;
        }
        let visible = match with {
            Some(with) => queries.add(with, visible, &mut todo),
            None => visible,
        };
        if queries.names.len() > MOST {
            return true;
        }
        // What is unknown to the tree is refused by the inspection.
        let _ = children.push_children(node, Scope::Now);
        while let Some((child, _)) = children.pop() {
            todo.push((child, visible));
        }
    }
    false
}

/// The queries of WITH clauses by name: each knows the one before it that is
/// visible where it is, so that a place among them is all that is visible there.
#[derive(Default)]
struct Queries<'t> {
    names: Vec<(&'t str, usize)>,
}

/// The place where no query is visible.
const NONE: usize = usize::MAX;

impl<'t> Queries<'t> {
    /// Whether `relation` names a query.
    fn is_one(&self, relation: &RangeVar, mut visible: usize) -> bool {
        let name = relation.relname().unwrap_or_default();
        if relation.schemaname().is_some() || !is_certain(name) {
            return false;
        }
        while let Some((known, next)) = self.names.get(visible) {
            if *known == name {
                return true;
            }
            visible = *next;
        }
        false
    }

    /// Adds the queries of a WITH clause, and pushes each with what it can see:
    /// those before it, or with RECURSIVE all. What its statement sees is returned.
    fn add(
        &mut self,
        with: &'t WithClause,
        outer: usize,
        todo: &mut Vec<(Node<'t>, usize)>,
    ) -> usize {
        let mut visible = outer;
        let mut seen = Vec::new();
        for query in with.ctes() {
            seen.push((query, visible));
            let name = query.ctename().unwrap_or_default();
            self.names.push((name, visible));
            visible = self.names.len() - 1;
        }
        for (query, before) in seen {
            let sees = if with.recursive { visible } else { before };
            todo.push((query.into(), sees));
        }
        visible
    }
}

/// The relations of pg_catalog in PostgreSQL 15 to 18, in byte order. A schema
/// cannot be searched before it.
static CATALOGS: &[&str] = include!("catalogs.in");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(CATALOGS.is_sorted_by(|a, b| a < b));
    }
}
