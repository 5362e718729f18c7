//! Checks of the roles that clients' statements run as.

use super::Check;
use super::Kind::{Roles, Setting};
use super::Severity::{Error, Warning};

pub(in crate::ops::check) static ROLE_MISSING: Check = Check {
    id: "PGT100",
    severity: Error,
    title: "a role of the configuration does not exist",
    why: "The tenants that use it cannot connect.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("../sql/role_missing.sql")),
};

pub(in crate::ops::check) static SUPERUSER: Check = Check {
    id: "PGT101",
    severity: Error,
    title: "clients run as a superuser",
    why: "Row-level security and privileges do not exist for a superuser. Nothing keeps tenants \
          apart.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("../sql/superuser.sql")),
};

pub(in crate::ops::check) static BYPASSRLS: Check = Check {
    id: "PGT102",
    severity: Error,
    title: "clients run as a role with BYPASSRLS",
    why: "No policy applies to such a role: every tenant sees the rows of all.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("../sql/bypassrls.sql")),
};

pub(in crate::ops::check) static OWNER: Check = Check {
    id: "PGT103",
    severity: Error,
    title: "clients run as the owner of a table that holds tenants' rows",
    why: "Policies do not apply to the owner of a table unless they are forced, and an owner \
          can switch them off or drop them. Let another role own the tables.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/owner.sql")),
};

pub(in crate::ops::check) static MEMBER_OF_BYPASSER: Check = Check {
    id: "PGT104",
    severity: Error,
    title: "clients run as a member of a role to which policies do not apply",
    why: "A member can become that role with SET ROLE. The guard refuses this statement; code \
          in the database that runs text is not asked.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("../sql/member_of_bypasser.sql")),
};

pub(in crate::ops::check) static PREDEFINED_ROLE: Check = Check {
    id: "PGT105",
    severity: Error,
    title: "clients run as a member of a predefined role that reaches past the tenant",
    why: "These roles read or write all tables or the server's files, see or cancel the queries \
          of others, or more.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("../sql/predefined_role.sql")),
};

pub(in crate::ops::check) static ATTRIBUTES: Check = Check {
    id: "PGT106",
    severity: Warning,
    title: "clients run as a role that can make roles, databases or copies of the server",
    why: "An application needs none of it. A role with CREATEROLE can give itself more; one \
          with REPLICATION can copy all data.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("../sql/attributes.sql")),
};

pub(in crate::ops::check) static DEFAULT_TENANT: Check = Check {
    id: "PGT107",
    severity: Error,
    title: "a role or database sets the tenant's setting by default",
    why: "A session that no tenant was attached to must see nothing. With a default it sees \
          this tenant, and RESET returns to it.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/default_tenant.sql")),
};
