//! `[directory]`

use super::reader::{Entry, Reader, Section};
use super::servers::{Servers, password};
use super::source::{self, Table};
use super::template::check_identifier;
use super::{Secret, Server};
use crate::directory::{self, Awaited, Queries};
use crate::problem::{Origin, Problem};
use crate::tenant::ServerName;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MOST_ROWS: u32 = 10_000_000;

/// `[directory]`: where tenants and logins come from beside the configuration
/// file.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The folder whose `*.toml` files have tenants and logins too.
    pub folder: Option<PathBuf>,
    /// Whether a change of a file is noticed.
    pub watch: bool,
    /// When a session ends that may not go on.
    pub end_sessions: EndSessions,
    /// Most time for a session to come to the end of its transaction, where it
    /// is to end or must follow a change; then it is ended at once.
    pub end_sessions_within: Duration,
    /// `[directory.sql]`
    pub sql: Option<DirectoryDatabase>,
}

/// When a session ends whose tenant is suspended, or whose login is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndSessions {
    /// With its transaction.
    AfterTransaction,
    /// At once; what it runs is cancelled.
    AtOnce,
}

/// `[directory.sql]`: a database that has tenants and logins.
#[derive(Debug, Clone)]
pub struct DirectoryDatabase {
    /// Its server; `user` and `password` of that are not used.
    pub server: Server,
    /// The database.
    pub database: Arc<str>,
    /// The role that logs in.
    pub user: Arc<str>,
    /// Its password; none where the server asks for none.
    pub password: Option<Secret>,
    /// What is asked, and when.
    pub queries: Queries,
}

impl DirectoryDatabase {
    pub(super) fn awaited(&self) -> Awaited {
        Awaited {
            tenants: self.queries.tenants.is_some(),
            logins: self.queries.logins.is_some(),
        }
    }
}

/// `None` only after a problem.
pub(super) fn read(mut section: Section<'_>, servers: &Servers) -> Option<Sources> {
    let folder = match section.optional("folder") {
        Some(entry) => entry.path().map(Some),
        None => Some(None),
    };
    let watch = match section.optional("watch") {
        Some(entry) => entry.boolean(),
        None => Some(true),
    };
    let end_sessions = match section.optional("end_sessions") {
        Some(entry) => entry.choice(&[
            ("after-transaction", EndSessions::AfterTransaction),
            ("at-once", EndSessions::AtOnce),
        ]),
        None => Some(EndSessions::AfterTransaction),
    };
    let end_sessions_within = match section.optional("end_sessions_within") {
        Some(entry) => entry.duration(MILLISECOND..=DAY),
        None => Some(60 * SECOND),
    };
    let sql = if section.has("sql") {
        sql(section.section("sql"), servers).map(Some)
    } else {
        drop(section.optional("sql"));
        Some(None)
    };
    section.finish();
    Some(Sources {
        folder: folder?,
        watch: watch?,
        end_sessions: end_sessions?,
        end_sessions_within: end_sessions_within?,
        sql: sql?,
    })
}

fn sql(mut section: Section<'_>, servers: &Servers) -> Option<DirectoryDatabase> {
    let server = section
        .required("server", "the NAME of a section [servers.NAME]")
        .and_then(|entry| servers.find(&entry));
    let database = section
        .required("database", "the name of the database")
        .and_then(|entry| identifier(&entry));
    let user = section
        .required("user", "the role of its own that may read the directory")
        .and_then(|entry| entry.text());
    let password = password(&mut section);
    let queries = queries(&mut section);
    let channel = match section.optional("channel") {
        Some(entry) => identifier(&entry).map(Some),
        None => Some(None),
    };
    let (refresh, stale) = times(&mut section);
    let most = match section.optional("most") {
        Some(entry) => entry.integer(1..=MOST_ROWS),
        None => Some(100_000),
    };
    section.finish();
    let (tenants, logins) = queries?;
    let name: ServerName = server?;
    let server = servers.valid.get(&name)?.clone();
    let is_shared = |other: &&Server| other.hosts.meet(&server.hosts) && Some(&*other.user) == user;
    if logins.is_some()
        && let Some(shared) = servers.valid.values().find(is_shared)
    {
        section.refuse_section(format!(
            "its user is that of [servers.{}], as whom tenants' statements run: they could read \
             the verifiers of all logins; use a role of its own",
            shared.name
        ));
    }
    Some(DirectoryDatabase {
        server,
        database: database?,
        user: Arc::from(user?),
        password,
        queries: Queries {
            tenants,
            logins,
            channel: channel?,
            refresh: refresh?,
            stale: stale?,
            most: most? as usize,
        },
    })
}

type Query = Option<Arc<str>>;

/// The two queries, of which at least one is there.
fn queries(section: &mut Section<'_>) -> Option<(Query, Query)> {
    let [tenants, logins] = ["tenants", "logins"].map(|key| match section.optional(key) {
        Some(entry) => entry.lines().map(|text| Some(Arc::from(text))),
        None => Some(None),
    });
    let queries = (tenants?, logins?);
    if queries == (None, None) {
        section.missing(
            "tenants",
            "the query for tenants, such as \"SELECT id, name FROM public.organizations\"; or \
             `logins`, or both",
        );
        return None;
    }
    Some(queries)
}

fn times(section: &mut Section<'_>) -> (Option<Duration>, Option<Duration>) {
    let refresh = match section.optional("refresh") {
        Some(entry) => entry.duration(SECOND..=DAY),
        None => Some(30 * SECOND),
    };
    let stale = match section.optional("stale") {
        Some(entry) => entry.duration(SECOND..=30 * DAY),
        None => Some(600 * SECOND),
    };
    (refresh, stale)
}

fn identifier(entry: &Entry<'_>) -> Option<Arc<str>> {
    let name = entry.text()?;
    if let Err(reason) = check_identifier(name) {
        entry.refuse(reason);
        return None;
    }
    Some(Arc::from(name))
}

/// A file of the folder.
pub(super) struct Document {
    pub(super) origin: Origin,
    pub(super) table: Table,
}

/// Reads the files of the folder, in the order of their names.
pub(super) fn documents(folder: Option<&Path>, reader: &Reader) -> Vec<Document> {
    let Some(folder) = folder else {
        return Vec::new();
    };
    let listed = directory::files_of(folder);
    let known = listed.as_ref().ok().map(Vec::as_slice);
    reader.files().note_folder(folder, known);
    let paths = listed.unwrap_or_else(|error| {
        reader.add(Problem {
            origin: Origin::File(Arc::from(folder)),
            position: None,
            key: None,
            value: None,
            reason: format!("cannot read the folder of directory.folder: {error}"),
        });
        Vec::new()
    });
    let mut documents = Vec::new();
    for path in paths {
        reader.files().note(&path);
        match source::read(&path) {
            Ok(table) => documents.push(Document {
                origin: Origin::File(Arc::from(path)),
                table,
            }),
            Err(problem) => reader.add(*problem),
        }
    }
    documents
}
