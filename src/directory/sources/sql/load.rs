//! Running the queries of `[directory.sql]`.

use super::values::SqlValue;
use super::{Queries, SqlSource, connect};
use crate::directory::{DirectoryBuilder, Rows, Snapshot, TooLarge};
use crate::protocol::explain;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, IsolationLevel, Statement, Transaction};

/// Most time for one query.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);
/// Most time for all of it.
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);
/// The rows that are in memory twice at a time.
const BATCH: i32 = 2_000;

/// Why the directory could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no connection to the database.
    #[error(transparent)]
    Connect(Box<dyn std::error::Error + Send + Sync>),
    /// The connection has ended.
    #[error("the connection was closed")]
    Closed,
    /// Nothing came within this time.
    #[error("the database did not answer within {0:?}")]
    Timeout(Duration),
    /// A statement around the queries failed.
    #[error("{}", explain(.0))]
    Failed(tokio_postgres::Error),
    /// A query failed.
    #[error("directory.sql.{query}: {}", without_secrets(.source))]
    Query {
        /// The query's key.
        query: &'static str,
        /// Why.
        source: tokio_postgres::Error,
    },
    /// The answer to a query cannot be used.
    #[error("directory.sql.{query}: {reason}")]
    Refused {
        /// The query's key.
        query: &'static str,
        /// Why not.
        reason: String,
    },
}

/// What the server said; not if it quotes a verifier.
fn without_secrets(error: &tokio_postgres::Error) -> String {
    let text = explain(error);
    let code = error.code().map(|code| code.code().to_owned());
    match code {
        Some(code) if text.contains("SCRAM-SHA-256$") => {
            format!("({code}), and a text that is not shown, because it has a verifier in it")
        }
        _ => text,
    }
}

impl LoadError {
    /// Whether the database cannot be reached, rather than has an answer that
    /// cannot be used.
    pub(super) fn is_of_connection(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Closed | Self::Timeout(_) => true,
            Self::Failed(error) | Self::Query { source: error, .. } => {
                // The connection broke, or the server is shut down.
                let code = error.code();
                code.is_none_or(|code| code.code().starts_with("57P"))
            }
            Self::Refused { .. } => false,
        }
    }
}

/// The rows that the database has now, of one snapshot of it.
///
/// # Errors
/// [`LoadError`].
pub(crate) async fn load(
    source: &SqlSource,
    builder: &DirectoryBuilder,
) -> Result<Snapshot, LoadError> {
    let mut client = connect(source).await?.client;
    load_from(&mut client, &source.queries, builder).await
}

/// The rows of both queries, over a connection.
pub(super) async fn load_from(
    client: &mut Client,
    queries: &Queries,
    builder: &DirectoryBuilder,
) -> Result<Snapshot, LoadError> {
    let loading = read(client, queries, builder);
    tokio::time::timeout(LOAD_TIMEOUT, loading)
        .await
        .unwrap_or(Err(LoadError::Timeout(LOAD_TIMEOUT)))
}

async fn read(
    client: &mut Client,
    queries: &Queries,
    builder: &DirectoryBuilder,
) -> Result<Snapshot, LoadError> {
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(LoadError::Failed)?;
    let limit = format!(
        "SET LOCAL statement_timeout = {}",
        STATEMENT_TIMEOUT.as_millis()
    );
    transaction
        .batch_execute(&limit)
        .await
        .map_err(LoadError::Failed)?;
    let mut snapshot = Snapshot::default();
    for (query, sql, rows) in [
        ("tenants", &queries.tenants, &mut snapshot.tenants),
        ("logins", &queries.logins, &mut snapshot.logins),
    ] {
        if let Some(sql) = sql {
            let question = Question {
                query,
                most: queries.most,
                builder,
            };
            *rows = Arc::new(question.ask(&transaction, sql).await?);
        }
    }
    transaction.commit().await.map_err(LoadError::Failed)?;
    Ok(snapshot)
}

/// One query.
struct Question<'a> {
    /// Its key.
    query: &'static str,
    most: usize,
    builder: &'a DirectoryBuilder,
}

impl Question<'_> {
    async fn ask(&self, transaction: &Transaction<'_>, sql: &str) -> Result<Rows, LoadError> {
        let prepared = transaction.prepare(sql).await;
        let statement = prepared.map_err(|source| self.failed(source))?;
        let mut rows = Rows::new(self.columns(&statement)?);
        let bound = transaction.bind(&statement, &[]).await;
        let portal = bound.map_err(|source| self.failed(source))?;
        loop {
            let batch = transaction.query_portal(&portal, BATCH).await;
            let batch = batch.map_err(|source| self.failed(source))?;
            for row in &batch {
                for i in 0..row.len() {
                    let cell: SqlValue<'_> = row.try_get(i).map_err(|error| {
                        let error = explain(&error);
                        self.refused(format!("row {}: {error}", rows.len() + 1))
                    })?;
                    rows.push(&cell.0)
                        .map_err(|error: TooLarge| self.refused(error.to_string()))?;
                }
            }
            if rows.len() > self.most {
                return Err(self.refused(format!(
                    "there are more than {} rows (directory.sql.most)",
                    self.most
                )));
            }
            if batch.len() < BATCH.unsigned_abs() as usize {
                rows.shrink();
                return Ok(rows);
            }
        }
    }

    /// The names of the columns, if all of them can be used.
    fn columns(&self, statement: &Statement) -> Result<Vec<String>, LoadError> {
        if !statement.params().is_empty() {
            return Err(self.refused("it has parameters ($1), which nothing fills".into()));
        }
        let columns = statement.columns();
        let names: Vec<_> = columns.iter().map(|c| c.name().to_owned()).collect();
        self.builder
            .check_columns(self.query, &names)
            .map_err(|reason| self.refused(reason))?;
        let unreadable = |column: &&tokio_postgres::Column| !SqlValue::is_readable(column.type_());
        if let Some(column) = columns.iter().find(unreadable) {
            let (name, of): (_, &Type) = (column.name(), column.type_());
            return Err(self.refused(format!(
                "column {name:?} is of type {of}, which cannot be read: cast it to text"
            )));
        }
        Ok(names)
    }

    fn failed(&self, source: tokio_postgres::Error) -> LoadError {
        let query = self.query;
        LoadError::Query { query, source }
    }

    fn refused(&self, reason: String) -> LoadError {
        let query = self.query;
        LoadError::Refused { query, reason }
    }
}
