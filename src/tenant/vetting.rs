//! Whether the role of server connections is bound by what keeps tenants apart.

use super::{Attachment, OwnSession, Placement, Seal};
use std::fmt;
use std::sync::Arc;

/// What a role must not be, for the tenants of one isolation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vetting {
    /// It may be anything (`allow_unprotected_role`).
    allow: bool,
    /// Row-level security must bind it.
    policies: bool,
    /// The setting, where it is not sealed: no policy may ask for a seal then.
    unsealed: Option<Arc<str>>,
    /// Whose session it must be.
    own: Option<OwnSession>,
    /// It may read masked data alone.
    masked: bool,
}

impl Vetting {
    /// For a connection that serves nobody.
    #[must_use]
    pub fn none() -> Self {
        Self {
            allow: true,
            policies: false,
            unsealed: None,
            own: None,
            masked: false,
        }
    }
}

/// What a server says of the role that is logged in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// It is a superuser.
    pub superuser: bool,
    /// It has BYPASSRLS.
    pub bypasses: bool,
    /// A table with policies whose owner's rights it has, and that does not force
    /// row-level security.
    pub owned: Option<String>,
    /// Those of the settings asked for whose tables are sealed.
    pub sealed: Vec<String>,
    /// What keeps it from being the role of masked logins.
    pub clear: Option<String>,
}

/// Why tenants are not served over a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// It is a superuser.
    Superuser,
    /// It has BYPASSRLS.
    Bypasses,
    /// It has the rights of the owner of this table.
    Owns(String),
    /// Tables ask for a seal, and the configuration has none for this setting.
    Sealed(Arc<str>),
    /// The session is not that of the tenant's role.
    AnotherRole,
    /// A reset does not return to the tenant.
    AnotherTenant,
    /// Another tenant is stored for the role, in this setting.
    StoredTenant(Arc<str>),
    /// It is to see masked data alone, and this lets it see more.
    Clear(String),
}

impl Vetting {
    /// That of tenants whose isolation allows an unprotected role, or not; with the
    /// setting that row-level security goes by in kind `setting`, and its seal.
    #[must_use]
    pub fn new(allow: bool, setting: Option<(&Arc<str>, &Seal)>) -> Self {
        let unsealed = setting.filter(|(_, seal)| **seal == Seal::Off);
        Self {
            allow,
            policies: setting.is_some(),
            unsealed: unsealed.map(|(name, _)| name.clone()),
            own: None,
            masked: false,
        }
    }

    /// That of a tenant.
    #[must_use]
    pub fn of(placement: &Placement) -> Self {
        let setting = match &placement.attachment {
            Attachment::Setting { name, seal, .. } => Some((name, seal)),
            Attachment::Schema { .. } | Attachment::Database => None,
        };
        Self {
            own: OwnSession::of(placement),
            masked: placement.masked,
            ..Self::new(placement.allow_unprotected_role, setting)
        }
    }

    /// Whose session it must be, where a tenant has a role of its own.
    #[must_use]
    pub fn own(&self) -> Option<&OwnSession> {
        self.own.as_ref()
    }

    /// Whether it is asked what the role may read that is not masked.
    #[must_use]
    pub fn is_masked(&self) -> bool {
        self.masked
    }

    /// The setting, where it is not sealed: no policy may ask for a seal then.
    #[must_use]
    pub fn unsealed(&self) -> Option<&Arc<str>> {
        self.unsealed.as_ref()
    }

    /// Whether the server has to be asked: that a role is a superuser it says by
    /// itself.
    #[must_use]
    pub fn needs_query(&self) -> bool {
        self.masked || (self.policies && (!self.allow || self.unsealed.is_some()))
    }

