//! What a client may say before it is logged in.

use super::{ANY, Kind, SCHEMA, SETTING};

/// A way to log in.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops::prove) struct Entry {
    pub(in crate::ops::prove) id: &'static str,
    pub(in crate::ops::prove) promise: &'static str,
    pub(in crate::ops::prove) kinds: &'static [Kind],
    /// The user, if another one than the login's.
    pub(in crate::ops::prove) user: Option<&'static str>,
    /// The database, if another one.
    pub(in crate::ops::prove) database: Option<&'static str>,
    /// More parameters.
    pub(in crate::ops::prove) parameters: &'static [(&'static str, &'static str)],
    /// What is sent once it is in: it may undo what the proxy has attached.
    pub(in crate::ops::prove) then: &'static [&'static str],
}

const PLAIN: Entry = Entry {
    id: "",
    promise: "P1",
    kinds: ANY,
    user: None,
    database: None,
    parameters: &[],
    then: &[],
};

const RESET: &[&str] = &["RESET {setting}"];
const RESET_ALL: &[&str] = &["RESET ALL"];

#[rustfmt::skip]
pub(in crate::ops::prove) const STARTUP: &[Entry] = &[
    Entry { id: "startup-parameter", kinds: SETTING, parameters: &[("{setting}", "{bare}")], ..PLAIN },
    Entry { id: "startup-parameter-reset", kinds: SETTING, parameters: &[("{setting}", "{bare}")], then: RESET, ..PLAIN },
    Entry { id: "startup-parameter-case", kinds: SETTING, parameters: &[("{upper_bare}", "{bare}")], then: RESET_ALL, ..PLAIN },
    Entry { id: "startup-options", kinds: SETTING, parameters: &[("options", "-c {setting}={bare}")], ..PLAIN },
    Entry { id: "startup-options-reset", kinds: SETTING, parameters: &[("options", "-c {setting}={bare}")], then: RESET_ALL, ..PLAIN },
    Entry { id: "startup-options-dashes", kinds: SETTING, parameters: &[("options", "--{dashed}={bare}")], then: RESET_ALL, ..PLAIN },
    Entry { id: "startup-options-among-others", kinds: SETTING, parameters: &[("options", "-c geqo=off -c\\ {setting}={bare} -c {setting}={bare}")], then: RESET, ..PLAIN },
    Entry { id: "startup-search-path", kinds: SCHEMA, parameters: &[("search_path", "{other_schema_bare}")], ..PLAIN },
    Entry { id: "startup-search-path-options", kinds: SCHEMA, parameters: &[("options", "--search-path={other_schema_bare}")], then: RESET_ALL, ..PLAIN },
    Entry { id: "startup-role", parameters: &[("role", "{other_role_bare}")], ..PLAIN },
    Entry { id: "startup-session-authorization", parameters: &[("session_authorization", "{other_role_bare}")], ..PLAIN },
    Entry { id: "startup-string-syntax", promise: "P5", parameters: &[("standard_conforming_strings", "off")], ..PLAIN },
    Entry { id: "startup-encoding", promise: "P5", parameters: &[("client_encoding", "GBK")], ..PLAIN },
    Entry { id: "startup-replication", parameters: &[("replication", "database")], ..PLAIN },
    Entry { id: "startup-two-users", parameters: &[("user", "{other_login}")], ..PLAIN },
    Entry { id: "other-database", kinds: &[Kind::Database], database: Some("{other_database_bare}"), ..PLAIN },
    Entry { id: "database-of-other-tenant", database: Some("{other_value_or_schema}"), ..PLAIN },
    Entry { id: "user-and-tenant", user: Some("{login}@{other_login}"), ..PLAIN },
    Entry { id: "user-of-other-tenant", user: Some("{other_login}"), ..PLAIN },
];
