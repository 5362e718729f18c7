//! Checks of the server, the database and its schemas.

use super::Check;
use super::Kind::{Database, Server, Setting, Shared};
use super::Severity::Warning;

pub(in crate::ops::check) static TEMP: Check = Check {
    id: "PGT601",
    severity: Warning,
    title: "clients may make temporary tables",
    why: "Temporary objects outlive the transaction on a connection that tenants share, hide \
          tables of the same name, and let a client make views, and functions where the guard \
          lets it. pgtenant discards them; without the privilege there are none.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/temp.sql")),
};

pub(in crate::ops::check) static CREATE_IN_SCHEMA: Check = Check {
    id: "PGT602",
    severity: Warning,
    title: "clients may create objects that other tenants' statements can meet",
    why: "A table, function or operator in a schema of the search_path can take the place of \
          the one that was meant, in the sessions of other tenants.",
    heuristic: None,
    kind: Shared,
    sql: Some(include_str!("../sql/create_in_schema.sql")),
};

pub(in crate::ops::check) static HOLES: Check = Check {
    id: "PGT603",
    severity: Warning,
    title: "the server lacks fixes of holes that matter between tenants",
    why: "These errors of PostgreSQL let one role see or do what another one may. Install the \
          newest minor release: it needs no dump and restore.",
    heuristic: None,
    kind: Server,
    sql: None,
};

pub(in crate::ops::check) static UNMAINTAINED: Check = Check {
    id: "PGT604",
    severity: Warning,
    title: "the server's major version gets no fixes any more",
    why: "Errors that let one tenant see the data of another stay.",
    heuristic: None,
    kind: Server,
    sql: None,
};

pub(in crate::ops::check) static CONNECT: Check = Check {
    id: "PGT605",
    severity: Warning,
    title: "every role of the server may connect to a tenant's database",
    why: "By default CONNECT is granted to PUBLIC: other roles of the server can look around in \
          it, and use what PUBLIC may.",
    heuristic: None,
    kind: Database,
    sql: Some(include_str!("../sql/connect.sql")),
};

pub(in crate::ops::check) static CONNECTIONS: Check = Check {
    id: "PGT606",
    severity: Warning,
    title: "the pools can open more connections than the server takes",
    why: "Each database has a pool of pool.size connections. At the limit the server \
          refuses them (53300), those of others too. Make the pools smaller or the \
          limit larger.",
    heuristic: None,
    kind: Server,
    sql: None,
};
