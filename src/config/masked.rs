//! `masked_user`, `masked_role` and `masked_schema` of `[isolation.NAME]`: where masked
//! logins are placed.

use super::isolation::{Kind, parse, template};
use super::reader::Section;
use super::servers::password_in_file;
use super::template::{Template, check_identifier, check_schema};
use crate::tenant::MaskedRole;
use std::sync::Arc;

/// Where the masked logins of an isolation are placed.
pub(super) struct MaskedPlan {
    /// The schema of a tenant's views, or of all tenants'.
    pub(super) schema: Template,
    pub(super) role: MaskedRolePlan,
}

pub(super) enum MaskedRolePlan {
    /// One for all tenants.
    Shared(MaskedRole),
    /// One for each, whose password is derived as that of the tenant's other role.
    Own(Template),
}

impl MaskedPlan {
    /// What a tenant fills with values of its own.
    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        let role = match &self.role {
            MaskedRolePlan::Own(role) => Some(role),
            MaskedRolePlan::Shared(_) => None,
        };
        std::iter::once(&self.schema).chain(role)
    }

    /// The role that tenants share.
    pub(super) fn shared_role(&self) -> Option<MaskedRole> {
        match &self.role {
            MaskedRolePlan::Shared(role) => Some(role.clone()),
            MaskedRolePlan::Own(_) => None,
        }
    }
}

/// What the owner of the views is called beyond the role's own name.
const OWNER: &str = "_owner";
/// PostgreSQL's limit for a name.
const MOST_BYTES: usize = 63;

/// The role's name leaves room for that of the views' owner.
pub(super) fn check_role(text: &str) -> Result<(), String> {
    super::template::check_role(text)?;
    if text.len() + OWNER.len() > MOST_BYTES {
        return Err(format!(
            "is too long: with {OWNER} behind it, it is the name of the role that owns the views, \
             and PostgreSQL's limit for a name is {MOST_BYTES} bytes"
        ));
    }
    Ok(())
}

/// Reads the keys; `Ok(None)` where there are no masked logins. `user`: the role of the
/// others.
///
/// # Errors
/// After a problem.
pub(super) fn read(
    section: &mut Section<'_>,
    kind: Option<&Kind>,
    user: Option<&str>,
) -> Result<Option<MaskedPlan>, ()> {
    let has = ["masked_user", "masked_role"].map(|key| section.has(key));
    let Some(kind) = kind else {
        for key in KEYS {
            drop(section.optional(key));
        }
        return if has == [false, false] {
            Ok(None)
        } else {
            Err(())
        };
    };
    let per_tenant = matches!(kind, Kind::Schema { role: Some(_), .. });
    let (role, other) = match per_tenant {
        true => ("masked_role", "masked_user"),
        false => ("masked_user", "masked_role"),
    };
    if section.has(other) {
        let reason = match per_tenant {
            true => {
                "has no meaning where each tenant has a `role`: use masked_role = \"{schema}_masked\""
            }
            false => "is for kind = \"schema\" with a `role` for each tenant: use `masked_user`",
        };
        section.refuse(other, reason);
    }
    if per_tenant {
        section.refuse(
            "masked_password_file",
            "has no meaning beside `masked_role`: its password is derived by `role_key_file`",
        );
    }
    if !section.has(role) {
        for key in ["masked_schema", "masked_password_file"] {
            section.refuse(key, &format!("has no meaning without `{role}`"));
        }
        return if section.has(other) {
            Err(())
        } else {
            Ok(None)
        };
    }
    let schema = schema(section, kind);
    let role = match per_tenant {
        true => own(section, role),
        false => shared(section, role, user),
    };
    Ok(Some(MaskedPlan {
        schema: schema.ok_or(())?,
        role: role.ok_or(())?,
    }))
}

const KEYS: [&str; 4] = [
    "masked_user",
    "masked_role",
    "masked_password_file",
    "masked_schema",
];

fn own(section: &mut Section<'_>, key: &str) -> Option<MaskedRolePlan> {
    let template = template(&section.optional(key)?, check_role)?;
    Some(MaskedRolePlan::Own(template))
}

fn shared(section: &mut Section<'_>, key: &str, user: Option<&str>) -> Option<MaskedRolePlan> {
    let name = section.optional(key).and_then(|entry| {
        let name = entry.text()?;
        match check_role(name) {
            Ok(()) if user == Some(name) => {
                entry.refuse(
                    "is the user of the section [servers.NAME], which sees what is not masked: \
                     masked logins need a role of their own",
                );
                None
            }
            Ok(()) => Some(Arc::from(name)),
            Err(reason) => {
                entry.refuse(reason);
                None
            }
        }
    });
    let password = section.required(
        "masked_password_file",
        "the file with the password of `masked_user`; make one with `openssl rand -hex 32`",
    );
    let password = password.and_then(|entry| password_in_file(&entry));
    Some(MaskedRolePlan::Shared(MaskedRole {
        name: name?,
        password: Arc::from(password?),
    }))
}

/// The schema of the views. Where tenants have schemas, each has one for its views.
fn schema(section: &mut Section<'_>, kind: &Kind) -> Option<Template> {
    let Some(entry) = section.optional("masked_schema") else {
        let text = match kind {
            Kind::Schema { search_path, .. } => {
                let own = super::isolation::own_schema(search_path);
                format!("{}_masked", search_path.get(own)?.as_str())
            }
            Kind::Setting { .. } | Kind::Database { .. } => "masked".to_owned(),
        };
        return parse(&text, check_schema)
            .map_err(|reason| section.missing("masked_schema", &format!("its default {reason}")))
            .ok();
    };
    let made = template(&entry, check_schema)?;
    let is_of_tenant = made.placeholders().next().is_some();
    match kind {
        Kind::Schema { .. } if !is_of_tenant => {
            entry.refuse(
                "must differ from tenant to tenant, as their schemas do: right is such as \
                 \"{schema}_masked\"",
            );
            None
        }
        Kind::Setting { .. } | Kind::Database { .. } if is_of_tenant => {
            entry.refuse("can have {…} in kind = \"schema\" alone");
            None
        }
        _ => check_identifier(made.as_str()).is_ok().then_some(made),
    }
}
