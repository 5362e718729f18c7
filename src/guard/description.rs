//! What statements are, for the audit log: pgaudit's classes, and the relations that
//! they name.

use super::expression::{last_name, qualifier};
use super::functions;
use super::inspection::Scope;
use super::tree::Stack;
use crate::audit::{Class, Described, Description, redact};
use pg_raw_parse::{Node, StmtList};
use std::collections::BTreeSet;

/// So many relations are named of one statement.
const MOST_RELATIONS: usize = 100;

/// Describes every statement of a query string.
pub(super) fn describe(sql: &str, statements: &StmtList) -> Described {
    let each = statements.stmts().map(describe_one);
    Described::new(each.collect(), &redact(sql))
}

fn describe_one(statement: Node<'_>) -> Description {
    let mut classes = BTreeSet::from([class(statement)]);
    let mut relations = BTreeSet::new();
    let mut stack = Stack::new();
    stack.push(statement, Scope::Now);
    while let Some((node, scope)) = stack.pop() {
        match node {
            Node::RangeVar(relation) if relations.len() < MOST_RELATIONS => {
                let name = relation.relname().unwrap_or_default();
                relations.insert(match relation.schemaname() {
                    Some(schema) => format!("{schema}.{name}"),
                    None => name.to_owned(),
                });
            }
            Node::InsertStmt(_)
            | Node::UpdateStmt(_)
            | Node::DeleteStmt(_)
            | Node::MergeStmt(_) => {
                classes.insert(Class::Write);
            }
            Node::SelectStmt(query) if !query.from_clause().is_empty() => {
                classes.insert(Class::Read);
            }
            Node::DropStmt(drop) => {
                let lists = drop.objects().iter().filter_map(|node| node.as_node_list());
                relations.extend(lists.take(MOST_RELATIONS).filter_map(|names| {
                    let name = last_name(names)?;
                    Some(match qualifier(names) {
                        Some(schema) => format!("{schema}.{name}"),
                        None => name.to_owned(),
                    })
                }));
            }
            Node::FuncCall(call) => {
                let name = last_name(call.funcname()).unwrap_or_default();
                let own = match qualifier(call.funcname()) {
                    Some(schema) => schema == "pg_catalog",
                    None => functions::is_builtin(name),
                };
                if !own {
                    classes.insert(Class::Function);
                }
            }
            other => push_targets(&mut stack, other, scope),
        }
        // What is not known has no children to be seen; the guard refuses it.
        let _ = stack.push_children(node, scope);
    }
    let classes: Vec<_> = classes.into_iter().collect();
    let relations: Vec<_> = relations.into_iter().collect();
    Description::new(&classes, &relations)
}

/// Relations that statements define or change, which the guard need not look at.
fn push_targets<'t>(stack: &mut Stack<'t>, node: Node<'t>, scope: Scope) {
    match node {
        Node::CreateStmt(s) => stack.push(s.relation(), scope),
        Node::AlterTableStmt(s) => stack.push(s.relation(), scope),
        Node::IndexStmt(s) => stack.push(s.relation(), scope),
        Node::RenameStmt(s) => stack.push(s.relation(), scope),
        Node::CreateTrigStmt(s) => stack.push(s.relation(), scope),
        Node::ViewStmt(s) => stack.push(s.view(), scope),
        Node::IntoClause(s) => stack.push(s.rel(), scope),
        Node::GrantStmt(s) => push_all(stack, s.objects(), scope),
        Node::TruncateStmt(s) => push_all(stack, s.relations(), scope),
        Node::LockStmt(s) => push_all(stack, s.relations(), scope),
        _ => {}
    }
}

fn push_all<'t, N: Into<Node<'t>>>(
    stack: &mut Stack<'t>,
    nodes: impl IntoIterator<Item = N>,
    scope: Scope,
) {
    for node in nodes {
        stack.push(node, scope);
    }
}

