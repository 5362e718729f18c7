//! `pgtenant provision`

use super::{Failure, directory, journal, print, removal, runtime, url};
use pgtenant::config::{self, IsolationKind, Settings};
use pgtenant::ops::provision::{
    Copies, Joining, Mode, ProvisionError, Removal, Report, Site, Template, install_trigger,
    provision,
};
use pgtenant::ops::sql_client::{Account, Url};
use pgtenant::tenant::{IsolationName, SharedTenant, Tenant, TenantId};
use std::fmt::Display;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Connect as the user of this URL, who will own the new objects
    #[arg(
        long,
        value_name = "URL",
        long_help = url::help("Connect as the user of this URL, who will own the new objects")
    )]
    url: String,
    /// The template of tenants: schema:NAME or database:NAME to copy (a schema
    /// without rows), dir:PATH for SQL files; each may be given once
    #[arg(long, value_name = "TEMPLATE")]
    template: Vec<String>,
    /// All tenants of kind `schema` and `database`, and of kind `setting` with `role`
    #[arg(long, conflicts_with = "tenants")]
    all: bool,
    /// Only tenants of this isolation; for --trigger, the companies' isolation
    #[arg(long, value_name = "NAME")]
    isolation: Option<String>,
    /// Print the SQL and change nothing
    #[arg(long)]
    print: bool,
    /// Put a trigger on the table of companies, which creates the schema of each
    /// new company; needs --template schema:NAME
    #[arg(long, requires_all = ["directory_table", "schema_column"])]
    trigger: bool,
    /// For --trigger: the table, such as public.companies
    #[arg(long, value_name = "SCHEMA.TABLE", requires = "trigger")]
    directory_table: Option<String>,
    /// For --trigger: its column with the name of the company's schema
    #[arg(long, value_name = "COLUMN", requires = "trigger")]
    schema_column: Option<String>,
    /// Remove the schema and role, or the database, of suspended tenants, with all
    /// their data
    #[arg(long, requires = "tenants", conflicts_with_all = ["template", "all", "trigger"])]
    remove: bool,
    /// With --remove: do not ask; needed without a terminal
    #[arg(long, requires = "remove", conflicts_with = "print")]
    yes: bool,
    /// Ids or names of tenants
    #[arg(value_name = "TENANT", required_unless_present_any = ["all", "trigger"])]
    tenants: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut settings = config::load(&arguments.config).map_err(Failure::configuration)?;
    directory::complete(&mut settings)?;
    let account = url::account("--url", &arguments.url, &settings)?;
    let template = Template::parse(&arguments.template).map_err(Failure::configuration)?;
    let tenants = arguments.choose(&settings)?;
    let joining = arguments.joining(&settings)?;
    let url = url_for(&account, &tenants, joining.as_ref(), &settings)?;
    let site = Site {
        settings: &settings,
        url,
        template: &template,
        copies: &Copies::default(),
    };
    let mode = if arguments.print {
        Mode::Print
    } else {
        Mode::Run
    };
    let work = || {
        if arguments.remove {
            let removal = Removal {
                settings: &settings,
                url,
            };
            return removal::run(removal, &tenants, mode, arguments.yes);
        }
        let runtime = runtime()?;
        runtime.block_on(async {
            if let Some(joining) = joining {
                let installed = install_trigger(site, &joining, mode).await;
                if !told("trigger", &installed, mode)? {
                    return Err(Failure::run("the trigger was not installed"));
                }
            }
            let mut failed = 0;
            for tenant in &tenants {
                let done = provision(site, tenant, mode).await;
                if !told(&line(tenant), &done, mode)? {
                    failed += 1;
                }
            }
            all_done(failed, tenants.len())
        })
    };
    match mode {
        Mode::Print => work(),
        Mode::Run => {
            let command = match arguments.remove {
                true => "provision --remove",
                false => "provision",
            };
            let ids: Vec<_> = tenants.iter().map(|tenant| tenant.id.as_str()).collect();
            journal::recorded(&settings, command, &ids.join(", "), work)
        }
    }
}

