//! `pgtenant harden`

use super::{Failure, journal, print, runtime, url};
use pgtenant::config::{self, IsolationKind, Settings};
use pgtenant::ops::sql_client::{Database, SqlClientError};
use pgtenant::ops::{Hardening, Undoing, Unseal};
use pgtenant::tenant::{IsolationName, Seal, SealKey, ServerName};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What `harden` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The isolation, if there are several of kind "setting"
    #[arg(long, value_name = "NAME")]
    isolation: Option<String>,
    /// Another seal than the configuration's, with the same key; needed if that is
    /// "off"
    #[arg(long, value_enum, value_name = "KIND", conflicts_with_all = REMOVING)]
    seal: Option<SealKind>,
    /// A table whose policies do not read the setting themselves, and its column
    /// with the tenant; may be given several times
    #[arg(long = "table", value_name = "SCHEMA.TABLE=COLUMN", value_parser = table, conflicts_with_all = REMOVING)]
    tables: Vec<(String, String)>,
    /// Create the objects that the proxy needs, and seal no further table
    #[arg(long, conflicts_with_all = ["undo", "unseal", "unseal_all", "tables"])]
    without_policies: bool,
    /// Accept the key of this file too, beside the configuration's
    #[arg(long, value_name = "FILE", conflicts_with_all = REMOVING)]
    rotate: Option<PathBuf>,
    /// Remove the seal of this table; may be given several times
    #[arg(long, value_name = "SCHEMA.TABLE", value_parser = table_name, conflicts_with_all = ["undo", "unseal_all"])]
    unseal: Vec<String>,
    /// Remove the seal of all tables; the proxy may still use the seal
    #[arg(long, conflicts_with = "undo")]
    unseal_all: bool,
    /// Remove everything; the proxy must not use the seal any more
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    output: Output,
}

/// The arguments that take a seal away.
const REMOVING: [&str; 3] = ["undo", "unseal", "unseal_all"];

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Output {
    /// Print a script for psql
    #[arg(long)]
    print: bool,
    /// Run the script in the isolation's database, as the user of this URL
    #[arg(
        long,
        value_name = "URL",
        long_help = url::help("Run the script in the isolation's database, as the user of this URL")
    )]
    apply: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SealKind {
    Carrier,
    Token,
}

fn table(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((table, column)) if !column.is_empty() && table.contains('.') => {
            Ok((table.to_owned(), column.to_owned()))
        }
        _ => Err("must be SCHEMA.TABLE=COLUMN".to_owned()),
    }
}

fn table_name(text: &str) -> Result<String, String> {
    match text.split_once('.') {
        Some((schema, table)) if !schema.is_empty() && !table.is_empty() => Ok(text.to_owned()),
        _ => Err("must be SCHEMA.TABLE".to_owned()),
    }
}

