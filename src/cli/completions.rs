//! `pgtenant completions`

use super::Failure;
use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell;
use clap_complete::aot::generate;
use std::io::{self, Write as _};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell
    shell: Known,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let shell = match arguments.shell {
        Known::Bash => Shell::Bash,
        Known::Zsh => Shell::Zsh,
        Known::Fish => Shell::Fish,
    };
    // It is generated into memory: writing there cannot fail.
    let mut script = Vec::new();
    generate(
        shell,
        &mut super::Arguments::command(),
        "pgtenant",
        &mut script,
    );
    io::stdout()
        .write_all(&script)
        .map_err(|error| Failure::run(format!("cannot write to standard output: {error}")))
}
