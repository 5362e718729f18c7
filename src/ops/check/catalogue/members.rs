//! Checks of databases where tenants share tables, and each has a role.

use super::Check;
use super::Kind::Member;
use super::Severity::{Error, Notice, Warning};

pub(in crate::ops::check) static STORED_OTHER: Check = Check {
    id: "PGT801",
    severity: Error,
    title: "a tenant's role begins its sessions as another tenant",
    why: "The proxy refuses such a role. On Citus the workers open sessions as the role: they \
          would show the other tenant's rows.",
    heuristic: None,
    kind: Member,
    sql: Some(include_str!("../sql/member_tenant.sql")),
};

pub(in crate::ops::check) static UNSTORED: Check = Check {
    id: "PGT802",
    severity: Notice,
    title: "a tenant's role does not begin its sessions as the tenant",
    why: "The proxy states the tenant at each login, so its sessions return to it in any case. \
          Sessions that others open as the role see nothing, such as those of Citus on the \
          workers. `pgtenant provision` stores the tenant.",
    heuristic: None,
    kind: Member,
    sql: Some(include_str!("../sql/member_unstored.sql")),
};

pub(in crate::ops::check) static MEMBER_OF_OTHER: Check = Check {
    id: "PGT803",
    severity: Error,
    title: "a tenant's role is a member of another role than the one that has the rights",
    why: "It has that role's rights, sees its sessions, and can become it with SET ROLE.",
    heuristic: None,
    kind: Member,
    sql: Some(include_str!("../sql/member_of_other.sql")),
};

pub(in crate::ops::check) static MEMBER_OF_NONE: Check = Check {
    id: "PGT804",
    severity: Warning,
    title: "a tenant's role has not got the rights of role_group",
    why: "The tenant's statements fail, and policies for role_group do not apply to it.",
    heuristic: None,
    kind: Member,
    sql: Some(include_str!("../sql/member_of_none.sql")),
};

pub(in crate::ops::check) static MEMBER_OWNS: Check = Check {
    id: "PGT805",
    severity: Error,
    title: "a tenant's role owns what lasts",
    why: "Policies do not apply to the owner of a table, and a function or view of the tenant's \
          own may be run by others. Let the role that owns the tables own it, and let tenants' \
          roles have no CREATE right.",
    heuristic: None,
    kind: Member,
    sql: Some(include_str!("../sql/member_owns.sql")),
};

pub(in crate::ops::check) static MEMBER_RIGHTS: Check = Check {
    id: "PGT806",
    severity: Warning,
    title: "a tenant's role has rights beside those of role_group",
    why: "What the other checks tell of rights is about role_group. Grant what tenants need to \
          that role, and revoke it from this one.",
    heuristic: None,
    kind: Member,
    sql: Some(include_str!("../sql/member_rights.sql")),
};

pub(in crate::ops::check) static MEMBER_PASSWORD: Check = Check {
    id: "PGT807",
    severity: Error,
    title: "a tenant's role has another password than the one that is derived for it",
    why: "The proxy cannot log in as the role, and somebody else may know its password. \
          `pgtenant provision` sets the derived one. This is looked at where the passwords' \
          verifiers can be read: by a superuser.",
    heuristic: None,
    kind: Member,
    sql: None,
};

pub(in crate::ops::check) static GROUP_LOGS_IN: Check = Check {
    id: "PGT808",
    severity: Warning,
    title: "the role of which tenants' roles are members can log in",
    why: "Who knows its password reads every tenant's rows, by choosing the setting. And its \
          members may see and end its sessions: those of tenants that share it, and of the proxy \
          itself. Once no tenant shares it any more, give [servers.NAME] a user of its own, \
          without rights, and let role_group be NOLOGIN.",
    heuristic: None,
    kind: Member,
    sql: None,
};

pub(in crate::ops::check) static MAY_STORE: Check = Check {
    id: "PGT809",
    severity: Error,
    title: "tenants' roles may store the setting that says who the tenant is",
    why: "Code that runs a text can store another tenant for the role then (ALTER ROLE \
          CURRENT_USER SET). The proxy refuses such a role; sessions that others open as it, \
          such as those of Citus on the workers, are the other tenant's.",
    heuristic: None,
    kind: Member,
    sql: None,
};
