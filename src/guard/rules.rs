//! The rules, as one table that reads like a policy.

use super::policy::Own;
use super::verdict::Refusal;
use std::fmt;

/// One rule: what it catches, why, and what the client is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The name that errors, metrics and the audit log show.
    pub name: &'static str,
    /// What it catches.
    pub catches: &'static str,
    /// Why that must not pass.
    pub why: &'static str,
    /// The SQLSTATE of the error.
    pub sqlstate: &'static str,
    /// What the user can do instead.
    pub hint: &'static str,
    /// The key of `[guard]` that lets it pass; `None`: always refused.
    pub opened_by: Option<Switch>,
    /// With `"own"` it passes where a tenant has so much for itself, or more: it
    /// reaches nothing else there.
    pub within: Option<Own>,
}

/// A key of `[guard]` that opens rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// `opaque`
    Opaque,
    /// `channels`
    Channels,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Rule {
    /// The refusal of what it caught.
    pub(super) fn refusal(&self, message: String) -> Refusal {
        Refusal {
            rule: self.name,
            sqlstate: self.sqlstate,
            message,
            hint: self.hint,
        }
    }
}

/// Every rule, in the order of the documentation.
#[must_use]
pub fn rules() -> &'static [Rule] {
    RULES
}

macro_rules! rules {
    ($($id:ident = $name:literal $sqlstate:literal $([$switch:ident $($own:ident)?])?
        catches $catches:literal
        why $why:literal
        hint $hint:literal)*) => {
        $(pub(super) const $id: Rule = Rule {
            name: $name,
            catches: $catches,
            why: $why,
            sqlstate: $sqlstate,
            hint: $hint,
            opened_by: rules!(@switch $($switch)?),
            within: rules!(@own $($($own)?)?),
        };)*
        const RULES: &[Rule] = &[$($id),*];
    };
    (@switch) => { None };
    (@switch $switch:ident) => { Some(Switch::$switch) };
    (@own) => { None };
    (@own $own:ident) => { Some(Own::$own) };
}

