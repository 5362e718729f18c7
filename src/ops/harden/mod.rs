//! The seal in the database: what [`Hardening::script`] prints, and what
//! [`Hardening::apply`] runs. Both are made of the same pieces of SQL; the
//! database itself finds out which tables are to be sealed.

mod sql;

use crate::ops::sql_client::{Database, SqlClientError};
use crate::tenant::{Seal, SealKey};
use std::fmt::Write as _;
use std::sync::Arc;

/// How one isolation is sealed in its database.
#[derive(Debug, Clone)]
pub struct Hardening {
    /// The setting that the policies read.
    pub setting: Arc<str>,
    /// The role that pgtenant logs in as, or of which its tenants' roles are members.
    pub role: Arc<str>,
    /// The seal, with the key that the proxy signs with.
    pub seal: Seal,
    /// A key that is to be valid too: the next one, or the one before.
    pub other_key: Option<SealKey>,
    /// Tables beyond those whose policies read the setting, each with its column
    /// that holds the tenant.
    pub tables: Vec<(String, String)>,
    /// Whether tables are sealed; if not, only what the proxy needs is made.
    pub policies: bool,
}

impl Hardening {
    /// A script for psql that does what [`apply`](Self::apply) does. It has no
    /// key in it: psql reads the keys' files.
    #[must_use]
    pub fn script(&self) -> String {
        let mut script = sql::header(self);
        for (variable, _) in self.variables() {
            script.push_str(&sql::read_file(variable));
        }
        script.push_str(&sql::fill(sql::WAIT, self));
        script.push_str("BEGIN;\n");
        for piece in self.before_keys() {
            script.push_str(&piece);
        }
        let _ = writeln!(script, "{}", sql::forget_keys(self, &[]));
        for (variable, _) in self.variables() {
            script.push_str(&sql::insert_key(self, variable));
        }
        script.push_str(&sql::count_keys(self, self.variables().len()));
        for piece in self.after_keys() {
            script.push_str(&piece);
        }
        script.push_str(sql::SHOW_REPORT);
        script.push_str("COMMIT;\n");
        script
    }

    /// Seals the isolation, in one transaction, once those that the role runs have
    /// ended. What is sealed already stays so; keys other than those given are
    /// forgotten. Returns lines for people.
    ///
    /// # Errors
    /// [`SqlClientError::Query`]; nothing has been changed then.
    pub async fn apply(&self, database: &mut Database) -> Result<Vec<String>, SqlClientError> {
        let wait = sql::fill(sql::WAIT, self);
        database.client.batch_execute(&wait).await?;
        let transaction = database.client.transaction().await?;
        for piece in self.before_keys() {
            transaction.batch_execute(&piece).await?;
        }
        let keys: Vec<_> = self.variables().into_iter().map(|(_, key)| key).collect();
        let ids: Vec<_> = keys.iter().map(|key| key.id()).collect();
        let forget = sql::forget_keys(self, &ids);
        transaction.batch_execute(&forget).await?;
        for key in keys {
            let (inner, outer) = key.pads();
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                [&&*self.setting, &key.id(), &&inner[..], &&outer[..]];
            transaction.execute(sql::INSERT_KEY, &values).await?;
        }
        for piece in self.after_keys() {
            transaction.batch_execute(&piece).await?;
        }
        let lines = sql::report(&transaction).await?;
        transaction.commit().await?;
        Ok(lines)
    }

    /// The keys' files as psql variables, with the keys.
    fn variables(&self) -> Vec<(&'static str, &SealKey)> {
        let first = self.seal.key().map(|key| ("seal_key_file", key));
        let other = self.other_key.as_ref();
        let other = other.filter(|other| Some(*other) != self.seal.key());
        let other = other.map(|key| ("other_seal_key_file", key));
        first.into_iter().chain(other).collect()
    }

    fn before_keys(&self) -> Vec<String> {
        let parameter = matches!(self.seal, Seal::Carrier(_)).then_some(sql::PARAMETER);
        let functions = match self.seal {
            Seal::Carrier(_) => sql::CARRIER,
            Seal::Token(..) | Seal::Off => sql::TOKEN,
        };
        let pieces = [sql::BEGIN, sql::OWNER].into_iter().chain(parameter);
        let pieces = pieces.chain([sql::KEYS, functions]);
        pieces.map(|piece| sql::fill(piece, self)).collect()
    }

    fn after_keys(&self) -> Vec<String> {
        let policies: &[&str] = if self.policies { &sql::SEALS } else { &[] };
        let pieces = [&[sql::RELEASE], policies, &[sql::END]].concat();
        let fill = |piece: &str| sql::fill(piece, self);
        pieces.into_iter().map(fill).collect()
    }
}

/// How a seal is taken away again.
#[derive(Debug, Clone)]
pub struct Undoing {
    /// The setting that the policies read.
    pub setting: Arc<str>,
    /// From what.
    pub from: Unseal,
}

/// What a seal is taken away from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unseal {
    /// These tables. The proxy can go on to seal.
    Tables(Vec<String>),
    /// All tables. The proxy can go on to seal.
    AllTables,
    /// All tables, and the functions and keys: the proxy must not seal any more.
    Everything,
}

impl Undoing {
    /// A script for psql that does what [`apply`](Self::apply) does.
    #[must_use]
    pub fn script(&self) -> String {
        let mut script = String::from(
            "-- Takes away pgtenant's seal. Run it with psql, as a superuser or as the role\n\
             -- that sealed the database.\n\\set ON_ERROR_STOP on\nBEGIN;\n",
        );
        for piece in self.pieces() {
            script.push_str(&piece);
        }
        script.push_str(sql::SHOW_REPORT);
        script.push_str("COMMIT;\n");
        script
    }

    /// Takes the seal away, in one transaction. Returns lines for people.
    ///
    /// # Errors
    /// [`SqlClientError::Query`]; nothing has been changed then.
    pub async fn apply(&self, database: &mut Database) -> Result<Vec<String>, SqlClientError> {
        let transaction = database.client.transaction().await?;
        for piece in self.pieces() {
            transaction.batch_execute(&piece).await?;
        }
        let lines = sql::report(&transaction).await?;
        transaction.commit().await?;
        Ok(lines)
    }

    fn pieces(&self) -> Vec<String> {
        let (tables, undo): (_, &[&str]) = match &self.from {
            Unseal::Tables(tables) => (Some(&**tables), &[]),
            Unseal::AllTables => (None, &[]),
            Unseal::Everything => (None, &[sql::UNDO]),
        };
        let pieces = [&[sql::BEGIN], &sql::UNSEALS[..], undo].concat();
        let fill = |piece: &str| sql::fill_tables(piece, &self.setting, tables);
        pieces.into_iter().map(fill).collect()
    }
}
