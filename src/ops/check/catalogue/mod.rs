//! The table of all checks. Their ids are stable: an id that is gone is not used
//! again.

pub(super) mod code;
pub(super) mod configuration;
pub(super) mod keys;
pub(super) mod masking;
pub(super) mod members;
pub(super) mod policies;
pub(super) mod roles;
pub(super) mod schemas;
pub(super) mod surroundings;
pub(super) mod tables;

use super::finding::Severity;

/// A check: what it is about. What it found is a [`Finding`](super::Finding).
#[derive(Debug)]
pub struct Check {
    /// Its stable id: `PGT101`.
    pub id: &'static str,
    /// How much a finding of it matters.
    pub severity: Severity,
    /// What is wrong where it finds something.
    pub title: &'static str,
    /// Why that matters, and what to do.
    pub why: &'static str,
    /// Where it can err, because it goes by names or text; `None` where it goes
    /// by PostgreSQL's catalogs alone.
    pub heuristic: Option<&'static str>,
    pub(super) kind: Kind,
    /// What lists its findings (object, detail, fix), behind `sql/prelude`.
    /// `None` for what is told in Rust.
    pub(super) sql: Option<&'static str>,
}

/// What a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The configuration alone.
    Configuration,
    /// A server's version.
    Server,
    /// The roles that clients' statements run as, in every layout.
    Roles,
    /// A database where a setting says who the tenant is.
    Setting,
    /// The same, where the configuration seals this setting.
    Sealed,
    /// The same, where it does not.
    Unsealed,
    /// A database where tenants have schemas and roles.
    Schema,
    /// A database that several tenants share.
    Shared,
    /// A database that belongs to one tenant.
    Database,
    /// The roles of tenants that share tables.
    Member,
    /// The views and the role of masked logins.
    Masked,
}

/// All checks, by id.
pub static CHECKS: [&Check; 84] = [
    &configuration::GUARD_REPORTS,
    &configuration::OPAQUE,
    &configuration::SERVER_CLEAR_TEXT,
    &configuration::SERVER_UNVERIFIED,
    &configuration::NO_TENANT_ROLE,
    &configuration::CHANNELS,
    &configuration::CLIENT_CLEAR_TEXT,
    &configuration::OPAQUE_SHARED_ROLE,
    &configuration::FILES,
    &configuration::CERTIFICATE_ENDS,
    &configuration::SHARED_ROLE,
    &roles::ROLE_MISSING,
    &roles::SUPERUSER,
    &roles::BYPASSRLS,
    &roles::OWNER,
    &roles::MEMBER_OF_BYPASSER,
    &roles::PREDEFINED_ROLE,
    &roles::ATTRIBUTES,
    &roles::DEFAULT_TENANT,
    &tables::NO_RLS,
    &tables::RLS_DISABLED,
    &tables::DIRECTORY,
    &tables::CHILD,
    &tables::FOREIGN_TABLE,
    &tables::TRUNCATE,
    &tables::TRIGGER_REFERENCES,
    &tables::NO_INDEX,
    &tables::SHARED_TABLE,
    &tables::REFERS_TO_TENANTS,
    &policies::OR_POLICY,
    &policies::OPEN_POLICY,
    &policies::WITH_CHECK,
    &policies::NULL_TENANT,
    &policies::PER_ROW,
    &policies::UNSEALED,
    &policies::SEAL_KEY,
    &policies::NO_READER,
    &policies::CUTS,
    &policies::MAY_CUT,
    &policies::TRUE_POLICY,
    &policies::WRONG_TYPE,
    &policies::SEALED,
    &code::VIEW,
    &code::LEAKY_VIEW,
    &code::MATERIALIZED_VIEW,
    &code::SETTING_VIEW,
    &code::DEFINER,
    &code::DEFINER_OTHER,
    &code::DEFINER_PATH,
    &code::TEXT_FUNCTION,
    &code::TEXT_TRIGGER,
    &code::EXTENSION,
    &code::FOREIGN_SERVER,
    &code::STAT_STATEMENTS,
    &code::TEXT_OPERATOR,
    &code::QUOTED_TEXT,
    &code::DEFINER_OF_POLICY,
    &keys::UNIQUE_KEYS,
    &keys::PRIMARY_KEY,
    &keys::FOREIGN_KEY,
    &keys::DIRECTORY_KEYS,
    &surroundings::TEMP,
    &surroundings::CREATE_IN_SCHEMA,
    &surroundings::HOLES,
    &surroundings::UNMAINTAINED,
    &surroundings::CONNECT,
    &surroundings::CONNECTIONS,
    &schemas::SCHEMA_MISSING,
    &schemas::OTHER_SCHEMA,
    &schemas::PUBLIC_SCHEMA,
    &schemas::ROLE_OF_OTHER,
    &members::STORED_OTHER,
    &members::UNSTORED,
    &members::MEMBER_OF_OTHER,
    &members::MEMBER_OF_NONE,
    &members::MEMBER_OWNS,
    &members::MEMBER_RIGHTS,
    &members::MEMBER_PASSWORD,
    &members::GROUP_LOGS_IN,
    &members::MAY_STORE,
    &masking::CLEAR,
    &masking::NOT_MADE,
    &masking::DEFINER,
    &masking::PERSONAL,
];

/// The check with this id, in either case.
#[must_use]
pub fn find(id: &str) -> Option<&'static Check> {
    CHECKS
        .into_iter()
        .find(|check| check.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::CHECKS;

    #[test]
    fn ids_are_unique_and_in_order() {
        assert!(CHECKS.is_sorted_by(|a, b| a.id < b.id));
    }
}
