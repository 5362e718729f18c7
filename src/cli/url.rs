//! URLs on the command line: they mean the same in every command.

use super::Failure;
use pgtenant::config::Settings;
use pgtenant::ops::sql_client::{Account, Url};
use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

/// The longest URL that is read from standard input, in bytes.
const LONGEST: u64 = 1 << 16;

/// The help for a URL: what it is for, and what all of them mean.
pub(super) fn help(purpose: &str) -> String {
    format!(
        "{purpose}: postgres://user@host:port/database\n\n\
         Host and port select the server of the configuration; with one server alone they may \
         be others, such as a tunnel's. The configuration names the tenants' databases; \
         `provision` creates and removes databases from the URL's own. Without sslmode and \
         sslrootcert, TLS is as in the section with this host and port.\n\n\
         `-` reads the URL from standard input, which keeps it out of the list of processes. \
         The password may also be in PGPASSWORD."
    )
}

/// The account of the URL that stands at `argument`, or that standard input has.
pub(super) fn account(argument: &str, text: &str, settings: &Settings) -> Result<Account, Failure> {
    let text = self::text(text)?;
    let url = Url::parse(text.trim()).map_err(|error| wrong(argument, error))?;
    Account::new(url, settings).map_err(|error| wrong(argument, error))
}

/// The text of a URL, or the next line of standard input for `-`.
pub(super) fn text(text: &str) -> Result<String, Failure> {
    match text {
        "-" => read_line(),
        text => Ok(text.to_owned()),
    }
}

/// A failure because of the URL at `argument`.
pub(super) fn wrong(argument: &str, error: impl std::error::Error) -> Failure {
    Failure::configuration(format_args!("pgtenant: {argument}: {error}"))
}

fn read_line() -> Result<String, Failure> {
    let failed = |error| Failure::run(format!("cannot read the URL from standard input: {error}"));
    if io::stdin().is_terminal() {
        return rpassword::prompt_password("URL: ").map_err(failed);
    }
    let mut line = String::new();
    let mut limited = io::stdin().lock().take(LONGEST);
    limited.read_line(&mut line).map_err(failed)?;
    Ok(line)
}
