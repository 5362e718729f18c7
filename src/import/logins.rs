//! `[[logins]]` and `[[admins]]`

use super::document::Document;
use super::entries::Entry;
use super::main_section::Main;
use super::places::Places;
use super::sections::{asks_for_certificates, timeouts};
use super::servers::from;
use super::userlist::{Stored, User};
use super::{Source, UserList, values};
use crate::problem::Problem;
use std::collections::BTreeMap;
use std::time::Duration;

/// How PgBouncer has clients prove themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AuthType {
    Password,
    Plain,
    Certificate,
    Nothing,
    Rules,
    Elsewhere,
}

const AUTH_TYPES: [(&str, AuthType); 9] = [
    ("md5", AuthType::Password),
    ("scram-sha-256", AuthType::Password),
    ("plain", AuthType::Plain),
    ("cert", AuthType::Certificate),
    ("trust", AuthType::Nothing),
    ("any", AuthType::Nothing),
    ("hba", AuthType::Rules),
    ("ldap", AuthType::Elsewhere),
    ("pam", AuthType::Elsewhere),
];

/// What a login's `methods` are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    Password,
    Certificate,
    Both,
}

pub(super) fn logins(document: &mut Document, source: &mut Source<'_>) {
    let proof = proof(document, source);
    let verifies = asks_for_certificates(&source.main);
    let console = console_users(&source.main);
    let users = source.users;
    let named = source.main.text("auth_file").map(from);
    let named = named.map_or_else(String::new, |named| format!(" ({named})"));
    match users {
        UserList::Read(list, _) => document.comment(&format!("Users are those of {list}{named}.")),
        UserList::Unreadable(file) => document.comment(&format!(
            "The user list {file} cannot be read here{named}. Name it behind the ini file: \
             `pgtenant import pgbouncer.ini userlist.txt`."
        )),
        UserList::None => {}
    }
    let mut number = 0;
    for user in users.users() {
        let is_server_role = is_server_role(source, &user.name);
        let reason = if is_server_role {
            Some("It is the role that pgtenant logs in to PostgreSQL with, or reads users with.")
        } else if console.contains_key(user.name.as_str()) {
            Some("It is an administrator, below. If it uses databases too:")
        } else {
            reason_against(user, proof, verifies)
        };
        let settings = source.user_settings.iter();
        let login = Login {
            user,
            proof,
            reason,
            timeouts: settings
                .filter(|entry| entry.name() == user.name)
                .flat_map(|entry| own_timeouts(entry, source.problems))
                .collect(),
        };
        login.write(document, source.places, number);
        number += usize::from(reason.is_none());
    }
    if users.users().is_empty() {
        document.line("");
        document.comment("There is no user list. A login belongs to one tenant:");
        for line in ["[[logins]]", "user = \"acme_app\"", "tenant = \"acme\""] {
            document.line(&format!("# {line}"));
        }
        document.line("# scram = \"SCRAM-SHA-256$…\"  # pgtenant verifier");
    }
    query(document, source);
}

/// Tells how clients prove themselves now.
fn proof(document: &mut Document, source: &mut Source<'_>) -> Proof {
    let verifies = asks_for_certificates(&source.main);
    let found = source.main.word("auth_type", &AUTH_TYPES, source.problems);
    let (kind, origin) = match found {
        Some((kind, setting)) => (kind, from(setting)),
        None => (AuthType::Password, "auth_type was not set".to_owned()),
    };
    let note = match kind {
        AuthType::Password if verifies => {
            "Clients show a certificate with CN = user and the password besides (\"cert+scram\"). \
             Where the certificate has another name, give it as `certificate`."
        }
        AuthType::Password => "Passwords are checked by SCRAM-SHA-256 alone, not by MD5.",
        AuthType::Plain => "Passwords are not sent in clear text: they are checked by SCRAM.",
        AuthType::Certificate => "A client shows a certificate with CN = user, as before.",
        AuthType::Nothing => {
            "Nobody had to prove who he is. Here each login proves itself, since it alone says \
             whose the client is."
        }
        AuthType::Rules => {
            "The rules of auth_hba_file are not translated: give a tenant's networks in \
             `allowed`, and a login's proofs in `methods`."
        }
        AuthType::Elsewhere => {
            "LDAP and PAM are not offered: use passwords, certificates, or the tokens of an \
             identity provider ([jwt.NAME])."
        }
    };
    document.line("");
    document.comment(&format!("{note} ({origin})"));
    match kind {
        AuthType::Certificate => Proof::Certificate,
        _ if verifies => Proof::Both,
        _ => Proof::Password,
    }
}

