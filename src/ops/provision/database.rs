//! Kind `database`: a database of the tenant's own.

use super::error::refuse;
use super::ledger::Ledger;
use super::role::Connect;
use super::schema::{applied, begin, report};
use super::script::Script;
use super::{Mode, ProvisionError, Report, Site, files, role};
use crate::ops::sql_client::Database;
use crate::tenant::Tenant;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use tokio_postgres::Client;

/// Where the tables of a tenant's database are.
const SCHEMA: &str = "public";

pub(super) async fn provision(
    site: Site<'_>,
    tenant: &Tenant,
    mode: Mode,
) -> Result<Report, ProvisionError> {
    let template = site.template;
    if template.schema.is_some() && template.database.is_none() && template.files.is_none() {
        return refuse("a tenant of kind \"database\" needs --template database:NAME or dir:PATH");
    }
    let name = &*tenant.placement.endpoint.database;
    let Some(server) = site.settings.servers.get(&tenant.placement.endpoint.server) else {
        return refuse("its server is not configured");
    };
    let place = Place {
        site,
        name,
        user: &server.user,
    };
    let maintenance = site.url.connect().await?;
    let found = place.find(&maintenance.client).await?;
    match (found, mode) {
        (Some(found), _) => place.complete(&maintenance.client, found, mode).await,
        (None, Mode::Print) => place.show(),
        (None, Mode::Run) => place.create(&maintenance.client).await,
    }
}

struct Place<'a> {
    site: Site<'a>,
    name: &'a str,
    /// The role that the proxy logs in as.
    user: &'a str,
}

/// How a database was found.
struct Found {
    /// PUBLIC may connect.
    open: bool,
    /// The proxy's user may connect.
    granted: bool,
    owned: bool,
    owner: String,
    takes_connections: bool,
}

