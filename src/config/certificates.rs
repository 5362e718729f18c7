//! `[[certificates]]`

use super::logins::{Accepted, NO_CLIENT_CA, Named, certificate_name, tenant_id};
use super::reader::Section;
use super::tenants::Tenants;
use crate::directory::{CertificateMap, CertificatePattern, CertificateRule, no_masking};

/// The entries; `accepted` tells whether clients are asked for a certificate. With
/// `more_tenants` there may be tenants that are known later.
pub(super) fn read(
    root: &mut Section<'_>,
    tenants: &Tenants,
    more_tenants: bool,
    named: Named<'_>,
    accepted: Accepted,
) -> CertificateMap {
    let mut map = CertificateMap::default();
    for section in root.tables("certificates") {
        if !accepted.certificates {
            section.refuse_section(NO_CLIENT_CA);
        }
        entry(section, tenants, more_tenants, named, &mut map);
    }
    map
}

/// Reads one entry; `None` after a problem.
fn entry(
    mut section: Section<'_>,
    tenants: &Tenants,
    more_tenants: bool,
    named: Named<'_>,
    map: &mut CertificateMap,
) -> Option<()> {
    let what = "the name in the certificate, such as \"CN=…\" or \"URI:…\"";
    let matched = section.required("match", what);
    let name = matched.as_ref().and_then(certificate_name);
    let pattern = match (&matched, &name) {
        (Some(entry), Some(name)) => CertificatePattern::parse(name.as_str())
            .map_err(|e| entry.refuse(e.to_string()))
            .ok(),
        _ => None,
    };
    let profile = named.profiles.named(&mut section);
    if pattern
        .as_ref()
        .is_some_and(CertificatePattern::names_tenant)
    {
        section.refuse("tenant", "has no meaning beside {tenant} in `match`");
        section.finish();
        let rule = CertificateRule::new(name?.kind(), pattern?, None, profile?)?;
        map.insert_rule(rule);
        return Some(());
    }
    let tenant = match pattern {
        Some(_) => section.required("tenant", "the id of the tenant; or {tenant} in `match`"),
        None => section.optional("tenant"),
    };
    let tenant = tenant.and_then(|entry| tenant_id(&entry, tenants, more_tenants));
    if let (Some(Some(profile)), Some(tenant)) = (&profile, &tenant)
        && let Some(server) = &profile.server
        && let Err(reason) = named.admit(server, tenant, tenants)
    {
        let entry = section.optional("profile");
        entry.inspect(|entry| entry.refuse(reason));
    }
    if let (Some(Some(profile)), Some(tenant)) = (&profile, &tenant)
        && let Some(tenant) = tenants.valid.get(tenant)
        && profile.masked
        && tenant.masked.is_none()
    {
        let entry = section.optional("profile");
        entry.inspect(|entry| entry.refuse(no_masking(tenant)));
    }
    section.finish();
    let (matched, name, pattern, profile) = (matched?, name?, pattern?, profile?);
    if pattern.has_placeholders() {
        let rule = CertificateRule::new(name.kind(), pattern, Some(tenant?), profile)?;
        map.insert_rule(rule);
    } else if map.contains(&name) {
        matched.refuse("is the name of another entry already");
    } else {
        map.insert(name, tenant?, profile);
    }
    Some(())
}