/// Why the user cannot log in as it is.
fn reason_against(user: &User, proof: Proof, verifies: bool) -> Option<&'static str> {
    if proof == Proof::Certificate {
        return (!verifies).then_some(
            "A certificate is shown only where [tls] has a `client_ca` (client_tls_sslmode = \
             verify-full asked for one). Set it, or give the login a `scram`.",
        );
    }
    match user.secret {
        Stored::Scram(_) | Stored::Derived(_) => None,
        Stored::Md5 => Some(
            "It has an MD5 hash, of which no SCRAM verifier can be made. Let `pgtenant verifier` \
             make one of the password.",
        ),
        Stored::Damaged => Some(
            "What the list has begins like a SCRAM verifier and is none. Let `pgtenant verifier` \
             make one of the password.",
        ),
        Stored::Empty => {
            Some("It has no password. Let `pgtenant verifier` make a verifier of a new one.")
        }
    }
}

struct Login<'a> {
    user: &'a User,
    proof: Proof,
    /// Why it is a comment.
    reason: Option<&'static str>,
    /// Its limits of time, with where they come from.
    timeouts: Vec<(&'static str, String, String)>,
}

impl Login<'_> {
    fn write(&self, document: &mut Document, places: &Places<'_>, number: usize) {
        let mut login = Document::default();
        login.text("user", &self.user.name, &self.user.at.shown());
        let tenant = only_tenant(places);
        match tenant {
            Some(tenant) => login.text("tenant", tenant, ""),
            None if self.reason.is_some() => login.line("tenant = \"\""),
            None => {
                let path = format!("logins[{number}].tenant");
                login.decide(
                    &path,
                    &format!("whose is it?{}", guess(places, &self.user.name)),
                );
                login.line("# tenant = \"\"");
            }
        }
        match self.proof {
            Proof::Certificate => login.text("methods", "cert", ""),
            Proof::Both => login.text("methods", "cert+scram", ""),
            Proof::Password => {}
        }
        if self.proof != Proof::Certificate {
            scram(&mut login, self.user);
        }
        for (key, value, from) in &self.timeouts {
            login.text(key, value, from);
        }
        document.line("");
        if let Some(reason) = self.reason {
            document.comment(reason);
        }
        document.block("[[logins]]", login, self.reason.is_some());
    }
}

