//! `[[tenants]]`

use super::isolation::{Isolations, Kind, Plan, own_schema};
use super::limits;
use super::masked::{self, MaskedRolePlan};
use super::reader::{Entry, Reader, Section};
use super::roles::RolePlan;
use super::servers::Servers;
use super::template::{Template, check_identifier, check_role, check_schema, quote};
use crate::directory::{DeclaredTenant, Hosts, conflicts};
use crate::problem::{Place, shown, suggestion};
use crate::tenant::{
    Attachment, Endpoint, Identity, IsolationName, Limits, MaskedPlace, Placement, ServerName,
    SharedTenant, Tenant, TenantId, TenantRole,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// PostgreSQL has no such limit for settings; it keeps logs readable.
const MOST_ID_BYTES: usize = 255;

/// The tenants, and the ids of those too that have a problem.
#[derive(Default)]
pub(super) struct Tenants {
    pub(super) declared: BTreeSet<TenantId>,
    pub(super) valid: BTreeMap<TenantId, SharedTenant>,
    /// The valid ones, with what they have of their own.
    pub(super) placed: Vec<DeclaredTenant>,
}

impl Tenants {
    /// All of them, in the order of their ids.
    pub(super) fn list(&self) -> Vec<SharedTenant> {
        self.valid.values().cloned().collect()
    }
}

/// Reads the sections of files.
pub(super) fn read(
    sections: Vec<Section<'_>>,
    reader: &Reader,
    isolations: &Isolations,
    servers: &Servers,
    hosts: &Hosts,
) -> Tenants {
    let mut declared = BTreeMap::new();
    let mut placed = Vec::new();
    for mut section in sections {
        let id = id(&mut section).and_then(|id| only(id, &section, &mut declared));
        let Some(one) = place(id, section, isolations, servers) else {
            continue;
        };
        placed.push(one);
    }
    for conflict in conflicts(&placed, hosts) {
        reader.add(conflict);
    }
    let valid = placed.iter().map(|placed| {
        let id = placed.tenant.id.clone();
        (id, placed.tenant.clone())
    });
    Tenants {
        valid: valid.collect(),
        declared: declared.into_keys().collect(),
        placed,
    }
}

/// Reads the row of a query; `None` after a problem. `others` are keys that
/// tenants of other isolations have.
pub(super) fn read_row(
    mut section: Section<'_>,
    isolations: &Isolations,
    servers: &Servers,
    others: &BTreeSet<String>,
) -> Option<DeclaredTenant> {
    let id = id(&mut section);
    for key in others {
        drop(section.optional(key));
    }
    place(id.map(|(id, _)| id), section, isolations, servers)
}

/// The tenant's id.
fn id<'a>(section: &mut Section<'a>) -> Option<(TenantId, Entry<'a>)> {
    let entry = section.required("id", "the tenant's id, as the database knows it")?;
    let text = entry.text()?;
    if text.len() > MOST_ID_BYTES {
        entry.refuse(format!("must have at most {MOST_ID_BYTES} bytes"));
        return None;
    }
    if text.trim() != text {
        entry.refuse("must not begin or end with a space");
        return None;
    }
    Some((TenantId::parse(text), entry))
}

/// The id, if no other tenant has it.
fn only(
    (id, entry): (TenantId, Entry<'_>),
    section: &Section<'_>,
    declared: &mut BTreeMap<TenantId, Place>,
) -> Option<TenantId> {
    if let Some(other) = declared.get(&id) {
        entry.refuse(format!("is the id of {other} already"));
        return None;
    }
    declared.insert(id.clone(), section.place());
    Some(id)
}

fn place<'a>(
    id: Option<TenantId>,
    mut section: Section<'a>,
    isolations: &'a Isolations,
    servers: &Servers,
) -> Option<DeclaredTenant> {
    let name = match section.optional("name") {
        Some(entry) => entry.text(),
        None => id.as_ref().map(TenantId::as_str),
    }
    .map(str::to_owned);
    let isolation = isolation(&mut section, isolations)?;
    let plan = isolations.valid.get(isolation)?;
    let server = match section.optional("server") {
        Some(entry) => servers.find(&entry),
        None => Some(plan.server.clone()),
    };
    let values = values(&mut section, isolation, plan);
    let (standing, limits) = (limits::standing(&mut section), limits::read(&mut section));
    let limits = limits.map(|own| Limits {
        timeouts: own.timeouts.stricter(plan.timeouts),
        ..own
    });
    section.finish();
    let filled = Filled {
        isolation,
        id: id?,
        name: name?,
        server: server?,
        values: values?,
    };
    let placement = filled.placement(plan, &section);
    let aliases = filled.aliases(plan, &section);
    let (placement, schemas, own_schema) = placement?;
    let masked = filled.masked(plan, &section, (&placement, &schemas, own_schema));
    Some(DeclaredTenant {
        place: section.place(),
        tenant: Arc::new(Tenant {
            id: filled.id,
            name: filled.name,
            isolation: IsolationName::new(isolation),
            placement,
            masked: masked?,
            database_aliases: aliases?,
            schema: schemas.get(own_schema).map(|schema| Arc::from(&**schema)),
            standing: standing?,
            limits: limits?,
        }),
        schemas,
        own_schema,
    })
}

