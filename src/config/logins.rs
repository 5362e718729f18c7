//! `[[logins]]`

use super::profiles::Profiles;
use super::reader::{Entry, Section};
use super::servers::Servers;
use super::tenants::Tenants;
use super::{audit, limits};
use crate::directory::{CertificateName, DeclaredLogin, Method, NameKind, StandIns, Verifier};
use crate::problem::{Place, shown, suggestion};
use crate::tenant::{LoginLimits, LoginName, ServerName, TenantId};
use std::collections::HashMap;
use std::sync::Arc;

/// What logins can use, as other sections have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted {
    /// There is a section `[jwt.NAME]`.
    pub(super) tokens: bool,
    /// Clients are asked for a certificate.
    pub(super) certificates: bool,
}

/// What a login can name.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) servers: &'a Servers,
    pub(super) stand_ins: &'a StandIns,
    pub(super) profiles: &'a Profiles,
}

impl Named<'_> {
    /// Whether the clients of a tenant can be served on this server, as far as is known:
    /// of tenants that are known later it is looked then.
    pub(super) fn admit(
        &self,
        server: &ServerName,
        tenant: &TenantId,
        tenants: &Tenants,
    ) -> Result<(), String> {
        let is_known = |name| self.servers.valid.contains_key(name);
        match tenants.valid.get(tenant) {
            Some(tenant) if is_known(server) && is_known(&tenant.placement.endpoint.server) => {
                self.stand_ins.admit(server, tenant)
            }
            _ => Ok(()),
        }
    }
}

/// Reads the sections of files. With `more_tenants` there may be tenants that
/// are known later.
pub(super) fn read(
    sections: Vec<Section<'_>>,
    tenants: &Tenants,
    more_tenants: bool,
    named: Named<'_>,
    accepted: Accepted,
) -> Vec<DeclaredLogin> {
    let mut users = HashMap::new();
    let mut logins = Vec::new();
    for section in sections {
        let place = section.place();
        let user = |entry: &Entry<'_>| user_name(entry, &place, &mut users);
        let tenant = |entry: &Entry<'_>| tenant_id(entry, tenants, more_tenants);
        let admit = |server: &ServerName, tenant: &TenantId| named.admit(server, tenant, tenants);
        let refers = (named.servers, named.profiles);
        logins.extend(login(section, user, tenant, admit, refers, accepted));
    }
    logins
}

/// Reads the row of a query; `None` after a problem.
pub(super) fn read_row(
    section: Section<'_>,
    servers: &Servers,
    profiles: &Profiles,
    accepted: Accepted,
) -> Option<DeclaredLogin> {
    let user = |entry: &Entry<'_>| entry.text().map(LoginName::new);
    let tenant = |entry: &Entry<'_>| entry.text().map(TenantId::parse);
    let admit = |_: &ServerName, _: &TenantId| Ok(());
    login(section, user, tenant, admit, (servers, profiles), accepted)
}

