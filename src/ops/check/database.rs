//! Checks of one database.

use super::catalogue::{self, CHECKS, Check, Kind};
use super::finding::{Checked, Finding, Place, Report};
use super::releases;
use super::scope::{Scope, SettingUse};
use super::{Database, SqlClientError, connections, learn, members, policies};
use crate::protocol::explain;
use crate::tenant::{Claim, Seal};
use tokio_postgres::error::SqlState;

/// Nothing is changed, and no query runs for longer than a minute.
const PREPARE: &str = "SET default_transaction_read_only = on; SET statement_timeout = '60s'";

/// The oldest `server_version_num` whose catalogs the queries know.
const OLDEST: i32 = 140_000;

/// Looks at the database and adds what is found.
pub(super) async fn check(
    database: &Database,
    server: &str,
    scope: &Scope,
    report: &mut Report,
) -> Result<(), SqlClientError> {
    let place = Place::Database {
        server: server.to_owned(),
        database: database.name.clone(),
    };
    database.client.batch_execute(PREPARE).await?;
    let sql = "SELECT current_setting('server_version_num')::int, \
               split_part(current_setting('server_version'), ' ', 1)";
    let row = database.client.query_one(sql, &[]).await?;
    let (number, version): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
    report.checked.push(Checked {
        place: place.clone(),
        user: database.user.clone(),
        version: version.clone(),
    });
    report.findings.extend(release(number, server, &version));
    if number < OLDEST {
        let reason = format!("the checks need PostgreSQL 14 or newer; this is {version}");
        report.failures.push((place, reason));
        return Ok(());
    }
    let mut looker = Looker {
        database,
        server,
        place,
        report,
    };
    if let Err(error) = connections::check(&mut looker, &scope.wanted).await {
        looker.fail(&catalogue::surroundings::CONNECTIONS, &error);
    }
    looker.roles(scope).await;
    for (setting, use_of) in &scope.settings {
        looker
            .setting(setting, use_of, scope.sealed.contains_key(setting))
            .await;
    }
    for (setting, groups) in &scope.groups {
        for group in groups.values() {
            members::check(&mut looker, setting, group).await;
        }
    }
    // Last, because it binds the session.
    for (serial, (setting, seal)) in (1..).zip(&scope.sealed) {
        looker.seal(serial, setting, seal, scope).await;
    }
    Ok(())
}

/// What is known of the server's release.
fn release(number: i32, server: &str, version: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |check, detail, fix| {
        findings.push(Finding {
            check,
            place: Place::Server(server.to_owned()),
            object: format!("PostgreSQL {version}"),
            detail: Some(detail),
            fix,
        });
    };
    let holes: Vec<_> = releases::holes_of(number)
        .map(|hole| format!("{}: {}", hole.name, hole.what))
        .collect();
    if !holes.is_empty() {
        let safe = releases::safe_minor(number);
        let fix = safe.map(|safe| format!("-- install PostgreSQL {safe} or a newer minor release"));
        add(&catalogue::surroundings::HOLES, holes.join("; "), fix);
    }
    if number / 10_000 < releases::OLDEST_MAINTAINED {
        let fix = "-- upgrade to a major version that is maintained".to_owned();
        let detail = "its time of support is over".to_owned();
        add(&catalogue::surroundings::UNMAINTAINED, detail, Some(fix));
    }
    findings
}

/// What `query` puts before each query.
const PRELUDE: &str = concat!(
    include_str!("sql/prelude/scope.sql"),
    include_str!("sql/prelude/policies.sql"),
    include_str!("sql/prelude/tenants.sql"),
    include_str!("sql/prelude/rights.sql"),
    include_str!("sql/prelude/members.sql"),
    include_str!("sql/prelude/code.sql"),
);

/// What the queries of a check are asked about.
pub(super) struct Given {
    pub(super) roles: Vec<String>,
    pub(super) setting: String,
    pub(super) tenant_roles: Vec<String>,
    pub(super) tenant_schemas: Vec<String>,
    /// What policies compare with the setting, as a JSON array.
    pub(super) comparisons: String,
    /// The tenants' values of the setting.
    pub(super) tenants: Vec<String>,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            roles: Vec::new(),
            setting: String::new(),
            tenant_roles: Vec::new(),
            tenant_schemas: Vec::new(),
            comparisons: "[]".to_owned(),
            tenants: Vec::new(),
        }
    }
}

pub(super) struct Looker<'a> {
    pub(super) database: &'a Database,
    server: &'a str,
    place: Place,
    report: &'a mut Report,
}

