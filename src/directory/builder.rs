//! Building a directory: from what the files say, and the rows of queries.

use super::declared::{DeclaredLogin, DeclaredTenant};
use super::row_cache::RowCache;
use super::rows::{Row, Snapshot};
use super::stand_ins::StandIns;
use super::uniqueness::{CommonSchemas, Holdings, Hosts};
use super::{Directory, Login};
use crate::problem::{Origin, Problem, shown, suggestion};
use crate::tenant::{LoginName, SharedTenant, Tenant, TenantId};
use foldhash::fast::RandomState;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Reads rows as `[[tenants]]` and `[[logins]]` of files are read. The configuration
/// knows how, and the servers and isolations that they name.
pub(crate) trait RowReader: Send + Sync {
    /// The keys that rows of this query may have.
    fn keys(&self, query: &str) -> Vec<&str>;

    /// A row of `tenants`, or why it is not valid by itself.
    fn tenant(&self, row: Row<'_>) -> Result<DeclaredTenant, Vec<Problem>>;

    /// The same for a row of `logins`.
    fn login(&self, row: Row<'_>) -> Result<DeclaredLogin, Vec<Problem>>;
}

/// Which rows there are to be.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Awaited {
    pub(crate) tenants: bool,
    pub(crate) logins: bool,
}

/// What files say of tenants and logins.
pub(crate) struct Declared {
    pub(crate) tenants: Vec<DeclaredTenant>,
    pub(crate) logins: Vec<DeclaredLogin>,
}

/// What a directory is built from, again whenever the rows of `[directory.sql]`
/// change. Its `Debug` output has no content.
pub struct DirectoryBuilder {
    /// What the files say.
    files: Declared,
    /// For telling what is another tenant's.
    hosts: Hosts,
    common: CommonSchemas,
    /// For telling what a login may be for.
    stand_ins: StandIns,
    /// Reads the rows.
    reader: Box<dyn RowReader>,
    /// Which rows there are to be, where there is a `[directory.sql]`.
    awaited: Option<Awaited>,
    /// Tells it from others, which may read a row otherwise.
    identity: Arc<()>,
}

impl std::fmt::Debug for DirectoryBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectoryBuilder").finish_non_exhaustive()
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
    read: ReadRows,
}

impl std::fmt::Debug for Incumbents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incumbents").finish_non_exhaustive()
    }
}

/// What was read of the rows, and by which builder.
#[derive(Default)]
struct ReadRows {
    by: Option<Arc<()>>,
    tenants: RowCache<DeclaredTenant>,
    logins: RowCache<DeclaredLogin>,
}

impl DirectoryBuilder {
    /// A builder of the directory of these files, and of rows where some are
    /// awaited.
    pub(crate) fn new(
        files: Declared,
        hosts: Hosts,
        common: CommonSchemas,
        stand_ins: StandIns,
        reader: Box<dyn RowReader>,
        awaited: Option<Awaited>,
    ) -> Self {
        Self {
            files,
            hosts,
            common,
            stand_ins,
            reader,
            awaited,
            identity: Arc::default(),
        }
    }

