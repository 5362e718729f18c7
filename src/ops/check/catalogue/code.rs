//! Checks of views, functions, triggers and what else runs code.

use super::Check;
use super::Kind::{Roles, Setting};
use super::Severity::{Error, Notice, Warning};

pub(in crate::ops::check) static VIEW: Check = Check {
    id: "PGT401",
    severity: Error,
    title: "a view shows tenants' rows past their policies",
    why: "A view reads its tables with the rights of its owner. Where policies do not bind the \
          owner, the view shows the rows of all tenants. With security_invoker (PostgreSQL 15) \
          it reads with the rights of the caller.",
    heuristic: Some("That the view has a condition of its own is not considered."),
    kind: Setting,
    sql: Some(include_str!("../sql/view.sql")),
};

pub(in crate::ops::check) static LEAKY_VIEW: Check = Check {
    id: "PGT402",
    severity: Warning,
    title: "a view keeps tenants apart by a condition that can be got around",
    why: "Without security_barrier, a function or operator in the query may be run before the \
          view's own condition, on the rows of other tenants.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/leaky_view.sql")),
};

pub(in crate::ops::check) static MATERIALIZED_VIEW: Check = Check {
    id: "PGT403",
    severity: Error,
    title: "a materialized view holds tenants' rows without policies",
    why: "Materialized views have no row-level security: everybody who can read one reads all \
          of it. Take the rights away, and offer a view over it that asks for the tenant.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/materialized_view.sql")),
};

pub(in crate::ops::check) static SETTING_VIEW: Check = Check {
    id: "PGT404",
    severity: Error,
    title: "a view changes settings",
    why: "A client that reads this view can make it set the tenant's setting, and the guard \
          sees a plain SELECT. Only the seal holds against this.",
    heuristic: Some("By the text of the view."),
    kind: Setting,
    sql: Some(include_str!("../sql/setting_view.sql")),
};

pub(in crate::ops::check) static DEFINER: Check = Check {
    id: "PGT405",
    severity: Error,
    title: "a SECURITY DEFINER function reads tenants' tables past their policies",
    why: "It runs with the rights of its owner, whom the policies do not bind.",
    heuristic: Some(
        "By the tables' names in its source. A function that asks for the tenant \
          itself is found too: look at it, and prefer SECURITY INVOKER.",
    ),
    kind: Setting,
    sql: Some(include_str!("../sql/definer.sql")),
};

pub(in crate::ops::check) static DEFINER_OTHER: Check = Check {
    id: "PGT406",
    severity: Warning,
    title: "a SECURITY DEFINER function runs with rights past the policies",
    why: "No protected table is named in its source, but it may reach one through other \
          functions, views or text.",
    heuristic: Some("By its source."),
    kind: Setting,
    sql: Some(include_str!("../sql/definer_other.sql")),
};

pub(in crate::ops::check) static DEFINER_PATH: Check = Check {
    id: "PGT407",
    severity: Warning,
    title: "a SECURITY DEFINER function looks names up in the caller's search_path",
    why: "The caller decides which table, function or operator a name means, and the function \
          uses it with its owner's rights. Give the function a search_path of its own and \
          qualify what lies elsewhere.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("../sql/definer_path.sql")),
};

pub(in crate::ops::check) static TEXT_FUNCTION: Check = Check {
    id: "PGT408",
    severity: Error,
    title: "clients can call a function that changes settings or runs text",
    why: "Through it a client may set the tenant's setting: the guard sees a harmless call. \
          Only the seal, or roles or databases of the tenants' own, hold against this.",
    heuristic: Some(
        "By its source: set_config, SET (also as a clause of the function), \
          EXECUTE, functions that run text, languages that are not trusted. Whether the text \
          can be chosen by the caller is not considered.",
    ),
    kind: Setting,
    sql: Some(include_str!("../sql/text_function.sql")),
};

pub(in crate::ops::check) static TEXT_TRIGGER: Check = Check {
    id: "PGT409",
    severity: Error,
    title: "clients can write to a table with a trigger that changes settings or runs text",
    why: "A row that the client writes makes the trigger run. It may set the tenant's setting: \
          the guard sees a harmless statement. Put what comes from a row into the text with \
          %I, %L or USING alone, or seal the tables (`pgtenant harden`): then the setting is \
          worthless to such code.",
    heuristic: Some("As for functions, by its source."),
    kind: Setting,
    sql: Some(include_str!("../sql/text_trigger.sql")),
};

pub(in crate::ops::check) static EXTENSION: Check = Check {
    id: "PGT410",
    severity: Error,
    title: "clients can call functions of an extension that runs text or reaches other servers",
    why: "Such functions open connections of their own, or run SQL that the guard does not see.",
    heuristic: Some("By the extensions' names."),
    kind: Roles,
    sql: Some(include_str!("../sql/extension.sql")),
};

pub(in crate::ops::check) static FOREIGN_SERVER: Check = Check {
    id: "PGT411",
    severity: Warning,
    title: "clients may use a foreign server or foreign-data wrapper",
    why: "With it a client can make foreign tables or mappings that reach other data, as \
          another role.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("../sql/foreign_server.sql")),
};

pub(in crate::ops::check) static STAT_STATEMENTS: Check = Check {
    id: "PGT412",
    severity: Warning,
    title: "clients can read pg_stat_statements",
    why: "It shows the statements of everybody who runs as the same role, which are all tenants \
          that share it, and texts of utility statements with their values.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("../sql/stat_statements.sql")),
};

pub(in crate::ops::check) static TEXT_OPERATOR: Check = Check {
    id: "PGT413",
    severity: Error,
    title: "an operator, aggregate or cast changes settings or runs text",
    why: "A statement that uses it calls the function behind it without naming it: no guard \
          that reads statements can see that. Only the seal holds against this.",
    heuristic: Some("As for functions, by the source of what is behind it."),
    kind: Setting,
    sql: Some(include_str!("../sql/text_operator.sql")),
};

pub(in crate::ops::check) static QUOTED_TEXT: Check = Check {
    id: "PGT414",
    severity: Notice,
    title: "a function or trigger runs text, of which names and values are quoted",
    why: "format with %I and %L, quote_ident and quote_literal keep what is put in \
          from becoming another statement. The caller may still choose which table or \
          row it is.",
    heuristic: Some("By its source."),
    kind: Setting,
    sql: Some(include_str!("../sql/quoted_text.sql")),
};

pub(in crate::ops::check) static DEFINER_OF_POLICY: Check = Check {
    id: "PGT415",
    severity: Notice,
    title: "a policy rests on a SECURITY DEFINER function",
    why: "It reads tables past their policies, so that the policy need not ask itself. \
          Whether it asks for the tenant in the right way is for a person to see: what \
          it gives away, every tenant gets.",
    heuristic: Some("By its source and that of the functions that it calls."),
    kind: Setting,
    sql: Some(include_str!("../sql/definer_of_policy.sql")),
};
