//! `pgtenant man`

use super::Failure;
use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder, which is created if it does not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let folder = &arguments.folder;
    fs::create_dir_all(folder)
        .map_err(|error| Failure::run(format!("cannot make {}: {error}", folder.display())))?;
    let mut command = super::Arguments::command().disable_help_subcommand(true);
    command.build();
    write(&command, folder)
}

/// Writes the page of a command, and those of the commands within it.
fn write(command: &Command, folder: &Path) -> Result<(), Failure> {
    let page = Man::new(command.clone());
    let file = folder.join(page.get_filename());
    let failed = |error| Failure::run(format!("cannot write {}: {error}", file.display()));
    let mut text = Vec::new();
    page.render(&mut text).map_err(failed)?;
    fs::write(&file, text).map_err(failed)?;
    for within in command.get_subcommands() {
        write(within, folder)?;
    }
    Ok(())
}
