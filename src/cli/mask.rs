//! `pgtenant mask`

use super::{Failure, directory, journal, print, runtime, url};
use pgtenant::config::{self, Settings};
use pgtenant::ops::mask::{Masking, targets};
use pgtenant::ops::sql_client::{Account, Database, SqlClientError, Url};
use pgtenant::tenant::IsolationName;
use std::path::PathBuf;

/// What `mask` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only this isolation; by default all that have masked logins
    #[arg(long, value_name = "NAME")]
    isolation: Option<String>,
    /// Print a script for psql
    #[arg(long, conflicts_with = "apply", required_unless_present_any = ["apply", "undo"])]
    print: bool,
    /// Make the views, as the user of this URL
    #[arg(
        long,
        value_name = "URL",
        conflicts_with = "undo",
        long_help = url::help("Make the views, as the user of this URL")
    )]
    apply: Option<String>,
    /// Take all away again, as the user of this URL; with --print, print the script
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    undo: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut settings = config::load(&arguments.config).map_err(Failure::configuration)?;
    directory::complete(&mut settings)?;
    let targets = choose(&settings, arguments)?;
    let (argument, text) = match (arguments.print, &arguments.apply, &arguments.undo) {
        (true, _, undo) => {
            if undo.as_ref().is_some_and(|url| !url.is_empty()) {
                let wrong = "pgtenant: --undo: has no URL beside --print: nothing is run";
                return Err(Failure::configuration(wrong));
            }
            for target in &targets {
                print(match undo {
                    Some(_) => target.undo_script(),
                    None => target.script(),
                })?;
            }
            return Ok(());
        }
        (false, Some(url), _) => ("--apply", url),
        (false, None, Some(url)) if !url.is_empty() => ("--undo", url),
        (false, None, _) => {
            let wrong = "pgtenant: --undo: needs a URL, or --print beside it";
            return Err(Failure::configuration(wrong));
        }
    };
    let account = url::account(argument, text, &settings)?;
    for target in &targets {
        url_for(&account, target, argument, &settings)?;
    }
    let undo = arguments.undo.is_some();
    let command = if undo { "mask --undo" } else { "mask" };
    let subject = arguments.isolation.as_deref().unwrap_or("all isolations");
    let runtime = runtime()?;
    journal::recorded(&settings, command, subject, || {
        runtime.block_on(all(&account, &targets, argument, undo, &settings))
    })
}

fn choose(settings: &Settings, arguments: &Arguments) -> Result<Vec<Masking>, Failure> {
    let wrong = |reason: String| Err(Failure::configuration(format!("pgtenant: {reason}")));
    let only = arguments.isolation.as_deref().map(IsolationName::new);
    if let Some(name) = &only {
        match settings.isolations.get(name) {
            None => {
                return wrong(format!(
                    "--isolation \"{name}\": there is no section of this name"
                ));
            }
            Some(one) if one.masking.is_none() => {
                return wrong(format!(
                    "isolation \"{name}\" has no `masked_user` or `masked_role`: nothing is masked"
                ));
            }
            Some(_) => {}
        }
    }
    if !settings
        .isolations
        .values()
        .any(|one| one.masking.is_some())
    {
        return wrong(
            "no isolation has `masked_user` or `masked_role`: nothing is masked".to_owned(),
        );
    }
    Ok(targets(settings, only.as_ref()))
}

/// The URL, which must be for the server of the views.
fn url_for<'a>(
    account: &'a Account,
    target: &Masking,
    argument: &str,
    settings: &Settings,
) -> Result<&'a Url, Failure> {
    let what = target.what.replace(char::is_control, " ");
    let url = account.at(&target.server, what, settings);
    url.map_err(|error| url::wrong(argument, error))
}

/// One after another, those of a database over one connection.
async fn all(
    account: &Account,
    targets: &[Masking],
    argument: &str,
    undo: bool,
    settings: &Settings,
) -> Result<(), Failure> {
    let mut connected: Option<(&Masking, Database)> = None;
    let mut failed = 0;
    for target in targets {
        let url = url_for(account, target, argument, settings)?;
        let is_there =
            |of: &Masking| (&of.server, &of.database) == (&target.server, &target.database);
        let kept = connected.take().filter(|(of, _)| is_there(of));
        let done = one(url, kept.map(|(_, database)| database), target, undo).await;
        print(format_args!(
            "{}:",
            target.what.replace(char::is_control, " ")
        ))?;
        match done {
            Ok((database, lines)) => {
                for line in lines {
                    print(format_args!("  {line}"))?;
                }
                connected = Some((target, database));
            }
            Err(error) if targets.len() == 1 => return Err(Failure::run(error)),
            Err(error) => {
                print(format_args!("  FAILED: {error}"))?;
                failed += 1;
            }
        }
    }
    match failed {
        0 => Ok(()),
        n => Err(Failure::run(format!("{n} of {} failed", targets.len()))),
    }
}

async fn one(
    url: &Url,
    kept: Option<Database>,
    target: &Masking,
    undo: bool,
) -> Result<(Database, Vec<String>), SqlClientError> {
    let mut database = match kept {
        Some(database) => database,
        None => url.connect_to(&target.database).await?,
    };
    let lines = match undo {
        true => target.undo(&mut database).await?,
        false => target.apply(&mut database).await?,
    };
    Ok((database, lines))
}
