//! What tenants are made from, as the command line names it.

use super::files::SqlFiles;
use std::path::Path;

/// What tenants' schemas and databases are made from: a schema and a database to
/// copy, SQL files to run; each of them at most once.
#[derive(Debug, Clone, Default)]
pub struct Template {
    /// The schema to copy.
    pub schema: Option<String>,
    /// The database to copy.
    pub database: Option<String>,
    /// The files to run, after the copy if there is one.
    pub files: Option<SqlFiles>,
}

/// Why a template cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It does not begin with a known word.
    #[error(
        "--template {0:?}: must be schema:NAME (a schema to copy), database:NAME (a database to \
         copy) or dir:PATH (a directory of SQL files to run in the order of their names)"
    )]
    Unknown(String),
    /// There are two of one kind.
    #[error("--template {0}:… is given twice")]
    Twice(&'static str),
    /// A file or directory cannot be used.
    #[error("{0}")]
    Files(String),
}

impl Template {
    /// Reads `schema:NAME`, `database:NAME` and `dir:PATH`.
    ///
    /// # Errors
    /// As [`TemplateError`] names them. All SQL files are read and parsed.
    pub fn parse(texts: &[String]) -> Result<Self, TemplateError> {
        let mut template = Self::default();
        for text in texts {
            match text.split_once(':') {
                Some((_, "")) | None => return Err(TemplateError::Unknown(text.clone())),
                Some(("schema", name)) => once("schema", &mut template.schema, name.to_owned())?,
                Some(("database", name)) => {
                    once("database", &mut template.database, name.to_owned())?;
                }
                Some(("dir", path)) => {
                    let files = SqlFiles::read(Path::new(path)).map_err(TemplateError::Files)?;
                    once("dir", &mut template.files, files)?;
                }
                Some(_) => return Err(TemplateError::Unknown(text.clone())),
            }
        }
        Ok(template)
    }

    /// Whether there is nothing to make tenants from.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.schema.is_none() && self.database.is_none() && self.files.is_none()
    }
}

fn once<T>(what: &'static str, slot: &mut Option<T>, value: T) -> Result<(), TemplateError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(TemplateError::Twice(what)),
    }
}