fn login(
    mut section: Section<'_>,
    read_user: impl FnOnce(&Entry<'_>) -> Option<LoginName>,
    read_tenant: impl FnOnce(&Entry<'_>) -> Option<TenantId>,
    admit: impl Fn(&ServerName, &TenantId) -> Result<(), String>,
    (servers, profiles): (&Servers, &Profiles),
    accepted: Accepted,
) -> Option<DeclaredLogin> {
    let user = section.required("user", "the user name that the client logs in with");
    let user = user.and_then(|entry| read_user(&entry));
    let tenant = section.required("tenant", "the id of the login's tenant");
    let tenant = tenant.and_then(|entry| read_tenant(&entry));
    let named = section.optional("server");
    let methods = methods(&mut section, user.as_ref().map(LoginName::as_str), accepted);
    let audit = audit::statements(&mut section, "audit");
    let timeouts = limits::timeouts(&mut section);
    let profile = profiles.named(&mut section);
    let server = match named {
        Some(entry) => servers.find(&entry).map(Some),
        None => Some(profile.iter().flatten().find_map(|one| one.server.clone())),
    };
    if let (Some(Some(server)), Some(tenant)) = (&server, &tenant)
        && let Err(reason) = admit(server, tenant)
    {
        let entry = section.optional("server");
        let entry = entry.or_else(|| section.optional("profile"));
        entry.inspect(|entry| entry.refuse(reason));
    }
    section.finish();
    Some(DeclaredLogin {
        place: section.place(),
        user: user?,
        tenant: tenant?,
        server: server?,
        methods: Arc::from(methods?),
        limits: LoginLimits {
            own_audit: audit,
            own_timeouts: timeouts?.any().map(Arc::new),
            profile: profile?,
        },
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Scram,
    Jwt,
    OauthBearer,
    Certificate,
    CertificateAndScram,
}

/// Without it no client is asked for a certificate.
pub(super) const NO_CLIENT_CA: &str = "logging in with a client certificate needs tls.client_ca, \
     the PEM file with the authorities whose certificates are valid, and a tls.mode other than \
     \"off\"";

const METHODS: [(&str, Word); 5] = [
    ("scram", Word::Scram),
    ("jwt", Word::Jwt),
    ("oauthbearer", Word::OauthBearer),
    ("cert", Word::Certificate),
    ("cert+scram", Word::CertificateAndScram),
];

/// The keys of `[[logins]]`.
pub(super) const KEYS: [&str; 12] = [
    "user",
    "tenant",
    "server",
    "methods",
    "scram",
    "certificate",
    "audit",
    "statement_timeout",
    "idle_in_transaction_timeout",
    "transaction_timeout",
    "client_idle_timeout",
    "profile",
];

/// What the login accepts; by default what its other keys are for.
pub(super) fn methods(
    section: &mut Section<'_>,
    user: Option<&str>,
    accepted: Accepted,
) -> Option<Vec<Method>> {
    let words = match section.optional("methods") {
        Some(entry) => words(&entry, accepted)?,
        None if !section.has("scram") && section.has("certificate") => vec![Word::Certificate],
        None => vec![Word::Scram],
    };
    let any = |those: &[Word]| words.iter().any(|word| those.contains(word));
    let verifier = if any(&[Word::Scram, Word::CertificateAndScram]) {
        let verifier = section.required(
            "scram",
            "the SCRAM-SHA-256 verifier of the password; make one with `pgtenant verifier`",
        );
        verifier.and_then(|entry| scram(&entry)).map(Some)
    } else {
        section.refuse(
            "scram",
            "has no meaning without \"scram\" or \"cert+scram\" in `methods`",
        );
        Some(None)
    };
    let certificate = if any(&[Word::Certificate, Word::CertificateAndScram]) {
        if !accepted.certificates {
            section.refuse_section(NO_CLIENT_CA);
        }
        match section.optional("certificate") {
            Some(entry) => certificate_name(&entry),
            None => user.map(|user| CertificateName::CommonName(Arc::from(user))),
        }
        .map(Some)
    } else {
        section.refuse(
            "certificate",
            "has no meaning without \"cert\" or \"cert+scram\" in `methods`",
        );
        Some(None)
    };
    let (verifier, certificate) = (verifier?, certificate?);
    let method = |word| {
        Some(match word {
            Word::Scram => Method::Scram(verifier.clone()?),
            Word::Jwt => Method::Jwt,
            Word::OauthBearer => Method::OauthBearer,
            Word::Certificate => Method::Certificate(certificate.clone()?),
            Word::CertificateAndScram => {
                Method::CertificateAndScram(certificate.clone()?, verifier.clone()?)
            }
        })
    };
    words.into_iter().map(method).collect()
}

fn words(entry: &Entry<'_>, accepted: Accepted) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    for text in entry.texts()? {
        let Some((_, word)) = METHODS.iter().find(|(name, _)| *name == text) else {
            let near = suggestion(text, METHODS.iter().map(|(name, _)| *name));
            entry.refuse_hidden(format!("{} is no method; {near}", shown(text)));
            return None;
        };
        if matches!(word, Word::Jwt | Word::OauthBearer) && !accepted.tokens {
            entry.refuse_hidden(format!(
                "{} needs a section [jwt.NAME], which says whose tokens are accepted",
                shown(text)
            ));
            return None;
        }
        words.push(*word);
    }
    let others = [Word::Scram, Word::CertificateAndScram, Word::OauthBearer];
    if words.contains(&Word::Jwt) && words.iter().any(|word| others.contains(word)) {
        // The client is asked once, and a password asked for in clear would
        // give the SCRAM password away.
        entry.refuse_hidden(
            "\"jwt\" asks for the password itself and cannot stand beside \"scram\", \
             \"cert+scram\" or \"oauthbearer\": use two logins, or \"oauthbearer\" beside them",
        );
        return None;
    }
    Some(words)
}

/// `CN=…`, `URI:…`, `DNS:…` or `email:…`.
pub(super) fn certificate_name(entry: &Entry<'_>) -> Option<CertificateName> {
    let text = entry.text()?;
    for kind in NameKind::ALL {
        if let Some(name) = text.strip_prefix(kind.prefix())
            && !name.is_empty()
        {
            return Some(CertificateName::new(kind, name));
        }
    }
    entry.refuse("must be one of \"CN=…\", \"URI:…\", \"DNS:…\", \"email:…\"");
    None
}

/// A user name that no other login has.
fn user_name(
    entry: &Entry<'_>,
    place: &Place,
    users: &mut HashMap<LoginName, Place>,
) -> Option<LoginName> {
    let user = LoginName::new(entry.text()?);
    if let Some(other) = users.get(&user) {
        entry.refuse(format!("is the user of {other} already"));
        return None;
    }
    users.insert(user.clone(), place.clone());
    Some(user)
}

pub(super) fn tenant_id(
    entry: &Entry<'_>,
    tenants: &Tenants,
    more_tenants: bool,
) -> Option<TenantId> {
    let id = TenantId::parse(entry.text()?);
    if !more_tenants && !tenants.declared.contains(&id) {
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