rules! {
    // Text that the guard cannot read as the server would.

    SYNTAX = "syntax" "42601"
        catches "text that PostgreSQL's own grammar does not accept"
        why "what cannot be parsed cannot be judged"
        hint "pgtenant could not parse this statement and did not send it to the server."

    TEXT = "text-encoding" "22021"
        catches "text that is not UTF-8, or holds a zero byte"
        why "the server would read other statements than the guard does"
        hint "Send the statement as UTF-8."

    LENGTH = "statement-length" "54000"
        catches "a query string over the limit"
        why "the work for one message must stay bounded"
        hint "Send the data as parameters or with COPY instead of within the statement; the administrator can raise listen.max_statement."

    NESTING = "nesting" "54001"
        catches "comments nested deeper than the limit"
        why "the time to read them grows with the square of their depth"
        hint "Nest comments less deeply."

    NAMES = "name-encoding" "0A000"
        catches "names of settings and of prepared statements with letters outside ASCII"
        why "some servers fold them, and would take another name than the guard does"
        hint "Use ASCII letters in the name, or set_config with the setting's name as a constant."

    UNKNOWN = "unknown-statement" "0A000"
        catches "statements that the guard has no rule for"
        why "what is not known to be harmless is refused"
        hint "Run it over a direct connection to the server."

    FAST_PATH = "fast-path" "42501"
        catches "FunctionCall messages, but for the functions on large objects"
        why "they call a function by its number, past the grammar: set_config, for one"
        hint "Call the function in a SELECT."

    // The tenant's context.

    TENANT = "tenant-setting" "42501"
        catches "SET, RESET and set_config of a setting that carries the tenant; of search_path, lists but the tenant's own and pg_catalog alone, where tenants share a role"
        why "the tenant follows from the credential alone"
        hint "The tenant is chosen by the login: connect with the credential of the other tenant."

    ROLE = "role" "42501"
        catches "SET ROLE and SET SESSION AUTHORIZATION to a name, and their settings by name; what restores them passes"
        why "the role of the server connection belongs to pgtenant"
        hint "Connect with the login that has the rights that are needed."

    ISOLATION = "isolation-setting" "42501"
        catches "settings that row-level security and the loading of code rest on, such as row_security"
        why "they change what isolates the tenants"
        hint "Leave this setting at its default."

    ENCODING = "client-encoding" "42501"
        catches "a client_encoding other than UTF8"
        why "in other encodings the server can see quotes where the guard sees letters"
        hint "Use UTF8 and convert in the client."

    STRINGS = "string-syntax" "42501"
        catches "standard_conforming_strings = off"
        why "strings would end elsewhere for the server than for the guard"
        hint "Write E'...' where a string needs backslash escapes."

    READ_ONLY = "read-only" "25006"
        catches "what lets a transaction of a read-only tenant write: READ WRITE, transaction_read_only and default_transaction_read_only other than on"
        why "the directory says that the tenant's clients may only read"
        hint "The administrator can make the tenant active (tenants.state)."

    TENANT_LIMIT = "tenant-limit" "42501"
        catches "a timeout that is longer than the tenant's own limit, or none"
        why "the directory limits the tenant's clients, and they cannot lift it"
        hint "Set a shorter time, or ask the administrator for more."

    SEARCH_PATH = "search-path" "42501"
        catches "a search_path that puts another schema before pg_catalog, or lists pg_temp without pg_catalog as its first schema"
        why "functions and operators of that schema would replace PostgreSQL's own, and a plain CREATE would make temporary objects"
        hint "Leave pg_catalog and pg_temp out of search_path (they are then searched first), or begin it with pg_catalog."

    COMPUTED = "computed-setting" "42501"
        catches "set_config with a name, or a guarded value, that is neither a constant nor a parameter of type text"
        why "the name is known only when the statement runs"
        hint "Write the setting's name as a constant, or as a parameter of type text in the extended protocol."

    DEFERRED = "deferred-setting" "42501"
        catches "set_config inside a view, a default, a prepared statement, a cursor, ..."
        why "it would run later, when nobody inspects it"
        hint "Call set_config in a statement of its own."

    PG_SETTINGS = "pg-settings" "42501"
        catches "changes to the view pg_settings, and views over it"
        why "an UPDATE of it is a SET of a computed name"
        hint "Use SET."

    RESET_ALL = "reset-not-last" "0A000"
        catches "RESET ALL or DISCARD ALL followed by statements that could see data, in one query string"
        why "the tenant is attached again after the query string, not within it"
        hint "Send it by itself, or followed by SET, RESET, DISCARD, DEALLOCATE, CLOSE, UNLISTEN or a SELECT of constants alone."

    STORED = "stored-setting" "42501"
        catches "ALTER ROLE, ALTER DATABASE and ALTER SYSTEM with SET or RESET"
        why "it would reach every later connection of every tenant"
        hint "Use SET, or change it over a direct connection to the server."

    SEAL = "seal" "42501"
        catches "calls of the functions that seal the context (pgtenant.bind, ...)"
        why "they take what pgtenant signs, and nothing else"
        hint "pgtenant seals the context by itself."

    // What isolates the tenants in the database.

    POLICIES = "row-level-policies" "42501"
        catches "CREATE, ALTER and DROP POLICY, ROW LEVEL SECURITY, OWNER TO"
        why "they define the isolation itself"
        hint "Change policies and owners over a direct connection to the server."

    ROLES = "roles" "42501"
        catches "roles, their passwords and memberships, default privileges, REASSIGN OWNED"
        why "all tenants share them"
        hint "Manage roles over a direct connection to the server."

    DATABASE = "database-wide" "42501"
        catches "databases, tablespaces, foreign servers, publications, subscriptions, security labels, ..."
        why "they reach beyond the tenant"
        hint "Do this over a direct connection to the server."

    FILES = "server-files" "42501"
        catches "COPY to or from files and programs, LOAD, functions that read the server's files"
        why "the server's files belong to all tenants"
        hint "Use COPY ... FROM STDIN or TO STDOUT."

    SERVER = "server-control" "42501"
        catches "functions that steer the server: replication, WAL, statistics, configuration"
        why "they reach beyond the tenant"
        hint "Do this over a direct connection to the server."

    TWO_PHASE = "two-phase" "0A000"
        catches "PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED"
        why "a prepared transaction outlives the connection and is open to every tenant of the role"
        hint "Use COMMIT."

    // Code that the guard cannot see into.

    OPAQUE = "opaque-code" "42501" [Opaque]
        catches "DO, and definitions of functions, operators, temporary types, triggers, rules, casts, ..."
        why "such code can set the tenant where no guard sees it"
        hint "Define it over a direct connection to the server, or set guard.opaque = \"allow\" when the context is sealed."

    HIDDEN = "hidden-code" "42501" [Opaque Role]
        catches "CREATE and ALTER DOMAIN, CREATE TEMPORARY VIEW"
        why "code can stand behind a type or a temporary name, and no statement that uses it shows it: it could change the tenant's setting or search_path"
        hint "Define domains over a direct connection to the server; use a view of a schema, or a temporary table, instead of a temporary view."

    TEXT_AS_SQL = "text-as-sql" "42501" [Opaque]
        catches "functions that run a text as SQL: query_to_xml, ts_stat, dblink, crosstab, ..."
        why "the text is known only when the statement runs"
        hint "Run the query itself, or set guard.opaque = \"allow\" when the context is sealed."

    // Channels between tenants.

    NOTIFY = "notify" "42501" [Channels Database]
        catches "LISTEN, NOTIFY, pg_notify"
        why "a channel spans the whole database: tenants would read each other's messages"
        hint "Set guard.channels = \"allow\" to permit it."

    LARGE_OBJECTS = "large-objects" "42501" [Channels Database]
        catches "large objects and their catalogs"
        why "they belong to the role that all tenants share"
        hint "Use a bytea column, or set guard.channels = \"allow\" to permit it."

    ADVISORY = "advisory-locks" "42501" [Channels Database]
        catches "advisory locks: pg_advisory_lock, pg_try_advisory_lock, pg_advisory_xact_lock, ..."
        why "lock numbers span the whole database: tenants would wait for each other's locks and see them"
        hint "Lock a row with SELECT ... FOR UPDATE; run migrations over a direct connection, or without their lock; or set guard.channels = \"allow\" to permit it."

    SESSIONS = "other-sessions" "42501" [Channels]
        catches "pg_stat_activity, pg_locks, pg_prepared_statements and their kin where they cannot be read for one's own rows alone (in definitions, TABLE, COPY pg_locks, EXPLAIN ANALYZE), the functions beneath them, pg_stat_statements; pg_terminate_backend and pg_cancel_backend but for a session of one's own login"
        why "they show and stop the sessions of other tenants"
        hint "In the FROM clause of a query, pg_stat_activity, pg_locks and their kin show your own session. End or cancel a session of your own login by its number: SELECT pg_terminate_backend(PID), with the PID that pg_backend_pid() told. Or set guard.channels = \"allow\"."

    STATISTICS = "statistics" "42501" [Channels Role]
        catches "pg_stats, pg_stats_ext, pg_stats_ext_exprs, pg_stat_xact_* and the functions beneath them; currtid"
        why "they hold values of other sessions' temporary tables, count what the server connection's last user did, or look at rows past row-level security"
        hint "Ask over a direct connection to the server, or set guard.channels = \"allow\" to permit it."

    EXPLAIN_ANALYZE = "explain-analyze" "42501" [Channels]
        catches "EXPLAIN with ANALYZE, where tenants share tables (kind setting)"
        why "it counts the rows that row-level security removed, by any condition: so it tells other tenants' values"
        hint "Use EXPLAIN without ANALYZE, or set guard.channels = \"allow\" to permit it."

    TABLE_LOCKS = "table-locks" "42501" [Channels Role]
        catches "LOCK TABLE in a mode stronger than ROW EXCLUSIVE"
        why "it stops every tenant that uses the table"
        hint "Use SELECT ... FOR UPDATE, or set guard.channels = \"allow\" to permit it."

    // The net below all rules.

    INTERNAL = "internal" "XX000"
        catches "a statement on which the guard itself failed"
        why "what cannot be judged is refused"
        hint "Report the statement to the maintainers of pgtenant."
}
