//! What a reload has changed, for the log: names, and nothing secret.

use crate::directory::{Directory, Login};
use crate::tenant::ServerName;
use std::fmt;
use std::sync::Arc;

/// What differs between two configurations.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The tenants.
    pub tenants: Difference,
    /// The logins.
    pub logins: Difference,
    /// The keys that say something else now, or the sections that came or went.
    pub keys: Vec<String>,
}

/// What differs between two lists of names.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Difference {
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
}

impl Difference {
    /// The most names of each that are shown.
    const MOST: usize = 10;

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            ("added", &self.added),
            ("removed", &self.removed),
            ("changed", &self.changed),
        ];
        let mut separator = "";
        for (what, names) in kinds.into_iter().filter(|(_, names)| !names.is_empty()) {
            let shown = names.iter().take(Self::MOST).map(String::as_str);
            let shown = shown.collect::<Vec<_>>().join(", ");
            let more = if names.len() > Self::MOST {
                ", …"
            } else {
                ""
            };
            write!(f, "{separator}{} {what} ({shown}{more})", names.len())?;
            separator = ", ";
        }
        Ok(())
    }
}

/// The server that the login is for, if that is not its tenant's.
fn elsewhere<'d>(directory: &Directory, login: &'d Login) -> Option<&'d ServerName> {
    let tenant = &login.principal.tenant;
    let server = &tenant.placement.endpoint.server;
    let own = directory.tenant(&tenant.id)?;
    (own.placement.endpoint.server != *server).then_some(server)
}

impl Changes {
    /// What `now` has otherwise than `before`, whose unchanged tenants it shares.
    pub(super) fn of_directory(before: &Directory, now: &Directory) -> Self {
        let mut changes = Self::default();
        for tenant in now.tenants() {
            let name = tenant.id.as_str();
            match before.tenant(&tenant.id) {
                None => changes.tenants.added.push(name.to_owned()),
                Some(old) if !Arc::ptr_eq(old, tenant) && old != tenant => {
                    changes.tenants.changed.push(name.to_owned());
                }
                Some(_) => {}
            }
        }
        let gone = before.tenants().filter(|old| now.tenant(&old.id).is_none());
        let gone = gone.map(|old| old.id.as_str().to_owned());
        changes.tenants.removed.extend(gone);
        for login in now.logins() {
            let name = login.principal.login.as_str();
            match before.find(name) {
                None => changes.logins.added.push(name.to_owned()),
                Some(old)
                    if old.principal.tenant.id != login.principal.tenant.id
                        || elsewhere(before, old) != elsewhere(now, login)
                        || old.principal.limits != login.principal.limits
                        || old.methods != login.methods =>
                {
                    changes.logins.changed.push(name.to_owned());
                }
                Some(_) => {}
            }
        }
        let names = before.logins().map(|old| old.principal.login.as_str());
        let gone = names.filter(|name| now.find(name).is_none());
        changes.logins.removed.extend(gone.map(str::to_owned));
        for difference in [&mut changes.tenants, &mut changes.logins] {
            difference.added.sort();
            difference.removed.sort();
            difference.changed.sort();
        }
        changes
    }
}
