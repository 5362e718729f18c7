//! `[isolation.NAME]`

use super::audit;
use super::masked::{self, MaskedPlan};
use super::pool::{self, Described};
use super::reader::{Entry, Section};
use super::roles::{self, MemberPlan, RolePlan};
use super::servers::Servers;
use super::template::{Template, check_identifier, check_schema};
use super::{Isolation, IsolationKind, Mask, Masking, Naming, limits, rules};
use crate::audit::Statements;
use crate::directory::CommonSchemas;
use crate::guard::{Options, Permission};
use crate::problem::shown;
use crate::tenant::{IsolationName, Seal, SealKey, ServerName, Timeouts};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The fewest bytes of a key file.
const LEAST_KEY_BYTES: usize = 32;

/// How long the token of a seal is valid, where nothing is said.
const LIFETIME: Duration = Duration::from_secs(10 * 60);
const SHORTEST_LIFETIME: Duration = Duration::from_secs(2);
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The isolations, and the names of those too that have a problem.
#[derive(Default)]
pub(super) struct Isolations {
    pub(super) declared: BTreeSet<String>,
    pub(super) valid: BTreeMap<String, Plan>,
}

impl Isolations {
    /// What others need to know of them.
    pub(super) fn describe(
        &self,
        guard: Options,
        masks: &BTreeMap<IsolationName, Vec<Mask>>,
    ) -> BTreeMap<IsolationName, Isolation> {
        let describe = |(name, plan): (&String, &Plan)| {
            let isolation_name = IsolationName::new(name);
            let isolation = Isolation {
                server: plan.server.clone(),
                kind: match &plan.kind {
                    Kind::Setting {
                        database,
                        setting,
                        seal,
                        seal_key,
                        roles,
                    } => IsolationKind::Setting {
                        database: Arc::clone(database),
                        setting: Arc::clone(setting),
                        seal: seal.clone(),
                        seal_key: seal_key.clone(),
                        roles: roles.as_ref().map(MemberPlan::describe),
                    },
                    Kind::Schema { role, .. } => IsolationKind::Schema {
                        per_tenant_role: role.is_some(),
                    },
                    Kind::Database { .. } => IsolationKind::Database,
                },
                naming: plan.naming(),
                guard: Options {
                    opaque: plan.opaque.unwrap_or(guard.opaque),
                    channels: plan.channels.unwrap_or(guard.channels),
                    ..guard
                },
                allow_unprotected_role: plan.allow_unprotected_role,
                audit: plan.audit,
                pool: plan.pool.as_ref().map(|own| own.pool.clone()),
                masking: plan.masked.as_ref().map(|masked| Masking {
                    schema: Arc::from(masked.schema.as_str()),
                    role: masked.shared_role(),
                    masks: masks.get(&isolation_name).cloned().unwrap_or_default(),
                }),
            };
            (isolation_name, isolation)
        };
        self.valid.iter().map(describe).collect()
    }

    /// Those with pools of their own that keep something of them from each tenant.
    pub(super) fn reserving(&self) -> BTreeSet<IsolationName> {
        let own = self.valid.iter();
        let own = own.filter(|(_, plan)| plan.pool.as_ref().is_some_and(|own| own.reserves));
        own.map(|(name, _)| IsolationName::new(name)).collect()
    }

    /// The most that one of them says is recorded.
    pub(super) fn audited(&self) -> Option<Statements> {
        self.valid.values().filter_map(|plan| plan.audit).max()
    }

    /// The names of those with masked logins.
    pub(super) fn masked(&self) -> impl Iterator<Item = &str> {
        let masked = self.valid.iter().filter(|(_, plan)| plan.masked.is_some());
        masked.map(|(name, _)| name.as_str())
    }

    /// The keys that they take from their tenants.
    pub(super) fn placeholders(&self) -> BTreeSet<String> {
        let names = self.valid.values().flat_map(Plan::placeholders);
        names.map(str::to_owned).collect()
    }

    /// The schemas that all tenants of one of them have in their search path.
    pub(super) fn common_schemas(&self) -> CommonSchemas {
        let mut common = CommonSchemas::default();
        for plan in self.valid.values() {
            if let Kind::Schema { database, .. } = &plan.kind {
                let schemas = plan.common_schemas().map(str::to_owned);
                common
                    .entry(Arc::clone(database))
                    .or_default()
                    .extend(schemas);
            }
        }
        common
    }
}

