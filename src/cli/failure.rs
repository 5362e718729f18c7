//! How a command fails: a message for people and an exit code for programs.

use std::fmt::{self, Display};
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    cause: Cause,
    message: String,
}

#[derive(Debug, Clone, Copy)]
enum Cause {
    Run,
    Configuration,
    #[cfg(feature = "demo")]
    Missing,
}

impl Failure {
    /// Something failed while running: exit code 1.
    pub(crate) fn run(message: impl Display) -> Self {
        Self::new(Cause::Run, &message)
    }

    /// What the user gave is wrong: exit code 2.
    pub(crate) fn configuration(message: impl Display) -> Self {
        Self::new(Cause::Configuration, &message)
    }

    /// A program that is needed is not installed: exit code 3.
    #[cfg(feature = "demo")]
    pub(crate) fn missing(message: impl Display) -> Self {
        Self::new(Cause::Missing, &message)
    }

    fn new(cause: Cause, message: &dyn Display) -> Self {
        Self {
            cause,
            message: message.to_string(),
        }
    }

    /// The exit code, as `--help` documents it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.cause {
            Cause::Run => 1,
            Cause::Configuration => 2,
            #[cfg(feature = "demo")]
            Cause::Missing => 3,
        })
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            // Each line of it already says where the problem is.
            Cause::Configuration => f.write_str(&self.message),
            _ => write!(f, "pgtenant: {}", self.message),
        }
    }
}
