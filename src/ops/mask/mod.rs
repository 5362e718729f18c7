//! Masked views in the database: what [`Masking::script`] prints, and what
//! [`Masking::apply`] runs. Both are made of the same pieces of SQL; the database
//! itself finds out which relations there are, and what fits their columns.

mod sql;
mod target;

pub use target::targets;

use crate::config::{Mask, Secret};
use crate::ops::sql_client::{Database, SqlClientError};
use crate::tenant::{Seal, ServerName};
use std::sync::Arc;

/// The masked views of one schema, and the role that may read them.
#[derive(Debug, Clone)]
pub struct Masking {
    /// Whose they are, for people.
    pub what: String,
    /// The server.
    pub server: ServerName,
    /// The database.
    pub database: Arc<str>,
    /// The role of logins that are not masked: what it may read is shown masked.
    pub app: Arc<str>,
    /// The role of masked logins.
    pub role: Arc<str>,
    /// Its password, of which the server is told a verifier alone.
    pub password: Secret,
    /// The schema of the views.
    pub schema: Arc<str>,
    /// The tenant's schemas, in kind `schema`; `None`: all that the role may use.
    pub schemas: Option<Vec<String>>,
    /// The setting that says who the tenant is, where one does.
    pub setting: Option<Arc<str>>,
    /// What the role must be able to bind.
    pub seal: Seal,
    /// The masks.
    pub masks: Vec<Mask>,
}

impl Masking {
    /// A script for psql that does what [`apply`](Self::apply) does. It has the verifier
    /// of the role's password in it, and no key.
    #[must_use]
    pub fn script(&self) -> String {
        self.wrap("Masks", &self.pieces())
    }

    /// A script for psql that does what [`undo`](Self::undo) does.
    #[must_use]
    pub fn undo_script(&self) -> String {
        self.wrap("Takes away masked views:", &self.undoing())
    }

    fn wrap(&self, does: &str, pieces: &[String]) -> String {
        let mut script = sql::header(self, does);
        script.push_str("BEGIN;\n");
        for piece in pieces {
            script.push_str(piece);
        }
        script.push_str(sql::SHOW_REPORT);
        script.push_str("COMMIT;\n");
        script
    }

    /// Makes the roles, the schema and the views anew, in one transaction. Returns lines
    /// for people.
    ///
    /// # Errors
    /// [`SqlClientError::Query`]; nothing has been changed then.
    pub async fn apply(&self, database: &mut Database) -> Result<Vec<String>, SqlClientError> {
        run(database, &self.pieces()).await
    }

    /// Takes all of it away again, in one transaction. Returns lines for people.
    ///
    /// # Errors
    /// [`SqlClientError::Query`]; nothing has been changed then.
    pub async fn undo(&self, database: &mut Database) -> Result<Vec<String>, SqlClientError> {
        run(database, &self.undoing()).await
    }

    /// The role that owns the views, and nobody can log in as.
    #[must_use]
    pub fn owner(&self) -> String {
        format!("{}_owner", self.role)
    }

    fn pieces(&self) -> Vec<String> {
        let seal = (self.seal != Seal::Off).then_some(sql::SEAL);
        let pieces = [sql::BEGIN, sql::ROLES].into_iter().chain(seal);
        let pieces = pieces.chain([
            sql::KEY,
            sql::MASK_OF,
            sql::LEARN,
            sql::VIEWS,
            sql::PATH,
            sql::END,
        ]);
        let values = sql::values(self);
        pieces.map(|piece| sql::fill(piece, &values)).collect()
    }

    fn undoing(&self) -> Vec<String> {
        let pieces = [sql::BEGIN, sql::UNDO].into_iter();
        let values = sql::values(self);
        pieces.map(|piece| sql::fill(piece, &values)).collect()
    }
}

async fn run(database: &mut Database, pieces: &[String]) -> Result<Vec<String>, SqlClientError> {
    let transaction = database.client.transaction().await?;
    for piece in pieces {
        transaction.batch_execute(piece).await?;
    }
    let sql = "SELECT line FROM pg_temp.pgtenant_report";
    let rows = transaction.query(sql, &[]).await?;
    let lines: Result<_, _> = rows.iter().map(|row| row.try_get(0)).collect();
    let lines = lines?;
    transaction.commit().await?;
    Ok(lines)
}