impl Place<'_> {
    async fn find(&self, client: &Client) -> Result<Option<Found>, ProvisionError> {
        let sql = "SELECT EXISTS (
                SELECT FROM pg_catalog.aclexplode(
                    coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
                WHERE a.grantee = 0),
            EXISTS (
                SELECT FROM pg_catalog.aclexplode(d.datacl) a
                JOIN pg_catalog.pg_roles g ON g.oid = a.grantee
                WHERE g.rolname = $2::text AND a.privilege_type = 'CONNECT')
                OR $2::text = r.rolname,
            pg_catalog.pg_has_role(d.datdba, 'USAGE'), r.rolname::text, d.datallowconn
            FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles r ON r.oid = d.datdba
            WHERE d.datname = $1::text";
        let Some(row) = client.query_opt(sql, &[&self.name, &self.user]).await? else {
            return Ok(None);
        };
        Ok(Some(Found {
            open: row.try_get(0)?,
            granted: row.try_get(1)?,
            owned: row.try_get(2)?,
            owner: row.try_get(3)?,
            takes_connections: row.try_get(4)?,
        }))
    }

    /// Brings a database that is there up to date.
    async fn complete(
        &self,
        maintenance: &Client,
        found: Found,
        mode: Mode,
    ) -> Result<Report, ProvisionError> {
        if !found.owned {
            return refuse(format!(
                "database \"{}\" belongs to role \"{}\": log in as this role",
                self.name, found.owner
            ));
        }
        if !found.takes_connections {
            return refuse(format!(
                "database \"{0}\" takes no connections; if making it was interrupted, DROP \
                 DATABASE {1} and try again",
                self.name,
                escape_identifier(self.name)
            ));
        }
        let (mut rights, mut done) = (Script::default(), Vec::new());
        if found.open {
            self.close(&mut rights);
        }
        if !found.granted {
            self.open(&mut rights);
        }
        if !rights.is_empty() {
            done.push(format!("granted to role {}", escape_identifier(self.user)));
        }
        let mut sql = rights.text();
        let filled = self.fill(mode).await?;
        sql.push_str(&filled.sql);
        if mode == Mode::Run {
            rights.run(maintenance).await?;
        }
        done.extend(filled.done);
        Ok(Report { done, sql })
    }

    /// Makes the database. When something fails on the way it is removed again:
    /// until the end nobody else can connect to it.
    async fn create(&self, maintenance: &Client) -> Result<Report, ProvisionError> {
        let (mut first, mut last) = (Script::default(), Script::default());
        self.make(&mut first);
        self.open(&mut last);
        first.run(maintenance).await?;
        let filled = match self.fill(Mode::Run).await {
            Ok(filled) => last.run(maintenance).await.map(|()| filled),
            Err(error) => Err(error),
        };
        let name = escape_identifier(self.name);
        let filled = match filled {
            Ok(filled) => filled,
            Err(error) => {
                let sql = format!("DROP DATABASE {name} WITH (FORCE)");
                return match maintenance.batch_execute(&sql).await {
                    Ok(()) => Err(error),
                    Err(_) => refuse(format!("{error}; database {name} was not removed")),
                };
            }
        };
        let mut done = vec![format!("created database {name}")];
        done.extend(filled.done);
        let sql = first.text() + &filled.sql + &last.text();
        Ok(Report { done, sql })
    }

    /// What [`Place::create`] would do.
    fn show(&self) -> Result<Report, ProvisionError> {
        let mut script = Script::default();
        self.make(&mut script);
        self.open(&mut script);
        let name = escape_identifier(self.name);
        let mut sql = script.text();
        if self.site.template.files.is_some() {
            sql.push_str(&format!(
                "-- and then, in database {}, all files of the template\n",
                name.escape_debug()
            ));
        }
        Ok(Report {
            done: vec![format!("created database {name}")],
            sql,
        })
    }

    fn make(&self, script: &mut Script) {
        let name = escape_identifier(self.name);
        let what = format!("making database {name}");
        let template = match &self.site.template.database {
            Some(template) => format!(" TEMPLATE {}", escape_identifier(template)),
            None => String::new(),
        };
        // Not a moment open to everybody.
        script.push(
            &what,
            format!("CREATE DATABASE {name}{template} ALLOW_CONNECTIONS false"),
        );
        self.close(script);
        script.push(
            &what,
            format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
        );
    }

    fn close(&self, script: &mut Script) {
        let name = escape_identifier(self.name);
        let sql = format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC");
        script.push(&format!("closing database {name}"), sql);
    }

    fn open(&self, script: &mut Script) {
        let (name, user) = (escape_identifier(self.name), escape_identifier(self.user));
        let sql = format!("GRANT CONNECT ON DATABASE {name} TO {user}");
        script.push(&format!("granting to role {user}"), sql);
    }

    /// Runs the files that have not been run, in one transaction.
    async fn fill(&self, mode: Mode) -> Result<Report, ProvisionError> {
        let Some(files) = &self.site.template.files else {
            return Ok(Report::default());
        };
        let database = self.site.url.connect_to(self.name).await?;
        let client = &database.client;
        begin(client).await?;
        let (mut script, mut done) = (Script::default(), Vec::new());
        if self.user != database.user {
            self.grant(&database, &mut script).await?;
        }
        let ledger = Ledger::open(client, SCHEMA, &mut script).await?;
        let count = files::pending(files, &ledger, SCHEMA, SCHEMA, &mut script)?;
        if count > 0 {
            done.push(applied(count));
        }
        if mode == Mode::Run && !script.is_empty() {
            script.run(client).await?;
            client.batch_execute("COMMIT").await?;
        }
        Ok(report(&[&script], done))
    }

    async fn grant(&self, database: &Database, script: &mut Script) -> Result<(), ProvisionError> {
        let sql = "SELECT pg_catalog.has_database_privilege(r.oid, d.oid, 'CONNECT')
            FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
            WHERE r.rolname = $1::text AND d.datname = pg_catalog.current_database()";
        let client = &database.client;
        if client.query_opt(sql, &[&self.user]).await?.is_none() {
            return refuse(format!(
                "the user of the server's section, role {}, does not exist",
                escape_literal(self.user)
            ));
        }
        role::grant(client, self.user, SCHEMA, Connect::Later, script).await?;
        Ok(())
    }
}