/// The name of the tenant's isolation.
fn isolation<'n>(section: &mut Section<'_>, isolations: &'n Isolations) -> Option<&'n str> {
    let names = || isolations.declared.iter().map(String::as_str);
    let Some(entry) = section.optional("isolation") else {
        let mut all = names();
        return match (all.next(), all.next()) {
            (Some(only), None) => Some(only),
            (None, _) => {
                section.missing("isolation", "add a section [isolation.NAME] and name it");
                None
            }
            (Some(_), Some(_)) => {
                let names: Vec<_> = names().map(|name| format!("\"{name}\"")).collect();
                section.missing(
                    "isolation",
                    &format!("there are several; name one of {}", names.join(", ")),
                );
                None
            }
        };
    };
    let name = entry.text()?;
    let found = isolations.declared.get(name);
    if found.is_none() {
        let near = suggestion(name, names());
        entry.refuse(format!("no section [isolation.NAME] has this name; {near}"));
    }
    found.map(String::as_str)
}

/// A tenant's own values and the isolation that they fill.
struct Filled<'a> {
    isolation: &'a str,
    id: TenantId,
    name: String,
    server: ServerName,
    /// What the isolation's placeholders name, beside `id` and `name`.
    values: BTreeMap<&'a str, (&'a str, Entry<'a>)>,
}

/// The values that the isolation's placeholders name.
fn values<'a>(
    section: &mut Section<'a>,
    isolation: &str,
    plan: &'a Plan,
) -> Option<BTreeMap<&'a str, (&'a str, Entry<'a>)>> {
    let what = format!("[isolation.{isolation}] fills {{…}} with it");
    let values: Vec<_> = plan
        .placeholders()
        .into_iter()
        .map(|name| {
            let entry = section.required(name, &what)?;
            Some((name, (entry.text()?, entry)))
        })
        .collect();
    values.into_iter().collect()
}

