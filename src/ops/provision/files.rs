//! SQL files, which are run once for each tenant.

use super::ProvisionError;
use super::error::refuse;
use super::ledger::Ledger;
use super::script::Script;
use aws_lc_rs::digest;
use pg_raw_parse::Node;
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// The SQL files of a directory, in the order of their names.
#[derive(Debug, Clone)]
pub struct SqlFiles(Vec<SqlFile>);

/// One of them.
#[derive(Debug, Clone)]
pub struct SqlFile {
    /// Its name, without the directory.
    pub name: String,
    /// Its text.
    pub text: String,
    /// SHA-256 of the text, as lower-case hexadecimal digits.
    pub sha256: String,
}

impl SqlFiles {
    /// Reads the files whose names end in `.sql`. They must parse, and must leave
    /// the transaction alone: each tenant has one for all of them.
    ///
    /// # Errors
    /// What is wrong, with the file's name.
    pub fn read(directory: &Path) -> Result<Self, String> {
        let at = |error| format!("{}: {error}", directory.display());
        let mut files = Vec::new();
        for entry in fs::read_dir(directory).map_err(at)? {
            let path = entry.map_err(at)?.path();
            let refuse = |reason: String| format!("{}: {reason}", path.display());
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| refuse("the name is not Unicode".to_owned()))?;
            if !name.ends_with(".sql") || name.starts_with('.') {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(|error| refuse(error.to_string()))?;
            check(&text).map_err(refuse)?;
            files.push(SqlFile {
                sha256: sha256(&text),
                name: name.to_owned(),
                text,
            });
        }
        if files.is_empty() {
            return Err(at(std::io::Error::other("has no file *.sql")));
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self(files))
    }
}

/// SHA-256 as lower-case hexadecimal digits.
pub(super) fn sha256(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in digest::digest(&digest::SHA256, text.as_bytes()).as_ref() {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn check(text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err("has a NUL byte".to_owned());
    }
    // The parser's accessors panic on what they do not expect.
    catch_unwind(AssertUnwindSafe(|| parse(text)))
        .unwrap_or_else(|_| Err("cannot be parsed".to_owned()))
}

fn parse(text: &str) -> Result<(), String> {
    let statements = pg_raw_parse::parse(text).map_err(|error| match error {
        pg_raw_parse::Error::Parse(error) => error.to_string(),
        other => other.to_string(),
    })?;
    for statement in statements.stmts() {
        match statement {
            Node::TransactionStmt(_) => {
                return Err(
                    "has BEGIN, COMMIT or the like: all files of a tenant run in one transaction, \
                     so that a failure leaves nothing behind"
                        .to_owned(),
                );
            }
            Node::CopyStmt(copy) if copy.filename().is_none() => {
                return Err("has COPY from or to the client: use INSERT".to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Adds the files that have not been run for `schema`, with `path` as
/// search_path, and says how many.
pub(super) fn pending(
    files: &SqlFiles,
    ledger: &Ledger,
    schema: &str,
    path: &str,
    script: &mut Script,
) -> Result<usize, ProvisionError> {
    let latest = files
        .0
        .iter()
        .rfind(|file| ledger.sha256(&file.name).is_some());
    let mut count = 0;
    for file in &files.0 {
        match ledger.sha256(&file.name) {
            Some(sha256) if sha256 == file.sha256 => {}
            Some(_) => {
                return refuse(format!(
                    "file {} has changed since it was run: put it back as it was, and write a new \
                     file for the change",
                    file.name
                ));
            }
            None => {
                if let Some(latest) = latest.filter(|latest| latest.name > file.name) {
                    return refuse(format!(
                        "file {} comes before {}, which was run already: give it a later name",
                        file.name, latest.name
                    ));
                }
                script.push(
                    "setting search_path",
                    format!("SET LOCAL search_path = {path}"),
                );
                script.push_file(&file.name, &file.text);
                script.push("setting search_path", "SET LOCAL search_path = ''");
                ledger.record(schema, &file.name, &file.sha256, script);
                count += 1;
            }
        }
    }
    Ok(count)
}