impl Arguments {
    /// The tenants that are named.
    fn choose(&self, settings: &Settings) -> Result<Vec<SharedTenant>, Failure> {
        let isolation = self.isolation.as_deref();
        if let Some(name) = isolation
            && !settings.isolations.contains_key(&IsolationName::new(name))
        {
            let reason = format!("--isolation {name:?}: there is no section of this name");
            return Err(Failure::configuration(reason));
        }
        let within = |tenant: &Tenant| isolation.is_none_or(|i| tenant.isolation.as_str() == i);
        let chosen = if self.all {
            let all = settings.tenants.iter().filter(|tenant| {
                let isolation = settings.isolations.get(&tenant.isolation);
                let shares = |kind: &_| matches!(kind, IsolationKind::Setting { roles: None, .. });
                within(tenant) && !isolation.is_some_and(|one| shares(&one.kind))
            });
            all.cloned().collect()
        } else {
            let mut chosen: Vec<SharedTenant> = Vec::new();
            for text in &self.tenants {
                let tenant = find(settings, text)?;
                if !within(&tenant) {
                    let reason = format!("tenant {text:?} is of another isolation");
                    return Err(Failure::configuration(reason));
                }
                if !chosen.iter().any(|one| one.id == tenant.id) {
                    chosen.push(tenant);
                }
            }
            chosen
        };
        Ok(chosen)
    }

    /// What --trigger asks for.
    fn joining(&self, settings: &Settings) -> Result<Option<Joining>, Failure> {
        let (true, Some(table), Some(column)) =
            (self.trigger, &self.directory_table, &self.schema_column)
        else {
            return Ok(None);
        };
        let mut named =
            settings
                .isolations
                .iter()
                .filter(|(name, isolation)| match &self.isolation {
                    Some(wanted) => name.as_str() == wanted,
                    None => isolation.naming.is_some(),
                });
        let (Some((isolation, _)), None) = (named.next(), named.next()) else {
            return Err(Failure::configuration(
                "--trigger needs one isolation of kind \"schema\": name it with --isolation",
            ));
        };
        Ok(Some(Joining {
            isolation: isolation.clone(),
            table: table.clone(),
            column: column.clone(),
        }))
    }
}

/// The tenant with this id, or else the only one with this name.
fn find(settings: &Settings, text: &str) -> Result<SharedTenant, Failure> {
    let id = TenantId::parse(text);
    let tenants = &settings.tenants;
    if let Some(tenant) = tenants.iter().find(|tenant| tenant.id == id) {
        return Ok(tenant.clone());
    }
    let named: Vec<_> = tenants.iter().filter(|one| one.name == text).collect();
    match named[..] {
        [tenant] => Ok(tenant.clone()),
        [] => Err(Failure::configuration(format!(
            "no tenant has the id or the name {text:?}"
        ))),
        _ => Err(Failure::configuration(format!(
            "{} have the name {text:?}: give an id",
            count(named.len())
        ))),
    }
}

/// The URL, which must be for the server of all that is to be made.
fn url_for<'a>(
    account: &'a Account,
    tenants: &[SharedTenant],
    joining: Option<&Joining>,
    settings: &Settings,
) -> Result<&'a Url, Failure> {
    let wrong = |error| url::wrong("--url", error);
    for tenant in tenants {
        let what = one_line(format_args!("tenant {}", line(tenant)));
        let server = &tenant.placement.endpoint.server;
        account.at(server, what, settings).map_err(wrong)?;
    }
    let joined = joining.and_then(|one| settings.isolations.get(&one.isolation));
    if let (Some(joining), Some(isolation)) = (joining, joined) {
        let what = format_args!("isolation \"{}\"", joining.isolation);
        let server = &isolation.server;
        account.at(server, what, settings).map_err(wrong)?;
    }
    Ok(account.url())
}

/// Prints what came of it, and says whether that is good.
pub(super) fn told(
    what: &str,
    done: &Result<Report, ProvisionError>,
    mode: Mode,
) -> Result<bool, Failure> {
    match (done, mode) {
        (Ok(report), Mode::Run) => print(one_line(format_args!("{what}: {report}")))?,
        (Ok(report), Mode::Print) => {
            print(one_line(format_args!("-- {what}: {report}")))?;
            if !report.sql.is_empty() {
                print(&report.sql)?;
            }
        }
        (Err(error), Mode::Run) => print(one_line(format_args!("{what}: FAILED: {error}")))?,
        (Err(error), Mode::Print) => print(one_line(format_args!("-- {what}: FAILED: {error}")))?,
    }
    Ok(done.is_ok())
}

pub(super) fn line(tenant: &Tenant) -> String {
    if tenant.name == tenant.id.as_str() {
        return tenant.name.clone();
    }
    format!("{} ({})", tenant.name, tenant.id)
}

/// A name may hold anything.
pub(super) fn one_line(text: impl Display) -> String {
    text.to_string().replace(char::is_control, " ")
}

/// Fails if some of so many tenants have `failed`.
pub(super) fn all_done(failed: usize, tenants: usize) -> Result<(), Failure> {
    match failed {
        0 => Ok(()),
        n => Err(Failure::run(format!("{n} of {} failed", count(tenants)))),
    }
}

fn count(n: usize) -> String {
    let ending = if n == 1 { "" } else { "s" };
    format!("{n} tenant{ending}")
}
