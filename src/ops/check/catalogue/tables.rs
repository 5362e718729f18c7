//! Checks of tables.

use super::Check;
use super::Kind::Setting;
use super::Severity::{Error, Notice, Warning};

pub(in crate::ops::check) static NO_RLS: Check = Check {
    id: "PGT201",
    severity: Error,
    title: "a table with a tenant column has no row-level security",
    why: "Every tenant that can use the table sees and changes the rows of all.",
    heuristic: Some(
        "That a column holds tenants is learnt from policies that compare it with \
          the setting, from foreign keys to the table of the tenants, from columns of the same \
          name elsewhere, and where no policy tells anything from usual names such as tenant_id.",
    ),
    kind: Setting,
    sql: Some(include_str!("../sql/no_rls.sql")),
};

pub(in crate::ops::check) static RLS_DISABLED: Check = Check {
    id: "PGT202",
    severity: Error,
    title: "a table has policies, but row-level security is off",
    why: "CREATE POLICY alone does nothing: until row-level security is enabled on the table, \
          no policy is asked.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/rls_disabled.sql")),
};

pub(in crate::ops::check) static DIRECTORY: Check = Check {
    id: "PGT203",
    severity: Error,
    title: "the table of the tenants is itself not protected",
    why: "Who is a customer, and under which id, is not for other customers. Where clients may \
          write to it, one tenant can rename or delete another, and a foreign key with ON \
          DELETE CASCADE deletes all of its rows: policies do not stop that.",
    heuristic: Some(
        "It is the table that tenant columns refer to, whose primary key a policy \
          compares with the setting, or whose name fits (organizations for organization_id).",
    ),
    kind: Setting,
    sql: Some(include_str!("../sql/directory.sql")),
};

pub(in crate::ops::check) static CHILD: Check = Check {
    id: "PGT204",
    severity: Error,
    title: "a partition or child table can be named by clients, past the policies of its parent",
    why: "Policies are those of the table that the statement names. Access through the parent \
          needs no privilege on the partitions.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/child.sql")),
};

pub(in crate::ops::check) static FOREIGN_TABLE: Check = Check {
    id: "PGT205",
    severity: Error,
    title: "clients can use a foreign table",
    why: "Foreign tables have no row-level security: every tenant sees what the other server \
          shows.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/foreign_table.sql")),
};

pub(in crate::ops::check) static TRUNCATE: Check = Check {
    id: "PGT206",
    severity: Error,
    title: "clients may TRUNCATE a table that holds tenants' rows",
    why: "Row-level security does not apply to TRUNCATE: one tenant can remove the rows of all.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/truncate.sql")),
};

pub(in crate::ops::check) static TRIGGER_REFERENCES: Check = Check {
    id: "PGT207",
    severity: Warning,
    title: "clients may make triggers on, or references to, a table that holds tenants' rows",
    why: "A trigger runs in the sessions of other tenants. A foreign key is checked without \
          policies, and so tells whether a row of another tenant exists.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/trigger_references.sql")),
};

pub(in crate::ops::check) static NO_INDEX: Check = Check {
    id: "PGT208",
    severity: Notice,
    title: "a tenant column has no index that begins with it",
    why: "The policy is a condition on this column in every query. Without an index each query \
          reads the rows of all tenants, and how long it takes tells how many there are.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/no_index.sql")),
};

pub(in crate::ops::check) static SHARED_TABLE: Check = Check {
    id: "PGT209",
    severity: Notice,
    title: "a table is shared by all tenants",
    why: "It has no column that says whose a row is, and no row-level security. Tables \
          of countries or currencies are meant to be so; what tenants write into one, \
          all of them can read.",
    heuristic: Some("As for the tenant columns (PGT201)."),
    kind: Setting,
    sql: Some(include_str!("../sql/shared_table.sql")),
};

pub(in crate::ops::check) static REFERS_TO_TENANTS: Check = Check {
    id: "PGT210",
    severity: Error,
    title: "a table refers to the rows of tenants and has no row-level security",
    why: "Its rows are of those to whom the rows belong that they refer to, and every \
          tenant sees them all.",
    heuristic: Some("By its foreign keys."),
    kind: Setting,
    sql: Some(include_str!("../sql/refers_to_tenants.sql")),
};
