//! `pgtenant import`

use super::{Failure, print};
use clap::Args;
use pgtenant::import;
use std::io::{self, Write as _};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration of PgBouncer
    #[arg(value_name = "pgbouncer.ini")]
    ini: PathBuf,

    /// Its user list; by default the file that `auth_file` names
    #[arg(value_name = "userlist.txt")]
    users: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let imported = import::pgbouncer(&arguments.ini, arguments.users.as_deref());
    let imported = imported.map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Failure::configuration(lines.join("\n"))
    })?;
    print(imported.toml.trim_end())?;
    // It may be closed or full.
    let _ = writeln!(
        io::stderr(),
        "left to decide: {}, files that must be there: {}; see the lines with DECIDE and FILE",
        imported.decisions.len(),
        imported.files.len()
    );
    Ok(())
}
