//! Whose a client certificate is: from a name in it to a tenant.

use super::{CertificateName, TenantId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// What kind of name it is that a certificate was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// `CN=`: the common name of the subject.
    CommonName,
    /// `URI:`: a subject alternative name of type URI.
    Uri,
    /// `DNS:`: one of type DNS.
    Dns,
    /// `email:`: one of type email (rfc822Name).
    Email,
}

impl NameKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::CommonName, Self::Uri, Self::Dns, Self::Email];

    /// What stands before a name of this kind in the configuration.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::CommonName => "CN=",
            Self::Uri => "URI:",
            Self::Dns => "DNS:",
            Self::Email => "email:",
        }
    }
}

impl CertificateName {
    /// A name of this kind.
    #[must_use]
    pub fn new(kind: NameKind, text: &str) -> Self {
        let text = Arc::from(text);
        match kind {
            NameKind::CommonName => Self::CommonName(text),
            NameKind::Uri => Self::Uri(text),
            NameKind::Dns => Self::Dns(text),
            NameKind::Email => Self::Email(text),
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> NameKind {
        match self {
            Self::CommonName(_) => NameKind::CommonName,
            Self::Uri(_) => NameKind::Uri,
            Self::Dns(_) => NameKind::Dns,
            Self::Email(_) => NameKind::Email,
        }
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::CommonName(text) | Self::Uri(text) | Self::Dns(text) | Self::Email(text) => text,
        }
    }
}

/// As the configuration spells it: `CN=…`, `URI:…`, `DNS:…`, `email:…`.
impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().prefix())?;
        f.write_str(self.as_str())
    }
}

/// The tenants of those certificates that belong to no login that is listed.
#[derive(Debug, Clone, Default)]
pub struct CertificateMap {
    table: HashMap<CertificateName, TenantId>,
    rules: Vec<CertificateRule>,
}

/// A name with placeholders, and whose the certificates are that fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRule {
    kind: NameKind,
    pattern: Pattern,
    tenant: Option<TenantId>,
}

/// A text with `{tenant}` and `{login}` in it. Each stands for one or more
/// characters without `/`; the pattern fits whole names alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// What stands before, between and behind the placeholders.
    literals: Vec<Box<str>>,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Tenant,
    Login,
}

/// Whose a certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The tenant; it may be unknown to the directory.
    pub tenant: TenantId,
    /// The login: what `{login}` stood for, or else the name itself.
    pub login: String,
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
    /// The rule names the login, and the client asked for another.
    #[error("the client certificate is for the login {0:?}")]
    OtherLogin(String),
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Braces with something else in them, or without a partner.
    #[error("only {{tenant}} and {{login}} may stand in braces")]
    Placeholder,
    /// A placeholder twice.
    #[error("a placeholder may stand in it only once")]
    Twice,
    /// Placeholders without anything between.
    #[error("something must stand between {{tenant}} and {{login}}, such as \"/\"")]
    Adjacent,
}

impl CertificateMap {
    /// Adds a name; one that is there already keeps its tenant.
    pub fn insert(&mut self, name: CertificateName, tenant: TenantId) {
        self.table.entry(name).or_insert(tenant);
    }

    /// Adds a rule.
    pub fn insert_rule(&mut self, rule: CertificateRule) {
        self.rules.push(rule);
    }

    /// Whether the name is there.
    #[must_use]
    pub fn contains(&self, name: &CertificateName) -> bool {
        self.table.contains_key(name)
    }

    /// Whether there is no entry at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty() && self.rules.is_empty()
    }

    /// Whose the certificate with these names is, for a client that asks to be
    /// `user`. All that fits must be of one tenant.
    ///
    /// # Errors
    /// If that is not clear beyond doubt.
    pub fn find(&self, names: &[CertificateName], user: &str) -> Result<Holder, Misfit> {
        let mut found: Vec<Found<'_>> = Vec::new();
        for name in names {
            if let Some(tenant) = self.table.get(name) {
                found.push(Found {
                    name,
                    tenant: tenant.clone(),
                    login: None,
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
        let asked = |found: &&Found<'_>| found.login.is_none_or(|login| login == user);
        let fitting = found.iter().find(asked).ok_or_else(|| {
            Misfit::OtherLogin(first.login.map(str::to_owned).unwrap_or_default())
        })?;
        Ok(Holder {
            tenant: fitting.tenant.clone(),
            login: match fitting.login {
                Some(login) => login.to_owned(),
                None => fitting.name.to_string(),
            },
        })
    }
}

struct Found<'n> {
    name: &'n CertificateName,
    tenant: TenantId,
    login: Option<&'n str>,
}

impl CertificateRule {
    /// A rule for names of this kind. The tenant is the one that is given, or
    /// else what `{tenant}` stands for; `None` unless exactly one of them is
    /// there.
    #[must_use]
    pub fn new(kind: NameKind, pattern: Pattern, tenant: Option<TenantId>) -> Option<Self> {
        (pattern.names_tenant() != tenant.is_some()).then_some(Self {
            kind,
            pattern,
            tenant,
        })
    }

    fn find<'n>(&self, name: &'n CertificateName) -> Result<Option<Found<'n>>, Misfit> {
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
        Ok(tenant.map(|tenant| Found {
            name,
            tenant,
            login: value(Slot::Login),
        }))
    }
}

