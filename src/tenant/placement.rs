//! Where a tenant's data is, and what must be attached to reach it.

use super::{MaskedRole, Seal, ServerName};
use aws_lc_rs::hmac;
use std::fmt;
use std::sync::Arc;

/// Where a tenant's data is and how the tenant is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The server and database to connect to.
    pub endpoint: Endpoint,
    /// What makes a connection to it the tenant's.
    pub attachment: Attachment,
    /// Whom the server connection logs in as.
    pub identity: Identity,
    /// Whether that role may be one that nothing keeps from other tenants' rows.
    pub allow_unprotected_role: bool,
    /// Whether masked data alone may be seen here.
    pub masked: bool,
}

impl Placement {
    /// Whether the tenant's role is a member of one that has the rights of all.
    #[must_use]
    pub fn has_member_role(&self) -> bool {
        matches!(self.identity, Identity::Tenant(_))
            && matches!(self.attachment, Attachment::Setting { .. })
    }
}

/// A database on a server: the unit that has a pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The server, by its name in the configuration.
    pub server: ServerName,
    /// The database's name.
    pub database: Arc<str>,
}

/// What makes a server connection the tenant's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attachment {
    /// A session setting that row-level-security policies read.
    Setting {
        /// The setting's name, such as `session.current_organization_id`.
        name: Arc<str>,
        /// The tenant's value of it.
        value: Arc<str>,
        /// What keeps a client from forging it.
        seal: Seal,
    },
    /// A schema of the tenant's own.
    Schema {
        /// The value of `search_path`, each element quoted.
        search_path: Arc<str>,
    },
    /// A database of the tenant's own: being connected to it is all.
    Database,
}

impl Attachment {
    /// Whether a session that was opened for a tenant attached like `self` falls back
    /// to a state in which one attached like `other` is shut out, too: the base value of
    /// a setting that carries tenants is given when a session begins, and another
    /// isolation's setting would fall back to an empty text.
    #[must_use]
    pub fn has_base_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Setting { name, .. }, Self::Setting { name: others, .. }) => name == others,
            (Self::Schema { .. }, Self::Schema { .. }) | (Self::Database, Self::Database) => true,
            _ => false,
        }
    }

    /// The search path that the tenant is attached by, each element quoted.
    #[must_use]
    pub fn search_path(&self) -> Option<&Arc<str>> {
        match self {
            Self::Schema { search_path } => Some(search_path),
            Self::Setting { .. } | Self::Database => None,
        }
    }
}

/// Whom a server connection logs in as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The user of the `[servers.NAME]` section, shared by tenants.
    Server,
    /// A role of the tenant's own.
    Tenant(TenantRole),
    /// The role of masked logins, shared by tenants.
    Masked(MaskedRole),
}

/// A role that belongs to one tenant, and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct TenantRole {
    /// The role's name.
    pub name: Arc<str>,
    /// The password: HMAC-SHA256(role key, role name), as lower-case
    /// hexadecimal digits.
    pub password: Arc<str>,
}

impl TenantRole {
    /// The role of this name with the password that `key` derives for it.
    #[must_use]
    pub fn derive(key: &[u8], name: &str) -> Self {
        use std::fmt::Write as _;

        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let mut password = String::with_capacity(64);
        for byte in hmac::sign(&key, name.as_bytes()).as_ref() {
            // Writing to a String does not fail.
            let _ = write!(password, "{byte:02x}");
        }
        Self {
            name: Arc::from(name),
            password: Arc::from(password),
        }
    }
}

impl fmt::Debug for TenantRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantRole")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
