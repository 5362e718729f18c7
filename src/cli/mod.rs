//! The command line: arguments, and which command they name.

mod audit;
mod check;
mod completions;
#[cfg(feature = "demo")]
mod demo;
mod directory;
mod failure;
mod harden;
mod import;
mod journal;
mod man;
mod mask;
mod prove;
mod provision;
mod reload;
mod removal;
mod rules;
mod run;
mod secrecy;
mod serve;
mod service;
mod status;
mod url;
mod verifier;

use clap::{Parser, Subcommand};
use failure::Failure;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// A tenant-aware proxy for PostgreSQL.
///
/// Clients connect to pgtenant as they would to PostgreSQL. A client's credential
/// decides its tenant; pgtenant attaches that tenant to every server connection
/// that the client uses, and refuses statements that would change it. Tenants can
/// be isolated by row-level security, by schema or by database.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[cfg(feature = "demo")]
macro_rules! start_here {
    () => {
        "`pgtenant demo` is the place to start. "
    };
}
#[cfg(not(feature = "demo"))]
macro_rules! start_here {
    () => {
        ""
    };
}

const EXIT_CODES: &str = concat!(
    "\
Exit codes:
  0  done, or stopped in good order (Ctrl-C, SIGTERM)
  1  failed while running; `prove`: a promise is broken
  2  the configuration or the command line is wrong; `prove` cannot be run
  3  a program that is needed is not installed
  4  `check` found warnings
  5  `check` found errors

",
    start_here!(),
    "`pgtenant help COMMAND` explains a command."
);

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy
    ///
    /// Reads the configuration file, then serves clients until Ctrl-C or SIGTERM.
    /// Running transactions get `drain_timeout` to end; a second signal ends them at
    /// once. SIGHUP reads the configuration again.
    ///
    /// Every key can also be set from the environment: PGTENANT__POOL__SIZE=40 is
    /// `size = 40` in the section `[pool]`.
    Run {
        /// The configuration file (TOML)
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Try it: a PostgreSQL of its own, example tenants and the proxy
    ///
    /// Starts a throwaway PostgreSQL server, loads an example with six tenants in
    /// three layouts, starts the proxy in front of it, and prints connection strings
    /// to paste. Ctrl-C stops everything and removes it. Needs PostgreSQL's
    /// server programs on this machine, but no running server.
    #[cfg(feature = "demo")]
    Demo(demo::Arguments),
    /// Look for gaps: in the configuration, and in the tenants' databases
    ///
    /// Prints every problem of the configuration, one a line, with the file, the
    /// key, the value and a valid one. If there is none, connects to the database
    /// of each tenant as the proxy does, reads its catalogs and lists the gaps in
    /// the isolation of tenants: each finding with an id, the object, the reason
    /// and the SQL that closes it. Nothing is changed.
    Check(check::Arguments),
    /// Prove to yourself that two of your tenants are kept apart
    ///
    /// Logs in as both of them through the proxy, as their applications do, and tries
    /// to get at the other's rows: by the tenant's setting in every spelling, by what is
    /// left on a server connection, by the channels between sessions, by writes. Compares
    /// what both see of every table, and looks at the deployment: TLS, the role, the seal,
    /// the way past the proxy. Reports each promise of SECURITY.md with its tests and what
    /// they have shown.
    ///
    /// Plants nothing: the rows are those that are there. What it writes it rolls back.
    Prove(Box<prove::Arguments>),
    /// Seal the tenants' context in the database
    ///
    /// Makes the context of an isolation of kind "setting" impossible to forge: adds
    /// to its database a schema `pgtenant` with the key and the functions that verify
    /// the proxy's signatures, and a restrictive policy on every table whose policies
    /// read the setting. Existing objects stay as they are. Runs in one transaction,
    /// can be repeated and undone.
    ///
    /// A sealed table stays sealed until `--unseal SCHEMA.TABLE`, `--unseal-all` or
    /// `--undo`.
    ///
    /// To switch it on without a pause for clients: `seal_key_file` in the
    /// configuration, `harden --seal KIND --without-policies`, `seal = KIND` in the
    /// configuration, `harden`. To switch it off: `harden --unseal-all`,
    /// `seal = "off"`, `harden --undo`. To change the key: `harden --rotate
    /// NEW_KEY_FILE`, the new `seal_key_file` in the configuration, `harden`, which
    /// removes the old key. To change the kind: `harden --unseal-all`, `harden
    /// --seal KIND --without-policies`, `seal = KIND` in the configuration, `harden`.
    Harden(harden::Arguments),
    /// Make views for logins that may see masked data alone
    ///
    /// For the isolations that have `masked_user` or `masked_role`, and the masks of
    /// [[mask]]: a schema with a view of the same name for each relation that the
    /// application's role may read, the role that masked logins use, which may read these
    /// views and nothing else, and a role without login that owns them. Row-level security
    /// binds the views as it binds the application. Runs in one transaction for each schema,
    /// can be repeated, and must be after a migration: columns that are new are not shown
    /// before. Masks that do not fit the type of their column are listed, and nothing is
    /// changed then.
    Mask(mask::Arguments),
    /// Make what tenants need in PostgreSQL: schema or database, role, tables
    ///
    /// For tenants of isolations of kind `schema` and `database`. Existing objects
    /// stay as they are, so it can be run again at any time. Each tenant is created
    /// as a whole or not at all, and has one line of output. A failure does not stop
    /// the others.
    ///
    /// The role of a tenant gets the password that the proxy derives for it; the
    /// server gets its SCRAM verifier alone.
    Provision(provision::Arguments),
    /// Translate a configuration of PgBouncer
    ///
    /// Prints a `pgtenant.toml` for a `pgbouncer.ini` and its user list. Keys with a
    /// counterpart are translated; keys without one become comments, with the reason.
    /// Decisions that are yours, above all the tenant of each login, are marked
    /// DECIDE, with the key that `pgtenant check --offline` names. Plain passwords
    /// become SCRAM verifiers and are not printed.
    Import(import::Arguments),
    /// Make a key for the audit log, verify the log, export a tenant's records
    #[command(subcommand)]
    Audit(audit::Command),
    /// List the rules by which statements are refused
    ///
    /// Each with its name, as errors and the log show it, its SQLSTATE, the refused
    /// statements, the reason, and what to do instead.
    Rules,
    /// Show whether the running proxy can serve clients
    ///
    /// Asks the process at `admin.address` of its configuration file whether its
    /// workers run and whether it can serve clients. The exit code is 0 if so, and 1 if
    /// not or without an answer: fit for the health check of a container. Over TLS, only
    /// the certificate of the configuration is accepted.
    Status(status::Arguments),
    /// Make the verifier of a password, for `scram` in a `[[logins]]` section
    ///
    /// Asks for the password twice without showing it; if standard input is not a
    /// terminal, reads it from there as one line. Prints a SCRAM-SHA-256 verifier,
    /// from which the password cannot be computed. PostgreSQL accepts it too:
    /// ALTER ROLE … PASSWORD '<verifier>'.
    Verifier,
    /// Print the completion of this command line for a shell
    ///
    /// For bash: pgtenant completions bash > /etc/bash_completion.d/pgtenant
    Completions(completions::Arguments),
    /// Write the manual pages into a folder, for packages
    #[command(hide = true)]
    Man(man::Arguments),
}

/// Runs the command that the arguments name.
pub(crate) fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run { config } => run::run(&config).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => demo::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Check(arguments) => check::run(&arguments),
        Command::Prove(arguments) => prove::run(&arguments),
        Command::Harden(arguments) => harden::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Mask(arguments) => mask::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Provision(arguments) => provision::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Import(arguments) => import::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Audit(command) => audit::run(command),
        Command::Rules => rules::run().map(|()| ExitCode::SUCCESS),
        Command::Status(arguments) => status::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Man(arguments) => man::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Verifier => verifier::run().map(|()| ExitCode::SUCCESS),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            // It may be closed or full.
            let _ = writeln!(io::stderr(), "{failure}");
            failure.exit_code()
        }
    }
}

/// What a command's own requests run on.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::run(format!("cannot start: {error}")))
}

/// Prints a line to standard output, which may be closed or full.
fn print(line: impl Display) -> Result<(), Failure> {
    writeln!(io::stdout(), "{line}")
        .map_err(|error| Failure::run(format!("cannot write to standard output: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_well_formed() {
        Arguments::command().debug_assert();
    }
}
