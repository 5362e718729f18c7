//! `pgtenant check`

mod explain;
pub(super) mod report;

use super::{Failure, directory, print, runtime, url};
use clap::Args;
use pgtenant::admin::page::Checkup;
use pgtenant::config::{self, Ignored, Settings};
use pgtenant::ops::check::{self, Report, Severity};
use pgtenant::ops::sql_client::Account;
use std::path::PathBuf;
use std::process::ExitCode;

const EXIT_CODES: &str = "\
Exit codes:
  0  nothing found, or notices alone
  1  a database could not be read, in whole or in part
  2  the configuration or the command line is wrong
  4  warnings
  5  errors
Findings that --severity or an ignore list leaves out do not count.";

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
pub(super) struct Arguments {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE", required_unless_present_any = ["list", "explain"])]
    config: Option<PathBuf>,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    /// Connect as another user, to the server of this URL
    #[arg(
        long,
        value_name = "URL",
        conflicts_with = "offline",
        long_help = url::help("Connect as another user, to the server of this URL (to others as the proxy)")
    )]
    url: Option<String>,

    /// Check the configuration alone, without connecting to a database
    #[arg(long)]
    offline: bool,

    /// Show only findings of this severity or above
    #[arg(long, value_name = "error|warning|notice", default_value = "notice", value_parser = severity)]
    severity: Severity,

    /// Leave out a finding: "PGT502", or of one object "PGT209 table public.t"
    ///
    /// May be given several times. `ignore` in [check] of the configuration file
    /// does the same.
    #[arg(long, value_name = "FINDING")]
    ignore: Vec<String>,

    /// List all checks
    #[arg(long, exclusive = true)]
    list: bool,

    /// Explain one check: PGT201
    #[arg(long, value_name = "ID", exclusive = true)]
    explain: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if arguments.list {
        return explain::list().map(|()| ExitCode::SUCCESS);
    }
    if let Some(id) = &arguments.explain {
        return explain::one(id).map(|()| ExitCode::SUCCESS);
    }
    let Some(config) = &arguments.config else {
        return Err(Failure::configuration("pgtenant: --config FILE is missing"));
    };
    let mut settings = config::load(config).map_err(Failure::configuration)?;
    let ignored = ignored(&arguments.ignore, &settings)?;
    let account = arguments.url.as_deref();
    let account = account.map(|text| url::account("--url", text, &settings));
    let account = account.transpose()?;
    let mut report = if arguments.offline {
        check::configuration(&settings)
    } else {
        directory::complete(&mut settings)?;
        look(&settings, account.as_ref(), |_, _| ())?
    };
    report.ignore(&ignored);
    report.keep(arguments.severity);
    if arguments.json {
        print(format_args!("{:#}", report.to_json()))?;
    } else {
        print(format_args!(
            "configuration is valid: {}, {}",
            count(settings.tenants.len(), "tenant"),
            count(settings.directory.len(), "login")
        ))?;
        report::print(&report)?;
    }
    Ok(exit_code(&report))
}

/// The same of this file, for who asks a running proxy for it.
pub(super) fn on_request(file: PathBuf) -> Checkup {
    Checkup::new(move |progress| {
        let mut settings = config::load(&file).map_err(|problems| problems.to_string())?;
        let failed = |failure: Failure| failure.to_string();
        let ignored = ignored(&[], &settings).map_err(failed)?;
        directory::complete(&mut settings).map_err(failed)?;
        let mut report = look(&settings, None, progress).map_err(failed)?;
        report.ignore(&ignored);
        Ok(report)
    })
}

fn severity(word: &str) -> Result<Severity, &'static str> {
    match word {
        "error" => Ok(Severity::Error),
        "warning" => Ok(Severity::Warning),
        "notice" => Ok(Severity::Notice),
        _ => Err("must be one of error, warning, notice"),
    }
}

/// What is left out by the command line and by the configuration.
fn ignored(arguments: &[String], settings: &Settings) -> Result<Vec<Ignored>, Failure> {
    let mut all = Vec::new();
    for text in arguments {
        let one = text.parse::<Ignored>().map_err(|reason| {
            Failure::configuration(format_args!("pgtenant: --ignore {text:?} {reason}"))
        })?;
        all.push(("--ignore", one));
    }
    let configured = settings.ignored.iter().cloned();
    all.extend(configured.map(|one| ("check.ignore", one)));
    for (place, one) in &all {
        if check::find(&one.id).is_none() {
            return Err(Failure::configuration(format_args!(
                "pgtenant: {place}: there is no check {}; `pgtenant check --list` lists them",
                one.id
            )));
        }
    }
    Ok(all.into_iter().map(|(_, one)| one).collect())
}

fn look(
    settings: &Settings,
    account: Option<&Account>,
    progress: impl FnMut(usize, usize),
) -> Result<Report, Failure> {
    Ok(runtime()?.block_on(check::everything(settings, account, progress)))
}

fn exit_code(report: &Report) -> ExitCode {
    ExitCode::from(if !report.failures.is_empty() {
        1
    } else if report.count(Severity::Error) > 0 {
        5
    } else if report.count(Severity::Warning) > 0 {
        4
    } else {
        0
    })
}

fn count(n: usize, what: &str) -> String {
    let ending = if n == 1 { "" } else { "s" };
    format!("{n} {what}{ending}")
}
