//! Checks of databases where tenants have schemas.

use super::Check;
use super::Kind::Schema;
use super::Severity::Error;

pub(in crate::ops::check) static SCHEMA_MISSING: Check = Check {
    id: "PGT701",
    severity: Error,
    title: "a tenant's schema does not exist",
    why: "The search_path skips it without an error: names are then looked up in the shared \
          schemas.",
    heuristic: None,
    kind: Schema,
    sql: Some(include_str!("../sql/schema_missing.sql")),
};

pub(in crate::ops::check) static OTHER_SCHEMA: Check = Check {
    id: "PGT702",
    severity: Error,
    title: "a tenant's role can use another tenant's schema",
    why: "A qualified name is enough to reach what lies in it.",
    heuristic: None,
    kind: Schema,
    sql: Some(include_str!("../sql/other_schema.sql")),
};

pub(in crate::ops::check) static PUBLIC_SCHEMA: Check = Check {
    id: "PGT703",
    severity: Error,
    title: "a tenant's schema is open to every role",
    why: "A qualified name is enough for another tenant to reach what lies in it and is granted \
          to PUBLIC, such as every function.",
    heuristic: None,
    kind: Schema,
    sql: Some(include_str!("../sql/public_schema.sql")),
};

pub(in crate::ops::check) static ROLE_OF_OTHER: Check = Check {
    id: "PGT704",
    severity: Error,
    title: "a tenant's role is a member of another tenant's role",
    why: "It has that role's rights, or can become it with SET ROLE.",
    heuristic: None,
    kind: Schema,
    sql: Some(include_str!("../sql/role_of_other.sql")),
};
