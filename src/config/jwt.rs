//! `[jwt.NAME]`

use super::profiles::Profiles;
use super::reader::{Entry, Section};
use super::{
    Ask, ClientTls, Issuer, JwksTls, JwksUrl, KeySource, Tokens, isolation, pem, token_profiles,
};
use crate::jwt::{ALGORITHMS, Algorithm, ClaimPath, Keys, Rules, name_of};
use crate::problem::{shown, suggestion};
use hyper::Uri;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

const SOURCES: [&str; 3] = ["jwks_url", "jwks_file", "key_file"];
/// The keys that say how keys are fetched.
const FETCHING: [&str; 4] = ["ca", "refresh", "refresh_floor", "fetch_timeout"];

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The issuers; `None` after a problem with one of them.
pub(super) fn read(
    root: &mut Section<'_>,
    tls: Option<&ClientTls>,
    profiles: &Profiles,
) -> Option<Tokens> {
    let mut issuers = Vec::new();
    let mut ask = None;
    let mut names = BTreeMap::new();
    let sections = root.sections("jwt");
    let count = sections.len();
    for (name, section) in sections {
        let Some(section) = section else { continue };
        if matches!(tls, Some(ClientTls::Off)) {
            section.refuse_section(
                "logging in with tokens needs TLS, for they are sent as they are: set tls.mode to \
                 \"require\" or \"allow\"",
            );
        }
        issuers.extend(issuer(&name, section, profiles, &mut names, &mut ask));
    }
    (issuers.len() == count).then(|| Tokens {
        issuers,
        ask: ask.unwrap_or_default(),
    })
}

fn issuer<'a>(
    name: &str,
    mut section: Section<'a>,
    profiles: &Profiles,
    names: &mut BTreeMap<&'a str, String>,
    ask: &mut Option<Ask>,
) -> Option<Issuer> {
    let issuer = section.required("issuer", "what the claim `iss` of the tokens says");
    let issuer = issuer.and_then(|entry| only_issuer(&entry, section.path(), names));
    let audience = section.required(
        "audience",
        "what the claim `aud` of the tokens must name: one text or a list",
    );
    let audiences = audience.and_then(|entry| entry.texts());
    let entry = section.optional("algorithms");
    let algorithms = match &entry {
        Some(entry) => algorithms(entry),
        None => Some(vec![Algorithm::RS256]),
    };
    let keys = keys(&mut section, algorithms.as_deref());
    let tenant = claim(&mut section, "tenant_claim", "org_id");
    let user = claim(&mut section, "user_claim", "sub");
    let leeway = duration(
        &mut section,
        "leeway",
        Duration::ZERO..=5 * 60 * SECOND,
        30 * SECOND,
    );
    let end_expired = boolean(&mut section, "end_expired");
    let user_must_match = boolean(&mut section, "user_must_match");
    let scope = match section.optional("scope") {
        Some(entry) => entry.text(),
        None => Some("openid"),
    };
    let asked = asked(&mut section, ask);
    let profile = match section.has("profile_claim") {
        true => claim(&mut section, "profile_claim", "").map(Some),
        false => Some(None),
    };
    let profiles = token_profiles::read(&mut section, profiles);
    section.finish();
    asked?;
    let rules = Rules::new(issuer?, &audiences?, &algorithms?, leeway?, tenant?, user?);
    Some(Issuer {
        name: name.to_owned(),
        rules: rules.naming_profiles(profile?),
        keys: keys?,
        end_expired: end_expired?,
        user_must_match: user_must_match?,
        scope: scope?.to_owned(),
        profiles: profiles?,
    })
}

/// An issuer that no other section has.
fn only_issuer<'a>(
    entry: &Entry<'a>,
    path: &str,
    names: &mut BTreeMap<&'a str, String>,
) -> Option<&'a str> {
    let issuer = entry.text()?;
    if let Some(other) = names.get(issuer) {
        entry.refuse(format!("is the issuer of {other} already"));
        return None;
    }
    names.insert(issuer, path.to_owned());
    Some(issuer)
}

fn algorithms(entry: &Entry<'_>) -> Option<Vec<Algorithm>> {
    let mut algorithms = Vec::new();
    for text in entry.texts()? {
        let Some((_, algorithm)) = ALGORITHMS.iter().find(|(name, _)| *name == text) else {
            let near = suggestion(text, ALGORITHMS.iter().map(|(name, _)| *name));
            entry.refuse_hidden(format!(
                "{} is no algorithm that can be accepted; {near}",
                shown(text)
            ));
            return None;
        };
        algorithms.push(*algorithm);
    }
    if algorithms.contains(&Algorithm::HS256) && algorithms.iter().any(|a| *a != Algorithm::HS256) {
        entry.refuse_hidden(
            "\"HS256\" has a shared secret and cannot stand beside algorithms with public keys: \
             whoever knows a public key could sign with it",
        );
        return None;
    }
    Some(algorithms)
}