impl Filled<'_> {
    /// Where the tenant's data is, with the schemas of its search path and
    /// which of them is its own.
    fn placement(
        &self,
        plan: &Plan,
        section: &Section<'_>,
    ) -> Option<(Placement, Vec<String>, usize)> {
        let endpoint = |database| Endpoint {
            server: self.server.clone(),
            database,
        };
        let placement = match &plan.kind {
            Kind::Setting {
                database,
                setting,
                seal,
                roles,
                ..
            } => Placement {
                endpoint: endpoint(Arc::clone(database)),
                attachment: Attachment::Setting {
                    name: Arc::clone(setting),
                    value: Arc::from(self.id.as_str()),
                    seal: seal.clone(),
                },
                identity: match roles {
                    None => Identity::Server,
                    Some(roles) => self.member(section, &roles.role, &roles.group)?,
                },
                allow_unprotected_role: plan.allow_unprotected_role,
                masked: false,
            },
            Kind::Schema {
                database,
                search_path,
                role,
            } => {
                let schemas: Vec<_> = search_path
                    .iter()
                    .map(|template| self.fill(section, template, "schema", check_schema))
                    .collect();
                let identity = self.identity(section, role.as_ref());
                let schemas: Vec<String> = schemas.into_iter().collect::<Option<_>>()?;
                let quoted: Vec<_> = schemas.iter().map(|schema| quote(schema)).collect();
                let placement = Placement {
                    endpoint: endpoint(Arc::clone(database)),
                    attachment: Attachment::Schema {
                        search_path: Arc::from(quoted.join(", ")),
                    },
                    identity: identity?,
                    allow_unprotected_role: plan.allow_unprotected_role,
                    masked: false,
                };
                return Some((placement, schemas, own_schema(search_path)));
            }
            Kind::Database { database } => {
                let name = self.fill(section, database, "database", check_identifier)?;
                Placement {
                    endpoint: endpoint(Arc::from(name)),
                    attachment: Attachment::Database,
                    identity: Identity::Server,
                    allow_unprotected_role: plan.allow_unprotected_role,
                    masked: false,
                }
            }
        };
        Some((placement, Vec::new(), 0))
    }

    /// Where its masked logins are placed.
    fn masked(
        &self,
        plan: &Plan,
        section: &Section<'_>,
        (placement, schemas, own_schema): (&Placement, &[String], usize),
    ) -> Option<Option<Arc<MaskedPlace>>> {
        let Some(masked) = &plan.masked else {
            return Some(None);
        };
        let schema = self.fill(section, &masked.schema, "masked_schema", check_schema);
        let identity = match (&masked.role, &plan.kind) {
            (MaskedRolePlan::Shared(role), _) => Some(Identity::Masked(role.clone())),
            (
                MaskedRolePlan::Own(name),
                Kind::Schema {
                    role: Some(own), ..
                },
            ) => self
                .fill(section, name, "masked_role", masked::check_role)
                .map(|name| Identity::Tenant(TenantRole::derive(&own.key, &name))),
            (MaskedRolePlan::Own(_), _) => None,
        };
        let (schema, identity) = (schema?, identity?);
        if identity == placement.identity {
            section.refuse_section("its masked_role is its role: masked logins need another");
            return None;
        }
        if schemas.contains(&schema) {
            section.refuse_section(format!(
                "its masked_schema {} is in its search_path: masked logins need another",
                shown(&schema)
            ));
            return None;
        }
        let attachment = match &placement.attachment {
            Attachment::Schema { .. } => {
                let others = schemas.iter().enumerate();
                let others = others.filter(|(i, _)| *i != own_schema);
                let all = std::iter::once(&schema).chain(others.map(|(_, name)| name));
                let quoted: Vec<_> = all.map(|name| quote(name)).collect();
                Attachment::Schema {
                    search_path: Arc::from(quoted.join(", ")),
                }
            }
            other => other.clone(),
        };
        Some(Some(Arc::new(MaskedPlace {
            schema: Arc::from(schema),
            attachment,
            identity,
        })))
    }

    /// The other names by which the tenant's clients may ask for its database.
    fn aliases(&self, plan: &Plan, section: &Section<'_>) -> Option<Arc<[Box<str>]>> {
        let fill = |template| {
            let name = self.fill(section, template, "database_alias", check_identifier)?;
            Some(name.into_boxed_str())
        };
        plan.aliases.iter().map(fill).collect()
    }

    /// The tenant's role in a group that has the rights.
    fn member(&self, section: &Section<'_>, role: &RolePlan, group: &str) -> Option<Identity> {
        let template = role.name.as_str();
        let identity = self.identity(section, Some(role))?;
        if let Identity::Tenant(role) = &identity
            && *role.name == *group
        {
            section.refuse_section(format!(
                "role {} (from {} of [isolation.{}]) is the one that tenants' roles are members of",
                shown(group),
                shown(template),
                self.isolation
            ));
            return None;
        }
        Some(identity)
    }

    fn identity(&self, section: &Section<'_>, role: Option<&RolePlan>) -> Option<Identity> {
        let Some(role) = role else {
            return Some(Identity::Server);
        };
        let name = self.fill(section, &role.name, "role", check_role)?;
        Some(Identity::Tenant(TenantRole::derive(&role.key, &name)))
    }

    /// Fills the template and checks what it makes.
    fn fill(
        &self,
        section: &Section<'_>,
        template: &Template,
        what: &str,
        check: fn(&str) -> Result<(), String>,
    ) -> Option<String> {
        let made = template.fill(|key| match key {
            "id" => Some(self.id.as_str()),
            "name" => Some(self.name.as_str()),
            key => self.values.get(key).map(|(text, _)| *text),
        })?;
        let Err(reason) = check(&made) else {
            return Some(made);
        };
        let reason = format!(
            "{what} {} (from {} of [isolation.{}]) {reason}",
            shown(&made),
            shown(template.as_str()),
            self.isolation
        );
        let culprit = template.placeholders().find_map(|key| self.values.get(key));
        match culprit {
            Some((_, entry)) => entry.refuse(reason),
            None => section.refuse_section(reason),
        }
        None
    }
}
