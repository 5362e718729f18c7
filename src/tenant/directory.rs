//! The directory: from a login to its tenant.

use super::{LoginName, SharedTenant, Verifier};

use std::collections::HashMap;

/// An authenticated client: the login it used, and the tenant that the login
/// belongs to.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The login that was authenticated.
    pub login: LoginName,
    /// Its tenant.
    pub tenant: SharedTenant,
}

/// One login: what it proves itself with, and whose it is.
#[derive(Debug)]
struct Login {
    verifier: Verifier,
    principal: Principal,
}

/// All logins and their tenants.
#[derive(Debug, Default)]
pub struct Directory {
    logins: HashMap<Box<str>, Login>,
}

impl Directory {
    /// An empty directory, in which nobody can log in.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a login. A login of the same name is replaced.
    pub fn insert(&mut self, login: LoginName, verifier: Verifier, tenant: SharedTenant) {
        let key = Box::from(login.as_str());
        let principal = Principal { login, tenant };
        self.logins.insert(
            key,
            Login {
                verifier,
                principal,
            },
        );
    }

    /// The verifier of a login and who it is once the proof holds.
    #[must_use]
    pub fn find(&self, login: &str) -> Option<(&Verifier, &Principal)> {
        let found = self.logins.get(login)?;
        Some((&found.verifier, &found.principal))
    }

    /// How many logins there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.logins.len()
    }

    /// Whether nobody can log in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.logins.is_empty()
    }
}