/// How tenants of an isolation are placed.
pub(super) struct Plan {
    pub(super) server: ServerName,
    pub(super) kind: Kind,
    /// Where they are not those of `[guard]`.
    pub(super) opaque: Option<Permission>,
    /// Which statements are recorded, where they are not those of `[audit]`.
    pub(super) audit: Option<Statements>,
    pub(super) channels: Option<Permission>,
    /// Pools of its own.
    pub(super) pool: Option<Described>,
    /// Most time that sessions have: of `[listen]` and of this section the shorter.
    pub(super) timeouts: Timeouts,
    /// Other names by which clients may ask for the database.
    pub(super) aliases: Vec<Template>,
    pub(super) allow_unprotected_role: bool,
    /// Where masked logins are placed, if there are to be such.
    pub(super) masked: Option<MaskedPlan>,
}

pub(super) enum Kind {
    Setting {
        database: Arc<str>,
        setting: Arc<str>,
        seal: Seal,
        seal_key: Option<SealKey>,
        roles: Option<MemberPlan>,
    },
    Schema {
        database: Arc<str>,
        search_path: Vec<Template>,
        role: Option<RolePlan>,
    },
    Database {
        database: Template,
    },
}

impl Plan {
    fn naming(&self) -> Option<Naming> {
        let Kind::Schema {
            database,
            search_path,
            role,
        } = &self.kind
        else {
            return None;
        };
        let own = own_schema(search_path);
        Some(Naming {
            database: Arc::clone(database),
            schema: Arc::from(search_path.get(own)?.as_str()),
            role: role.as_ref().map(|role| Arc::from(role.name.as_str())),
        })
    }

    /// The schemas that all tenants have in their search path.
    fn common_schemas(&self) -> impl Iterator<Item = &str> {
        let search_path: &[Template] = match &self.kind {
            Kind::Schema { search_path, .. } => search_path,
            _ => &[],
        };
        let own = own_schema(search_path);
        let others = search_path
            .iter()
            .enumerate()
            .filter(move |(i, _)| *i != own);
        others
            .map(|(_, template)| template)
            .filter(|template| template.placeholders().next().is_none())
            .map(Template::as_str)
    }

    /// The names that the templates take from a tenant's own keys.
    pub(super) fn placeholders(&self) -> BTreeSet<&str> {
        let templates: Vec<&Template> = match &self.kind {
            Kind::Setting { roles, .. } => roles.iter().map(|roles| &roles.role.name).collect(),
            Kind::Schema {
                search_path, role, ..
            } => {
                let role = role.iter().map(|role| &role.name);
                search_path.iter().chain(role).collect()
            }
            Kind::Database { database } => vec![database],
        };
        let masked = self.masked.iter().flat_map(MaskedPlan::templates);
        let templates = templates.into_iter().chain(&self.aliases).chain(masked);
        let names = templates.flat_map(Template::placeholders);
        names
            .filter(|name| !matches!(*name, "id" | "name"))
            .collect()
    }
}

/// Which schema of a search path is the tenant's own: the first that differs
/// from tenant to tenant.
pub(super) fn own_schema(search_path: &[Template]) -> usize {
    let own = search_path
        .iter()
        .position(|template| template.placeholders().next().is_some());
    own.unwrap_or(0)
}

/// `timeouts` and `pool`: what holds for all.
pub(super) fn read(
    root: &mut Section<'_>,
    servers: &Servers,
    timeouts: Timeouts,
    pool: &Described,
) -> Isolations {
    let mut isolations = Isolations::default();
    for (name, section) in root.sections("isolation") {
        if let Some(mut section) = section {
            let own = section.has("pool").then(|| {
                let path = format!("isolation.{name}.pool");
                pool::own(section.section("pool"), &path, pool)
            });
            let plan = plan(section, servers, timeouts, own);
            isolations
                .valid
                .extend(plan.map(|plan| (name.clone(), plan)));
        }
        isolations.declared.insert(name);
    }
    isolations
}

#[derive(Clone, Copy, PartialEq)]
enum Word {
    Setting,
    Schema,
    Database,
}

const KINDS: [(&str, Word); 3] = [
    ("setting", Word::Setting),
    ("schema", Word::Schema),
    ("database", Word::Database),
];

/// The keys that not every kind has.
const KEYS_OF_KINDS: [(&str, &[Word]); 8] = [
    ("setting", &[Word::Setting]),
    ("seal", &[Word::Setting]),
    ("seal_key_file", &[Word::Setting]),
    ("seal_lifetime", &[Word::Setting]),
    ("role_group", &[Word::Setting]),
    ("search_path", &[Word::Schema]),
    ("role", &[Word::Setting, Word::Schema]),
    ("role_key_file", &[Word::Setting, Word::Schema]),
];

