//! The statements that make what is missing.

use super::ProvisionError;
use tokio_postgres::Client;
use tokio_postgres::error::ErrorPosition;

/// Settings of the session that change what statements mean or how definitions
/// are written.
pub(super) const PINNED: &str = "\
SET LOCAL search_path = '';
SET LOCAL standard_conforming_strings = on;
SET LOCAL transform_null_equals = off;
SET LOCAL quote_all_identifiers = off;
SET LOCAL extra_float_digits = 3;
SET LOCAL datestyle = 'ISO, MDY';
SET LOCAL intervalstyle = postgres;
SET LOCAL default_table_access_method = heap;
SET LOCAL default_tablespace = '';
";

/// Statements in their order.
#[derive(Debug, Default)]
pub(super) struct Script {
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    /// What it does, for an error.
    what: String,
    sql: String,
    /// Whether an error has a line to be told.
    lines: bool,
}

impl Script {
    /// Adds a statement; `what` says in words what it does.
    pub(super) fn push(&mut self, what: &str, sql: impl Into<String>) {
        self.steps.push(Step {
            what: what.to_owned(),
            sql: sql.into(),
            lines: false,
        });
    }

    /// Adds the text of a file.
    pub(super) fn push_file(&mut self, name: &str, text: &str) {
        self.steps.push(Step {
            what: format!("file {name}"),
            sql: text.to_owned(),
            lines: true,
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Runs it.
    pub(super) async fn run(&self, client: &Client) -> Result<(), ProvisionError> {
        for step in &self.steps {
            client
                .batch_execute(&step.sql)
                .await
                .map_err(|error| step.failed(error))?;
        }
        Ok(())
    }

    /// Its text, for `psql`.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            let sql = step.sql.trim_end();
            if step.lines {
                // The name may hold a line's end.
                text.push_str(&format!("-- {}\n", step.what.escape_debug()));
            }
            text.push_str(sql);
            // A file may end in a comment.
            text.push_str(match (step.lines, sql.ends_with(';')) {
                (false, true) => "\n",
                (false, false) => ";\n",
                (true, _) => "\n;\n",
            });
        }
        text
    }
}

impl Step {
    fn failed(&self, source: tokio_postgres::Error) -> ProvisionError {
        let mut what = self.what.clone();
        let position = source.as_db_error().and_then(|said| said.position());
        if let (true, Some(ErrorPosition::Original(at))) = (self.lines, position) {
            let before = usize::try_from(*at).unwrap_or(0).saturating_sub(1);
            let lines = self.sql.chars().take(before).filter(|c| *c == '\n').count();
            what = format!("{what}, line {}", lines + 1);
        }
        ProvisionError::Step { what, source }
    }
}
