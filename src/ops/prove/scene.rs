//! What is there: two tenants, by what they are kept apart, and their tables.

use super::Unproved;
use super::text::{elements, literal};
use super::wire::{Answer, Login, Session};

/// By what the two tenants are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Setting,
    Schema,
    Database,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Schema => "schema",
            Self::Database => "database",
        }
    }
}

/// Where a login has got to.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pub(super) database: String,
    pub(super) user: String,
    pub(super) version: String,
    /// The schemas that are searched, without PostgreSQL's own.
    pub(super) schemas: Vec<String>,
    pub(super) schema: String,
    /// The server's address; empty over a Unix-domain socket.
    pub(super) server_address: String,
    pub(super) database_oid: String,
}

/// A relation that a login may read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of a catalog, each by itself"
)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) relation: String,
    /// It is a table, whose rows have a place.
    pub(super) has_places: bool,
    pub(super) has_policies: bool,
    /// The column that says whose a row is.
    pub(super) owner: Option<String>,
    /// It is the table of the tenants.
    pub(super) is_directory: bool,
    /// Its rows refer to rows of tenants.
    pub(super) refers: bool,
    pub(super) is_sealed: bool,
    /// Its policies read the setting.
    pub(super) reads_setting: bool,
    pub(super) may_insert: bool,
    pub(super) may_update: bool,
    pub(super) may_delete: bool,
    /// All columns that can be written.
    pub(super) columns: Vec<String>,
}

impl Table {
    /// The qualified name, quoted.
    pub(super) fn name(&self) -> String {
        use super::text::identifier;
        format!(
            "{}.{}",
            identifier(&self.schema),
            identifier(&self.relation)
        )
    }

    /// The name as it is shown, and given with `--shared`.
    pub(super) fn shown(&self) -> String {
        format!("{}.{}", self.schema, self.relation)
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        (&self.schema, &self.relation) == (&other.schema, &other.relation)
    }
}

/// One of the two tenants.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub(super) login: Login,
    pub(super) place: Place,
    /// The tenant's value of the setting; empty in other kinds.
    pub(super) value: String,
    pub(super) tables: Vec<Table>,
}

impl Side {
    /// A table of its own alone, in kind `schema` and `database`.
    pub(super) fn own_table(&self) -> Option<&Table> {
        let of_schema = |table: &&Table| table.schema == self.place.schema;
        self.tables.iter().find(of_schema)
    }

    /// The table of the same name.
    pub(super) fn table(&self, other: &Table) -> Option<&Table> {
        self.tables.iter().find(|table| table.is(other))
    }
}

/// Both, and what is between them.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) kind: Kind,
    pub(super) setting: Option<String>,
    pub(super) superuser: String,
    pub(super) own: Side,
    pub(super) other: Side,
}

impl Scene {
    /// Finds out what there is. `setting` is what carries the tenant, where it is known.
    pub(super) async fn find(
        own: Login,
        other: Login,
        setting: Option<&str>,
    ) -> Result<Self, Unproved> {
        let mut one = open(&own).await?;
        let mut two = open(&other).await?;
        let here = place(&mut one, own.user()).await?;
        let there = place(&mut two, other.user()).await?;
        let superuser =
            "SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper ORDER BY oid LIMIT 1";
        let superuser = rows(&mut one, own.user(), superuser).await?;
        let superuser = superuser.value().unwrap_or("postgres").to_owned();
        let shares = (&here.database, &here.database_oid) == (&there.database, &there.database_oid);
        let names = match setting {
            Some(name) => vec![name.to_lowercase()],
            None => {
                let found = rows(&mut one, own.user(), include_str!("sql/settings.sql")).await?;
                found.rows.into_iter().flatten().flatten().collect()
            }
        };
        let mut carried = None;
        for name in &names {
            let values = (value(&mut one, name).await, value(&mut two, name).await);
            match values {
                (Some(mine), Some(theirs)) if mine != theirs && shares => {
                    carried = Some((name.clone(), mine, theirs));
                    break;
                }
                _ => {}
            }
        }
        let kind = match (&carried, shares) {
            (_, false) => Kind::Database,
            (Some(_), true) => Kind::Setting,
            (None, true) if here.user != there.user || here.schema != there.schema => Kind::Schema,
            (None, true) => return Err(Unproved::SameTenant(names.join(", "))),
        };
        let (setting, mine, theirs) = match carried {
            Some((name, mine, theirs)) => (Some(name), mine, theirs),
            None => (None, String::new(), String::new()),
        };
        let mut scene = Self {
            kind,
            own: side(own, here, mine),
            other: side(other, there, theirs),
            superuser,
            setting,
        };
        let name = scene.setting.clone().unwrap_or_default();
        scene.own.tables = tables(&mut one, scene.own.login.user(), &name).await?;
        scene.other.tables = tables(&mut two, scene.other.login.user(), &name).await?;
        one.close().await;
        two.close().await;
        Ok(scene)
    }

