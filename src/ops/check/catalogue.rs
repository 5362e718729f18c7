//! The table of all checks. Their ids are stable: an id that is gone is not used
//! again.

use super::finding::Severity::{self, Error, Notice, Warning};
use Kind::{Configuration, Database, Roles, Schema, Sealed, Server, Setting, Shared, Unsealed};

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
    /// What lists its findings (object, detail, fix), behind `sql/prelude.sql`.
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
}

pub(super) static GUARD_REPORTS: Check = Check {
    id: "PGT001",
    severity: Error,
    title: "the guard only reports",
    why: "With guard.mode = \"report\" statements that leave the tenant are logged and then \
          run. Nothing is isolated.",
    heuristic: None,
    kind: Configuration,
    sql: None,
};

pub(super) static OPAQUE: Check = Check {
    id: "PGT002",
    severity: Error,
    title: "code that the guard cannot see into is let through",
    why: "With opaque = \"allow\" a client can send DO blocks and make functions. Such \
          code can change the setting or the search_path that says who the tenant is, and no \
          statement shows it.",
    heuristic: None,
    kind: Configuration,
    sql: None,
};

pub(super) static SERVER_CLEAR_TEXT: Check = Check {
    id: "PGT003",
    severity: Error,
    title: "the connection to a server of another machine is not encrypted",
    why: "Everybody on the way can read and change the data of all tenants, and take over the \
          login.",
    heuristic: None,
    kind: Configuration,
    sql: None,
};

pub(super) static SERVER_UNVERIFIED: Check = Check {
    id: "PGT004",
    severity: Warning,
    title: "the server's certificate is not verified",
    why: "Somebody who can redirect the connection can pose as the server: tls = \"require\" \
          encrypts, and does not ask for whom.",
    heuristic: None,
    kind: Configuration,
    sql: None,
};

pub(super) static NO_TENANT_ROLE: Check = Check {
    id: "PGT005",
    severity: Error,
    title: "tenants with a schema each share one role",
    why: "The search_path is a convenience, not a wall. With one role for all, a qualified \
          name, or a function with a search_path of its own, reaches every other tenant's \
          schema. Give each tenant a role: pgtenant logs in as it.",
    heuristic: None,
    kind: Configuration,
    sql: None,
};

pub(super) static CHANNELS: Check = Check {
    id: "PGT006",
    severity: Warning,
    title: "channels between tenants are open",
    why: "With channels = \"allow\" tenants of one role can see each other's NOTIFY, wait \
          for each other's advisory locks, cancel each other's queries and read them in \
          pg_stat_activity, and find out each other's values by EXPLAIN ANALYZE and pg_stats.",
    heuristic: None,
    kind: Configuration,
    sql: None,
};

pub(super) static CLIENT_CLEAR_TEXT: Check = Check {
    id: "PGT007",
    severity: Warning,
    title: "clients may connect from other machines without TLS",
    why: "Everybody on the way can read and change what such a client sends and gets.",
    heuristic: None,
    kind: Configuration,
    sql: None,
};

pub(super) static CERTIFICATE_ENDS: Check = Check {
    id: "PGT010",
    severity: Warning,
    title: "the proxy's certificate has expired, or expires within 30 days",
    why: "Clients that verify the certificate (sslmode=verify-ca or verify-full) cannot connect \
          once it has expired. A new one in the same file is in effect without a restart.",
    heuristic: None,
    kind: Configuration,
    sql: None,
};

pub(super) static OPAQUE_SHARED_ROLE: Check = Check {
    id: "PGT008",
    severity: Warning,
    title: "code of clients can change the role that tenants share, and end its sessions",
    why: "With opaque = \"allow\" a client can run ALTER ROLE CURRENT_USER within DO. \
          PostgreSQL lets every role change its own password and the settings with which its \
          sessions begin, such as search_path and statement_timeout: for all tenants of the \
          role. Rows stay apart, as long as the role cannot make functions that last. Such code \
          also reads the queries of other tenants in pg_stat_activity and ends their sessions, \
          whatever guard.channels says. Give each tenant a role where that matters.",
    heuristic: None,
    kind: Configuration,
    sql: None,
};

static ROLE_MISSING: Check = Check {
    id: "PGT100",
    severity: Error,
    title: "a role of the configuration does not exist",
    why: "The tenants that use it cannot connect.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("sql/role_missing.sql")),
};