/// Where the keys come from: one of three.
fn keys(section: &mut Section<'_>, algorithms: Option<&[Algorithm]>) -> Option<KeySource> {
    let [url, jwks, key] = SOURCES.map(|key| section.optional(key));
    let given: Vec<_> = SOURCES.into_iter().filter(|key| section.has(key)).collect();
    if given.len() != 1 {
        let what = match given.len() {
            0 => "has no keys: it needs one of jwks_url, jwks_file, key_file".to_owned(),
            _ => format!("has {}: keep one of them", given.join(" and ")),
        };
        section.refuse_section(what);
        return None;
    }
    if let Some(entry) = url {
        let source = fetched(section, &entry);
        no_secret(&entry, algorithms)?;
        return source.map(|source| KeySource::Fetched(Arc::new(source)));
    }
    for key in FETCHING {
        section.refuse(key, "has no meaning without jwks_url");
    }
    let (entry, keys) = if let Some(entry) = jwks {
        no_secret(&entry, algorithms)?;
        let keys = in_file(&entry, Keys::from_jwks)?;
        (entry, keys)
    } else {
        let entry = key?;
        let keys = match algorithms? {
            [Algorithm::HS256, ..] => secret(&entry)?,
            _ => in_file(&entry, Keys::from_pem)?,
        };
        (entry, keys)
    };
    let mut unfit = algorithms?
        .iter()
        .filter(|algorithm| !keys.has_for(**algorithm));
    if let Some(unfit) = unfit.next() {
        entry.refuse(format!(
            "no key in the file fits the algorithm {}: change `algorithms` or the file",
            name_of(*unfit)
        ));
        return None;
    }
    Some(KeySource::Fixed(Arc::new(keys)))
}

/// Notes that HS256 is for a key file alone.
fn no_secret(entry: &Entry<'_>, algorithms: Option<&[Algorithm]>) -> Option<()> {
    if algorithms?.contains(&Algorithm::HS256) {
        entry.refuse(
            "\"HS256\" has a shared secret, which must be in a key_file: a JWK set has public keys",
        );
        return None;
    }
    Some(())
}

fn in_file(
    entry: &Entry<'_>,
    parse: fn(&[u8]) -> Result<Keys, crate::jwt::KeysError>,
) -> Option<Keys> {
    let (path, bytes) = entry.file()?;
    let parsed = parse(&bytes);
    parsed
        .map_err(|error| entry.refuse(format!("{} {error}", path.display())))
        .ok()
}

/// The secret of HS256. What looks like a public key is none: everybody has it.
fn secret(entry: &Entry<'_>) -> Option<Keys> {
    let (path, bytes) = entry.file()?;
    if memchr::memmem::find(&bytes, b"-----BEGIN").is_some() || bytes.starts_with(b"{") {
        entry.refuse(format!(
            "{} has a key in PEM or JSON; \"HS256\" needs a shared secret alone in the file",
            path.display()
        ));
        return None;
    }
    if pem::readable_by_all(&path) {
        entry.refuse(format!(
            "every user of this machine can read the secret: chmod 600 {}",
            path.display()
        ));
    }
    isolation::key_bytes(bytes)
        .map(|secret| Keys::from_secret(&secret))
        .map_err(|reason| entry.refuse(format!("{} {reason}", path.display())))
        .ok()
}