    /// Whether a table of it is sealed.
    pub(super) fn is_sealed(&self) -> bool {
        self.own.tables.iter().any(|table| table.is_sealed)
    }
}

fn side(login: Login, place: Place, value: String) -> Side {
    Side {
        login,
        place,
        value,
        tables: Vec::new(),
    }
}

/// Logs in where that must succeed.
pub(super) async fn open(login: &Login) -> Result<Session, Unproved> {
    login.open().await.map_err(|error| Unproved::Login {
        user: login.user().to_owned(),
        place: login.server.hosts.to_string(),
        reason: error.to_string(),
    })
}

/// The rows of a query of ours, which must succeed.
async fn rows(session: &mut Session, user: &str, sql: &str) -> Result<Answer, Unproved> {
    let answer = session.query(sql).await;
    match answer.failed {
        None => Ok(answer),
        Some(failed) => Err(Unproved::Look {
            user: user.to_owned(),
            reason: failed.to_string(),
        }),
    }
}

/// What the setting holds; nothing if it is empty.
async fn value(session: &mut Session, name: &str) -> Option<String> {
    let sql = format!("SELECT current_setting({}, true)", literal(name));
    let answer = session.query(&sql).await;
    answer
        .value()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

async fn place(session: &mut Session, user: &str) -> Result<Place, Unproved> {
    let answer = rows(session, user, include_str!("sql/place.sql")).await?;
    let mut values = answer
        .rows
        .into_iter()
        .flatten()
        .map(Option::unwrap_or_default);
    let mut next = || values.next().unwrap_or_default();
    Ok(Place {
        database: next(),
        user: next(),
        version: next(),
        schemas: elements(&next()),
        schema: next(),
        server_address: next(),
        database_oid: next(),
    })
}

/// The relations that a login may read.
pub(super) async fn tables(
    session: &mut Session,
    user: &str,
    setting: &str,
) -> Result<Vec<Table>, Unproved> {
    let sql = include_str!("sql/tables.sql").replace("{setting}", &literal(setting));
    let answer = rows(session, user, &sql).await?;
    let table = |row: Vec<Option<String>>| {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || values.next().unwrap_or_default();
        let is = |text: String| text == "true";
        let (schema, relation, kind) = (next(), next(), next());
        let has_policies = is(next());
        let owner = next();
        Table {
            schema,
            relation,
            has_places: matches!(kind.as_str(), "r" | "p"),
            has_policies,
            owner: (!owner.is_empty()).then_some(owner),
            is_directory: is(next()),
            refers: is(next()),
            is_sealed: is(next()),
            reads_setting: is(next()),
            may_insert: is(next()),
            may_update: is(next()),
            may_delete: is(next()),
            columns: elements(&next()),
        }
    };
    Ok(answer.rows.into_iter().map(table).collect())
}