type Reading<'n> = Vec<(Slot, &'n str)>;

impl Pattern {
    /// Parses the text.
    ///
    /// # Errors
    /// Says what is not a pattern about it.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (mut literals, mut slots) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(PatternError::Placeholder)?;
            let slot = match name {
                "tenant" => Slot::Tenant,
                "login" => Slot::Login,
                _ => return Err(PatternError::Placeholder),
            };
            if slots.contains(&slot) {
                return Err(PatternError::Twice);
            }
            if before.is_empty() && !slots.is_empty() {
                return Err(PatternError::Adjacent);
            }
            literals.push(literal(before)?);
            slots.push(slot);
            rest = after;
        }
        literals.push(literal(rest)?);
        Ok(Self { literals, slots })
    }

    /// Whether there is a placeholder in it.
    #[must_use]
    pub fn has_placeholders(&self) -> bool {
        !self.slots.is_empty()
    }

    /// Whether `{tenant}` is in it.
    #[must_use]
    pub fn names_tenant(&self) -> bool {
        self.slots.contains(&Slot::Tenant)
    }

    /// All ways in which the pattern fits the name.
    fn readings<'n>(&self, name: &'n str) -> Vec<Reading<'n>> {
        let inner = |first: &str, last: &str| name.strip_prefix(first)?.strip_suffix(last);
        match (&self.literals[..], &self.slots[..]) {
            ([whole], []) if **whole == *name => vec![Vec::new()],
            ([first, last], [slot]) => match inner(first, last) {
                Some(value) if is_value(value) => vec![vec![(*slot, value)]],
                _ => Vec::new(),
            },
            ([first, between, last], [a, b]) => {
                let Some(inner) = inner(first, last) else {
                    return Vec::new();
                };
                let cuts = inner.char_indices().filter_map(|(at, _)| {
                    let (left, right) = inner.split_at_checked(at)?;
                    let right = right.strip_prefix(&**between)?;
                    (is_value(left) && is_value(right)).then(|| vec![(*a, left), (*b, right)])
                });
                cuts.collect()
            }
            _ => Vec::new(),
        }
    }
}

fn literal(text: &str) -> Result<Box<str>, PatternError> {
    if text.contains('}') {
        return Err(PatternError::Placeholder);
    }
    Ok(Box::from(text))
}

/// What a placeholder may stand for.
fn is_value(text: &str) -> bool {
    !text.is_empty() && !text.contains('/') && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn uri(text: &str) -> CertificateName {
        CertificateName::new(NameKind::Uri, text)
    }

    fn rule(pattern: &str, tenant: Option<&str>) -> CertificateMap {
        let pattern = Pattern::parse(pattern).unwrap();
        let tenant = tenant.map(TenantId::parse);
        let mut map = CertificateMap::default();
        map.insert_rule(CertificateRule::new(NameKind::Uri, pattern, tenant).unwrap());
        map
    }

    fn holder(tenant: &str, login: &str) -> Result<Holder, Misfit> {
        Ok(Holder {
            tenant: TenantId::parse(tenant),
            login: login.to_owned(),
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
        map.insert(uri("x/acme/app"), TenantId::parse("initech"));
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
    fn what_is_not_a_pattern_is_refused() {
        for (text, error) in [
            ("{tenants}", PatternError::Placeholder),
            ("{", PatternError::Placeholder),
            ("}", PatternError::Placeholder),
            ("a}{tenant}", PatternError::Placeholder),
            ("{tenant}}", PatternError::Placeholder),
            ("{{tenant}}", PatternError::Placeholder),
            ("{tenant}/{tenant}", PatternError::Twice),
            ("{tenant}{login}", PatternError::Adjacent),
        ] {
            assert_eq!(Pattern::parse(text), Err(error), "{text}");
        }
        // A rule has its tenant from one place.
        let pattern = |text| Pattern::parse(text).unwrap();
        let acme = TenantId::parse("acme");
        let new = |text, tenant| CertificateRule::new(NameKind::Dns, pattern(text), tenant);
        assert_eq!(new("{tenant}", Some(acme)), None);
        assert_eq!(new("{login}", None), None);
    }

    proptest! {
        #[test]
        fn what_a_rule_reads_makes_the_name_again(name in "[abx./-]{0,12}") {
            for text in ["{tenant}", "a{tenant}", "{tenant}.{login}", "x/{login}/{tenant}b", "{tenant}-x-{login}"] {
                let pattern = Pattern::parse(text).unwrap();
                for reading in pattern.readings(&name) {
                    let mut made = text.to_owned();
                    for (slot, value) in reading {
                        prop_assert!(is_value(value));
                        let placeholder = if slot == Slot::Tenant { "{tenant}" } else { "{login}" };
                        made = made.replace(placeholder, value);
                    }
                    prop_assert_eq!(&made, &name);
                }
            }
        }
    }
}