/// The class of the statement itself.
fn class(statement: Node<'_>) -> Class {
    match statement {
        Node::SelectStmt(_) => Class::Read,
        Node::CopyStmt(copy) if !copy.is_from => Class::Read,
        Node::InsertStmt(_)
        | Node::UpdateStmt(_)
        | Node::DeleteStmt(_)
        | Node::MergeStmt(_)
        | Node::TruncateStmt(_)
        | Node::CopyStmt(_) => Class::Write,
        Node::DoStmt(_) | Node::CallStmt(_) => Class::Function,
        Node::GrantStmt(_)
        | Node::GrantRoleStmt(_)
        | Node::CreateRoleStmt(_)
        | Node::AlterRoleStmt(_)
        | Node::AlterRoleSetStmt(_)
        | Node::DropRoleStmt(_)
        | Node::AlterDefaultPrivilegesStmt(_)
        | Node::ReassignOwnedStmt(_)
        | Node::DropOwnedStmt(_) => Class::Role,
        Node::VariableSetStmt(_)
        | Node::VariableShowStmt(_)
        | Node::TransactionStmt(_)
        | Node::DiscardStmt(_)
        | Node::DeclareCursorStmt(_)
        | Node::FetchStmt(_)
        | Node::ClosePortalStmt(_)
        | Node::CheckPointStmt(_)
        | Node::VacuumStmt(_)
        | Node::LockStmt(_)
        | Node::ListenStmt(_)
        | Node::NotifyStmt(_)
        | Node::UnlistenStmt(_)
        | Node::LoadStmt(_)
        | Node::PrepareStmt(_)
        | Node::ExecuteStmt(_)
        | Node::DeallocateStmt(_)
        | Node::ExplainStmt(_)
        | Node::ConstraintsSetStmt(_) => Class::Misc,
        _ => Class::Ddl,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_have_pgaudits_classes() {
        for (sql, expected) in [
            ("SELECT 1", r#"["READ"],"relations":[]"#),
            (
                "SELECT count(*) FROM a, s.b",
                r#"["READ"],"relations":["a","s.b"]"#,
            ),
            ("INSERT INTO a VALUES (1)", r#"["WRITE"],"relations":["a"]"#),
            (
                "INSERT INTO a SELECT * FROM b",
                r#"["READ","WRITE"],"relations":["a","b"]"#,
            ),
            (
                "WITH d AS (DELETE FROM a RETURNING 1) SELECT * FROM d",
                r#"["READ","WRITE"],"relations":["a","d"]"#,
            ),
            ("SELECT f(1)", r#"["READ","FUNCTION"],"relations":[]"#),
            ("COPY a TO STDOUT", r#"["READ"],"relations":["a"]"#),
            ("COPY a FROM STDIN", r#"["WRITE"],"relations":["a"]"#),
            ("CREATE TABLE a (b int)", r#"["DDL"],"relations":["a"]"#),
            (
                "CREATE TABLE a AS SELECT 1 FROM b",
                r#"["READ","DDL"],"relations":["a","b"]"#,
            ),
            ("GRANT SELECT ON a TO b", r#"["ROLE"],"relations":["a"]"#),
            ("TRUNCATE a, b", r#"["WRITE"],"relations":["a","b"]"#),
            ("LOCK TABLE a", r#"["MISC"],"relations":["a"]"#),
            ("ALTER TABLE a ADD b int", r#"["DDL"],"relations":["a"]"#),
            ("DROP TABLE a, s.b", r#"["DDL"],"relations":["a","s.b"]"#),
            ("SET a.b = 1", r#"["MISC"],"relations":[]"#),
            ("DO 'x'", r#"["FUNCTION"],"relations":[]"#),
            (
                "EXPLAIN ANALYZE DELETE FROM a",
                r#"["WRITE","MISC"],"relations":["a"]"#,
            ),
        ] {
            let statements = pg_raw_parse::parse(sql).unwrap();
            let described = describe(sql, &statements);
            let json = described.get(0).unwrap().json();
            assert_eq!(String::from_utf8_lossy(json), expected, "{sql}");
        }
    }
}
