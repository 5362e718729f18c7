//! Running PostgreSQL's programs in a known environment.

use super::ClusterError;
use std::env;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// A command that no variable of our environment steers (`PGHOST`, `PGOPTIONS`,
/// `LANG`, …), run in `directory`.
pub(super) fn command(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") || name == OsStr::new("LANGUAGE") {
            command.env_remove(name);
        }
    }
    command
        .env("LC_ALL", "C")
        .current_dir(directory)
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end with `input` on its standard input and returns what
/// it wrote to its standard output.
pub(super) fn run(
    name: &'static str,
    command: &mut Command,
    input: &str,
) -> Result<String, ClusterError> {
    let program = Path::new(command.get_program()).to_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(ClusterError::io("start", &program))?;
    let stdin = child.stdin.take();
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            // A program that stops reading says why on its own.
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(input.as_bytes());
            }
        });
        child.wait_with_output()
    })
    .map_err(ClusterError::io("run", &program))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(ClusterError::Program {
        program: name,
        output: format!("{} ({})", said.trim_end(), output.status),
    })
}
