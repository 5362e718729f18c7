//! `[admin]` and `[[admins]]`

use super::logins::{self, Accepted};
use super::reader::{Entry, Section};
use super::{Admin, AdminHttp, AdminLogin, AdminRole, ClientTls, Secret, listen};
use crate::directory::Method;
use crate::tenant::LoginName;
use std::collections::BTreeMap;
use std::sync::Arc;

const SERIES: u32 = 1000;
const MOST_SERIES: u32 = 100_000;
/// The fewest bytes of a token: it is all that keeps strangers out.
const SHORTEST_TOKEN: usize = 16;
/// What can be read without a proof.
const OPEN: [&str; 3] = ["/livez", "/readyz", "/metrics"];

pub(super) fn read(
    mut section: Section<'_>,
    admins: Vec<Section<'_>>,
    tls: Option<&ClientTls>,
) -> Admin {
    let verifies = tls.is_none_or(ClientTls::verifies_clients);
    let admin = Admin {
        http: http(&mut section, tls),
        console: match section.optional("console") {
            Some(entry) => listen::addresses(&entry),
            None => Vec::new(),
        },
        series: section
            .optional("tenant_series")
            .and_then(|entry| entry.integer(1..=MOST_SERIES))
            .unwrap_or(SERIES) as usize,
        logins: logins(admins, verifies),
    };
    section.finish();
    admin
}

fn http(section: &mut Section<'_>, tls: Option<&ClientTls>) -> Option<AdminHttp> {
    let address = section.optional("address");
    let clear = section
        .optional("tls")
        .and_then(|entry| entry.choice(&[("require", false), ("off", true)]));
    let token = section
        .optional("token_file")
        .and_then(|entry| token(&entry));
    let public = match section.optional("public") {
        Some(entry) => public(&entry),
        None => vec![Arc::from("/livez"), Arc::from("/readyz")],
    };
    let Some(entry) = address else {
        for key in ["tls", "token_file", "public"] {
            section.refuse(key, "has no meaning without admin.address");
        }
        return None;
    };
    let addresses = listen::addresses(&entry);
    let is_local = addresses.iter().all(|address| address.ip().is_loopback());
    let own = tls.and_then(ClientTls::certificates);
    let tls = match (clear, own) {
        (Some(true), _) => None,
        (Some(false), None) => {
            if tls.is_some() {
                section.refuse(
                    "tls",
                    "needs tls.certificate and tls.key, which are shown here too",
                );
            }
            None
        }
        (None, None) if !is_local => {
            if tls.is_some() {
                entry.refuse(
                    "would be in clear text, since tls.mode = \"off\": use a loopback address, \
                     or allow it with admin.tls = \"off\"",
                );
            }
            None
        }
        (_, own) => own.cloned(),
    };
    Some(AdminHttp {
        addresses,
        tls,
        token,
        public,
    })
}

fn token(entry: &Entry<'_>) -> Option<Secret> {
    let (path, bytes) = entry.file()?;
    let text = String::from_utf8(bytes).ok();
    let token = text.as_deref().map(str::trim).unwrap_or_default();
    if token.len() < SHORTEST_TOKEN || token.contains(|c: char| !c.is_ascii_graphic()) {
        entry.refuse(format!(
            "{} must hold one line of at least {SHORTEST_TOKEN} visible ASCII characters",
            path.display()
        ));
        return None;
    }
    Some(Secret::new(token))
}

fn public(entry: &Entry<'_>) -> Vec<Arc<str>> {
    let mut public = Vec::new();
    for text in entry.texts().into_iter().flatten() {
        match OPEN.contains(&text) {
            true => public.push(Arc::from(text)),
            false => entry.refuse("can hold \"/livez\", \"/readyz\" and \"/metrics\""),
        }
    }
    public
}

fn logins(sections: Vec<Section<'_>>, certificates: bool) -> BTreeMap<LoginName, AdminLogin> {
    let mut admins = BTreeMap::new();
    for mut section in sections {
        let user = section.required("user", "the name that the administrator logs in with");
        let user = user.and_then(|entry| {
            let user = LoginName::new(entry.text()?);
            if admins.contains_key(&user) {
                entry.refuse("is the user of another of [[admins]] already");
            }
            Some(user)
        });
        let role = section
            .optional("role")
            .and_then(|entry| {
                entry.choice(&[
                    ("viewer", AdminRole::Viewer),
                    ("operator", AdminRole::Operator),
                ])
            })
            .unwrap_or(AdminRole::Viewer);
        let accepted = Accepted {
            tokens: true,
            certificates,
        };
        let name = user.as_ref().map(LoginName::as_str);
        let methods = logins::methods(&mut section, name, accepted).unwrap_or_default();
        let by_token = |method: &Method| matches!(method, Method::Jwt | Method::OauthBearer);
        if methods.iter().any(by_token) {
            section.refuse(
                "methods",
                "can hold \"scram\", \"cert\" and \"cert+scram\" for an administrator",
            );
        }
        section.finish();
        if let Some(user) = user {
            let methods = Arc::from(methods);
            admins.insert(user, AdminLogin { role, methods });
        }
    }
    admins
}