static SUPERUSER: Check = Check {
    id: "PGT101",
    severity: Error,
    title: "clients run as a superuser",
    why: "Row-level security and privileges do not exist for a superuser. Nothing keeps tenants \
          apart.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("sql/superuser.sql")),
};

static BYPASSRLS: Check = Check {
    id: "PGT102",
    severity: Error,
    title: "clients run as a role with BYPASSRLS",
    why: "No policy applies to such a role: every tenant sees the rows of all.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("sql/bypassrls.sql")),
};

static OWNER: Check = Check {
    id: "PGT103",
    severity: Error,
    title: "clients run as the owner of a table that holds tenants' rows",
    why: "Policies do not apply to the owner of a table unless they are forced, and an owner \
          can switch them off or drop them. Let another role own the tables.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("sql/owner.sql")),
};

static MEMBER_OF_BYPASSER: Check = Check {
    id: "PGT104",
    severity: Error,
    title: "clients run as a member of a role to which policies do not apply",
    why: "A member can become that role with SET ROLE. The guard refuses this statement; code \
          in the database that runs text is not asked.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("sql/member_of_bypasser.sql")),
};

static PREDEFINED_ROLE: Check = Check {
    id: "PGT105",
    severity: Error,
    title: "clients run as a member of a predefined role that reaches past the tenant",
    why: "These roles read or write all tables or the server's files, see or cancel the queries \
          of others, or more.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("sql/predefined_role.sql")),
};

static ATTRIBUTES: Check = Check {
    id: "PGT106",
    severity: Warning,
    title: "clients run as a role that can make roles, databases or copies of the server",
    why: "An application needs none of it. A role with CREATEROLE can give itself more; one \
          with REPLICATION can copy all data.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("sql/attributes.sql")),
};

static DEFAULT_TENANT: Check = Check {
    id: "PGT107",
    severity: Error,
    title: "a role or database sets the tenant's setting by default",
    why: "A session that no tenant was attached to must see nothing. With a default it sees \
          this tenant, and RESET returns to it.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("sql/default_tenant.sql")),
};

static NO_RLS: Check = Check {
    id: "PGT201",
    severity: Error,
    title: "a table with a tenant column has no row-level security",
    why: "Every tenant that can use the table sees and changes the rows of all.",
    heuristic: Some(
        "That a column holds tenants is learnt from policies that compare it with \
          the setting, from foreign keys to the table of the tenants, from columns of the same \
          name and type elsewhere, and from usual names such as tenant_id.",
    ),
    kind: Setting,
    sql: Some(include_str!("sql/no_rls.sql")),
};

static RLS_DISABLED: Check = Check {
    id: "PGT202",
    severity: Error,
    title: "a table has policies, but row-level security is off",
    why: "CREATE POLICY alone does nothing: until row-level security is enabled on the table, \
          no policy is asked.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("sql/rls_disabled.sql")),
};

static DIRECTORY: Check = Check {
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
    sql: Some(include_str!("sql/directory.sql")),
};

static CHILD: Check = Check {
    id: "PGT204",
    severity: Error,
    title: "a partition or child table can be named by clients, past the policies of its parent",
    why: "Policies are those of the table that the statement names. Access through the parent \
          needs no privilege on the partitions.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("sql/child.sql")),
};

static FOREIGN_TABLE: Check = Check {
    id: "PGT205",
    severity: Error,
    title: "clients can use a foreign table",
    why: "Foreign tables have no row-level security: every tenant sees what the other server \
          shows.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("sql/foreign_table.sql")),
};

static TRUNCATE: Check = Check {
    id: "PGT206",
    severity: Error,
    title: "clients may TRUNCATE a table that holds tenants' rows",
    why: "Row-level security does not apply to TRUNCATE: one tenant can remove the rows of all.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("sql/truncate.sql")),
};

static TRIGGER_REFERENCES: Check = Check {
    id: "PGT207",
    severity: Warning,
    title: "clients may make triggers on, or references to, a table that holds tenants' rows",
    why: "A trigger runs in the sessions of other tenants. A foreign key is checked without \
          policies, and so tells whether a row of another tenant exists.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("sql/trigger_references.sql")),
};

static NO_INDEX: Check = Check {
    id: "PGT208",
    severity: Notice,
    title: "a tenant column has no index that begins with it",
    why: "The policy is a condition on this column in every query. Without an index each query \
          reads the rows of all tenants, and how long it takes tells how many there are.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("sql/no_index.sql")),
};