    /// Whether the columns are keys of `[[tenants]]` and `[[logins]]`, and those
    /// are there that must be.
    ///
    /// # Errors
    /// Says what is wrong. The rows cannot be used then: a misspelt `state` would
    /// leave everybody active.
    pub(super) fn check_columns(&self, query: &str, columns: &[String]) -> Result<(), String> {
        let keys = self.reader.keys(query);
        let needed: &[&str] = match query {
            "tenants" => &["id"],
            _ => &["user", "tenant"],
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
    /// left out. Rows that this builder has read `before` are not read again.
    #[must_use]
    pub fn build(&self, rows: Option<&Snapshot>, before: &Incumbents) -> Built {
        let mut problems = Vec::new();
        let mut directory = Directory::new();
        for one in &self.files.tenants {
            directory.insert_tenant(one.tenant.clone());
        }
        let none = ReadRows::default();
        let is_own = |by: &Arc<()>| Arc::ptr_eq(by, &self.identity);
        let known = match before.read.by.as_ref().is_some_and(is_own) {
            true => &before.read,
            false => &none,
        };
        let mut read = ReadRows {
            by: Some(self.identity.clone()),
            ..ReadRows::default()
        };
        let rows = rows.filter(|rows| self.can_use(rows, &mut problems));
        if let Some(rows) = rows {
            let one = |row: Row<'_>| keep(self.reader.tenant(row), &mut problems);
            read.tenants = RowCache::new(&rows.tenants, &known.tenants, one);
            self.add_tenants(&read.tenants, before, &mut problems, &mut directory);
        } else if let Some(awaited) = self.awaited {
            directory.set_incomplete(awaited.logins);
        }
        self.add_files_logins(rows.is_some(), &mut problems, &mut directory);
        if let Some(rows) = rows {
            let one = |row: Row<'_>| keep(self.reader.login(row), &mut problems);
            read.logins = RowCache::new(&rows.logins, &known.logins, one);
            self.add_logins(&read.logins, before, &mut problems, &mut directory);
        }
        self.add_elsewhere(&mut directory);
        let incumbents = Incumbents::new(&directory, read);
        Built {
            directory,
            problems,
            incumbents,
        }
    }

    fn can_use(&self, rows: &Snapshot, problems: &mut Vec<Problem>) -> bool {
        let queries = [("tenants", &rows.tenants), ("logins", &rows.logins)];
        let mut usable = true;
        for (query, rows) in queries {
            if rows.columns().is_empty() {
                continue;
            }
            if let Err(reason) = self.check_columns(query, rows.columns()) {
                usable = false;
                problems.push(Problem {
                    origin: Origin::Query(query),
                    position: None,
                    key: None,
                    value: None,
                    reason,
                });
            }
        }
        usable
    }

    fn add_tenants(
        &self,
        rows: &RowCache<DeclaredTenant>,
        before: &Incumbents,
        problems: &mut Vec<Problem>,
        directory: &mut Directory,
    ) {
        let (known, new): (Vec<_>, Vec<_>) = rows.valid().partition(|one| before.have(one));
        let mut holdings = Holdings::new(&self.files.tenants, &self.hosts, &self.common);
        let mut places = HashMap::with_hasher(RandomState::default());
        for one in &self.files.tenants {
            places.insert(&one.tenant.id, &one.place);
        }
        for one in known.into_iter().chain(new) {
            let admitted = match places.get(&one.tenant.id) {
                Some(other) => Err(format!("the id is that of {other} already")),
                None => holdings.admit(one),
            };
            if let Err(reason) = admitted {
                problems.push(one.place.problem(reason));
                continue;
            }
            places.insert(&one.tenant.id, &one.place);
            let unchanged = before.tenants.get(&one.tenant.id);
            let unchanged = unchanged.filter(|known| **known == one.tenant);
            directory.insert_tenant(unchanged.unwrap_or(&one.tenant).clone());
        }
    }

    fn add_files_logins(
        &self,
        has_rows: bool,
        problems: &mut Vec<Problem>,
        directory: &mut Directory,
    ) {
        for login in &self.files.logins {
            let Some(tenant) = directory.tenant(&login.tenant).cloned() else {
                if has_rows {
                    problems.push(login.place.problem(no_tenant(&login.tenant)));
                }
                continue;
            };
            match self.place(login, tenant, directory) {
                Ok(login) => directory.insert(login),
                Err(reason) => problems.push(login.place.problem(reason)),
            }
        }
    }

    /// The login with its tenant, where the login is for.
    fn place(
        &self,
        login: &DeclaredLogin,
        tenant: SharedTenant,
        directory: &mut Directory,
    ) -> Result<Login, String> {
        let mut placed = tenant;
        if let Some(server) = &login.server {
            self.stand_ins.admit(server, &placed)?;
            placed = directory.on_server(&placed, server);
        }
        if login.limits.is_masked() {
            let masked = directory.add_masked(&placed);
            placed = masked.ok_or_else(|| no_masking(&placed))?;
        }
        Ok(login.of(placed))
    }

    /// The tenants on servers of profiles that a credential can name by itself, and as
    /// masked logins have them.
    fn add_elsewhere(&self, directory: &mut Directory) {
        let mut placed = Vec::new();
        for tenant in directory.tenants() {
            let servers = self.stand_ins.of_profiles(tenant);
            placed.extend(servers.map(|server| (tenant.clone(), server)));
        }
        for (tenant, server) in placed {
            directory.on_server(&tenant, server);
        }
        let all = directory.tenants().chain(directory.elsewhere());
        let all: Vec<_> = all.filter(|one| one.masked.is_some()).cloned().collect();
        for tenant in all {
            directory.add_masked(&tenant);
        }
    }

    fn add_logins(
        &self,
        rows: &RowCache<DeclaredLogin>,
        before: &Incumbents,
        problems: &mut Vec<Problem>,
        directory: &mut Directory,
    ) {
        let mut places = HashMap::with_hasher(RandomState::default());
        for login in &self.files.logins {
            places.insert(&login.user, &login.place);
        }
        for login in rows.valid() {
            let Some(tenant) = directory.tenant(&login.tenant).cloned() else {
                problems.push(login.place.problem(no_tenant(&login.tenant)));
                continue;
            };
            let placed = match self.place(login, tenant, directory) {
                Ok(placed) => placed,
                Err(reason) => {
                    problems.push(login.place.problem(reason));
                    continue;
                }
            };
            if let Some(other) = places.get(&login.user) {
                let taken = |by| format!("the user is that of {by} already");
                let incumbent = before.logins.get(&login.user);
                let holder = directory.find(login.user.as_str());
                let holder = holder.map(|login| &login.principal.tenant.id);
                if other.is_row() && incumbent == Some(&login.tenant) && incumbent != holder {
                    problems.push(other.problem(taken(&login.place)));
                } else {
                    problems.push(login.place.problem(taken(other)));
                    continue;
                }
            }
            places.insert(&login.user, &login.place);
            directory.insert(placed);
        }
    }
}

/// What was read, if it is valid.
fn keep<T>(read: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    read.map_err(|wrong| problems.extend(wrong)).ok()
}

/// Why a masked login of the tenant is not served.
pub(crate) fn no_masking(tenant: &Tenant) -> String {
    format!(
        "its profile may see masked data alone, and [isolation.{}] has no `masked_user` or \
         `masked_role`, the role that may read that",
        tenant.isolation.as_str()
    )
}

fn no_tenant(id: &TenantId) -> String {
    format!("no tenant that is valid has the id {}", shown(id.as_str()))
}

impl Incumbents {
    fn new(directory: &Directory, read: ReadRows) -> Self {
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
    fn have(&self, one: &DeclaredTenant) -> bool {
        let known = self.tenants.get(&one.tenant.id);
        known.is_some_and(|known| known.placement == one.tenant.placement)
    }
}
