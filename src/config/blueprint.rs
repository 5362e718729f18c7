//! What a directory is built from: what the files say, and the rows of queries.

use super::isolation::Isolations;
use super::limits;
use super::logins::{self, Accepted, ReadLogin};
use super::merges::Holdings;
use super::problem::{Problem, suggestion};
use super::reader::Reader;
use super::readings::Readings;
use super::rows::{Row, Snapshot};
use super::servers::Servers;
use super::sources::Queries;
use super::tenants::{self, Placed};
use crate::directory::Directory;
use crate::tenant::{LoginName, SharedTenant, TenantId};
use foldhash::fast::RandomState;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What settings keep in order to build a directory again, when the rows of
/// `[directory.sql]` change. Its `Debug` output has no content.
pub struct Blueprint {
    isolations: Isolations,
    servers: Servers,
    /// The tenants of the files.
    tenants: Vec<Placed>,
    /// The logins of the files.
    logins: Vec<ReadLogin>,
    /// What logins can use.
    accepted: Accepted,
    /// The queries of `[directory.sql]`, where there is one.
    queries: Option<Queries>,
    /// Tells it from others, which may read a row otherwise.
    identity: Arc<()>,
}

impl std::fmt::Debug for Blueprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blueprint").finish_non_exhaustive()
    }
}

/// A directory, and what was left out of it.
#[derive(Debug)]
pub struct Built {
    /// The directory.
    pub directory: Directory,
    /// A problem for each row that was left out, and for each login of a file
    /// whose tenant is not there.
    pub problems: Vec<Problem>,
    /// For the next one.
    pub incumbents: Incumbents,
}

/// Who had what in the directory before: where two rows claim the same, the one
/// that had it keeps it. And what was read of the rows. Its `Debug` output has no
/// content.
#[derive(Default)]
pub struct Incumbents {
    tenants: HashMap<TenantId, SharedTenant, RandomState>,
    logins: HashMap<LoginName, TenantId, RandomState>,
    read: Read,
}

impl std::fmt::Debug for Incumbents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incumbents").finish_non_exhaustive()
    }
}

/// What was read of the rows, and by which blueprint.
#[derive(Default)]
struct Read {
    by: Option<Arc<()>>,
    tenants: Readings<Placed>,
    logins: Readings<ReadLogin>,
}

impl Blueprint {
    pub(super) fn new(
        isolations: Isolations,
        servers: Servers,
        tenants: Vec<Placed>,
        logins: Vec<ReadLogin>,
        accepted: Accepted,
        queries: Option<Queries>,
    ) -> Self {
        Self {
            isolations,
            servers,
            tenants,
            logins,
            accepted,
            queries,
            identity: Arc::default(),
        }
    }

    /// Whether the columns are keys of `[[tenants]]` and `[[logins]]`, and those
    /// are there that must be.
    ///
    /// # Errors
    /// Says what is wrong. The rows cannot be used then: a misspelt `state` would
    /// leave everybody active.
    pub fn check_columns(&self, query: &str, columns: &[String]) -> Result<(), String> {
        let own = self.placeholders();
        let (keys, needed): (Vec<&str>, &[&str]) = match query {
            "tenants" => (limits::RESERVED.into_iter().chain(own).collect(), &["id"]),
            _ => (logins::KEYS.to_vec(), &["user", "tenant"]),
        };
        let mut seen = BTreeSet::new();
        for column in columns {
            if !keys.contains(&column.as_str()) {
                let near = suggestion(column, keys.iter().copied());
                return Err(format!(
                    "column {column:?} is no key of [[{query}]]; {near}"
                ));
            }
            if !seen.insert(column.as_str()) {
                return Err(format!("there are two columns {column:?}"));
            }
        }
        match needed.iter().find(|key| !seen.contains(*key)) {
            Some(key) => Err(format!("there is no column \"{key}\"")),
            None => Ok(()),
        }
    }

    /// The directory of the files and these rows. Without rows it is not
    /// complete where there should be some.
    ///
    /// Rows that are not valid, or that would reach what is another tenant's, are
    /// left out. Rows that were read by this blueprint `before` are not read again.
    #[must_use]
    pub fn build(&self, rows: Option<&Snapshot>, before: &Incumbents) -> Built {
        let reader = Reader::of_rows();
        let mut directory = Directory::new();
        for one in &self.tenants {
            directory.insert_tenant(one.tenant.clone());
        }
        let none = Read::default();
        let is_own = |by: &Arc<()>| Arc::ptr_eq(by, &self.identity);
        let known = match before.read.by.as_ref().is_some_and(is_own) {
            true => &before.read,
            false => &none,
        };
        let mut read = Read {
            by: Some(self.identity.clone()),
            ..Read::default()
        };
        let rows = rows.filter(|rows| self.can_use(rows, &reader));
        if let Some(rows) = rows {
            let others = self.placeholders();
            let one = |row: Row<'_>| self.read_tenant(row, &others, &reader);
            read.tenants = Readings::new(&rows.tenants, &known.tenants, one);
            self.add_tenants(&read.tenants, before, &reader, &mut directory);
        } else if let Some(queries) = self.queries {
            directory.set_incomplete(queries.logins);
        }
        self.add_files_logins(rows.is_some(), &reader, &mut directory);
        if let Some(rows) = rows {
            let one = |row: Row<'_>| self.read_login(row, &reader);
            read.logins = Readings::new(&rows.logins, &known.logins, one);
            self.add_logins(&read.logins, before, &reader, &mut directory);
        }
        let incumbents = Incumbents::new(&directory, read);
        Built {
            directory,
            problems: reader.into_problems(),
            incumbents,
        }
    }

