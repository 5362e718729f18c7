//! `pgtenant prove`

mod report;

use super::{Failure, directory, print, runtime, url};
use clap::Args;
use pgtenant::audit::{SigningKey, VerifyingKey};
use pgtenant::config;
use pgtenant::ops::prove::{self, Plan};
use pgtenant::ops::sql_client::Url;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXIT_CODES: &str = "\
Exit codes:
  0  every promise that was tested held; --verify: the report verifies
  1  a promise is broken; --verify: the report does not verify
  2  it could not be run, or with --strict something could not be tested
What is not applicable or could not be tested never counts as held.";

const URLS: &str = "postgres://user@host:port/database?sslmode=verify-full&sslrootcert=FILE";

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
pub(super) struct Arguments {
    /// A login of one tenant, at the proxy
    ///
    /// postgres://user@host:port/database?sslmode=verify-full&sslrootcert=FILE. `-` reads the
    /// URL from standard input, a line for each argument that is `-`, so that nobody sees it
    /// in the list of processes. The password may be in the URL, in the file of
    /// --login-password, or in PGPASSWORD.
    #[arg(long, value_name = "URL", required_unless_present = "verify")]
    login: Option<String>,
    /// A file with the password of --login
    #[arg(long, value_name = "FILE")]
    login_password: Option<PathBuf>,
    /// A login of another tenant, in the same isolation
    #[arg(long, value_name = "URL", required_unless_present = "verify")]
    other: Option<String>,
    /// A file with the password of --other
    #[arg(long, value_name = "FILE")]
    other_password: Option<PathBuf>,
    /// A login of the first tenant that is to see masked data alone
    #[arg(long, value_name = "URL")]
    masked: Option<String>,
    /// A file with the password of --masked
    #[arg(long, value_name = "FILE")]
    masked_password: Option<PathBuf>,
    /// A login past the proxy, as the application's role, which must not get at rows
    #[arg(long, value_name = "URL")]
    direct: Option<String>,
    /// A file with the password of --direct
    #[arg(long, value_name = "FILE")]
    direct_password: Option<PathBuf>,
    /// The proxy's configuration file (TOML), where it is at hand
    ///
    /// It says which seal and which TLS towards PostgreSQL are promised.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The setting that carries the tenant, if policies hide it behind a function
    #[arg(long, value_name = "NAME")]
    setting: Option<String>,
    /// A table whose rows are meant for all tenants; may be given several times
    #[arg(long, value_name = "SCHEMA.TABLE")]
    shared: Vec<String>,
    /// The most tables that are compared
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    tables: usize,
    /// The most server connections that each login holds at the same time, for a moment
    ///
    /// What one tenant leaves on a server connection is only seen where the other gets the
    /// same one: a proxy with places left in its pool opens new ones.
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    connections: usize,
    /// Show every test, not only those that did not hold
    #[arg(long)]
    all: bool,
    /// Fail with 2 if a test could not be run
    #[arg(long)]
    strict: bool,
    /// Write the report for auditors to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Sign it with this key (`pgtenant audit key`); with --verify, the key to verify with
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Verify a report that was signed, with the public key or the HMAC key
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with_all = ["login", "other", "masked", "direct", "config", "json"])]
    verify: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if let (Some(file), Some(key)) = (&arguments.verify, &arguments.key) {
        return verify(file, key);
    }
    if arguments.key.is_some() && arguments.json.is_none() {
        return Err(unrun("--key signs the file of --json, which is not given"));
    }
    let key = arguments.key.as_deref().map(signing).transpose()?;
    let settings = match &arguments.config {
        Some(file) => {
            let mut settings = config::load(file).map_err(Failure::configuration)?;
            directory::complete(&mut settings).map_err(unrun)?;
            Some(settings)
        }
        None => None,
    };
    let plan = plan(arguments)?;
    let proved = prove::prove(&plan, settings.as_ref(), progress);
    let report = runtime().map_err(unrun)?.block_on(proved).map_err(unrun)?;
    if let Some(file) = &arguments.json {
        let text = prove::write(&report, key.as_ref());
        std::fs::write(file, text)
            .map_err(|error| unrun(format_args!("cannot write {}: {error}", file.display())))?;
    }
    report::print(&report, arguments.all)?;
    Ok(ExitCode::from(match report.counts().word() {
        "broken" => 1,
        "held" => 0,
        "held in part" if !arguments.strict => 0,
        _ => 2,
    }))
}

fn plan(arguments: &Arguments) -> Result<Plan, Failure> {
    let needed = |name: &str, text: &Option<String>, file: &Option<PathBuf>| {
        let url = one(name, text.as_deref(), file.as_deref())?;
        url.ok_or_else(|| unrun(format_args!("{name} URL is missing: {URLS}")))
    };
    Ok(Plan {
        login: needed("--login", &arguments.login, &arguments.login_password)?,
        other: needed("--other", &arguments.other, &arguments.other_password)?,
        masked: one(
            "--masked",
            arguments.masked.as_deref(),
            arguments.masked_password.as_deref(),
        )?,
        direct: one(
            "--direct",
            arguments.direct.as_deref(),
            arguments.direct_password.as_deref(),
        )?,
        setting: arguments.setting.clone(),
        shared: arguments.shared.clone(),
        tables: arguments.tables,
        connections: arguments.connections,
    })
}

/// The URL of an argument, with the password of the file.
fn one(name: &str, text: Option<&str>, file: Option<&Path>) -> Result<Option<Url>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let text = url::text(text)?;
    let password = match file {
        None => std::env::var_os("PGPASSWORD"),
        Some(file) => {
            let content = std::fs::read_to_string(file)
                .map_err(|error| unrun(format_args!("cannot read {}: {error}", file.display())))?;
            Some(content.trim_end_matches(['\n', '\r']).to_owned().into())
        }
    };
    let parsed = Url::parse_with(text.trim(), password);
    parsed.map(Some).map_err(|error| url::wrong(name, error))
}

fn verify(file: &Path, key: &Path) -> Result<ExitCode, Failure> {
    let key = VerifyingKey::read(&read(key)?)
        .map_err(|error| unrun(format_args!("{} {error}", key.display())))?;
    let text = String::from_utf8(read(file)?).map_err(|_| {
        unrun(format_args!(
            "{} is no report of `pgtenant prove`",
            file.display()
        ))
    })?;
    match prove::verify(&text, &key) {
        Ok(value) => {
            report::print_verified(file, &value)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(unproven) => {
            print(format_args!("{} {unproven}", file.display()))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn signing(path: &Path) -> Result<SigningKey, Failure> {
    SigningKey::read(&read(path)?)
        .map_err(|error| unrun(format_args!("{} {error}", path.display())))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| unrun(format_args!("cannot read {}: {error}", path.display())))
}

/// It could not be run: exit code 2, since 1 says that something is broken.
fn unrun(reason: impl std::fmt::Display) -> Failure {
    Failure::configuration(format_args!("pgtenant: {reason}"))
}

/// Says on a terminal what is done now.
fn progress(what: &str) {
    let mut err = io::stderr();
    if err.is_terminal() {
        // It may be closed.
        let _ = writeln!(err, "{what} …");
    }
}
