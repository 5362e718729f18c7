//! `role`, `role_key_file` and `role_group` of `[isolation.NAME]`.

use super::TenantRoles;
use super::isolation::{key, template};
use super::reader::Section;
use super::template::{Template, check_role};
use crate::problem::shown;
use std::sync::Arc;

/// The role of each tenant, and the key of their passwords.
pub(super) struct RolePlan {
    pub(super) name: Template,
    pub(super) key: Vec<u8>,
}

/// The roles of tenants that share tables, which all are members of one role.
pub(super) struct MemberPlan {
    pub(super) role: RolePlan,
    pub(super) group: Arc<str>,
}

impl MemberPlan {
    /// What others need to know of them.
    pub(super) fn describe(&self) -> TenantRoles {
        TenantRoles {
            name: Arc::from(self.role.name.as_str()),
            group: self.group.clone(),
        }
    }
}

/// The plan of roles; an error after a problem.
pub(super) fn role(section: &mut Section<'_>) -> Result<Option<RolePlan>, ()> {
    let (role, file) = (section.optional("role"), section.optional("role_key_file"));
    match (role, file) {
        (None, None) => Ok(None),
        (None, Some(file)) => {
            file.refuse("has no meaning without `role`");
            Err(())
        }
        (Some(role), None) => {
            template(&role, check_role);
            section.missing(
                "role_key_file",
                "the file with the key that the passwords of the roles are derived from; make one \
                 with `openssl rand -hex 32`",
            );
            Err(())
        }
        (Some(role), Some(file)) => {
            let (name, key) = (template(&role, check_role), key(&file));
            Ok(Some(RolePlan {
                name: name.ok_or(())?,
                key: key.ok_or(())?,
            }))
        }
    }
}

/// The same in kind `setting`. `user`: the role that tenants share without it, which has
/// the rights; `None` after a problem.
pub(super) fn members(
    section: &mut Section<'_>,
    user: Option<&Arc<str>>,
) -> Result<Option<MemberPlan>, ()> {
    let has_role = section.has("role") || section.has("role_key_file");
    let group = match section.optional("role_group") {
        None => user.cloned(),
        Some(entry) if !has_role => {
            entry.refuse("has no meaning without `role`");
            return Err(());
        }
        Some(entry) => entry.text().and_then(|name| {
            let refuse = |reason| entry.refuse(format!("{} {reason}", shown(name)));
            check_role(name).map_err(refuse).ok()?;
            Some(Arc::from(name))
        }),
    };
    let Some(role) = role(section)? else {
        return Ok(None);
    };
    let group = group.ok_or(())?;
    Ok(Some(MemberPlan { role, group }))
}
