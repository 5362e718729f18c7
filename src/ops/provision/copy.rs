//! Copying a schema's objects, without their rows.

use super::ProvisionError;
use super::error::refuse;
use super::files::sha256;
use super::ledger::Ledger;
use super::printed::{ALIAS, Printed, Statement, print};
use super::script::Script;
use crate::ops::sql_client::Database;
use postgres_protocol::escape::escape_identifier;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_postgres::Client;

/// The query for what is against copying a schema.
pub(super) const TRUST: &str = include_str!("sql/trust.sql");

/// A schema to copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Original {
    name: String,
    printed: Printed,
}

/// The templates that were read: each once in the program's life, so that all
/// tenants get the same. There may be one of the name in several databases.
#[derive(Debug, Default)]
pub struct Copies(Mutex<BTreeMap<String, Arc<Original>>>);

impl Copies {
    pub(super) async fn get(
        &self,
        database: &Database,
        template: &str,
    ) -> Result<Arc<Original>, ProvisionError> {
        let known = self.lock().get(&database.name).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let read = Arc::new(read(&database.client, template).await?);
        self.lock().insert(database.name.clone(), Arc::clone(&read));
        Ok(read)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Original>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a template.
pub(super) async fn read(client: &Client, template: &str) -> Result<Original, ProvisionError> {
    let refused = |reason: String| {
        refuse(format!(
            "schema \"{template}\" cannot be a template: {reason}"
        ))
    };
    if let Some(row) = client.query(TRUST, &[&template]).await?.first() {
        return refused(row.try_get(0)?);
    }
    let printed = print(client, template, template).await?;
    if !printed.refusals.is_empty() {
        return refused(printed.refusals.join("; "));
    }
    let name = template.to_owned();
    Ok(Original { name, printed })
}

impl Original {
    /// How many statements there are.
    pub(super) fn len(&self) -> usize {
        self.printed.statements.len()
    }

    /// The source of a copy in the ledger.
    fn source(&self) -> String {
        format!("schema:{}", self.name)
    }

    fn sql(&self) -> impl Iterator<Item = &str> {
        self.printed.statements.iter().map(|one| one.sql.as_str())
    }

    /// As the trigger computes it too.
    fn sha256(&self) -> String {
        let statements: Vec<_> = self.sql().collect();
        sha256(&statements.join(";\n"))
    }

    /// Adds to the script what makes the objects in `schema`, which is empty.
    pub(super) fn copy_to(&self, schema: &str, ledger: &Ledger, script: &mut Script) {
        let own = escape_identifier(schema);
        if self.sql().any(|sql| sql.contains(ALIAS)) {
            let what = self.copying();
            script.push(&what, format!("ALTER SCHEMA {own} RENAME TO {ALIAS}"));
            self.make_in(ALIAS, script);
            script.push(&what, format!("ALTER SCHEMA {ALIAS} RENAME TO {own}"));
        } else {
            self.make_in(&own, script);
        }
        ledger.record(schema, &self.source(), &self.sha256(), script);
    }

    fn copying(&self) -> String {
        format!("copying schema \"{}\"", self.name)
    }

    /// Adds the statements, for a schema as SQL writes it.
    fn make_in(&self, schema: &str, script: &mut Script) {
        let what = self.copying();
        script.push(&what, "SET LOCAL check_function_bodies = off");
        script.push(&what, format!("SET LOCAL search_path = {schema}, pg_temp"));
        let statements: Vec<_> = self.sql().collect();
        // One message: each on its way to the server would cost more than its work.
        script.push(&what, statements.join(";\n"));
        script.push(&what, "SET LOCAL search_path = ''");
        script.push(&what, "SET LOCAL check_function_bodies = on");
    }

    /// Asserts that what [`Original::copy_to`] has made is a copy: it has all that
    /// the template has, and needs the same of other schemas, so nothing of the
    /// template's.
    pub(super) async fn verify(&self, client: &Client, schema: &str) -> Result<(), ProvisionError> {
        self.is_copied_by(&print(client, schema, &self.name).await?)
    }

    /// Asserts that a copy would be one, before there is any.
    pub(super) async fn verify_trial(&self, client: &Client) -> Result<(), ProvisionError> {
        self.is_copied_by(&self.try_copy(client).await?)
    }

    fn is_copied_by(&self, copy: &Printed) -> Result<(), ProvisionError> {
        if let Some(need) = copy.needs.difference(&self.printed.needs).next() {
            return refuse(format!(
                "the copy would reach out of its schema where the template \"{}\" does not: {need}",
                self.name
            ));
        }
        if let Some(need) = self.printed.needs.difference(&copy.needs).next() {
            return refuse(format!(
                "the copy would differ from the template, where {need}"
            ));
        }
        let there: HashSet<_> = copy.statements.iter().map(|one| &one.frame).collect();
        match missing(&self.printed, |one| there.contains(&one.frame)) {
            None => Ok(()),
            Some(missing) => refuse(format!(
                "the copy would differ from the template, which has: {missing}"
            )),
        }
    }

    /// Checks a schema that has objects already: it must have been copied from
    /// the template as it is now, or have all that the template has.
    pub(super) async fn compare(
        &self,
        client: &Client,
        schema: &str,
        ledger: &Ledger,
        script: &mut Script,
    ) -> Result<(), ProvisionError> {
        let (source, sha256) = (self.source(), self.sha256());
        if ledger.sha256(&source) == Some(&sha256) {
            return Ok(());
        }
        let own = print(client, schema, &self.name).await?;
        if let Some(need) = own.needs.iter().find(|need| self.is_needed_by(need)) {
            return refuse(format!(
                "schema \"{schema}\" has objects already that use the template \"{}\": {need}; \
                 make them anew with the schema's own",
                self.name
            ));
        }
        match self.missing_in(client, &own).await? {
            Some(missing) => refuse(format!(
                "schema \"{schema}\" has objects already, and differs from the template \
                 \"{}\", which has: {missing}; a schema is copied once, later changes need SQL \
                 files (--template dir:PATH)",
                self.name
            )),
            None => {
                ledger.record(schema, &source, &sha256, script);
                Ok(())
            }
        }
    }

    /// Whether it is an object of the template that something needs.
    fn is_needed_by(&self, need: &str) -> bool {
        let name = escape_identifier(&self.name);
        let bare = &self.name;
        let is_named = |name: &str| {
            need.contains(&format!(" {name}.")) || need.ends_with(&format!(" needs schema {name}"))
        };
        is_named(&name) || is_named(bare)
    }

    /// A statement of the template that nothing in another schema corresponds to:
    /// neither as it is, nor as PostgreSQL writes it in a copy.
    async fn missing_in(
        &self,
        client: &Client,
        own: &Printed,
    ) -> Result<Option<String>, ProvisionError> {
        let there: HashSet<_> = own.statements.iter().map(|one| &one.sql).collect();
        let has = |one: &Statement| there.contains(&one.sql);
        if missing(&self.printed, has).is_none() {
            return Ok(None);
        }
        let copy = self.try_copy(client).await?;
        let copied: HashMap<_, _> = copy
            .statements
            .iter()
            .map(|one| (&one.frame, one))
            .collect();
        Ok(missing(&self.printed, |one| {
            has(one) || copied.get(&one.frame).is_some_and(|copy| has(copy))
        }))
    }

    /// What a copy would be, which is made for this and taken back.
    async fn try_copy(&self, client: &Client) -> Result<Printed, ProvisionError> {
        let mut script = Script::default();
        let what = self.copying();
        script.push(&what, "SAVEPOINT trial");
        script.push(&what, format!("CREATE SCHEMA {ALIAS}"));
        self.make_in(ALIAS, &mut script);
        script.run(client).await?;
        let copy = print(client, ALIAS, &self.name).await?;
        client
            .batch_execute("ROLLBACK TO SAVEPOINT trial; RELEASE SAVEPOINT trial")
            .await?;
        Ok(copy)
    }
}

/// The first statement that `has` does not know, shortened.
fn missing(printed: &Printed, has: impl Fn(&Statement) -> bool) -> Option<String> {
    let missing = printed.statements.iter().find(|one| !has(one));
    missing.map(|one| one.sql.chars().take(200).collect())
}