/// The limits of time that a line of `[users]` has. One of 0 is none.
fn own_timeouts(
    entry: &Entry<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<(&'static str, String, String)> {
    let mut own = Vec::new();
    for (old, key, most) in timeouts() {
        let Some(given) = entry.get(old) else {
            continue;
        };
        match values::seconds(given) {
            None => problems.push(entry.problem(old, "must be a number of seconds")),
            Some(length) if length.is_zero() => {}
            Some(length) => {
                let length = length.clamp(Duration::from_millis(100), most);
                let from = format!("{old}, {}", entry.setting.at.shown());
                own.push((key, values::duration(length), from));
            }
        }
    }
    own
}

/// The verifier of the user's password.
fn scram(document: &mut Document, user: &User) {
    match &user.secret {
        Stored::Scram(verifier) => document.text("scram", verifier, ""),
        Stored::Derived(verifier) => document.text("scram", verifier, "of the plain password"),
        Stored::Md5 | Stored::Damaged | Stored::Empty => {
            document.text("scram", "SCRAM-SHA-256$…", "pgtenant verifier");
        }
    }
}

/// The tenant that all logins must belong to, since there is no other.
fn only_tenant<'a>(places: &'a Places<'_>) -> Option<&'a str> {
    match places.databases.as_slice() {
        [one] if places.fallback.is_none() => one.entries.first().map(|entry| entry.name()),
        _ => None,
    }
}

/// A tenant whose name the user's begins with.
fn guess(places: &Places<'_>, user: &str) -> String {
    let databases = places.databases.iter();
    let is_like = |name: &str| {
        let rest = user.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '-', '.']))
    };
    let found = databases.filter_map(|one| {
        let id = one.entries.first()?.name();
        let mut names = one.entries.iter().map(|entry| entry.name());
        (is_like(one.name) || names.any(is_like)).then_some(id)
    });
    match found.max_by_key(|id| id.len()) {
        Some(id) => format!(" By its name, {id}'s."),
        None => String::new(),
    }
}

/// Whether PgBouncer itself used the account, and not its clients.
fn is_server_role(source: &Source<'_>, user: &str) -> bool {
    let mut entries = source.databases.iter();
    source.main.peek("auth_user") == Some(user)
        || entries.any(|entry| [entry.get("user"), entry.get("auth_user")].contains(&Some(user)))
}

/// Where users come from a query.
fn query(document: &mut Document, source: &mut Source<'_>) {
    let mut entries = source.databases.iter();
    let asks = source
        .main
        .peek("auth_user")
        .is_some_and(|user| !user.is_empty())
        || entries.any(|entry| entry.get("auth_user").is_some());
    if !asks {
        return;
    }
    let server = source.places.servers.first();
    let server = server.map_or("main", |server| server.name.as_str());
    document.line("");
    document.comment(
        "Users came from auth_query. A query here tells their tenants too: directory.sql makes \
         the tables that it needs, and config/directory-sql.toml is a whole example.",
    );
    for line in [
        "[directory.sql]",
        &format!("server = \"{server}\""),
        "database = \"tenant_directory\"",
        "user = \"tenant_directory\"",
        "password_file = \"tenant_directory.password\"",
        "logins = 'SELECT \"user\", tenant, scram FROM tenant_directory.logins'",
    ] {
        document.line(&format!("# {line}"));
    }
}

/// Who uses the console: the role, and the key that says so.
fn console_users<'a>(main: &Main<'a>) -> BTreeMap<&'a str, (&'static str, &'static str)> {
    let mut all = BTreeMap::new();
    for (key, role) in [("stats_users", "viewer"), ("admin_users", "operator")] {
        let names = main.peek(key).unwrap_or_default().split(',');
        let names = names.map(str::trim).filter(|name| !name.is_empty());
        all.extend(names.map(|name| (name, (role, key))));
    }
    all
}

pub(super) fn admins(document: &mut Document, source: &mut Source<'_>) {
    let console = console_users(&source.main);
    for key in ["admin_users", "stats_users"] {
        source.main.text(key);
    }
    for (name, (role, key)) in console {
        let listed = source.users.users().iter().find(|user| user.name == name);
        let proven = listed.filter(|user| reason_against(user, Proof::Password, false).is_none());
        let mut admin = Document::default();
        admin.text("user", name, "");
        admin.text("role", role, key);
        match proven {
            Some(user) => scram(&mut admin, user),
            None => admin.text("scram", "SCRAM-SHA-256$…", "pgtenant verifier"),
        }
        document.line("");
        document.comment(&match proven {
            Some(_) => format!("The console: dbname=pgtenant user={name}."),
            None => format!(
                "{name} has no verifier in the user list. Let `pgtenant verifier` make one of its \
                 password:"
            ),
        });
        document.block("[[admins]]", admin, proven.is_none());
    }
}
