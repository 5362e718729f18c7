//! The table of what was run for which schema.

use super::ProvisionError;
use super::error::refuse;
use super::script::Script;
use postgres_protocol::escape::escape_literal;
use std::collections::BTreeMap;
use tokio_postgres::Client;

/// The schema for what is ours in a database; `pgtenant` is the seal's, and of
/// another owner.
pub(super) const SCHEMA: &str = "pgtenant_provision";

const CREATE: &str = "\
CREATE TABLE pgtenant_provision.provisioned (
    schema_name text NOT NULL,
    source text NOT NULL,
    sha256 text NOT NULL,
    provisioned_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (schema_name, source)
)";

/// What was run for one schema: each source with its SHA-256.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sources: BTreeMap<String, String>,
}

impl Ledger {
    /// Reads it, and adds to the script what makes the table where there is none.
    pub(super) async fn open(
        client: &Client,
        schema: &str,
        script: &mut Script,
    ) -> Result<Self, ProvisionError> {
        if !prepare(client, script).await? {
            return Ok(Self::default());
        }
        let sql =
            "SELECT source, sha256 FROM pgtenant_provision.provisioned WHERE schema_name = $1";
        let rows = client.query(sql, &[&schema]).await?;
        let sources = rows
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        Ok(Self {
            sources: sources.collect::<Result<_, tokio_postgres::Error>>()?,
        })
    }

    /// What the source had when it was run.
    pub(super) fn sha256(&self, source: &str) -> Option<&str> {
        self.sources.get(source).map(String::as_str)
    }

    /// Forgets what was run for a schema that is gone.
    pub(super) fn forget(&mut self, schema: &str, script: &mut Script) {
        if !self.sources.is_empty() {
            self.sources.clear();
            let schema = escape_literal(schema);
            script.push(
                "forgetting a schema that was dropped",
                format!("DELETE FROM pgtenant_provision.provisioned WHERE schema_name = {schema}"),
            );
        }
    }

    /// Adds to the script what notes that a source was run.
    pub(super) fn record(&self, schema: &str, source: &str, sha256: &str, script: &mut Script) {
        let values = [schema, source, sha256].map(escape_literal).join(", ");
        script.push(
            "recording what was run",
            format!(
                "INSERT INTO pgtenant_provision.provisioned (schema_name, source, sha256) VALUES ({values}) \
                 ON CONFLICT (schema_name, source) DO UPDATE SET sha256 = EXCLUDED.sha256, \
                 provisioned_at = EXCLUDED.provisioned_at"
            ),
        );
    }
}

/// Adds to the script what makes our schema and the table, and says whether they
/// are there already.
pub(super) async fn prepare(client: &Client, script: &mut Script) -> Result<bool, ProvisionError> {
    let sql = "SELECT o.name, r.rolname::text, r.rolname = current_user OR r.rolsuper
        FROM (SELECT 'schema' AS name, nspowner AS owner FROM pg_catalog.pg_namespace
                  WHERE nspname = 'pgtenant_provision'
              UNION ALL
              SELECT 'table', c.relowner FROM pg_catalog.pg_class c
                  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = 'pgtenant_provision' AND c.relname = 'provisioned') o
        JOIN pg_catalog.pg_roles r ON r.oid = o.owner";
    let rows = client.query(sql, &[]).await?;
    let mut there = Vec::new();
    for row in &rows {
        let (what, owner, trusted): (String, String, bool) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if !trusted {
            return refuse(format!(
                "the {what} of pgtenant's own records belongs to \"{owner}\": log in as this role"
            ));
        }
        there.push(what);
    }
    let has = |what: &str| there.iter().any(|one| one == what);
    if !has("schema") {
        script.push(
            "making schema pgtenant_provision",
            "CREATE SCHEMA pgtenant_provision",
        );
        let sql = "REVOKE ALL ON SCHEMA pgtenant_provision FROM PUBLIC";
        script.push("making schema pgtenant_provision", sql);
    }
    if !has("table") {
        script.push("making table pgtenant_provision.provisioned", CREATE);
    }
    Ok(has("table"))
}
