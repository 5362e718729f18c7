//! Checks of what masked logins may see.

use super::Check;
use super::Kind::Masked;
use super::Severity::{Error, Warning};

pub(in crate::ops::check) static CLEAR: Check = Check {
    id: "PGT901",
    severity: Error,
    title: "a masked login could read what is not masked",
    why: "The role of masked logins may read the masked views alone, and row-level security must \
          bind the owner of the views. pgtenant serves no masked login over another role.",
    heuristic: None,
    kind: Masked,
    sql: None,
};

pub(in crate::ops::check) static NOT_MADE: Check = Check {
    id: "PGT902",
    severity: Error,
    title: "a mask of the configuration is not in the database",
    why: "Masked logins see what `pgtenant mask` has made. Run it again after a change of the \
          masks, and after a migration.",
    heuristic: None,
    kind: Masked,
    sql: None,
};

pub(in crate::ops::check) static DEFINER: Check = Check {
    id: "PGT903",
    severity: Warning,
    title: "a masked login may call a function that runs with the rights of its owner",
    why: "It can read tables that the login may not, and return what is masked. PUBLIC may call \
          every new function: take that away, and grant it to the application's role.",
    heuristic: Some("Whether the function reads such a table is not looked at."),
    kind: Masked,
    sql: None,
};

pub(in crate::ops::check) static PERSONAL: Check = Check {
    id: "PGT904",
    severity: Warning,
    title: "a masked login sees a column as it is whose name is that of personal data",
    why: "Give it a [[mask]], or leave it out with `ignore` of [check].",
    heuristic: Some("By the names of columns."),
    kind: Masked,
    sql: None,
};
