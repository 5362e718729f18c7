//! `pgtenant status`

use super::{Failure, print, runtime};
use clap::Args;
use pgtenant::admin::client::{AskError, Report, ask, reachable};
use pgtenant::config::{self, AdminHttp};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file of the process (TOML)
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/pgtenant/pgtenant.toml"
    )]
    config: PathBuf,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let settings = config::load(&arguments.config).map_err(Failure::configuration)?;
    let Some(http) = &settings.admin.http else {
        return Err(Failure::configuration(format!(
            "{}: admin.address is not set, and the process is asked there: \
             write `address = \"127.0.0.1:9632\"` into [admin] and restart it",
            arguments.config.display()
        )));
    };
    let (url, asked) = runtime()?.block_on(first(http))?;
    let is_fine = asked.as_ref().is_ok_and(Report::passes);
    print(match arguments.json {
        true => format!("{:#}", object(&url, &asked)),
        false => lines(&url, &asked),
    })?;
    Ok(ExitCode::from(u8::from(!is_fine)))
}

/// Asks at each address until there is an answer.
async fn first(http: &AdminHttp) -> Result<(String, Result<Report, AskError>), Failure> {
    let scheme = if http.tls.is_some() { "https" } else { "http" };
    let mut failed = None;
    for address in &http.addresses {
        let address = reachable(*address);
        let asked = ask(address, http).await;
        let outcome = (format!("{scheme}://{address}"), asked);
        if outcome.1.is_ok() {
            return Ok(outcome);
        }
        failed.get_or_insert(outcome);
    }
    failed.ok_or_else(|| Failure::configuration("admin.address is empty"))
}

fn word(report: &Report) -> &'static str {
    match report.passes() {
        true => "ready",
        false => "not ready",
    }
}

fn lines(url: &str, asked: &Result<Report, AskError>) -> String {
    let mut text = format!("pgtenant at {url}: ");
    match asked {
        Err(error) => {
            let _ = write!(text, "{error}");
        }
        Ok(report) => {
            text.push_str(word(report));
            let widths = report.checks.iter().map(|check| check.name.chars().count());
            let width = widths.max().unwrap_or_default();
            for check in &report.checks {
                let mark = if check.passes { "ok  " } else { "FAIL" };
                let line = format!("  {mark}  {:width$}  {}", check.name, check.detail);
                let _ = write!(text, "\n{}", line.trim_end());
            }
        }
    }
    text
}

fn object(url: &str, asked: &Result<Report, AskError>) -> Value {
    match asked {
        Err(error) => json!({
            "address": url,
            "status": "unknown",
            "error": error.to_string(),
        }),
        Ok(report) => {
            let checks = report.checks.iter();
            let checks = checks.map(
                |check| json!({"name": check.name, "passes": check.passes, "detail": check.detail}),
            );
            json!({
                "address": url,
                "status": word(report),
                "checks": checks.collect::<Vec<_>>(),
            })
        }
    }
}
