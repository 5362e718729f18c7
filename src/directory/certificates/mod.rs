//! Whose a client certificate is: from a name in it to a tenant.

mod name;
mod pattern;

pub use name::{CertificateName, NameKind};
pub(crate) use pattern::CertificatePattern;

use crate::tenant::{SharedProfile, TenantId};
use pattern::Slot;
use std::collections::HashMap;

/// The tenants of those certificates that belong to no login that is listed.
#[derive(Debug, Clone, Default)]
pub struct CertificateMap {
    table: HashMap<CertificateName, (TenantId, Option<SharedProfile>)>,
    rules: Vec<CertificateRule>,
}

/// A name with placeholders, and whose the certificates are that fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateRule {
    kind: NameKind,
    pattern: CertificatePattern,
    tenant: Option<TenantId>,
    profile: Option<SharedProfile>,
}

/// Whose a certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The tenant; it may be unknown to the directory.
    pub tenant: TenantId,
    /// The login: what `{login}` stood for, or else the name itself.
    pub login: String,
    /// What its clients may, if the entry says so.
    pub profile: Option<SharedProfile>,
}

/// Why no tenant has a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// No entry has one of its names.
    #[error("no entry of [[certificates]] fits the client certificate")]
    NoEntry,
    /// A name can be read in two ways.
    #[error("the placeholders of [[certificates]] fit the name {0:?} in more than one way")]
    Ambiguous(String),
    /// Its names belong to different tenants.
    #[error("the client certificate fits entries of [[certificates]] for more than one tenant")]
    SeveralTenants,
    /// Its names lead to different profiles.
    #[error("the client certificate fits entries of [[certificates]] with different profiles")]
    SeveralProfiles,
    /// The rule names the login, and the client asked for another.
    #[error("the client certificate is for the login {0:?}")]
    OtherLogin(String),
}

impl CertificateMap {
    /// Adds a name; one that is there already keeps its tenant.
    pub(crate) fn insert(
        &mut self,
        name: CertificateName,
        tenant: TenantId,
        profile: Option<SharedProfile>,
    ) {
        self.table.entry(name).or_insert((tenant, profile));
    }

    /// Adds a rule.
    pub(crate) fn insert_rule(&mut self, rule: CertificateRule) {
        self.rules.push(rule);
    }

    /// Whether the name is there.
    #[must_use]
    pub(crate) fn contains(&self, name: &CertificateName) -> bool {
        self.table.contains_key(name)
    }

    /// The profiles of its entries.
    pub(crate) fn profiles(&self) -> impl Iterator<Item = &SharedProfile> {
        let listed = self.table.values().filter_map(|(_, one)| one.as_ref());
        let ruled = self.rules.iter().filter_map(|rule| rule.profile.as_ref());
        listed.chain(ruled)
    }

    /// Whether there is no entry at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty() && self.rules.is_empty()
    }

    /// Whose the certificate with these names is, for a client that asks to be
    /// `user`. All that fits must be of one tenant and one profile.
    ///
    /// # Errors
    /// If that is not clear beyond doubt.
    pub fn find(&self, names: &[CertificateName], user: &str) -> Result<Holder, Misfit> {
        let mut found: Vec<Match<'_>> = Vec::new();
        for name in names {
            if let Some((tenant, profile)) = self.table.get(name) {
                found.push(Match {
                    name,
                    tenant: tenant.clone(),
                    login: None,
                    profile: profile.as_ref(),
                });
            }
            for rule in &self.rules {
                found.extend(rule.find(name)?);
            }
        }
        let Some(first) = found.first() else {
            return Err(Misfit::NoEntry);
        };
        if found.iter().any(|other| other.tenant != first.tenant) {
            return Err(Misfit::SeveralTenants);
        }
        if found.iter().any(|other| other.profile != first.profile) {
            return Err(Misfit::SeveralProfiles);
        }
        let asked = |found: &&Match<'_>| found.login.is_none_or(|login| login == user);
        let fitting = found.iter().find(asked).ok_or_else(|| {
            Misfit::OtherLogin(first.login.map(str::to_owned).unwrap_or_default())
        })?;
        Ok(Holder {
            tenant: fitting.tenant.clone(),
            login: match fitting.login {
                Some(login) => login.to_owned(),
                None => fitting.name.to_string(),
            },
            profile: fitting.profile.cloned(),
        })
    }
}

struct Match<'n> {
    name: &'n CertificateName,
    tenant: TenantId,
    login: Option<&'n str>,
    profile: Option<&'n SharedProfile>,
}

impl CertificateRule {
    /// A rule for names of this kind. The tenant is the one that is given, or
    /// else what `{tenant}` stands for; `None` unless exactly one of them is
    /// there.
    #[must_use]
    pub(crate) fn new(
        kind: NameKind,
        pattern: CertificatePattern,
        tenant: Option<TenantId>,
        profile: Option<SharedProfile>,
    ) -> Option<Self> {
        (pattern.names_tenant() != tenant.is_some()).then_some(Self {
            kind,
            pattern,
            tenant,
            profile,
        })
    }