    fn can_use(&self, rows: &Snapshot, reader: &Reader) -> bool {
        let queries = [("tenants", &rows.tenants), ("logins", &rows.logins)];
        let mut usable = true;
        for (query, rows) in queries {
            if rows.columns().is_empty() {
                continue;
            }
            if let Err(reason) = self.check_columns(query, rows.columns()) {
                usable = false;
                reader.add(Problem {
                    origin: super::Origin::Query(query),
                    position: None,
                    key: None,
                    value: None,
                    reason,
                });
            }
        }
        usable
    }

    /// The keys that isolations take from their tenants.
    fn placeholders(&self) -> BTreeSet<&str> {
        let plans = self.isolations.valid.values();
        plans
            .flat_map(super::isolation::Plan::placeholders)
            .collect()
    }

    fn add_tenants(
        &self,
        rows: &Readings<Placed>,
        before: &Incumbents,
        reader: &Reader,
        directory: &mut Directory,
    ) {
        let (known, new): (Vec<_>, Vec<_>) = rows.valid().partition(|one| before.have(one));
        let mut holdings = Holdings::new(&self.tenants, &self.isolations, &self.servers.valid);
        let mut places = HashMap::with_hasher(RandomState::default());
        for one in &self.tenants {
            places.insert(&one.tenant.id, &one.place);
        }
        for one in known.into_iter().chain(new) {
            let admitted = match places.get(&one.tenant.id) {
                Some(other) => Err(format!("the id is that of {other} already")),
                None => holdings.admit(one),
            };
            if let Err(reason) = admitted {
                reader.refuse(&one.place, reason);
                continue;
            }
            places.insert(&one.tenant.id, &one.place);
            let unchanged = before.tenants.get(&one.tenant.id);
            let unchanged = unchanged.filter(|known| **known == one.tenant);
            directory.insert_tenant(unchanged.unwrap_or(&one.tenant).clone());
        }
    }

    /// `None` if it is not valid by itself. `others` are keys that tenants of
    /// other isolations have.
    fn read_tenant(
        &self,
        row: Row<'_>,
        others: &BTreeSet<&str>,
        reader: &Reader,
    ) -> Option<Placed> {
        let (origin, table) = row.table("tenants", "id");
        let problems = reader.count();
        let section = reader.document(&origin, &table);
        let read = tenants::read_row(section, &self.isolations, &self.servers, others);
        read.filter(|_| reader.count() == problems)
    }

    /// The same for a login.
    fn read_login(&self, row: Row<'_>, reader: &Reader) -> Option<ReadLogin> {
        let (origin, table) = row.table("logins", "user");
        let problems = reader.count();
        let read = logins::read_row(reader.document(&origin, &table), self.accepted);
        read.filter(|_| reader.count() == problems)
    }

    fn add_files_logins(&self, has_rows: bool, reader: &Reader, directory: &mut Directory) {
        for login in &self.logins {
            if let Some(tenant) = directory.tenant(&login.tenant) {
                directory.insert(login.of(tenant.clone()));
            } else if has_rows {
                reader.refuse(&login.place, no_tenant(&login.tenant));
            }
        }
    }

    fn add_logins(
        &self,
        rows: &Readings<ReadLogin>,
        before: &Incumbents,
        reader: &Reader,
        directory: &mut Directory,
    ) {
        let mut places = HashMap::with_hasher(RandomState::default());
        for login in &self.logins {
            places.insert(&login.user, &login.place);
        }
        for login in rows.valid() {
            let Some(tenant) = directory.tenant(&login.tenant).cloned() else {
                reader.refuse(&login.place, no_tenant(&login.tenant));
                continue;
            };
            if let Some(other) = places.get(&login.user) {
                let taken = |by| format!("the user is that of {by} already");
                let incumbent = before.logins.get(&login.user);
                let holder = directory.find(login.user.as_str());
                let holder = holder.map(|login| &login.principal.tenant.id);
                if other.is_row() && incumbent == Some(&login.tenant) && incumbent != holder {
                    reader.refuse(other, taken(&login.place));
                } else {
                    reader.refuse(&login.place, taken(other));
                    continue;
                }
            }
            places.insert(&login.user, &login.place);
            directory.insert(login.of(tenant));
        }
    }
}

fn no_tenant(id: &TenantId) -> String {
    format!(
        "no tenant that is valid has the id {}",
        super::problem::shown(id.as_str())
    )
}

impl Incumbents {
    fn new(directory: &Directory, read: Read) -> Self {
        let tenants = directory.tenants();
        let logins = directory.logins().map(|login| &login.principal);
        Self {
            tenants: tenants.map(|one| (one.id.clone(), one.clone())).collect(),
            logins: logins
                .map(|one| (one.login.clone(), one.tenant.id.clone()))
                .collect(),
            read,
        }
    }

    /// Whether this tenant has been there, in the same place.
    fn have(&self, one: &Placed) -> bool {
        let known = self.tenants.get(&one.tenant.id);
        known.is_some_and(|known| known.placement == one.tenant.placement)
    }
}