static OR_POLICY: Check = Check {
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
    sql: Some(include_str!("sql/or_policy.sql")),
};

pub(super) static OPEN_POLICY: Check = Check {
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

static WITH_CHECK: Check = Check {
    id: "PGT303",
    severity: Error,
    title: "a policy lets rows be written for other tenants",
    why: "Its WITH CHECK does not ask for the tenant: a client can plant rows in another \
          tenant's data.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("sql/with_check.sql")),
};

pub(super) static NULL_TENANT: Check = Check {
    id: "PGT304",
    severity: Warning,
    title: "a policy shows rows that have no tenant to everybody",
    why: "This may be meant (shared rows). If it is not, a row that was written without a \
          tenant is in the data of all of them.",
    heuristic: Some("The condition is tried, as above, on a row whose columns are all NULL."),
    kind: Setting,
    sql: None,
};

static PER_ROW: Check = Check {
    id: "PGT305",
    severity: Notice,
    title: "a policy reads the setting again for each row",
    why: "Written as (SELECT current_setting(…)) PostgreSQL reads it once for each query, which \
          is several times faster on large scans.",
    heuristic: Some("By the text of the policy."),
    kind: Setting,
    sql: Some(include_str!("sql/per_row.sql")),
};

static UNSEALED: Check = Check {
    id: "PGT306",
    severity: Error,
    title: "a table is not sealed, although the configuration has a seal",
    why: "Who can change the setting, through code in the database that no guard sees into, \
          sees the rows of another tenant in this table. `pgtenant harden` seals the tables \
          whose policies read the setting; run it again after adding one.",
    heuristic: None,
    kind: Sealed,
    sql: Some(include_str!("sql/unsealed.sql")),
};

pub(super) static SEAL_KEY: Check = Check {
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

static SEALED: Check = Check {
    id: "PGT313",
    severity: Error,
    title: "the database asks for a seal, and the configuration has none",
    why: "The policies of `pgtenant harden` show no rows to a session without a seal. The proxy \
          does not serve such tenants: logins are refused with 55000. Set `seal` and \
          `seal_key_file`, or take the seal off.",
    heuristic: None,
    kind: Unsealed,
    sql: Some(include_str!("sql/sealed.sql")),
};

static VIEW: Check = Check {
    id: "PGT401",
    severity: Error,
    title: "a view shows tenants' rows past their policies",
    why: "A view reads its tables with the rights of its owner. Where policies do not bind the \
          owner, the view shows the rows of all tenants. With security_invoker (PostgreSQL 15) \
          it reads with the rights of the caller.",
    heuristic: Some("That the view has a condition of its own is not considered."),
    kind: Setting,
    sql: Some(include_str!("sql/view.sql")),
};

static LEAKY_VIEW: Check = Check {
    id: "PGT402",
    severity: Warning,
    title: "a view keeps tenants apart by a condition that can be got around",
    why: "Without security_barrier, a function or operator in the query may be run before the \
          view's own condition, on the rows of other tenants.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("sql/leaky_view.sql")),
};

static MATERIALIZED_VIEW: Check = Check {
    id: "PGT403",
    severity: Error,
    title: "a materialized view holds tenants' rows without policies",
    why: "Materialized views have no row-level security: everybody who can read one reads all \
          of it. Take the rights away, and offer a view over it that asks for the tenant.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("sql/materialized_view.sql")),
};

static SETTING_VIEW: Check = Check {
    id: "PGT404",
    severity: Error,
    title: "a view changes settings",
    why: "A client that reads this view can make it set the tenant's setting, and the guard \
          sees a plain SELECT. Only the seal holds against this.",
    heuristic: Some("By the text of the view."),
    kind: Setting,
    sql: Some(include_str!("sql/setting_view.sql")),
};

static DEFINER: Check = Check {
    id: "PGT405",
    severity: Error,
    title: "a SECURITY DEFINER function reads tenants' tables past their policies",
    why: "It runs with the rights of its owner, whom the policies do not bind.",
    heuristic: Some(
        "By the tables' names in its source. A function that asks for the tenant \
          itself is found too: look at it, and prefer SECURITY INVOKER.",
    ),
    kind: Setting,
    sql: Some(include_str!("sql/definer.sql")),
};

static DEFINER_OTHER: Check = Check {
    id: "PGT406",
    severity: Warning,
    title: "a SECURITY DEFINER function runs with rights past the policies",
    why: "No protected table is named in its source, but it may reach one through other \
          functions, views or text.",
    heuristic: Some("By its source."),
    kind: Setting,
    sql: Some(include_str!("sql/definer_other.sql")),
};

static DEFINER_PATH: Check = Check {
    id: "PGT407",
    severity: Warning,
    title: "a SECURITY DEFINER function looks names up in the caller's search_path",
    why: "The caller decides which table, function or operator a name means, and the function \
          uses it with its owner's rights. Give the function a search_path of its own and \
          qualify what lies elsewhere.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("sql/definer_path.sql")),
};

static TEXT_FUNCTION: Check = Check {
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
    sql: Some(include_str!("sql/text_function.sql")),
};

static TEXT_TRIGGER: Check = Check {
    id: "PGT409",
    severity: Error,
    title: "clients can write to a table with a trigger that changes settings or runs text",
    why: "A row that the client writes makes the trigger run. It may set the tenant's setting: \
          the guard sees a harmless statement.",
    heuristic: Some("As for functions, by its source."),
    kind: Setting,
    sql: Some(include_str!("sql/text_trigger.sql")),
};

static EXTENSION: Check = Check {
    id: "PGT410",
    severity: Error,
    title: "clients can call functions of an extension that runs text or reaches other servers",
    why: "Such functions open connections of their own, or run SQL that the guard does not see.",
    heuristic: Some("By the extensions' names."),
    kind: Roles,
    sql: Some(include_str!("sql/extension.sql")),
};

static FOREIGN_SERVER: Check = Check {
    id: "PGT411",
    severity: Warning,
    title: "clients may use a foreign server or foreign-data wrapper",
    why: "With it a client can make foreign tables or mappings that reach other data, as \
          another role.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("sql/foreign_server.sql")),
};

static STAT_STATEMENTS: Check = Check {
    id: "PGT412",
    severity: Warning,
    title: "clients can read pg_stat_statements",
    why: "It shows the statements of everybody who runs as the same role, which are all tenants \
          that share it, and texts of utility statements with their values.",
    heuristic: None,
    kind: Roles,
    sql: Some(include_str!("sql/stat_statements.sql")),
};

static TEXT_OPERATOR: Check = Check {
    id: "PGT413",
    severity: Error,
    title: "an operator, aggregate or cast changes settings or runs text",
    why: "A statement that uses it calls the function behind it without naming it: no guard \
          that reads statements can see that. Only the seal holds against this.",
    heuristic: Some("As for functions, by the source of what is behind it."),
    kind: Setting,
    sql: Some(include_str!("sql/text_operator.sql")),
};

static UNIQUE_KEYS: Check = Check {
    id: "PGT501",
    severity: Warning,
    title: "a unique key goes across tenants",
    why: "Uniqueness is checked without policies: an INSERT that fails tells that another \
          tenant has this value (an e-mail address, a name).",
    heuristic: Some("Keys of uuid columns alone are left out: they cannot be guessed."),
    kind: Setting,
    sql: Some(include_str!("sql/unique_keys.sql")),
};

static PRIMARY_KEY: Check = Check {
    id: "PGT502",
    severity: Notice,
    title: "a primary key with guessable values goes across tenants",
    why: "As with unique keys, an INSERT that names a key tells whether another tenant has it. \
          With keys from a sequence, also how many rows there are. Keys of type uuid avoid both.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("sql/primary_key.sql")),
};

static FOREIGN_KEY: Check = Check {
    id: "PGT503",
    severity: Warning,
    title: "a foreign key lets a row refer to another tenant's row",
    why: "Foreign keys are checked without policies: a tenant can refer to a row that it cannot \
          see, learns that it exists, and can keep it from being deleted or have it deleted \
          along. A key with the tenant column in it cannot.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("sql/foreign_key.sql")),
};

static TEMP: Check = Check {
    id: "PGT601",
    severity: Warning,
    title: "clients may make temporary tables",
    why: "Temporary objects outlive the transaction on a connection that tenants share, hide \
          tables of the same name, and let a client make views, and functions where the guard \
          lets it. pgtenant discards them; without the privilege there are none.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("sql/temp.sql")),
};

static CREATE_IN_SCHEMA: Check = Check {
    id: "PGT602",
    severity: Warning,
    title: "clients may create objects that other tenants' statements can meet",
    why: "A table, function or operator in a schema of the search_path can take the place of \
          the one that was meant, in the sessions of other tenants.",
    heuristic: None,
    kind: Shared,
    sql: Some(include_str!("sql/create_in_schema.sql")),
};

pub(super) static HOLES: Check = Check {
    id: "PGT603",
    severity: Warning,
    title: "the server lacks fixes of holes that matter between tenants",
    why: "These errors of PostgreSQL let one role see or do what another one may. Install the \
          newest minor release: it needs no dump and restore.",
    heuristic: None,
    kind: Server,
    sql: None,
};

pub(super) static UNMAINTAINED: Check = Check {
    id: "PGT604",
    severity: Warning,
    title: "the server's major version gets no fixes any more",
    why: "Errors that let one tenant see the data of another stay.",
    heuristic: None,
    kind: Server,
    sql: None,
};

static CONNECT: Check = Check {
    id: "PGT605",
    severity: Warning,
    title: "every role of the server may connect to a tenant's database",
    why: "By default CONNECT is granted to PUBLIC: other roles of the server can look around in \
          it, and use what PUBLIC may.",
    heuristic: None,
    kind: Database,
    sql: Some(include_str!("sql/connect.sql")),
};

static SCHEMA_MISSING: Check = Check {
    id: "PGT701",
    severity: Error,
    title: "a tenant's schema does not exist",
    why: "The search_path skips it without an error: names are then looked up in the shared \
          schemas.",
    heuristic: None,
    kind: Schema,
    sql: Some(include_str!("sql/schema_missing.sql")),
};

static OTHER_SCHEMA: Check = Check {
    id: "PGT702",
    severity: Error,
    title: "a tenant's role can use another tenant's schema",
    why: "A qualified name is enough to reach what lies in it.",
    heuristic: None,
    kind: Schema,
    sql: Some(include_str!("sql/other_schema.sql")),
};

static PUBLIC_SCHEMA: Check = Check {
    id: "PGT703",
    severity: Error,
    title: "a tenant's schema is open to every role",
    why: "A qualified name is enough for another tenant to reach what lies in it and is granted \
          to PUBLIC, such as every function.",
    heuristic: None,
    kind: Schema,
    sql: Some(include_str!("sql/public_schema.sql")),
};

static ROLE_OF_OTHER: Check = Check {
    id: "PGT704",
    severity: Error,
    title: "a tenant's role is a member of another tenant's role",
    why: "It has that role's rights, or can become it with SET ROLE.",
    heuristic: None,
    kind: Schema,
    sql: Some(include_str!("sql/role_of_other.sql")),
};

/// All checks, by id.
pub static CHECKS: [&Check; 58] = [
    &GUARD_REPORTS,
    &OPAQUE,
    &SERVER_CLEAR_TEXT,
    &SERVER_UNVERIFIED,
    &NO_TENANT_ROLE,
    &CHANNELS,
    &CLIENT_CLEAR_TEXT,
    &CERTIFICATE_ENDS,
    &OPAQUE_SHARED_ROLE,
    &ROLE_MISSING,
    &SUPERUSER,
    &BYPASSRLS,
    &OWNER,
    &MEMBER_OF_BYPASSER,
    &PREDEFINED_ROLE,
    &ATTRIBUTES,
    &DEFAULT_TENANT,
    &NO_RLS,
    &RLS_DISABLED,
    &DIRECTORY,
    &CHILD,
    &FOREIGN_TABLE,
    &TRUNCATE,
    &TRIGGER_REFERENCES,
    &NO_INDEX,
    &OR_POLICY,
    &OPEN_POLICY,
    &WITH_CHECK,
    &NULL_TENANT,
    &PER_ROW,
    &UNSEALED,
    &SEAL_KEY,
    &SEALED,
    &VIEW,
    &LEAKY_VIEW,
    &MATERIALIZED_VIEW,
    &SETTING_VIEW,
    &DEFINER,
    &DEFINER_OTHER,
    &DEFINER_PATH,
    &TEXT_FUNCTION,
    &TEXT_TRIGGER,
    &EXTENSION,
    &FOREIGN_SERVER,
    &STAT_STATEMENTS,
    &TEXT_OPERATOR,
    &UNIQUE_KEYS,
    &PRIMARY_KEY,
    &FOREIGN_KEY,
    &TEMP,
    &CREATE_IN_SCHEMA,
    &HOLES,
    &UNMAINTAINED,
    &CONNECT,
    &SCHEMA_MISSING,
    &OTHER_SCHEMA,
    &PUBLIC_SCHEMA,
    &ROLE_OF_OTHER,
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