    fn find<'n>(&'n self, name: &'n CertificateName) -> Result<Option<Match<'n>>, Misfit> {
        if name.kind() != self.kind {
            return Ok(None);
        }
        let readings = self.pattern.readings(name.as_str());
        let [reading] = &readings[..] else {
            return match readings.is_empty() {
                true => Ok(None),
                false => Err(Misfit::Ambiguous(name.to_string())),
            };
        };
        let value = |slot| reading.iter().find(|(s, _)| *s == slot).map(|(_, v)| *v);
        let named = value(Slot::Tenant).map(TenantId::parse);
        let tenant = self.tenant.clone().or(named);
        Ok(tenant.map(|tenant| Match {
            name,
            tenant,
            login: value(Slot::Login),
            profile: self.profile.as_ref(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> CertificateName {
        CertificateName::new(NameKind::Uri, text)
    }

    fn rule(pattern: &str, tenant: Option<&str>) -> CertificateMap {
        let pattern = CertificatePattern::parse(pattern).unwrap();
        let tenant = tenant.map(TenantId::parse);
        let mut map = CertificateMap::default();
        map.insert_rule(CertificateRule::new(NameKind::Uri, pattern, tenant, None).unwrap());
        map
    }

    fn holder(tenant: &str, login: &str) -> Result<Holder, Misfit> {
        Ok(Holder {
            tenant: TenantId::parse(tenant),
            login: login.to_owned(),
            profile: None,
        })
    }

    #[test]
    fn a_rule_fits_whole_names_without_a_slash_in_a_placeholder() {
        let map = rule("spiffe://example.com/org/{tenant}/{login}", None);
        let find = |name: &str| map.find(&[uri(name)], "app");
        assert_eq!(
            find("spiffe://example.com/org/acme/app"),
            holder("acme", "app")
        );
        for name in [
            "spiffe://example.com/org/acme",
            "spiffe://example.com/org/acme/",
            "spiffe://example.com/org//app",
            "spiffe://example.com/org/acme/app/",
            "spiffe://example.com/org/acme/x/app",
            "xspiffe://example.com/org/acme/app",
            "SPIFFE://example.com/org/acme/app",
            "spiffe://example.com/org/acme/app\n",
            "spiffe://example.com/org/ac\0me/app",
            "",
        ] {
            assert_eq!(find(name), Err(Misfit::NoEntry), "{name:?}");
        }
        let other_kind = CertificateName::new(NameKind::CommonName, "spiffe://example.com/org/a/b");
        assert_eq!(map.find(&[other_kind], "b"), Err(Misfit::NoEntry));
    }

    #[test]
    fn the_login_of_a_rule_must_be_the_user() {
        let map = rule("x/{tenant}/{login}", None);
        assert_eq!(
            map.find(&[uri("x/acme/app")], "other"),
            Err(Misfit::OtherLogin("app".into()))
        );
        let fixed = rule("x/{login}", Some("acme"));
        assert_eq!(fixed.find(&[uri("x/app")], "app"), holder("acme", "app"));
        // Two names of one certificate: the one that was asked for.
        let names = [uri("x/acme/a"), uri("x/acme/b")];
        assert_eq!(map.find(&names, "b"), holder("acme", "b"));
    }

    #[test]
    fn without_a_login_in_the_rule_the_name_is_the_login() {
        let map = rule("x/{tenant}", None);
        let uuid = "AAAAAAAA-1111-1111-1111-111111111111";
        let found = map.find(&[uri(&format!("x/{uuid}"))], "anybody");
        assert_eq!(
            found,
            holder(&uuid.to_lowercase(), &format!("URI:x/{uuid}"))
        );
    }

    #[test]
    fn names_of_several_tenants_are_refused() {
        let map = rule("x/{tenant}/{login}", None);
        let names = [uri("x/acme/app"), uri("x/globex/app")];
        assert_eq!(map.find(&names, "app"), Err(Misfit::SeveralTenants));
        // Also where only one of them names the login that was asked for.
        let names = [uri("x/acme/app"), uri("x/globex/other")];
        assert_eq!(map.find(&names, "app"), Err(Misfit::SeveralTenants));
        let mut map = map;
        map.insert(uri("x/acme/app"), TenantId::parse("initech"), None);
        assert_eq!(
            map.find(&[uri("x/acme/app")], "app"),
            Err(Misfit::SeveralTenants)
        );
    }

    #[test]
    fn a_name_that_can_be_read_in_two_ways_is_refused() {
        let map = rule("{login}.{tenant}.example.com", None);
        let find = |name: &str| map.find(&[uri(name)], "app");
        assert_eq!(find("app.acme.example.com"), holder("acme", "app"));
        assert!(matches!(
            find("app.acme.eu.example.com"),
            Err(Misfit::Ambiguous(_))
        ));
        let map = rule("{login}--{tenant}", None);
        assert!(matches!(
            map.find(&[uri("a---b")], "a"),
            Err(Misfit::Ambiguous(_))
        ));
    }

    #[test]
    fn a_rule_has_its_tenant_from_one_place() {
        let pattern = |text| CertificatePattern::parse(text).unwrap();
        let acme = TenantId::parse("acme");
        let new = |text, tenant| CertificateRule::new(NameKind::Dns, pattern(text), tenant, None);
        assert_eq!(new("{tenant}", Some(acme)), None);
        assert_eq!(new("{login}", None), None);
    }
}