fn plan(
    mut section: Section<'_>,
    servers: &Servers,
    timeouts: Timeouts,
    pool: Option<Described>,
) -> Option<Plan> {
    let word = section
        .required("kind", "one of \"setting\", \"schema\", \"database\"")
        .and_then(|entry| entry.choice(&KINDS));
    let server = section
        .required("server", "the NAME of a section [servers.NAME]")
        .and_then(|entry| servers.find(&entry));
    let database = section.required("database", "the name of the database");
    let allow_unprotected_role = match section.optional("allow_unprotected_role") {
        None => Some(false),
        Some(entry) => entry.boolean(),
    };
    for (key, owners) in KEYS_OF_KINDS {
        match word {
            // Without a kind it is not known which keys are right.
            None => drop(section.optional(key)),
            Some(word) if !owners.contains(&word) => {
                let named = KINDS.iter().filter(|(_, word)| owners.contains(word));
                let named: Vec<_> = named.map(|(name, _)| format!("\"{name}\"")).collect();
                let named = named.join(" and ");
                section.refuse(key, &format!("belongs to kind = {named} alone: remove it"));
            }
            Some(_) => {}
        }
    }
    let kind = word.and_then(|word| match word {
        Word::Setting => {
            let setting = setting(&mut section);
            let seal = seal(&mut section);
            let server = server.as_ref().and_then(|name| servers.valid.get(name));
            let roles = roles::members(&mut section, server.map(|server| &server.user));
            let database = database_name(&database?)?;
            let (seal, seal_key) = seal?;
            Some(Kind::Setting {
                database,
                setting: setting?,
                seal,
                seal_key,
                roles: roles.ok()?,
            })
        }
        Word::Schema => {
            let search_path = search_path(&mut section);
            let role = roles::role(&mut section);
            Some(Kind::Schema {
                database: database_name(&database?)?,
                search_path: search_path?,
                role: role.ok()?,
            })
        }
        Word::Database => Some(Kind::Database {
            database: template(&database?, check_identifier)?,
        }),
    });
    let channels = rules::permission(&mut section, "channels");
    let audit = audit::statements(&mut section, "audit");
    let opaque = rules::opaque(&mut section, kind.as_ref());
    let aliases = aliases(&mut section);
    let shared = server.as_ref().and_then(|name| servers.valid.get(name));
    let shared = shared.map(|server| &*server.user);
    let masked = masked::read(&mut section, kind.as_ref(), shared);
    let own = limits::timeouts(&mut section);
    section.finish();
    Some(Plan {
        server: server?,
        kind: kind?,
        opaque,
        audit,
        channels,
        pool,
        timeouts: timeouts.stricter(own?),
        aliases: aliases?,
        allow_unprotected_role: allow_unprotected_role?,
        masked: masked.ok()?,
    })
}

/// The names of `database_alias`.
fn aliases(section: &mut Section<'_>) -> Option<Vec<Template>> {
    let Some(entry) = section.optional("database_alias") else {
        return Some(Vec::new());
    };
    let parse = |text| parse(text, check_identifier).map_err(|reason| entry.refuse(reason));
    let aliases: Vec<_> = entry.texts()?.into_iter().map(parse).collect();
    aliases.into_iter().collect::<Result<_, _>>().ok()
}

fn database_name(entry: &Entry<'_>) -> Option<Arc<str>> {
    let name = entry.text()?;
    if let Err(reason) = check_identifier(name) {
        entry.refuse(reason);
        return None;
    }
    if name.contains(['{', '}']) {
        entry.refuse("can have {…} in kind = \"database\" alone");
        return None;
    }
    Some(Arc::from(name))
}

/// A template; one without placeholders is checked at once.
pub(super) fn template(entry: &Entry<'_>, check: Check) -> Option<Template> {
    let parsed = parse(entry.text()?, check);
    parsed.map_err(|reason| entry.refuse(reason)).ok()
}

pub(super) type Check = fn(&str) -> Result<(), String>;

pub(super) fn parse(text: &str, check: Check) -> Result<Template, String> {
    let template = Template::parse(text)?;
    if template.placeholders().next().is_none() {
        check(text).map_err(|reason| format!("{} {reason}", shown(text)))?;
    }
    Ok(template)
}