impl Looker<'_> {
    /// What does not depend on a setting.
    async fn roles(&mut self, scope: &Scope) {
        let given = Given {
            roles: scope.roles.iter().cloned().collect(),
            tenant_roles: scope
                .tenant_schemas
                .iter()
                .map(|(role, _)| role.clone())
                .collect(),
            tenant_schemas: scope
                .tenant_schemas
                .iter()
                .map(|(_, schema)| schema.clone())
                .collect(),
            ..Given::default()
        };
        for check in CHECKS {
            let applies = match check.kind {
                Kind::Roles => true,
                Kind::Schema => !scope.tenant_schemas.is_empty(),
                Kind::Shared => !scope.is_tenants_own,
                Kind::Database => scope.is_tenants_own,
                Kind::Configuration
                | Kind::Server
                | Kind::Setting
                | Kind::Sealed
                | Kind::Unsealed
                | Kind::Member
                | Kind::Masked => false,
            };
            if applies {
                self.run(check, &given).await;
            }
        }
    }

    /// What depends on the setting that says who the tenant is.
    async fn setting(&mut self, setting: &str, use_of: &SettingUse, sealed: bool) {
        let mut given = Given {
            roles: use_of.roles.iter().cloned().collect(),
            setting: setting.to_owned(),
            tenants: use_of.values.iter().cloned().collect(),
            ..Given::default()
        };
        // Without it the others would look for the wrong columns.
        if let Err(error) = learn::learn(self, &mut given).await {
            return self.fail(&catalogue::policies::NO_READER, &error);
        }
        for check in CHECKS {
            let seal = if sealed { Kind::Sealed } else { Kind::Unsealed };
            if check.kind == Kind::Setting || check.kind == seal {
                self.run(check, &given).await;
            }
        }
        policies::check(self, &given, setting, &use_of.roles).await;
    }

    /// Whether the database takes what is signed with the configured key.
    async fn seal(&mut self, serial: u64, setting: &str, seal: &Seal, scope: &Scope) {
        let taken = self.present(serial, setting, seal).await;
        let Err(error) = taken else { return };
        let user = &self.database.user;
        let is_proxys = scope.roles.contains(user);
        let detail = match error.code() {
            Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
                format!(
                    "it does not take the key of `seal_key_file`: {}",
                    explain(&error)
                )
            }
            Some(&(SqlState::UNDEFINED_FUNCTION | SqlState::INVALID_SCHEMA_NAME)) => {
                format!("it was not hardened for seal = \"{}\"", seal.name())
            }
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) if is_proxys => {
                format!("it was not hardened for the role {user}")
            }
            _ => return self.fail(&catalogue::policies::SEAL_KEY, &error),
        };
        let fix = "-- run: pgtenant harden --config FILE --apply URL".to_owned();
        let object = format!("setting {setting}");
        self.add(
            &catalogue::policies::SEAL_KEY,
            object,
            Some(detail),
            Some(fix),
        );
    }

    async fn present(
        &self,
        serial: u64,
        setting: &str,
        seal: &Seal,
    ) -> Result<(), tokio_postgres::Error> {
        let client = &self.database.client;
        let row = client
            .query_one("SELECT pg_backend_pid(), current_database()::text", &[])
            .await?;
        let (pid, database): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
        let claim = Claim {
            setting,
            tenant: "pgtenant check",
            database: &database,
            pid: pid.unsigned_abs(),
            serial,
        };
        let token = seal.token(&claim).unwrap_or_default();
        match seal {
            Seal::Carrier(_) => {
                client.query("SELECT pgtenant.bind($1)", &[&token]).await?;
            }
            Seal::Token(..) | Seal::Off => {
                let sql = "SELECT pgtenant.bind_token($1, $2)";
                client.query(sql, &[&token, &setting]).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn run(&mut self, check: &'static Check, given: &Given) {
        let Some(sql) = check.sql else { return };
        let rows = match self.query(sql, given).await {
            Ok(rows) => rows,
            Err(error) => return self.fail(check, &error),
        };
        for row in rows {
            let found = (row.try_get(0), row.try_get(1), row.try_get(2));
            match found {
                (Ok(object), Ok(detail), Ok(fix)) => self.add(check, object, detail, fix),
                (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
                    self.fail(check, &error);
                }
            }
        }
    }

    /// Runs a query behind the prelude.
    pub(super) async fn query(
        &self,
        sql: &str,
        given: &Given,
    ) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
        let sql = format!("{PRELUDE}{sql}");
        let client = &self.database.client;
        client
            .query(
                &sql,
                &[
                    &given.roles,
                    &given.setting,
                    &given.tenant_roles,
                    &given.tenant_schemas,
                    &given.comparisons,
                    &given.tenants,
                ],
            )
            .await
    }

    pub(super) fn add(
        &mut self,
        check: &'static Check,
        object: String,
        detail: Option<String>,
        fix: Option<String>,
    ) {
        // A role is the same one in every database of its server.
        let place = if object.starts_with("role ") {
            Place::Server(self.server.to_owned())
        } else {
            self.place.clone()
        };
        self.report.findings.push(Finding {
            check,
            place,
            object,
            detail,
            fix,
        });
    }

    /// Adds what is the server's, whichever database was looked at.
    pub(super) fn of_server(
        &mut self,
        check: &'static Check,
        object: String,
        detail: String,
        fix: Option<String>,
    ) {
        self.report.findings.push(Finding {
            check,
            place: Place::Server(self.server.to_owned()),
            object,
            detail: Some(detail),
            fix,
        });
    }

    /// What cannot be checked must not look as if it were in order.
    pub(super) fn fail(&mut self, check: &Check, error: &tokio_postgres::Error) {
        let reason = format!("{} could not be checked: {}", check.id, explain(error));
        self.report.failures.push((self.place.clone(), reason));
    }
}
