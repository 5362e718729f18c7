//! Statements over the views of all sessions, rewritten so that they read
//! [one's own rows](super::own_rows).
//!
//! A name in the text is replaced by a query in parentheses. What cannot have one
//! there (`COPY pg_locks`, `TABLE pg_locks`, `UPDATE pg_locks`) does not parse any
//! more, and what is not replaced is refused as ever: the text that comes of it is
//! judged like any other, and nothing rests on what is done here.

use super::expression::is_query;
use super::inspection::Scope;
use super::own_rows::{self, Rows};
use super::tree::Stack;
use pg_raw_parse::nodes::{ColumnRef, FuncCall, RangeVar};
use pg_raw_parse::{Node, StmtList};

/// So many places of one query string are rewritten.
const MOST: usize = 64;
/// The longest text that is rewritten, in bytes: for a moment there are two trees.
const LONGEST: usize = 64 << 10;

/// What the server is sent in the place of a query string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instead {
    /// The text.
    pub text: Box<str>,
    changes: Box<[Change]>,
}

/// A change of the text, in characters: all that is taken and put there is ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    /// Where it is in the new text.
    at: usize,
    taken: usize,
    put: usize,
}

impl Instead {
    /// The place in the client's own text of the `position`th character of the new
    /// one. Both count from 1, as in PostgreSQL's errors.
    #[must_use]
    pub fn position(&self, position: usize) -> usize {
        let (mut put, mut taken) = (0, 0);
        for change in &self.changes {
            let before = position.saturating_sub(1);
            if before < change.at {
                break;
            }
            if before < change.at + change.put {
                return change.at + taken - put + 1;
            }
            put += change.put;
            taken += change.taken;
        }
        position + taken - put
    }

    /// The memory that it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.text.len() + size_of_val(&*self.changes)
    }
}

/// A part of the text, in bytes, and what takes its place.
#[derive(Debug)]
struct Edit {
    at: usize,
    taken: usize,
    put: String,
}

/// A query string that reads one's own rows where `sql` reads those of all;
/// `None`: there is nothing to be rewritten, or it cannot be with certainty.
pub(super) fn own_rows(sql: &str, statements: &StmtList) -> Option<Instead> {
    let mut edits = Vec::new();
    if sql.len() > LONGEST {
        return None;
    }
    for statement in statements.stmts().filter(|statement| reads(*statement)) {
        let mut stack = Stack::new();
        stack.push(statement, Scope::Now);
        while let Some((node, scope)) = stack.pop() {
            match node {
                // The name may mean the query.
                Node::CommonTableExpr(query) if query.ctename().and_then(Rows::of).is_some() => {
                    return None;
                }
                Node::RangeVar(view) => edits.extend(relation(sql, view)),
                Node::ColumnRef(column) => edits.extend(qualified(sql, column)),
                Node::FuncCall(call) => edits.extend(blocking(sql, call)),
                _ => {}
            }
            if edits.len() > MOST || !stack.push_children(node, scope) {
                return None;
            }
        }
    }
    edits.sort_unstable_by_key(|edit| edit.at);
    apply(sql, &edits)
}

/// Whether a statement is one that reads, once or at each run in its own session:
/// no definition that others use.
fn reads(statement: Node<'_>) -> bool {
    is_query(statement)
        || matches!(
            statement,
            Node::ExplainStmt(_)
                | Node::PrepareStmt(_)
                | Node::DeclareCursorStmt(_)
                | Node::CopyStmt(_)
        )
}

/// `pg_locks` becomes `(SELECT …) AS pg_locks`.
fn relation(sql: &str, view: &RangeVar) -> Option<Edit> {
    let name = view.relname()?;
    let rows = Rows::of(name)?;
    let at = usize::try_from(view.location).ok()?;
    let end = match (view.catalogname(), view.schemaname()) {
        (None, None) => name_end(sql, at, &[name])?,
        (None, Some("pg_catalog")) => name_end(sql, at, &["pg_catalog", name])?,
        _ => return None,
    };
    let own = own_rows::query(name, rows);
    Some(Edit {
        at,
        taken: end - at,
        put: match view.alias() {
            Some(_) => format!("({own})"),
            None => format!("({own}) AS {name}"),
        },
    })
}

/// `pg_catalog.pg_locks.pid` becomes `pg_locks.pid`.
fn qualified(sql: &str, column: &ColumnRef) -> Option<Edit> {
    let mut fields = column.fields().iter();
    let schema = fields.next().and_then(Node::as_str);
    let name = fields.next().and_then(Node::as_str)?;
    if column.fields().len() < 3 || schema != Some("pg_catalog") {
        return None;
    }
    Rows::of(name)?;
    let at = usize::try_from(column.location).ok()?;
    let end = name_end(sql, at, &["pg_catalog", name])?;
    Some(Edit {
        at,
        taken: end - at,
        put: name.to_owned(),
    })
}

/// `pg_blocking_pids(x)` asks for process 0.
fn blocking(sql: &str, call: &FuncCall) -> Option<Edit> {
    const NAME: &str = "pg_blocking_pids";
    let mut names = call.funcname().iter().filter_map(Node::as_str);
    let parts: &[&str] = match (names.next(), names.next(), names.next()) {
        (Some(NAME), None, None) => &[NAME],
        (Some("pg_catalog"), Some(NAME), None) => &["pg_catalog", NAME],
        _ => return None,
    };
    let at = usize::try_from(call.location).ok()?;
    let end = name_end(sql, at, parts)?;
    let open = end + space(sql.get(end..)?);
    sql.get(open..)?.strip_prefix('(')?;
    Some(Edit {
        at,
        taken: open + 1 - at,
        put: format!("pg_catalog.{NAME}(0 OPERATOR(pg_catalog.&) "),
    })
}

