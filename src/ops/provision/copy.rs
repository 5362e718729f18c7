//! Copying a schema's objects, without their rows.

use super::ProvisionError;
use super::error::refuse;
use super::files::sha256;
use super::ledger::Ledger;
use super::script::Script;
use crate::ops::sql_client::Database;
use postgres_protocol::escape::escape_identifier;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_postgres::Client;

/// The query for the statements; the trigger uses it too.
pub(super) const STATEMENTS: &str = include_str!("sql/statements.sql");

/// The query for what is against copying a schema.
pub(super) const TRUST: &str = include_str!("sql/trust.sql");

/// The statements that make a schema's objects, without the schema's name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statements(Vec<String>);

/// The source of a copy in the ledger.
fn source(template: &str) -> String {
    format!("schema:{template}")
}

/// The templates that were read: each once in the program's life, so that all
/// tenants get the same. There may be one of the name in several databases.
#[derive(Debug, Default)]
pub struct Copies(Mutex<BTreeMap<String, Arc<Statements>>>);

impl Copies {
    pub(super) async fn get(
        &self,
        database: &Database,
        template: &str,
    ) -> Result<Arc<Statements>, ProvisionError> {
        let known = self.lock().get(&database.name).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let read = Arc::new(read(&database.client, template).await?);
        self.lock().insert(database.name.clone(), Arc::clone(&read));
        Ok(read)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Statements>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a template.
pub(super) async fn read(client: &Client, template: &str) -> Result<Statements, ProvisionError> {
    let refused = |reason: String| {
        refuse(format!(
            "schema \"{template}\" cannot be a template: {reason}"
        ))
    };
    if let Some(row) = client.query(TRUST, &[&template]).await?.first() {
        return refused(row.try_get(0)?);
    }
    let (statements, refusals) = query(client, template).await?;
    match refusals.first() {
        None => Ok(statements),
        Some(first) if refusals.len() == 1 => refused(first.clone()),
        Some(first) => refused(format!("{first} (and {} more)", refusals.len() - 1)),
    }
}

async fn query(client: &Client, schema: &str) -> Result<(Statements, Vec<String>), ProvisionError> {
    let path = escape_identifier(schema);
    let sql = format!("SET LOCAL search_path = {path}");
    client.batch_execute(&sql).await?;
    let rows = client.query(STATEMENTS, &[&schema]).await?;
    client.batch_execute("SET LOCAL search_path = ''").await?;
    let (mut statements, mut refusals) = (Vec::new(), Vec::new());
    for row in &rows {
        match row.try_get::<_, Option<String>>(1)? {
            Some(refusal) => refusals.push(refusal),
            None => statements.push(row.try_get(0)?),
        }
    }
    Ok((Statements(statements), refusals))
}

impl Statements {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// As the trigger computes it too.
    fn sha256(&self) -> String {
        sha256(&self.0.join(";\n"))
    }

    /// Adds to the script what makes the objects in `schema`, which is empty.
    pub(super) fn copy_to(
        &self,
        schema: &str,
        template: &str,
        ledger: &Ledger,
        script: &mut Script,
    ) {
        let path = escape_identifier(schema);
        let what = format!("copying schema \"{template}\"");
        script.push(&what, "SET LOCAL check_function_bodies = off");
        script.push(&what, format!("SET LOCAL search_path = {path}, pg_temp"));
        for statement in &self.0 {
            script.push(&what, statement.as_str());
        }
        script.push(&what, "SET LOCAL search_path = ''");
        script.push(&what, "SET LOCAL check_function_bodies = on");
        ledger.record(schema, &source(template), &self.sha256(), script);
    }

    /// Asserts that the copy is one.
    pub(super) async fn verify(&self, client: &Client, schema: &str) -> Result<(), ProvisionError> {
        match self.missing(client, schema).await? {
            None => Ok(()),
            Some(missing) => refuse(format!(
                "the copy would differ from the template, which has: {missing}"
            )),
        }
    }

    /// A statement of the template that nothing in `schema` corresponds to.
    async fn missing(
        &self,
        client: &Client,
        schema: &str,
    ) -> Result<Option<String>, ProvisionError> {
        let (there, _) = query(client, schema).await?;
        let there: HashSet<_> = there.0.iter().collect();
        let missing = self.0.iter().find(|one| !there.contains(one));
        Ok(missing.map(|one| one.chars().take(200).collect()))
    }

    /// Checks a schema that has objects already: it must have been copied from
    /// the template as it is now, or have all that the template has.
    pub(super) async fn compare(
        &self,
        client: &Client,
        schema: &str,
        template: &str,
        ledger: &Ledger,
        script: &mut Script,
    ) -> Result<(), ProvisionError> {
        let (source, sha256) = (source(template), self.sha256());
        if ledger.sha256(&source) == Some(&sha256) {
            return Ok(());
        }
        match self.missing(client, schema).await? {
            Some(missing) => refuse(format!(
                "schema \"{schema}\" has objects already, and differs from the template \
                 \"{template}\", which has: {missing}; a schema is copied once, later changes \
                 need SQL files (--template dir:PATH)"
            )),
            None => {
                ledger.record(schema, &source, &sha256, script);
                Ok(())
            }
        }
    }
}
