//! What is to be masked, as the configuration says it.

use super::Masking;
use crate::config::{self, Isolation, IsolationKind, Secret, Settings};
use crate::tenant::{Attachment, Endpoint, Identity, IsolationName, MaskedPlace, Seal, Tenant};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The schemas of masked views of the isolations: one in kind `setting`, and one for
/// each tenant in the others. `only`: of this isolation.
#[must_use]
pub fn targets(settings: &Settings, only: Option<&IsolationName>) -> Vec<Masking> {
    let mut all = Vec::new();
    for (name, isolation) in &settings.isolations {
        let Some(masking) = &isolation.masking else {
            continue;
        };
        if only.is_some_and(|only| only != name) {
            continue;
        }
        if let IsolationKind::Setting { .. } = &isolation.kind {
            all.extend(shared(settings, (name, isolation), masking));
            continue;
        }
        let tenants = settings.tenants.iter();
        let tenants = tenants.filter(|tenant| tenant.isolation == *name);
        all.extend(tenants.filter_map(|tenant| own(settings, tenant, masking)));
    }
    all
}

/// The one of all tenants, on each server that has some of them.
fn shared(
    settings: &Settings,
    (name, isolation): (&IsolationName, &Isolation),
    masking: &config::Masking,
) -> Vec<Masking> {
    let IsolationKind::Setting {
        database,
        setting,
        seal,
        roles,
        ..
    } = &isolation.kind
    else {
        return Vec::new();
    };
    let Some(role) = &masking.role else {
        return Vec::new();
    };
    let tenants = settings.tenants.iter();
    let tenants = tenants.filter(|tenant| tenant.isolation == *name);
    let servers = tenants.map(|tenant| tenant.placement.endpoint.server.clone());
    let servers: BTreeSet<_> = servers.chain([isolation.server.clone()]).collect();
    let one = |server| {
        // Where each tenant has a role, that is a member of the one with the rights.
        let app = match roles {
            Some(roles) => roles.group.clone(),
            None => settings.servers.get(&server)?.user.clone(),
        };
        Some(Masking {
            what: format!("isolation \"{name}\""),
            app,
            server,
            database: database.clone(),
            role: role.name.clone(),
            password: Secret::new(&role.password),
            schema: masking.schema.clone(),
            schemas: None,
            setting: Some(setting.clone()),
            seal: seal.clone(),
            masks: masking.masks.clone(),
        })
    };
    servers.into_iter().filter_map(one).collect()
}

/// That of one tenant.
fn own(settings: &Settings, tenant: &Tenant, masking: &config::Masking) -> Option<Masking> {
    let place: &MaskedPlace = tenant.masked.as_deref()?;
    let (role, password) = place.role()?;
    let Endpoint { server, database } = tenant.placement.endpoint.clone();
    let app = match &tenant.placement.identity {
        Identity::Tenant(role) => role.name.clone(),
        Identity::Server | Identity::Masked(_) => settings.servers.get(&server)?.user.clone(),
    };
    let schemas = match &tenant.placement.attachment {
        Attachment::Schema { search_path } => Some(config::unquote(search_path)),
        Attachment::Setting { .. } | Attachment::Database => None,
    };
    let what = match tenant.name == tenant.id.as_str() {
        true => format!("tenant {}", tenant.id),
        false => format!("tenant {} ({})", tenant.name, tenant.id),
    };
    Some(Masking {
        what,
        server,
        database,
        app,
        role: Arc::clone(role),
        password: Secret::new(password),
        schema: place.schema.clone(),
        schemas,
        setting: None,
        seal: Seal::Off,
        masks: masking.masks.clone(),
    })
}