/// Where the name ends that is written at `at`, if it is written plainly.
fn name_end(sql: &str, at: usize, parts: &[&str]) -> Option<usize> {
    let mut end = at;
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            end += space(sql.get(end..)?);
            sql.get(end..)?.strip_prefix('.')?;
            end += 1;
            end += space(sql.get(end..)?);
        }
        let rest = sql.as_bytes().get(end..)?;
        let quoted = rest.first() == Some(&b'"');
        let word = rest.get(usize::from(quoted)..)?;
        let (word, after) = word.split_at_checked(part.len())?;
        let is_it = match quoted {
            true => {
                word == part.as_bytes()
                    && after.first() == Some(&b'"')
                    && after.get(1) != Some(&b'"')
            }
            false => {
                word.eq_ignore_ascii_case(part.as_bytes())
                    && !after.first().is_some_and(|b| goes_on(*b))
            }
        };
        if !is_it {
            return None;
        }
        end += part.len() + 2 * usize::from(quoted);
    }
    Some(end)
}

/// Whether a byte is part of the word before it.
fn goes_on(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..)
}

/// How many bytes of white space come first.
fn space(text: &str) -> usize {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c);
    text.bytes().take_while(is_space).count()
}

fn apply(sql: &str, edits: &[Edit]) -> Option<Instead> {
    let mut text = String::with_capacity(sql.len() + edits.len() * 160);
    let mut changes = Vec::with_capacity(edits.len());
    let (mut from, mut characters) = (0, 0);
    for edit in edits {
        // They do not overlap: the range would be none.
        let kept = sql.get(from..edit.at)?;
        characters += kept.chars().count();
        changes.push(Change {
            at: characters,
            taken: edit.taken,
            put: edit.put.len(),
        });
        text.push_str(kept);
        text.push_str(&edit.put);
        characters += edit.put.len();
        from = edit.at + edit.taken;
    }
    text.push_str(sql.get(from..)?);
    (!edits.is_empty()).then(|| Instead {
        text: text.into(),
        changes: changes.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(sql: &str) -> Option<Instead> {
        own_rows(sql, &pg_raw_parse::parse(sql).unwrap())
    }

    #[test]
    fn names_of_views_become_queries() {
        let own = own_rows::query("pg_locks", Rows::Locks);
        for (sql, expected) in [
            (
                "SELECT * FROM pg_locks",
                format!("SELECT * FROM ({own}) AS pg_locks"),
            ),
            (
                "SELECT 'ä', pg_catalog . pg_locks.pid FROM Pg_Catalog.\"pg_locks\", t",
                format!("SELECT 'ä', pg_locks.pid FROM ({own}) AS pg_locks, t"),
            ),
            (
                "SELECT * FROM t JOIN pg_locks l(a, b) USING (a)",
                format!("SELECT * FROM t JOIN ({own}) l(a, b) USING (a)"),
            ),
            (
                "SELECT pg_blocking_pids (1 + pid) FROM t",
                "SELECT pg_catalog.pg_blocking_pids(0 OPERATOR(pg_catalog.&) 1 + pid) FROM t"
                    .to_owned(),
            ),
        ] {
            let instead = rewritten(sql).unwrap();
            assert_eq!(*instead.text, *expected);
        }
    }

    #[test]
    fn what_is_not_certain_stays_as_it_is() {
        for sql in [
            "SELECT 1",
            "SELECT 'pg_locks' AS pg_locks",
            "SELECT * FROM public.pg_locks",
            "SELECT * FROM db.pg_catalog.pg_locks",
            "SELECT * FROM U&\"pg\\005flocks\"",
            "SELECT * FROM pg_catalog./* */pg_locks",
            "SELECT * FROM \"PG_LOCKS\"",
            "WITH pg_locks AS (SELECT 1) SELECT * FROM pg_locks",
            "WITH pg_stat_ssl AS (SELECT 1) SELECT * FROM pg_locks",
            "CREATE VIEW v AS SELECT * FROM pg_locks",
            "CREATE TABLE t AS SELECT * FROM pg_locks",
        ] {
            assert_eq!(rewritten(sql), None, "{sql}");
        }
        let long = format!("SELECT '{}' FROM pg_locks", "x".repeat(LONGEST));
        assert_eq!(rewritten(&long), None);
        let many = "SELECT 1 FROM pg_locks a".to_owned() + &", pg_locks a".repeat(MOST);
        assert_eq!(rewritten(&many), None);
    }

    #[test]
    fn positions_are_those_of_the_clients_text() {
        let sql = "SELECT ü, pg_catalog.pg_locks.a FROM pg_locks WHERE b = c";
        let instead = rewritten(sql).unwrap();
        let count = |text: &str, at: usize| text[..at].chars().count() + 1;
        for word in ["SELECT ü", "ü", "WHERE b", "b = c"] {
            let new = count(&instead.text, instead.text.find(word).unwrap());
            assert_eq!(
                instead.position(new),
                count(sql, sql.find(word).unwrap()),
                "{word}"
            );
        }
        let view = count(sql, sql.find("pg_locks WHERE").unwrap());
        for word in ["(SELECT", "OFFSET", "AS pg_locks"] {
            let new = count(&instead.text, instead.text.find(word).unwrap());
            assert_eq!(instead.position(new), view, "{word}");
        }
        assert_eq!(instead.position(0), 0);
    }
}
