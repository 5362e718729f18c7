//! The tenants of `[directory.sql]`, for commands that look at all tenants.

use super::{Failure, runtime};
use pgtenant::config::Settings;
use pgtenant::ops::directory;
use std::io::{self, Write as _};

/// Adds them to the settings. What is left out is told on standard error.
pub(super) fn complete(settings: &mut Settings) -> Result<(), Failure> {
    if settings.sources.sql.is_none() {
        return Ok(());
    }
    let problems = runtime()?
        .block_on(directory::complete(settings))
        .map_err(|error| Failure::run(format!("the tenant directory cannot be read: {error}")))?;
    for problem in problems {
        // It may be closed or full.
        let _ = writeln!(io::stderr(), "left out: {problem}");
    }
    Ok(())
}
