//! `[[logins]]`

use super::problem::suggestion;
use super::reader::{Entry, Section};
use super::tenants::Tenants;
use crate::tenant::Verifier;
use crate::tenant::{Directory, LoginName, TenantId};
use std::collections::BTreeMap;

pub(super) fn read(root: &mut Section<'_>, tenants: &Tenants) -> Directory {
    let mut directory = Directory::new();
    let mut users = BTreeMap::new();
    for mut section in root.tables("logins") {
        let user = section.required("user", "the user name that the client logs in with");
        let user = user.and_then(|entry| user_name(&entry, section.path(), &mut users));
        let tenant = section.required("tenant", "the id of the login's tenant");
        let tenant = tenant.and_then(|entry| tenant_id(&entry, tenants));
        let verifier = section.required(
            "scram",
            "the SCRAM-SHA-256 verifier of the password; make one with `pgtenant verifier`",
        );
        let verifier = verifier.and_then(|entry| scram(&entry));
        section.finish();
        if let (Some(user), Some(tenant), Some(verifier)) = (user, tenant, verifier)
            && let Some(tenant) = tenants.valid.get(&tenant)
        {
            directory.insert(LoginName::new(user), verifier, tenant.clone());
        }
    }
    directory
}

/// A user name that no other login has.
fn user_name<'a>(
    entry: &Entry<'a>,
    path: &str,
    users: &mut BTreeMap<&'a str, String>,
) -> Option<&'a str> {
    let user = entry.text()?;
    if let Some(other) = users.get(user) {
        entry.refuse(format!("is the user of {other} already"));
        return None;
    }
    users.insert(user, path.to_owned());
    Some(user)
}

fn tenant_id(entry: &Entry<'_>, tenants: &Tenants) -> Option<TenantId> {
    let id = TenantId::parse(entry.text()?);
    if !tenants.declared.contains(&id) {
        let ids = tenants.declared.iter().map(TenantId::as_str);
        let near = suggestion(id.as_str(), ids);
        entry.refuse(format!("no tenant has this id; {near}"));
        return None;
    }
    Some(id)
}

fn scram(entry: &Entry<'_>) -> Option<Verifier> {
    let parsed = entry.secret()?.parse::<Verifier>();
    parsed
        .map_err(|e| entry.refuse_hidden(format!("{e}; make one with `pgtenant verifier`")))
        .ok()
}
