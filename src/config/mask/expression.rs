//! Whether a text is one SQL expression over the columns of its row.

use pg_raw_parse::Node;
use pg_raw_parse::walk::{Recurse, walk_manual};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The longest expression, in bytes.
const LONGEST: usize = 4096;

/// # Errors
/// What is wrong with it.
pub(super) fn check(text: &str) -> Result<(), String> {
    if text.len() > LONGEST {
        return Err(format!("must have at most {LONGEST} bytes"));
    }
    // The parser panics on what it does not know.
    catch_unwind(AssertUnwindSafe(|| parse(text)))
        .unwrap_or_else(|_| Err("cannot be parsed as an expression".to_owned()))
}

fn parse(text: &str) -> Result<(), String> {
    // What stands in both is an expression: parentheses that it leaves open do not
    // close in one of them, and a clause, a list or a query does not fit into the other.
    let as_condition = format!("SELECT 1 WHERE (\n{text}\n)");
    let as_branch = format!("SELECT CASE WHEN true THEN\n{text}\nEND");
    for sql in [as_condition, as_branch] {
        let tree = pg_raw_parse::parse(&sql);
        let tree = tree.map_err(
            |_| "must be one SQL expression over the columns of the table, such as left(note, 1)",
        )?;
        if tree.stmts().count() != 1 {
            return Err("must be one SQL expression, and no statement".to_owned());
        }
        let mut nodes: Vec<Node<'_>> = tree.stmts().collect();
        while let Some(node) = nodes.pop() {
            if matches!(node, Node::SubLink(_)) {
                return Err(
                    "must not have a query in it: it would read with the rights of the views' owner"
                        .to_owned(),
                );
            }
            walk_manual::<()>(node, |child| {
                nodes.push(child);
                Recurse::no()
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn one_expression_passes() {
        for text in [
            "left(note, 1)",
            "CASE WHEN value > 5 THEN 'high' ELSE 'low' END",
            "(note)::text || ' -- '",
            "upper(note) -- of it",
            "note IS NULL OR note = ''",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn all_else_is_refused() {
        for text in [
            "",
            "note, email",
            "note AS email",
            "note FROM users",
            "note) FROM users --",
            "1) + (2",
            "1; DROP TABLE users",
            "1 ELSE 2",
            "SELECT email FROM users",
            "(SELECT email FROM users LIMIT 1)",
            "EXISTS (SELECT 1)",
            "note LIMIT 1",
            "DISTINCT note",
            "*",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