fn setting(section: &mut Section<'_>) -> Option<Arc<str>> {
    let entry = section.required(
        "setting",
        "the setting that the policies read, such as \"session.current_organization_id\"",
    )?;
    let name = entry.text()?;
    if !is_custom_setting(name) {
        entry.refuse(
            "must be the name of a custom setting: two or more parts with dots between, each of \
             ASCII letters, digits, `_` and `$`, at most 63 bytes and not beginning with a digit, \
             such as \"session.current_organization_id\"",
        );
        return None;
    }
    Some(Arc::from(name.to_ascii_lowercase()))
}

/// How the setting is sealed, and the key that it is or will be sealed with.
fn seal(section: &mut Section<'_>) -> Option<(Seal, Option<SealKey>)> {
    #[derive(Clone, Copy, PartialEq)]
    enum Choice {
        Off,
        Token,
        Carrier,
    }
    const SEALS: [(&str, Choice); 3] = [
        ("off", Choice::Off),
        ("token", Choice::Token),
        ("carrier", Choice::Carrier),
    ];
    let choice = match section.optional("seal") {
        None => Some(Choice::Off),
        Some(entry) => entry.choice(&SEALS),
    };
    if choice.is_none() {
        drop(section.optional("seal_key_file"));
    }
    if choice.is_some_and(|choice| choice != Choice::Token) {
        section.refuse("seal_lifetime", "has no meaning without seal = \"token\"");
    }
    let lifetime = match section.optional("seal_lifetime") {
        None => Some(LIFETIME),
        Some(entry) => entry.duration(SHORTEST_LIFETIME..=LONGEST_LIFETIME),
    };
    if choice? == Choice::Off {
        let key = section.optional("seal_key_file").map(|entry| key(&entry));
        return match key {
            // The database can be made ready for a seal before it is switched on.
            Some(key) => Some((Seal::Off, Some(SealKey::derive(&key?)))),
            None => Some((Seal::Off, None)),
        };
    }
    let entry = section.required(
        "seal_key_file",
        "the file with the key that the tenant's context is signed with; make one with \
         `openssl rand -hex 32`",
    )?;
    let key = SealKey::derive(&key(&entry)?);
    let seal = match choice? {
        Choice::Token => Seal::Token(key.clone(), lifetime?),
        Choice::Off | Choice::Carrier => Seal::Carrier(key.clone()),
    };
    Some((seal, Some(key)))
}

/// PostgreSQL's `valid_custom_variable_name` (guc.c), for ASCII alone. Parts
/// are no longer than what the SQL grammar leaves of an identifier.
fn is_custom_setting(name: &str) -> bool {
    let part = |part: &str| {
        part.len() <= 63
            && part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
    };
    name.contains('.') && name.split('.').all(part)
}

fn search_path(section: &mut Section<'_>) -> Option<Vec<Template>> {
    let entry = section.required(
        "search_path",
        "the schemas of a tenant, such as [\"{schema}\"]",
    )?;
    let texts = entry.texts()?;
    let parse = |text| parse(text, check_schema).map_err(|reason| entry.refuse(reason));
    let templates: Vec<_> = texts.into_iter().map(parse).collect();
    templates.into_iter().collect::<Result<_, _>>().ok()
}

/// The content of a key file, without the ends of lines behind it.
pub(super) fn key(entry: &Entry<'_>) -> Option<Vec<u8>> {
    let (path, bytes) = entry.file()?;
    let checked = key_bytes(bytes);
    let refuse = |reason| entry.refuse(format!("{} {reason}", path.display()));
    checked.map_err(refuse).ok()
}

/// Reads a file like those of `seal_key_file`, for the command line.
///
/// # Errors
/// If it cannot be read or is too short; the text says so.
pub fn read_key_file(path: &Path) -> Result<Vec<u8>, String> {
    let at = |reason: String| format!("{} {reason}", path.display());
    let bytes = std::fs::read(path).map_err(|error| at(format!("cannot be read: {error}")))?;
    key_bytes(bytes).map_err(at)
}

pub(super) fn key_bytes(mut bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    while bytes
        .last()
        .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
    {
        bytes.pop();
    }
    if bytes.len() < LEAST_KEY_BYTES {
        return Err(format!(
            "has {} bytes; a key needs at least {LEAST_KEY_BYTES}: make one with \
             `openssl rand -hex 32`",
            bytes.len()
        ));
    }
    Ok(bytes)
}
