//! A schema's objects as statements.

use super::ProvisionError;
use postgres_protocol::escape::escape_identifier;
use std::collections::BTreeSet;
use tokio_postgres::{Client, Row};

/// The query for the statements; the trigger uses it too.
pub(super) const STATEMENTS: &str = concat!(
    include_str!("sql/objects.sql"),
    include_str!("sql/definitions.sql"),
    include_str!("sql/refusals.sql"),
);

/// The name that a schema has while its objects are printed or made. PostgreSQL
/// writes the schema's name in places where nothing asks for it, such as at a
/// table that has the name of a query in the same `WITH`. So all schemas have
/// the same name then, and the statements of a template make and find the
/// copy's own objects. Others never see it: it does not outlive the transaction.
pub(super) const ALIAS: &str = "pgtenant_copy";

/// One statement that makes an object or a part of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) sql: String,
    /// What it makes, without the expressions: PostgreSQL writes those of a copy
    /// not always as those of the original, though they mean the same.
    pub(super) frame: String,
}

/// The objects of a schema.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Printed {
    /// In an order in which they can be run.
    pub(super) statements: Vec<Statement>,
    /// Which object needs which one of another schema, in words.
    pub(super) needs: BTreeSet<String>,
    /// What cannot be copied.
    pub(super) refusals: Vec<String>,
}

/// Prints the objects of `schema`, which is the template or a copy of it.
pub(super) async fn print(
    client: &Client,
    schema: &str,
    template: &str,
) -> Result<Printed, ProvisionError> {
    let rename = match schema {
        ALIAS => String::new(),
        _ => format!(
            "ALTER SCHEMA {} RENAME TO {ALIAS};",
            escape_identifier(schema)
        ),
    };
    let sql = format!("SAVEPOINT print; {rename} SET LOCAL search_path = {ALIAS}");
    client.batch_execute(&sql).await?;
    let rows = client.query(STATEMENTS, &[&ALIAS, &template]).await?;
    let sql = "ROLLBACK TO SAVEPOINT print; RELEASE SAVEPOINT print";
    client.batch_execute(sql).await?;
    let mut printed = Printed::default();
    for row in &rows {
        printed.add(row, schema)?;
    }
    Ok(printed)
}

impl Printed {
    fn add(&mut self, row: &Row, schema: &str) -> Result<(), ProvisionError> {
        if let Some(refusal) = row.try_get::<_, Option<String>>(2)? {
            self.refusals.push(refusal.replace(ALIAS, schema));
        } else if let Some(need) = row.try_get(3)? {
            self.needs.insert(need);
        } else {
            let (sql, frame) = (row.try_get(0)?, row.try_get(1)?);
            self.statements.push(Statement { sql, frame });
        }
        Ok(())
    }
}
