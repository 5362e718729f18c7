//! Checks of the configuration.

use super::Check;
use super::Kind::Configuration;
use super::Severity::{Error, Notice, Warning};

pub(in crate::ops::check) static GUARD_REPORTS: Check = Check {
    id: "PGT001",
    severity: Error,
    title: "the guard only reports",
    why: "With guard.mode = \"report\" statements that leave the tenant are logged and then \
          run. Nothing is isolated.",
    heuristic: None,
    kind: Configuration,
    sql: None,
};

pub(in crate::ops::check) static OPAQUE: Check = Check {
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

pub(in crate::ops::check) static SERVER_CLEAR_TEXT: Check = Check {
    id: "PGT003",
    severity: Error,
    title: "the connection to a server of another machine is not encrypted",
    why: "Everybody on the way can read and change the data of all tenants, and take over the \
          login.",
    heuristic: None,
    kind: Configuration,
    sql: None,
};

pub(in crate::ops::check) static SERVER_UNVERIFIED: Check = Check {
    id: "PGT004",
    severity: Warning,
    title: "the server's certificate is not verified",
    why: "Somebody who can redirect the connection can pose as the server: tls = \"require\" \
          encrypts, and does not ask for whom.",
    heuristic: None,
    kind: Configuration,
    sql: None,
};

pub(in crate::ops::check) static NO_TENANT_ROLE: Check = Check {
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

pub(in crate::ops::check) static CHANNELS: Check = Check {
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

pub(in crate::ops::check) static CLIENT_CLEAR_TEXT: Check = Check {
    id: "PGT007",
    severity: Warning,
    title: "clients may connect from other machines without TLS",
    why: "Everybody on the way can read and change what such a client sends and gets.",
    heuristic: None,
    kind: Configuration,
    sql: None,
};

pub(in crate::ops::check) static OPAQUE_SHARED_ROLE: Check = Check {
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

pub(in crate::ops::check) static FILES: Check = Check {
    id: "PGT009",
    severity: Warning,
    title: "the process may open fewer files than clients and connections need",
    why: "Each client and each server connection is an open file. At the limit \
          (`ulimit -n`; LimitNOFILE in a unit of systemd) clients are refused at \
          random, and so may be what an operator does. The limit that is looked at is \
          that of this process: run it as the proxy runs.",
    heuristic: None,
    kind: Configuration,
    sql: None,
};

pub(in crate::ops::check) static CERTIFICATE_ENDS: Check = Check {
    id: "PGT010",
    severity: Warning,
    title: "a certificate of the proxy's or of an authority has expired, or expires within 30 days",
    why: "Clients that verify the proxy's certificate (sslmode=verify-ca or verify-full) cannot \
          connect once it has expired; nor can clients, servers and issuers whose certificate an \
          expired authority issued. A new one in the same file is in effect without a restart.",
    heuristic: None,
    kind: Configuration,
    sql: None,
};

pub(in crate::ops::check) static SHARED_ROLE: Check = Check {
    id: "PGT011",
    severity: Notice,
    title: "tenants share one role, and the setting is not sealed",
    why: "What one role may see of another session, the guard alone keeps from other tenants: \
          queries in pg_stat_activity, statistics of temporary tables, cancelling and ending \
          sessions, large objects. With a role for each tenant (`role`) PostgreSQL does. A seal \
          (`seal`) keeps rows apart also from code that changes the setting. Both can be had \
          together.",
    heuristic: None,
    kind: Configuration,
    sql: None,
};