    /// Why a role that is so is not fit; `None` if it is.
    #[must_use]
    pub fn judge(&self, found: &Found) -> Option<Unfit> {
        if !self.allow {
            if found.superuser {
                return Some(Unfit::Superuser);
            }
            if self.policies && found.bypasses {
                return Some(Unfit::Bypasses);
            }
            if let Some(table) = found.owned.as_ref().filter(|_| self.policies) {
                return Some(Unfit::Owns(table.clone()));
            }
        }
        if let Some(reason) = found.clear.as_ref().filter(|_| self.masked) {
            return Some(Unfit::Clear(reason.clone()));
        }
        let setting = self.unsealed.as_ref()?;
        let sealed = found.sealed.iter().any(|one| **one == **setting);
        sealed.then(|| Unfit::Sealed(setting.clone()))
    }
}

impl Found {
    /// Asks for all of it: one row of four columns in text form, as
    /// [`parse`](Self::parse) takes them. `settings`: those that may be sealed.
    #[must_use]
    pub fn query<'a>(settings: impl IntoIterator<Item = &'a str>) -> String {
        let quote = |setting: &str| format!("'{}'", setting.replace('\'', "''"));
        let settings: Vec<_> = settings.into_iter().map(quote).collect();
        let settings = format!("ARRAY[{}]::text[]", settings.join(", "));
        include_str!("vetting.sql").replace("@settings@", &settings)
    }

    /// Asks what lets the role that `reader` names in SQL read what is not masked: a row
    /// for each reason.
    #[must_use]
    pub fn clear_query(reader: &str) -> String {
        include_str!("clear.sql").replace("@reader@", reader)
    }

    /// Reads the row; `None` if it is not that of the query.
    #[must_use]
    pub fn parse(columns: &[Option<&str>]) -> Option<Self> {
        let &[Some(superuser), Some(bypasses), owned, sealed] = columns else {
            return None;
        };
        let sealed = sealed.unwrap_or_default().split(',');
        Some(Self {
            superuser: superuser == "t",
            bypasses: bypasses == "t",
            owned: owned.map(str::to_owned),
            sealed: sealed.map(str::to_owned).collect(),
            clear: None,
        })
    }
}

impl Unfit {
    /// What helps, for the log.
    #[must_use]
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Superuser => {
                "let `user` of the section [servers.NAME] be a role of its own: ALTER ROLE … NOSUPERUSER"
            }
            Self::Bypasses => "ALTER ROLE … NOBYPASSRLS",
            Self::Owns(_) => {
                "let another role own the table, or ALTER TABLE … FORCE ROW LEVEL SECURITY"
            }
            Self::Clear(_) => "run pgtenant mask again, which tells what is to be revoked",
            Self::Sealed(_) => {
                "set `seal` and `seal_key_file` in the section [isolation.NAME], or take the seal off: pgtenant harden --unseal-all"
            }
            Self::AnotherRole => {
                "let nothing between pgtenant and the server log in as somebody else"
            }
            Self::AnotherTenant => {
                "let nothing between pgtenant and the server change what connections begin with"
            }
            Self::StoredTenant(_) => {
                "see that the role is this tenant's; then ALTER ROLE … RESET the setting, and `pgtenant provision`"
            }
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Superuser => f.write_str("the role is a superuser: nothing keeps tenants apart"),
            Self::Bypasses => {
                f.write_str("the role has BYPASSRLS: row-level security does not bind it")
            }
            Self::Owns(table) => write!(
                f,
                "the role has the rights of the owner of {table}: row-level security does not bind it there"
            ),
            Self::Clear(reason) => write!(f, "the role is to see masked data alone, and {reason}"),
            Self::Sealed(setting) => write!(
                f,
                "tables of the database ask for a seal of {setting}, and the configuration has none: tenants would see no rows"
            ),
            Self::AnotherRole => f.write_str("the session is not that of the tenant's role"),
            Self::AnotherTenant => f.write_str("the session does not begin with the tenant"),
            Self::StoredTenant(setting) => write!(
                f,
                "another value of {setting} is stored for the role, or for the database, than the tenant's"
            ),
        }
    }
}