impl Arguments {
    /// What loses its seal, if it is that what is asked for.
    fn unseals(&self) -> Option<Unseal> {
        match (self.undo, self.unseal_all, &*self.unseal) {
            (true, ..) => Some(Unseal::Everything),
            (false, true, _) => Some(Unseal::AllTables),
            (false, false, []) => None,
            (false, false, tables) => Some(Unseal::Tables(tables.to_vec())),
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = config::load(&arguments.config).map_err(Failure::configuration)?;
    let target = Target::find(&settings, arguments)?;
    if let Some(from) = arguments.unseals() {
        let setting = target.setting.clone();
        let undoing = Undoing { setting, from };
        let Some(url) = &arguments.output.apply else {
            return print(undoing.script());
        };
        return apply(url, &settings, &target, async |database| {
            undoing.apply(database).await
        });
    }
    let hardening = hardening(&target, arguments)?;
    let Some(url) = &arguments.output.apply else {
        return print(hardening.script());
    };
    apply(url, &settings, &target, async |database| {
        hardening.apply(database).await
    })
}

/// The isolation that is to be sealed.
struct Target {
    name: IsolationName,
    server: ServerName,
    database: Arc<str>,
    setting: Arc<str>,
    seal: Seal,
    key: Option<SealKey>,
    role: Arc<str>,
}

impl Target {
    fn find(settings: &Settings, arguments: &Arguments) -> Result<Self, Failure> {
        let wrong = |reason: String| Failure::configuration(format!("pgtenant: {reason}"));
        let candidates = settings.isolations.iter().filter_map(|(name, isolation)| {
            let IsolationKind::Setting {
                database,
                setting,
                seal,
                seal_key,
                roles,
            } = &isolation.kind
            else {
                return None;
            };
            Some(Self {
                name: name.clone(),
                server: isolation.server.clone(),
                database: database.clone(),
                setting: setting.clone(),
                seal: seal.clone(),
                key: seal_key.clone(),
                role: match roles {
                    Some(roles) => roles.group.clone(),
                    None => settings.servers.get(&isolation.server)?.user.clone(),
                },
            })
        });
        let mut candidates: Vec<_> = candidates.collect();
        if let Some(name) = &arguments.isolation {
            candidates.retain(|target| target.name.as_str() == name);
        }
        match (candidates.pop(), candidates.is_empty()) {
            (Some(target), true) => Ok(target),
            (Some(_), false) => Err(wrong(
                "there are several isolations of kind \"setting\": name one with --isolation"
                    .to_owned(),
            )),
            (None, _) => Err(wrong(match &arguments.isolation {
                Some(name) => format!("no isolation of kind \"setting\" is named {name:?}"),
                None => "no isolation is of kind \"setting\": nothing can be sealed".to_owned(),
            })),
        }
    }
}

fn hardening(target: &Target, arguments: &Arguments) -> Result<Hardening, Failure> {
    let wrong = |reason: &str| {
        Failure::configuration(format!(
            "{}: isolation.{}.{reason}",
            arguments.config.display(),
            target.name
        ))
    };
    let is_off = target.seal == Seal::Off;
    let Some(key) = target.key.clone() else {
        return Err(wrong(
            "seal_key_file: is missing: make a key with `openssl rand -hex 32`; `seal` may stay \
             \"off\" until the database is ready",
        ));
    };
    let seal = match arguments.seal {
        None if is_off => {
            return Err(wrong(
                "seal: is \"off\": make the database ready with `--seal carrier` or `--seal token`, \
                 and `--without-policies`",
            ));
        }
        None => target.seal.clone(),
        Some(SealKind::Carrier) => Seal::Carrier(key),
        // What the database is given does not depend on the lifetime.
        Some(SealKind::Token) => Seal::Token(key, Duration::ZERO),
    };
    if is_off && !arguments.without_policies {
        return Err(wrong(
            "seal: is \"off\": the tenants of a proxy that does not seal would see no rows; first \
             run this with `--without-policies`, then change `seal`, then run it without",
        ));
    }
    let other_key = arguments.rotate.as_deref().map(read_key).transpose()?;
    Ok(Hardening {
        setting: target.setting.clone(),
        role: target.role.clone(),
        seal,
        other_key,
        tables: arguments.tables.clone(),
        policies: !arguments.without_policies,
    })
}

fn read_key(path: &Path) -> Result<SealKey, Failure> {
    let read = config::read_key_file(path);
    let wrong = |reason| Failure::configuration(format!("pgtenant: --rotate: {reason}"));
    Ok(SealKey::derive(&read.map_err(wrong)?))
}

fn apply(
    url: &str,
    settings: &Settings,
    target: &Target,
    work: impl AsyncFnOnce(&mut Database) -> Result<Vec<String>, SqlClientError>,
) -> Result<(), Failure> {
    let account = url::account("--apply", url, settings)?;
    let what = format!("isolation \"{}\"", target.name);
    let url = account.at(&target.server, format_args!("{what}"), settings);
    let url = url.map_err(|error| url::wrong("--apply", error))?;
    let runtime = runtime()?;
    let lines = journal::recorded(settings, "harden", &what, || {
        let lines = runtime.block_on(async {
            let mut database = url.connect_to(&target.database).await?;
            work(&mut database).await
        });
        lines.map_err(Failure::run)
    })?;
    for line in lines {
        print(line)?;
    }
    Ok(())
}
