//! Checks of policies.

use super::Check;
use super::Kind::{Sealed, Setting, Unsealed};
use super::Severity::{Error, Notice, Warning};

pub(in crate::ops::check) static OR_POLICY: Check = Check {
    id: "PGT301",
    severity: Error,
    title: "a policy lets rows of other tenants through",
    why: "Permissive policies are joined with OR: the rows that this one lets through are seen \
          in addition to the tenant's own. Make it ask for the tenant too, or make it \
          restrictive.",
    heuristic: Some(
        "A policy without the setting whose subquery reads another protected table \
          is trusted.",
    ),
    kind: Setting,
    sql: Some(include_str!("../sql/or_policy.sql")),
};

pub(in crate::ops::check) static OPEN_POLICY: Check = Check {
    id: "PGT302",
    severity: Error,
    title: "a policy lets every row through while no tenant is set",
    why: "A session without a tenant must see nothing. Here a lost or reset setting shows \
          everything.",
    heuristic: Some(
        "The condition is tried, in a transaction that is rolled back, on a made-up \
          row with the setting unset and empty. Conditions that call functions of your own are \
          not run, but searched for IS NULL OR and the like.",
    ),
    kind: Setting,
    sql: None,
};

pub(in crate::ops::check) static WITH_CHECK: Check = Check {
    id: "PGT303",
    severity: Error,
    title: "a policy lets rows be written for other tenants",
    why: "Its WITH CHECK does not ask for the tenant: a client can plant rows in another \
          tenant's data.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/with_check.sql")),
};

pub(in crate::ops::check) static NULL_TENANT: Check = Check {
    id: "PGT304",
    severity: Warning,
    title: "a policy shows rows that have no tenant to everybody",
    why: "This may be meant (shared rows). If it is not, a row that was written without a \
          tenant is in the data of all of them.",
    heuristic: Some("The condition is tried, as above, on a row whose columns are all NULL."),
    kind: Setting,
    sql: None,
};

pub(in crate::ops::check) static PER_ROW: Check = Check {
    id: "PGT305",
    severity: Notice,
    title: "a policy reads the setting again for each row",
    why: "Written as (SELECT current_setting(…)) PostgreSQL reads it once for each query, which \
          is several times faster on large scans.",
    heuristic: Some("By the text of the policy."),
    kind: Setting,
    sql: Some(include_str!("../sql/per_row.sql")),
};

pub(in crate::ops::check) static UNSEALED: Check = Check {
    id: "PGT306",
    severity: Error,
    title: "a table is not sealed, although the configuration has a seal",
    why: "Who can change the setting, through code in the database that no guard sees into, \
          sees the rows of another tenant in this table. `pgtenant harden` seals the tables \
          whose policies read the setting; run it again after adding one.",
    heuristic: None,
    kind: Sealed,
    sql: Some(include_str!("../sql/unsealed.sql")),
};

pub(in crate::ops::check) static SEAL_KEY: Check = Check {
    id: "PGT307",
    severity: Error,
    title: "the database does not take what the configuration seals with",
    why: "The proxy cannot attach a tenant: the database was not hardened, or for another seal, \
          or with another key than that of `seal_key_file`. `pgtenant harden` makes them fit; to \
          change a key while clients work, use `pgtenant harden --rotate` first.",
    heuristic: None,
    kind: Sealed,
    sql: None,
};

pub(in crate::ops::check) static NO_READER: Check = Check {
    id: "PGT308",
    severity: Error,
    title: "no policy reads the configured setting",
    why: "The proxy says in this setting who the tenant is, and nothing in the \
          database asks for it: no tenant is kept from the rows of another, or none \
          sees any. Is it another setting that the policies read, or another database \
          that they are in?",
    heuristic: Some("By the text of policies, of the functions that they call, and of views."),
    kind: Setting,
    sql: Some(include_str!("../sql/no_reader.sql")),
};

pub(in crate::ops::check) static CUTS: Check = Check {
    id: "PGT309",
    severity: Error,
    title: "a policy compares a part of the tenant's id",
    why: "A cast such as ::varchar(4) cuts what is longer without an error: the tenant \
          acme-europe sees the rows of acme.",
    heuristic: None,
    kind: Setting,
    sql: None,
};

pub(in crate::ops::check) static MAY_CUT: Check = Check {
    id: "PGT310",
    severity: Notice,
    title: "a policy compares a part of the tenant's id, which no id is longer than now",
    why: "A cast such as ::varchar(36) cuts what is longer without an error. Two \
          tenants whose ids begin alike would see each other's rows.",
    heuristic: None,
    kind: Setting,
    sql: None,
};

pub(in crate::ops::check) static TRUE_POLICY: Check = Check {
    id: "PGT311",
    severity: Notice,
    title: "a policy shows all rows of a table to every tenant",
    why: "USING (true) is right for a table that is meant to be shared. Its rows are \
          in the data of all.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/true_policy.sql")),
};

pub(in crate::ops::check) static WRONG_TYPE: Check = Check {
    id: "PGT312",
    severity: Error,
    title: "a tenant's id is not of the type of the column that holds it",
    why: "Every statement of this tenant fails, or finds no rows.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/wrong_type.sql")),
};

pub(in crate::ops::check) static SEALED: Check = Check {
    id: "PGT313",
    severity: Error,
    title: "the database asks for a seal, and the configuration has none",
    why: "The policies of `pgtenant harden` show no rows to a session without a seal. The proxy \
          does not serve such tenants: logins are refused with 55000. Set `seal` and \
          `seal_key_file`, or take the seal off.",
    heuristic: None,
    kind: Unsealed,
    sql: Some(include_str!("../sql/sealed.sql")),
};