fn fetched(section: &mut Section<'_>, entry: &Entry<'_>) -> Option<JwksUrl> {
    let url = entry.text().and_then(|text| address(entry, text));
    let ca = section.optional("ca");
    let is_tls = url.as_ref().map(|url| url.scheme_str() == Some("https"));
    let roots = match (&ca, is_tls) {
        (_, None) => None,
        (Some(ca), Some(false)) => {
            ca.refuse("has no meaning for an address that begins with http://");
            None
        }
        (None, Some(false)) => Some(None),
        (Some(ca), Some(true)) => pem::certificates(ca).map(Some),
        (None, Some(true)) => system_roots(entry).map(Some),
    };
    let refresh = duration(section, "refresh", SECOND..=DAY, 600 * SECOND);
    let floor = duration(section, "refresh_floor", SECOND..=HOUR, 5 * SECOND);
    let timeout = duration(section, "fetch_timeout", SECOND..=60 * SECOND, 5 * SECOND);
    let url = url?;
    // An IPv6 address stands in brackets.
    let host = url.host()?.trim_matches(['[', ']']).to_owned();
    let tls = match roots? {
        Some(roots) => Some(tls(ca.as_ref().unwrap_or(entry), &host, roots)?),
        None => None,
    };
    Some(JwksUrl {
        authority: url.authority()?.as_str().to_owned(),
        port: url
            .port_u16()
            .unwrap_or(if tls.is_some() { 443 } else { 80 }),
        path: url.path_and_query()?.as_str().to_owned(),
        host,
        tls,
        refresh: refresh?,
        refresh_floor: floor?,
        timeout: timeout?,
    })
}

/// An address that keys may be fetched from.
fn address(entry: &Entry<'_>, text: &str) -> Option<Uri> {
    let wrong = |reason: &str| {
        entry.refuse(reason);
        None
    };
    let url = match text.parse::<Uri>() {
        Ok(url) if url.host().is_some_and(|host| !host.is_empty()) => url,
        _ => {
            return wrong(
                "must be an address, such as \"https://issuer.example.com/.well-known/jwks.json\"",
            );
        }
    };
    if url
        .authority()
        .is_some_and(|part| part.as_str().contains('@'))
    {
        return wrong("must not have a user or password in it");
    }
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host.eq_ignore_ascii_case("localhost")
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback());
    match url.scheme_str() {
        Some("https") => Some(url),
        Some("http") if is_loopback => Some(url),
        Some("http") => wrong(
            "must begin with https://: whoever can change the answer on its way can make tokens \
             (http:// is for this machine alone)",
        ),
        _ => wrong("must begin with https://"),
    }
}

fn system_roots(entry: &Entry<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        entry.refuse(
            "this machine has no trusted certificates to verify the address with: install them \
             (package ca-certificates), or name a file in `ca`",
        );
        return None;
    }
    Some(found.certs)
}

fn tls(entry: &Entry<'_>, host: &str, roots: Vec<CertificateDer<'static>>) -> Option<JwksTls> {
    let Ok(name) = ServerName::try_from(host.to_owned()) else {
        entry.refuse("has no host name that a certificate could be for");
        return None;
    };
    let mut store = RootCertStore::empty();
    // Machines have single ones that cannot be used; they verify nothing.
    let (added, _) = store.add_parsable_certificates(roots.iter().cloned());
    if added == 0 {
        entry.refuse("has no certificate that can be used");
        return None;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .ok()?
        .with_root_certificates(store)
        .with_no_client_auth();
    Some(JwksTls {
        name,
        roots,
        config: Arc::new(config),
    })
}

fn claim(section: &mut Section<'_>, key: &str, default: &str) -> Option<ClaimPath> {
    let Some(entry) = section.optional(key) else {
        return Some(ClaimPath::parse(default));
    };
    let path = match entry.texts()?.as_slice() {
        [text] if !entry.is_list() => ClaimPath::parse(text),
        names => ClaimPath::new(names.iter().copied()),
    };
    if !path.is_usable() {
        entry.refuse("must be the name of a claim, or names with dots between: \"realm.org\"");
        return None;
    }
    Some(path)
}

/// How unlisted clients are asked; all sections must say the same.
fn asked(section: &mut Section<'_>, before: &mut Option<Ask>) -> Option<()> {
    let entry = section.optional("ask");
    let asked = match &entry {
        Some(entry) => entry.choice(&[
            ("password", Ask::Password),
            ("oauthbearer", Ask::OauthBearer),
        ])?,
        None => Ask::default(),
    };
    match before {
        Some(other) if *other != asked => {
            let reason = "the client is asked before its token is known: `ask` must be the same in \
                          all [jwt.NAME]";
            match entry {
                Some(entry) => entry.refuse(reason),
                None => section.refuse_section(reason),
            }
            None
        }
        _ => {
            *before = Some(asked);
            Some(())
        }
    }
}

fn duration(
    section: &mut Section<'_>,
    key: &str,
    range: RangeInclusive<Duration>,
    default: Duration,
) -> Option<Duration> {
    match section.optional(key) {
        Some(entry) => entry.duration(range),
        None => Some(default),
    }
}

fn boolean(section: &mut Section<'_>, key: &str) -> Option<bool> {
    match section.optional(key) {
        Some(entry) => entry.boolean(),
        None => Some(false),
    }
}
